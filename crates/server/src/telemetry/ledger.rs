//! The ledger: what happened to calls, in files that are written before the messages that tell of it leave. It is what call
//! records are made of after a crash.
//!
//! A signal thread writes when a call was answered, one system call for a batch; the rest of what happened goes along with
//! the next such write, or a second later. A file that is full is left for the next; the telemetry thread removes it when
//! it has written down the calls of it that last (see [`Records::leave`](super::Records::leave)).

mod entry;
mod recovery;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use offhook_exchange::event::Event;

pub(super) use entry::{decode, encode};
pub(crate) use recovery::recover;

/// The ledger of one signal thread.
pub(crate) struct Ledger {
    folder: PathBuf,
    shard: u8,
    generation: u32,
    file: Option<File>,
    /// Octets in the file.
    length: usize,
    /// Not written yet.
    waiting: Vec<u8>,
    /// Whether a call was answered in it.
    urgent: bool,
    /// Files that are full.
    left: Vec<PathBuf>,
}

impl Ledger {
    /// A ledger in a data directory, in which there is no file of it.
    pub(crate) fn new(data_dir: &Path, shard: u8) -> Self {
        Self {
            folder: data_dir.join(FOLDER),
            shard,
            generation: 0,
            file: None,
            length: 0,
            waiting: Vec::new(),
            urgent: false,
            left: Vec::new(),
        }
    }

    /// Takes in what happened at this Unix time.
    pub(crate) fn take(&mut self, unix: Duration, event: &Event) {
        if self.waiting.len() < MOST_WAITING {
            encode(&mut self.waiting, unix, event);
            self.urgent |= matches!(event, Event::CallAnswered { .. });
        }
    }

    /// Writes, if a call was answered or much waits. The message that answers may leave after that.
    ///
    /// # Errors
    /// When it cannot be written. It is tried again the next time, as long as not too much waits.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.urgent || self.waiting.len() >= MUCH { self.write() } else { Ok(()) }
    }

    /// Writes all there is. For once a second.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub(crate) fn write(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            self.file = Some(OpenOptions::new().append(true).create(true).mode(0o600).open(self.path())?);
        }
        if let Some(mut file) = self.file.as_ref() {
            file.write_all(&self.waiting)?;
        }
        self.length += self.waiting.len();
        self.waiting.clear();
        self.waiting.shrink_to(MUCH);
        self.urgent = false;
        if self.length >= FULL {
            self.left.push(self.path());
            self.generation += 1;
            (self.file, self.length) = (None, 0);
        }
        Ok(())
    }

    /// A file that is full, if there is one that was not told of.
    pub(crate) fn left(&mut self) -> Option<PathBuf> {
        self.left.pop()
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{:03}-{:010}", self.shard, self.generation))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Whether it can be written has been told; there is no other time.
        let _ = self.write();
    }
}

/// Writes down the calls that last, in place of what stood of them in files that are left. `entries` is what happened to them.
pub(super) fn carry_over(data_dir: &Path, entries: &[u8]) -> io::Result<()> {
    let folder = data_dir.join(FOLDER);
    let new = folder.join("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(entries)?;
    fs::rename(&new, folder.join(CARRIED))
}

/// In the data directory.
const FOLDER: &str = "calls-open";
const CARRIED: &str = "carried";
const FULL: usize = 16 << 20;
/// What is written although no call was answered.
const MUCH: usize = 64 << 10;
/// When it cannot be written, no more is kept.
const MOST_WAITING: usize = 4 << 20;

#[cfg(test)]
mod tests;
