//! Makes one file of those that no journal writes any more.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use offhook_exchange::directory::AddressOfRecord;

use super::file::{JournalFile, MAGIC};

/// What a compaction left.
#[derive(Debug)]
pub(crate) struct Compacted {
    /// The generations of the files that are left: the result, and those that cannot be read.
    pub(crate) left: Vec<u64>,
    /// How long the result is.
    pub(crate) length: u64,
}

/// Where the newest entry of an account is. Entries stay on the disk: there may be many.
#[derive(Debug)]
struct Place {
    file: usize,
    offset: u64,
    length: u64,
    sequence: u64,
    /// It has a binding that is not over.
    is_live: bool,
}

type Index = BTreeMap<AddressOfRecord, Place>;

/// Merges files, oldest first, at `now` (Unix seconds). A crash at any point loses nothing and brings nothing back:
/// the result takes the place of the oldest file in one step, then the others go, the older before the newer, so
/// that what says that a binding is gone goes after the binding.
pub(crate) fn compact(closed: &[JournalFile], now: u64) -> io::Result<Compacted> {
    let (index, readable, unreadable) = index(closed, now);
    let left = |result: Option<&JournalFile>| {
        result.map(|file| file.generation).into_iter().chain(unreadable.iter().copied()).collect()
    };
    let Some((oldest, others)) = readable.split_first() else {
        return Ok(Compacted { left: left(None), length: 0 });
    };
    // What is over hides what an unreadable file may say when it is read again.
    let kept = index.into_values().filter(|place| place.is_live || !unreadable.is_empty());
    let mut kept: Vec<Place> = kept.collect();
    kept.sort_by_key(|place| (place.file, place.offset));
    let new = oldest.path.with_file_name(UNFINISHED);
    let length = write(&new, &readable, &kept).inspect_err(|_| {
        // It is overwritten at the next attempt; until then its room is needed.
        let _ = fs::remove_file(&new);
    })?;
    fs::rename(&new, &oldest.path)?;
    oldest.sync_name()?;
    for file in others {
        fs::remove_file(&file.path)?;
        file.sync_name()?;
    }
    Ok(Compacted { left: left(Some(oldest)), length })
}

/// Finds the newest entry of each account, and tells the files that can be read from those that cannot.
fn index(closed: &[JournalFile], now: u64) -> (Index, Vec<&JournalFile>, Vec<u64>) {
    let (mut index, mut readable, mut unreadable) = (Index::new(), Vec::new(), Vec::new());
    for file in closed {
        match places(file, readable.len(), now) {
            Ok(places) => {
                for (account, place) in places {
                    if index.get(&account).is_none_or(|known| known.sequence <= place.sequence) {
                        index.insert(account, place);
                    }
                }
                readable.push(file);
            }
            Err(error) => {
                tracing::error!(path = %file.path.display(), %error, "a journal cannot be read and is kept");
                unreadable.push(file.generation);
            }
        }
    }
    (index, readable, unreadable)
}

fn places(file: &JournalFile, number: usize, now: u64) -> io::Result<Index> {
    let mut records = file.records()?;
    let mut places = Index::new();
    while let Some((entry, offset, length)) = records.next()? {
        let is_live = entry.bindings.0.iter().any(|one| one.expires_at > now);
        let place = Place { file: number, offset, length, sequence: entry.sequence, is_live };
        if places.get(&entry.account).is_none_or(|known| known.sequence <= place.sequence) {
            places.insert(entry.account, place);
        }
    }
    Ok(places)
}

/// Copies records into a new file, safe from a power cut but for its name. Returns its length.
fn write(path: &Path, files: &[&JournalFile], places: &[Place]) -> io::Result<u64> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut out = BufWriter::new(crate::options::private(&mut options).open(path)?);
    out.write_all(MAGIC)?;
    let mut length = MAGIC.len() as u64;
    for of_file in places.chunk_by(|one, next| one.file == next.file) {
        let Some(file) = of_file.first().and_then(|place| files.get(place.file)) else { continue };
        let mut reader = BufReader::new(File::open(&file.path)?);
        let mut at = 0;
        for place in of_file {
            reader.seek_relative((place.offset - at) as i64)?;
            let copied = io::copy(&mut reader.by_ref().take(place.length), &mut out)?;
            if copied < place.length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at = place.offset + place.length;
            length += place.length;
        }
    }
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(length)
}

/// No file of the journal by its name, so that nobody reads it.
const UNFINISHED: &str = "bindings.unfinished";

#[cfg(test)]
mod tests;
