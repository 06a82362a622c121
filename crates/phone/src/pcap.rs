//! Capture files: [`Capture`] writes them, [`Reader`] reads them.
//!
//! Writes what is sent and received as a classic capture file, with IP and UDP headers made up around it.
//!
//! Link type 101 (raw IP): IPv4 or IPv6 by the first nibble. Messages over TCP are shown in UDP too, since the
//! connection's own segments are the system's and not seen here.

mod read;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

pub use read::{Packet, ReadError, Reader};

/// A capture file being written.
#[derive(Debug)]
pub struct Capture<W: Write> {
    file: W,
    /// IPv4 identification, so that no two packets look like fragments of one.
    number: u16,
}

impl<W: Write> Capture<W> {
    /// Writes the file header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(mut file: W) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend(0xa1b2_c3d4_u32.to_le_bytes()); // microseconds, in this byte order
        header.extend(2_u16.to_le_bytes());
        header.extend(4_u16.to_le_bytes());
        header.extend([0; 8]); // time zone and accuracy, by custom zero
        header.extend(LONGEST.to_le_bytes());
        header.extend(LINKTYPE_RAW.to_le_bytes());
        file.write_all(&header)?;
        Ok(Self { file, number: 0 })
    }

    /// Adds a datagram. `at` is the time since 1970.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(
        &mut self,
        at: Duration,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) -> io::Result<()> {
        let room = LONGEST as usize - IPV6 - UDP;
        let payload = payload.get(..room).unwrap_or(payload);
        let packet = self.packet(from, to, payload);
        let length = u32::try_from(packet.len()).unwrap_or(LONGEST);
        let mut record = Vec::with_capacity(16 + packet.len());
        record.extend((at.as_secs() as u32).to_le_bytes());
        record.extend(at.subsec_micros().to_le_bytes());
        record.extend(length.to_le_bytes());
        record.extend(length.to_le_bytes());
        record.extend(packet);
        self.file.write_all(&record)
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn packet(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
        self.number = self.number.wrapping_add(1);
        match (from.ip().to_canonical(), to.ip().to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let udp = udp(pseudo_v4(source, destination, payload), from.port(), to.port(), payload);
                [ipv4(source, destination, self.number, udp.len()), udp].concat()
            }
            (source, destination) => {
                let (source, destination) = (to_v6(source), to_v6(destination));
                let udp = udp(pseudo_v6(source, destination, payload), from.port(), to.port(), payload);
                [ipv6(source, destination, udp.len()), udp].concat()
            }
        }
    }
}

/// RFC 791 §3.1.
fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, number: u16, length: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((length as u16 + 20).to_be_bytes());
    header.extend(number.to_be_bytes());
    header.extend([0x40, 0, 64, 17, 0, 0]);
    header.extend(source.octets());
    header.extend(destination.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// RFC 8200 §3.
fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, length: usize) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((length as u16).to_be_bytes());
    header.extend([17, 64]);
    header.extend(source.octets());
    header.extend(destination.octets());
    header
}

/// RFC 768; `pseudo` is the pseudo header.
fn udp(mut pseudo: Vec<u8>, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(UDP + payload.len());
    datagram.extend(from.to_be_bytes());
    datagram.extend(to.to_be_bytes());
    datagram.extend(((UDP + payload.len()) as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    pseudo.extend(&datagram);
    // A sum of zero means "not computed" and is written as its other form.
    let sum = match checksum(&pseudo) {
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

fn pseudo_v4(source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut header = Vec::from(source.octets());
    header.extend(destination.octets());
    header.extend([0, 17]);
    header.extend(((UDP + payload.len()) as u16).to_be_bytes());
    header
}

fn pseudo_v6(source: Ipv6Addr, destination: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let mut header = Vec::from(source.octets());
    header.extend(destination.octets());
    header.extend(((UDP + payload.len()) as u32).to_be_bytes());
    header.extend([0, 0, 0, 17]);
    header
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn to_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

const LINKTYPE_RAW: u32 = 101;
/// The longest packet written; the length fields of IP allow no more.
const LONGEST: u32 = 65_535;
const IPV6: usize = 40;
const UDP: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut capture = Capture::new(&mut file).unwrap();
        let at = Duration::new(0x0102_0304, 5_000_000);
        capture.write(at, from.parse().unwrap(), to.parse().unwrap(), payload).unwrap();
        file
    }

    #[test]
    fn a_capture_is_a_file_header_and_a_record_of_raw_ipv4() {
        let file = capture("192.0.2.1:5060", "192.0.2.2:5070", b"hello");
        let expected = [
            &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0][..],
            &[4, 3, 2, 1, 0x88, 0x13, 0, 0, 33, 0, 0, 0, 33, 0, 0, 0],
            &[0x45, 0, 0, 33, 0, 1, 0x40, 0, 64, 17, 0xb6, 0xc7, 192, 0, 2, 1, 192, 0, 2, 2],
            &[0x13, 0xc4, 0x13, 0xce, 0, 13, 0x10, 0x6c],
            b"hello",
        ]
        .concat();
        assert_eq!(file, expected);
    }

    #[test]
    fn every_checksum_adds_up() {
        let v4 = capture("10.0.0.1:1", "10.0.0.2:65535", b"odd");
        assert_eq!(checksum(&v4[40..60]), 0);
        let pseudo = pseudo_v4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), b"odd");
        assert_eq!(checksum(&[&pseudo, &v4[60..]].concat()), 0);
        let v6 = capture("[2001:db8::1]:5060", "[2001:db8::2]:5060", b"even");
        assert_eq!(v6[40] >> 4, 6);
        let pseudo = pseudo_v6("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap(), b"even");
        assert_eq!(checksum(&[&pseudo, &v6[80..]].concat()), 0);
    }

    #[test]
    fn what_is_longer_than_any_packet_is_cut_to_fit() {
        let file = capture("[::1]:1", "[::1]:2", &[0; 70_000]);
        assert_eq!(file.len(), 24 + 16 + LONGEST as usize);
    }
}
