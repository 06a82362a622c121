//! The files of the journal: their names, how one begins, and how it is read after a crash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::record::{Entry, decode, encode};

/// A file of the journal, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JournalFile {
    /// Counts up over all files that ever were.
    pub(crate) generation: u64,
    /// The shard that writes it.
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

    /// Creates the file with these entries in it, safe from a power cut, and returns it with its length. If that
    /// fails nothing remains.
    pub(crate) fn create(&self, entries: &[Entry]) -> io::Result<(File, u64)> {
        let mut bytes = MAGIC.to_vec();
        entries.iter().for_each(|entry| encode(&mut bytes, entry));
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        let mut file = crate::options::private(&mut options).open(&self.path)?;
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

    /// All entries up to the first that is cut off or damaged.
    pub(crate) fn read(&self) -> io::Result<Vec<Entry>> {
        let bytes = fs::read(&self.path)?;
        let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
            return Ok(Vec::new());
        };
        let entries = std::iter::from_fn(|| decode(&mut rest)).collect();
        if !rest.is_empty() {
            // As it should be after a crash in the middle of a write, which was not answered then.
            tracing::info!(path = %self.path.display(), octets = rest.len(), "the journal ends in half a record");
        }
        Ok(entries)
    }

    /// Makes the name of the file safe from a power cut.
    fn sync_name(&self) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }
}

const PREFIX: &str = "bindings-";
const SUFFIX: &str = ".journal";
/// The last octet is the version.
const MAGIC: &[u8] = b"OFFHOOK\x01";
