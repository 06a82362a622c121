//! Characters and small pieces of the grammar (RFC 3261 §25.1). Scanners work on plain slices and report the
//! offset of the first byte they cannot accept.

use std::fmt::{self, Write};
use std::ops::Range;

const TOKEN: u8 = 1;
const HOST: u8 = 2;
const USER: u8 = 4;
const URI_PARAM: u8 = 8;
const URI: u8 = 16;
const VALUE: u8 = 32;
const UNRESERVED: u8 = 64;

const CLASSES: [u8; 256] = classes();

const fn contains(set: &[u8], byte: u8) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == byte {
            return true;
        }
        i += 1;
    }
    false
}

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        let alphanumeric = byte.is_ascii_alphanumeric();
        let visible = byte > 0x20 && byte < 0x7f;
        let mut class = 0;
        if alphanumeric || contains(b"-.!%*_+`'~", byte) {
            class |= TOKEN;
        }
        if alphanumeric || contains(b"-._", byte) {
            class |= HOST;
        }
        if alphanumeric || contains(b"-_.!~*'()", byte) {
            class |= UNRESERVED;
        }
        // `#` must be escaped by the RFC, but phones dial it as it is.
        if alphanumeric || contains(b"-_.!~*'()%&=+$,;?/#", byte) {
            class |= USER;
        }
        if visible && !contains(b"<>\"", byte) {
            class |= URI;
            if !contains(b";?", byte) {
                class |= URI_PARAM;
            }
            if !contains(b";,?\\", byte) {
                class |= VALUE;
            }
        }
        table[i] = class;
        i += 1;
    }
    table
}

const fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

#[inline]
fn run(bytes: &[u8], from: usize, class: u8) -> usize {
    let mut at = from;
    while bytes.get(at).is_some_and(|byte| is(*byte, class)) {
        at += 1;
    }
    at
}

/// The end of the token that starts at `from`; `from` itself if there is none.
pub(crate) fn token(bytes: &[u8], from: usize) -> usize {
    run(bytes, from, TOKEN)
}

pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token(bytes, 0) == bytes.len()
}

/// The end of the host characters (of a name or IPv4 address) that start at `from`.
pub(crate) fn host(bytes: &[u8], from: usize) -> usize {
    run(bytes, from, HOST)
}

/// The end of the characters a user part may hold.
pub(crate) fn user(bytes: &[u8], from: usize) -> usize {
    run(bytes, from, USER)
}

/// The end of the characters a URI parameter may hold, `=` among them.
pub(crate) fn uri_param(bytes: &[u8], from: usize) -> usize {
    run(bytes, from, URI_PARAM)
}

/// The end of the characters that may stand in any URI.
pub(crate) fn uri(bytes: &[u8], from: usize) -> usize {
    run(bytes, from, URI)
}

/// The end of an unquoted parameter value.
pub(crate) fn value(bytes: &[u8], from: usize) -> usize {
    run(bytes, from, VALUE)
}

pub(crate) fn is_unreserved(byte: u8) -> bool {
    is(byte, UNRESERVED)
}

/// SP, HT, or part of a fold.
pub(crate) const fn is_lws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[inline]
pub(crate) fn skip_lws(bytes: &[u8], from: usize) -> usize {
    // Nearly always there is none.
    match bytes.get(from) {
        Some(byte) if is_lws(*byte) => skip_some_lws(bytes, from),
        _ => from,
    }
}

#[cold]
fn skip_some_lws(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| !is_lws(*byte)).unwrap_or(rest.len())
}

/// `range` without the white space at both its ends.
pub(crate) fn trim(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let Range { mut start, end } = range;
    let end = end.min(bytes.len());
    while start < end && is_lws(bytes[start]) {
        start += 1;
    }
    trim_end(bytes, start..end)
}

/// `range` without the white space at its end.
pub(crate) fn trim_end(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let mut end = range.end;
    while end > range.start && is_lws(bytes[end - 1]) {
        end -= 1;
    }
    range.start..end
}

pub(crate) fn trimmed(bytes: &[u8]) -> &[u8] {
    &bytes[trim(bytes, 0..bytes.len())]
}

/// Digits only; a number too large saturates.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

/// The offset behind the closing quote of the quoted string that opens at `from`.
pub(crate) fn quoted_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut i = from + 1;
    loop {
        i += memchr::memchr2(b'"', b'\\', bytes.get(i..)?)?;
        if bytes[i] == b'"' {
            return Some(i + 1);
        }
        i += 2;
    }
}

/// Undoes the quotes and the `\` escapes of a quoted string; other text is returned as it is.
pub(crate) fn unquote(bytes: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let Some(inside) = strip_quotes(bytes) else { return bytes.into() };
    if memchr::memchr(b'\\', inside).is_none() {
        return inside.into();
    }
    let mut out = Vec::with_capacity(inside.len());
    let mut rest = inside.iter();
    while let Some(byte) = rest.next() {
        out.push(if *byte == b'\\' { *rest.next().unwrap_or(&b'\\') } else { *byte });
    }
    out.into()
}

/// [`unquote`] for text; `None` if it is not UTF-8.
pub(crate) fn unquoted_text(bytes: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    use std::borrow::Cow;
    match unquote(bytes) {
        Cow::Borrowed(value) => std::str::from_utf8(value).ok().map(Cow::from),
        Cow::Owned(value) => String::from_utf8(value).ok().map(Cow::from),
    }
}

pub(crate) fn strip_quotes(bytes: &[u8]) -> Option<&[u8]> {
    (bytes.len() >= 2).then(|| bytes.strip_prefix(b"\"")?.strip_suffix(b"\"")).flatten()
}

/// Puts text in quotes, escaping what must be.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// The values of a header that are separated by commas outside quotes and `<>`. Yields trimmed ranges; empty
/// ones too, unless the header is empty altogether.
pub(crate) struct Values<'a> {
    bytes: &'a [u8],
    at: Option<usize>,
}

impl<'a> Values<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Values<'a> {
        Values { bytes, at: (!trimmed(bytes).is_empty()).then_some(0) }
    }
}

impl Iterator for Values<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at?;
        let mut i = start;
        let end = loop {
            let Some(step) = memchr::memchr3(b',', b'"', b'<', &self.bytes[i..]) else {
                break None;
            };
            i += step;
            let after = match self.bytes[i] {
                b',' => break Some(i),
                b'"' => quoted_end(self.bytes, i),
                _ => memchr::memchr(b'>', &self.bytes[i..]).map(|step| i + step + 1),
            };
            // An unclosed quote or bracket swallows the rest of this header, never more.
            match after {
                Some(after) => i = after,
                None => break None,
            }
        };
        self.at = end.map(|end| end + 1);
        Some(trim(self.bytes, start..end.unwrap_or(self.bytes.len())))
    }
}

/// Writes bytes as text, folds and stray line ends as spaces.
pub(crate) fn write_unfolded(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let text = String::from_utf8_lossy(bytes);
    if memchr::memchr2(b'\r', b'\n', bytes).is_none() {
        return f.write_str(&text);
    }
    text.chars().try_for_each(|c| f.write_char(if matches!(c, '\r' | '\n') { ' ' } else { c }))
}

/// Appends text to bytes, CR and LF as spaces, so that no value can end its line.
pub(crate) struct OneLine<'a>(pub(crate) &'a mut Vec<u8>);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = self.0.len();
        self.0.extend_from_slice(text.as_bytes());
        if memchr::memchr2(b'\r', b'\n', text.as_bytes()).is_some() {
            for byte in &mut self.0[start..] {
                if matches!(byte, b'\r' | b'\n') {
                    *byte = b' ';
                }
            }
        }
        Ok(())
    }
}

/// Appends a value's text to bytes as one line.
pub(crate) fn append(out: &mut Vec<u8>, value: impl fmt::Display) {
    // Writing to memory does not fail; a `Display` that does leaves what it has written.
    let _ = write!(OneLine(out), "{value}");
}

/// Undoes `%XX` in bytes; what is not an escape stays.
pub(crate) fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        match percent_escape(bytes, i) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    out
}

/// The octet of the `%XX` at `at`, if one stands there.
pub(crate) fn percent_escape(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low, ..] = *bytes.get(at..)? else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Appends bytes, all but unreserved characters and those of `also` as `%XX`.
pub(crate) fn percent_encode(out: &mut String, bytes: &[u8], also: &[u8]) {
    for byte in bytes {
        if is_unreserved(*byte) || also.contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
