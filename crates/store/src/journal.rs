//! The home of bindings: each change is in a file before it is answered, by one write for a batch.
//!
//! A [`Journal`] belongs to the signal thread of one shard. It never waits: the [`Writer`](crate::Writer) makes its
//! files ahead, syncs them and merges those that it has left; what it cannot write is kept and written later. All
//! journals number their entries from one count, so that an entry of one shard can be newer than that of another.

pub(crate) mod compaction;
pub(crate) mod crc32;
pub(crate) mod file;
pub(crate) mod newest;
pub(crate) mod record;
pub(crate) mod records;
pub(crate) mod survey;
pub(crate) mod track;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::mpsc::Receiver;

use offhook_exchange::directory::{AddressOfRecord, Bindings};
use offhook_exchange::io::StoreRequest;

use file::MAGIC;
use record::encode;
use track::{NO_FAILURE, NO_FILE, Track};

/// The journal of one shard.
#[derive(Debug)]
pub struct Journal {
    shard: u8,
    current: Option<Open>,
    /// The number of the last entry of all journals.
    sequence: Arc<AtomicU64>,
    /// What could not be written: the newest entry of each account, with its number.
    overflow: BTreeMap<AddressOfRecord, (u64, Bindings)>,
    buffer: Vec<u8>,
    spares: Receiver<Open>,
    track: Arc<Track>,
}

impl Journal {
    pub(crate) fn new(
        shard: u8,
        sequence: Arc<AtomicU64>,
        spares: Receiver<Open>,
        track: Arc<Track>,
    ) -> Self {
        let (overflow, buffer) = (BTreeMap::new(), Vec::new());
        Self { shard, current: None, sequence, overflow, buffer, spares, track }
    }

    /// Writes a batch with one system call. Empties `requests`. Nothing that acknowledges them may leave before this
    /// returns.
    ///
    /// Call it without requests now and then (once a second) so that nothing stays behind when traffic ceases.
    ///
    /// # Errors
    /// If the file could not be written. Nothing is lost as long as the process lives: the requests are written as
    /// soon as a file can be. Answer them as usual; the health of the store tells the operator.
    pub fn append(&mut self, requests: &mut Vec<StoreRequest>) -> Result<(), JournalError> {
        self.take_spare();
        self.raise_floor();
        if requests.is_empty() && self.overflow.is_empty() {
            return Ok(());
        }
        let numbers = self.sequence.fetch_add(requests.len() as u64, AcqRel) + 1..;
        let written = self.write_overflow().and_then(|()| {
            self.buffer.clear();
            for (number, StoreRequest::Bindings(account, bindings)) in numbers.clone().zip(requests.iter()) {
                encode(&mut self.buffer, self.shard, number, account, bindings);
            }
            self.write()
        });
        match &written {
            Ok(()) => requests.clear(),
            Err(_) => {
                for (number, StoreRequest::Bindings(account, bindings)) in numbers.zip(requests.drain(..)) {
                    self.overflow.insert(account, (number, bindings));
                }
            }
        }
        self.buffer.shrink_to(BUFFER_KEPT);
        self.track.failure.store(written.as_ref().err().map_or(NO_FAILURE, JournalError::code), Relaxed);
        self.track.waiting.store(self.overflow.len(), Relaxed);
        written
    }

    #[cfg(test)]
    pub(crate) fn put(&mut self, file: Open) {
        self.take_spare();
        self.current = Some(file);
    }

    /// Goes over to the newest file that the writer has prepared.
    fn take_spare(&mut self) {
        while let Ok(spare) = self.spares.try_recv() {
            self.track.length.store(spare.length, Relaxed);
            // What was written to the files before happened before this.
            self.track.used.store(spare.generation, Release);
            self.current = Some(spare);
            // After the generation: who sees this knows that the files before are left.
            self.track.floor.store(self.floor(), Release);
        }
    }

    /// As long as nothing is in the file.
    fn raise_floor(&mut self) {
        let is_empty = |current: &Open| current.length == MAGIC.len() as u64;
        if self.overflow.is_empty() && self.current.as_ref().is_some_and(is_empty) {
            self.track.floor.store(self.floor(), Release);
        }
    }

    /// The least number that can be written from now on.
    fn floor(&self) -> u64 {
        let waiting = self.overflow.values().map(|(number, _)| *number);
        waiting.min().unwrap_or(u64::MAX).min(self.sequence.load(Acquire) + 1)
    }

    /// A part at a time: as long as it fails, a batch costs no more than one part.
    fn write_overflow(&mut self) -> Result<(), JournalError> {
        while !self.overflow.is_empty() {
            self.buffer.clear();
            for (account, (number, bindings)) in self.overflow.iter().take(PART) {
                encode(&mut self.buffer, self.shard, *number, account, bindings);
            }
            self.write()?;
            for _ in 0..PART {
                self.overflow.pop_first();
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), JournalError> {
        let Some(current) = &mut self.current else {
            return Err(JournalError::NoFile);
        };
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Err(error) = (&*current.file).write_all(&self.buffer) {
            // Half a record would be taken for damage.
            if current.file.set_len(current.length).is_err() {
                self.current = None;
                self.track.length.store(0, Relaxed);
            }
            return Err(JournalError::Write(error));
        }
        current.length += self.buffer.len() as u64;
        self.track.length.store(current.length, Relaxed);
        self.track.dirty.store(true, Release);
        Ok(())
    }
}

/// The last attempt, and the end of the writer.
impl Drop for Journal {
    fn drop(&mut self) {
        if let Err(error) = self.append(&mut Vec::new()) {
            tracing::error!(%error, lost = self.overflow.len(), "registrations are lost");
        }
        self.track.gone.store(true, Release);
        self.track.ended.notify_one();
    }
}

/// Why the journal could not be written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system said no.
    #[error("the journal cannot be written: {0}")]
    Write(#[source] io::Error),
    /// There is no file to write into: it could not be created, or an earlier error left it unusable.
    #[error("the journal has no file that can be written")]
    NoFile,
}

impl JournalError {
    fn code(&self) -> i32 {
        match self {
            Self::Write(error) => error.raw_os_error().unwrap_or(NO_FILE),
            Self::NoFile => NO_FILE,
        }
    }
}

/// A file that is ready to be appended to.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) file: Arc<File>,
    pub(crate) generation: u64,
    /// How long it is, up to the last whole record.
    pub(crate) length: u64,
}

/// Entries that waited and are written at once.
const PART: usize = 256;
/// What is kept of the buffer after a large batch.
const BUFFER_KEPT: usize = 1 << 16;

#[cfg(test)]
pub(crate) mod tests;
