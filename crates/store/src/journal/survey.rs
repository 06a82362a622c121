//! What is known of the files of a directory without keeping what they say.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::file::JournalFile;
use super::record::Record;

/// The files of a directory, as they were read.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The number of the last entry; greater if a file cannot be read now.
    pub(crate) sequence: u64,
    /// The generation of the newest file.
    pub(crate) generation: u64,
    /// How many octets of them count, as far as that is known.
    pub(crate) live: u64,
    /// There is a file that cannot be read now; it stays.
    pub(crate) is_partial: bool,
    /// All files with their lengths, oldest first.
    files: Vec<(JournalFile, u64)>,
}

impl Survey {
    /// Reads the files, and lets `take` add each record, with its length in octets, to what is returned; in no order
    /// that means anything. A file that cannot be read is reported.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub(crate) fn read<T: Default>(
        directory: &Path,
        mut take: impl FnMut(&mut T, u64, Record<'_>),
    ) -> io::Result<(Self, T)> {
        // A file that is gone meanwhile is in another one now.
        loop {
            let files = JournalFile::all(directory)?;
            let generation = files.last().map_or(0, |file| file.generation);
            let Some(files) = with_lengths(files)? else { continue };
            let mut survey = Self { generation, files, ..Self::default() };
            let mut taken = T::default();
            if survey.read_files(|length, record| take(&mut taken, length, record)) {
                return Ok((survey, taken));
            }
        }
    }

    /// Whether the files are still those that were read.
    pub(crate) fn is_current(&self, directory: &Path) -> bool {
        let files = JournalFile::all(directory).and_then(with_lengths);
        files.is_ok_and(|files| files.as_ref() == Some(&self.files))
    }

    /// Returns whether all files were there.
    fn read_files(&mut self, mut take: impl FnMut(u64, Record<'_>)) -> bool {
        let mut leap = 0;
        // What is newer hides most of what is older, which is made into nothing then.
        for (file, _) in self.files.iter().rev() {
            let read = file.read(|_, octets, record| {
                self.sequence = self.sequence.max(record.sequence);
                take(octets.len() as u64, record);
            });
            match read {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return false,
                Err(error) => {
                    tracing::error!(path = %file.path.display(), %error, "a journal cannot be read and is kept");
                    self.is_partial = true;
                    leap += MORE_THAN_A_FILE_HOLDS;
                }
            }
        }
        // Should such a file be read again some day, its entries must be older than those that follow.
        self.sequence += leap;
        true
    }
}

/// The files with their lengths; `None` if one is gone.
pub(crate) fn with_lengths(files: Vec<JournalFile>) -> io::Result<Option<Vec<(JournalFile, u64)>>> {
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        match fs::metadata(&file.path) {
            Ok(metadata) => all.push((file, metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(all))
}

const MORE_THAN_A_FILE_HOLDS: u64 = 1 << 40;
