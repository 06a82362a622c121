//! What goes to the wire.

use bytes::Bytes;

use crate::{ConnectionId, Flow};

/// One message to be sent.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// The way to the peer. A stream flow without a connection asks for one to be opened, or for the one that
    /// is open to the same address to be used again.
    pub flow: Flow,
    /// The message as printed.
    pub bytes: Bytes,
}

/// A connection that is no longer wanted, because its peer broke the rules or the protocol is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseConnection(pub ConnectionId);

/// Outputs of the SIP layers, in the order in which they are to happen; the driver empties it once a batch.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Messages to send.
    pub transmits: Vec<Transmit>,
    /// Connections to close after these messages.
    pub closes: Vec<CloseConnection>,
}

impl Outbox {
    /// Queues a message.
    pub fn transmit(&mut self, flow: Flow, bytes: Bytes) {
        self.transmits.push(Transmit { flow, bytes });
    }

    /// Whether nothing waits to be done.
    pub fn is_empty(&self) -> bool {
        self.transmits.is_empty() && self.closes.is_empty()
    }
}
