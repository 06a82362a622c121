//! What all tables have in common.

use serde::Deserialize;

use crate::StoreError;

/// Reads what `json_group_array` made of a table. One row with everything: each row costs a hand-over between
/// threads, and callers wait for this after a crash.
pub(crate) fn table<'a, T: Deserialize<'a>>(table: &'static str, json: &'a str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Damaged { table, key: "*".into() })
}

/// SQLite has no unsigned numbers.
pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
