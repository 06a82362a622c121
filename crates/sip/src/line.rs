//! Cuts the header section into logical lines, folds included.

use crate::{Name, lex};
use std::ops::Range;

/// Where one header field stands in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub(crate) name: Name,
    /// The first byte of the line.
    pub(crate) start: u32,
    pub(crate) value: u32,
    pub(crate) value_end: u32,
    /// Behind the line end.
    pub(crate) end: u32,
}

impl FieldSpan {
    /// The span of the last line of `bytes`, which ends in CRLF.
    pub(crate) fn of_last_line(bytes: &[u8], name: Name, start: usize) -> FieldSpan {
        let colon = lex::skip_lws(bytes, lex::token(bytes, start));
        let value = lex::trim(bytes, colon + 1..bytes.len() - 2);
        FieldSpan::of(name, start, value.start, value.end, bytes.len())
    }

    fn of(name: Name, start: usize, value: usize, value_end: usize, end: usize) -> FieldSpan {
        // No message is longer than u32 counts: `parse` and the builders see to that.
        let [start, value, value_end, end] = [start, value, value_end, end].map(|at| at as u32);
        FieldSpan { name, start, value, value_end, end }
    }

    pub(crate) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.value_range()]
    }

    pub(crate) fn value_range(&self) -> Range<usize> {
        self.value as usize..self.value_end as usize
    }

    pub(crate) fn line<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    /// The name as written.
    pub(crate) fn name_text<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        &bytes[start..lex::token(bytes, start)]
    }

    /// The same field in bytes where it stands elsewhere.
    pub(crate) fn moved(mut self, by: isize) -> FieldSpan {
        for at in [&mut self.start, &mut self.value, &mut self.value_end, &mut self.end] {
            *at = (*at as isize + by) as u32;
        }
        self
    }
}

/// What the next logical line is.
pub(crate) enum Line {
    Field(FieldSpan),
    /// The empty line; the body starts here.
    End(usize),
    /// A line that is no header field, at this offset. Reading can go on behind it.
    Bad(usize),
    /// The bytes end first.
    Truncated,
}

/// Reads logical lines from an offset on.
pub(crate) struct Lines<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
    /// Whether a line ended in LF without CR.
    pub(crate) bare_lf: bool,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Lines<'a> {
        Lines { bytes, at, bare_lf: false }
    }

    #[inline(always)]
    pub(crate) fn next(&mut self) -> Line {
        let (bytes, start) = (self.bytes, self.at);
        match bytes[start.min(bytes.len())..] {
            [] | [b'\r'] => return Line::Truncated,
            [b'\n', ..] => {
                self.bare_lf = true;
                return Line::End(start + 1);
            }
            [b'\r', b'\n', ..] => return Line::End(start + 2),
            _ => {}
        }
        let Some(end) = self.logical_end(start) else { return Line::Truncated };
        self.at = end.next;
        if end.stray_cr {
            return Line::Bad(start);
        }
        let (name, colon) = match Name::leading(bytes, start) {
            Some((name, colon)) if name != Name::Other && colon < end.text => (name, colon),
            Some((name, colon)) if colon < end.text && lex::token(bytes, start) == colon => (name, colon),
            _ => match unusual_name(bytes, start..end.text) {
                Some(found) => found,
                None => return Line::Bad(start),
            },
        };
        let value = lex::trim(bytes, colon + 1..end.text);
        Line::Field(FieldSpan::of(name, start, value.start, value.end, end.next))
    }

    /// Finds the line end that no fold follows. A CR without LF is never one: what another element might take
    /// for two lines must not pass as one.
    #[inline]
    fn logical_end(&mut self, start: usize) -> Option<LineEnd> {
        let bytes = self.bytes;
        let (mut from, mut stray_cr) = (start, false);
        loop {
            let text = from + memchr::memchr2(b'\r', b'\n', bytes.get(from..)?)?;
            let next = if bytes[text] == b'\n' {
                self.bare_lf = true;
                text + 1
            } else if bytes.get(text + 1) == Some(&b'\n') {
                text + 2
            } else {
                stray_cr = true;
                from = text + 1;
                continue;
            };
            match bytes.get(next) {
                Some(b' ' | b'\t') => from = next + 1,
                _ => return Some(LineEnd { text, next, stray_cr }),
            }
        }
    }
}

/// The name that is very long or has white space before the colon, and where the colon is.
fn unusual_name(bytes: &[u8], line: Range<usize>) -> Option<(Name, usize)> {
    let colon = line.start + bytes[line.clone()].iter().position(|byte| *byte == b':')?;
    let name_text = &bytes[lex::trim_end(bytes, line.start..colon)];
    let name = Name::parse(name_text);
    // A known name is a token; another must prove it.
    (name != Name::Other || lex::is_token(name_text)).then_some((name, colon))
}

struct LineEnd {
    text: usize,
    next: usize,
    stray_cr: bool,
}

/// The first line: where its text ends and where the next line starts. `None` if it has no end or a stray CR.
pub(crate) fn first_line(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let text = from + memchr::memchr2(b'\r', b'\n', bytes.get(from..)?)?;
    match bytes[text..] {
        [b'\n', ..] => Some((text, text + 1)),
        [_, b'\n', ..] => Some((text, text + 2)),
        _ => None,
    }
}

/// The offset behind the line ends that may come before a message (RFC 3261 §7.5).
pub(crate) fn skip_line_ends(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len())
}
