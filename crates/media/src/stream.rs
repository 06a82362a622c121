//! One relayed stream: two sides, the source each was learnt to send from, and what was counted.

mod bridge;
mod echo;
mod flow;
mod picture;
mod pictures;
mod presses;
mod tally;
mod tap;
mod translation;
mod voice;

use crate::command::{
    Content, Counters, EventFormat, IceCredentials, InsecureReason, PortPair, Press, Remote, Side, SideName,
    StreamId,
};
use crate::latch::{Latch, Mark, Verdict};
use crate::relay::{Config, Outbox};
use crate::secure::Said;
use echo::End;
use flow::{Facing, Flow};
use offhook_rtp::packet::{Kind, Packet};
pub(crate) use picture::Picture;
use pictures::Pictures;
use presses::Presses;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tally::Tally;
use translation::Translators;

/// A flow as it can be written out and taken up by another process: addresses, ports, counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The stream's name.
    pub stream: StreamId,
    /// Both sides as signalling described them last.
    pub sides: [Side; 2],
    /// What is carried.
    pub content: Content,
    /// The learnt sources: `[side][0]` RTP, `[side][1]` RTCP.
    pub learnt: [[Option<SocketAddr>; 2]; 2],
    /// What each side sent so far.
    pub counters: [Counters; 2],
}

/// Which port of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Component {
    Rtp,
    Rtcp,
}

impl Component {
    /// Both.
    pub(crate) const BOTH: [Component; 2] = [Component::Rtp, Component::Rtcp];

    /// The place in a `[T; 2]` of ports.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// Where a packet goes on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) from_port: u16,
    pub(crate) to: SocketAddr,
}

/// What a received packet led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) forward: Option<Path>,
    /// It goes on as the so many bytes in the scratch memory; `None`: as it came.
    pub(crate) rewritten: Option<usize>,
    /// The side's RTP source was locked by this packet.
    pub(crate) latched: Option<SocketAddr>,
    /// It may have been of a handshake.
    pub(crate) timers_changed: bool,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    content: Content,
    flows: [Flow; 2],
    /// Apart: of a stream whose side B is here. Its flow has no ports and hears nothing.
    end: Option<End>,
    /// Apart: most streams need none.
    translators: Option<Box<Translators>>,
    /// Apart: somebody of ours between the sides.
    tap: Option<Box<tap::Tap>>,
    /// Keys on their way to either side, while there are any.
    presses: Option<Box<[Presses; 2]>>,
    /// Of a stream of pictures, what is asked of either side.
    pictures: Option<Box<[Pictures; 2]>>,
    /// When a side was last heard, or signalling last spoke.
    quiet_since: Instant,
    /// When silence was last reported.
    reported: Instant,
    /// The time that the relay has written down for it.
    pub(crate) armed: Option<Instant>,
}

/// What a packet is, after a look at its header.
#[derive(Clone, Copy)]
enum Seen {
    Media(Mark),
    Control(Mark),
    Neither,
}

impl Stream {
    /// A stream between two sides; what cannot be done for one of them is said with its name.
    pub(crate) fn new(
        now: Instant,
        config: &Config,
        id: StreamId,
        sides: [Side; 2],
        content: Content,
    ) -> Result<Self, SideName> {
        let latch = Latch::new(now, now + config.learning);
        let flows = sides.each_ref().map(|side| Flow::new(&latch, side.ports, side.local_ip));
        let mut stream = Stream {
            id,
            content,
            flows,
            end: None,
            translators: None,
            tap: None,
            presses: None,
            pictures: None,
            quiet_since: now,
            reported: now,
            armed: None,
        };
        for (name, side) in SideName::BOTH.into_iter().zip(sides) {
            let said = stream.flows[name.index()].accept(side.remote);
            stream.secure(now, config, name, said, side.ice).map_err(|_| name)?;
        }
        Ok(stream)
    }

    /// A stream of one side, whose other end is here.
    pub(crate) fn with_end(
        now: Instant,
        config: &Config,
        id: StreamId,
        side: Side,
    ) -> Result<Self, SideName> {
        let nobody = Side {
            ports: PortPair { rtp: 0, rtcp: 0 },
            local_ip: None,
            remote: Remote::default(),
            ice: None,
        };
        let mut stream = Stream::new(now, config, id, [side, nobody], Content::Rtp)?;
        stream.end = Some(End::Silent);
        Ok(stream)
    }

    /// Takes up a stream; one that is protected cannot be: its keys would begin anew.
    pub(crate) fn restore(now: Instant, config: &Config, saved: Saved) -> Result<Self, SideName> {
        let mut stream = Stream::new(now, config, saved.stream, saved.sides, saved.content)?;
        if let Some(name) =
            SideName::BOTH.into_iter().find(|name| stream.flows[name.index()].secure.is_some())
        {
            return Err(name);
        }
        for (n, flow) in stream.flows.iter_mut().enumerate() {
            flow.counters = saved.counters[n];
            flow.tally = Tally::after(&saved.counters[n]);
            for (latch, learnt) in [&mut flow.rtp, &mut flow.rtcp].into_iter().zip(saved.learnt[n]) {
                if let Some(source) = learnt {
                    latch.restore(now, source);
                }
            }
        }
        Ok(stream)
    }

    /// As plain data; one that ends here is none.
    pub(crate) fn save(&self) -> Option<Saved> {
        if self.end.is_some() {
            return None;
        }
        Some(Saved {
            stream: self.id,
            sides: self.flows.each_ref().map(Flow::side),
            content: self.content,
            learnt: self.flows.each_ref().map(|flow| [flow.rtp.address(), flow.rtcp.address()]),
            counters: self.counters(),
        })
    }

    /// The sides that are not here.
    pub(crate) fn facing(&self) -> impl Iterator<Item = (SideName, &Facing)> {
        let sides = if self.end.is_some() { 1 } else { 2 };
        SideName::BOTH.into_iter().zip(self.flows.iter().map(|flow| &flow.facing)).take(sides)
    }

    /// Whether a side can be reached, as what is here always can.
    fn has_phone(&self, name: SideName) -> bool {
        self.end.is_some() && name == SideName::B || self.flows[name.index()].has_phone()
    }

    pub(crate) fn counters(&self) -> [Counters; 2] {
        self.flows.each_ref().map(Flow::counted)
    }

    pub(crate) fn update(
        &mut self,
        now: Instant,
        config: &Config,
        name: SideName,
        remote: Remote,
        ice: Option<IceCredentials>,
    ) -> Result<(), InsecureReason> {
        let until = now + config.learning;
        let said = self.flows[name.index()].face(now, until, remote);
        let secured = self.secure(now, config, name, said, ice);
        // The other phone may begin to speak only now: a caller is silent until the callee answers.
        self.flows[name.other().index()].learn_until(now, until);
        self.quiet_since = now;
        self.reported = now;
        secured
    }

    /// Sends a side a key in place of sound.
    pub(crate) fn press(&mut self, to: SideName, format: EventFormat, press: Press) {
        let has_room = self.presses.get_or_insert_default()[to.index()].push(format, press);
        if !has_room {
            self.flows[to.other().index()].counters.undeliverable += 1;
        }
    }

    /// Does as signalling says about a side's protection.
    fn secure(
        &mut self,
        now: Instant,
        config: &Config,
        name: SideName,
        said: Said,
        ice: Option<IceCredentials>,
    ) -> Result<(), InsecureReason> {
        let flow = &mut self.flows[name.index()];
        if flow.secure.is_none() && said.is_plain() && ice.is_none() {
            return Ok(());
        }
        if self.content == Content::Opaque {
            return Err(InsecureReason::NotRtp);
        }
        let secure = flow.secure.get_or_insert_default();
        let secured = secure.signalled(now, config.identity.as_ref(), said, ice);
        if secure.is_needless() {
            flow.secure = None;
        }
        secured
    }

    /// Something else comes from now on.
    pub(crate) fn carry(&mut self, now: Instant, content: Content) {
        if content == Content::Opaque {
            self.transcode(now, None);
        }
        self.content = content;
    }

    /// How long the stream has been silent, when that is worth a report.
    pub(crate) fn stopped(&mut self, now: Instant, idle: Duration) -> Option<Duration> {
        let held = self.flows.iter().any(|flow| flow.facing.hold);
        let ready = SideName::BOTH.into_iter().all(|name| self.has_phone(name));
        if held || !ready {
            self.quiet_since = now;
            return None;
        }
        if now.saturating_duration_since(self.quiet_since.max(self.reported)) < idle {
            return None;
        }
        self.reported = now;
        Some(now.saturating_duration_since(self.quiet_since))
    }

    /// The packet path: no allocation, no loop, unless the packet is of a handshake or a check.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        at: (SideName, Component),
        from: SocketAddr,
        packet: &[u8],
        scratch: &mut [u8],
        out: &mut Outbox,
    ) -> Outcome {
        if self.is_bridged() {
            return self.bridge(now, at, from, packet, scratch, out);
        }
        self.pass_plain(now, at, from, packet)
    }

    /// What the two phones send each other is not for us to read or change.
    fn pass_plain(
        &mut self,
        now: Instant,
        (name, component): (SideName, Component),
        from: SocketAddr,
        packet: &[u8],
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let seen = if self.content == Content::Opaque { see_opaque(component) } else { see(packet) };
        let control = matches!(seen, Seen::Control(_));
        let [a, b] = &mut self.flows;
        let (flow, other) = if name == SideName::A { (a, b) } else { (b, a) };
        match flow.judge(now, component, from, seen) {
            None => {
                flow.counters.malformed += 1;
                return outcome;
            }
            Some(Verdict::Foreign) => {
                flow.counters.foreign += 1;
                return outcome;
            }
            Some(Verdict::Latched) if !control => outcome.latched = Some(from),
            Some(Verdict::Latched | Verdict::Accept) => {}
        }
        flow.count(control, packet.len());
        if !control && self.content == Content::Rtp {
            flow.tally.take(now, packet);
        }
        self.quiet_since = now;
        outcome.forward = other.path(now, control);
        match outcome.forward {
            Some(_) => flow.counters.forwarded += 1,
            None => flow.counters.undeliverable += 1,
        }
        outcome
    }
}

fn see_opaque(component: Component) -> Seen {
    let mark = Mark { ssrc: 0, sequence: None, needed: PACKETS };
    match component {
        Component::Rtp => Seen::Media(mark),
        Component::Rtcp => Seen::Control(mark),
    }
}

fn see(packet: &[u8]) -> Seen {
    match Kind::of(packet) {
        Kind::Rtp => Packet::parse(packet).map_or(Seen::Neither, |rtp| {
            Seen::Media(Mark { ssrc: rtp.ssrc(), sequence: Some(rtp.sequence()), needed: PACKETS })
        }),
        Kind::Rtcp => control_ssrc(packet)
            .map_or(Seen::Neither, |ssrc| Seen::Control(Mark { ssrc, sequence: None, needed: REPORTS })),
        Kind::Stun | Kind::Zrtp | Kind::Dtls | Kind::TurnChannel | Kind::Other => Seen::Neither,
    }
}

/// The sender's SSRC of an RTCP packet whose first length fits (SRTCP keeps both in the clear).
fn control_ssrc(packet: &[u8]) -> Option<u32> {
    let length = 4 + 4 * usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let ssrc = packet.get(4..8)?;
    (length >= 8 && length <= packet.len()).then(|| u32::from_be_bytes([ssrc[0], ssrc[1], ssrc[2], ssrc[3]]))
}

/// Media packets that must follow each other before an unexpected source is believed.
const PACKETS: u8 = 3;
/// The same for RTCP whose SSRC is not that of the learnt RTP.
const REPORTS: u8 = 2;
