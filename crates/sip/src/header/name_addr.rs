//! `name-addr` and `addr-spec` values: From, To, Route and their like (RFC 3261 §20.10).

use super::params::{self, Params};
use crate::uri::{self, UriFound};
use crate::{Name, ParseError, ParseErrorKind, Uri, lex};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A URI with an optional display name and header parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    display_name: Bytes,
    /// The URI.
    pub uri: Uri,
    /// The parameters after the URI, which are not the URI's.
    pub params: Params,
}

impl NameAddr {
    /// `<uri>`.
    pub fn new(uri: impl Into<Uri>) -> NameAddr {
        NameAddr { display_name: Bytes::new(), uri: uri.into(), params: Params::default() }
    }

    /// The same with a display name, given unescaped.
    pub fn with_display_name(mut self, name: &str) -> NameAddr {
        self.display_name = if name.is_empty() { Bytes::new() } else { lex::quote(name).into() };
        self
    }

    /// The same with this parameter, replacing any of its name.
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> NameAddr {
        self.params = self.params.with(name, value);
        self
    }

    /// The same with this tag.
    pub fn with_tag(self, tag: &str) -> NameAddr {
        self.with_param("tag", Some(tag))
    }

    /// The same without its tag.
    pub fn without_tag(mut self) -> NameAddr {
        self.params = self.params.without("tag");
        self
    }

    /// Reads one value, in brackets or bare. In the bare form parameters belong to the header (§20.10).
    pub fn parse(value: Bytes) -> Result<NameAddr, ParseError> {
        let part = lex::trim(&value, 0..value.len());
        let found = scan(&value[part.clone()])
            .map_err(|at| ParseError::new(ParseErrorKind::Malformed(Name::Other), part.start + at))?;
        Ok(found.of(&value, part))
    }

    /// The display name as meant: quotes and escapes undone. Empty if there is none.
    pub fn display_name(&self) -> Cow<'_, [u8]> {
        lex::unquote(&self.display_name)
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }

    /// The `q` parameter in thousandths; `None` if absent or not a qvalue (§25.1).
    pub fn q(&self) -> Option<u16> {
        thousandths(self.params.get("q")?)
    }

    /// The same in memory of its own.
    pub fn detach(&self) -> NameAddr {
        NameAddr {
            display_name: Bytes::copy_from_slice(&self.display_name),
            uri: self.uri.detach(),
            params: self.params.detach(),
        }
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.display_name.is_empty() {
            lex::write_unfolded(f, &self.display_name)?;
            f.write_str(" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

fn thousandths(q: &str) -> Option<u16> {
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    if !matches!(whole, "0" | "1")
        || fraction.len() > 3
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let thousandths = format!("{whole}{fraction:0<3}").parse().ok()?;
    (thousandths <= 1000).then_some(thousandths)
}

/// A `name-addr` or `addr-spec` that was found in bytes.
#[derive(Clone, Copy)]
pub(crate) struct NameAddrFound {
    display_name: usize,
    uri: (usize, usize),
    found: UriFound,
    /// Where the parameters start.
    pub(crate) params: usize,
}

impl NameAddrFound {
    /// The value, sharing the bytes, in a part of which it was found.
    #[inline]
    pub(crate) fn of(self, bytes: &Bytes, part: Range<usize>) -> NameAddr {
        let base = part.start;
        NameAddr {
            display_name: bytes.slice(base..base + self.display_name),
            uri: self.found.of(bytes.slice(base + self.uri.0..base + self.uri.1)),
            params: Params::found(bytes.slice(base + self.params..part.end)),
        }
    }
}

/// Checks that all the bytes are one value.
pub(crate) fn scan(bytes: &[u8]) -> Result<NameAddrFound, usize> {
    let found = scan_address(bytes)?;
    params::scan(bytes, found.params)?;
    Ok(found)
}

/// Reads display name and URI, and not the parameters.
#[inline]
pub(crate) fn scan_address(bytes: &[u8]) -> Result<NameAddrFound, usize> {
    let Places { display_name, uri, params } = places(bytes)?;
    let found = uri::scan(&bytes[uri.0..uri.1]).map_err(|at| uri.0 + at)?;
    Ok(NameAddrFound { display_name, uri, found, params })
}

/// Where the parts of a value stand.
struct Places {
    /// Where it ends.
    display_name: usize,
    uri: (usize, usize),
    /// Where they start.
    params: usize,
}

fn places(bytes: &[u8]) -> Result<Places, usize> {
    if bytes.first() == Some(&b'"') {
        let end = lex::quoted_end(bytes, 0).ok_or(0usize)?;
        let open = lex::skip_lws(bytes, end);
        return if bytes.get(open) == Some(&b'<') { in_brackets(bytes, end, open) } else { Err(open) };
    }
    // A colon before any bracket can only be that of a bare URI's scheme.
    match memchr::memchr2(b'<', b':', bytes) {
        Some(open) if bytes[open] == b'<' => {
            let end = lex::trim(bytes, 0..open).end;
            match display_name_end(&bytes[..end]) {
                at if at == end => in_brackets(bytes, end, open),
                at => Err(at),
            }
        }
        Some(_) => bare(bytes),
        None => Err(bytes.len()),
    }
}

/// The RFC has tokens here; phones write names. What separates values or opens something else is not a name.
fn display_name_end(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| b",;\"\\>".contains(byte) || *byte == 0).unwrap_or(bytes.len())
}

fn in_brackets(bytes: &[u8], display_name: usize, open: usize) -> Result<Places, usize> {
    let start = open + 1;
    let end = start + memchr::memchr(b'>', &bytes[start..]).ok_or(open)?;
    Ok(Places { display_name, uri: (start, end), params: end + 1 })
}

fn bare(bytes: &[u8]) -> Result<Places, usize> {
    let ends = |byte: &u8| matches!(byte, b';' | b',' | b'?') || lex::is_lws(*byte);
    let end = bytes.iter().position(ends).unwrap_or(bytes.len());
    // A URI with a question mark must stand in brackets (§20.10), and what follows must be parameters.
    if matches!(bytes.get(end), Some(b'?' | b',')) {
        return Err(end);
    }
    Ok(Places { display_name: 0, uri: (0, end), params: end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NameAddr, ParseError> {
        NameAddr::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_bare_uri_leaves_its_parameters_to_the_header() {
        let value = read("sip:a@b;tag=x").unwrap();
        assert_eq!((value.uri.as_str(), value.tag()), ("sip:a@b", Some("x")));
        let value = read("<sip:a@b;x=y>;tag=z").unwrap();
        assert_eq!((value.uri.as_str(), value.tag()), ("sip:a@b;x=y", Some("z")));
    }

    #[test]
    fn display_names_are_tokens_quoted_or_almost_anything_phones_write() {
        assert_eq!(&*read("\"A \\\"B\\\\\" <sip:a@b>").unwrap().display_name(), b"A \"B\\");
        assert_eq!(&*read("Anna Bell<sip:a@b>").unwrap().display_name(), b"Anna Bell");
        assert_eq!(&*read("Jörg (home) <sip:a@b>").unwrap().display_name(), "Jörg (home)".as_bytes());
        assert_eq!(&*read("<sip:a@b>").unwrap().display_name(), b"");
    }

    #[test]
    fn doubtful_values_are_refused() {
        for text in [
            "",
            "Bell, Alexander <sip:a@b>",
            "\"open <sip:a@b>",
            "< sip:a@b >",
            "<sip:a@b",
            "sip:a@b?Route=x",
            "sip:a@b, sip:c@d",
            "<sip:a@b> x",
            "<sip:a@b>;;",
            "alice",
            "\"x\"",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn q_reads_in_thousandths() {
        let q = |text: &str| read(&format!("<sip:a@b>;q={text}")).unwrap().q();
        assert_eq!(
            [q("1"), q("0.5"), q("0.333"), q("1.000"), q("0.")].map(Option::unwrap),
            [1000, 500, 333, 1000, 0]
        );
        assert_eq!([q("1.1"), q("2"), q("0.1234"), q("x"), q("0.-1")], [None; 5]);
    }

    #[test]
    fn a_made_value_reads_back() {
        let uri: Uri = "sip:bob@example.com;transport=tcp".parse().unwrap();
        let made = NameAddr::new(uri.clone()).with_display_name("Bob \"the\" <Builder>").with_tag("t1");
        assert_eq!(
            made.to_string(),
            "\"Bob \\\"the\\\" <Builder>\" <sip:bob@example.com;transport=tcp>;tag=t1"
        );
        let back = read(&made.to_string()).unwrap();
        assert_eq!(
            (&back.uri, back.tag(), &*back.display_name()),
            (&uri, Some("t1"), &b"Bob \"the\" <Builder>"[..])
        );
    }
}
