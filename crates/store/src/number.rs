//! Telephone numbers in the database.

pub(crate) mod request;

use offhook_exchange::directory::{AddressOfRecord, Delta, number_digits};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Sqlite, Transaction};

use crate::{Store, StoreError};
use crate::{account, columns};

/// A number that is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNumber {
    /// The number, without visual separators.
    pub number: String,
    /// Whose it is, if it is not free.
    pub account: Option<AddressOfRecord>,
}

/// What to do about a number that belongs to someone else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Refuse,
    Move,
}

/// Reads `1001`, `+86 138-0000-0000` or `tel:+8613800000000;…` into a number without visual separators.
///
/// # Errors
/// If it is no number, or has more than 40 digits.
pub fn parse_number(text: &str) -> Result<String, StoreError> {
    let trimmed = text.trim();
    let uri = trimmed.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("tel:")).map(|_| &trimmed[4..]);
    // The parameters of a tel URI (RFC 3966 §3) say where a number is valid; here it is valid everywhere.
    let digits = uri.map_or(trimmed, |rest| rest.split(';').next().unwrap_or_default());
    number_digits(digits)
        .filter(|number| number.len() <= 41)
        .ok_or_else(|| StoreError::BadNumber(text.to_owned()))
}

impl Store {
    /// All numbers, in the order in which they were added or assigned.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn numbers(&self) -> Result<Vec<StoredNumber>, StoreError> {
        select_all(&mut *self.reader().await?).await
    }

    /// Adds a number that belongs to nobody yet.
    ///
    /// # Errors
    /// If it is known already, or no number.
    pub async fn add_number(&self, text: &str) -> Result<StoredNumber, StoreError> {
        let number = parse_number(text)?;
        let mut tx = self.begin().await?;
        if let Some(owner) = owner(&mut tx, &number).await? {
            return Err(StoreError::NumberTaken { number, owner });
        }
        insert(&mut tx, &number, None).await?;
        tx.commit().await?;
        Ok(StoredNumber { number, account: None })
    }

    /// Adds the numbers from one to another, which belong to nobody yet; those that are known already stay as they are.
    /// Returns the new ones.
    ///
    /// # Errors
    /// If these are no numbers of the same length, the last is before the first, or there are more than 10,000.
    pub async fn add_numbers(&self, first: &str, last: &str) -> Result<Vec<StoredNumber>, StoreError> {
        let (first, last) = (parse_number(first)?, parse_number(last)?);
        let range = || StoreError::BadRange { first: first.clone(), last: last.clone() };
        let digits = |number: &str| number.trim_start_matches('+').parse::<u64>().ok();
        let (from, to) = digits(&first).zip(digits(&last)).ok_or_else(range)?;
        if first.len() != last.len() || first.starts_with('+') != last.starts_with('+') {
            return Err(range());
        }
        if from > to || to - from >= MOST_AT_ONCE {
            return Err(range());
        }
        let plus = if first.starts_with('+') { "+" } else { "" };
        let width = first.len() - plus.len();
        let mut tx = self.begin().await?;
        let mut added = Vec::new();
        for number in (from..=to).map(|number| format!("{plus}{number:0width$}")) {
            if owner(&mut tx, &number).await?.is_none() {
                insert(&mut tx, &number, None).await?;
                added.push(StoredNumber { number, account: None });
            }
        }
        tx.commit().await?;
        Ok(added)
    }

    /// Gives a number to an account, whether it is new, free or `from_anyone`.
    ///
    /// # Errors
    /// If the number is another's (unless `from_anyone`), there is no such account, or it is declared in a file.
    pub async fn assign_number(
        &self,
        text: &str,
        address: &AddressOfRecord,
        from_anyone: bool,
    ) -> Result<Vec<Delta>, StoreError> {
        let number = parse_number(text)?;
        let mut tx = self.begin().await?;
        account::select_own(&mut tx, address).await?;
        let taken = if from_anyone { Taken::Move } else { Taken::Refuse };
        let before = give(&mut tx, &number, address, taken).await?;
        let mut deltas = vec![Delta::Number(number, Some(address.clone()))];
        for touched in before.iter().filter(|before| *before != address).chain([address]) {
            deltas.push(Delta::Account(account::select(&mut tx, touched).await?.account));
        }
        tx.commit().await?;
        Ok(deltas)
    }

    /// Takes a number from its account; it stays known and is free.
    ///
    /// # Errors
    /// If there is no such number, or its account is declared in a file.
    pub async fn release_number(&self, text: &str) -> Result<Vec<Delta>, StoreError> {
        let number = parse_number(text)?;
        let mut tx = self.begin().await?;
        let deltas = take_away(&mut tx, &number).await?;
        tx.commit().await?;
        Ok(deltas)
    }

    /// Forgets a number.
    ///
    /// # Errors
    /// If there is no such number, or its account is declared in a file.
    pub async fn remove_number(&self, text: &str) -> Result<Vec<Delta>, StoreError> {
        let number = parse_number(text)?;
        let mut tx = self.begin().await?;
        let deltas = take_away(&mut tx, &number).await?;
        sqlx::query("DELETE FROM number WHERE number = ?").bind(&number).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(deltas)
    }
}

pub(crate) async fn select_all(connection: &mut SqliteConnection) -> Result<Vec<StoredNumber>, StoreError> {
    let select = "SELECT json_group_array(json_array(number, account) ORDER BY position) FROM number";
    let json: String = sqlx::query_scalar(select).fetch_one(connection).await?;
    let rows: Vec<(String, Option<String>)> = columns::table("number", &json)?;
    let read = |(number, account): (String, Option<String>)| {
        let account = account.as_deref().and_then(account::parse_stored);
        StoredNumber { number, account }
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The numbers of an account, the one it shows first.
pub(crate) async fn of(
    tx: &mut Transaction<'_, Sqlite>,
    address: &AddressOfRecord,
) -> Result<Vec<String>, StoreError> {
    let numbers = sqlx::query_scalar("SELECT number FROM number WHERE account = ? ORDER BY position");
    Ok(numbers.bind(address.as_str()).fetch_all(&mut **tx).await?)
}

/// Gives a number to an account, as its last one, and returns whose it was.
pub(crate) async fn give(
    tx: &mut Transaction<'_, Sqlite>,
    number: &str,
    address: &AddressOfRecord,
    taken: Taken,
) -> Result<Option<AddressOfRecord>, StoreError> {
    match owner(tx, number).await? {
        None => {
            insert(tx, number, Some(address)).await?;
            Ok(None)
        }
        Some(Some(owner)) if owner == *address => Ok(Some(owner)),
        Some(Some(owner)) if taken == Taken::Refuse => {
            Err(StoreError::NumberTaken { number: number.to_owned(), owner: Some(owner) })
        }
        Some(Some(owner)) => {
            account::select_own(tx, &owner).await?;
            put(tx, number, address).await?;
            Ok(Some(owner))
        }
        Some(None) => {
            put(tx, number, address).await?;
            Ok(None)
        }
    }
}

/// Makes a number belong to nobody.
pub(crate) async fn free(tx: &mut Transaction<'_, Sqlite>, number: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE number SET account = NULL WHERE number = ?").bind(number).execute(&mut **tx).await?;
    Ok(())
}

async fn take_away(tx: &mut Transaction<'_, Sqlite>, number: &str) -> Result<Vec<Delta>, StoreError> {
    let Some(owner) = owner(tx, number).await? else {
        return Err(StoreError::NoNumber(number.to_owned()));
    };
    let Some(owner) = owner else {
        return Ok(Vec::new());
    };
    account::select_own(tx, &owner).await?;
    free(tx, number).await?;
    let account = account::select(tx, &owner).await?.account;
    Ok(vec![Delta::Number(number.to_owned(), None), Delta::Account(account)])
}

/// Whose a number is: outside `None` if it is not known, inside `None` if it is free.
async fn owner(
    tx: &mut Transaction<'_, Sqlite>,
    number: &str,
) -> Result<Option<Option<AddressOfRecord>>, StoreError> {
    let found: Option<Option<String>> = sqlx::query_scalar("SELECT account FROM number WHERE number = ?")
        .bind(number)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(found.map(|account| account.as_deref().and_then(account::parse_stored)))
}

async fn insert(
    tx: &mut Transaction<'_, Sqlite>,
    number: &str,
    account: Option<&AddressOfRecord>,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO number (number, account) VALUES (?, ?)")
        .bind(number)
        .bind(account.map(AddressOfRecord::as_str))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn put(
    tx: &mut Transaction<'_, Sqlite>,
    number: &str,
    address: &AddressOfRecord,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE number SET account = ?, position = (SELECT max(position) + 1 FROM number) WHERE number = ?",
    )
    .bind(address.as_str())
    .bind(number)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Numbers that may be added together.
const MOST_AT_ONCE: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_and_uris_write_it() {
        assert_eq!(parse_number("1001").unwrap(), "1001");
        assert_eq!(parse_number("+86 138-0000-0000").unwrap(), "+8613800000000");
        assert_eq!(parse_number("tel:+8613800000000").unwrap(), "+8613800000000");
        assert_eq!(parse_number("TEL:1001;phone-context=example.com").unwrap(), "1001");
        for wrong in ["", "tel:", "alice", "+", "１００１", "10+01"] {
            assert!(matches!(parse_number(wrong), Err(StoreError::BadNumber(_))), "{wrong}");
        }
    }
}
