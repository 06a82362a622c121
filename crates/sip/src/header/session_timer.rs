//! Session-Expires (RFC 4028 §4).

use super::cseq::leading_number;
use super::params;
use std::fmt;

/// The session interval and who refreshes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionExpires {
    /// The interval in seconds.
    pub seconds: u32,
    /// Who refreshes, where it is said.
    pub refresher: Option<Refresher>,
}

/// Who refreshes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refresher {
    /// The sender of the request.
    Uac,
    /// The sender of the response.
    Uas,
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

pub(crate) fn read(value: &[u8]) -> Result<SessionExpires, usize> {
    let (seconds, rest) = leading_number(value).ok_or(0usize)?;
    let seconds = u32::try_from(seconds).map_err(|_| 0usize)?;
    params::scan(rest, 0).map_err(|at| value.len() - rest.len() + at)?;
    let refresher = match params::get(rest, "refresher") {
        Some(text) if text.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
        Some(text) if text.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
        // Anything else says nothing (RFC 4028 §4 knows no third).
        Some(_) | None => None,
    };
    Ok(SessionExpires { seconds, refresher })
}
