//! Media through us: SDPs are rewritten on their way, and the relay is told who talks to whom.
//!
//! Every session description that passes is treated alike, offer or answer, first or later: what its sender says
//! about itself goes to the relay, what the receiver is told is the relay's own address. So the rules of offer
//! and answer stay between the phones.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
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
    anchors: BTreeMap<u64, Anchor>,
    streams: HashMap<StreamId, u64>,
    lease: Lease,
}

/// One call, or one branch of a call that rings at several phones.
pub(crate) struct Anchor {
    pub(crate) call_id: String,
    pub(crate) account: Option<AddressOfRecord>,
    pub(crate) started: Instant,
    /// What a BYE of ours would need, once the call is answered.
    pub(crate) dialog: Option<Dialog>,
    pub(crate) answered: Option<Instant>,
    parties: [Party; 2],
    /// Our address as each party sees it.
    told: [IpAddr; 2],
    /// By their place in the SDP.
    streams: Vec<Option<Stream>>,
    /// Since when no stream is expected to carry anything.
    quiet_since: Option<Instant>,
}

#[derive(Clone)]
struct Stream {
    id: StreamId,
    ports: [PortPair; 2],
    remotes: [Remote; 2],
    /// What each party's SDP says of rtcp-mux; in force when both do (RFC 5761 §5.1.1).
    mux: [bool; 2],
    stopped_at: Option<Instant>,
}

/// The addresses of an anchor as they were before an offer, for when the offer is refused (RFC 3264 §8).
#[derive(Clone)]
pub(crate) struct Snapshot(Vec<Option<[Remote; 2]>>);

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
            dialog: None,
            answered: None,
            parties,
            told,
            streams: Vec::new(),
            quiet_since: Some(cx.now),
        };
        self.anchors.insert(number, anchor);
        number
    }

    /// An SDP of one party on its way to the other: as the other shall see it.
    ///
    /// An anchor that is not known, because we were restarted, leaves it as it is.
    ///
    /// # Errors
    /// 400 if it cannot be read, 503 if no port is free.
    pub(crate) fn pass(
        &mut self,
        number: u64,
        call_id: &str,
        sender: PartyName,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let Some(mut anchor) = self.anchors.remove(&number).filter(|one| one.call_id == call_id) else {
            return Ok(body.to_vec());
        };
        let passed = self.pass_through(number, &mut anchor, sender, body, cx);
        self.anchors.insert(number, anchor);
        passed
    }

    fn pass_through(
        &mut self,
        number: u64,
        anchor: &mut Anchor,
        sender: PartyName,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let bad = |reason: String| Refusal::new(Status::BAD_REQUEST, format!("SDP: {reason}"));
        let sdp = Sdp::parse(body).map_err(|error| bad(error.to_string()))?;
        let mut plan = Vec::new();
        for (at, (said, media)) in remotes(&sdp).into_iter().zip(sdp.media()).enumerate() {
            if anchor.streams.len() <= at {
                anchor.streams.push(None);
            }
            let opaque = media.profile_name().eq_ignore_ascii_case("udptl")
                || matches!(said.profile, Profile::TlsSavp | Profile::TlsSavpf);
            if said.off || !(said.profile.is_rtp() || opaque) {
                self.close_stream(anchor.streams[at].take(), cx);
                plan.push(if said.off { Relay::Off } else { Relay::Direct });
                continue;
            }
            let content = if opaque { Content::Opaque } else { Content::Rtp };
            let remote = anchor.remote(sender, &said);
            let ports = match &mut anchor.streams[at] {
                Some(stream) => {
                    stream.update(sender, remote, said.rtcp_mux, cx);
                    stream.ports
                }
                None => {
                    let stream = self.open_stream(anchor, sender, remote, said.rtcp_mux, content, cx)?;
                    self.streams.insert(stream.id, number);
                    let ports = stream.ports;
                    anchor.streams[at] = Some(stream);
                    ports
                }
            };
            let to = sender.other().index();
            let (rtp_port, rtcp_port) = (ports[to].rtp, ports[to].rtcp);
            plan.push(Relay::Through { address: anchor.told[to], rtp_port, rtcp_port });
        }
        anchor.note_quiet(cx.now);
        let told = Options { origin: Some(anchor.told[sender.other().index()]) };
        rewrite(&sdp, &plan, told).map(Sdp::into_bytes).map_err(|error| bad(error.to_string()))
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
        let mut muxes = [false; 2];
        muxes[sender.index()] = mux;
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
        };
        let sides = [side(SideName::A), side(SideName::B)];
        cx.out.media.push(Command::Open { stream: stream.id, sides, content });
        Ok(stream)
    }

    /// The addresses now, to come back to if an offer is refused.
    pub(crate) fn snapshot(&self, number: u64) -> Option<Snapshot> {
        let anchor = self.anchors.get(&number)?;
        let streams = anchor.streams.iter().map(|one| one.as_ref().map(|stream| stream.remotes.clone()));
        Some(Snapshot(streams.collect()))
    }

    /// An offer was refused: back to what was. A stream that it added is closed again.
    pub(crate) fn restore(&mut self, number: u64, snapshot: &Snapshot, cx: &mut Context<'_>) {
        let Some(mut anchor) = self.anchors.remove(&number) else { return };
        for (at, slot) in anchor.streams.iter_mut().enumerate() {
            match (snapshot.0.get(at), &mut *slot) {
                (Some(Some(before)), Some(stream)) => stream.set(before.clone(), cx),
                _ => self.close_stream(slot.take(), cx),
            }
        }
        anchor.note_quiet(cx.now);
        self.anchors.insert(number, anchor);
    }

    /// Closes an anchor's streams. Its ports come home when the relay says so.
    pub(crate) fn close(&mut self, number: u64, cx: &mut Context<'_>) -> Option<Anchor> {
        let mut anchor = self.anchors.remove(&number)?;
        for stream in &mut anchor.streams {
            self.close_stream(stream.take(), cx);
        }
        Some(anchor)
    }

    fn close_stream(&mut self, stream: Option<Stream>, cx: &mut Context<'_>) {
        if let Some(stream) = stream {
            self.streams.remove(&stream.id);
            cx.out.media.push(Command::Close { stream: stream.id });
        }
    }

    /// Takes a report of the relay; returns the anchor whose call is over because of it.
    pub(crate) fn report(&mut self, report: Report, config: &Config, now: Instant) -> Option<u64> {
        match report {
            Report::Closed { ports, .. } => {
                for pair in ports {
                    self.lease.give_back(now, pair);
                }
                None
            }
            Report::Latched { .. } => None,
            Report::Refused { stream, .. } => self.streams.get(&stream).copied(),
            Report::PortUnavailable { stream, port } => {
                let number = self.streams.get(&stream).copied()?;
                let streams = self.anchors.get(&number)?.streams.iter().flatten();
                let pairs: Vec<_> =
                    streams.flat_map(|one| one.ports).filter(|one| one.contains(port)).collect();
                for pair in pairs {
                    self.lease.set_aside(now, pair, SET_ASIDE);
                }
                Some(number)
            }
            Report::Stopped { stream, .. } => {
                let number = self.streams.get(&stream).copied()?;
                let anchor = self.anchors.get_mut(&number)?;
                let recently = config.media_timeout + Duration::from_secs(5);
                for one in anchor.streams.iter_mut().flatten().filter(|one| one.id == stream) {
                    one.stopped_at = Some(now);
                }
                // A silent picture does not end a call in which someone speaks.
                let all = anchor.streams.iter().flatten().all(|one| {
                    one.held() || one.stopped_at.is_some_and(|at| now.duration_since(at) < recently)
                });
                (all && anchor.dialog.is_some()).then_some(number)
            }
        }
    }

    /// The anchors of answered calls that have been on hold for too long.
    pub(crate) fn held_too_long(&self, config: &Config, now: Instant) -> Vec<u64> {
        let too_long = |since: Instant| now.duration_since(since) >= config.hold_timeout;
        let anchors = self.anchors.iter();
        let over = anchors.filter(|(_, one)| one.dialog.is_some() && one.quiet_since.is_some_and(too_long));
        over.map(|(number, _)| *number).collect()
    }

    pub(crate) fn get_mut(&mut self, number: u64, call_id: &str) -> Option<&mut Anchor> {
        self.anchors.get_mut(&number).filter(|anchor| anchor.call_id == call_id)
    }

    /// The answered calls, oldest first.
    pub(crate) fn answered(&self) -> impl Iterator<Item = &Anchor> {
        self.anchors.values().filter(|anchor| anchor.answered.is_some())
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
        let elsewhere = said.rtp.is_some_and(|address| address.ip() != party.ip());
        Remote {
            rtp: said.rtp,
            rtcp: said.rtcp,
            signalled_from: Some(party.ip()),
            rtcp_mux: false,
            hold: said.direction != offhook_sdp::Direction::SendRecv,
            behind_nat: party.behind_nat && elsewhere,
        }
    }

    fn note_quiet(&mut self, now: Instant) {
        let quiet = self.streams.iter().flatten().all(Stream::held);
        self.quiet_since = if quiet { self.quiet_since.or(Some(now)) } else { None };
    }
}

impl Stream {
    fn held(&self) -> bool {
        self.remotes.iter().any(|remote| remote.hold)
    }

    fn update(&mut self, sender: PartyName, remote: Remote, mux: bool, cx: &mut Context<'_>) {
        self.mux[sender.index()] = mux;
        let mut remotes = self.remotes.clone();
        remotes[sender.index()] = remote;
        for one in &mut remotes {
            one.rtcp_mux = self.mux == [true; 2];
        }
        // Also without a change: it opens the relay for a source that moved (a NAT that forgot).
        let side = SideName::BOTH[sender.index()];
        let remote = remotes[sender.index()].clone();
        cx.out.media.push(Command::Update { stream: self.id, side, remote: remote.clone() });
        self.remotes[sender.index()] = remote;
        self.set(remotes, cx);
    }

    fn set(&mut self, remotes: [Remote; 2], cx: &mut Context<'_>) {
        for side in SideName::BOTH {
            let remote = &remotes[side.index()];
            if *remote != self.remotes[side.index()] {
                cx.out.media.push(Command::Update { stream: self.id, side, remote: remote.clone() });
            }
        }
        self.remotes = remotes;
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

/// How long a port rests between two calls, so that late packets of one never reach the other.
const QUARANTINE: Duration = Duration::from_secs(5);
/// How long a port is left alone that another program has.
const SET_ASIDE: Duration = Duration::from_secs(300);
