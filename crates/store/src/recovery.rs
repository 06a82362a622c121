//! What a journal holds that the database does not: read once, when the store is opened.

use std::collections::BTreeMap;
use std::path::Path;

use offhook_exchange::directory::AddressOfRecord;
use sqlx::sqlite::SqliteConnection;

use crate::StoreError;
use crate::journal::file::JournalFile;
use crate::journal::record::Entry;

/// What the files of earlier processes say.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// The newest entry of each account that the database had not taken over when the store was opened.
    pub(crate) entries: BTreeMap<AddressOfRecord, Entry>,
    /// All files found, each with the number of its last entry.
    pub(crate) files: Vec<(JournalFile, u64)>,
    /// The last entry of each shard, taken over or not.
    pub(crate) last: BTreeMap<u8, u64>,
}

impl Recovery {
    /// Reads the files. One that cannot be read is reported and stays where it is.
    pub(crate) fn read(directory: &Path, positions: &BTreeMap<u8, u64>) -> Result<Self, StoreError> {
        let mut recovery = Self { last: positions.clone(), ..Self::default() };
        for file in JournalFile::all(directory).map_err(StoreError::file(directory))? {
            let entries = match file.read() {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::error!(path = %file.path.display(), %error, "a journal cannot be read and is kept");
                    recovery.files.push((file, u64::MAX));
                    continue;
                }
            };
            let last = entries.iter().map(|entry| entry.sequence).max().unwrap_or(0);
            for entry in entries {
                recovery.take(entry, positions);
            }
            recovery.files.push((file, last));
        }
        Ok(recovery)
    }

    /// The number after which new entries are counted, in any shard.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.last.values().copied().max().unwrap_or(0)
    }

    /// The generation of the newest file.
    pub(crate) fn last_generation(&self) -> u64 {
        self.files.iter().map(|(file, _)| file.generation).max().unwrap_or(0)
    }

    fn take(&mut self, entry: Entry, positions: &BTreeMap<u8, u64>) {
        let last = self.last.entry(entry.shard).or_default();
        *last = entry.sequence.max(*last);
        let taken_over = positions.get(&entry.shard).is_some_and(|position| entry.sequence <= *position);
        let older = self.entries.get(&entry.account).is_some_and(|known| known.sequence > entry.sequence);
        if !taken_over && !older {
            self.entries.insert(entry.account.clone(), entry);
        }
    }
}

/// How far the journal of each shard has been taken over.
pub(crate) async fn positions(connection: &mut SqliteConnection) -> Result<BTreeMap<u8, u64>, sqlx::Error> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT shard, sequence FROM journal").fetch_all(connection).await?;
    let unsigned = |(shard, sequence)| Some((u8::try_from(shard).ok()?, u64::try_from(sequence).ok()?));
    Ok(rows.into_iter().filter_map(unsigned).collect())
}
