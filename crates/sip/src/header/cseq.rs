//! CSeq (RFC 3261 §20.16).

use crate::{Method, Name, ParseErrorKind, lex};
use std::fmt;

/// A sequence number and the method it counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// The number.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// The number and the method's bytes.
pub(crate) fn scan(value: &[u8]) -> Result<(u32, &[u8]), ParseErrorKind> {
    let malformed = ParseErrorKind::Malformed(Name::CSeq);
    let (number, rest) = leading_number(value).ok_or(malformed)?;
    let method = &rest[lex::skip_lws(rest, 0)..];
    if method.len() == rest.len() || !lex::is_token(method) {
        return Err(malformed);
    }
    Ok((u32::try_from(number).map_err(|_| ParseErrorKind::OutOfRange(Name::CSeq))?, method))
}

/// The digits that a value starts with, and what follows them.
pub(crate) fn leading_number(value: &[u8]) -> Option<(u64, &[u8])> {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    Some((lex::number(&value[..digits])?, &value[digits..]))
}
