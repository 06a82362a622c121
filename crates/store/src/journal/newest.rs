//! What the files say together: of two entries about one account, the one with the greater number counts.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use offhook_exchange::directory::{AddressOfRecord, Bindings};

use super::file::JournalFile;
use super::record::{Record, encode};
use super::survey::Survey;
use crate::account::parse_stored;

/// The newest entry of each account, while files are read.
#[derive(Debug, Default)]
pub(crate) struct Newest(BTreeMap<Box<str>, Entry>);

#[derive(Debug)]
struct Entry {
    sequence: u64,
    /// Its record, in octets; 0 if all in it is over.
    live: u64,
    bindings: Bindings,
}

impl Newest {
    /// Reads what is not over at `now` (Unix seconds).
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub(crate) fn read(directory: &Path, now: u64) -> io::Result<(Survey, Self)> {
        let (mut survey, newest) =
            Survey::read(directory, |newest: &mut Self, length, record| newest.add(length, record, now))?;
        survey.live = newest.0.values().map(|entry| entry.live).sum();
        Ok((survey, newest))
    }

    /// At most so many accounts have bindings.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The accounts that have bindings, in their order, with these: at least one of each is not over.
    pub(crate) fn into_bindings(self) -> impl Iterator<Item = (AddressOfRecord, Bindings)> {
        let bound = self.0.into_iter().filter(|(_, entry)| entry.live > 0);
        bound.filter_map(|(account, entry)| Some((parse_stored(&account)?, entry.bindings)))
    }

    fn add(&mut self, length: u64, record: Record<'_>, now: u64) {
        let known = self.0.get_mut(record.account);
        if known.as_ref().is_some_and(|known| known.sequence > record.sequence) {
            return;
        }
        let live = if record.until > now { length } else { 0 };
        // What is over is only there to hide what is older.
        let bindings = if live > 0 { record.bindings() } else { Some(Bindings::default()) };
        let Some(bindings) = bindings else { return };
        let entry = Entry { sequence: record.sequence, live, bindings };
        if let Some(known) = known {
            *known = entry;
        } else {
            self.0.insert(record.account.into(), entry);
        }
    }
}

/// Writes that these have no bindings, where no shard does it.
///
/// # Errors
/// If the directory cannot be read, or the file not be written; then nothing of it remains.
pub(crate) fn forget(directory: &Path, accounts: &[AddressOfRecord]) -> io::Result<()> {
    let accounts: BTreeMap<&str, &AddressOfRecord> =
        accounts.iter().map(|account| (account.as_str(), account)).collect();
    let note = |known: &mut BTreeMap<String, (u64, u64)>, _, record: Record<'_>| {
        if accounts.contains_key(record.account) {
            let newest = (record.sequence, record.until);
            match known.get_mut(record.account) {
                Some(known) => *known = newest.max(*known),
                None => drop(known.insert(record.account.to_owned(), newest)),
            }
        }
    };
    let (survey, known) = Survey::read(directory, note)?;
    let is_bound = |account: &&&AddressOfRecord| {
        survey.is_partial || known.get(account.as_str()).is_some_and(|(_, until)| *until > 0)
    };
    let mut records = Vec::new();
    for (number, account) in (survey.sequence + 1..).zip(accounts.values().filter(is_bound)) {
        encode(&mut records, 0, number, account, &Bindings::default());
    }
    if !records.is_empty() {
        JournalFile::new(directory, survey.generation + 1, 0).create(&records)?;
    }
    Ok(())
}
