//! Accounts in the database.

use std::collections::BTreeSet;

use offhook_exchange::directory::{Account, AddressOfRecord, Bindings, Delta, Secrets};
use offhook_sip::digest::Ha1;
use serde::Deserialize;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Sqlite, Transaction};

use crate::{Password, Store, StoreError, csv};
use crate::{binding, number};

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its address.
    pub address: AddressOfRecord,
    /// Its password; generated if there is none.
    pub password: Option<Password>,
    /// The name shown to those it calls.
    pub name: Option<String>,
    /// A number, with or without visual separators and `tel:`.
    pub number: Option<String>,
    /// Where its owner is reached.
    pub email: Option<String>,
    /// The realm for which the secrets are computed.
    pub realm: String,
}

/// What is to become of an account; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// A new name, or none from now on.
    pub name: Option<Option<String>>,
    /// A new e-mail address, or none from now on.
    pub email: Option<Option<String>>,
    /// A new password for this realm; generated if it is not given.
    pub password: Option<(String, Option<Password>)>,
}

/// An account that was made or changed.
#[derive(Clone, Debug)]
pub struct ChangedAccount {
    /// How it is now.
    pub account: Account,
    /// Its password, where it was generated: to be shown once.
    pub generated: Option<Password>,
    /// What the shards must know.
    pub deltas: Vec<Delta>,
}

/// An account as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAccount {
    /// What the shards know.
    pub account: Account,
    /// Where its owner is reached.
    pub email: Option<String>,
    /// Who declared it.
    pub source: Source,
    /// Unix seconds at which it was made.
    pub created_at: u64,
}

/// Who declared an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A command or the API.
    Store,
    /// The configuration file, which alone may change it.
    File,
}

impl Source {
    fn word(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::File => "file",
        }
    }
}

impl Store {
    /// Makes an account at `now` (Unix seconds).
    ///
    /// # Errors
    /// If the account exists, its number is another's, or a field cannot be kept.
    pub async fn add_account(&self, new: NewAccount, now: u64) -> Result<ChangedAccount, StoreError> {
        let mut tx = self.begin().await?;
        let changed = insert(&mut tx, new, Source::Store, now).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// All accounts, by address.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn accounts(&self) -> Result<Vec<StoredAccount>, StoreError> {
        select_all(&mut *self.reader().await?).await
    }

    /// One account.
    ///
    /// # Errors
    /// If there is none, or the database cannot be read.
    pub async fn account(&self, address: &AddressOfRecord) -> Result<StoredAccount, StoreError> {
        select(&mut *self.reader().await?, address).await
    }

    /// Changes an account.
    ///
    /// # Errors
    /// If there is none, it is declared in a file, or a field cannot be kept.
    pub async fn set_account(
        &self,
        address: &AddressOfRecord,
        change: AccountChange,
    ) -> Result<ChangedAccount, StoreError> {
        let mut tx = self.begin().await?;
        let mut stored = select_own(&mut tx, address).await?;
        if let Some(name) = change.name {
            stored.account.name = name;
        }
        if let Some(email) = change.email {
            stored.email = email;
        }
        let mut generated = None;
        if let Some((realm, password)) = change.password {
            let (secrets, new) = secrets(password, address, &realm)?;
            stored.account.secrets = secrets;
            stored.account.realm = realm;
            generated = new;
        }
        update(&mut tx, &stored).await?;
        tx.commit().await?;
        let deltas = vec![Delta::Account(stored.account.clone())];
        Ok(ChangedAccount { account: stored.account, generated, deltas })
    }

    /// Removes an account with its bindings. Its numbers are free from then on.
    ///
    /// # Errors
    /// If there is none, or it is declared in a file.
    pub async fn remove_account(&self, address: &AddressOfRecord) -> Result<Vec<Delta>, StoreError> {
        let mut tx = self.begin().await?;
        select_own(&mut tx, address).await?;
        delete(&mut tx, address).await?;
        tx.commit().await?;
        Ok(vec![Delta::AccountRemoved(address.clone())])
    }

    /// Makes the accounts of a CSV text (`address,password,name,number,email`), all or none.
    ///
    /// # Errors
    /// The first mistake, with its line.
    pub async fn import_accounts(
        &self,
        text: &str,
        realm: &str,
        now: u64,
    ) -> Result<Vec<ChangedAccount>, StoreError> {
        let rows = csv::read_accounts(text, realm)?;
        let mut tx = self.begin().await?;
        let mut made = Vec::with_capacity(rows.len());
        for (line, new) in rows {
            made.push(insert(&mut tx, new, Source::Store, now).await.map_err(|error| error.at_line(line))?);
        }
        tx.commit().await?;
        Ok(made)
    }

    /// All accounts as CSV. Passwords are not known, so their column is empty.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn export_accounts(&self) -> Result<String, StoreError> {
        Ok(csv::write_accounts(&self.accounts().await?))
    }

    /// Makes the accounts of the configuration file what they are there: new ones are made, those that are no
    /// longer declared are removed. A password that is not declared is generated once and then kept.
    ///
    /// # Errors
    /// If a number is another's or a field cannot be kept; then nothing is changed.
    pub async fn declare_accounts(
        &self,
        declared: Vec<NewAccount>,
        now: u64,
    ) -> Result<Vec<ChangedAccount>, StoreError> {
        let mut tx = self.begin().await?;
        let mut changed = Vec::new();
        let kept: BTreeSet<_> = declared.iter().map(|new| new.address.clone()).collect();
        for stored in select_all(&mut tx).await? {
            let account = stored.account;
            if stored.source == Source::File && !kept.contains(&account.address) {
                delete(&mut tx, &account.address).await?;
                let deltas = vec![Delta::AccountRemoved(account.address.clone())];
                changed.push(ChangedAccount { account, generated: None, deltas });
            }
        }
        for new in declared {
            match select(&mut tx, &new.address).await {
                Ok(stored) => changed.extend(declare(&mut tx, stored, new).await?),
                Err(StoreError::NoAccount(_)) => changed.push(insert(&mut tx, new, Source::File, now).await?),
                Err(error) => return Err(error),
            }
        }
        tx.commit().await?;
        Ok(changed)
    }
}

pub(crate) async fn select_all(connection: &mut SqliteConnection) -> Result<Vec<StoredAccount>, StoreError> {
    select_where(connection, None).await
}

pub(crate) async fn select(
    connection: &mut SqliteConnection,
    address: &AddressOfRecord,
) -> Result<StoredAccount, StoreError> {
    let found = select_where(connection, Some(address)).await?.pop();
    found.ok_or_else(|| StoreError::NoAccount(address.clone()))
}

/// One account or all, by address. As one row, like [`binding::select_all`](crate::binding::select_all).
async fn select_where(
    connection: &mut SqliteConnection,
    address: Option<&AddressOfRecord>,
) -> Result<Vec<StoredAccount>, StoreError> {
    let json: String = sqlx::query_scalar(
        "SELECT json_group_array(json_array(address, name, realm, ha1_md5, ha1_sha256, email, source, \
         (SELECT number FROM number WHERE account = address ORDER BY position LIMIT 1), created_at) \
         ORDER BY address) FROM account WHERE address = ?1 OR ?1 IS NULL",
    )
    .bind(address.map(AddressOfRecord::as_str))
    .fetch_one(connection)
    .await?;
    binding::table::<Vec<Row>>("account", &json)?.into_iter().map(Row::stored).collect()
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

async fn insert(
    tx: &mut Transaction<'_, Sqlite>,
    new: NewAccount,
    source: Source,
    now: u64,
) -> Result<ChangedAccount, StoreError> {
    let address = new.address;
    let (secrets, generated) = secrets(new.password, &address, &new.realm)?;
    let account =
        Account { address: address.clone(), name: new.name, number: None, realm: new.realm, secrets };
    let mut stored = StoredAccount { account, email: new.email, source, created_at: now };
    check(&stored)?;
    let inserted = sqlx::query(
        "INSERT INTO account (address, name, realm, ha1_md5, ha1_sha256, email, source, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(address.as_str())
    .bind(&stored.account.name)
    .bind(&stored.account.realm)
    .bind(stored.account.secrets.md5.as_hex())
    .bind(stored.account.secrets.sha256.as_hex())
    .bind(&stored.email)
    .bind(source.word())
    .bind(binding::integer(now))
    .execute(&mut **tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(StoreError::AccountExists(address));
    }
    let mut deltas = Vec::new();
    // Whoever was registered under this address before was someone else.
    let strangers = sqlx::query("DELETE FROM binding WHERE account = ?")
        .bind(address.as_str())
        .execute(&mut **tx)
        .await?;
    if strangers.rows_affected() > 0 {
        deltas.push(Delta::Bindings(address.clone(), Bindings::default()));
    }
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
async fn declare(
    tx: &mut Transaction<'_, Sqlite>,
    before: StoredAccount,
    new: NewAccount,
) -> Result<Option<ChangedAccount>, StoreError> {
    let mut after = before.clone();
    after.source = Source::File;
    after.account.name = new.name;
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

async fn update(tx: &mut Transaction<'_, Sqlite>, stored: &StoredAccount) -> Result<(), StoreError> {
    check(stored)?;
    sqlx::query(
        "UPDATE account SET name = ?, realm = ?, ha1_md5 = ?, ha1_sha256 = ?, email = ?, source = ? \
         WHERE address = ?",
    )
    .bind(&stored.account.name)
    .bind(&stored.account.realm)
    .bind(stored.account.secrets.md5.as_hex())
    .bind(stored.account.secrets.sha256.as_hex())
    .bind(&stored.email)
    .bind(stored.source.word())
    .bind(stored.account.address.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn delete(tx: &mut Transaction<'_, Sqlite>, address: &AddressOfRecord) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM binding WHERE account = ?").bind(address.as_str()).execute(&mut **tx).await?;
    sqlx::query("DELETE FROM account WHERE address = ?").bind(address.as_str()).execute(&mut **tx).await?;
    Ok(())
}

fn secrets(
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

/// The columns in the order of [`select_where`].
#[derive(Deserialize)]
struct Row {
    address: String,
    name: Option<String>,
    realm: String,
    ha1_md5: String,
    ha1_sha256: String,
    email: Option<String>,
    source: String,
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
        let account = Account { address, name: self.name, number: self.number, realm: self.realm, secrets };
        let source = if self.source == Source::File.word() { Source::File } else { Source::Store };
        let created_at = u64::try_from(self.created_at).unwrap_or(0);
        Ok(StoredAccount { account, email: self.email, source, created_at })
    }
}

/// An address as it was stored, which was checked before and is not checked again.
pub(crate) fn parse_stored(text: &str) -> Option<AddressOfRecord> {
    text.rsplit_once('@').map(|(user, host)| AddressOfRecord::new(user, host))
}
