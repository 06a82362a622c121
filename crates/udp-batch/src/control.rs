//! Control messages that travel beside a datagram (`cmsg(3)`): our address, the count of drops, the time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Room for the control messages of one datagram.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    bytes: [u8; Control::LEN],
}

/// What the control messages of a received datagram say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// The address of ours that it came to.
    pub(crate) destination: Option<IpAddr>,
    /// Datagrams dropped before it since the socket was opened, modulo 2³².
    pub(crate) dropped: Option<u32>,
    /// When it came, since 1970.
    pub(crate) came: Option<Duration>,
}

impl Control {
    pub(crate) const EMPTY: Self = Self { bytes: [0; Self::LEN] };
    /// An `in6_pktinfo`, a counter and a time take 96.
    pub(crate) const LEN: usize = 96;

    /// The message that pins the source address, and its length, for a socket that is IPv6 (`v6`) or IPv4 to
    /// the kernel.
    pub(crate) fn from_source(source: IpAddr, v6: bool) -> (Self, usize) {
        let mut control = Self::EMPTY;
        let data = &mut control.bytes[HEADER..];
        let (level, kind, len) = match (source.to_canonical(), v6) {
            (IpAddr::V4(source), false) => {
                // struct in_pktinfo: interface, source, destination; the last is ignored when sending.
                data[4..8].copy_from_slice(&source.octets());
                (libc::IPPROTO_IP, libc::IP_PKTINFO, 12)
            }
            (IpAddr::V4(source), true) => {
                data[..16].copy_from_slice(&source.to_ipv6_mapped().octets());
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, 20)
            }
            (IpAddr::V6(source), _) => {
                data[..16].copy_from_slice(&source.octets());
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, 20)
            }
        };
        control.bytes[..WORD].copy_from_slice(&(HEADER + len).to_ne_bytes());
        control.bytes[WORD..WORD + 4].copy_from_slice(&level.to_ne_bytes());
        control.bytes[WORD + 4..WORD + 8].copy_from_slice(&kind.to_ne_bytes());
        (control, HEADER + align(len))
    }

    /// Reads the first `len` bytes.
    pub(crate) fn decode(&self, len: usize) -> Notes {
        Notes::decode(&self.bytes[..len.min(Self::LEN)])
    }

    /// The bytes, of which those beyond the length of [`Control::from_source`] are zero.
    pub(crate) fn bytes(&self) -> &[u8; Self::LEN] {
        &self.bytes
    }
}

impl Notes {
    /// Reads control messages.
    pub(crate) fn decode(mut rest: &[u8]) -> Notes {
        let mut notes = Notes::default();
        while let Some((level, kind, data, next)) = first_message(rest) {
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    // The second field rather than the third: it is ours even when a broadcast came.
                    notes.destination = array::<4>(data, 4).map(|octets| Ipv4Addr::from(octets).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    notes.destination =
                        array::<16>(data, 0).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)).to_canonical());
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    notes.dropped = array::<4>(data, 0).map(u32::from_ne_bytes);
                }
                // On systems of 64 bits, a `timespec` of two words.
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let word = |at| array::<8>(data, at).map(u64::from_ne_bytes);
                    let parts = word(0).zip(word(8)).filter(|(_, nanoseconds)| *nanoseconds < 1_000_000_000);
                    notes.came = parts.map(|(seconds, rest)| Duration::new(seconds, rest as u32));
                }
                _ => {}
            }
            rest = next;
        }
        notes
    }
}

/// Level, kind and content of the first message, and what follows it.
fn first_message(bytes: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let len = usize::from_ne_bytes(array(bytes, 0)?);
    let level = i32::from_ne_bytes(array(bytes, WORD)?);
    let kind = i32::from_ne_bytes(array(bytes, WORD + 4)?);
    let data = bytes.get(HEADER..len)?;
    Some((level, kind, data, bytes.get(align(len)..).unwrap_or_default()))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

const fn align(len: usize) -> usize {
    len.next_multiple_of(WORD)
}

const WORD: usize = size_of::<usize>();
/// struct cmsghdr: a length in a word, level and type of four bytes each, aligned.
const HEADER: usize = align(WORD + 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_source_reads_back_as_the_same_address() {
        for (source, v6) in [("192.0.2.1", false), ("192.0.2.1", true), ("2001:db8::1", true)] {
            let source: IpAddr = source.parse().unwrap();
            let (control, len) = Control::from_source(source, v6);
            assert_eq!(control.decode(len), Notes { destination: Some(source), ..Notes::default() });
        }
    }

    #[test]
    fn nonsense_and_cut_messages_are_passed_over() {
        let (mut control, len) = Control::from_source("2001:db8::1".parse().unwrap(), true);
        for cut in 0..len {
            let _ = control.decode(cut);
        }
        control.bytes = [0xff; Control::LEN];
        assert_eq!(control.decode(Control::LEN), Notes::default());
        control.bytes = [0; Control::LEN];
        assert_eq!(control.decode(Control::LEN), Notes::default());
    }
}
