//! Makes registrations durable before they are answered: one write for a batch, into a file that outlives the
//! process.
//!
//! A [`Journal`] belongs to the signal thread of one shard. It never waits: what it cannot write, or cannot pass on
//! to the [`Writer`](crate::Writer) at once, is kept and passed on later.

pub(crate) mod crc32;
pub(crate) mod file;
pub(crate) mod record;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::mpsc::Receiver;

use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::io::StoreRequest;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use record::{Entry, encode};

/// The journal of one shard.
#[derive(Debug)]
pub struct Journal {
    shard: u8,
    current: Option<Open>,
    /// The generation of the newest file that was ever current.
    generation: u64,
    /// The number of the last entry.
    sequence: u64,
    /// The last entry that could not be written; the writer takes care of it.
    unwritten: u64,
    failure: Option<i32>,
    /// What did not fit into the channel; not more than one entry for an account.
    overflow: BTreeMap<AddressOfRecord, Entry>,
    buffer: Vec<u8>,
    batches: Sender<Batch>,
    spares: Receiver<Open>,
}

impl Journal {
    pub(crate) fn new(shard: u8, sequence: u64, batches: Sender<Batch>, spares: Receiver<Open>) -> Self {
        Self {
            shard,
            current: None,
            generation: 0,
            sequence,
            unwritten: 0,
            failure: None,
            overflow: BTreeMap::new(),
            buffer: Vec::new(),
            batches,
            spares,
        }
    }

    /// Writes a batch with one system call and hands it to the writer. Empties `requests`. Nothing that acknowledges
    /// them may leave before this returns.
    ///
    /// Call it without requests now and then (once a second) so that nothing stays behind when traffic ceases.
    ///
    /// # Errors
    /// If the file could not be written. Nothing is lost as long as the process lives: the writer puts the requests
    /// into the database, or into a new file as soon as that can be written. Answer them as usual; the health of the
    /// store tells the operator.
    pub fn append(&mut self, requests: &mut Vec<StoreRequest>) -> Result<(), JournalError> {
        self.take_spare();
        if requests.is_empty() {
            if !self.overflow.is_empty() {
                self.pass_on(Vec::new());
            }
            return Ok(());
        }
        let mut entries = Vec::with_capacity(requests.len());
        self.buffer.clear();
        for StoreRequest::Bindings(account, bindings) in requests.drain(..) {
            self.sequence += 1;
            let entry = Entry { shard: self.shard, sequence: self.sequence, account, bindings };
            encode(&mut self.buffer, &entry);
            entries.push(entry);
        }
        let written = self.write();
        self.failure = written.as_ref().err().map(JournalError::code);
        if written.is_err() {
            self.unwritten = self.sequence;
        }
        self.pass_on(entries);
        self.buffer.shrink_to(BUFFER_KEPT);
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
            self.generation = spare.generation;
            self.current = Some(spare);
        }
    }

    fn write(&mut self) -> Result<(), JournalError> {
        let Some(current) = &mut self.current else {
            return Err(JournalError::NoFile);
        };
        if let Err(error) = current.file.write_all(&self.buffer) {
            // Half a record would hide all that follow it.
            if current.file.set_len(current.length).is_err() {
                self.current = None;
            }
            return Err(JournalError::Write(error));
        }
        current.length += self.buffer.len() as u64;
        Ok(())
    }

    /// Hands entries to the writer, after those that had to stay behind before.
    fn pass_on(&mut self, mut entries: Vec<Entry>) {
        if !self.overflow.is_empty() {
            self.keep(entries);
            entries = std::mem::take(&mut self.overflow).into_values().collect();
        }
        let batch = Batch {
            shard: self.shard,
            through: self.sequence,
            generation: self.generation,
            length: self.current.as_ref().map(|current| current.length),
            unwritten: self.unwritten,
            failure: self.failure,
            entries,
        };
        match self.batches.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Full(batch)) => self.keep(batch.entries),
            // The writer ends only with the process; what it did not take over is in the file.
            Err(TrySendError::Closed(_)) => {}
        }
    }

    fn keep(&mut self, entries: Vec<Entry>) {
        self.overflow.extend(entries.into_iter().map(|entry| (entry.account.clone(), entry)));
    }
}

/// Tells the writer that nothing more will come, so that the files can be removed in time.
impl Drop for Journal {
    fn drop(&mut self) {
        if self.overflow.is_empty() {
            self.generation = NO_MORE;
            self.current = None;
            self.pass_on(Vec::new());
        }
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
    /// The system's number for the error, 0 if there is none.
    fn code(&self) -> i32 {
        match self {
            Self::Write(error) => error.raw_os_error().unwrap_or(0),
            Self::NoFile => 0,
        }
    }
}

/// A file that is ready to be appended to.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) file: File,
    pub(crate) generation: u64,
    /// How long it is, up to the last whole record.
    pub(crate) length: u64,
}

/// What a journal tells the writer after each append.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) shard: u8,
    /// New entries, at most one for an account if some had to wait.
    pub(crate) entries: Vec<Entry>,
    /// All entries up to this number have now been handed over.
    pub(crate) through: u64,
    /// The newest file that the journal has used.
    pub(crate) generation: u64,
    /// Its length; `None` if it can be used no more, or there never was one.
    pub(crate) length: Option<u64>,
    /// The last entry that is in no file.
    pub(crate) unwritten: u64,
    /// The system's number of the error, if the last append failed.
    pub(crate) failure: Option<i32>,
}

/// The generation after all others: no file is in use any more.
pub(crate) const NO_MORE: u64 = u64::MAX;
/// What is kept of the buffer after a large batch.
const BUFFER_KEPT: usize = 1 << 16;

#[cfg(test)]
pub(crate) mod tests;
