//! An end of ours for the media of a leg. Its descriptions pass an anchor as those of a phone with plain media would:
//! so the leg's own protection and addresses are dealt with as in any anchored call.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use offhook_media::camera::{CameraId, Coding};
use offhook_media::command::{EchoFormat, Heard, Order};
use offhook_media::voice::{Clip, Recording};
use offhook_sdp::{
    Capabilities, Codec, Face, Format, Formats, MediaKind, Negotiated, Options, Origin, Profile, Relay, Sdp,
    Stream, offer_answer, rewrite, video,
};
use offhook_sip::{Name, Status};
use offhook_sip_stack::usage::Body;
use rand::RngExt as _;

use super::far::Halves;
use super::leg::Leg;
use super::verb::Endpoint;
use super::voice::Point;
use super::{Env, agreed};
use crate::io::ShardMessage;
use crate::proxy::Target;
use crate::proxy::anchor::Role;
use crate::proxy::protection::Manner;
use crate::proxy::signed_route::{Party, PartyName};
use crate::proxy::transcoding::numbers;
use crate::refusal::Refusal;

/// What a caller talks with: its own sound, or somebody of ours.
pub(super) struct End {
    pub(super) anchor: u64,
    /// By which the anchor is known.
    call_id: String,
    session_id: u64,
    /// Our last description, as the anchor has it from us.
    ours: Option<Sdp>,
    /// An offer of ours that awaits its answer.
    offered: Option<Sdp>,
    endpoint: Endpoint,
    /// The place of the stream that it speaks on, once that is agreed.
    speaks: Option<usize>,
    /// Orders from before that.
    waiting: Vec<Order>,
    /// The last numbers given to orders: to play, to record.
    playing: u32,
    recording: u32,
    /// The sound that was agreed on.
    agreed: Option<Box<Negotiated>>,
    /// Whether its party talks with that of another half of a call.
    connected: bool,
    /// Whether the next answer is to an offer that was passed on before the end was there.
    stale: bool,
    /// Whether it was known to hold.
    pub(super) holds: bool,
    /// The recording of those in its room that it has begun.
    pub(super) kept: Option<Kept>,
    /// The last keys of its party that may mean something to recordings.
    pub(super) keys: String,
    /// The half of another shard for which it stands, and by which one here.
    pub(super) stands_for: Option<[(u8, u64); 2]>,
}

/// A recording of two who are connected.
pub(super) struct Kept {
    pub(super) file: String,
    pub(super) paused: bool,
}

impl End {
    /// An end for a call with this Call-ID and party, perhaps by a trunk.
    pub(super) fn new(
        call_id: &str,
        (party, trunk): (Party, Option<usize>),
        endpoint: Endpoint,
        env: &mut Env<'_, '_>,
    ) -> Self {
        Self::with(call_id, (party, trunk), (endpoint, 0, None), env)
    }

    /// An end that calls somebody.
    pub(super) fn calling(
        call_id: &str,
        (target, endpoint): (&Target, Endpoint),
        env: &mut Env<'_, '_>,
    ) -> Self {
        let trunk = target.line.as_ref().map(|line| line.trunk);
        Self::with(call_id, (target.party(), trunk), (endpoint, target.refused, target.media), env)
    }

    /// An end for a leg that has talked with another until now, and goes on with the session as it was last described to
    /// it; `stale` if it has yet to answer what the other has offered.
    pub(super) fn after(
        call_id: &str,
        (leg, trunk): (&Leg, Option<usize>),
        stale: bool,
        env: &mut Env<'_, '_>,
    ) -> Self {
        let described = leg.invite.described().and_then(|body| Sdp::parse(&body.bytes).ok());
        let profile = described.as_ref().and_then(|sdp| Some(sdp.media().next()?.profile()));
        let profile = profile.filter(|profile| profile.is_secure());
        let ours = described.as_ref().and_then(without_faces);
        Self { ours, stale, ..Self::with(call_id, (leg.party, trunk), (Endpoint::Voice, 0, profile), env) }
    }

    fn with(
        call_id: &str,
        (party, trunk): (Party, Option<usize>),
        (endpoint, refused, said): (Endpoint, usize, Option<Profile>),
        env: &mut Env<'_, '_>,
    ) -> Self {
        let terms = env.terms(trunk);
        let policy = env.config.srtp_on(terms.as_ref());
        let manner = Manner::after(refused, party.flow.transport, said, policy).unwrap_or(Manner::Plain);
        let anchor = env.anchors.open_end(call_id, party, manner, env.config, env.cx);
        env.anchors.hold_to(anchor, [terms, None]);
        Self::at(anchor, call_id, endpoint, env)
    }

    /// An end that stands for that of a half of another shard, and has no media here.
    pub(super) fn standing_in(far: (u8, u64), here: (u8, u64), call_id: &str, env: &mut Env<'_, '_>) -> Self {
        let anchor = env.anchors.number();
        // What is said late of orders of others is not about its own.
        let first = (here.1 as u32) << 8;
        let (playing, recording) = (first, first);
        let stands_for = Some([far, here]);
        Self { stands_for, playing, recording, ..Self::at(anchor, call_id, Endpoint::Voice, env) }
    }

    fn at(anchor: u64, call_id: &str, endpoint: Endpoint, env: &mut Env<'_, '_>) -> Self {
        Self {
            anchor,
            call_id: call_id.to_owned(),
            // RFC 8866 §5.2 wants it unique and numeric; 63 bits fit everyone's parser.
            session_id: env.cx.rng.random::<u64>() >> 1,
            ours: None,
            offered: None,
            endpoint,
            speaks: None,
            waiting: Vec::new(),
            playing: 0,
            recording: 0,
            agreed: None,
            holds: false,
            connected: false,
            stale: false,
            kept: None,
            keys: String::new(),
            stands_for: None,
        }
    }

    /// Answers an offer of the party.
    ///
    /// # Errors
    /// What the party is told when that cannot be; the session is as it was.
    pub(super) fn answer(&mut self, offer: &Body, env: &mut Env<'_, '_>) -> Result<Body, Refusal> {
        if !offer.is_sdp() {
            let refusal = Refusal::from(Status::UNSUPPORTED_MEDIA_TYPE);
            return Err(refusal.with(Name::Accept, "application/sdp"));
        }
        let before = env.anchors.snapshot(self.anchor, PartyName::Caller);
        let answered = self.agree(offer, env);
        if answered.is_err()
            && let Some(before) = &before
        {
            env.anchors.restore(self.anchor, before, env.cx);
        }
        answered
    }

    fn agree(&mut self, offer: &Body, env: &mut Env<'_, '_>) -> Result<Body, Refusal> {
        let plain = self.pass(PartyName::Caller, Role::Offer, &offer.bytes, env)?;
        let offer = parse(&plain)?;
        let (answer, agreed) =
            offer_answer::answer(&offer, &self.capabilities(Some(&offer), env)).map_err(unacceptable)?;
        let answer = match &self.ours {
            Some(ours) => answer.following(ours),
            None => answer,
        };
        let body = self.pass(PartyName::Callee, Role::Answer, answer.as_bytes(), env)?;
        self.ours = Some(answer);
        self.connect(&agreed, env);
        Ok(Body::sdp(body))
    }

    /// Makes the party an offer: the first, or the same again under what it has said since.
    ///
    /// # Errors
    /// 503 when no port is free.
    pub(super) fn offer(&mut self, env: &mut Env<'_, '_>) -> Result<Body, Refusal> {
        let capabilities = self.capabilities(None, env);
        let offer = match &self.ours {
            Some(ours) => offer_answer::reoffer(ours, &capabilities),
            None => offer_answer::offer(&capabilities),
        };
        let body = self.pass(PartyName::Callee, Role::Offer, offer.as_bytes(), env)?;
        self.offered = Some(offer);
        Ok(Body::sdp(body))
    }

    /// Takes the party's answer to [`End::offer`].
    ///
    /// # Errors
    /// When there is nothing that both can.
    pub(super) fn settle(&mut self, answer: &Body, env: &mut Env<'_, '_>) -> Result<(), Refusal> {
        if std::mem::take(&mut self.stale) {
            return Ok(());
        }
        let Some(offered) = self.offered.take() else { return Ok(()) };
        let plain = self.pass(PartyName::Caller, Role::Answer, &answer.bytes, env)?;
        let agreed = offer_answer::apply_answer(&offered, &parse(&plain)?)
            .map_err(|error| Refusal::new(Status::NOT_ACCEPTABLE_HERE, error.to_string()))?;
        self.ours = Some(offered);
        self.connect(&agreed, env);
        Ok(())
    }

    fn pass(
        &self,
        from: PartyName,
        role: Role,
        body: &[u8],
        env: &mut Env<'_, '_>,
    ) -> Result<Vec<u8>, Refusal> {
        env.anchors.pass(self.anchor, &self.call_id, (from, role), body, env.config, env.cx)
    }

    /// The party refuses what was offered to it: it is as it was.
    pub(super) fn refused(&mut self) {
        if !std::mem::take(&mut self.stale) {
            self.offered = None;
        }
    }

    /// Its party hears the others in a room of the exchange's own, where it is heard by them, and nothing else.
    pub(super) fn meet(&mut self, room: u64, env: &mut Env<'_, '_>) {
        if self.endpoint == Endpoint::Echo {
            self.endpoint = Endpoint::Voice;
            let agreed: Vec<_> = self.agreed.iter().map(|one| one.as_ref().clone()).collect();
            self.speak(&agreed, env);
        }
        self.connected = true;
        self.hush(env);
        self.order(Order::Join { room, muted: false, most: 2 }, env);
    }

    /// Its party talks with nobody else any more.
    pub(super) fn part(&mut self, env: &mut Env<'_, '_>) {
        if std::mem::take(&mut self.connected) {
            // With that a recording of both is complete.
            self.order(Order::Leave, env);
            self.kept = None;
            self.keys.clear();
        }
    }

    /// Whether its party sends keys beside the sound.
    pub(super) fn has_events(&self) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.telephone_event.is_some())
    }

    /// Ends what is being said, of which nobody hears any more.
    pub(super) fn hush(&mut self, env: &mut Env<'_, '_>) {
        self.mention(Vec::new(), env);
    }

    fn connect(&mut self, agreed: &[Negotiated], env: &mut Env<'_, '_>) {
        let sound = agreed.iter().find(|one| one.kind == MediaKind::Audio);
        self.agreed = sound.cloned().map(Box::new);
        match self.endpoint {
            Endpoint::Echo => self.echo(agreed, env),
            Endpoint::Voice => self.speak(agreed, env),
            Endpoint::Camera(camera, _) => {
                self.speak(agreed, env);
                self.show(agreed, camera, env);
            }
        }
    }

    fn show(&self, agreed: &[Negotiated], camera: CameraId, env: &mut Env<'_, '_>) {
        for pictures in agreed.iter().filter(|one| one.kind == MediaKind::Video) {
            let payload_type = Some(pictures.codec.send).filter(|_| pictures.direction.sends());
            let watch = Order::Watch { camera, payload_type, numbers: numbers(env.cx) };
            env.anchors.order(self.anchor, pictures.media_index, watch, env.cx);
        }
    }

    fn speak(&mut self, agreed: &[Negotiated], env: &mut Env<'_, '_>) {
        let Some(sound) = agreed.iter().find(|one| one.kind == MediaKind::Audio) else { return };
        self.speaks = Some(sound.media_index);
        let (settings, numbers) = (Box::new(agreed::settings(sound)), numbers(env.cx));
        self.order(Order::Agree { settings, numbers }, env);
        for order in std::mem::take(&mut self.waiting) {
            self.order(order, env);
        }
    }

    /// Whether the party does not want to hear.
    pub(super) fn is_held(&self) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| !agreed.direction.sends())
    }

    /// Gives it an order, now or when the session is agreed on.
    pub(super) fn order(&mut self, order: Order, env: &mut Env<'_, '_>) {
        if let Some([(shard, call), by]) = self.stands_for {
            let order = Halves::Order { call, by, order };
            return env.cx.out.shards.push((shard, ShardMessage::Halves(order)));
        }
        match self.speaks {
            Some(at) => env.anchors.order(self.anchor, at, order, env.cx),
            None => self.waiting.push(order),
        }
    }

    pub(super) fn play(&mut self, clips: Vec<Clip>, env: &mut Env<'_, '_>) {
        self.playing += 1;
        self.order(Order::Play { order: self.playing, clips }, env);
    }

    pub(super) fn record(&mut self, recording: Recording, env: &mut Env<'_, '_>) {
        self.recording += 1;
        self.order(Order::Record { order: self.recording, recording }, env);
    }

    pub(super) fn record_room(&mut self, recording: Option<Recording>, env: &mut Env<'_, '_>) {
        self.recording += u32::from(recording.is_some());
        let order = self.recording;
        self.order(Order::RecordRoom(recording.map(|recording| (order, recording))), env);
    }

    /// Says something to its party, of whose end nobody hears.
    pub(super) fn mention(&mut self, clips: Vec<Clip>, env: &mut Env<'_, '_>) {
        self.playing += 1;
        self.order(Order::Play { order: 0, clips }, env);
    }

    /// The number of the recording that would be next.
    pub(super) fn next_recording(&self) -> u32 {
        self.recording + 1
    }

    /// Records those in its room from now on, its party left or right.
    pub(super) fn record_apart(
        &mut self,
        (file, most_ms): (String, u32),
        right: bool,
        env: &mut Env<'_, '_>,
    ) {
        self.recording += 1;
        let recording = Recording { file: file.as_str().into(), most_ms, silence_ms: 0, least_ms: 0 };
        self.order(Order::RecordApart { order: self.recording, recording, right }, env);
        self.kept = Some(Kept { file, paused: false });
    }

    /// A recording has ended: the one of those in its room, if it is that and has ended by itself.
    pub(super) fn ended(&mut self, order: u32) -> Option<Kept> {
        if order == self.recording { self.kept.take() } else { None }
    }

    /// What is heard of it, if it is about the last order of its kind.
    pub(super) fn point(&self, heard: Heard) -> Option<Point> {
        match heard {
            Heard::Digit(key) => Some(Point::Digit(key)),
            Heard::Played { order } => (order == self.playing).then_some(Point::Played),
            Heard::Recorded { order, outcome } => {
                (order == self.recording).then_some(Point::Recorded(outcome))
            }
            Heard::Room { others } => (!self.connected).then_some(Point::Room(others)),
            Heard::Closed(why) => (!self.connected).then_some(Point::Closed(why)),
        }
    }

    fn echo(&self, agreed: &[Negotiated], env: &mut Env<'_, '_>) {
        let streams = agreed.iter().map(|one| (one.media_index, formats(one))).collect();
        env.anchors.echo(self.anchor, streams, env.cx);
    }

    fn capabilities(&self, offer: Option<&Sdp>, env: &Env<'_, '_>) -> Capabilities {
        let ip = env.anchors.address(self.anchor).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        // The anchor puts its own port in place of it.
        let here = SocketAddr::new(ip, DISCARD);
        let mut streams = vec![Stream::audio(here, codecs(&env.config.codecs))];
        if let Endpoint::Camera(_, coding) = self.endpoint {
            let format = match offer {
                Some(offer) => video::format_for(offer, coding.name()),
                None => Some(picture_format(coding)),
            };
            streams.extend(format.map(|format| Stream::video_from_us(here, vec![format])));
        }
        streams.iter_mut().for_each(|stream| stream.rtcp_mux = true);
        Capabilities { origin: Origin::new(self.session_id, 1, ip), streams }
    }
}

fn picture_format(coding: Coding) -> Codec {
    match coding {
        Coding::H264 => Codec::h264(PICTURES),
        Coding::H265 => Codec::h265(PICTURES),
    }
}

/// A description as an end of ours would have made it: without what protects the media towards the phone.
fn without_faces(sdp: &Sdp) -> Option<Sdp> {
    let face = |media: offhook_sdp::Media<'_>| {
        let plain =
            Face { profile: "RTP/AVP".into(), attributes: Vec::new(), rtcp_mux: true, ice_lite: false };
        media.profile().is_rtp().then_some(plain)
    };
    let faces = sdp.media().map(face).collect();
    let plan = vec![Relay::Direct; sdp.media().len()];
    let formats = vec![Formats::Kept; sdp.media().len()];
    rewrite(sdp, &plan, &Options { origin: None, faces, formats }).ok()
}

/// All that we know will do: first those that are preferred here.
fn codecs(preferred: &[Codec]) -> Vec<Codec> {
    let mut codecs = preferred.to_vec();
    for codec in [Codec::opus(111), Codec::g722(), Codec::pcma(), Codec::pcmu()] {
        if !codecs.iter().any(|one| one.matches(&codec)) {
            codecs.push(codec);
        }
    }
    codecs.extend([Codec::telephone_event(101, 8000), Codec::telephone_event(102, 48_000)]);
    codecs
}

fn formats(agreed: &Negotiated) -> Vec<EchoFormat> {
    let format = |one: &Format| EchoFormat {
        receive: one.receive,
        send: one.send,
        clock_rate: one.codec.clock_rate,
        event: one.codec.is_telephone_event(),
    };
    std::iter::once(&agreed.codec).chain(&agreed.others).chain(&agreed.telephone_event).map(format).collect()
}

fn parse(body: &[u8]) -> Result<Sdp, Refusal> {
    Sdp::parse(body).map_err(|error| Refusal::new(Status::BAD_REQUEST, format!("SDP: {error}")))
}

fn unacceptable(refusal: offer_answer::Refusal) -> Refusal {
    let (code, words) = refusal.warning();
    Refusal::new(Status::NOT_ACCEPTABLE_HERE, words)
        .with(Name::Warning, format!("{code} offhook \"{words}\""))
}

/// The payload type of pictures that we offer.
const PICTURES: u8 = 96;
/// RFC 863.
const DISCARD: u16 = 9;
