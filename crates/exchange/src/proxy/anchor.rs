//! Media through us: SDPs are rewritten on their way, and the relay is told who talks to whom.
//!
//! Every session description that passes is treated alike, offer or answer, first or later: what its sender says
//! about itself goes to the relay, what the receiver is told is the relay's own address. So the rules of offer
//! and answer stay between the phones.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use offhook_media::command::{Command, Content, PortPair, Remote, Report, Side, SideName, StreamId};
use offhook_media::lease::{Lease, PortBlock};
use offhook_sdp::{Options, Profile, Relay, Sdp, remotes, rewrite};
use offhook_sip::Status;

use super::signed_route::{Party, PartyName};
use crate::config::Config;
use crate::context::Context;
use crate::directory::AddressOfRecord;
use crate::proxy::hangup::Dialog;
use crate::refusal::Refusal;

/// The calls, and branches of calls, whose media goes through us.
pub(crate) struct Anchors {
    shard: u8,
    issued: u64,
    /// Each apart: the leaves of a map are half empty.
    anchors: BTreeMap<u64, Box<Anchor>>,
    /// All that the relay was asked to open, until it says that they are gone.
    streams: HashMap<StreamId, Opened>,
    lease: Lease,
}

/// A stream as it was asked for.
struct Opened {
    anchor: u64,
    ports: [PortPair; 2],
}

/// One call, or one branch of a call that rings at several phones.
pub(crate) struct Anchor {
    pub(crate) call_id: String,
    pub(crate) account: Option<AddressOfRecord>,
    pub(crate) started: Instant,
    pub(crate) answered: Option<Answered>,
    parties: [Party; 2],
    /// Our address as each party sees it.
    told: [IpAddr; 2],
    /// By their place in the SDP.
    streams: Vec<Option<Stream>>,
    /// Since when no stream is expected to carry anything.
    quiet_since: Option<Instant>,
}

/// What is known of an answered call.
pub(crate) struct Answered {
    pub(crate) at: Instant,
    /// The callee's tag: a proxy behind us may fork, and this is the one answer of several that has the media.
    pub(crate) callee_tag: String,
    /// What a BYE of ours would need; `None` if a party did not say where it is.
    pub(crate) dialog: Option<Dialog>,
}

/// A session description in the exchange of offer and answer (RFC 3264 §4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It may be refused.
    Offer,
    /// It is in force.
    Answer,
}

struct Stream {
    id: StreamId,
    ports: [PortPair; 2],
    remotes: [Remote; 2],
    /// What each party's SDP says of rtcp-mux; in force when both do (RFC 5761 §5.1.1). `None`: it said nothing yet.
    mux: [Option<bool>; 2],
    stopped_at: Option<Instant>,
}

/// What a party had said before an offer of it, for when that is refused (RFC 3264 §8). Only its own side: the other
/// party may have made an offer too, which is refused by itself (glare, RFC 3261 §14.2).
pub(crate) struct Snapshot {
    of: PartyName,
    streams: Vec<Option<(Remote, Option<bool>)>>,
}

impl Anchors {
    pub(crate) fn new(shard: u8, ports: &[PortBlock]) -> Self {
        Self {
            shard,
            issued: 0,
            anchors: BTreeMap::new(),
            streams: HashMap::new(),
            lease: Lease::new(ports, QUARANTINE),
        }
    }

    /// An anchor between two parties; its ports are taken when the first SDP passes.
    pub(crate) fn open(
        &mut self,
        call_id: &str,
        parties: [Party; 2],
        config: &Config,
        cx: &Context<'_>,
    ) -> u64 {
        let number = self.number();
        let told = [config.address_told(&parties[0].flow), config.address_told(&parties[1].flow)];
        let anchor = Anchor {
            call_id: call_id.to_owned(),
            account: None,
            started: cx.now,
            answered: None,
            parties,
            told,
            streams: Vec::new(),
            quiet_since: Some(cx.now),
        };
        self.anchors.insert(number, Box::new(anchor));
        number
    }

    /// An SDP of one party on its way to the other: as the other shall see it.
    ///
    /// An anchor that is not known, because we were restarted, leaves it as it is.
    ///
    /// # Errors
    /// 400 if it cannot be read, 488 if it has too many streams, 503 if no port is free.
    pub(crate) fn pass(
        &mut self,
        number: u64,
        call_id: &str,
        (sender, role): (PartyName, Role),
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let Some(mut anchor) = self.anchors.remove(&number) else { return Ok(body.to_vec()) };
        let passed = if anchor.call_id == call_id {
            self.pass_through(number, &mut anchor, (sender, role), body, cx)
        } else {
            Ok(body.to_vec())
        };
        self.anchors.insert(number, anchor);
        passed
    }

    fn pass_through(
        &mut self,
        number: u64,
        anchor: &mut Anchor,
        (sender, role): (PartyName, Role),
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let bad = |reason: String| Refusal::new(Status::BAD_REQUEST, format!("SDP: {reason}"));
        let sdp = Sdp::parse(body).map_err(|error| bad(error.to_string()))?;
        if remotes(&sdp).iter().filter(|one| !one.off).count() > MAX_STREAMS {
            return Err(Refusal::new(Status::NOT_ACCEPTABLE_HERE, "Too many media streams"));
        }
        let mut plan = Vec::new();
        for (at, (said, media)) in remotes(&sdp).into_iter().zip(sdp.media()).enumerate() {
            if anchor.streams.len() <= at {
                // Most calls have one.
                anchor.streams.reserve_exact(1);
                anchor.streams.push(None);
            }
            let opaque = media.profile_name().eq_ignore_ascii_case("udptl")
                || matches!(said.profile, Profile::TlsSavp | Profile::TlsSavpf);
            let remote = anchor.remote(sender, &said);
            if said.off || !(said.profile.is_rtp() || opaque) {
                match &mut anchor.streams[at] {
                    // Only the answer ends it.
                    Some(stream) if role == Role::Offer => {
                        stream.update(sender, remote, Some(said.rtcp_mux), cx)
                    }
                    slot => self.close_stream(slot.take(), cx),
                }
                plan.push(if said.off { Relay::Off } else { Relay::Direct });
                continue;
            }
            let content = if opaque { Content::Opaque } else { Content::Rtp };
            let ports = match &mut anchor.streams[at] {
                Some(stream) => {
                    stream.update(sender, remote, Some(said.rtcp_mux), cx);
                    stream.ports
                }
                None => {
                    let stream = self.open_stream(anchor, sender, remote, said.rtcp_mux, content, cx)?;
                    let ports = stream.ports;
                    self.streams.insert(stream.id, Opened { anchor: number, ports });
                    anchor.streams[at] = Some(stream);
                    ports
                }
            };
            let to = sender.other().index();
            let (rtp_port, rtcp_port) = (ports[to].rtp, ports[to].rtcp);
            plan.push(Relay::Through { address: anchor.told[to], rtp_port, rtcp_port });
        }
        anchor.note_quiet(cx.now);
        let told = Options { origin: Some(anchor.told[sender.other().index()]), ..Options::default() };
        rewrite(&sdp, &plan, &told).map(Sdp::into_bytes).map_err(|error| bad(error.to_string()))
    }

    fn open_stream(
        &mut self,
        anchor: &Anchor,
        sender: PartyName,
        remote: Remote,
        mux: bool,
        content: Content,
        cx: &mut Context<'_>,
    ) -> Result<Stream, Refusal> {
        let none_free = || {
            Refusal::new(Status::SERVICE_UNAVAILABLE, "No media port is free")
                .with(offhook_sip::Name::RetryAfter, 10)
        };
        let first = self.lease.take(cx.now).ok_or_else(none_free)?;
        let Some(second) = self.lease.take(cx.now) else {
            self.lease.give_back(cx.now, first);
            return Err(none_free());
        };
        let mut remotes = [Remote::default(), Remote::default()];
        remotes[sender.other().index()].signalled_from = Some(anchor.parties[sender.other().index()].ip());
        remotes[sender.index()] = remote;
        let mut muxes = [None; 2];
        muxes[sender.index()] = Some(mux);
        let stream = Stream {
            id: StreamId(self.number()),
            ports: [first, second],
            remotes,
            mux: muxes,
            stopped_at: None,
        };
        let side = |name: SideName| Side {
            ports: stream.ports[name.index()],
            local_ip: None,
            remote: stream.remotes[name.index()].clone(),
            ice: None,
        };
        let sides = [side(SideName::A), side(SideName::B)].into();
        cx.out.media.push(Command::Open { stream: stream.id, sides, content });
        Ok(stream)
    }

    /// What a party has said until now, to come back to if an offer of it is refused.
    pub(crate) fn snapshot(&self, number: u64, of: PartyName) -> Option<Snapshot> {
        let said = |one: &Stream| (one.remotes[of.index()].clone(), one.mux[of.index()]);
        let streams = self.anchors.get(&number)?.streams.iter();
        Some(Snapshot { of, streams: streams.map(|one| one.as_ref().map(said)).collect() })
    }

    /// An offer was refused: back to what was. A stream that it added is closed again.
    pub(crate) fn restore(&mut self, number: u64, snapshot: &Snapshot, cx: &mut Context<'_>) {
        let Some(mut anchor) = self.anchors.remove(&number) else { return };
        for (at, slot) in anchor.streams.iter_mut().enumerate() {
            match (snapshot.streams.get(at), &mut *slot) {
                (Some(Some((remote, mux))), Some(stream)) => {
                    stream.update(snapshot.of, remote.clone(), *mux, cx);
                }
                _ => self.close_stream(slot.take(), cx),
            }
        }
        anchor.note_quiet(cx.now);
        self.anchors.insert(number, anchor);
    }

    /// Closes an anchor's streams. Its ports come home when the relay says so.
    pub(crate) fn close(&mut self, number: u64, cx: &mut Context<'_>) -> Option<Box<Anchor>> {
        let mut anchor = self.anchors.remove(&number)?;
        for stream in &mut anchor.streams {
            self.close_stream(stream.take(), cx);
        }
        Some(anchor)
    }

    fn close_stream(&mut self, stream: Option<Stream>, cx: &mut Context<'_>) {
        if let Some(stream) = stream {
            cx.out.media.push(Command::Close { stream: stream.id });
        }
    }

    /// Takes a report of the relay; returns the anchor whose call cannot go on because of it.
    pub(crate) fn report(&mut self, report: Report, config: &Config, now: Instant) -> Option<u64> {
        match report {
            Report::Closed { stream, ports, .. } => {
                self.streams.remove(&stream);
                if self.streams.len() < self.streams.capacity() / 8 {
                    self.streams.shrink_to(self.streams.len() * 2);
                }
                for pair in ports {
                    self.lease.give_back(now, pair);
                }
                None
            }
            Report::Latched { .. } | Report::Secured { .. } => None,
            Report::Insecure { stream, .. } => Some(self.streams.get(&stream)?.anchor),
            // It was never opened, so nothing will say that it is closed.
            Report::Refused { stream, .. } => {
                let Opened { anchor, ports } = self.streams.remove(&stream)?;
                for pair in ports {
                    self.lease.set_aside(now, pair, SET_ASIDE);
                }
                Some(anchor)
            }
            Report::PortUnavailable { stream, port } => {
                let Opened { anchor, ports } = self.streams.get(&stream)?;
                for pair in ports.iter().filter(|one| one.contains(port)) {
                    self.lease.set_aside(now, *pair, SET_ASIDE);
                }
                Some(*anchor)
            }
            Report::Stopped { stream, .. } => {
                let number = self.streams.get(&stream)?.anchor;
                let anchor = self.anchors.get_mut(&number)?;
                let recently = config.media_timeout + Duration::from_secs(5);
                for one in anchor.streams.iter_mut().flatten().filter(|one| one.id == stream) {
                    one.stopped_at = Some(now);
                }
                // A silent picture does not end a call in which someone speaks.
                let all = anchor.streams.iter().flatten().all(|one| {
                    one.may_be_silent() || one.stopped_at.is_some_and(|at| now.duration_since(at) < recently)
                });
                (all && anchor.answered.is_some()).then_some(number)
            }
        }
    }

    /// The anchors of answered calls that have been on hold for too long.
    pub(crate) fn held_too_long(&self, config: &Config, now: Instant) -> Vec<u64> {
        let too_long = |since: Instant| now.duration_since(since) >= config.hold_timeout;
        let anchors = self.anchors.iter();
        let over = anchors.filter(|(_, one)| one.answered.is_some() && one.quiet_since.is_some_and(too_long));
        over.map(|(number, _)| *number).collect()
    }

    pub(crate) fn get_mut(&mut self, number: u64, call_id: &str) -> Option<&mut Anchor> {
        self.anchors.get_mut(&number).map(|anchor| &mut **anchor).filter(|anchor| anchor.call_id == call_id)
    }

    /// Whether an anchor has the media of this very dialog.
    pub(crate) fn holds(&self, number: u64, call_id: &str, callee_tag: &str) -> bool {
        let answered = |one: &Answered| one.callee_tag == callee_tag;
        self.anchors
            .get(&number)
            .is_some_and(|one| one.call_id == call_id && one.answered.as_ref().is_none_or(answered))
    }

    /// The answered calls, oldest first.
    pub(crate) fn answered(&self) -> impl Iterator<Item = &Anchor> {
        self.anchors.values().map(|anchor| &**anchor).filter(|anchor| anchor.answered.is_some())
    }

    pub(crate) fn free_ports(&self, now: Instant) -> usize {
        self.lease.available(now)
    }

    /// Whether no call is anchored and every port is home.
    pub(crate) fn is_idle(&self) -> bool {
        self.anchors.is_empty() && self.lease.lent() == 0
    }

    fn number(&mut self) -> u64 {
        self.issued += 1;
        u64::from(self.shard) << 56 | self.issued
    }
}

impl Anchor {
    /// What the relay is told about a party from what its SDP says.
    fn remote(&self, sender: PartyName, said: &offhook_sdp::Remote) -> Remote {
        let party = &self.parties[sender.index()];
        // A packet to a port of its own call would come back for ever.
        let rtp = said.rtp.filter(|address| !self.is_own(*address));
        let elsewhere = rtp.is_some_and(|address| address.ip() != party.ip());
        Remote {
            rtp,
            rtcp: said.rtcp.filter(|address| !self.is_own(*address)),
            signalled_from: Some(party.ip()),
            rtcp_mux: false,
            hold: said.off || said.direction != offhook_sdp::Direction::SendRecv,
            behind_nat: party.behind_nat && elsewhere,
            ..Remote::default()
        }
    }

    fn is_own(&self, address: SocketAddr) -> bool {
        let mut ports = self.streams.iter().flatten().flat_map(|stream| stream.ports);
        self.told.contains(&address.ip()) && ports.any(|pair| pair.contains(address.port()))
    }

    fn note_quiet(&mut self, now: Instant) {
        let quiet = self.streams.iter().flatten().all(Stream::may_be_silent);
        self.quiet_since = if quiet { self.quiet_since.or(Some(now)) } else { None };
    }
}

impl Stream {
    /// Whether it is on hold, or was never agreed on because one party did not describe it: of neither does the
    /// relay report that it stopped.
    fn may_be_silent(&self) -> bool {
        self.remotes.iter().any(|remote| remote.hold) || self.mux.contains(&None)
    }

    fn update(&mut self, sender: PartyName, remote: Remote, mux: Option<bool>, cx: &mut Context<'_>) {
        self.mux[sender.index()] = mux;
        self.remotes[sender.index()] = remote;
        let both = self.mux == [Some(true); 2];
        for side in SideName::BOTH {
            let remote = &mut self.remotes[side.index()];
            let changed = std::mem::replace(&mut remote.rtcp_mux, both) != both;
            // The sender's also without a change: it opens the relay for a source that moved (a NAT that forgot).
            if changed || side.index() == sender.index() {
                cx.out.media.push(Command::Update {
                    stream: self.id,
                    side,
                    remote: remote.clone().into(),
                    ice: None,
                });
            }
        }
        self.stopped_at = None;
    }
}

impl Party {
    fn ip(&self) -> IpAddr {
        self.flow.remote.ip()
    }
}

impl PartyName {
    /// 0 for the caller, 1 for the callee.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// Streams of one call at most, so that one call does not take all ports.
const MAX_STREAMS: usize = 8;
/// How long a port rests between two calls, so that late packets of one never reach the other.
const QUARANTINE: Duration = Duration::from_secs(5);
/// How long a port is left alone that another program has.
const SET_ASIDE: Duration = Duration::from_secs(300);
