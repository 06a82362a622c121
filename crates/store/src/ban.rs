//! Bans, in the database.

use std::net::IpAddr;

use offhook_exchange::bans::Ban;
use offhook_exchange::directory::Delta;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::{Store, StoreError};

impl Store {
    /// The bans that hold at this Unix time in seconds, by address.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn bans(&self, unix: u64) -> Result<Vec<Ban>, StoreError> {
        let mut reader = self.reader().await?;
        Ok(select(&mut reader).await?.into_iter().filter(|ban| ban.holds(unix)).collect())
    }

    /// Ends a ban; `None`: there is none.
    ///
    /// # Errors
    /// If the database cannot be changed.
    pub async fn lift_ban(&self, address: IpAddr) -> Result<Option<Delta>, StoreError> {
        let mut tx = self.begin().await?;
        let query = sqlx::query("DELETE FROM ban WHERE address = ?").bind(address.to_string());
        let lifted = query.execute(&mut *tx).await?.rows_affected() > 0;
        tx.commit().await?;
        Ok(lifted.then_some(Delta::BanLifted(address)))
    }

    /// Keeps a ban, in place of one of the same address, and forgets those that are over.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub async fn ban(&self, ban: Ban) -> Result<Delta, StoreError> {
        let mut tx = self.begin().await?;
        let whole = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
        let over = sqlx::query("DELETE FROM ban WHERE until <= ?").bind(whole(ban.since));
        over.execute(&mut *tx).await?;
        sqlx::query("INSERT OR REPLACE INTO ban (address, since, until, reason) VALUES (?, ?, ?, ?)")
            .bind(ban.address.to_string())
            .bind(whole(ban.since))
            .bind(ban.until.map(whole))
            .bind(&ban.reason)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Delta::Banned(ban))
    }
}

/// All that are kept.
pub(crate) async fn select_all(connection: &mut SqliteConnection) -> Result<Vec<Delta>, StoreError> {
    Ok(select(connection).await?.into_iter().map(Delta::Banned).collect())
}

async fn select(connection: &mut SqliteConnection) -> Result<Vec<Ban>, StoreError> {
    let rows = sqlx::query("SELECT address, since, until, reason FROM ban ORDER BY address");
    rows.fetch_all(connection).await?.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<Ban, StoreError> {
    let (text, since, until): (String, i64, Option<i64>) =
        (row.try_get("address")?, row.try_get("since")?, row.try_get("until")?);
    let address = text.parse().map_err(|_| StoreError::Damaged { table: "ban", key: text })?;
    let whole = |time: i64| u64::try_from(time).unwrap_or(0);
    Ok(Ban { address, since: whole(since), until: until.map(whole), reason: row.try_get("reason")? })
}
