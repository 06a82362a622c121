//! What is sent.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// One datagram to send.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Where to.
    pub destination: SocketAddr,
    /// From which of our addresses, so that an answer leaves from the address that was asked; `None` leaves the
    /// choice to the routing table. Followed on Linux only.
    pub source: Option<IpAddr>,
    /// What.
    pub payload: &'a [u8],
}

/// A datagram that could not be sent.
#[derive(Debug)]
pub struct SendFailure {
    /// Its place among those that were given.
    pub index: usize,
    /// Why.
    pub error: io::Error,
}
