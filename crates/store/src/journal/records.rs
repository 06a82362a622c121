//! The records of a file, one after the other. A damaged one hides none that follow it.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;

use super::record::{HEAD, LONGEST, Record, is_cut_off, length_of, stated_length};

/// A file that is read from front to back; a small part of it is in memory.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    path: &'a Path,
    file: File,
    /// What was read; its first `passed` octets are done with.
    buffer: Vec<u8>,
    passed: usize,
    /// What is left of the file.
    rest: Range<u64>,
}

impl<'a> Records<'a> {
    /// The records in this part of the file, from where the file is read next.
    pub(crate) fn new(path: &'a Path, file: File, rest: Range<u64>) -> Self {
        Self { path, file, buffer: Vec::new(), passed: 0, rest }
    }

    /// Calls `take` with each record: where it begins, its octets, and what it says. Returns whether something is
    /// damaged. Half a record at the end is not, nor are zeroes: a crash leaves them of what was not answered.
    pub(crate) fn each(mut self, mut take: impl FnMut(u64, &[u8], Record<'_>)) -> io::Result<bool> {
        let mut is_damaged = false;
        while !self.rest.is_empty() {
            let offset = self.rest.start;
            let octets = self.candidate(0)?;
            if let Some(record) = Record::read(octets) {
                take(offset, octets, record);
                let length = octets.len();
                self.pass(length);
            } else {
                is_damaged |= self.resume()?;
            }
        }
        Ok(is_damaged)
    }

    /// Goes on at the next record. Returns whether what it has passed over is damaged.
    fn resume(&mut self) -> io::Result<bool> {
        let offset = self.rest.start;
        let is_cut_off = self.is_cut_off()?;
        let mut is_blank = true;
        if let Some(length) = self.end_of_damaged()? {
            is_blank = false;
            self.pass(length);
        } else {
            // Whatever its length says, the next record is the next whose checksum is right.
            loop {
                is_blank &= self.ahead(1)? == [0];
                self.pass(1);
                if self.rest.is_empty() || Record::read(self.candidate(0)?).is_some() {
                    break;
                }
            }
        }
        let is_damaged = !(is_blank || is_cut_off && self.rest.is_empty());
        if is_damaged {
            let (path, octets) = (self.path.display(), self.rest.start - offset);
            tracing::error!(%path, offset, octets, "a part of the journal is damaged and left out");
        }
        Ok(is_damaged)
    }

    /// The length of a damaged record, if that is right: a record, or the end of the file, lies behind it. Tried
    /// first, so that what looks like a record within one is none.
    fn end_of_damaged(&mut self) -> io::Result<Option<usize>> {
        let Some(length) = stated_length(self.ahead(HEAD)?).filter(|length| *length > HEAD) else {
            return Ok(None);
        };
        let left = self.rest.end - self.rest.start;
        let is_right = length <= LONGEST
            && (length as u64 == left
                || (length as u64) < left && Record::read(self.candidate(length)?).is_some());
        Ok(is_right.then_some(length))
    }

    /// Whether all that is left is half a record.
    fn is_cut_off(&mut self) -> io::Result<bool> {
        let left = self.rest.end - self.rest.start;
        let fits = stated_length(self.ahead(HEAD)?).is_some_and(|length| length as u64 <= left);
        Ok(!fits && left <= LONGEST as u64 && is_cut_off(self.ahead(LONGEST)?))
    }

    /// The octets of the record that seems to begin after `skip` more; none if none does.
    fn candidate(&mut self, skip: usize) -> io::Result<&[u8]> {
        let head = self.ahead(skip + HEAD + 1)?;
        let length = head.get(skip..).and_then(length_of).unwrap_or(0);
        Ok(self.ahead(skip + length)?.get(skip..).unwrap_or_default())
    }

    /// The next octets: so many, or all that are left.
    fn ahead(&mut self, length: usize) -> io::Result<&[u8]> {
        let left = self.rest.end - self.rest.start;
        let at_most = |length: usize| usize::try_from(left).map_or(length, |left| length.min(left));
        let length = at_most(length);
        if self.buffer.len() - self.passed < length {
            self.buffer.drain(..self.passed);
            self.passed = 0;
            let known = self.buffer.len();
            self.buffer.resize(at_most(length.max(BLOCK)), 0);
            self.file.read_exact(&mut self.buffer[known..])?;
        }
        Ok(&self.buffer[self.passed..self.passed + length])
    }

    fn pass(&mut self, length: usize) {
        self.passed += length;
        self.rest.start += length as u64;
    }
}

/// Octets that are read at once.
const BLOCK: usize = 1 << 17;

#[cfg(test)]
mod tests;
