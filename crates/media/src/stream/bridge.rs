//! The way through a stream of which a side is protected or proven by ICE: packets are sorted (RFC 7983), opened,
//! and protected for the other side.

use super::presses::instead_of;
use super::{Component, Flow, Outcome, Seen, Stream, see};
use crate::command::{Report, SideName};
use crate::latch::{Verdict, same};
use crate::relay::{Outbox, Send};
use crate::secure::dtls::{Dtls, Ended, Flight, Source};
use crate::secure::ice::Checked;
use crate::secure::keyring::Protocol;
use offhook_rtp::packet::Kind;
use offhook_rtp::srtp::SrtpError;
use std::net::SocketAddr;
use std::time::Instant;

/// Why a packet of media does not go on.
pub(super) enum Refused {
    Malformed,
    Foreign,
    Unauthentic,
    Replayed,
}

/// A packet of media that is the phone's.
pub(super) struct Admitted {
    pub(super) control: bool,
    pub(super) latched: bool,
    /// How long it is in the scratch memory, where it lies if it was opened, or something goes in its place.
    pub(super) opened: Option<usize>,
}

impl Stream {
    /// Whether a side needs more than passing on.
    pub(super) fn is_bridged(&self) -> bool {
        self.end.is_some()
            || self.translators.is_some()
            || self.presses.is_some()
            || self.tap.is_some()
            || self.wants_picture()
            || self.flows.iter().any(|flow| flow.secure.is_some())
    }

    /// Takes a packet, and leaves in `scratch` what has become of it, if it was changed.
    pub(super) fn bridge(
        &mut self,
        now: Instant,
        (name, component): (SideName, Component),
        from: SocketAddr,
        packet: &[u8],
        scratch: &mut [u8],
        out: &mut Outbox,
    ) -> Outcome {
        match Kind::of(packet) {
            Kind::Stun => self.check(now, (name, component), from, packet, out),
            Kind::Dtls => self.shake_hands(now, (name, component), from, packet, out),
            Kind::Rtp | Kind::Rtcp | Kind::Zrtp | Kind::TurnChannel | Kind::Other => {
                return self.pass(now, (name, component), from, packet, (scratch, out));
            }
        }
        Outcome { timers_changed: true, ..Outcome::default() }
    }

    fn pass(
        &mut self,
        now: Instant,
        (name, component): (SideName, Component),
        from: SocketAddr,
        packet: &[u8],
        (scratch, out): (&mut [u8], &mut Outbox),
    ) -> Outcome {
        let flow = &mut self.flows[name.index()];
        let mut admitted = match flow.admit(now, component, from, packet, scratch) {
            Ok(admitted) => admitted,
            Err(refused) => {
                flow.count_refused(&refused);
                return Outcome::default();
            }
        };
        flow.count(admitted.control, packet.len());
        if !admitted.control {
            flow.tally.take(now, packet);
        }
        self.quiet_since = now;
        let latched = admitted.latched.then_some(from);
        if self.end.is_some() {
            if self.speaks() {
                return Outcome { latched, ..self.hear(now, &admitted, packet, scratch) };
            }
            if self.shows() {
                self.report(now, &admitted, scratch, out);
                return Outcome { latched, ..Outcome::default() };
            }
            return Outcome { latched, ..self.give_back(now, (&admitted, packet), scratch, out) };
        }
        if self.tap.is_some() && !admitted.control {
            let sound = admitted.opened.and_then(|length| scratch.get(..length)).unwrap_or(packet);
            if let Some(outcome) = self.overhear(now, name, sound) {
                return Outcome { latched, ..outcome };
            }
        }
        if self.translators.is_some() {
            let translated = self.translate(now, name, (&admitted, packet), scratch, out);
            return Outcome { latched, ..translated };
        }
        let [a, b] = &mut self.flows;
        let (flow, other) = if name == SideName::A { (a, b) } else { (b, a) };
        let Some(path) = other.path(now, admitted.control) else {
            flow.counters.undeliverable += 1;
            return Outcome { latched, ..Outcome::default() };
        };
        let sound = admitted.opened.and_then(|length| scratch.get(..length)).unwrap_or(packet);
        if !admitted.control
            && let Some(key) = instead_of(&mut self.presses, name.other(), sound)
            && let Some(place) = scratch.get_mut(..key.len())
        {
            place.copy_from_slice(&key);
            admitted.opened = Some(key.len());
        }
        match other.protect(&admitted, packet, scratch) {
            Ok(rewritten) => {
                flow.counters.forwarded += 1;
                if !admitted.control {
                    self.ask_for_picture(now, name, packet, out);
                }
                Outcome { forward: Some(path), rewritten, latched, timers_changed: false }
            }
            Err(Refused::Replayed) => {
                flow.counters.replayed += 1;
                Outcome { latched, ..Outcome::default() }
            }
            Err(_) => {
                flow.counters.undeliverable += 1;
                Outcome { latched, ..Outcome::default() }
            }
        }
    }

    /// A connectivity check, or somebody who would like us to answer.
    fn check(
        &mut self,
        now: Instant,
        (name, component): (SideName, Component),
        from: SocketAddr,
        packet: &[u8],
        out: &mut Outbox,
    ) {
        let flow = &mut self.flows[name.index()];
        let ice = flow.secure.as_mut().and_then(|secure| secure.ice.as_mut());
        let checked = ice.map_or(Checked::Malformed, |ice| ice.check(now, component, from, packet));
        let answer = match checked {
            Checked::Malformed => {
                flow.counters.malformed += 1;
                None
            }
            Checked::Silent => None,
            Checked::Unauthentic(answer) => {
                flow.counters.unauthentic += 1;
                answer
            }
            Checked::Valid { answer, selected } => {
                if selected && component == Component::Rtp {
                    out.reports.push(Report::Latched { stream: self.id, side: name, address: from });
                }
                Some(answer)
            }
        };
        let from_port = flow.port(component);
        out.sends.extend(answer.map(|answer| Send { from_port, to: from, bytes: answer.into() }));
        self.begin_handshakes(now, out);
    }

    /// A record of DTLS: taken only from where the phone may be.
    fn shake_hands(
        &mut self,
        now: Instant,
        (name, component): (SideName, Component),
        from: SocketAddr,
        packet: &[u8],
        out: &mut Outbox,
    ) {
        let flow = &mut self.flows[name.index()];
        let source = flow.source(now, component, from);
        let secure = flow.secure.as_mut();
        let dtls = secure.and_then(|secure| secure.handshakes[component.index()].as_mut());
        let Some(dtls) = dtls else {
            flow.counters.malformed += 1;
            return;
        };
        let Some(source) = source else {
            flow.counters.foreign += 1;
            return;
        };
        let mut flight = Flight::new();
        let ended = dtls.receive(now, (from, source), packet, &mut flight);
        self.follow(now, (name, component), flight, ended, out);
    }

    /// Begins the handshakes that are ours to begin: as soon as the phone can be reached and can have heard of us,
    /// which is when the other one has answered.
    pub(crate) fn begin_handshakes(&mut self, now: Instant, out: &mut Outbox) {
        for name in SideName::BOTH {
            if !self.has_phone(name.other()) {
                continue;
            }
            for component in Component::BOTH {
                let flow = &mut self.flows[name.index()];
                let target = match component {
                    Component::Rtp => flow.media_target(now),
                    // With one port for both, RTP's handshake is RTCP's too.
                    Component::Rtcp if flow.facing.rtcp_mux => None,
                    Component::Rtcp => flow.path(now, true).map(|path| path.to),
                };
                let secure = flow.secure.as_mut();
                let dtls = secure.and_then(|secure| secure.handshakes[component.index()].as_mut());
                if let (Some(dtls), Some(target)) = (dtls.filter(|dtls| dtls.must_begin()), target) {
                    let mut flight = Flight::new();
                    let ended = dtls.begin(now, target, &mut flight);
                    self.follow(now, (name, component), flight, ended, out);
                }
            }
        }
    }

    /// Sends again what handshakes need to.
    pub(crate) fn timeout(&mut self, now: Instant, out: &mut Outbox) {
        for name in SideName::BOTH {
            for component in Component::BOTH {
                let secure = self.flows[name.index()].secure.as_mut();
                let dtls = secure.and_then(|secure| secure.handshakes[component.index()].as_mut());
                if let Some(dtls) = dtls {
                    let mut flight = Flight::new();
                    let ended = dtls.timeout(now, &mut flight);
                    self.follow(now, (name, component), flight, ended, out);
                }
            }
        }
    }

    /// When [`Stream::timeout`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let secured = self.flows.iter().filter_map(|flow| flow.secure.as_ref());
        secured.flat_map(|secure| secure.handshakes.iter().flatten()).filter_map(Dtls::deadline).min()
    }

    /// Sends a flight, and tells how the handshake ended.
    fn follow(
        &mut self,
        now: Instant,
        (name, component): (SideName, Component),
        flight: Flight,
        ended: Option<Ended>,
        out: &mut Outbox,
    ) {
        let flow = &mut self.flows[name.index()];
        let from_port = flow.port(component);
        out.sends.extend(flight.into_iter().map(|(to, bytes)| Send { from_port, to, bytes }));
        let (Some(ended), Some(secure)) = (ended, flow.secure.as_mut()) else { return };
        let (stream, side) = (self.id, name);
        match (secure.ended(now, component, ended), component) {
            (Ok(peer), Component::Rtp) => {
                let by_ice = secure.agreed_ice().is_some();
                if !by_ice && flow.rtp.prove(now, peer, 0) == Verdict::Latched {
                    out.reports.push(Report::Latched { stream, side, address: peer });
                }
                out.reports.push(Report::Secured { stream, side });
            }
            (Ok(peer), Component::Rtcp) => {
                if secure.agreed_ice().is_none() {
                    flow.rtcp.prove(now, peer, 0);
                }
            }
            // A call can do without reports, and there are none.
            (Err(_), Component::Rtcp) => {}
            (Err(reason), Component::Rtp) => out.reports.push(Report::Insecure { stream, side, reason }),
        }
    }
}

impl Flow {
    fn port(&self, component: Component) -> u16 {
        match component {
            Component::Rtp => self.facing.ports.rtp,
            Component::Rtcp => self.facing.ports.rtcp,
        }
    }

    /// Judges a packet of media: by ICE, by its tag, or as any plain one.
    fn admit(
        &mut self,
        now: Instant,
        component: Component,
        from: SocketAddr,
        packet: &[u8],
        scratch: &mut [u8],
    ) -> Result<Admitted, Refused> {
        let proven = self.is_proven(now, component, from)?;
        let protected = self.secure.as_ref().is_some_and(|secure| secure.is_protected());
        let opened = if protected {
            // Work is done only for who may be the phone.
            if !proven && !self.latch(component).may_be(now, from) {
                return Err(Refused::Foreign);
            }
            Some(self.open(now, component, packet, scratch)?)
        } else {
            None
        };
        let seen = see(opened.map_or(packet, |length| &scratch[..length]));
        let (control, ssrc) = match (seen, component) {
            (Seen::Media(mark), Component::Rtp) => (false, mark.ssrc),
            (Seen::Control(mark), _) => (true, mark.ssrc),
            (Seen::Neither, _) | (Seen::Media(_), Component::Rtcp) => return Err(Refused::Malformed),
        };
        let verdict = if proven {
            Some(Verdict::Accept)
        } else if protected {
            Some(self.latch(component).prove(now, from, ssrc))
        } else {
            self.judge(now, component, from, seen)
        };
        match verdict {
            Some(Verdict::Accept) => Ok(Admitted { control, latched: false, opened }),
            Some(Verdict::Latched) => {
                Ok(Admitted { control, latched: component == Component::Rtp && !control, opened })
            }
            Some(Verdict::Foreign) | None => Err(Refused::Foreign),
        }
    }

    /// Whether ICE vouches for a source; where ICE is in use, nothing else does.
    fn is_proven(&mut self, now: Instant, component: Component, from: SocketAddr) -> Result<bool, Refused> {
        let Some(ice) = self.secure.as_mut().and_then(|secure| secure.agreed_ice()) else { return Ok(false) };
        if !ice.accepts(now, component, from) {
            return Err(Refused::Foreign);
        }
        ice.heard(now, component, from);
        Ok(true)
    }

    fn open(
        &mut self,
        now: Instant,
        component: Component,
        packet: &[u8],
        scratch: &mut [u8],
    ) -> Result<usize, Refused> {
        let protocol = match Kind::of(packet) {
            Kind::Rtp => Protocol::Rtp,
            Kind::Rtcp => Protocol::Rtcp,
            _ => return Err(Refused::Malformed),
        };
        let keyring = self.secure.as_mut().and_then(|secure| secure.keyring(component));
        let keyring = keyring.ok_or(Refused::Unauthentic)?;
        keyring.open(now, protocol, packet, scratch).map_err(|error| match error {
            SrtpError::Replayed => Refused::Replayed,
            SrtpError::Malformed | SrtpError::NoRoom => Refused::Malformed,
            SrtpError::Unauthentic | SrtpError::Exhausted => Refused::Unauthentic,
        })
    }

    /// Makes a packet of the other side fit for this one; says how long it is in the scratch memory, or that it goes
    /// on as it came.
    pub(super) fn protect(
        &mut self,
        admitted: &Admitted,
        packet: &[u8],
        scratch: &mut [u8],
    ) -> Result<Option<usize>, Refused> {
        let Some(secure) = self.secure.as_mut().filter(|secure| secure.is_protected()) else {
            return Ok(admitted.opened);
        };
        let apart = admitted.control && !self.facing.rtcp_mux;
        let component = if apart { Component::Rtcp } else { Component::Rtp };
        let keyring = secure.keyring(component).ok_or(Refused::Foreign)?;
        let length = match admitted.opened {
            Some(length) => length,
            None => {
                scratch.get_mut(..packet.len()).ok_or(Refused::Malformed)?.copy_from_slice(packet);
                packet.len()
            }
        };
        let protocol = if admitted.control { Protocol::Rtcp } else { Protocol::Rtp };
        match keyring.protect(protocol, scratch, length) {
            Ok(length) => Ok(Some(length)),
            Err(SrtpError::Replayed) => Err(Refused::Replayed),
            Err(_) => Err(Refused::Malformed),
        }
    }

    /// Whether a handshake may come from there.
    fn source(&mut self, now: Instant, component: Component, from: SocketAddr) -> Option<Source> {
        if let Some(ice) = self.secure.as_mut().and_then(|secure| secure.agreed_ice()) {
            return ice.accepts(now, component, from).then_some(Source::Checked);
        }
        let allowed = match component {
            Component::Rtp => self.expected_rtp(),
            Component::Rtcp => self.expected_rtcp(),
        };
        let known = [self.latch(component).address(), allowed.expected];
        if known.into_iter().flatten().any(|known| same(known, from)) {
            return Some(Source::Signalled);
        }
        allowed.permits(from.ip()).then_some(Source::Possible)
    }

    fn count_refused(&mut self, refused: &Refused) {
        match refused {
            Refused::Malformed => self.counters.malformed += 1,
            Refused::Foreign => self.counters.foreign += 1,
            Refused::Unauthentic => self.counters.unauthentic += 1,
            Refused::Replayed => self.counters.replayed += 1,
        }
    }
}
