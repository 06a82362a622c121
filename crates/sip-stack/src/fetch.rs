//! A file that somebody names by an `https` address, as its adapter answers.

use std::fmt;

/// Why it could not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// There was no answer in time.
    Silent,
    /// Too many are being fetched.
    Busy,
    /// The address leads to a network that is not asked.
    Refused,
    /// The name is not in the DNS.
    NoSuchHost,
    /// There is no connection, or the server does not prove its name.
    Unreachable,
    /// The server says something else than 200.
    Status(u16),
    /// It is longer than it may be.
    TooLong,
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "its server does not answer",
            Self::Busy => "too many are being fetched",
            Self::Refused => "its server is in a network that is not asked",
            Self::NoSuchHost => "the DNS does not know its server",
            Self::Unreachable => "its server cannot be reached, or is not who it should be",
            Self::Status(code) => return write!(f, "its server answers {code}"),
            Self::TooLong => "it is too long",
        })
    }
}
