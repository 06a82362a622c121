//! Makes one file of those that no journal writes any more. Records are copied as they lie on the disk.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use super::file::{JournalFile, MAGIC};
use super::record::Record;

/// Files that are to become one.
#[derive(Debug)]
pub(crate) struct Merge {
    /// All that no journal writes any more, with their lengths.
    pub(crate) closed: Vec<(JournalFile, u64)>,
    /// The result: a new file.
    pub(crate) result: JournalFile,
    /// No entry with a smaller number is in another file, or will be.
    pub(crate) floor: u64,
    /// Unix seconds.
    pub(crate) now: u64,
    /// What would be saved must be more octets than this, and more than are left. `None` if it is done anyway.
    pub(crate) least: Option<u64>,
}

/// What a merge left.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// How many octets of the closed files count.
    pub(crate) live: u64,
    /// The generations of those that cannot be read now; they stay.
    pub(crate) unreadable: Vec<u64>,
}

/// Where the newest entry of an account is. Entries stay on the disk: there may be many.
#[derive(Clone, Copy, Debug)]
struct Place {
    sequence: u64,
    offset: u64,
    length: u32,
    /// The place of its file in the list.
    file: u32,
    /// It has a binding that is not over.
    is_live: bool,
    /// There are older entries.
    hides: bool,
}

/// What is in the closed files.
#[derive(Debug, Default)]
struct Index {
    /// By account. No texts: a hundred thousand of them would leave holes in the memory of the process.
    places: HashMap<[u64; 2], Place>,
    /// Makes 128 bits of an account, which nobody can foresee: two accounts are confused far less likely than a
    /// damaged record has the right checksum.
    hashers: [RandomState; 2],
    readable: Vec<JournalFile>,
    /// Which of them have something in them that cannot be read.
    damaged: Vec<JournalFile>,
    unreadable: Vec<u64>,
    /// The length of all that can be read.
    octets: u64,
}

impl Merge {
    /// Merges the files, if that is worth it. A crash at any point loses nothing and brings nothing back: until the
    /// result is complete they all stay. What says that a binding is gone is dropped only if the binding is in no
    /// file when the merge begins.
    ///
    /// # Errors
    /// If the result cannot be written, or a file not be removed.
    pub(crate) fn run(&self) -> io::Result<Merged> {
        // The removal of those that were merged before is safe from a power cut from here on.
        self.result.sync_name()?;
        let index = Index::of(&self.closed, self.now);
        let is_kept = |place: &&Place| {
            place.is_live || place.hides || place.sequence > self.floor || !index.unreadable.is_empty()
        };
        let mut kept: Vec<Place> = index.places.values().filter(is_kept).copied().collect();
        let live = kept.iter().map(|place| u64::from(place.length)).sum();
        let merged = Merged { live, unreadable: index.unreadable };
        if self.least.is_some_and(|least| !is_worth_it(index.octets, live, least)) {
            return Ok(merged);
        }
        drop(index.places);
        kept.sort_unstable_by_key(|place| (place.file, place.offset));
        if !kept.is_empty() {
            self.write(&index.readable, &kept)?;
        }
        for file in &index.readable {
            if index.damaged.contains(file) {
                let path = file.set_aside()?;
                tracing::error!(path = %path.display(), "a damaged file of the journal is kept aside");
            } else {
                fs::remove_file(&file.path)?;
            }
        }
        Ok(merged)
    }

    /// Gives the result its name when it is complete and safe from a power cut.
    fn write(&self, files: &[JournalFile], places: &[Place]) -> io::Result<()> {
        let new = self.result.path.with_file_name(UNFINISHED);
        copy(&new, files, places).and_then(|()| fs::rename(&new, &self.result.path)).inspect_err(|_| {
            // It is overwritten at the next attempt; until then its room is needed.
            let _ = fs::remove_file(&new);
        })?;
        self.result.sync_name()
    }
}

/// Whether it is worth it to write the octets that are `live` once more to get rid of the others, which must be more
/// than those and more than `least`.
pub(crate) fn is_worth_it(octets: u64, live: u64, least: u64) -> bool {
    octets.saturating_sub(live) > live.max(least)
}

impl Index {
    fn of(closed: &[(JournalFile, u64)], now: u64) -> Self {
        let mut unreadable = Vec::new();
        loop {
            match Self::without(&unreadable, closed, now) {
                Ok(index) => return Self { unreadable, ..index },
                Err(file) => unreadable.push(file),
            }
        }
    }

    /// The error is a file that cannot be read: nothing of what it says may count.
    fn without(unreadable: &[u64], closed: &[(JournalFile, u64)], now: u64) -> Result<Self, u64> {
        let mut index = Self::default();
        for (file, length) in closed.iter().filter(|(file, _)| !unreadable.contains(&file.generation)) {
            let number = index.readable.len() as u32;
            let is_damaged = file
                .read(|offset, octets, record| index.add(number, offset, octets.len() as u32, &record, now))
                .map_err(|error| {
                    tracing::error!(path = %file.path.display(), %error, "a journal cannot be read and is kept");
                    file.generation
                })?;
            index.damaged.extend(is_damaged.then(|| file.clone()));
            index.readable.push(file.clone());
            index.octets += length;
        }
        Ok(index)
    }

    fn add(&mut self, file: u32, offset: u64, length: u32, record: &Record<'_>, now: u64) {
        let is_live = record.until > now;
        let mut place = Place { sequence: record.sequence, offset, length, file, is_live, hides: false };
        match self.places.entry(self.hashers.each_ref().map(|hasher| hasher.hash_one(record.account))) {
            Occupied(mut known) if known.get().sequence > place.sequence => known.get_mut().hides = true,
            Occupied(mut known) => {
                place.hides = known.get().hides || known.get().sequence < place.sequence;
                known.insert(place);
            }
            Vacant(vacant) => drop(vacant.insert(place)),
        }
    }
}

/// Copies records into a new file, safe from a power cut but for its name.
fn copy(path: &Path, files: &[JournalFile], places: &[Place]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut out = BufWriter::with_capacity(BLOCK, crate::options::private(&mut options).open(path)?);
    out.write_all(MAGIC)?;
    let mut record = Vec::new();
    for of_file in places.chunk_by(|one, next| one.file == next.file) {
        let Some(file) = of_file.first().and_then(|place| files.get(place.file as usize)) else { continue };
        let mut reader = BufReader::with_capacity(BLOCK, File::open(&file.path)?);
        let mut at = 0;
        for place in of_file {
            reader.seek_relative((place.offset - at) as i64)?;
            record.resize(place.length as usize, 0);
            reader.read_exact(&mut record)?;
            out.write_all(&record)?;
            at = place.offset + u64::from(place.length);
        }
    }
    out.flush()?;
    out.get_ref().sync_all()
}

/// No file of the journal by its name, so that nobody reads it.
const UNFINISHED: &str = "bindings.unfinished";
/// Octets that are read and written at once.
const BLOCK: usize = 1 << 17;

#[cfg(test)]
mod tests;
