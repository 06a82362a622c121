//! A full ICE agent (RFC 8445) for a stream whose RTP and RTCP share one port, with a TURN client (RFC 8656). Sans-IO.
//!
//! [`Agent`] finds out by which addresses the port can be reached, tries them with those of the other side, and keeps asking
//! whether what is sent is still wanted (RFC 7675). Datagrams of the port go in; what is not for the agent itself comes out
//! with the address of its sender, be it relayed or not. The lite half, which only answers, is the relay's (`secure/ice.rs`).

mod agent;
mod candidate;
mod check;
mod checks;
mod gather;
mod relay;
mod requests;

pub use agent::{Agent, Datagram, Packet, Servers, TurnServer};
pub use candidate::{Candidate, CandidateKind};

use crate::stun::{attribute, key, message, writer};

#[cfg(test)]
mod tests;
