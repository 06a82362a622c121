//! What accounts may do beside calling, in the database.

use offhook_exchange::directory::{AddressOfRecord, Delta, Record, Rights};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::{Store, StoreError, account};

impl Store {
    /// What an account may do beside calling.
    ///
    /// # Errors
    /// If there is no such account, or the database cannot be read.
    pub async fn rights(&self, address: &AddressOfRecord) -> Result<Rights, StoreError> {
        let mut reader = self.reader().await?;
        account::select(&mut reader, address).await?;
        Ok(select(&mut reader, address).await?.unwrap_or_default())
    }

    /// Changes what an account may do beside calling, and returns what it may from then on.
    ///
    /// # Errors
    /// If there is no such account, or it would supervise too many; then nothing is changed.
    pub async fn set_rights(
        &self,
        address: &AddressOfRecord,
        change: impl FnOnce(&mut Rights) + Send,
    ) -> Result<(Rights, Delta), StoreError> {
        let mut tx = self.begin().await?;
        account::select(&mut tx, address).await?;
        let mut rights = select(&mut tx, address).await?.unwrap_or_default();
        change(&mut rights);
        let odd = |one: &&String| {
            one.is_empty() || one.len() > 255 || one.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if let Some(odd) = rights.supervises.iter().find(odd) {
            return Err(StoreError::BadDestination(odd.clone()));
        }
        if rights.supervises.len() > MOST_SUPERVISED {
            return Err(StoreError::TooManySupervised(MOST_SUPERVISED));
        }
        sqlx::query("DELETE FROM rights WHERE account = ?").bind(address.as_str()).execute(&mut *tx).await?;
        if !rights.is_usual() {
            sqlx::query("INSERT INTO rights VALUES (?, ?, ?, ?)")
                .bind(address.as_str())
                .bind(rights.record.word())
                .bind(serde_json::to_string(&rights.supervises).unwrap_or_else(|_| "[]".into()))
                .bind(rights.intercom)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok((rights.clone(), Delta::Rights(address.clone(), rights)))
    }
}

/// Of all accounts that have any.
pub(crate) async fn select_all(connection: &mut SqliteConnection) -> Result<Vec<Delta>, StoreError> {
    let rows = sqlx::query("SELECT * FROM rights ORDER BY account").fetch_all(connection).await?;
    let read = |row: &SqliteRow| {
        let address: String = row.try_get("account")?;
        let address =
            account::parse_stored(&address).ok_or(StoreError::Damaged { table: "rights", key: address })?;
        let rights = read(row, &address)?;
        Ok(Delta::Rights(address, rights))
    };
    rows.iter().map(read).collect()
}

async fn select(
    connection: &mut SqliteConnection,
    address: &AddressOfRecord,
) -> Result<Option<Rights>, StoreError> {
    let row = sqlx::query("SELECT * FROM rights WHERE account = ?").bind(address.as_str());
    row.fetch_optional(connection).await?.map(|row| read(&row, address)).transpose()
}

fn read(row: &SqliteRow, address: &AddressOfRecord) -> Result<Rights, StoreError> {
    let damaged = || StoreError::Damaged { table: "rights", key: address.to_string() };
    let (record, supervises): (String, String) = (row.try_get("record")?, row.try_get("supervises")?);
    Ok(Rights {
        record: Record::parse(&record).ok_or_else(damaged)?,
        supervises: serde_json::from_str(&supervises).map_err(|_| damaged())?,
        intercom: row.try_get("intercom")?,
    })
}

const MOST_SUPERVISED: usize = 1000;
