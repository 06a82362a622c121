//! What was received, in memory that is used again.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::BATCH;
#[cfg(target_os = "linux")]
use crate::linux::Scratch;

/// Room for the datagrams of one system call.
#[derive(Debug)]
pub struct ReceiveBatch {
    pub(crate) arena: Box<[u8]>,
    pub(crate) slot_len: usize,
    pub(crate) slots: usize,
    pub(crate) received: Vec<Received>,
    /// How many the last call brought.
    #[cfg(target_os = "linux")]
    pub(crate) lately: usize,
    #[cfg(target_os = "linux")]
    pub(crate) scratch: Scratch,
}

/// A datagram in the batch; its payload lies in the slot of the same number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) slot: usize,
    pub(crate) len: usize,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) truncated: bool,
    pub(crate) came: Option<Duration>,
}

/// A received datagram, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// What came.
    pub payload: &'a [u8],
    /// Who sent it.
    pub source: SocketAddr,
    /// Which of our addresses it came to; where the system does not say, the address the socket is bound to.
    pub destination: SocketAddr,
    /// Whether its end is missing because the slot was too short.
    pub truncated: bool,
    /// When the kernel got it, since 1970 by the system's clock; only if [`crate::SocketOptions::timestamps`] asks.
    pub came: Option<Duration>,
}

/// A received datagram that outlives its batch.
#[derive(Clone, Debug)]
pub struct OwnedDatagram {
    /// What came.
    pub payload: Bytes,
    /// Who sent it.
    pub source: SocketAddr,
    /// Which of our addresses it came to, as in [`Datagram`].
    pub destination: SocketAddr,
    /// Whether its end is missing because the slot was too short.
    pub truncated: bool,
}

impl ReceiveBatch {
    /// Room for any 64 datagrams. Memory that no datagram reached is not occupied (on Linux).
    pub fn new() -> Self {
        Self::with_slots(BATCH, usize::from(u16::MAX))
    }

    /// Room for `slots` (1 to 64) datagrams of at most `slot_len` bytes; longer ones arrive truncated.
    pub fn with_slots(slots: usize, slot_len: usize) -> Self {
        let (slots, slot_len) = (slots.clamp(1, BATCH), slot_len.clamp(1, usize::from(u16::MAX)));
        Self {
            arena: vec![0; slots * slot_len].into_boxed_slice(),
            slot_len,
            slots,
            received: Vec::with_capacity(slots),
            #[cfg(target_os = "linux")]
            lately: slots,
            #[cfg(target_os = "linux")]
            scratch: Scratch::new(slots),
        }
    }

    /// How many datagrams fit. A `receive` that returns as many may have left more waiting.
    pub fn capacity(&self) -> usize {
        self.slots
    }

    /// How many datagrams are in it.
    pub fn len(&self) -> usize {
        self.received.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// The datagrams, in order of arrival, without copying.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.received.iter().map(|received| self.datagram(received))
    }

    /// The datagram at this place, in order of arrival.
    pub fn get(&self, index: usize) -> Option<Datagram<'_>> {
        self.received.get(index).map(|received| self.datagram(received))
    }

    /// The datagrams, in order of arrival, copied out of the batch, each to memory of its own: one that is kept for long
    /// keeps no other.
    pub fn iter_owned(&self) -> impl Iterator<Item = OwnedDatagram> {
        self.iter().map(|datagram| OwnedDatagram {
            payload: Bytes::copy_from_slice(datagram.payload),
            source: datagram.source,
            destination: datagram.destination,
            truncated: datagram.truncated,
        })
    }

    fn datagram(&self, received: &Received) -> Datagram<'_> {
        Datagram {
            payload: self.payload(received),
            source: received.source,
            destination: received.destination,
            truncated: received.truncated,
            came: received.came,
        }
    }

    fn payload(&self, received: &Received) -> &[u8] {
        let start = received.slot * self.slot_len;
        &self.arena[start..start + received.len]
    }

    pub(crate) fn clear(&mut self) {
        self.received.clear();
    }
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}
