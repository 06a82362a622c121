//! The file of call records, line by line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};

use serde_json::Value;

use crate::account::Flags;
use crate::exit::Failure;

/// A line that is no record, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged(pub(super) usize);

/// Hands over each record, oldest first. A file that is not there has none.
pub(super) fn each(common: &Flags, mut take: impl FnMut(Result<Value, Damaged>)) -> Result<(), Failure> {
    let path = offhook_server::call_records(&common.place.settings()?.data_dir);
    let failed = |error| Failure::other(format!("{}: {error}", path.display()));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    // As bytes: a line that is no text must not hide those after it.
    for (line, number) in BufReader::new(file).split(b'\n').zip(1..) {
        let line = line.map_err(failed)?;
        take(record(&line).ok_or(Damaged(number)));
    }
    Ok(())
}

/// A record has at least the two by which it is looked for.
fn record(line: &[u8]) -> Option<Value> {
    let record: Value = serde_json::from_slice(line).ok()?;
    (record["id"].is_string() && record["started_at"].is_string()).then_some(record)
}
