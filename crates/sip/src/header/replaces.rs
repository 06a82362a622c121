//! Replaces (RFC 3891 §6.1).

use super::params::{self, Params};
use crate::{Name, ParseError, ParseErrorKind, Text, lex};
use bytes::Bytes;
use std::fmt;

/// The dialog that a new one is to take the place of. Tags are seen from the receiver of the request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replaces {
    /// Call-ID.
    pub call_id: Text,
    /// `to-tag`: the local tag at the receiver.
    pub to_tag: Text,
    /// `from-tag`: the remote tag at the receiver.
    pub from_tag: Text,
    /// Only if the dialog is not yet confirmed.
    pub early_only: bool,
}

impl Replaces {
    /// Reads a value, e.g. the unescaped `Replaces` header of a Refer-To URI.
    pub fn parse(value: Bytes) -> Result<Replaces, ParseError> {
        let malformed = |at| ParseError::new(ParseErrorKind::Malformed(Name::Replaces), at);
        let call_id = lex::trim(&value, 0..memchr::memchr(b';', &value).unwrap_or(value.len()));
        if !crate::parse::is_call_id(&value[call_id.clone()]) {
            return Err(malformed(call_id.start));
        }
        params::scan(&value, call_id.end).map_err(malformed)?;
        let params = Params::found(value.slice(call_id.end..));
        let tag = |name| params.get(name).map(Text::from).ok_or(malformed(value.len()));
        Ok(Replaces {
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: params.has("early-only"),
            call_id: Text::found(value.slice(call_id)),
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only { f.write_str(";early-only") } else { Ok(()) }
    }
}
