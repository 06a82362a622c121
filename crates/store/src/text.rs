//! Text messages: those that wait for a phone, and the history of the others.

use offhook_exchange::directory::{AddressOfRecord, Delta};
use offhook_exchange::message::{KeptText, Text, TextAnswer, TextRequest, TextState};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, Sqlite, Transaction};

use crate::account::parse_stored;
use crate::columns::integer;
use crate::{Store, StoreError};

/// What may wait for one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextLimits {
    /// Messages.
    pub messages: u64,
    /// Octets of all their bodies.
    pub octets: u64,
}

/// A message as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredText {
    /// The message and its number.
    pub kept: KeptText,
    /// What has become of it.
    pub state: TextState,
    /// Unix seconds at which that happened; `None` while it waits.
    pub settled_at: Option<u64>,
}

impl Store {
    /// Does what shards ask, in order and all of it at once: an answer for each request.
    ///
    /// # Errors
    /// If the database cannot be written. Then nothing of it is done.
    pub async fn texts(
        &self,
        requests: Vec<TextRequest>,
        limits: TextLimits,
        now: u64,
    ) -> Result<Vec<TextAnswer>, StoreError> {
        let mut tx = self.begin().await?;
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(answer(&mut tx, request, limits, now).await?);
        }
        tx.commit().await?;
        Ok(answers)
    }

    /// The newest messages to and from an account, newest first, at most so many.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list_texts(
        &self,
        account: &AddressOfRecord,
        most: u32,
    ) -> Result<Vec<StoredText>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, account, sender, from_address, content_type, headers, body, state, sent_at, expires_at, settled_at \
             FROM text WHERE account = ?1 OR sender = ?1 ORDER BY id DESC LIMIT ?2",
        )
        .bind(account.as_str())
        .bind(most)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.iter().map(stored).collect()
    }

    /// Marks what has expired at `now`, and forgets what was settled before `before` (Unix seconds).
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn tidy_texts(&self, now: u64, before: u64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE text SET state = 'expired', settled_at = ?1 WHERE state = 'kept' AND expires_at <= ?1",
        )
        .bind(integer(now))
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM text WHERE settled_at < ?").bind(integer(before)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Accounts for which messages wait at `now` (Unix seconds).
pub(crate) async fn waiting(connection: &mut SqliteConnection, now: u64) -> Result<Vec<Delta>, StoreError> {
    let accounts: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT account FROM text WHERE state = 'kept' AND expires_at > ?")
            .bind(integer(now))
            .fetch_all(connection)
            .await?;
    let known = accounts.iter().filter_map(|account| parse_stored(account));
    Ok(known.map(|account| Delta::Texts(account, true)).collect())
}

async fn answer(
    tx: &mut Transaction<'_, Sqlite>,
    request: TextRequest,
    limits: TextLimits,
    now: u64,
) -> Result<TextAnswer, StoreError> {
    match request {
        TextRequest::Keep(text) => {
            if is_full(tx, &text, limits, now).await? {
                return Ok(TextAnswer::Full);
            }
            let kept = insert(tx, &text, TextState::Kept, None).await?;
            Ok(if kept { TextAnswer::Kept } else { TextAnswer::Failed })
        }
        TextRequest::Note(text) => {
            insert(tx, &text, TextState::Delivered, Some(now)).await?;
            Ok(TextAnswer::Kept)
        }
        TextRequest::Next(account, after) => {
            let row = sqlx::query(
                "SELECT id, account, sender, from_address, content_type, headers, body, state, sent_at, expires_at, \
                 settled_at FROM text WHERE account = ? AND state = 'kept' AND id > ? ORDER BY id LIMIT 1",
            )
            .bind(account.as_str())
            .bind(after)
            .fetch_optional(&mut **tx)
            .await?;
            let next = row.as_ref().map(stored).transpose()?;
            Ok(TextAnswer::Next(next.map(|stored| Box::new(stored.kept))))
        }
        TextRequest::Settle(id, state) => {
            sqlx::query("UPDATE text SET state = ?, settled_at = ? WHERE id = ? AND state = 'kept'")
                .bind(state.word())
                .bind(integer(now))
                .bind(id)
                .execute(&mut **tx)
                .await?;
            Ok(TextAnswer::Kept)
        }
    }
}

async fn is_full(
    tx: &mut Transaction<'_, Sqlite>,
    text: &Text,
    limits: TextLimits,
    now: u64,
) -> Result<bool, StoreError> {
    let (messages, octets): (i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(length(body)), 0) FROM text WHERE account = ? AND state = 'kept' AND expires_at > ?",
    )
    .bind(text.account.as_str())
    .bind(integer(now))
    .fetch_one(&mut **tx)
    .await?;
    let after = octets.saturating_add(integer(text.body.len() as u64));
    Ok(messages >= integer(limits.messages) || after > integer(limits.octets))
}

/// False if there is no such account any more.
async fn insert(
    tx: &mut Transaction<'_, Sqlite>,
    text: &Text,
    state: TextState,
    settled_at: Option<u64>,
) -> Result<bool, StoreError> {
    let headers = serde_json::to_string(&text.headers).unwrap_or_else(|_| "[]".to_owned());
    let done = sqlx::query(
        "INSERT INTO text (account, sender, from_address, content_type, headers, body, state, sent_at, expires_at, \
         settled_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 WHERE EXISTS (SELECT 1 FROM account WHERE address = ?1)",
    )
    .bind(text.account.as_str())
    .bind(text.sender.as_ref().map(AddressOfRecord::as_str))
    .bind(&text.from)
    .bind(&text.content_type)
    .bind(headers)
    .bind(text.body.as_ref())
    .bind(state.word())
    .bind(integer(text.sent_at))
    .bind(integer(text.expires_at))
    .bind(settled_at.map(integer))
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

fn stored(row: &SqliteRow) -> Result<StoredText, StoreError> {
    let id: i64 = row.try_get("id")?;
    let damaged = || StoreError::Damaged { table: "text", key: id.to_string() };
    let moment = |value: i64| u64::try_from(value).map_err(|_| damaged());
    let state: &str = row.try_get("state")?;
    let all = [TextState::Kept, TextState::Delivered, TextState::Expired];
    let sender: Option<&str> = row.try_get("sender")?;
    let settled_at: Option<i64> = row.try_get("settled_at")?;
    let body: Vec<u8> = row.try_get("body")?;
    let text = Text {
        account: parse_stored(row.try_get("account")?).ok_or_else(damaged)?,
        from: row.try_get("from_address")?,
        sender: sender.and_then(parse_stored),
        content_type: row.try_get("content_type")?,
        headers: serde_json::from_str(row.try_get("headers")?).map_err(|_| damaged())?,
        body: body.into(),
        sent_at: moment(row.try_get("sent_at")?)?,
        expires_at: moment(row.try_get("expires_at")?)?,
    };
    Ok(StoredText {
        kept: KeptText { id, text },
        state: all.into_iter().find(|one| one.word() == state).ok_or_else(damaged)?,
        settled_at: settled_at.map(moment).transpose()?,
    })
}
