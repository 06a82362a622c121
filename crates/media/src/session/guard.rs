//! `Guard`: SRTP (RFC 3711) between a session and the wire.

use super::settings::Transmit;
use crate::secure::keyring::{Keyring, Keys, Protocol};
use offhook_rtp::srtp::{GROWTH, SrtpError};
use std::borrow::Cow;
use std::time::Instant;

/// What every packet of a session passes.
#[derive(Debug)]
pub(super) enum Guard {
    /// Packets stay as they are.
    Plain,
    /// Packets are protected, and have to be.
    Srtp(Box<Keyring>),
    /// The keys do not fit their suite: nothing passes.
    Shut,
}

impl Guard {
    pub(super) fn new(keys: Option<&Keys>) -> Guard {
        let Some(Keys { suite, ours, theirs }) = keys else { return Guard::Plain };
        Keyring::new(*suite, ours, theirs).map_or(Guard::Shut, |keyring| Guard::Srtp(Box::new(keyring)))
    }

    /// Other keys, or none. What stays goes on with its counters; a former key of the other side stays good for packets
    /// under way.
    pub(super) fn change(&mut self, now: Instant, keys: Option<&Keys>) {
        let changed = match (&mut *self, keys) {
            (Guard::Srtp(keyring), Some(Keys { suite, ours, theirs })) => {
                keyring.change(now, *suite, ours, theirs).is_some()
            }
            _ => false,
        };
        if !changed {
            *self = Guard::new(keys);
        }
    }

    /// A packet from the wire as it was before it was protected.
    pub(super) fn open<'a>(
        &mut self,
        now: Instant,
        protocol: Protocol,
        packet: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, SrtpError> {
        match self {
            Guard::Plain => Ok(Cow::Borrowed(packet)),
            Guard::Srtp(keyring) => {
                let mut opened = vec![0; packet.len()];
                let length = keyring.open(now, protocol, packet, &mut opened)?;
                opened.truncate(length);
                Ok(Cow::Owned(opened))
            }
            Guard::Shut => Err(SrtpError::Unauthentic),
        }
    }

    /// Makes those packets fit for the wire that stand behind the first `done`; one that cannot be protected is not sent.
    pub(super) fn protect(&mut self, protocol: Protocol, packets: &mut Vec<Transmit>, done: usize) {
        let mut at = done;
        while let Some(packet) = packets.get_mut(at) {
            if self.protect_one(protocol, &mut packet.bytes) {
                at += 1;
            } else {
                packets.remove(at);
            }
        }
    }

    fn protect_one(&mut self, protocol: Protocol, bytes: &mut Vec<u8>) -> bool {
        match self {
            Guard::Plain => true,
            Guard::Srtp(keyring) => {
                let length = bytes.len();
                bytes.resize(length + GROWTH, 0);
                let protected = keyring.protect(protocol, bytes, length);
                protected.is_ok_and(|length| {
                    bytes.truncate(length);
                    true
                })
            }
            Guard::Shut => false,
        }
    }
}
