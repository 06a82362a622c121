//! sip, sips and tel URIs (RFC 3261 §19.1, RFC 3966) and their comparison.

mod compare;
mod sip;
mod tel;

#[cfg(test)]
mod tests;

pub use sip::SipUri;
pub use tel::TelUri;

use crate::{ParseError, ParseErrorKind, Text, lex};
use bytes::Bytes;
use sip::SipSpans;
use std::fmt;

/// A URI. `==` and hashing go by text; see [`Uri::equivalent`] for the rules of the RFCs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:`.
    Tel(TelUri),
    /// Any other scheme, kept as text.
    Other(OtherUri),
}

impl Uri {
    /// Reads a URI, sharing the bytes.
    pub fn parse(bytes: Bytes) -> Result<Uri, ParseError> {
        let found = scan(&bytes).map_err(|at| ParseError::new(ParseErrorKind::Uri, at))?;
        Ok(found.of(bytes))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Uri::Sip(uri) => uri.as_str(),
            Uri::Tel(uri) => uri.as_str(),
            Uri::Other(uri) => uri.as_str(),
        }
    }

    /// The sip or sips URI, if it is one.
    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Uri::Sip(uri) => Some(uri),
            Uri::Tel(_) | Uri::Other(_) => None,
        }
    }

    /// The tel URI, if it is one.
    pub fn as_tel(&self) -> Option<&TelUri> {
        match self {
            Uri::Tel(uri) => Some(uri),
            Uri::Sip(_) | Uri::Other(_) => None,
        }
    }

    /// Whether both mean the same: RFC 3261 §19.1.4 for sip and sips, RFC 3966 §4 for tel, text for the rest.
    /// The relation is not transitive.
    pub fn equivalent(&self, other: &Uri) -> bool {
        match (self, other) {
            (Uri::Sip(a), Uri::Sip(b)) => a.equivalent(b),
            (Uri::Tel(a), Uri::Tel(b)) => a.equivalent(b),
            (Uri::Other(a), Uri::Other(b)) => a == b,
            (Uri::Sip(_) | Uri::Tel(_) | Uri::Other(_), _) => false,
        }
    }

    /// The same URI in memory of its own, so that it no longer keeps a receive buffer alive.
    pub fn detach(&self) -> Uri {
        match self {
            Uri::Sip(uri) => Uri::Sip(uri.detach()),
            Uri::Tel(uri) => Uri::Tel(uri.detach()),
            Uri::Other(uri) => Uri::Other(uri.detach()),
        }
    }
}

impl std::str::FromStr for Uri {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Uri, ParseError> {
        Uri::parse(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<SipUri> for Uri {
    fn from(uri: SipUri) -> Uri {
        Uri::Sip(uri)
    }
}

impl From<TelUri> for Uri {
    fn from(uri: TelUri) -> Uri {
        Uri::Tel(uri)
    }
}

impl From<&Uri> for Uri {
    fn from(uri: &Uri) -> Uri {
        uri.clone()
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A URI of another scheme, opaque.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherUri {
    text: Text,
}

impl OtherUri {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme as written, without its colon.
    pub fn scheme(&self) -> &str {
        self.as_str().split(':').next().unwrap_or_default()
    }

    /// The same URI in memory of its own.
    pub fn detach(&self) -> OtherUri {
        OtherUri { text: self.text.detach() }
    }
}

impl fmt::Display for OtherUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A URI that was found in bytes, not yet taken out of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UriFound {
    Sip(SipSpans),
    Tel,
    Other,
}

impl UriFound {
    /// The URI, sharing exactly the bytes that were scanned.
    pub(crate) fn of(self, bytes: Bytes) -> Uri {
        match self {
            UriFound::Sip(spans) => Uri::Sip(SipUri::found(bytes, spans)),
            UriFound::Tel => Uri::Tel(TelUri::found(bytes)),
            UriFound::Other => Uri::Other(OtherUri { text: Text::found(bytes) }),
        }
    }
}

/// Checks that all the bytes are one URI.
#[inline(always)]
pub(crate) fn scan(bytes: &[u8]) -> Result<UriFound, usize> {
    let sip_at = match bytes {
        [b's' | b'S', b'i' | b'I', b'p' | b'P', b':', ..] => 4,
        [b's' | b'S', b'i' | b'I', b'p' | b'P', b's' | b'S', b':', ..] => 5,
        _ => return scan_other(bytes),
    };
    sip::scan(bytes, sip_at).map(UriFound::Sip)
}

fn scan_other(bytes: &[u8]) -> Result<UriFound, usize> {
    if let [b't' | b'T', b'e' | b'E', b'l' | b'L', b':', ..] = bytes {
        return tel::scan(bytes, 4).map(|()| UriFound::Tel);
    }
    let colon = memchr::memchr(b':', bytes).ok_or(bytes.len())?;
    let scheme = &bytes[..colon];
    if !scheme.first().is_some_and(u8::is_ascii_alphabetic) {
        return Err(0);
    }
    if let Some(at) = scheme.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte)) {
        return Err(at);
    }
    let end = lex::uri(bytes, colon + 1);
    if end == bytes.len() && end > colon + 1 { Ok(UriFound::Other) } else { Err(end) }
}
