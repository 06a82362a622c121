//! Makes records of the calls whose end the process before did not see, or could not write down.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use offhook_web::calendar::rfc3339;
use serde_json::Value;

use super::entry::decode;
use super::{CARRIED, FOLDER};
use crate::telemetry::{Records, call_records};

/// Writes a record of each call of the ledger that has none, and removes the ledger. `now` is the Unix time at which calls
/// end that nobody saw the end of. Returns how many records were written.
///
/// # Errors
/// When a file cannot be read or written; then the ledger stays.
pub(crate) fn recover(data_dir: &Path, now: Duration) -> io::Result<usize> {
    let files = files(&data_dir.join(FOLDER))?;
    let mut records = Records::new(data_dir);
    let mut oldest = now;
    for file in &files {
        let octets = fs::read(file)?;
        for (unix, event) in decode(&octets) {
            oldest = oldest.min(unix);
            records.take(unix, event);
        }
    }
    records.close_all(now);
    let written = records.without(&written_since(&call_records(data_dir), oldest)?);
    records.write_to_disk()?;
    files.iter().try_for_each(fs::remove_file)?;
    Ok(written)
}

/// The files of a ledger, in the order in which they were written: what was carried over first.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    files.sort_by_key(|file| (file.file_name().is_none_or(|name| name != CARRIED), file.clone()));
    Ok(files)
}

/// The records of calls that ended since then: their Call-IDs and when they began.
fn written_since(path: &Path, oldest: Duration) -> io::Result<HashSet<(String, String)>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(HashSet::new()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    // Records stand in the order in which calls ended, but for what waited a little.
    let oldest = rfc3339(oldest.saturating_sub(SLACK));
    let mut part = PART;
    loop {
        let begin = length.saturating_sub(part);
        file.seek(SeekFrom::Start(begin))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let lines =
            tail.split(|octet| *octet == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        let text = |record: &Value, name: &str| record[name].as_str().map(str::to_owned);
        let records: Vec<Value> = lines.collect();
        let first = records.first().and_then(|record| text(record, "ended_at"));
        if begin == 0 || first.is_some_and(|first| first < oldest) {
            let key = |record: &Value| Some((text(record, "id")?, text(record, "started_at")?));
            return Ok(records.iter().filter_map(key).collect());
        }
        part *= 4;
    }
}

const SLACK: Duration = Duration::from_secs(60);
/// What is read of the end of the file at first.
const PART: u64 = 4 << 20;
