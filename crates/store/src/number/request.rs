//! Accounts apply for numbers; an operator, or a rule, decides.

use offhook_exchange::directory::{AddressOfRecord, Delta};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, Sqlite, Transaction};

use super::{Taken, give, owner, parse_number};
use crate::{Store, StoreError, account, columns};

/// An application for a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberRequest {
    /// By which it is known.
    pub id: u64,
    /// Who wants it.
    pub account: AddressOfRecord,
    /// The number that is wanted, or was given; `None`: any.
    pub number: Option<String>,
    /// What has become of it.
    pub state: RequestState,
    /// Unix seconds at which it was made.
    pub requested_at: u64,
    /// Unix seconds at which it was decided.
    pub decided_at: Option<u64>,
}

/// What has become of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// Nobody has decided yet.
    Waiting,
    /// The account has the number.
    Approved,
    /// It does not get it, for this reason.
    Rejected(Option<String>),
}

/// Something that happened to a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberEvent {
    /// `added`, `assigned`, `released` or `removed`.
    pub event: String,
    /// The account that it was assigned to, or taken from.
    pub account: Option<AddressOfRecord>,
    /// Unix seconds.
    pub at: u64,
}

impl Store {
    /// Applies for a number of the pool, or for any, at `now` (Unix seconds). An account may have and want `quota` numbers
    /// together.
    ///
    /// # Errors
    /// If there is no such account or number, the number is another's or wanted by another, or the quota is used up.
    pub async fn request_number(
        &self,
        address: &AddressOfRecord,
        wanted: Option<&str>,
        quota: usize,
        now: u64,
    ) -> Result<NumberRequest, StoreError> {
        let wanted = wanted.map(parse_number).transpose()?;
        let mut tx = self.begin().await?;
        account::select_own(&mut tx, address).await?;
        let count = "SELECT (SELECT count(*) FROM number WHERE account = ?1)
                          + (SELECT count(*) FROM number_request WHERE account = ?1 AND state = 'waiting')";
        let has: i64 = sqlx::query_scalar(count).bind(address.as_str()).fetch_one(&mut *tx).await?;
        if usize::try_from(has).unwrap_or(usize::MAX) >= quota {
            return Err(StoreError::NumberQuota { account: address.clone(), most: quota });
        }
        if let Some(number) = &wanted {
            check_free(&mut tx, number).await?;
        }
        let insert =
            "INSERT INTO number_request (account, number, state, requested_at) VALUES (?, ?, 'waiting', ?)";
        let insert = sqlx::query(insert).bind(address.as_str()).bind(&wanted).bind(columns::integer(now));
        let id = insert.execute(&mut *tx).await?.last_insert_rowid();
        let made = select(&mut tx, id).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// All applications, the oldest first; those that wait, or the decided ones too.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn number_requests(&self, decided: bool) -> Result<Vec<NumberRequest>, StoreError> {
        let rows = sqlx::query("SELECT * FROM number_request WHERE ? OR state = 'waiting' ORDER BY id");
        let rows = rows.bind(decided).fetch_all(&mut *self.reader().await?).await?;
        rows.iter().map(read).collect()
    }

    /// Gives an account what it has applied for, at `now` (Unix seconds): the number, or the first that is free.
    ///
    /// # Errors
    /// If there is no such application, it was decided before, or no number is free.
    pub async fn approve_number(&self, id: u64, now: u64) -> Result<(NumberRequest, Vec<Delta>), StoreError> {
        let mut tx = self.begin().await?;
        let request = waiting(&mut tx, id).await?;
        account::select_own(&mut tx, &request.account).await?;
        let number = match request.number {
            Some(number) => number,
            None => first_free(&mut tx).await?,
        };
        give(&mut tx, &number, &request.account, Taken::Refuse).await?;
        decide(&mut tx, id, "approved", (Some(&number), None), now).await?;
        let decided = select(&mut tx, columns::integer(id)).await?;
        let account = account::select(&mut tx, &request.account).await?.account;
        tx.commit().await?;
        Ok((decided, vec![Delta::Number(number, Some(request.account)), Delta::Account(account)]))
    }

    /// Does not give an account what it has applied for, at `now` (Unix seconds).
    ///
    /// # Errors
    /// If there is no such application, or it was decided before.
    pub async fn reject_number(
        &self,
        id: u64,
        reason: Option<&str>,
        now: u64,
    ) -> Result<NumberRequest, StoreError> {
        if reason.is_some_and(|reason| reason.len() > 500 || reason.contains(char::is_control)) {
            return Err(StoreError::BadText { field: "reason" });
        }
        let mut tx = self.begin().await?;
        let request = waiting(&mut tx, id).await?;
        decide(&mut tx, id, "rejected", (request.number.as_deref(), reason), now).await?;
        let decided = select(&mut tx, columns::integer(id)).await?;
        tx.commit().await?;
        Ok(decided)
    }

    /// What has happened to a number, the oldest first.
    ///
    /// # Errors
    /// If nothing is known of such a number.
    pub async fn number_history(&self, text: &str) -> Result<Vec<NumberEvent>, StoreError> {
        let number = parse_number(text)?;
        let rows = sqlx::query("SELECT event, account, at FROM number_event WHERE number = ? ORDER BY id");
        let rows = rows.bind(&number).fetch_all(&mut *self.reader().await?).await?;
        if rows.is_empty() {
            return Err(StoreError::NoNumber(number));
        }
        let read = |row: &SqliteRow| {
            let account: Option<String> = row.try_get("account")?;
            let account = account.as_deref().and_then(account::parse_stored);
            let at = row.try_get::<i64, _>("at")?.try_into().unwrap_or(0);
            Ok(NumberEvent { event: row.try_get("event")?, account, at })
        };
        rows.iter().map(read).collect()
    }
}

/// A number that may be applied for is known, nobody's, and wanted by nobody.
async fn check_free(tx: &mut Transaction<'_, Sqlite>, number: &str) -> Result<(), StoreError> {
    match owner(tx, number).await? {
        None => return Err(StoreError::NoNumber(number.to_owned())),
        Some(owner @ Some(_)) => return Err(StoreError::NumberTaken { number: number.to_owned(), owner }),
        Some(None) => {}
    }
    let wanted = "SELECT EXISTS (SELECT 1 FROM number_request WHERE number = ? AND state = 'waiting')";
    match sqlx::query_scalar(wanted).bind(number).fetch_one(&mut **tx).await? {
        true => Err(StoreError::NumberWanted(number.to_owned())),
        false => Ok(()),
    }
}

/// The first number that is nobody's and that nobody has asked for by name.
async fn first_free(tx: &mut Transaction<'_, Sqlite>) -> Result<String, StoreError> {
    let free = "SELECT number FROM number WHERE account IS NULL AND number NOT IN
                (SELECT number FROM number_request WHERE state = 'waiting' AND number IS NOT NULL)
                ORDER BY position LIMIT 1";
    sqlx::query_scalar(free).fetch_optional(&mut **tx).await?.ok_or(StoreError::NoFreeNumber)
}

async fn waiting(tx: &mut Transaction<'_, Sqlite>, id: u64) -> Result<NumberRequest, StoreError> {
    let request = select(tx, columns::integer(id)).await?;
    match request.state {
        RequestState::Waiting => Ok(request),
        RequestState::Approved | RequestState::Rejected(_) => Err(StoreError::RequestDecided(id)),
    }
}

async fn decide(
    tx: &mut Transaction<'_, Sqlite>,
    id: u64,
    state: &str,
    (number, reason): (Option<&str>, Option<&str>),
    now: u64,
) -> Result<(), StoreError> {
    let update = "UPDATE number_request SET state = ?, number = ?, reason = ?, decided_at = ? WHERE id = ?";
    let update = sqlx::query(update).bind(state).bind(number).bind(reason);
    update.bind(columns::integer(now)).bind(columns::integer(id)).execute(&mut **tx).await?;
    Ok(())
}

async fn select(connection: &mut SqliteConnection, id: i64) -> Result<NumberRequest, StoreError> {
    let row = sqlx::query("SELECT * FROM number_request WHERE id = ?").bind(id);
    match row.fetch_optional(connection).await? {
        Some(row) => read(&row),
        None => Err(StoreError::NoRequest(u64::try_from(id).unwrap_or_default())),
    }
}

fn read(row: &SqliteRow) -> Result<NumberRequest, StoreError> {
    let unsigned = |value: i64| u64::try_from(value).unwrap_or_default();
    let account: String = row.try_get("account")?;
    let damaged = |key: String| StoreError::Damaged { table: "number_request", key };
    let state = match row.try_get::<String, _>("state")?.as_str() {
        "waiting" => RequestState::Waiting,
        "approved" => RequestState::Approved,
        _ => RequestState::Rejected(row.try_get("reason")?),
    };
    Ok(NumberRequest {
        id: unsigned(row.try_get("id")?),
        account: account::parse_stored(&account).ok_or_else(|| damaged(account))?,
        number: row.try_get("number")?,
        state,
        requested_at: unsigned(row.try_get("requested_at")?),
        decided_at: row.try_get::<Option<i64>, _>("decided_at")?.map(unsigned),
    })
}
