//! Hosts, ports and transport names, as they stand in URIs and Vias.

use crate::{Text, lex};
use bytes::Bytes;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// A host: a name or an address. Names compare without regard to case.
#[derive(Clone, Debug)]
pub enum Host {
    /// A domain name.
    Name(Text),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, written in brackets.
    V6(Ipv6Addr),
}

impl Host {
    /// Reads a name, a dotted IPv4 address or a bracketed IPv6 address.
    pub fn parse(text: &str) -> Option<Host> {
        let (found, end) = scan_host(text.as_bytes(), 0).ok()?;
        (end == text.len()).then(|| found.of(&Bytes::copy_from_slice(text.as_bytes()), 0))
    }

    /// The address, if it is one. An IPv4-mapped IPv6 address stays IPv6; see `IpAddr::to_canonical`.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(ip) => Some(IpAddr::V4(*ip)),
            Host::V6(ip) => Some(IpAddr::V6(*ip)),
        }
    }

    /// The same host in memory of its own.
    pub fn detach(&self) -> Host {
        match self {
            Host::Name(name) => Host::Name(name.detach()),
            address => address.clone(),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Host {
        match ip {
            IpAddr::V4(ip) => Host::V4(ip),
            IpAddr::V6(ip) => Host::V6(ip),
        }
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            (Host::V4(a), Host::V4(b)) => a == b,
            (Host::V6(a), Host::V6(b)) => a == b,
            (Host::Name(_) | Host::V4(_) | Host::V6(_), _) => false,
        }
    }
}

impl Eq for Host {}

impl std::hash::Hash for Host {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Host::Name(name) => {
                for byte in name.bytes() {
                    state.write_u8(byte.to_ascii_lowercase());
                }
                state.write_u8(0xff);
            }
            Host::V4(ip) => ip.hash(state),
            Host::V6(ip) => ip.hash(state),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(ip) => ip.fmt(f),
            Host::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

/// A host and, where given, a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The port, if one is written.
    pub port: Option<u16>,
}

impl HostPort {
    /// Reads `host` or `host:port`.
    pub fn parse(text: &str) -> Option<HostPort> {
        let (found, port, end) = scan_host_port(text.as_bytes(), 0).ok()?;
        (end == text.len())
            .then(|| HostPort { host: found.of(&Bytes::copy_from_slice(text.as_bytes()), 0), port })
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> HostPort {
        HostPort { host: address.ip().into(), port: Some(address.port()) }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Host::V4(ip) = self.host {
            // The usual case, many times in each message.
            let mut text = Digits::default();
            for (index, octet) in ip.octets().into_iter().enumerate() {
                text.number(if index > 0 { "." } else { "" }, u16::from(octet));
            }
            if let Some(port) = self.port {
                text.number(":", port);
            }
            return f.write_str(text.as_str());
        }
        self.host.fmt(f)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Room for an IPv4 address and a port.
#[derive(Default)]
struct Digits {
    bytes: [u8; 24],
    len: usize,
}

impl Digits {
    fn number(&mut self, before: &str, number: u16) {
        for byte in before.bytes() {
            self.push(byte);
        }
        let mut unit = 10_000;
        while unit > 1 && number < unit {
            unit /= 10;
        }
        while unit > 0 {
            self.push(b'0' + (number / unit % 10) as u8);
            unit /= 10;
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

/// A host that was found in bytes, not yet taken out of them. Its callers see to it that `u32` counts them.
///
/// Words of one size, since it is passed on several times: a processor waits where a value is read in larger
/// pieces than it has just been written in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostFound {
    kind: HostKind,
    start: u32,
    end: u32,
    v4: u32,
}

#[repr(u32)]
#[derive(Clone, Copy, Debug)]
enum HostKind {
    Name,
    V4,
    V6,
}

impl HostFound {
    #[inline]
    fn new(kind: HostKind, start: usize, end: usize, v4: u32) -> HostFound {
        HostFound { kind, start: start as u32, end: end as u32, v4 }
    }

    /// Where its text starts, with the bracket of an IPv6 address, and ends.
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The host, sharing the bytes, in a part of which it was found that starts at `base`.
    #[inline]
    pub(crate) fn of(self, bytes: &Bytes, base: usize) -> Host {
        let range = base + self.start as usize..base + self.end as usize;
        match self.kind {
            HostKind::Name => Host::Name(Text::found(bytes.slice(range))),
            HostKind::V4 => Host::V4(self.v4.into()),
            HostKind::V6 => Host::V6(v6(&bytes[range]).unwrap_or(Ipv6Addr::UNSPECIFIED)),
        }
    }
}

fn v6(bracketed: &[u8]) -> Option<Ipv6Addr> {
    let text = bracketed.strip_prefix(b"[")?.strip_suffix(b"]")?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Finds the host that starts at `from` and where it ends.
#[inline(always)]
pub(crate) fn scan_host(bytes: &[u8], from: usize) -> Result<(HostFound, usize), usize> {
    if bytes.get(from) == Some(&b'[') {
        let end = from + memchr::memchr(b']', &bytes[from..]).ok_or(from)? + 1;
        v6(&bytes[from..end]).ok_or(from)?;
        return Ok((HostFound::new(HostKind::V6, from, end, 0), end));
    }
    if let Some((ip, end)) = scan_ipv4(bytes, from) {
        return Ok((HostFound::new(HostKind::V4, from, end, ip), end));
    }
    let end = lex::host(bytes, from);
    let text = &bytes[from.min(end)..end];
    // All digits and dots is an address or nothing (`2001:db8::10` without brackets gets here with `2001`).
    if text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return Err(from);
    }
    Ok((HostFound::new(HostKind::Name, from, end, 0), end))
}

/// Four decimal numbers without leading zeros, which some would read as octal, and where they end.
fn scan_ipv4(bytes: &[u8], from: usize) -> Option<(u32, usize)> {
    let mut ip = 0;
    let mut at = from;
    for index in 0..4 {
        if index > 0 {
            if *bytes.get(at)? != b'.' {
                return None;
            }
            at += 1;
        }
        let start = at;
        let mut number = 0_u16;
        while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit() && at < start + 3) {
            number = number * 10 + u16::from(digit - b'0');
            at += 1;
        }
        if at == start || (bytes[start] == b'0' && at > start + 1) {
            return None;
        }
        ip = ip << 8 | u32::from(u8::try_from(number).ok()?);
    }
    // What goes on is another kind of host, or none.
    (lex::host(bytes, at) == at).then_some((ip, at))
}

/// Finds `host [":" port]`, with white space around the colon only if a port follows.
pub(crate) fn scan_host_port(bytes: &[u8], from: usize) -> Result<(HostFound, Option<u16>, usize), usize> {
    let (found, end) = scan_host(bytes, from)?;
    let colon = lex::skip_lws(bytes, end);
    if bytes.get(colon) != Some(&b':') {
        return Ok((found, None, end));
    }
    let start = lex::skip_lws(bytes, colon + 1);
    let (port, end) = scan_port(bytes, start)?;
    Ok((found, Some(port), end))
}

/// Reads the port number that starts at `from`.
pub(crate) fn scan_port(bytes: &[u8], from: usize) -> Result<(u16, usize), usize> {
    let digits = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let port =
        lex::number(&bytes[from..from + digits]).and_then(|port| u16::try_from(port).ok()).ok_or(from)?;
    Ok((port, from + digits))
}

/// A transport's name in a Via or a `transport` parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// `UDP`
    Udp,
    /// `TCP`
    Tcp,
    /// `TLS`
    Tls,
    /// `WS` (RFC 7118)
    Ws,
    /// `WSS` (RFC 7118)
    Wss,
    /// `SCTP`
    Sctp,
    /// `TLS-SCTP`
    TlsSctp,
    /// Any other token.
    Other,
}

impl Transport {
    /// Reads a transport's name in any case.
    pub fn parse(token: &[u8]) -> Transport {
        const KNOWN: [Transport; 7] = [
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
            Transport::Ws,
            Transport::Wss,
            Transport::Sctp,
            Transport::TlsSctp,
        ];
        KNOWN
            .into_iter()
            .find(|known| known.as_str().as_bytes().eq_ignore_ascii_case(token))
            .unwrap_or(Transport::Other)
    }

    /// Upper case, as in a Via; empty for `Other`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
            Transport::Sctp => "SCTP",
            Transport::TlsSctp => "TLS-SCTP",
            Transport::Other => "",
        }
    }

    /// Whether messages need no retransmission over it (RFC 3261 §17).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// The port used where none is written (RFC 3261 §18.1.1, RFC 7118 §5).
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Tls | Transport::TlsSctp => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
            Transport::Udp | Transport::Tcp | Transport::Sctp | Transport::Other => 5060,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
