//! Bindings in the database.

use std::collections::BTreeMap;

use offhook_exchange::directory::{AddressOfRecord, Binding, Bindings};
use offhook_sip_stack::{Flow, Transport};
use serde::Deserialize;
use sqlx::sqlite::SqliteConnection;

use crate::StoreError;
use crate::account::parse_stored;

/// All bindings that are not over at `now` (Unix seconds).
pub(crate) async fn select_all(
    connection: &mut SqliteConnection,
    now: u64,
) -> Result<BTreeMap<AddressOfRecord, Bindings>, StoreError> {
    // One row with everything: each row costs a hand-over between threads, and callers wait for this after a crash.
    let json: String = sqlx::query_scalar(
        "SELECT json_group_array(json_array(account, contact, q, expires_at, transport, local, remote, behind_nat, \
         path, call_id, cseq, instance, reg_id, user_agent) ORDER BY account, position) \
         FROM binding WHERE expires_at > ?",
    )
    .bind(integer(now))
    .fetch_one(connection)
    .await?;
    let rows: Vec<Row> = table("binding", &json)?;
    let mut all = BTreeMap::<AddressOfRecord, Bindings>::new();
    for row in rows {
        // A phone registers again by itself, so one that cannot be read is no reason not to start.
        let Some(account) = parse_stored(&row.account) else {
            tracing::error!(row.account, "a binding is damaged");
            continue;
        };
        match row.binding() {
            Some(binding) => all.entry(account).or_default().0.push(binding),
            None => tracing::error!(%account, "a binding is damaged"),
        }
    }
    Ok(all)
}

/// Reads what `json_group_array` made of a table.
pub(crate) fn table<'a, T: Deserialize<'a>>(table: &'static str, json: &'a str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Damaged { table, key: "*".into() })
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

/// The columns in the order of [`select_all`].
#[derive(Deserialize)]
struct Row {
    account: String,
    contact: String,
    q: i64,
    expires_at: i64,
    transport: String,
    local: String,
    remote: String,
    behind_nat: i64,
    path: String,
    call_id: String,
    cseq: i64,
    instance: Option<String>,
    reg_id: Option<i64>,
    user_agent: String,
}

impl Row {
    fn binding(self) -> Option<Binding> {
        let flow = Flow {
            transport: Transport::from_name(&self.transport)?,
            local: self.local.parse().ok()?,
            remote: self.remote.parse().ok()?,
            // A connection ends with the process that had it.
            connection: None,
        };
        Some(Binding {
            contact: self.contact,
            q: self.q.try_into().ok()?,
            expires_at: self.expires_at.try_into().ok()?,
            flow,
            behind_nat: self.behind_nat != 0,
            path: self.path.lines().map(str::to_owned).collect(),
            call_id: self.call_id,
            cseq: self.cseq.try_into().ok()?,
            instance: self.instance,
            reg_id: self.reg_id.map(u32::try_from).transpose().ok()?,
            user_agent: self.user_agent,
        })
    }
}

/// SQLite has no unsigned numbers.
pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
