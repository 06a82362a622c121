//! Accounts in the database.

mod table;

use std::collections::BTreeSet;

use offhook_exchange::directory::{Account, AddressOfRecord, Delta};
use offhook_exchange::speech::Language;

use crate::{Password, Store, StoreError, csv};
use table::{declare, delete, insert, secrets, update};
pub(crate) use table::{parse_stored, select, select_all, select_own};

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
    /// How it is spoken and written to; `None`: as the exchange does to all.
    pub language: Option<Language>,
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
    /// A new language, or that of the exchange from now on.
    pub language: Option<Option<Language>>,
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
        self.forget_bindings(vec![changed.account.address.clone()]).await?;
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
        if let Some(language) = change.language {
            stored.account.language = language;
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
        self.forget_bindings(vec![address.clone()]).await?;
        tx.commit().await?;
        Ok(vec![Delta::AccountRemoved(address.clone())])
    }

    /// Makes the accounts of a CSV text (`address,password,name,number,email,language`), all or none.
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
        self.forget_bindings(made.iter().map(|one: &ChangedAccount| one.account.address.clone()).collect())
            .await?;
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
        let (mut changed, mut strangers) = (Vec::new(), Vec::new());
        let kept: BTreeSet<_> = declared.iter().map(|new| new.address.clone()).collect();
        for stored in select_all(&mut tx).await? {
            let account = stored.account;
            if stored.source == Source::File && !kept.contains(&account.address) {
                delete(&mut tx, &account.address).await?;
                strangers.push(account.address.clone());
                let deltas = vec![Delta::AccountRemoved(account.address.clone())];
                changed.push(ChangedAccount { account, generated: None, deltas });
            }
        }
        for new in declared {
            match select(&mut tx, &new.address).await {
                Ok(stored) => changed.extend(declare(&mut tx, stored, new).await?),
                Err(StoreError::NoAccount(address)) => {
                    strangers.push(address);
                    changed.push(insert(&mut tx, new, Source::File, now).await?);
                }
                Err(error) => return Err(error),
            }
        }
        self.forget_bindings(strangers).await?;
        tx.commit().await?;
        Ok(changed)
    }
}
