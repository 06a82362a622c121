//! A second socket for a peer of long standing. It is connected, so that the kernel need not look for the way of each
//! datagram; what others send still comes to the first.

use std::net::{IpAddr, SocketAddr};

use super::Line;
use crate::BatchSocket;

/// A connected socket on the port of its line.
#[derive(Debug)]
pub(super) struct Twin {
    pub(super) socket: BatchSocket,
    pub(super) peer: SocketAddr,
    /// Its place in the ring's table.
    pub(super) place: u32,
    pub(super) generation: u32,
}

impl Line {
    /// Counts a datagram to `to`. `true`: so many went there in a row that a twin pays.
    pub(super) fn is_used_to(&mut self, to: SocketAddr) -> bool {
        let mark = mark(to);
        if self.to != mark {
            (self.to, self.times) = (mark, 0);
        }
        self.times = self.times.saturating_add(1);
        self.times == HABIT
    }

    /// The twin, if that still sends to whom and from where the line does.
    pub(super) fn twin_to(&self, to: SocketAddr) -> Option<&Twin> {
        let twin = self.twin.as_deref().filter(|twin| twin.peer == to)?;
        self.source_towards(to).is_none_or(|source| source == twin.socket.local_addr().ip()).then_some(twin)
    }

    /// A connected socket to a peer, from the address that it knows; `None` where that is open, or the system has no
    /// socket for it.
    pub(super) fn connected(&self, to: SocketAddr) -> Option<BatchSocket> {
        let bound = self.socket.local_addr().ip();
        let local = self.source_towards(to).or_else(|| (!bound.is_unspecified()).then_some(bound))?;
        self.socket.twin(local, to).ok()
    }
}

/// A number that is the same for the same address, and seldom for two.
fn mark(to: SocketAddr) -> u32 {
    let ip = match to.ip() {
        IpAddr::V4(ip) => ip.to_bits(),
        IpAddr::V6(ip) => ip.to_bits() as u32,
    };
    ip ^ u32::from(to.port()).rotate_left(16)
}

/// Datagrams in a row after which a peer gets a socket of its own: half a second of sound.
const HABIT: u32 = 32;
