//! What is wrong with received bytes, and where.

use crate::{Name, Status};
use std::fmt;

/// Why bytes are not an acceptable SIP message or value, and at which byte of the message or value. Its
/// `Display` is a phrase fit for the reason of a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Offset of the first byte that could not be accepted, from the start of the parsed bytes.
    pub at: usize,
}

/// The kinds of [`ParseError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Nothing but line ends: a keep-alive (RFC 5626 §4.4.1), to be ignored.
    Empty,
    /// No start line that looks like SIP.
    NotSip,
    /// A request or status line that breaks the grammar (RFC 3261 §7.1, §7.2).
    StartLine,
    /// A version other than SIP/2.0.
    Version,
    /// A Request-URI that breaks the grammar, or has a `?headers` part (RFC 3261 §19.1.1 forbids it there).
    RequestUri,
    /// A Request-URI of a scheme other than sip, sips and tel.
    Scheme,
    /// A status code outside 100–699.
    StatusCode,
    /// The message is larger than the limit.
    TooLarge,
    /// More header fields than the limit.
    TooManyFields,
    /// A header line without a name and colon, or with a stray carriage return.
    HeaderLine,
    /// The bytes end before the empty line that ends the header.
    HeaderEnd,
    /// A mandatory header is not there.
    Missing(Name),
    /// A header that may be there once is there several times.
    Duplicate(Name),
    /// A header's value breaks its grammar.
    Malformed(Name),
    /// A number in a header is too large.
    OutOfRange(Name),
    /// The CSeq method is not the request's.
    MethodMismatch,
    /// The CSeq method is not the request's, and the request's method is unknown (RFC 4475 §3.1.2.18 prefers
    /// 501).
    UnknownMethodMismatch,
    /// Fewer body octets than Content-Length says.
    BodyTooShort,
    /// Not a URI (where one is parsed by itself).
    Uri,
}

impl ParseErrorKind {
    /// The header concerned, where one is.
    pub fn header(self) -> Option<Name> {
        match self {
            ParseErrorKind::Missing(name)
            | ParseErrorKind::Duplicate(name)
            | ParseErrorKind::Malformed(name)
            | ParseErrorKind::OutOfRange(name) => Some(name),
            ParseErrorKind::MethodMismatch | ParseErrorKind::UnknownMethodMismatch => Some(Name::CSeq),
            ParseErrorKind::BodyTooShort => Some(Name::ContentLength),
            _ => None,
        }
    }

    /// The status that answers a request refused for this reason.
    pub fn status(self) -> Status {
        match self {
            ParseErrorKind::Version => Status::VERSION_NOT_SUPPORTED,
            ParseErrorKind::Scheme => Status::UNSUPPORTED_URI_SCHEME,
            ParseErrorKind::TooLarge => Status::MESSAGE_TOO_LARGE,
            ParseErrorKind::UnknownMethodMismatch => Status::NOT_IMPLEMENTED,
            _ => Status::BAD_REQUEST,
        }
    }
}

impl ParseError {
    pub(crate) fn new(kind: ParseErrorKind, at: usize) -> ParseError {
        ParseError { kind, at }
    }

    /// The status that answers a request refused for this reason.
    pub fn status(self) -> Status {
        self.kind.status()
    }
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            ParseErrorKind::Missing(name) => return write!(f, "{name} missing"),
            ParseErrorKind::Duplicate(name) => return write!(f, "{name} given more than once"),
            ParseErrorKind::Malformed(name) => return write!(f, "{name} malformed"),
            ParseErrorKind::OutOfRange(name) => return write!(f, "{name} number out of range"),
            ParseErrorKind::Empty => "Empty message",
            ParseErrorKind::NotSip => "Not a SIP message",
            ParseErrorKind::StartLine => "Start line malformed",
            ParseErrorKind::Version => "SIP version not supported",
            ParseErrorKind::RequestUri => "Request-URI malformed",
            ParseErrorKind::Scheme => "Request-URI scheme not supported",
            ParseErrorKind::StatusCode => "Status code out of range",
            ParseErrorKind::TooLarge => "Message too large",
            ParseErrorKind::TooManyFields => "Too many header fields",
            ParseErrorKind::HeaderLine => "Header line malformed",
            ParseErrorKind::HeaderEnd => "Header has no end",
            ParseErrorKind::MethodMismatch => "CSeq method is not the request's",
            ParseErrorKind::UnknownMethodMismatch => "Method unknown and not the one in CSeq",
            ParseErrorKind::BodyTooShort => "Content-Length larger than the body",
            ParseErrorKind::Uri => "URI malformed",
        };
        f.write_str(text)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for ParseError {}
