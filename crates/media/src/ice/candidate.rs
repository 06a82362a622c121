//! Candidates: addresses by which a stream may be reached, and their lines in SDP (RFC 8839 §5.1).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// An address by which RTP may be reached, over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How it was learnt.
    pub kind: CandidateKind,
    /// The address.
    pub address: SocketAddr,
    /// The higher, the better (RFC 8445 §5.1.2).
    pub priority: u32,
    /// Of a reflexive or relayed one: what stands behind it.
    pub related: Option<SocketAddr>,
}

/// How a candidate was learnt (RFC 8445 §5.1.1), best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateKind {
    /// The port's own address.
    Host,
    /// As the other side has seen it in a check.
    PeerReflexive,
    /// As a server has seen it, behind a NAT.
    ServerReflexive,
    /// Of a TURN server.
    Relayed,
}

impl CandidateKind {
    const NAMES: [(&'static str, Self); 4] = [
        ("host", Self::Host),
        ("prflx", Self::PeerReflexive),
        ("srflx", Self::ServerReflexive),
        ("relay", Self::Relayed),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("host", |(name, _)| name)
    }

    /// The recommended values (RFC 8445 §5.1.2.2), for the only address and the only component.
    pub(super) const fn priority(self) -> u32 {
        let preference: u32 = match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        };
        preference << 24 | 0xffff << 8 | 255
    }
}

impl Candidate {
    /// One of ours.
    #[must_use]
    pub const fn new(kind: CandidateKind, address: SocketAddr, related: Option<SocketAddr>) -> Self {
        Self { kind, address, priority: kind.priority(), related }
    }
}

/// Prints the attribute's value.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Those of one kind share the base and the server, and so the foundation (RFC 8445 §5.1.1.3).
        let (foundation, address) = (self.kind as u8 + 1, self.address);
        write!(f, "{foundation} 1 UDP {} {} {}", self.priority, address.ip(), address.port())?;
        write!(f, " typ {}", self.kind.name())?;
        match self.related {
            Some(related) => write!(f, " raddr {} rport {}", related.ip(), related.port()),
            None => Ok(()),
        }
    }
}

/// Reads the attribute's value. `Err`: it is none, or of another component or transport, or names a host.
impl FromStr for Candidate {
    type Err = ();

    fn from_str(value: &str) -> Result<Self, ()> {
        let words: Vec<&str> = value.split_ascii_whitespace().take(WORDS).collect();
        let [_, "1", transport, priority, ip, port, "typ", kind, rest @ ..] = &words[..] else {
            return Err(());
        };
        let kind = CandidateKind::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)).ok_or(())?;
        let address = |ip: &str, port: &str| -> Option<SocketAddr> {
            Some(SocketAddr::new(ip.parse::<IpAddr>().ok()?.to_canonical(), port.parse().ok()?))
        };
        let own = address(ip, port).filter(|own| own.port() != 0 && !own.ip().is_unspecified()).ok_or(())?;
        let priority = priority.parse().ok().filter(|priority| *priority > 0).ok_or(())?;
        let related = match rest {
            ["raddr", ip, "rport", port, ..] => address(ip, port),
            _ => None,
        };
        let is_udp = transport.eq_ignore_ascii_case("udp");
        is_udp.then_some(Self { kind: kind.1, address: own, priority, related }).ok_or(())
    }
}

/// More words of a line say nothing that we ask for.
const WORDS: usize = 12;
