//! How accounts want their calls answered, in the database.

use offhook_exchange::directory::{AddressOfRecord, Answering, Delta, Forward};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, Sqlite, Transaction};

use crate::{Store, StoreError, account};

impl Store {
    /// How an account wants its calls answered.
    ///
    /// # Errors
    /// If there is no such account, or the database cannot be read.
    pub async fn answering(&self, address: &AddressOfRecord) -> Result<Answering, StoreError> {
        let mut reader = self.reader().await?;
        account::select(&mut reader, address).await?;
        Ok(select(&mut reader, address).await?.unwrap_or_default())
    }

    /// Changes how an account wants its calls answered, and returns how it does from then on.
    ///
    /// # Errors
    /// If there is no such account, or a field cannot be kept; then nothing is changed.
    pub async fn set_answering(
        &self,
        address: &AddressOfRecord,
        change: impl FnOnce(&mut Answering) + Send,
    ) -> Result<(Answering, Delta), StoreError> {
        let mut tx = self.begin().await?;
        account::select(&mut tx, address).await?;
        let mut answering = select(&mut tx, address).await?.unwrap_or_default();
        change(&mut answering);
        check(&answering)?;
        put(&mut tx, address, &answering).await?;
        tx.commit().await?;
        Ok((answering.clone(), Delta::Answering(address.clone(), answering)))
    }
}

/// All that is not as usual.
pub(crate) async fn select_all(connection: &mut SqliteConnection) -> Result<Vec<Delta>, StoreError> {
    let rows = sqlx::query("SELECT * FROM answering ORDER BY account").fetch_all(connection).await?;
    let read = |row: &SqliteRow| {
        let address: String = row.try_get("account")?;
        let address = account::parse_stored(&address)
            .ok_or(StoreError::Damaged { table: "answering", key: address })?;
        let answering = read(row, &address)?;
        Ok(Delta::Answering(address, answering))
    };
    rows.iter().map(read).collect()
}

async fn select(
    connection: &mut SqliteConnection,
    address: &AddressOfRecord,
) -> Result<Option<Answering>, StoreError> {
    let row = sqlx::query("SELECT * FROM answering WHERE account = ?").bind(address.as_str());
    row.fetch_optional(connection).await?.map(|row| read(&row, address)).transpose()
}

fn read(row: &SqliteRow, address: &AddressOfRecord) -> Result<Answering, StoreError> {
    let blocked: String = row.try_get("blocked")?;
    let blocked = serde_json::from_str(&blocked)
        .map_err(|_| StoreError::Damaged { table: "answering", key: address.to_string() })?;
    Ok(Answering {
        forward: Forward {
            always: row.try_get("always")?,
            busy: row.try_get("busy")?,
            no_answer: row.try_get("no_answer")?,
            unreachable: row.try_get("unreachable")?,
        },
        ring_seconds: row.try_get::<Option<i64>, _>("ring_seconds")?.and_then(|one| one.try_into().ok()),
        do_not_disturb: row.try_get("do_not_disturb")?,
        reject_anonymous: row.try_get("reject_anonymous")?,
        blocked,
        pickup_group: row.try_get("pickup_group")?,
    })
}

async fn put(
    tx: &mut Transaction<'_, Sqlite>,
    address: &AddressOfRecord,
    answering: &Answering,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM answering WHERE account = ?").bind(address.as_str()).execute(&mut **tx).await?;
    if answering.is_usual() {
        return Ok(());
    }
    let forward = &answering.forward;
    sqlx::query("INSERT INTO answering VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(address.as_str())
        .bind(&forward.always)
        .bind(&forward.busy)
        .bind(&forward.no_answer)
        .bind(&forward.unreachable)
        .bind(answering.ring_seconds.map(i64::from))
        .bind(answering.do_not_disturb)
        .bind(answering.reject_anonymous)
        .bind(serde_json::to_string(&answering.blocked).unwrap_or_else(|_| "[]".into()))
        .bind(&answering.pickup_group)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Refuses what could not be used, or would be too much.
fn check(answering: &Answering) -> Result<(), StoreError> {
    let Forward { always, busy, no_answer, unreachable } = &answering.forward;
    let all = [always, busy, no_answer, unreachable];
    for target in all.into_iter().flatten().chain(&answering.blocked) {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c);
        if target.is_empty() || target.len() > 255 || target.contains(odd) {
            return Err(StoreError::BadDestination(target.clone()));
        }
    }
    let odd = |c: char| !(c.is_alphanumeric() || "-_.".contains(c));
    if let Some(group) = &answering.pickup_group
        && (group.is_empty() || group.len() > 64 || group.contains(odd))
    {
        return Err(StoreError::BadGroup(group.clone()));
    }
    if answering.blocked.len() > MOST_BLOCKED {
        return Err(StoreError::TooManyBlocked(MOST_BLOCKED));
    }
    match answering.ring_seconds {
        Some(seconds) if !(1..=MOST_RING_SECONDS).contains(&seconds) => {
            Err(StoreError::BadRingSeconds(MOST_RING_SECONDS))
        }
        _ => Ok(()),
    }
}

/// Phones ring no longer in any case (Timer C, RFC 3261 §16.6).
const MOST_RING_SECONDS: u16 = 180;
const MOST_BLOCKED: usize = 200;
