//! The files of the journal: their names, how one begins, and how it is read after a crash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::record::{Entry, HEAD, decode, length_of};

/// A file of the journal, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JournalFile {
    /// Counts up over all files that ever were.
    pub(crate) generation: u64,
    /// The shard that wrote it.
    pub(crate) shard: u8,
    /// Where it is.
    pub(crate) path: PathBuf,
}

impl JournalFile {
    /// The file of this name.
    pub(crate) fn new(directory: &Path, generation: u64, shard: u8) -> Self {
        let path = directory.join(format!("{PREFIX}{generation:010}-{shard:03}{SUFFIX}"));
        Self { generation, shard, path }
    }

    /// All files of the directory, oldest first.
    pub(crate) fn all(directory: &Path) -> io::Result<Vec<Self>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let numbers =
                name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.split_once('-'));
            if let Some((generation, shard)) = numbers
                && let (Ok(generation), Ok(shard)) = (generation.parse(), shard.parse())
            {
                files.push(Self { generation, shard, path });
            }
        }
        files.sort();
        Ok(files)
    }

    /// Creates the file with these records in it, safe from a power cut, and returns it with its length. If that
    /// fails nothing remains.
    pub(crate) fn create(&self, records: &[u8]) -> io::Result<(File, u64)> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        let mut file = crate::options::private(&mut options).open(&self.path)?;
        let bytes = [MAGIC, records].concat();
        let written = file.write_all(&bytes).and_then(|()| file.sync_all()).and_then(|()| self.sync_name());
        match written {
            Ok(()) => Ok((file, bytes.len() as u64)),
            Err(error) => {
                // An incomplete file does no harm: each record in it is checked when it is read.
                let _ = fs::remove_file(&self.path);
                Err(error)
            }
        }
    }

    /// The entries up to the first that is cut off.
    pub(crate) fn records(&self) -> io::Result<Records> {
        let file = File::open(&self.path)?;
        let end = file.metadata()?.len();
        let mut reader = BufReader::new(file);
        let mut magic = Vec::new();
        reader.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
        if magic == MAGIC {
            return Ok(Records { reader, at: magic.len() as u64, end, buffer: Vec::new() });
        }
        // As a crash leaves it before anything was written to it.
        if MAGIC.starts_with(&magic) || magic.iter().all(|octet| *octet == 0) {
            return Ok(Records { reader, at: end, end, buffer: Vec::new() });
        }
        Err(io::Error::new(ErrorKind::InvalidData, "it is no journal of this version"))
    }

    /// Makes the name of the file, or that it is gone, safe from a power cut.
    pub(crate) fn sync_name(&self) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }
}

/// The entries of a file in the order in which they were written; one at a time is in memory.
#[derive(Debug)]
pub(crate) struct Records {
    reader: BufReader<File>,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
}

impl Records {
    /// The next entry, with where its record begins and how long it is. `None` at the end, and where a record is cut
    /// off, as it may be after a crash in the middle of a write, which was not answered then. One that is damaged but
    /// says how long it is hides none of those that follow.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Entry, u64, u64)>> {
        while self.end - self.at >= HEAD as u64 {
            let mut head = [0; HEAD];
            self.reader.read_exact(&mut head)?;
            let length = length_of(head);
            if length > self.end - self.at {
                break;
            }
            self.buffer.clear();
            self.buffer.extend_from_slice(&head);
            self.reader.by_ref().take(length - HEAD as u64).read_to_end(&mut self.buffer)?;
            let offset = self.at;
            self.at += length;
            if let Some(entry) = decode(&mut self.buffer.as_slice()) {
                return Ok(Some((entry, offset, length)));
            }
            // A power cut leaves zeroes where nothing had been acknowledged for longer than the sync window.
            if head != [0; HEAD] {
                tracing::error!(offset, length, "a record of the journal is damaged and left out");
            }
        }
        // Whoever asks again gets the same answer.
        self.at = self.end;
        Ok(None)
    }
}

const PREFIX: &str = "bindings-";
const SUFFIX: &str = ".journal";
/// The last octet is the version.
pub(crate) const MAGIC: &[u8] = b"OFFHOOK\x01";
