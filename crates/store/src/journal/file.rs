//! The files of the journal: their names, how one begins, and what is done with a damaged one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::record::Record;
use super::records::Records;

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

    /// Calls `take` with each record: where it begins, its octets, and what it says. Returns whether a part of the
    /// file is damaged, which is logged.
    ///
    /// # Errors
    /// If the system cannot read the file, or it is of another version.
    pub(crate) fn read(&self, take: impl FnMut(u64, &[u8], Record<'_>)) -> io::Result<bool> {
        let mut file = File::open(&self.path)?;
        let end = file.metadata()?.len();
        let mut magic = Vec::new();
        (&mut file).take(MAGIC.len() as u64).read_to_end(&mut magic)?;
        if magic == MAGIC {
            return Records::new(&self.path, file, MAGIC.len() as u64..end).each(take);
        }
        // As a crash leaves it before anything was written to it.
        if MAGIC.starts_with(&magic) || magic.iter().all(|octet| *octet == 0) {
            return Ok(false);
        }
        Err(io::Error::new(ErrorKind::InvalidData, "it is no journal of this version"))
    }

    /// Gives a damaged file a name by which it is no part of the journal any more. Returns its new path.
    pub(crate) fn set_aside(&self) -> io::Result<PathBuf> {
        let mut name = self.path.clone().into_os_string();
        name.push(DAMAGED);
        fs::rename(&self.path, &name)?;
        Ok(name.into())
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

const PREFIX: &str = "bindings-";
const SUFFIX: &str = ".journal";
/// Follows the name of a file that was set aside.
const DAMAGED: &str = ".damaged";
/// The last octet is the version.
pub(crate) const MAGIC: &[u8] = b"OFFHOOK\x01";
