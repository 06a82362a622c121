//! A relay for those whom no peer can reach (TURN, RFC 8656), and the mirror that tells them their address (STUN,
//! RFC 8489). Sans-IO.
//!
//! [`Server`] is the state machine: messages and relayed datagrams go in with the time, [`Output`]s come out. What a
//! socket brings it, [`Frame`] cuts out of a stream. Who may use it is told by [`credentials`], whom it may reach by
//! [`PeerPolicy`].

mod allocate;
mod allocation;
mod bucket;
mod channel;
pub mod credentials;
mod frame;
mod nonce;
mod peer;
mod ports;
mod refusal;
mod relaying;
mod server;

use crate::stun::{attribute, key, message, writer};

pub(crate) use channel::{parse as read_channel, write_datagram as write_channel};

pub use credentials::{Credentials, Secret};
pub use frame::{Frame, LONGEST as LONGEST_FRAME};
pub use peer::{Forbidden, PeerPolicy, opens};
pub use server::{Config, Counts, FiveTuple, Limits, Output, Server, Transport};

/// What the fuzz target runs on arbitrary bytes. Not part of the crate's interface.
#[doc(hidden)]
pub mod fuzz;

#[cfg(test)]
mod tests;
