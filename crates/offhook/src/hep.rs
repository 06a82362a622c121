//! Messages for a capture server, in packets of HEP version 3 (the HEP3 network protocol specification, revision 36).

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

/// The way to a capture server.
pub(crate) struct Hep {
    socket: UdpSocket,
}

/// A message and its way.
pub(crate) struct Passed<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) is_udp: bool,
    /// Since 1970.
    pub(crate) at: Duration,
    pub(crate) text: &'a str,
}

impl Hep {
    /// To a server at `HOST:PORT`.
    ///
    /// # Errors
    /// When that is no address, or cannot be reached.
    pub(crate) fn open(place: &str) -> std::io::Result<Self> {
        let mut failed = std::io::Error::other("that is no address");
        for address in place.to_socket_addrs()? {
            let own: SocketAddr = match address.ip() {
                IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                IpAddr::V6(_) => ([0_u16; 8], 0).into(),
            };
            match UdpSocket::bind(own).and_then(|socket| socket.connect(address).map(|()| socket)) {
                Ok(socket) => return Ok(Self { socket }),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Sends a message. That nobody is there now is no reason to stop.
    pub(crate) fn send(&self, passed: &Passed<'_>) {
        let _ = self.socket.send(&packet(passed));
    }
}

/// All chunks of a message; one that would be longer than a datagram can be is cut off.
fn packet(passed: &Passed<'_>) -> Vec<u8> {
    let (from, to) = (passed.from.ip().to_canonical(), passed.to.ip().to_canonical());
    let mut packet = b"HEP3\0\0".to_vec();
    let mut chunk = |kind: u16, value: &[u8]| {
        packet.extend_from_slice(&[0, 0]);
        packet.extend_from_slice(&kind.to_be_bytes());
        packet.extend_from_slice(&(value.len() as u16 + 6).to_be_bytes());
        packet.extend_from_slice(value);
    };
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            chunk(1, &[2]);
            chunk(3, &from.octets());
            chunk(4, &to.octets());
        }
        (from, to) => {
            let six = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            chunk(1, &[10]);
            chunk(5, &six(from));
            chunk(6, &six(to));
        }
    }
    chunk(2, &[if passed.is_udp { 17 } else { 6 }]);
    chunk(7, &passed.from.port().to_be_bytes());
    chunk(8, &passed.to.port().to_be_bytes());
    chunk(9, &(passed.at.as_secs() as u32).to_be_bytes());
    chunk(10, &passed.at.subsec_micros().to_be_bytes());
    chunk(11, &[SIP]);
    chunk(12, &0_u32.to_be_bytes());
    let text = passed.text.as_bytes();
    chunk(15, text.get(..MOST).unwrap_or(text));
    let length = packet.len() as u16;
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    packet
}

const SIP: u8 = 1;
const MOST: usize = 65_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_packed_with_its_way_and_its_time() {
        let passed = Passed {
            from: ([192, 0, 2, 1], 5060).into(),
            to: ([192, 0, 2, 9], 5062).into(),
            is_udp: true,
            at: Duration::new(1_800_000_000, 7_000),
            text: "OPTIONS",
        };
        let packet = packet(&passed);
        assert_eq!(&packet[..4], b"HEP3");
        assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len());
        let (mut chunks, mut rest) = (Vec::new(), &packet[6..]);
        while !rest.is_empty() {
            let length = usize::from(u16::from_be_bytes([rest[4], rest[5]]));
            chunks.push((rest[3], rest[6..length].to_vec()));
            rest = &rest[length..];
        }
        let value = |kind: u8| chunks.iter().find(|(one, _)| *one == kind).map(|(_, value)| value.clone());
        assert_eq!(value(1), Some(vec![2]));
        assert_eq!((value(3), value(4)), (Some(vec![192, 0, 2, 1]), Some(vec![192, 0, 2, 9])));
        assert_eq!((value(7), value(8)), (Some(vec![0x13, 0xc4]), Some(vec![0x13, 0xc6])));
        assert_eq!((value(9), value(10)), (Some(vec![0x6b, 0x49, 0xd2, 0]), Some(vec![0, 0, 0, 7])));
        assert_eq!(
            (value(2), value(11), value(15)),
            (Some(vec![17]), Some(vec![1]), Some(b"OPTIONS".to_vec()))
        );
    }

    #[test]
    fn addresses_of_both_kinds_and_messages_that_are_too_long_have_their_form() {
        let text = "x".repeat(70_000);
        let passed = Passed {
            from: "[::ffff:192.0.2.1]:5060".parse().unwrap(),
            to: "[2001:db8::1]:5060".parse().unwrap(),
            is_udp: false,
            at: Duration::ZERO,
            text: &text,
        };
        let packet = packet(&passed);
        assert_eq!(packet[12], 10);
        assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len());
    }
}
