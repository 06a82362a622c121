//! What may be asked of the DNS, and what it says (RFC 1035, 2782, 3403); plain data.

use std::fmt;
use std::net::IpAddr;

/// One question. Names are absolute, whether they end in a dot or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// NAPTR records (RFC 3403).
    Naptr(String),
    /// SRV records (RFC 2782).
    Srv(String),
    /// A and AAAA records. An address stands for itself: of it only our own address towards it is asked.
    Addresses(String),
}

impl Question {
    /// The name that is asked about.
    pub fn name(&self) -> &str {
        match self {
            Self::Naptr(name) | Self::Srv(name) | Self::Addresses(name) => name,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Naptr(_) => "NAPTR",
            Self::Srv(_) => "SRV",
            Self::Addresses(_) => "A/AAAA",
        };
        write!(f, "{kind} {}", self.name())
    }
}

/// The answer to one question.
pub type DnsAnswer = Result<Records, DnsFailure>;

/// Records, in no order; never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// To [`Question::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Question::Srv`].
    Srv(Vec<Srv>),
    /// To [`Question::Addresses`].
    Addresses(Vec<Reach>),
}

/// A rule of the Dynamic Delegation Discovery System (RFC 3403 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Lower ones come first, and nothing of a later order is looked at once one fits.
    pub order: u16,
    /// Lower ones come first within an order.
    pub preference: u16,
    /// `s`: the replacement has SRV records; `u`: the expression makes a URI.
    pub flags: String,
    /// Such as `SIP+D2U` or `E2U+sip`.
    pub service: String,
    /// A substitution, where there is no replacement.
    pub regexp: String,
    /// The next name.
    pub replacement: String,
}

/// A server (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower ones come first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// Its name; `.` says that the service is not offered.
    pub target: String,
}

/// An address, and the one of ours from which it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reach {
    /// The peer's.
    pub remote: IpAddr,
    /// Ours, by the routing table.
    pub local: IpAddr,
}

/// Why there are no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DnsFailure {
    /// The name does not exist (NXDOMAIN), or can be none.
    NoSuchName,
    /// The name exists, but has no records of this kind.
    NoRecords,
    /// The domain says that it does not offer the service (RFC 2782, a target of `.`).
    NotOffered,
    /// There is no route to any of its addresses.
    NoRoute,
    /// The servers do not know: SERVFAIL, REFUSED, or an answer that makes no sense.
    ServerFailure,
    /// More questions are under way than may be.
    Busy,
    /// No server has answered in time.
    Silent,
}

impl fmt::Display for DnsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchName => "the DNS knows no such name",
            Self::NoRecords => "the DNS has no address for it",
            Self::NotOffered => "it says in the DNS that it has no SIP",
            Self::NoRoute => "there is no route to its addresses",
            Self::ServerFailure => "the DNS server reports a failure",
            Self::Busy => "too many questions wait for the DNS",
            Self::Silent => "the DNS server does not answer",
        })
    }
}
