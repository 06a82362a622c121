//! The table of accounts.

use offhook_exchange::directory::{Account, AddressOfRecord, Bindings, Delta, Secrets};
use offhook_exchange::speech::Language;
use offhook_sip::digest::Ha1;
use serde::Deserialize;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Sqlite, Transaction};

use super::{ChangedAccount, NewAccount, Source, StoredAccount};
use crate::{Password, StoreError, columns, number};

/// All accounts in one row, for the reason that [`columns::table`] gives.
macro_rules! select_accounts {
    ($which:literal) => {
        concat!(
            "SELECT json_group_array(json_array(address, name, realm, ha1_md5, ha1_sha256, email, source, language, \
             (SELECT number FROM number WHERE account = address ORDER BY position LIMIT 1), created_at) \
             ORDER BY address) FROM account ",
            $which
        )
    };
}

pub(crate) async fn select_all(connection: &mut SqliteConnection) -> Result<Vec<StoredAccount>, StoreError> {
    let select = sqlx::query_scalar(select_accounts!(""));
    let json: String = select.fetch_one(connection).await?;
    rows(&json)
}

pub(crate) async fn select(
    connection: &mut SqliteConnection,
    address: &AddressOfRecord,
) -> Result<StoredAccount, StoreError> {
    let select = sqlx::query_scalar(select_accounts!("WHERE address = ?")).bind(address.as_str());
    let json: String = select.fetch_one(connection).await?;
    rows(&json)?.pop().ok_or_else(|| StoreError::NoAccount(address.clone()))
}

fn rows(json: &str) -> Result<Vec<StoredAccount>, StoreError> {
    columns::table::<Vec<Row>>("account", json)?.into_iter().map(Row::stored).collect()
}

/// An account that commands may change.
pub(crate) async fn select_own(
    connection: &mut SqliteConnection,
    address: &AddressOfRecord,
) -> Result<StoredAccount, StoreError> {
    let stored = select(connection, address).await?;
    match stored.source {
        Source::Store => Ok(stored),
        Source::File => Err(StoreError::FileOwned(address.clone())),
    }
}

pub(super) async fn insert(
    tx: &mut Transaction<'_, Sqlite>,
    new: NewAccount,
    source: Source,
    now: u64,
) -> Result<ChangedAccount, StoreError> {
    let address = new.address;
    let (secrets, generated) = secrets(new.password, &address, &new.realm)?;
    let (name, language, realm) = (new.name, new.language, new.realm);
    let account = Account { address: address.clone(), name, number: None, language, realm, secrets };
    let mut stored = StoredAccount { account, email: new.email, source, created_at: now };
    check(&stored)?;
    let inserted = sqlx::query(
        "INSERT INTO account (address, name, realm, ha1_md5, ha1_sha256, email, source, language, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(address.as_str())
    .bind(&stored.account.name)
    .bind(&stored.account.realm)
    .bind(stored.account.secrets.md5.as_hex())
    .bind(stored.account.secrets.sha256.as_hex())
    .bind(&stored.email)
    .bind(source.word())
    .bind(stored.account.language.map(Language::code))
    .bind(columns::integer(now))
    .execute(&mut **tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(StoreError::AccountExists(address));
    }
    // Whoever was registered under this address before was someone else.
    let mut deltas = vec![Delta::Bindings(address.clone(), Bindings::default())];
    if let Some(text) = new.number {
        let number = number::parse_number(&text)?;
        number::give(tx, &number, &address, number::Taken::Refuse).await?;
        deltas.push(Delta::Number(number.clone(), Some(address)));
        stored.account.number = Some(number);
    }
    deltas.insert(0, Delta::Account(stored.account.clone()));
    Ok(ChangedAccount { account: stored.account, generated, deltas })
}

/// Brings an account to what the configuration file says; `None` if it is that already.
pub(super) async fn declare(
    tx: &mut Transaction<'_, Sqlite>,
    before: StoredAccount,
    new: NewAccount,
) -> Result<Option<ChangedAccount>, StoreError> {
    let mut after = before.clone();
    after.source = Source::File;
    after.account.name = new.name;
    after.account.language = new.language;
    after.email = new.email;
    if let Some(password) = new.password {
        after.account.secrets = password.secrets(&new.address, &new.realm);
        after.account.realm = new.realm;
    }
    let declared = new.number.as_deref().map(number::parse_number).transpose()?;
    let mut deltas = Vec::new();
    let owned = number::of(tx, &new.address).await?;
    for number in owned.iter().filter(|number| Some(*number) != declared.as_ref()) {
        number::free(tx, number).await?;
        deltas.push(Delta::Number(number.clone(), None));
    }
    if let Some(number) = declared.clone().filter(|number| !owned.contains(number)) {
        number::give(tx, &number, &new.address, number::Taken::Refuse).await?;
        deltas.push(Delta::Number(number, Some(new.address)));
    }
    after.account.number = declared;
    if after == before && deltas.is_empty() {
        return Ok(None);
    }
    update(tx, &after).await?;
    deltas.insert(0, Delta::Account(after.account.clone()));
    Ok(Some(ChangedAccount { account: after.account, generated: None, deltas }))
}

pub(super) async fn update(
    tx: &mut Transaction<'_, Sqlite>,
    stored: &StoredAccount,
) -> Result<(), StoreError> {
    check(stored)?;
    sqlx::query(
        "UPDATE account SET name = ?, realm = ?, ha1_md5 = ?, ha1_sha256 = ?, email = ?, source = ?, language = ? \
         WHERE address = ?",
    )
    .bind(&stored.account.name)
    .bind(&stored.account.realm)
    .bind(stored.account.secrets.md5.as_hex())
    .bind(stored.account.secrets.sha256.as_hex())
    .bind(&stored.email)
    .bind(stored.source.word())
    .bind(stored.account.language.map(Language::code))
    .bind(stored.account.address.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn delete(
    tx: &mut Transaction<'_, Sqlite>,
    address: &AddressOfRecord,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM account WHERE address = ?").bind(address.as_str()).execute(&mut **tx).await?;
    Ok(())
}

pub(super) fn secrets(
    password: Option<Password>,
    address: &AddressOfRecord,
    realm: &str,
) -> Result<(Secrets, Option<Password>), StoreError> {
    Ok(match password {
        Some(password) => (password.secrets(address, realm), None),
        None => {
            let password = Password::generate()?;
            (password.secrets(address, realm), Some(password))
        }
    })
}

/// Texts go into SIP headers and onto terminals.
fn check(stored: &StoredAccount) -> Result<(), StoreError> {
    let fine = |text: &str, length: usize| text.len() <= length && !text.contains(char::is_control);
    let account = &stored.account;
    if !account.name.as_deref().is_none_or(|name| fine(name, 255)) {
        return Err(StoreError::BadText { field: "name" });
    }
    if !stored.email.as_deref().is_none_or(|email| fine(email, 254)) {
        return Err(StoreError::BadText { field: "e-mail address" });
    }
    // A quote would end the quoted string in which a realm is sent (RFC 3261 §25.1).
    if account.realm.is_empty() || !fine(&account.realm, 255) || account.realm.contains(['"', '\\']) {
        return Err(StoreError::BadText { field: "realm" });
    }
    Ok(())
}

/// The columns in the order of `select_accounts`.
#[derive(Deserialize)]
struct Row {
    address: String,
    name: Option<String>,
    realm: String,
    ha1_md5: String,
    ha1_sha256: String,
    email: Option<String>,
    source: String,
    language: Option<String>,
    number: Option<String>,
    created_at: i64,
}

impl Row {
    fn stored(self) -> Result<StoredAccount, StoreError> {
        let damaged = || StoreError::Damaged { table: "account", key: self.address.clone() };
        let secrets = Secrets {
            md5: Ha1::from_hex(&self.ha1_md5).ok_or_else(damaged)?,
            sha256: Ha1::from_hex(&self.ha1_sha256).ok_or_else(damaged)?,
        };
        let address = parse_stored(&self.address).ok_or_else(damaged)?;
        let language = self.language.as_deref().and_then(Language::parse);
        let (name, number, realm) = (self.name, self.number, self.realm);
        let account = Account { address, name, number, language, realm, secrets };
        let source = if self.source == Source::File.word() { Source::File } else { Source::Store };
        let created_at = u64::try_from(self.created_at).unwrap_or(0);
        Ok(StoredAccount { account, email: self.email, source, created_at })
    }
}

/// An address as it was stored, which was checked before and is not checked again.
pub(crate) fn parse_stored(text: &str) -> Option<AddressOfRecord> {
    text.rsplit_once('@').map(|(user, host)| AddressOfRecord::new(user, host))
}
