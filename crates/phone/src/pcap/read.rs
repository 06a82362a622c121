//! Reads classic capture files: the UDP and TCP payloads in them.

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A capture file being read: its packets, oldest first. Those that are neither UDP nor TCP over IP are passed over.
#[derive(Debug)]
pub struct Reader<R: Read> {
    file: R,
    big_endian: bool,
    nanoseconds: bool,
    link: u32,
}

/// What a packet carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its time since 1970.
    pub at: Duration,
    /// Who sent it.
    pub from: SocketAddr,
    /// Who got it.
    pub to: SocketAddr,
    /// Whether it is a segment of a TCP connection.
    pub is_tcp: bool,
    /// What it carried; of a fragment, the first part.
    pub payload: Vec<u8>,
}

/// Why a file cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// The system said no.
    Io(io::Error),
    /// It is something else than a classic capture file.
    NotPcap,
    /// The newer format.
    PcapNg,
    /// What stands below IP is not known: a number of the list of link types.
    LinkType(u32),
    /// A packet that is longer than any.
    TooLong(u32),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::NotPcap => f.write_str("this is no capture file (pcap)"),
            Self::PcapNg => {
                f.write_str("this is a pcapng file, which is not read here; `editcap -F pcap IN OUT` makes a pcap file of it")
            }
            Self::LinkType(link) => {
                write!(f, "packets of link type {link} are not read; Ethernet, raw IP, loopback and Linux cooked are")
            }
            Self::TooLong(length) => write!(f, "the file is damaged: it has a packet of {length} octets"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<R: Read> Reader<R> {
    /// Reads the file header.
    ///
    /// # Errors
    /// When it is no capture file that can be read.
    pub fn new(mut file: R) -> Result<Self, ReadError> {
        let mut header = [0; 24];
        file.read_exact(&mut header).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => ReadError::NotPcap,
            _ => ReadError::Io(error),
        })?;
        let (big_endian, nanoseconds) = match header[..4] {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, false),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, false),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, true),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, true),
            [0x0a, 0x0d, 0x0d, 0x0a] => return Err(ReadError::PcapNg),
            _ => return Err(ReadError::NotPcap),
        };
        let mut reader = Self { file, big_endian, nanoseconds, link: 0 };
        // Above these bits stands the length of a checksum.
        reader.link = reader.number(&header[20..24]) & 0x0fff_ffff;
        match reader.link {
            NULL | ETHERNET | RAW | LOOP | LINUX_SLL | IPV4 | IPV6 | LINUX_SLL2 => Ok(reader),
            other => Err(ReadError::LinkType(other)),
        }
    }

    /// The next packet; `None` at the end, also where the last one was cut off.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn packet(&mut self) -> Result<Option<Packet>, ReadError> {
        loop {
            let mut head = [0; 16];
            if !self.fill(&mut head)? {
                return Ok(None);
            }
            let length = self.number(&head[8..12]);
            if length > LONGEST {
                return Err(ReadError::TooLong(length));
            }
            let mut octets = vec![0; length as usize];
            if !self.fill(&mut octets)? {
                return Ok(None);
            }
            let (seconds, parts) = (self.number(&head[..4]), self.number(&head[4..8]));
            let nanoseconds = if self.nanoseconds { parts } else { parts.saturating_mul(1_000) };
            let at = Duration::from_secs(seconds.into()) + Duration::from_nanos(nanoseconds.into());
            if let Some(packet) = self.ip(&octets).and_then(|ip| packet(at, ip)) {
                return Ok(Some(packet));
            }
        }
    }

    fn number(&self, octets: &[u8]) -> u32 {
        let octets = octets.try_into().unwrap_or_default();
        if self.big_endian { u32::from_be_bytes(octets) } else { u32::from_le_bytes(octets) }
    }

    fn fill(&mut self, octets: &mut [u8]) -> Result<bool, ReadError> {
        match self.file.read_exact(octets) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The IP packet inside, whatever its header says that it is.
    fn ip<'a>(&self, octets: &'a [u8]) -> Option<&'a [u8]> {
        match self.link {
            ETHERNET => {
                let mut at = 12;
                // Tags of virtual networks (IEEE 802.1Q).
                while matches!(octets.get(at..at + 2)?, [0x81, 0x00] | [0x88, 0xa8]) {
                    at += 4;
                }
                matches!(octets.get(at..at + 2)?, [0x08, 0x00] | [0x86, 0xdd])
                    .then(|| octets.get(at + 2..))?
            }
            NULL | LOOP => octets.get(4..),
            LINUX_SLL => octets.get(16..),
            LINUX_SLL2 => octets.get(20..),
            _ => Some(octets),
        }
    }
}

fn packet(at: Duration, ip: &[u8]) -> Option<Packet> {
    let (protocol, from, to, rest) = match ip.first()? >> 4 {
        4 => {
            let header = usize::from(ip[0] & 0xf) * 4;
            let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?));
            // Later fragments have no ports.
            let is_first = ip.get(6)? & 0x1f == 0 && *ip.get(7)? == 0;
            let total = usize::from(u16::from_be_bytes([*ip.get(2)?, *ip.get(3)?]));
            // Zero where the network card was to cut it.
            let end = if total == 0 { ip.len() } else { total.min(ip.len()) };
            let rest = is_first.then(|| ip.get(header.max(20)..end))??;
            (*ip.get(9)?, IpAddr::from(address(12)?), IpAddr::from(address(16)?), rest)
        }
        6 => {
            let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(ip.get(at..at + 16)?).ok()?));
            let length = usize::from(u16::from_be_bytes([*ip.get(4)?, *ip.get(5)?]));
            let rest = ip.get(40..(40 + length).min(ip.len()))?;
            (*ip.get(6)?, IpAddr::from(address(8)?), IpAddr::from(address(24)?), rest)
        }
        _ => return None,
    };
    let header = match protocol {
        17 => 8,
        6 => usize::from(*rest.get(12)? >> 4) * 4,
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes([*rest.get(at)?, *rest.get(at + 1)?]));
    let (from, to) = (SocketAddr::new(from, port(0)?), SocketAddr::new(to, port(2)?));
    Some(Packet { at, from, to, is_tcp: protocol == 6, payload: rest.get(header..)?.to_vec() })
}

const NULL: u32 = 0;
const ETHERNET: u32 = 1;
const RAW: u32 = 101;
const LOOP: u32 = 108;
const LINUX_SLL: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const LINUX_SLL2: u32 = 276;
/// As other programs have it.
const LONGEST: u32 = 262_144;

#[cfg(test)]
mod tests {
    use super::super::Capture;
    use super::*;

    fn written(link: u32, before: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut capture = Capture::new(&mut file).unwrap();
        let at = Duration::new(1_795_346_002, 250_000_000);
        for (from, to) in [("192.0.2.1:5060", "192.0.2.2:5070"), ("[2001:db8::1]:1", "[2001:db8::2]:2")] {
            capture.write(at, from.parse().unwrap(), to.parse().unwrap(), b"hello").unwrap();
        }
        let mut changed = file[..24].to_vec();
        changed[20..24].copy_from_slice(&link.to_le_bytes());
        let mut rest = &file[24..];
        while let Some((head, after)) = rest.split_first_chunk::<16>() {
            let length = u32::from_le_bytes(head[8..12].try_into().unwrap()) as usize;
            let longer = (length + before.len()) as u32;
            changed.extend(&head[..8]);
            changed.extend([longer.to_le_bytes(), longer.to_le_bytes()].concat());
            changed.extend(before);
            if link == ETHERNET {
                let kind: [u8; 2] = if after[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
                let at = changed.len();
                changed[at - 2..].copy_from_slice(&kind);
            }
            changed.extend(&after[..length]);
            rest = &after[length..];
        }
        changed
    }

    fn packets(file: &[u8]) -> Vec<Packet> {
        let Ok(mut reader) = Reader::new(file) else { return Vec::new() };
        std::iter::from_fn(|| reader.packet().ok().flatten()).collect()
    }

    #[test]
    fn what_was_captured_is_read_whatever_the_link() {
        let tagged = [&[0; 12][..], &[0x81, 0, 0, 7, 0, 0]].concat();
        let links: [(u32, &[u8]); 5] =
            [(RAW, &[]), (ETHERNET, &[0; 14]), (ETHERNET, &tagged), (LINUX_SLL, &[0; 16]), (NULL, &[0; 4])];
        for (link, before) in links {
            let packets = packets(&written(link, before));
            assert_eq!(packets.len(), 2, "link type {link}");
            assert_eq!(packets[0].from, SocketAddr::from(([192, 0, 2, 1], 5060)));
            assert_eq!(packets[1].to.to_string(), "[2001:db8::2]:2");
            assert!(packets.iter().all(|one| one.payload == b"hello" && !one.is_tcp));
            assert_eq!(packets[0].at, Duration::new(1_795_346_002, 250_000_000));
        }
    }

    #[test]
    fn other_files_are_refused_by_name() {
        let told = |file: &[u8]| Reader::new(file).unwrap_err().to_string();
        assert!(told(b"hello").contains("no capture file"));
        assert!(told(&[0x0a, 0x0d, 0x0d, 0x0a].repeat(6)).contains("editcap"));
        assert!(told(&written(147, &[])).contains("link type 147"));
    }

    #[test]
    fn damage_anywhere_does_no_harm() {
        let file = written(ETHERNET, &[0; 14]);
        for place in 0..file.len() {
            assert!(packets(&file[..place]).len() <= 2);
            for octet in [0, 0x45, 0x7f, 0xff] {
                let mut broken = file.clone();
                broken[place] = octet;
                assert!(packets(&broken).len() <= 2);
            }
        }
    }
}
