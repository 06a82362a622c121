//! Bindings in the database.

use std::collections::BTreeMap;

use offhook_exchange::directory::{AddressOfRecord, Binding, Bindings};
use offhook_sip_stack::{Flow, Transport};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::StoreError;
use crate::account::parse_stored;

/// All bindings that are not over at `now` (Unix seconds).
pub(crate) async fn select_all(
    connection: &mut SqliteConnection,
    now: u64,
) -> Result<BTreeMap<AddressOfRecord, Bindings>, StoreError> {
    let rows = sqlx::query(
        "SELECT account, contact, q, expires_at, transport, local, remote, behind_nat, path, call_id, cseq, \
         instance, reg_id, user_agent FROM binding WHERE expires_at > ? ORDER BY account, position",
    )
    .bind(integer(now))
    .fetch_all(connection)
    .await?;
    let mut all = BTreeMap::<AddressOfRecord, Bindings>::new();
    for row in &rows {
        match read(row) {
            Some((account, binding)) => all.entry(account).or_default().0.push(binding),
            // A phone registers again by itself, so one that cannot be read is no reason not to start.
            None => {
                tracing::error!(account = row.try_get::<&str, _>(0).unwrap_or(""), "a binding is damaged")
            }
        }
    }
    Ok(all)
}

/// Makes these the bindings of an account.
pub(crate) async fn replace(
    connection: &mut SqliteConnection,
    account: &AddressOfRecord,
    bindings: &Bindings,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM binding WHERE account = ?")
        .bind(account.as_str())
        .execute(&mut *connection)
        .await?;
    for (position, one) in (0_i64..).zip(&bindings.0) {
        sqlx::query(
            "INSERT INTO binding (account, position, contact, q, expires_at, transport, local, remote, \
             behind_nat, path, call_id, cseq, instance, reg_id, user_agent) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(account.as_str())
        .bind(position)
        .bind(&one.contact)
        .bind(i64::from(one.q))
        .bind(integer(one.expires_at))
        .bind(one.flow.transport.uri_name())
        .bind(one.flow.local.to_string())
        .bind(one.flow.remote.to_string())
        .bind(one.behind_nat)
        .bind(one.path.join("\n"))
        .bind(&one.call_id)
        .bind(i64::from(one.cseq))
        .bind(&one.instance)
        .bind(one.reg_id.map(i64::from))
        .bind(&one.user_agent)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Forgets what is over at `now` (Unix seconds).
pub(crate) async fn delete_expired(connection: &mut SqliteConnection, now: u64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM binding WHERE expires_at <= ?").bind(integer(now)).execute(connection).await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Option<(AddressOfRecord, Binding)> {
    let text = |index: usize| row.try_get::<&str, _>(index).ok();
    let number = |index: usize| row.try_get::<i64, _>(index).ok();
    let flow = Flow {
        transport: Transport::from_name(text(4)?)?,
        local: text(5)?.parse().ok()?,
        remote: text(6)?.parse().ok()?,
        // A connection ends with the process that had it.
        connection: None,
    };
    let reg_id: Option<i64> = row.try_get(12).ok()?;
    let binding = Binding {
        contact: text(1)?.into(),
        q: number(2)?.try_into().ok()?,
        expires_at: number(3)?.try_into().ok()?,
        flow,
        behind_nat: row.try_get(7).ok()?,
        path: text(8)?.lines().map(str::to_owned).collect(),
        call_id: text(9)?.into(),
        cseq: number(10)?.try_into().ok()?,
        instance: row.try_get(11).ok()?,
        reg_id: reg_id.map(u32::try_from).transpose().ok()?,
        user_agent: text(13)?.into(),
    };
    Some((parse_stored(text(0)?)?, binding))
}

/// SQLite has no unsigned numbers.
pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
