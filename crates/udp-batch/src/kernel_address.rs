//! Socket addresses in the kernel's layout (`sockaddr_in`, `sockaddr_in6`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::canonical;

/// A `sockaddr` of either family.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelAddress {
    bytes: [u8; KernelAddress::LEN],
}

impl KernelAddress {
    pub(crate) const EMPTY: Self = Self { bytes: [0; Self::LEN] };
    /// Of `sockaddr_in6`, padded to the alignment.
    pub(crate) const LEN: usize = 32;

    /// The address and its length, for a socket that is IPv6 (`v6`) or IPv4 to the kernel.
    pub(crate) fn new(address: SocketAddr, v6: bool) -> (Self, u32) {
        let mut kernel = Self::EMPTY;
        let bytes = &mut kernel.bytes;
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        let (family, len) = match (address, v6) {
            (SocketAddr::V4(address), false) => {
                bytes[4..8].copy_from_slice(&address.ip().octets());
                (libc::AF_INET, V4_LEN)
            }
            (SocketAddr::V4(address), true) => {
                bytes[8..24].copy_from_slice(&address.ip().to_ipv6_mapped().octets());
                (libc::AF_INET6, V6_LEN)
            }
            (SocketAddr::V6(address), _) => {
                bytes[4..8].copy_from_slice(&address.flowinfo().to_ne_bytes());
                bytes[8..24].copy_from_slice(&address.ip().octets());
                bytes[24..28].copy_from_slice(&address.scope_id().to_ne_bytes());
                (libc::AF_INET6, V6_LEN)
            }
        };
        bytes[0..2].copy_from_slice(&(family as u16).to_ne_bytes());
        (kernel, len)
    }

    /// The address in what the kernel wrote, in canonical form.
    pub(crate) fn from_slice(written: &[u8]) -> Option<SocketAddr> {
        let mut kernel = Self::EMPTY;
        kernel.bytes.get_mut(..written.len())?.copy_from_slice(written);
        kernel.decode(written.len() as u32)
    }

    /// What the kernel reads.
    pub(crate) fn bytes(&self) -> &[u8; Self::LEN] {
        &self.bytes
    }

    /// The address in canonical form, if it is one of the two families.
    pub(crate) fn decode(&self, len: u32) -> Option<SocketAddr> {
        let word = |at: usize| <[u8; 4]>::try_from(&self.bytes[at..at + 4]).unwrap_or_default();
        let family = i32::from(u16::from_ne_bytes([self.bytes[0], self.bytes[1]]));
        let port = u16::from_be_bytes([self.bytes[2], self.bytes[3]]);
        match family {
            libc::AF_INET if len >= V4_LEN => {
                Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(word(4))), port))
            }
            libc::AF_INET6 if len >= V6_LEN => {
                let octets = <[u8; 16]>::try_from(&self.bytes[8..24]).unwrap_or_default();
                let (flowinfo, scope) = (u32::from_ne_bytes(word(4)), u32::from_ne_bytes(word(24)));
                let address = SocketAddrV6::new(Ipv6Addr::from(octets), port, flowinfo, scope);
                Some(canonical(SocketAddr::V6(address)))
            }
            _ => None,
        }
    }
}

const V4_LEN: u32 = 16;
const V6_LEN: u32 = 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_is_mapped_for_an_ipv6_socket_and_comes_back_as_ipv4() {
        let address: SocketAddr = "192.0.2.7:5060".parse().unwrap();
        for v6 in [false, true] {
            let (kernel, len) = KernelAddress::new(address, v6);
            assert_eq!(kernel.decode(len), Some(address));
        }
    }

    #[test]
    fn the_zone_of_a_link_local_address_is_kept() {
        let address: SocketAddr = "[fe80::1%3]:5060".parse().unwrap();
        let (kernel, len) = KernelAddress::new(address, true);
        assert_eq!(kernel.decode(len), Some(address));
    }

    #[test]
    fn an_address_of_another_family_is_none() {
        assert_eq!(KernelAddress::EMPTY.decode(28), None);
    }
}
