//! `Guard`: SRTP (RFC 3711) between a session and the wire, with keys of the signalling or of a DTLS handshake.

use super::settings::{Component, Event, Outbox, Transmit};
use crate::identity::Identity;
use crate::protection::{InsecureReason, Protection};
use crate::secure::dtls::{Dtls, Ended, Flight, Source};
use crate::secure::keyring::Protocol;
use crate::secure::{Said, Secure};
use offhook_rtp::srtp::{GROWTH, SrtpError, Suite};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// What every packet of a session passes.
#[derive(Debug)]
pub(super) struct Guard {
    secure: Secure,
    certificate: Option<Arc<Identity>>,
    /// To be told at the next occasion: the keys cannot be used, so nothing passes.
    failure: Option<InsecureReason>,
}

impl Guard {
    pub(super) fn new(now: Instant, protection: &Protection, certificate: Option<Arc<Identity>>) -> Guard {
        let mut guard = Guard { secure: Secure::default(), certificate, failure: None };
        guard.change(now, protection);
        guard
    }

    /// Other keys, or none. What stays goes on with its counters; a former key of the other side stays good for packets
    /// under way.
    pub(super) fn change(&mut self, now: Instant, protection: &Protection) {
        let said = Said { protection: protection.clone(), ..Said::default() };
        let signalled = self.secure.signalled(now, self.certificate.as_ref(), said, None);
        self.failure = signalled.err();
        if self.failure.is_some() {
            self.secure.shut();
        }
    }

    /// What media is protected with, and whether the keys came from a handshake; `None`: with nothing, or not yet.
    pub(super) fn suite(&self) -> Option<(Suite, bool)> {
        let suite = self.secure.suite(Component::Rtp.into())?;
        Some((suite, matches!(self.secure.said().protection, Protection::Dtls { .. })))
    }

    /// Whether a packet can be sent from this port as it has to be.
    pub(super) fn is_ready(&self, component: Component) -> bool {
        !self.secure.is_protected() || self.secure.suite(component.into()).is_some()
    }

    /// A packet from the wire as it was before it was protected.
    pub(super) fn open<'a>(
        &mut self,
        now: Instant,
        component: Component,
        protocol: Protocol,
        packet: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, SrtpError> {
        if !self.secure.is_protected() {
            return Ok(Cow::Borrowed(packet));
        }
        let keyring = self.secure.keyring(component.into()).ok_or(SrtpError::Unauthentic)?;
        let mut opened = vec![0; packet.len()];
        let length = keyring.open(now, protocol, packet, &mut opened)?;
        opened.truncate(length);
        Ok(Cow::Owned(opened))
    }

    /// Makes those packets fit for the wire that stand behind the first `done`; one that cannot be protected is not sent.
    pub(super) fn protect(&mut self, protocol: Protocol, packets: &mut Vec<Transmit>, done: usize) {
        let mut at = done;
        while let Some(packet) = packets.get_mut(at) {
            if self.protect_one(packet.from, protocol, &mut packet.bytes) {
                at += 1;
            } else {
                packets.remove(at);
            }
        }
    }

    fn protect_one(&mut self, component: Component, protocol: Protocol, bytes: &mut Vec<u8>) -> bool {
        if !self.secure.is_protected() {
            return true;
        }
        let Some(keyring) = self.secure.keyring(component.into()) else { return false };
        let length = bytes.len();
        bytes.resize(length + GROWTH, 0);
        let protected = keyring.protect(protocol, bytes, length);
        protected.is_ok_and(|length| {
            bytes.truncate(length);
            true
        })
    }

    /// Takes a record of DTLS from a source that may be the other side. Returns where the other side is, once it has
    /// shown the promised certificate.
    pub(super) fn shake_hands(
        &mut self,
        now: Instant,
        component: Component,
        from: (SocketAddr, Source),
        record: &[u8],
        out: &mut Outbox,
    ) -> Option<SocketAddr> {
        self.drive(now, component, out, |dtls, flight| dtls.receive(now, from, record, flight))
    }

    /// Begins a handshake if it is ours to begin and the other side's address is known, and sends again what was lost.
    pub(super) fn deadline(
        &mut self,
        now: Instant,
        component: Component,
        target: Option<SocketAddr>,
        out: &mut Outbox,
    ) -> Option<SocketAddr> {
        if component == Component::Rtp
            && let Some(reason) = self.failure.take()
        {
            out.events.push(Event::Insecure { reason });
        }
        self.drive(now, component, out, |dtls, flight| match target {
            Some(target) if dtls.must_begin() => dtls.begin(now, target, flight),
            _ => dtls.timeout(now, flight),
        })
    }

    /// When [`Guard::deadline`] is due; at once if it has something to begin or to tell.
    pub(super) fn next_deadline(
        &self,
        now: Instant,
        component: Component,
        target: Option<SocketAddr>,
    ) -> Option<Instant> {
        if component == Component::Rtp && self.failure.is_some() {
            return Some(now);
        }
        let dtls = self.handshake(component)?;
        if dtls.must_begin() && target.is_some() { Some(now) } else { dtls.deadline() }
    }

    fn handshake(&self, component: Component) -> Option<&Dtls> {
        self.secure.handshakes[crate::stream::Component::from(component).index()].as_ref()
    }

    fn drive(
        &mut self,
        now: Instant,
        from: Component,
        out: &mut Outbox,
        step: impl FnOnce(&mut Dtls, &mut Flight) -> Option<Ended>,
    ) -> Option<SocketAddr> {
        let component = crate::stream::Component::from(from);
        let dtls = self.secure.handshakes[component.index()].as_mut()?;
        let mut flight = Flight::new();
        let ended = step(dtls, &mut flight);
        let packet = |(to, bytes): (SocketAddr, bytes::Bytes)| Transmit { from, to, bytes: bytes.into() };
        out.packets.extend(flight.into_iter().map(packet));
        match (self.secure.ended(now, component, ended?), from) {
            (Ok(peer), Component::Rtp) => {
                out.events.push(Event::Secured);
                Some(peer)
            }
            (Ok(peer), Component::Rtcp) => Some(peer),
            (Err(reason), Component::Rtp) => {
                out.events.push(Event::Insecure { reason });
                None
            }
            // A call can do without reports, and there are none.
            (Err(_), Component::Rtcp) => None,
        }
    }
}
