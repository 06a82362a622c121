//! What accounts may do, in the database.

use offhook_exchange::directory::{AddressOfRecord, Delta};
use offhook_exchange::spending::{Limits, Money};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, Sqlite, Transaction};

use crate::{Store, StoreError, account};

impl Store {
    /// What an account may do, where that is not as the configuration says.
    ///
    /// # Errors
    /// If there is no such account, or the database cannot be read.
    pub async fn limits(&self, address: &AddressOfRecord) -> Result<Limits, StoreError> {
        let mut reader = self.reader().await?;
        account::select(&mut reader, address).await?;
        select(&mut reader, address).await
    }

    /// Changes what an account may do, and returns what it may from then on.
    ///
    /// # Errors
    /// If there is no such account, it is declared in a file, or a number makes no sense; then nothing is changed.
    pub async fn set_limits(
        &self,
        address: &AddressOfRecord,
        change: impl FnOnce(&mut Limits) + Send,
    ) -> Result<(Limits, Delta), StoreError> {
        let mut tx = self.begin().await?;
        account::select_own(&mut tx, address).await?;
        let mut limits = select(&mut tx, address).await?;
        change(&mut limits);
        if limits.calls.is_some_and(|calls| !(1..=MOST_CALLS).contains(&calls)) {
            return Err(StoreError::BadCalls(MOST_CALLS));
        }
        put(&mut tx, address, limits).await?;
        tx.commit().await?;
        Ok((limits, Delta::Limits(address.clone(), limits)))
    }

    /// Makes what the accounts of the configuration file may do what it is there.
    ///
    /// # Errors
    /// If the database cannot be written; then nothing is changed.
    pub async fn declare_limits(&self, declared: Vec<(AddressOfRecord, Limits)>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for (address, limits) in declared {
            if select(&mut tx, &address).await? != limits {
                put(&mut tx, &address, limits).await?;
            }
        }
        Ok(tx.commit().await?)
    }
}

/// All that is not as usual.
pub(crate) async fn select_all(connection: &mut SqliteConnection) -> Result<Vec<Delta>, StoreError> {
    let rows = sqlx::query("SELECT * FROM account_limit ORDER BY account").fetch_all(connection).await?;
    let read = |row: &SqliteRow| {
        let address: String = row.try_get("account")?;
        let address = account::parse_stored(&address)
            .ok_or(StoreError::Damaged { table: "account_limit", key: address })?;
        Ok(Delta::Limits(address, read(row)?))
    };
    rows.iter().map(read).collect()
}

async fn select(connection: &mut SqliteConnection, address: &AddressOfRecord) -> Result<Limits, StoreError> {
    let row = sqlx::query("SELECT * FROM account_limit WHERE account = ?").bind(address.as_str());
    Ok(row.fetch_optional(connection).await?.map(|row| read(&row)).transpose()?.unwrap_or_default())
}

fn read(row: &SqliteRow) -> Result<Limits, StoreError> {
    let count = |column| -> Result<Option<u64>, StoreError> {
        Ok(row.try_get::<Option<i64>, _>(column)?.and_then(|one| one.try_into().ok()))
    };
    Ok(Limits {
        calls: count("calls")?.map(|calls| u32::try_from(calls).unwrap_or(u32::MAX)),
        minutes_per_day: count("minutes_per_day")?.map(|minutes| u32::try_from(minutes).unwrap_or(u32::MAX)),
        money_per_day: count("money_per_day")?.map(Money),
    })
}

async fn put(
    tx: &mut Transaction<'_, Sqlite>,
    address: &AddressOfRecord,
    limits: Limits,
) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM account_limit WHERE account = ?").bind(address.as_str());
    delete.execute(&mut **tx).await?;
    if limits.is_usual() {
        return Ok(());
    }
    sqlx::query("INSERT INTO account_limit VALUES (?, ?, ?, ?)")
        .bind(address.as_str())
        .bind(limits.calls.map(i64::from))
        .bind(limits.minutes_per_day.map(i64::from))
        .bind(limits.money_per_day.map(|money| i64::try_from(money.0).unwrap_or(i64::MAX)))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

const MOST_CALLS: u32 = 10_000;
