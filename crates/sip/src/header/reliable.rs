//! RAck (RFC 3262 §7.2).

use super::cseq::leading_number;
use crate::{Method, lex};
use std::fmt;

/// What a PRACK acknowledges.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RAck {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The CSeq number of the response.
    pub cseq: u32,
    /// The CSeq method of the response.
    pub method: Method,
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.rseq, self.cseq, self.method)
    }
}

pub(crate) fn read(value: &[u8]) -> Option<RAck> {
    let (rseq, rest) = leading_number(value)?;
    let (cseq, method) = leading_number(lex::trimmed(rest))?;
    let spaced = |text: &[u8]| text.first().is_some_and(|byte| lex::is_lws(*byte));
    if !spaced(rest) || !spaced(method) {
        return None;
    }
    let method = Method::parse(lex::trimmed(method))?;
    Some(RAck { rseq: u32::try_from(rseq).ok()?, cseq: u32::try_from(cseq).ok()?, method })
}
