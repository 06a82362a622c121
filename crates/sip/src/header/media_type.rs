//! Content-Type and Accept (RFC 3261 §20.15, §20.1).

use super::params::{self, Params};
use crate::{Text, lex};
use bytes::Bytes;
use std::fmt;

/// A media type or range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype` as written, without white space.
    pub essence: Text,
    /// The parameters.
    pub params: Params,
}

impl MediaType {
    /// Whether it is this `type/subtype`, without regard to case and parameters.
    pub fn is(&self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }

    /// Whether this range (`*/*`, `type/*` or exact) covers `essence`.
    pub fn covers(&self, essence: &str) -> bool {
        match self.essence.split_once('/') {
            Some(("*", "*")) => true,
            Some((kind, "*")) => {
                essence.split('/').next().is_some_and(|other| kind.eq_ignore_ascii_case(other))
            }
            _ => self.is(essence),
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.essence, self.params)
    }
}

pub(crate) fn read(bytes: Bytes) -> Result<MediaType, usize> {
    let kind_end = lex::token(&bytes, 0);
    let slash = lex::skip_lws(&bytes, kind_end);
    if kind_end == 0 || bytes.get(slash) != Some(&b'/') {
        return Err(slash);
    }
    let subtype = lex::skip_lws(&bytes, slash + 1);
    let end = lex::token(&bytes, subtype);
    if end == subtype {
        return Err(subtype);
    }
    params::scan(&bytes, end)?;
    let essence = if subtype == kind_end + 1 {
        Text::found(bytes.slice(..end))
    } else {
        let parts = [&bytes[..kind_end], b"/", &bytes[subtype..end]].concat();
        Text::found(parts.into())
    };
    Ok(MediaType { essence, params: Params::found(bytes.slice(end..)) })
}
