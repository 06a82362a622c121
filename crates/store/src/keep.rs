//! What services of the exchange keep in the database: log-ins of agents, wake-up calls, call backs, and changes by feature code.

use offhook_exchange::directory::{AddressOfRecord, AgentState, Delta};
use offhook_exchange::keep::Keep;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::{Store, StoreError, account};

impl Store {
    /// Keeps something, and returns what has changed.
    ///
    /// # Errors
    /// If there is no such account, or it cannot be kept; then nothing is changed.
    pub async fn keep(&self, keep: Keep) -> Result<Delta, StoreError> {
        match keep {
            Keep::Answering(address, change) => {
                let changed = self.set_answering(&address, |answering| change.apply(answering)).await;
                changed.map(|(_, delta)| delta)
            }
            Keep::Ban(ban) => self.ban(ban).await,
            Keep::Agent(queue, address, state) => {
                let mut tx = self.begin().await?;
                account::select(&mut tx, &address).await?;
                let query =
                    sqlx::query("INSERT OR REPLACE INTO agent (queue, account, state) VALUES (?, ?, ?)");
                query.bind(&queue).bind(address.as_str()).bind(word(state)).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(Delta::Agent(queue, address, state))
            }
            Keep::WakeUp(address, at) => {
                let mut tx = self.begin().await?;
                account::select(&mut tx, &address).await?;
                let query = match at {
                    Some(_) => sqlx::query("INSERT OR REPLACE INTO wake_up (account, at) VALUES (?, ?)"),
                    None => sqlx::query("DELETE FROM wake_up WHERE account = ?"),
                };
                let query = query.bind(address.as_str());
                let query = match at {
                    Some(at) => query.bind(i64::try_from(at).unwrap_or(i64::MAX)),
                    None => query,
                };
                query.execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(Delta::WakeUp(address, at))
            }
            Keep::CallBack(caller, callee, None) => {
                let mut tx = self.begin().await?;
                let query = sqlx::query("DELETE FROM call_back WHERE caller = ? AND callee = ?");
                query.bind(caller.as_str()).bind(callee.as_str()).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(Delta::CallBack(caller, callee, None))
            }
            Keep::CallBack(caller, callee, Some(until)) => {
                let mut tx = self.begin().await?;
                account::select(&mut tx, &caller).await?;
                account::select(&mut tx, &callee).await?;
                let query =
                    sqlx::query("INSERT OR REPLACE INTO call_back (caller, callee, until) VALUES (?, ?, ?)");
                let query = query.bind(caller.as_str()).bind(callee.as_str());
                query.bind(i64::try_from(until).unwrap_or(i64::MAX)).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(Delta::CallBack(caller, callee, Some(until)))
            }
        }
    }
}

/// All that is kept.
pub(crate) async fn select_all(connection: &mut SqliteConnection) -> Result<Vec<Delta>, StoreError> {
    let agents = sqlx::query("SELECT queue, account, state FROM agent ORDER BY queue, account");
    let agents = agents.fetch_all(&mut *connection).await?;
    let wake_ups =
        sqlx::query("SELECT account, at FROM wake_up ORDER BY account").fetch_all(&mut *connection).await?;
    let call_backs = sqlx::query("SELECT caller, callee, until FROM call_back ORDER BY caller, callee");
    let call_backs = call_backs.fetch_all(connection).await?;
    let agent = |row: &SqliteRow| {
        let address = address(row, "account", "agent")?;
        let state = state(row.try_get("state")?)
            .ok_or_else(|| StoreError::Damaged { table: "agent", key: address.to_string() })?;
        Ok(Delta::Agent(row.try_get("queue")?, address, state))
    };
    let wake_up = |row: &SqliteRow| {
        let at: i64 = row.try_get("at")?;
        Ok(Delta::WakeUp(address(row, "account", "wake_up")?, Some(u64::try_from(at).unwrap_or(0))))
    };
    let call_back = |row: &SqliteRow| {
        let [caller, callee] = ["caller", "callee"].map(|column| address(row, column, "call_back"));
        let until: i64 = row.try_get("until")?;
        Ok(Delta::CallBack(caller?, callee?, Some(u64::try_from(until).unwrap_or(0))))
    };
    let kept = agents.iter().map(agent).chain(wake_ups.iter().map(wake_up));
    kept.chain(call_backs.iter().map(call_back)).collect()
}

fn address(row: &SqliteRow, column: &str, table: &'static str) -> Result<AddressOfRecord, StoreError> {
    let text: String = row.try_get(column)?;
    account::parse_stored(&text).ok_or(StoreError::Damaged { table, key: text })
}

fn word(state: AgentState) -> &'static str {
    match state {
        AgentState::LoggedOut => "out",
        AgentState::LoggedIn => "in",
        AgentState::Paused => "paused",
    }
}

fn state(word: &str) -> Option<AgentState> {
    let all = [AgentState::LoggedOut, AgentState::LoggedIn, AgentState::Paused];
    all.into_iter().find(|one| self::word(*one) == word)
}
