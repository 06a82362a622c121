//! Which peers the relay may send to. What the relay's machine can reach and its clients cannot, stays out of reach.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The rule about peers.
#[derive(Clone, Debug)]
pub struct PeerPolicy {
    /// Addresses of this machine, and the one that the world knows it by.
    pub own: Vec<IpAddr>,
    /// Ports of `own` where media is relayed, for calls and for other clients: always allowed.
    pub open: Vec<RangeInclusive<u16>>,
    /// Ports of `own` where the exchange itself listens: never allowed.
    pub shut: Vec<u16>,
    /// Networks of those that are not for everybody (RFC 1918 and the like) that may be reached all the same, and single
    /// addresses of `own` whose other ports may.
    pub allowed: Vec<IpNet>,
}

/// Why a peer may not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// Of the machine itself.
    Loopback,
    /// `0.0.0.0` and what else names nobody.
    Unspecified,
    /// Many at once.
    Multicast,
    /// All at once.
    Broadcast,
    /// Of this link only.
    LinkLocal,
    /// RFC 1918, RFC 4193, RFC 6598.
    Private,
    /// Set aside for no use that a peer could have.
    Reserved,
    /// The exchange itself, where it relays no media.
    Exchange,
}

impl PeerPolicy {
    /// Whether data may be sent to a peer.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, peer: SocketAddr) -> Result<(), Forbidden> {
        let ip = embedded(peer.ip());
        if self.is_own(ip) {
            return self.check_own(ip, peer.port());
        }
        self.check_foreign(ip)
    }

    /// Whether a peer may be reached at any port: the rule for permissions, which know no ports (RFC 8656 §9).
    ///
    /// # Errors
    /// Why not.
    pub fn check_ip(&self, ip: IpAddr) -> Result<(), Forbidden> {
        let ip = embedded(ip);
        // Its media ports are allowed; others are refused when something is sent to them.
        if self.is_own(ip) && !ip.is_loopback() { Ok(()) } else { self.check_foreign(ip) }
    }

    fn check_own(&self, ip: IpAddr, port: u16) -> Result<(), Forbidden> {
        if self.shut.contains(&port) {
            return Err(Forbidden::Exchange);
        }
        if ip.is_loopback() {
            return self.check_foreign(ip);
        }
        let open =
            self.open.iter().any(|ports| ports.contains(&port)) || self.allowed.contains(&IpNet::from(ip));
        if open { Ok(()) } else { Err(Forbidden::Exchange) }
    }

    fn check_foreign(&self, ip: IpAddr) -> Result<(), Forbidden> {
        let Some((network, why)) = closed(ip) else { return Ok(()) };
        if can_be_opened(why) && self.names(ip, network) { Ok(()) } else { Err(why) }
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        self.own.contains(&ip) || ip.is_loopback()
    }

    /// Whether an allowed network has this address. Everything at once (`0.0.0.0/0`) opens nothing that is closed.
    fn names(&self, ip: IpAddr, within: IpNet) -> bool {
        self.allowed.iter().any(|net| net.contains(&ip) && within.contains(net))
    }
}

/// Whether naming this network opens anything: it is part of one that is closed, and can be opened.
#[must_use]
pub fn opens(network: &IpNet) -> bool {
    closed(network.network()).is_some_and(|(whole, why)| can_be_opened(why) && whole.contains(network))
}

const fn can_be_opened(why: Forbidden) -> bool {
    match why {
        Forbidden::Loopback | Forbidden::LinkLocal | Forbidden::Private => true,
        Forbidden::Unspecified
        | Forbidden::Multicast
        | Forbidden::Broadcast
        | Forbidden::Reserved
        | Forbidden::Exchange => false,
    }
}

/// The network that an address is in and that is not for everybody.
fn closed(ip: IpAddr) -> Option<(IpNet, Forbidden)> {
    match ip {
        IpAddr::V4(ip) => {
            let of = CLOSED_V4.iter().find(|(net, _)| net.contains(&ip));
            of.map(|(net, why)| (IpNet::V4(*net), *why))
        }
        IpAddr::V6(ip) => {
            let of = CLOSED_V6.iter().find(|(net, _)| net.contains(&ip));
            of.map(|(net, why)| (IpNet::V6(*net), *why))
        }
    }
}

/// The address that a datagram to `ip` ends at: IPv4 in any of its disguises (RFC 4291 §2.5.5.2, RFC 6052, RFC 3056).
fn embedded(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip.to_canonical() else { return ip.to_canonical() };
    let bytes = v6.octets();
    let at = match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => 12,
        [0x2002, ..] => 2,
        _ => return v6.into(),
    };
    let mut v4 = [0; 4];
    v4.copy_from_slice(&bytes[at..at + 4]);
    Ipv4Addr::from(v4).into()
}

impl Forbidden {
    /// The reason phrase.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Forbidden::Loopback => "Forbidden: a loopback address",
            Forbidden::Unspecified => "Forbidden: an address of nobody",
            Forbidden::Multicast => "Forbidden: a multicast address",
            Forbidden::Broadcast => "Forbidden: a broadcast address",
            Forbidden::LinkLocal => "Forbidden: a link-local address",
            Forbidden::Private => "Forbidden: a private network",
            Forbidden::Reserved => "Forbidden: a reserved address",
            Forbidden::Exchange => "Forbidden: a port of the exchange",
        }
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(first: u16, last: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last), bits)
}

/// RFC 6890 and RFC 5771; the first that fits counts.
const CLOSED_V4: [(Ipv4Net, Forbidden); 11] = [
    (v4(0, 0, 0, 0, 8), Forbidden::Unspecified),
    (v4(127, 0, 0, 0, 8), Forbidden::Loopback),
    (v4(169, 254, 0, 0, 16), Forbidden::LinkLocal),
    (v4(10, 0, 0, 0, 8), Forbidden::Private),
    (v4(172, 16, 0, 0, 12), Forbidden::Private),
    (v4(192, 168, 0, 0, 16), Forbidden::Private),
    (v4(100, 64, 0, 0, 10), Forbidden::Private),
    (v4(192, 0, 0, 0, 24), Forbidden::Reserved),
    (v4(224, 0, 0, 0, 4), Forbidden::Multicast),
    (v4(255, 255, 255, 255, 32), Forbidden::Broadcast),
    (v4(240, 0, 0, 0, 4), Forbidden::Reserved),
];

const CLOSED_V6: [(Ipv6Net, Forbidden); 7] = [
    (v6(0, 0, 128), Forbidden::Unspecified),
    (v6(0, 1, 128), Forbidden::Loopback),
    // IPv4-compatible addresses, which nobody uses any more (RFC 4291 §2.5.5.1).
    (v6(0, 0, 96), Forbidden::Reserved),
    (v6(0xfe80, 0, 10), Forbidden::LinkLocal),
    (v6(0xfec0, 0, 10), Forbidden::Private),
    (v6(0xfc00, 0, 7), Forbidden::Private),
    (v6(0xff00, 0, 8), Forbidden::Multicast),
];
