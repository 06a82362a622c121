//! One end of a sound stream: microphone in, packets out; packets in, loudspeaker out.
//!
//! The session keeps the RTP and RTCP of one m-line (RFC 3550), telephone events both ways (RFC 4733), a
//! jitter buffer and the statistics. The driver owns sockets and sound: every 20 ms it calls
//! [`MediaSession::microphone`] and [`MediaSession::loudspeaker`], and it sends what is in the [`Outbox`]. With keys
//! (RFC 3711) every packet is protected, and what is not is not heard.

mod control;
mod guard;
mod sender;
mod settings;
mod statistics;

pub use settings::{
    Component, Event, EventFormat, Identity, Outbox, Payload, Redundancy, Settings, Transmit,
};
pub use settings::{DtlsRole, Fingerprint, IceCredentials, InsecureReason, Protection};
pub use statistics::Statistics;

use crate::latch::{Allowed, Latch, Mark, Verdict, same};
use crate::playout::{Played, Playout, Received};
use crate::secure::dtls::Source;
use crate::secure::keyring::Protocol;
use control::Control;
use guard::Guard;
use offhook_rtp::packet::{Kind, Packet};
use offhook_rtp::redundancy::{self, Block};
use offhook_rtp::sequence::{Arrival, ReceiveStatistics};
use offhook_rtp::srtp::SrtpError;
use offhook_rtp::telephone_event::{EventReceiver, Heard, digit_of};
use sender::Sender;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One end of one sound stream.
#[derive(Debug)]
pub struct MediaSession {
    settings: Settings,
    rtp: Latch,
    rtcp: Latch,
    sender: Sender,
    control: Control,
    received: ReceiveStatistics,
    events: EventReceiver,
    last_event_packet: Option<Instant>,
    playout: Playout,
    /// The rate of what is heard.
    rate: u32,
    last_played: Played,
    foreign: u64,
    guard: Guard,
    unauthentic: u64,
}

impl MediaSession {
    /// A session that begins at `now`.
    pub fn new(now: Instant, settings: Settings, identity: Identity) -> MediaSession {
        MediaSession {
            rtp: Latch::new(now, now + LEARNING),
            rtcp: Latch::new(now, now + LEARNING),
            sender: Sender::new(&settings, &identity),
            guard: Guard::new(now, &settings.protection, identity.certificate.clone()),
            control: Control::new(now, identity),
            received: ReceiveStatistics::new(settings.clock_rate()),
            events: EventReceiver::new(settings.event_clock()),
            last_event_packet: None,
            playout: Playout::new(now, settings.sample_rate(), settings.formats(), settings.noise_receive),
            rate: settings.sample_rate(),
            last_played: Played::Silence,
            foreign: 0,
            unauthentic: 0,
            settings,
        }
    }

    /// A re-INVITE or UPDATE changed what is agreed: hold, another address, codec or key. Sequence numbers,
    /// timestamps and statistics go on.
    pub fn configure(&mut self, now: Instant, settings: Settings) {
        let moved = settings.remote_rtp != self.settings.remote_rtp
            || settings.signalled_from != self.settings.signalled_from;
        self.rtp.signalled(now, now + LEARNING, moved);
        self.rtcp.signalled(now, now + LEARNING, moved || settings.remote_rtcp != self.settings.remote_rtcp);
        if settings.receive != self.settings.receive {
            self.playout.change_formats(settings.formats(), settings.noise_receive);
            self.received.change_clock(settings.clock_rate());
        }
        if settings.event_clock() != self.settings.event_clock() {
            self.events = EventReceiver::new(settings.event_clock());
        }
        self.sender.configure(&settings);
        self.guard.change(now, &settings.protection);
        self.settings = settings;
    }

    /// What is agreed at present.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes what was said in the next 20 ms, or silence, at 8, 16 or 48 kHz (its length says which;
    /// [`Settings::sample_rate`] is best); called also while on hold, since media time goes on.
    pub fn microphone(&mut self, now: Instant, frame: &[i16], out: &mut Outbox) {
        let to = self.media_target().filter(|_| self.settings.sends && self.guard.is_ready(Component::Rtp));
        let done = out.packets.len();
        self.sender.frame(now, frame, to, out);
        self.guard.protect(Protocol::Rtp, &mut out.packets, done);
    }

    /// Lets 20 ms pass in which nothing is said or sent.
    pub fn pass(&mut self, now: Instant) {
        self.sender.frame(now, &[], None, &mut Outbox::default());
    }

    /// Queues a key to be dialled (`0`–`9`, `*`, `#`, `A`–`D`): as a telephone event where that is agreed,
    /// else as a tone. `false` when it is not a key.
    pub fn dial(&mut self, digit: char, duration: Duration) -> bool {
        self.sender.dial(digit, duration)
    }

    /// Whether keys are still being sent.
    pub fn is_dialling(&self) -> bool {
        self.sender.is_dialling()
    }

    /// Takes a datagram from the RTP port.
    pub fn receive_rtp(&mut self, now: Instant, from: SocketAddr, bytes: &[u8], out: &mut Outbox) {
        // Which of the two it is stands in the clear (RFC 5761 §4).
        match Kind::of(bytes) {
            Kind::Rtp => {}
            Kind::Rtcp => {
                let Some(bytes) = &self.open(now, Component::Rtp, Protocol::Rtcp, bytes) else { return };
                if self.judge(now, from, None) == Verdict::Accept {
                    self.control(now, bytes, out);
                } else {
                    self.foreign += 1;
                }
                return;
            }
            Kind::Dtls => return self.shake_hands(now, Component::Rtp, from, bytes, out),
            Kind::Stun | Kind::Zrtp | Kind::TurnChannel | Kind::Other => return,
        }
        let Some(bytes) = &self.open(now, Component::Rtp, Protocol::Rtp, bytes) else { return };
        let Ok(packet) = Packet::parse(bytes) else { return };
        let mark = Mark { ssrc: packet.ssrc(), sequence: Some(packet.sequence()), needed: PACKETS };
        match self.judge(now, from, Some(mark)) {
            Verdict::Foreign => self.foreign += 1,
            Verdict::Latched => {
                out.events.push(Event::Latched { address: from });
                self.media(now, &packet, out);
            }
            Verdict::Accept => self.media(now, &packet, out),
        }
    }

    /// Takes a datagram from the RTCP port.
    pub fn receive_rtcp(&mut self, now: Instant, from: SocketAddr, bytes: &[u8], out: &mut Outbox) {
        match Kind::of(bytes) {
            Kind::Rtcp => {}
            Kind::Dtls => return self.shake_hands(now, Component::Rtcp, from, bytes, out),
            Kind::Rtp | Kind::Stun | Kind::Zrtp | Kind::TurnChannel | Kind::Other => return,
        }
        let Some(bytes) = &self.open(now, Component::Rtcp, Protocol::Rtcp, bytes) else { return };
        let allowed = self.allowed_rtcp();
        // Only a source that is believed already may teach another address.
        let ssrc = bytes.get(4..8).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        let needed = if self.rtp.ssrc() == Some(ssrc) { 1 } else { 2 };
        match self.rtcp.judge(now, from, Some(Mark { ssrc, sequence: None, needed }), allowed) {
            Verdict::Foreign => self.foreign += 1,
            Verdict::Accept | Verdict::Latched => self.control(now, bytes, out),
        }
    }

    /// Fills the frame to be heard in the next 20 ms, at 8, 16 or 48 kHz (its length says which;
    /// [`Settings::sample_rate`] is best). A frame of another length is silence.
    pub fn loudspeaker(&mut self, now: Instant, frame: &mut [i16]) -> Played {
        let rate = frame.len() as u32 * FRAMES_A_SECOND;
        if rate != self.rate {
            if !RATES.contains(&rate) {
                frame.fill(0);
                return Played::Silence;
            }
            self.rate = rate;
            self.playout =
                self.playout.at_rate(now, rate, self.settings.formats(), self.settings.noise_receive);
        }
        self.last_played = self.playout.pull(now, frame);
        if !self.settings.receives {
            frame.fill(0);
            self.last_played = Played::Silence;
        }
        self.last_played
    }

    /// When [`MediaSession::deadline`] is to be called.
    pub fn next_deadline(&self) -> Instant {
        let event = self.last_event_packet.map(|at| at + EVENT_TIMEOUT);
        let report = self.control.next_report();
        let handshakes = BOTH.into_iter().filter_map(|component| {
            let target = self.handshake_target(component);
            // What is due at once has been due since the last report.
            self.guard.next_deadline(self.control.last_report(), component, target)
        });
        handshakes.chain(event).fold(report, Instant::min)
    }

    /// Sends the RTCP report that is due, and ends a received key whose end never came.
    pub fn deadline(&mut self, now: Instant, out: &mut Outbox) {
        if self.last_event_packet.is_some_and(|at| now >= at + EVENT_TIMEOUT) {
            self.last_event_packet = None;
            self.heard(out, |events, heard| events.finish(heard));
        }
        for component in BOTH {
            let target = self.handshake_target(component);
            let secured = self.guard.deadline(now, component, target, out);
            self.secured(now, component, secured);
        }
        if now >= self.control.next_report() {
            let (to, done) = (self.control_target(), out.packets.len());
            self.control.report(now, &self.sender, &mut self.received, to, out);
            self.guard.protect(Protocol::Rtcp, &mut out.packets, done);
        }
    }

    /// Says goodbye (RTCP BYE). Nothing should be sent after it.
    pub fn end(&mut self, now: Instant, out: &mut Outbox) {
        self.heard(out, |events, heard| events.finish(heard));
        let (to, done) = (self.control_target(), out.packets.len());
        self.control.goodbye(now, &self.sender, &mut self.received, to, out);
        self.guard.protect(Protocol::Rtcp, &mut out.packets, done);
    }

    /// How the stream did so far.
    pub fn statistics(&self) -> Statistics {
        Statistics::of(self)
    }

    /// A packet as it was before it was protected. One that is not protected as agreed is counted and dropped before
    /// anything is learnt from it.
    fn open<'a>(
        &mut self,
        now: Instant,
        component: Component,
        protocol: Protocol,
        bytes: &'a [u8],
    ) -> Option<Cow<'a, [u8]>> {
        let opened = self.guard.open(now, component, protocol, bytes);
        // A packet that came twice was good once.
        self.unauthentic += u64::from(opened.as_ref().is_err_and(|error| *error != SrtpError::Replayed));
        opened.ok()
    }

    /// A record of DTLS: taken only from where the other side may be.
    fn shake_hands(
        &mut self,
        now: Instant,
        component: Component,
        from: SocketAddr,
        record: &[u8],
        out: &mut Outbox,
    ) {
        let (latch, allowed) = match component {
            Component::Rtp => (&self.rtp, self.allowed()),
            Component::Rtcp => (&self.rtcp, self.allowed_rtcp()),
        };
        let known = [latch.address(), allowed.expected];
        let source = if self.settings.proven {
            Source::Checked
        } else if known.into_iter().flatten().any(|known| same(known, from)) {
            Source::Signalled
        } else if allowed.permits(from.ip()) {
            Source::Possible
        } else {
            self.foreign += 1;
            return;
        };
        let secured = self.guard.shake_hands(now, component, (from, source), record, out);
        self.secured(now, component, secured);
    }

    /// Whoever has shown the promised certificate is where media goes.
    fn secured(&mut self, now: Instant, component: Component, peer: Option<SocketAddr>) {
        let latch = match component {
            Component::Rtp => &mut self.rtp,
            Component::Rtcp => &mut self.rtcp,
        };
        if let Some(peer) = peer.filter(|_| !self.settings.proven) {
            latch.prove(now, peer, 0);
        }
    }

    /// Where a handshake of ours goes to; with one port for both, that of RTP is RTCP's too.
    fn handshake_target(&self, component: Component) -> Option<SocketAddr> {
        match component {
            Component::Rtp => self.media_target(),
            Component::Rtcp if self.settings.rtcp_mux => None,
            Component::Rtcp => self.control_target().map(|(_, to)| to),
        }
    }

    fn media(&mut self, now: Instant, packet: &Packet<'_>, out: &mut Outbox) {
        let gaps = self.received.gaps();
        let arrival = self.received.receive(&packet.header(), packet.payload().len(), now);
        if self.received.gaps() > gaps {
            // What loses in one direction mostly does in the other, and the other side's report takes seconds.
            self.sender.protect(now);
        }
        if arrival == Arrival::Duplicate || !self.settings.receives {
            return;
        }
        let (payload_type, ssrc, timestamp) = (packet.payload_type(), packet.ssrc(), packet.timestamp());
        let whole = Received { payload_type, ssrc, timestamp, payload: packet.payload() };
        if self.settings.redundancy.is_none_or(|redundancy| redundancy.receive != payload_type) {
            return self.sound(now, whole, out);
        }
        for Block { payload_type, earlier, payload } in redundancy::read(whole.payload).into_iter().flatten()
        {
            let one = Received { payload_type, timestamp: timestamp.wrapping_sub(earlier), payload, ..whole };
            match earlier {
                0 => self.sound(now, one, out),
                _ => self.playout.push_copy(now, one),
            }
        }
    }

    /// What one packet says by itself.
    fn sound(&mut self, now: Instant, received: Received<'_>, out: &mut Outbox) {
        let Received { payload_type, timestamp, payload, .. } = received;
        if self.settings.event_receive.is_some_and(|event| event.payload_type == payload_type) {
            self.last_event_packet = Some(now);
            self.heard(out, |events, heard| events.receive(timestamp, payload, heard));
        } else {
            self.heard(out, |events, heard| events.audio(timestamp, heard));
            self.playout.push(now, received);
        }
    }

    fn control(&mut self, now: Instant, bytes: &[u8], out: &mut Outbox) {
        self.control.receive(now, bytes, &mut self.received, out);
        if let Some(peer) = self.control.peer() {
            self.sender.expect_loss(f32::from(peer.fraction_lost) * 100.0 / 256.0);
            if peer.fraction_lost > 0 {
                self.sender.protect(now);
            }
        }
    }

    /// Lets the event receiver work and passes on which keys it heard.
    fn heard(&mut self, out: &mut Outbox, work: impl FnOnce(&mut EventReceiver, &mut Vec<Heard>)) {
        let mut heard = Vec::new();
        work(&mut self.events, &mut heard);
        for event in heard {
            match event {
                Heard::Started { event } => {
                    out.events.extend(digit_of(event).map(|digit| Event::DigitStarted { digit }));
                }
                Heard::Ended { event, duration_ms } => {
                    self.last_event_packet = None;
                    let duration = Duration::from_millis(duration_ms.into());
                    out.events.extend(digit_of(event).map(|digit| Event::Digit { digit, duration }));
                }
            }
        }
    }

    /// Whether a packet of the RTP port is the other side's.
    fn judge(&mut self, now: Instant, from: SocketAddr, mark: Option<Mark>) -> Verdict {
        if self.settings.proven {
            return Verdict::Accept;
        }
        let allowed = self.allowed();
        self.rtp.judge(now, from, mark, allowed)
    }

    fn allowed(&self) -> Allowed {
        let expected = self.settings.remote_rtp.filter(is_sendable);
        Allowed { expected, signalled_from: self.settings.signalled_from }
    }

    fn allowed_rtcp(&self) -> Allowed {
        Allowed { expected: self.said_rtcp(), signalled_from: self.settings.signalled_from }
    }

    fn media_target(&self) -> Option<SocketAddr> {
        let learnt = self.rtp.address().filter(|_| !self.settings.proven);
        learnt.or_else(|| self.settings.remote_rtp.filter(is_sendable))
    }

    fn control_target(&self) -> Option<(Component, SocketAddr)> {
        if self.settings.rtcp_mux {
            return Some((Component::Rtp, self.media_target()?));
        }
        Some((Component::Rtcp, self.rtcp.address().or_else(|| self.said_rtcp())?))
    }

    fn said_rtcp(&self) -> Option<SocketAddr> {
        let rtp = self.settings.remote_rtp;
        let next = || rtp.and_then(|rtp| Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)));
        self.settings.remote_rtcp.or_else(next).filter(is_sendable)
    }
}

fn is_sendable(address: &SocketAddr) -> bool {
    address.port() != 0 && !address.ip().is_unspecified()
}

const BOTH: [Component; 2] = [Component::Rtp, Component::Rtcp];
/// Frames of 20 ms.
const FRAMES_A_SECOND: u32 = 50;
/// What sound may be heard and said at.
const RATES: [u32; 3] = [8000, 16_000, 48_000];
/// How long after signalling a source may be learnt.
const LEARNING: Duration = Duration::from_secs(30);
/// Media packets that must follow each other before an unexpected source is believed.
const PACKETS: u8 = 3;
/// A key that is held repeats its packet every 20 to 50 ms.
const EVENT_TIMEOUT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
