//! One relayed stream: two sides, the source each was learnt to send from, and what was counted.

use crate::command::{Content, Counters, Remote, Side, SideName, StreamId};
use crate::latch::{Allowed, Latch, Mark, Verdict};
use crate::relay::Forward;
use offhook_rtp::packet::{Kind, Packet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

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

/// What a received packet led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) forward: Option<Forward>,
    /// The side's RTP source was locked by this packet.
    pub(crate) latched: Option<SocketAddr>,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    content: Content,
    flows: [Flow; 2],
    /// When a side was last heard, or signalling last spoke.
    quiet_since: Instant,
    /// When silence was last reported.
    reported: Instant,
}

/// One side: the phone's address as said, as learnt, and what it sent.
#[derive(Debug)]
struct Flow {
    side: Side,
    rtp: Latch,
    rtcp: Latch,
    counters: Counters,
}

/// What a packet is, after a look at its header.
enum Seen {
    Media(Mark),
    Control(Mark),
    Neither,
}

impl Stream {
    pub(crate) fn new(
        now: Instant,
        learning: Duration,
        id: StreamId,
        sides: [Side; 2],
        content: Content,
    ) -> Self {
        let latch = Latch::new(now, now + learning);
        let flows = sides.map(|side| Flow {
            side,
            rtp: latch.clone(),
            rtcp: latch.clone(),
            counters: Counters::default(),
        });
        Stream { id, content, flows, quiet_since: now, reported: now }
    }

    pub(crate) fn restore(now: Instant, learning: Duration, saved: Saved) -> Self {
        let mut stream = Stream::new(now, learning, saved.stream, saved.sides, saved.content);
        for (n, flow) in stream.flows.iter_mut().enumerate() {
            flow.counters = saved.counters[n];
            for (latch, learnt) in [&mut flow.rtp, &mut flow.rtcp].into_iter().zip(saved.learnt[n]) {
                if let Some(source) = learnt {
                    latch.restore(now, source);
                }
            }
        }
        stream
    }

    pub(crate) fn save(&self) -> Saved {
        Saved {
            stream: self.id,
            sides: self.flows.each_ref().map(|flow| flow.side.clone()),
            content: self.content,
            learnt: self.flows.each_ref().map(|flow| [flow.rtp.address(), flow.rtcp.address()]),
            counters: self.counters(),
        }
    }

    pub(crate) fn sides(&self) -> [&Side; 2] {
        self.flows.each_ref().map(|flow| &flow.side)
    }

    pub(crate) fn counters(&self) -> [Counters; 2] {
        self.flows.each_ref().map(|flow| flow.counters)
    }

    pub(crate) fn update(&mut self, now: Instant, learning: Duration, name: SideName, remote: Remote) {
        let until = now + learning;
        let flow = &mut self.flows[name.index()];
        let before = &flow.side.remote;
        let moved = before.rtp != remote.rtp || before.signalled_from != remote.signalled_from;
        flow.rtp.signalled(now, until, moved);
        flow.rtcp.signalled(now, until, moved || before.rtcp != remote.rtcp);
        flow.side.remote = remote;
        // The other phone may begin to speak only now: a caller is silent until the callee answers.
        let other = &mut self.flows[name.other().index()];
        for latch in [&mut other.rtp, &mut other.rtcp] {
            if latch.address().is_none() {
                latch.signalled(now, until, false);
            }
        }
        self.quiet_since = now;
        self.reported = now;
    }

    /// How long the stream has been silent, when that is worth a report.
    pub(crate) fn stopped(&mut self, now: Instant, idle: Duration) -> Option<Duration> {
        let held = self.flows.iter().any(|flow| flow.side.remote.hold);
        let ready = self.flows.iter().all(Flow::has_phone);
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

    /// The packet path: no allocation, no loop.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        name: SideName,
        component: Component,
        from: SocketAddr,
        packet: &[u8],
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let seen = self.look(component, packet);
        let [a, b] = &mut self.flows;
        let (flow, other) = if name == SideName::A { (a, b) } else { (b, a) };
        let (verdict, control) = match (seen, component) {
            (Seen::Media(mark), Component::Rtp) => {
                (flow.rtp.judge(now, from, Some(mark), flow.expected_rtp()), false)
            }
            (Seen::Control(_), Component::Rtp) => {
                (flow.rtp.judge(now, from, None, flow.expected_rtp()), true)
            }
            (Seen::Control(mark), Component::Rtcp) => {
                let needed = if flow.rtp.ssrc() == Some(mark.ssrc) { 1 } else { mark.needed };
                let mark = Mark { needed, ..mark };
                (flow.rtcp.judge(now, from, Some(mark), flow.expected_rtcp()), true)
            }
            (Seen::Neither, _) | (Seen::Media(_), Component::Rtcp) => {
                flow.counters.malformed += 1;
                return outcome;
            }
        };
        match verdict {
            Verdict::Foreign => {
                flow.counters.foreign += 1;
                return outcome;
            }
            Verdict::Latched if !control => outcome.latched = Some(from),
            Verdict::Latched | Verdict::Accept => {}
        }
        if control {
            flow.counters.rtcp += 1;
        } else {
            flow.counters.received += 1;
            flow.counters.bytes += packet.len() as u64;
        }
        self.quiet_since = now;
        outcome.forward = if control { other.control_path() } else { other.media_path() };
        match outcome.forward {
            Some(_) => flow.counters.forwarded += 1,
            None => flow.counters.undeliverable += 1,
        }
        outcome
    }

    fn look(&self, component: Component, packet: &[u8]) -> Seen {
        if self.content == Content::Opaque {
            let mark = Mark { ssrc: 0, sequence: None, needed: PACKETS };
            return match component {
                Component::Rtp => Seen::Media(mark),
                Component::Rtcp => Seen::Control(mark),
            };
        }
        match Kind::of(packet) {
            Kind::Rtp => Packet::parse(packet).map_or(Seen::Neither, |rtp| {
                Seen::Media(Mark { ssrc: rtp.ssrc(), sequence: Some(rtp.sequence()), needed: PACKETS })
            }),
            Kind::Rtcp => control_ssrc(packet)
                .map_or(Seen::Neither, |ssrc| Seen::Control(Mark { ssrc, sequence: None, needed: REPORTS })),
            Kind::Stun | Kind::Zrtp | Kind::Dtls | Kind::TurnChannel | Kind::Other => Seen::Neither,
        }
    }
}

impl Flow {
    fn expected_rtp(&self) -> Allowed {
        let remote = &self.side.remote;
        Allowed { expected: self.sendable(remote.rtp), signalled_from: remote.signalled_from }
    }

    fn expected_rtcp(&self) -> Allowed {
        Allowed { expected: self.said_rtcp(), signalled_from: self.side.remote.signalled_from }
    }

    fn said_rtcp(&self) -> Option<SocketAddr> {
        let remote = &self.side.remote;
        let next = || remote.rtp.and_then(|rtp| Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)));
        self.sendable(remote.rtcp.or_else(next))
    }

    /// Whether a phone has said where it is, even if it must be learnt first.
    fn has_phone(&self) -> bool {
        self.rtp.address().or_else(|| self.sendable(self.side.remote.rtp)).is_some()
    }

    fn media_target(&self) -> Option<SocketAddr> {
        let said = if self.side.remote.behind_nat { None } else { self.side.remote.rtp };
        self.rtp.address().or_else(|| self.sendable(said))
    }

    fn media_path(&self) -> Option<Forward> {
        self.media_target().map(|to| Forward { from_port: self.side.ports.rtp, to })
    }

    fn control_path(&self) -> Option<Forward> {
        if self.side.remote.rtcp_mux {
            return self.media_path();
        }
        let said = if self.side.remote.behind_nat { None } else { self.said_rtcp() };
        let to = self.rtcp.address().or(said)?;
        Some(Forward { from_port: self.side.ports.rtcp, to })
    }

    /// Refuses what cannot be a phone: no address (hold, RFC 2543 style), groups, and our own ports, to
    /// which a packet would come back for ever.
    fn sendable(&self, address: Option<SocketAddr>) -> Option<SocketAddr> {
        address.filter(|address| {
            let ip = address.ip().to_canonical();
            let own = self.side.local_ip.is_some_and(|own| own.to_canonical() == ip)
                && self.side.ports.contains(address.port());
            address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !own && !is_broadcast(ip)
        })
    }
}

fn is_broadcast(ip: std::net::IpAddr) -> bool {
    matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast())
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
