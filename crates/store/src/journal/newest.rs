//! What the files say together: of two entries about one account, the one with the greater number counts.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;

use offhook_exchange::directory::{AddressOfRecord, Bindings};

use super::file::JournalFile;
use super::record::encode;

/// What all files of a directory say.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    /// The newest entry of each account, with its number.
    pub(crate) entries: BTreeMap<AddressOfRecord, (u64, Bindings)>,
    /// The number of the last entry.
    pub(crate) sequence: u64,
    /// The generation of the newest file.
    pub(crate) generation: u64,
    /// There is a file that cannot be read now; it stays.
    unreadable: bool,
}

impl Newest {
    /// Reads the files. One that cannot be read is reported.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        // A file that is gone meanwhile is in another one now.
        loop {
            if let Some(newest) = Self::try_read(directory)? {
                return Ok(newest);
            }
        }
    }

    fn try_read(directory: &Path) -> io::Result<Option<Self>> {
        let mut newest = Self::default();
        let mut leap = 0;
        for file in JournalFile::all(directory)? {
            newest.generation = file.generation.max(newest.generation);
            match newest.add(&file) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => {
                    tracing::error!(path = %file.path.display(), %error, "a journal cannot be read and is kept");
                    newest.unreadable = true;
                    leap += MORE_THAN_A_FILE_HOLDS;
                }
            }
        }
        // Should such a file be read again some day, its entries must be older than those that follow.
        newest.sequence += leap;
        Ok(Some(newest))
    }

    /// Writes that these have no bindings, where no shard does it.
    pub(crate) fn forget(directory: &Path, accounts: &[AddressOfRecord]) -> io::Result<()> {
        let newest = Self::read(directory)?;
        let is_bound = |account: &&AddressOfRecord| {
            newest.unreadable
                || newest.entries.get(account).is_some_and(|(_, bindings)| !bindings.0.is_empty())
        };
        let mut records = Vec::new();
        for (number, account) in (newest.sequence + 1..).zip(accounts.iter().filter(is_bound)) {
            encode(&mut records, 0, number, account, &Bindings::default());
        }
        if !records.is_empty() {
            JournalFile::new(directory, newest.generation + 1, 0).create(&records)?;
        }
        Ok(())
    }

    fn add(&mut self, file: &JournalFile) -> io::Result<()> {
        let mut records = file.records()?;
        while let Some((entry, ..)) = records.next()? {
            self.sequence = entry.sequence.max(self.sequence);
            let known = self.entries.get(&entry.account).map_or(0, |(sequence, _)| *sequence);
            if entry.sequence >= known {
                self.entries.insert(entry.account, (entry.sequence, entry.bindings));
            }
        }
        Ok(())
    }
}

const MORE_THAN_A_FILE_HOLDS: u64 = 1 << 40;
