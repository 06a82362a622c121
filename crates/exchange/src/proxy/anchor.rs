//! Media through us: SDPs are rewritten on their way, and the relay is told who talks to whom.
//!
//! Every session description that passes is treated alike, offer or answer, first or later: what its sender says
//! about itself goes to the relay, what the receiver is told is the relay's own address. So the rules of offer
//! and answer stay between the phones.

mod bridged;
mod moved;
mod pictures;
mod stream;
mod tap;
mod trouble;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::command::{Command, Content, PortPair, Press, Remote, Side, SideName, StreamId};
use offhook_media::lease::{Lease, PortBlock};
use offhook_sdp::{Formats, Media, Options, Profile, Relay, Sdp, remotes, rewrite};
use offhook_sip::Status;

use super::protection::{End, Manner, is_protected};
use super::signed_route::{Party, PartyName};
use crate::b2bua::CallId;
use crate::config::{Config, SrtpPolicy};
use crate::context::Context;
use crate::directory::AddressOfRecord;
use crate::proxy::hangup::Dialog;
use crate::refusal::Refusal;
use crate::route::MediaTerms;
pub(crate) use pictures::{MEDIA_CONTROL, PICTURE_FAST_UPDATE, asks_for_picture};
use stream::Stream;
use tap::Tap;
pub(crate) use tap::{Concern, file_name, of_room, room};
pub(crate) use tap::{How, Supervise};
pub(crate) use trouble::Trouble;

/// The calls, and branches of calls, whose media goes through us or ends here.
pub(crate) struct Anchors {
    shard: u8,
    issued: u64,
    /// Each apart: the leaves of a map are half empty.
    anchors: BTreeMap<u64, Box<Anchor>>,
    /// All that the relay was asked to open, until it says that they are gone.
    streams: HashMap<StreamId, Opened>,
    lease: Lease,
    /// The rooms of supervisors here, and whether what they want to hear is heard there.
    pub(crate) supervisors: BTreeMap<u64, bool>,
    /// The rooms of supervisors whose call here is over.
    pub(crate) left: Vec<u64>,
}

/// A stream as it was asked for.
struct Opened {
    anchor: u64,
    /// Of a stream that ends here, the same pair twice.
    ports: [PortPair; 2],
    /// Once the call is over that it is counted for.
    counted: Option<Box<CountedFor>>,
}

/// Whose sound a stream was.
struct CountedFor {
    call: String,
    /// The Call-ID of the leg, where it is one of several.
    leg: Option<String>,
    /// Whether one of its sides was here.
    ends_here: bool,
}

/// One call, or one branch of a call that rings at several phones.
pub(crate) struct Anchor {
    pub(crate) call_id: String,
    pub(crate) account: Option<AddressOfRecord>,
    pub(crate) started: Instant,
    pub(crate) answered: Option<Answered>,
    /// The call that it is of, where that is bridged.
    pub(crate) bridged: Option<CallId>,
    /// The number of its charge, if it goes on the costs of an account.
    pub(crate) charge: Option<u64>,
    /// Whether its media does not go through us: it stands for a call that we may have to end.
    pub(crate) is_direct: bool,
    /// Whether the callee is an end of ours: its streams have one side.
    ends_here: bool,
    /// The Call-ID of the leg that it is of, where a call has several, each with an end of ours.
    pub(crate) leg: Option<String>,
    parties: [Party; 2],
    /// Which of them have been heard from elsewhere than where they were found.
    moved: [bool; 2],
    /// Our address as each party sees it.
    told: [IpAddr; 2],
    /// How each party is made an offer.
    manners: [Manner; 2],
    /// What the media of each has to be, where that is not as everywhere.
    terms: [Option<Arc<MediaTerms>>; 2],
    /// Whether an offer gains all formats that the relay can translate.
    adds_formats: bool,
    /// Whether the relay ends what protects the media, on both sides; known with the first offer.
    ends_protection: bool,
    /// By their place in the SDP.
    streams: Vec<Option<Stream>>,
    /// Since when no stream is expected to carry anything.
    quiet_since: Option<Instant>,
    /// Apart: of most calls nobody comes between the parties.
    tap: Option<Box<Tap>>,
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

/// What a party had said before an offer of it, for when that is refused (RFC 3264 §8). Only its own side: the other
/// party may have made an offer too, which is refused by itself (glare, RFC 3261 §14.2).
pub(crate) struct Snapshot {
    of: PartyName,
    streams: Vec<Option<Before>>,
}

/// One stream's part of a [`Snapshot`].
struct Before {
    remote: Remote,
    mux: Option<bool>,
    end: Option<End>,
}

impl Anchors {
    pub(crate) fn new(shard: u8, ports: &[PortBlock]) -> Self {
        Self {
            shard,
            issued: 0,
            anchors: BTreeMap::new(),
            streams: HashMap::new(),
            lease: Lease::new(ports, QUARANTINE),
            supervisors: BTreeMap::new(),
            left: Vec::new(),
        }
    }

    /// An anchor between two parties; its ports are taken when the first SDP passes.
    pub(crate) fn open(
        &mut self,
        call_id: &str,
        parties: [Party; 2],
        (manners, adds_formats): ([Manner; 2], bool),
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
            bridged: None,
            charge: None,
            is_direct: false,
            ends_here: false,
            leg: None,
            parties,
            moved: [false; 2],
            told,
            manners,
            terms: [None, None],
            adds_formats,
            ends_protection: false,
            streams: Vec::new(),
            quiet_since: Some(cx.now),
            tap: None,
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
        config: &Config,
        cx: &mut Context<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let Some(mut anchor) = self.anchors.remove(&number) else { return Ok(body.to_vec()) };
        let passed = if anchor.call_id == call_id && !anchor.is_direct {
            self.pass_through(number, &mut anchor, (sender, role), body, config, cx)
        } else {
            Ok(body.to_vec())
        };
        self.anchors.insert(number, anchor);
        if role == Role::Answer && passed.is_ok() {
            self.attend(number, config, cx);
        }
        passed
    }

    fn pass_through(
        &mut self,
        number: u64,
        anchor: &mut Anchor,
        (sender, role): (PartyName, Role),
        body: &[u8],
        config: &Config,
        cx: &mut Context<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let bad = |reason: String| Refusal::new(Status::BAD_REQUEST, format!("SDP: {reason}"));
        let sdp = Sdp::parse(body).map_err(|error| bad(error.to_string()))?;
        let said = remotes(&sdp);
        if said.iter().filter(|one| !one.off).count() > MAX_STREAMS {
            return Err(Refusal::new(Status::NOT_ACCEPTABLE_HERE, "Too many media streams"));
        }
        if role == Role::Offer {
            anchor.note_offer(sender, &sdp, config);
        }
        let to = sender.other().index();
        let (mut plan, mut faces, mut formats) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (said, media)) in said.iter().zip(sdp.media()).enumerate() {
            if anchor.streams.len() <= at {
                // Most calls have one.
                anchor.streams.reserve_exact(1);
                anchor.streams.push(None);
            }
            let tls = matches!(said.profile, Profile::TlsSavp | Profile::TlsSavpf);
            let opaque =
                media.profile_name().eq_ignore_ascii_case("udptl") || (tls && !anchor.ends_protection);
            if said.off || !(said.profile.is_rtp() || opaque) {
                faces.push(anchor.streams[at].as_ref().and_then(|one| one.face(role, to, anchor, config)));
                self.pass_over(anchor, at, (sender, role), said, cx);
                plan.push(if said.off { Relay::Off } else { Relay::Direct });
                formats.push(Formats::Kept);
                continue;
            }
            self.take_in((number, anchor), at, (sender, role), (said, &media, opaque), config, cx)?;
            let (adds, terms) = (anchor.adds_formats, &anchor.terms);
            let lists = terms.each_ref().map(|one| one.as_ref().map_or(&[][..], |terms| &terms.codecs));
            if let Some(stream) = &mut anchor.streams[at] {
                stream.note_pictures(sender, (said, &media), cx);
                formats.push(stream.formats((sender, role), &media, (adds, lists), config, cx)?);
            }
            let Some(stream) = &anchor.streams[at] else { continue };
            let (rtp_port, rtcp_port) = (stream.ports[to].rtp, stream.ports[to].rtcp);
            plan.push(Relay::Through { address: anchor.told[to], rtp_port, rtcp_port });
            faces.push(stream.face(role, to, anchor, config));
        }
        anchor.note_quiet(cx.now);
        if role == Role::Answer {
            anchor.streams.iter_mut().flatten().for_each(|stream| stream.show_pictures(cx));
        }
        let told = Options { origin: Some(anchor.told[to]), faces, formats };
        let told =
            rewrite(&sdp, &plan, &told).map(Sdp::into_bytes).map_err(|error| bad(error.to_string()))?;
        Ok(anchor.note_session((sender, role), &sdp, told))
    }

    /// A stream that is off, or not for a relay.
    fn pass_over(
        &mut self,
        anchor: &mut Anchor,
        at: usize,
        (sender, role): (PartyName, Role),
        said: &offhook_sdp::Remote,
        cx: &mut Context<'_>,
    ) {
        let mut remote = anchor.remote(sender, said);
        match &mut anchor.streams[at] {
            // Only the answer ends it; should it be refused, its protection goes on.
            Some(stream) if role == Role::Offer => {
                if let Some(ends) = &stream.ends {
                    ends[sender.index()].tell(&mut remote);
                }
                stream.update(sender, remote, Some(said.rtcp_mux), cx);
            }
            slot => self.close_stream(slot.take(), cx),
        }
    }

    /// A stream for the relay: what its sender says of it is taken in, and it is opened if it is new.
    fn take_in(
        &mut self,
        (number, anchor): (u64, &mut Anchor),
        at: usize,
        (sender, role): (PartyName, Role),
        (said, media, opaque): (&offhook_sdp::Remote, &Media<'_>, bool),
        config: &Config,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let content = if opaque { Content::Opaque } else { Content::Rtp };
        let before = anchor.streams[at].as_ref();
        let ends = if opaque { None } else { anchor.ends(sender, before, role, media, config, cx)? };
        let mut remote = anchor.remote(sender, said);
        if let Some(ends) = &ends {
            ends[sender.index()].tell(&mut remote);
        }
        match &mut anchor.streams[at] {
            Some(stream) => {
                stream.ends = ends;
                stream.update(sender, remote, Some(said.rtcp_mux), cx);
                if role == Role::Answer {
                    stream.carries(opaque, cx);
                }
            }
            None => {
                let stream = self.open_stream(anchor, sender, remote, said.rtcp_mux, (content, ends), cx)?;
                self.streams.insert(stream.id, Opened { anchor: number, ports: stream.ports, counted: None });
                anchor.streams[at] = Some(stream);
            }
        }
        Ok(())
    }

    fn open_stream(
        &mut self,
        anchor: &Anchor,
        sender: PartyName,
        remote: Remote,
        mux: bool,
        (content, ends): (Content, Option<Box<[End; 2]>>),
        cx: &mut Context<'_>,
    ) -> Result<Stream, Refusal> {
        let none_free = || {
            Refusal::new(Status::SERVICE_UNAVAILABLE, "No media port is free")
                .with(offhook_sip::Name::RetryAfter, 10)
        };
        let first = self.lease.take(cx.now).ok_or_else(none_free)?;
        let second = if anchor.ends_here { Some(first) } else { self.lease.take(cx.now) };
        let Some(second) = second else {
            self.lease.give_back(cx.now, first);
            return Err(none_free());
        };
        let mut remotes = [Remote::default(), Remote::default()];
        remotes[sender.other().index()].signalled_from = Some(anchor.parties[sender.other().index()].ip());
        remotes[sender.index()] = remote;
        let mut muxes = [None; 2];
        muxes[sender.index()] = Some(mux);
        let mut stream = Stream {
            id: StreamId(self.number()),
            ports: [first, second],
            remotes,
            is_opaque: content == Content::Opaque,
            mux: muxes,
            ends,
            offered: None,
            is_transcoded: false,
            events: [None; 2],
            ends_here: anchor.ends_here,
            stopped_at: None,
            pictures: None,
        };
        let sides = SideName::BOTH.map(|name| Side {
            ports: stream.ports[name.index()],
            local_ip: None,
            remote: stream.remotes[name.index()].clone(),
            ice: stream.ends.as_mut().and_then(|ends| ends[name.index()].new_ice()),
        });
        let [side, _] = &sides;
        cx.out.media.push(match anchor.ends_here {
            true => Command::OpenEnd { stream: stream.id, side: side.clone().into() },
            false => Command::Open { stream: stream.id, sides: sides.into(), content },
        });
        Ok(stream)
    }

    /// A key of one party goes to the other in the sound; `false` if that takes none there.
    pub(crate) fn press(&self, number: u64, by: PartyName, press: Press, cx: &mut Context<'_>) -> bool {
        let Some(anchor) = self.anchors.get(&number) else { return false };
        anchor.streams.iter().flatten().any(|stream| stream.press(by.other(), press, cx))
    }

    /// What a party has said until now, to come back to if an offer of it is refused.
    pub(crate) fn snapshot(&self, number: u64, of: PartyName) -> Option<Snapshot> {
        let said = |one: &Stream| {
            let end = one.ends.as_ref().map(|ends| ends[of.index()].clone());
            Before { remote: one.remotes[of.index()].clone(), mux: one.mux[of.index()], end }
        };
        let streams = self.anchors.get(&number)?.streams.iter();
        Some(Snapshot { of, streams: streams.map(|one| one.as_ref().map(said)).collect() })
    }

    /// An offer was refused: back to what was. A stream that it added is closed again.
    pub(crate) fn restore(&mut self, number: u64, snapshot: &Snapshot, cx: &mut Context<'_>) {
        let Some(mut anchor) = self.anchors.remove(&number) else { return };
        for (at, slot) in anchor.streams.iter_mut().enumerate() {
            match (snapshot.streams.get(at), &mut *slot) {
                (Some(Some(Before { remote, mux, end })), Some(stream)) => {
                    if let (Some(ends), Some(end)) = (&mut stream.ends, end) {
                        ends[snapshot.of.index()] = end.clone();
                    }
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
        self.left.extend(anchor.tap.as_ref().and_then(|tap| tap.supervisor()));
        let sound = anchor.streams.first().and_then(Option::as_ref).filter(|_| anchor.answered.is_some());
        if let Some(opened) = sound.and_then(|stream| self.streams.get_mut(&stream.id)) {
            let (call, leg, ends_here) = (anchor.call_id.clone(), anchor.leg.take(), anchor.ends_here);
            opened.counted = Some(Box::new(CountedFor { call, leg, ends_here }));
        }
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

    /// The Call-ID of an anchor.
    pub(crate) fn call_id(&self, number: u64) -> Option<&str> {
        self.anchors.get(&number).map(|anchor| anchor.call_id.as_str())
    }

    /// The answered call with this charge, that is no bridged one.
    pub(crate) fn charged(&self, charge: u64) -> Option<u64> {
        self.anchors.iter().find(|(_, one)| one.charge == Some(charge)).map(|(number, _)| *number)
    }

    /// The answered calls with this Call-ID that are no bridged ones.
    pub(crate) fn forwarded(&self, call_id: &str) -> Vec<u64> {
        let is_one = |one: &Anchor| one.call_id == call_id && one.answered.is_some() && one.bridged.is_none();
        self.anchors.iter().filter(|(_, one)| is_one(one)).map(|(number, _)| *number).collect()
    }

    pub(crate) fn free_ports(&self, now: Instant) -> usize {
        self.lease.available(now)
    }

    /// Whether no call is anchored and every port is home.
    pub(crate) fn is_idle(&self) -> bool {
        self.anchors.is_empty() && self.lease.lent() == 0
    }

    pub(crate) fn number(&mut self) -> u64 {
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

    /// Whether the media of each party is encrypted. An end of ours has none that anybody could hear on its way.
    fn policies(&self, config: &Config) -> [SrtpPolicy; 2] {
        let [caller, callee] = self.terms.each_ref().map(|terms| config.srtp_on(terms.as_ref()));
        [caller, if self.ends_here { SrtpPolicy::Off } else { callee }]
    }

    /// Whether the terms of a party are that its media is not encrypted. As a policy for phones, `off` leaves that to them.
    fn is_never_encrypted(&self, party: usize) -> bool {
        self.terms[party].as_ref().is_some_and(|terms| terms.srtp == Some(SrtpPolicy::Off))
    }

    /// From the first offer on it is known whether one of the parties protects its media, or may be asked to.
    fn note_offer(&mut self, sender: PartyName, offer: &Sdp, config: &Config) {
        let (asked, policies) =
            (self.manners[sender.other().index()] != Manner::Plain, self.policies(config));
        let asked = asked || policies.contains(&SrtpPolicy::Require);
        let may_differ = policies.iter().any(|one| *one != SrtpPolicy::Off)
            || (0..2).any(|party| self.is_never_encrypted(party));
        self.ends_protection |= may_differ && (asked || offer.media().any(|media| is_protected(&media)));
    }

    /// How both parties protect a stream of which one has spoken, if the relay ends that.
    fn ends(
        &self,
        sender: PartyName,
        before: Option<&Stream>,
        role: Role,
        media: &Media<'_>,
        config: &Config,
        cx: &mut Context<'_>,
    ) -> Result<Option<Box<[End; 2]>>, Refusal> {
        if !self.ends_protection {
            return Ok(None);
        }
        let mut ends = match before {
            Some(Stream { ends: Some(ends), .. }) => ends.clone(),
            // Until now it was plain on both sides.
            Some(Stream { ends: None, .. }) => [(); 2].map(|()| End::to_be_offered(Manner::Plain, cx)).into(),
            None => {
                let mut manners = self.manners;
                manners[sender.index()] = Manner::Plain;
                manners.map(|manner| End::to_be_offered(manner, cx)).into()
            }
        };
        match role {
            Role::Offer => {
                let of = sender.index();
                ends[of].offers(media, (self.policies(config)[of], self.is_never_encrypted(of)), cx)?;
            }
            Role::Answer => ends[sender.index()].answers(media)?,
        }
        Ok(Some(ends))
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

/// A description whose streams are all off.
pub(crate) fn without_media(body: &[u8]) -> Vec<u8> {
    let off = Sdp::parse(body).ok().and_then(|sdp| {
        let plan = vec![Relay::Off; sdp.media().len()];
        rewrite(&sdp, &plan, &Options::default()).ok()
    });
    off.map(Sdp::into_bytes).unwrap_or_default()
}

/// Streams of one call at most, so that one call does not take all ports.
const MAX_STREAMS: usize = 8;
/// How long a port rests between two calls, so that late packets of one never reach the other.
const QUARANTINE: Duration = Duration::from_secs(5);
/// How long a port is left alone that another program has.
const SET_ASIDE: Duration = Duration::from_secs(300);
