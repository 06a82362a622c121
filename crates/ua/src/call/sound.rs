//! `Sound`: the session description and the media of one call.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use offhook_media::codec::{self, Wishes, by_name, by_word};
use offhook_media::session::{self, InsecureReason, Protection as Agreed};
use offhook_media::session::{
    Component, EventFormat, Identity, MediaSession, Outbox, Payload, Redundancy, Settings, Statistics,
};
use offhook_rtp::{ComfortNoise, NtpTime};
use offhook_sdp::offer_answer::{self, Capabilities, Negotiated, Stream};
use offhook_sdp::{Codec, Direction, MediaKind, Origin, Refusal, Sdp};
use offhook_sip::Status;
use offhook_sip_stack::Rng;
use offhook_sip_stack::usage::Body;
use rand::RngExt as _;

use super::paths::Paths;
use super::protection::Protection;
use crate::Config;

/// One stream of sound: what is agreed about it, and the packets.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) port: usize,
    paths: Paths,
    codecs: Vec<Codec>,
    session_id: u64,
    identity: Identity,
    /// Our last description, offer or answer.
    local: Option<Sdp>,
    /// Our offer whose answer has not come.
    offered: Option<Sdp>,
    media: Option<MediaSession>,
    protection: Protection,
    pub(crate) held_by_us: bool,
    pub(crate) held_by_peer: bool,
    keys: VecDeque<char>,
    pause: Option<Instant>,
}

/// Why a session description cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unacceptable {
    /// It is not one.
    Malformed,
    /// It has nothing that we have.
    Refused(Refusal),
    /// The sound could not be encrypted as agreed.
    Insecure(InsecureReason),
}

impl Unacceptable {
    /// Why, as a reason phrase.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => Status::NOT_ACCEPTABLE_HERE.reason(),
            Self::Refused(refusal) => refusal.warning().1,
            Self::Insecure(reason) => reason.text(),
        }
    }

    /// The value of a Warning header (RFC 3261 §20.43) for a refusal.
    pub(crate) fn warning(self) -> Option<String> {
        match self {
            Self::Malformed | Self::Insecure(_) => None,
            Self::Refused(refusal) => {
                let (code, text) = refusal.warning();
                Some(format!("{code} offhook \"{text}\""))
            }
        }
    }
}

impl Sound {
    pub(crate) fn new(port: usize, config: &Config, now: Instant, rng: &mut Rng) -> Option<Self> {
        let address = config.media_ports.get(port)?.advertised;
        let since_1970 = match config.wall_clock {
            Some((moment, time)) => time + now.saturating_duration_since(moment),
            None => Duration::ZERO,
        };
        let identity = Identity {
            ssrc: rng.random(),
            sequence: rng.random(),
            timestamp: rng.random(),
            cname: format!("{:024x}", rng.random::<u128>() >> 32),
            ntp: NtpTime::from_unix(since_1970),
            certificate: config.certificate.clone(),
        };
        Some(Self {
            port,
            paths: Paths::new(config, address, now, rng),
            codecs: codecs(config),
            // RFC 8866 §5.2 wants it unique and numeric. Short, for a request of more than 1,300 octets may not go by UDP.
            session_id: rng.random::<u64>() >> 32,
            identity,
            local: None,
            offered: None,
            media: None,
            protection: Protection::new(config),
            held_by_us: false,
            held_by_peer: false,
            keys: VecDeque::new(),
            pause: None,
        })
    }

    /// Our port has another address: ways are sought anew, and the stream of packets goes on.
    pub(crate) fn moved(&mut self, config: &Config, now: Instant, rng: &mut Rng, out: &mut Outbox) {
        let Some(port) = config.media_ports.get(self.port) else { return };
        self.paths.end(out);
        self.paths = Paths::new(config, port.advertised, now, rng);
    }

    /// Makes ready for the first [`Self::offer`] of a call: that of a call we are `placing`, or one in our answer. `secret`
    /// says whether nobody on the way can read it.
    pub(crate) fn begin(&mut self, placing: bool, secret: bool, rng: &mut Rng) {
        self.protection.begin(placing, secret, rng);
    }

    /// Whether the call can be placed again with another offer, after this one was refused.
    pub(crate) fn try_another(&mut self) -> bool {
        self.protection.try_another()
    }

    /// Our offer, the first or a changed one.
    pub(crate) fn offer(&mut self) -> Body {
        let one_port = self.protection.wants_one_port() || self.paths.wants_one_port();
        let capabilities = self.capabilities(one_port);
        let offer = match &self.local {
            Some(local) => offer_answer::reoffer(local, &capabilities),
            None => offer_answer::offer(&capabilities),
        };
        let body = Body::sdp(offer.as_bytes().to_vec());
        self.offered = Some(offer);
        body
    }

    /// Whether an offer can be answered.
    pub(crate) fn check(&self, offer: &Body) -> Result<(), Unacceptable> {
        let offer = Sdp::parse(&offer.bytes).map_err(|_| Unacceptable::Malformed)?;
        offer_answer::answer_protected(&offer, &self.capabilities(false), |media| {
            self.protection.consider(media).map(|_| Vec::new())
        })
        .map_err(Unacceptable::Refused)?;
        Ok(())
    }

    /// Answers the peer's offer, and lets sound flow as agreed.
    pub(crate) fn answer(
        &mut self,
        offer: &Body,
        peer: IpAddr,
        now: Instant,
        rng: &mut Rng,
    ) -> Result<Body, Unacceptable> {
        let offer = Sdp::parse(&offer.bytes).map_err(|_| Unacceptable::Malformed)?;
        let mut taken = None;
        // Whoever has a certificate can do with one port.
        let one_port =
            offer.media().any(|media| media.fingerprints().next().is_some() || self.paths.takes(&media));
        if let Some(media) = offer.media().find(|media| media.kind() == MediaKind::Audio) {
            self.paths.offered(&media, rng);
        }
        let (mut answer, streams) =
            offer_answer::answer_protected(&offer, &self.capabilities(one_port), |media| {
                let choice = self.protection.take(self.protection.consider(media)?, rng);
                let mut attributes = taken.insert(choice).attributes.clone();
                attributes
                    .extend(self.paths.takes(media).then(|| self.paths.attributes()).into_iter().flatten());
                Ok(attributes)
            })
            .map_err(Unacceptable::Refused)?;
        if let Some(taken) = taken.filter(|_| !streams.is_empty()) {
            self.protection.answer(taken);
        }
        if let Some(local) = &self.local {
            answer = answer.following(local);
        }
        let body = Body::sdp(answer.as_bytes().to_vec());
        self.local = Some(answer);
        let theirs = streams.first().and_then(|stream| offer.media_at(stream.media_index));
        self.paths.agree(now, theirs.as_ref(), false);
        self.agree(streams.first(), peer, now);
        Ok(body)
    }

    /// Takes the peer's answer to our offer. A fork's answer may come after another's: `last` says that no more
    /// will.
    pub(crate) fn answered(
        &mut self,
        answer: &Body,
        last: bool,
        peer: IpAddr,
        now: Instant,
    ) -> Result<(), Unacceptable> {
        // What only refreshes the session is offered once more by the layer below.
        let Some(offered) = self.offered.as_ref().or(self.local.as_ref()) else { return Ok(()) };
        let answer = Sdp::parse(&answer.bytes).map_err(|_| Unacceptable::Malformed)?;
        let streams = offer_answer::apply_answer(offered, &answer).map_err(|_| Unacceptable::Malformed)?;
        if let Some(index) = streams.first().map(|stream| stream.media_index)
            && let (Some(ours), Some(theirs)) = (offered.media_at(index), answer.media_at(index))
        {
            self.protection.answered(&ours, &theirs, last).map_err(Unacceptable::Refused)?;
            self.paths.agree(now, Some(&theirs), true);
        }
        if last && let Some(offered) = self.offered.take() {
            self.local = Some(offered);
        }
        self.agree(streams.first(), peer, now);
        Ok(())
    }

    /// Our offer was refused.
    pub(crate) fn abandon(&mut self) {
        self.offered = None;
    }

    /// The encoding that we send.
    pub(crate) fn codec(&self) -> Option<String> {
        let media = self.media.as_ref()?;
        media.settings().send.map(|payload| payload.format.name.to_owned())
    }

    /// The rate of the sound that is sent and heard best.
    pub(crate) fn sample_rate(&self) -> u32 {
        self.media.as_ref().map_or(offhook_media::SAMPLE_RATE, |media| media.settings().sample_rate())
    }

    pub(crate) fn statistics(&self) -> Option<Statistics> {
        self.media.as_ref().map(MediaSession::statistics)
    }

    pub(crate) fn receive(
        &mut self,
        component: Component,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let (mut made, mut is_ours) = (Outbox::default(), true);
        match (component, &mut self.media) {
            (Component::Rtp, media) => {
                if let Some((from, bytes)) = self.paths.receive(now, from, bytes, out) {
                    is_ours = media.is_some();
                    if let Some(media) = media {
                        media.receive_rtp(now, from, &bytes, &mut made);
                    }
                }
            }
            (Component::Rtcp, Some(media)) => media.receive_rtcp(now, from, bytes, &mut made),
            (Component::Rtcp, None) => is_ours = false,
        }
        self.paths.carry(made, out);
        self.follow(now);
        is_ours
    }

    /// Goes where ICE has found a way to.
    fn follow(&mut self, now: Instant) {
        let (Some(media), Some(chosen)) = (&mut self.media, self.paths.chosen()) else { return };
        if media.settings().remote_rtp != chosen {
            let settings = self.paths.settle(media.settings().clone());
            media.configure(now, settings);
        }
    }

    /// Moves 20 ms of sound both ways; true if the last key was sent with it.
    pub(crate) fn frame(
        &mut self,
        microphone: &[i16],
        loudspeaker: &mut [i16],
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        loudspeaker.fill(0);
        let Some(media) = &mut self.media else { return false };
        let mut made = Outbox::default();
        media.microphone(now, microphone, &mut made);
        media.loudspeaker(now, loudspeaker);
        self.paths.carry(made, out);
        self.press(now)
    }

    /// Queues keys; a comma is a pause.
    pub(crate) fn dial(&mut self, digits: &str) {
        let room = MAX_KEYS.saturating_sub(self.keys.len());
        self.keys.extend(digits.chars().filter(|key| *key != END).take(room));
    }

    /// Presses the next key when its time has come; true when the last one is done.
    fn press(&mut self, now: Instant) -> bool {
        let Some(media) = &mut self.media else { return false };
        if self.keys.is_empty() || media.is_dialling() || self.pause.is_some_and(|end| now < end) {
            return false;
        }
        self.pause = None;
        match self.keys.pop_front() {
            Some(',') => self.pause = Some(now + PAUSE),
            // The end of the queue, behind the last key: it has been sent.
            Some(END) => return true,
            Some(key) => {
                media.dial(key, KEY);
            }
            None => {}
        }
        false
    }

    /// Marks the end of what was queued, to be told when it is sent.
    pub(crate) fn dial_end(&mut self) {
        self.keys.push_back(END);
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let media = self.media.as_ref().map(MediaSession::next_deadline);
        media.into_iter().chain(self.paths.next_deadline()).min()
    }

    pub(crate) fn deadline(&mut self, now: Instant, out: &mut Outbox) {
        self.paths.deadline(now, out);
        self.follow(now);
        if let Some(media) = self.media.as_mut().filter(|media| media.next_deadline() <= now) {
            let mut made = Outbox::default();
            media.deadline(now, &mut made);
            self.paths.carry(made, out);
        }
        out.events.extend(self.paths.failure().map(|reason| session::Event::Insecure { reason }));
    }

    /// Whether our addresses are known, so that a description can be made.
    pub(crate) fn is_gathered(&self) -> bool {
        self.paths.is_gathered()
    }

    /// Says goodbye and returns what it was like.
    pub(crate) fn end(&mut self, now: Instant, out: &mut Outbox) -> Option<Statistics> {
        let mut made = Outbox::default();
        let media = self.media.take().map(|mut media| {
            media.end(now, &mut made);
            media.statistics()
        });
        self.paths.carry(made, out);
        self.paths.end(out);
        media
    }

    fn capabilities(&self, one_port: bool) -> Capabilities {
        let version = self.local.as_ref().map_or(1, |local| local.origin().version);
        let mut stream = Stream::audio(self.paths.address(), self.codecs.clone());
        if self.held_by_us {
            stream.direction = Direction::SendRecv.held();
        }
        stream.rtcp_mux = one_port;
        stream.profile = self.protection.profile();
        stream.attributes = self.protection.attributes();
        stream.attributes.extend(self.paths.attributes());
        Capabilities {
            origin: Origin::new(self.session_id, version, self.paths.address().ip()),
            streams: vec![stream],
        }
    }

    fn agree(&mut self, stream: Option<&Negotiated>, peer: IpAddr, now: Instant) {
        let settings = Settings { protection: self.protection.agreed(), ..settings(stream, peer) };
        let settings = self.paths.settle(settings);
        let direction = stream.map_or(Direction::Inactive, |stream| stream.direction);
        self.held_by_peer = !direction.sends();
        match &mut self.media {
            Some(media) => media.configure(now, settings),
            None => self.media = Some(MediaSession::new(now, settings, self.identity.clone())),
        }
    }
}

/// What the media session needs to know of what was agreed.
fn settings(stream: Option<&Negotiated>, peer: IpAddr) -> Settings {
    let format = |format: &offer_answer::Format| by_name(&format.codec.name, format.codec.clock_rate);
    let payload = |number: u8, codec: &'static codec::Format| Payload { payload_type: number, format: codec };
    let send = stream.and_then(|stream| format(&stream.codec).map(|codec| payload(stream.codec.send, codec)));
    let receive = stream
        .into_iter()
        .flat_map(|stream| std::iter::once(&stream.codec).chain(&stream.others))
        .filter_map(|known| format(known).map(|codec| payload(known.receive, codec)))
        .collect();
    let event = stream.and_then(|stream| stream.telephone_event.as_ref());
    let event_format = |payload_type: u8, event: &offer_answer::Format| EventFormat {
        payload_type,
        clock_rate: event.codec.clock_rate,
    };
    // Many send comfort noise under its static number without having said so.
    let is_noise = |format: &&offer_answer::Format| format.codec.name.eq_ignore_ascii_case("CN");
    let noise = stream.and_then(|stream| stream.others.iter().find(is_noise));
    // What is not said has the defaults of the codec's specification.
    let wishes = stream.map_or_else(Wishes::default, |stream| {
        Wishes::parse(stream.codec.remote_fmtp.as_deref().unwrap_or_default())
    });
    Settings {
        send,
        wishes,
        receive,
        event_send: event.map(|event| event_format(event.send, event)),
        event_receive: event.map(|event| event_format(event.receive, event)),
        redundancy: stream
            .and_then(Negotiated::redundancy)
            .map(|found| Redundancy { send: found.send, receive: found.receive }),
        noise_receive: Some(noise.map_or(ComfortNoise::PAYLOAD_TYPE, |noise| noise.receive)),
        remote_rtp: stream.and_then(|stream| stream.remote_rtp),
        remote_rtcp: stream.and_then(|stream| stream.remote_rtcp),
        signalled_from: Some(peer),
        proven: false,
        rtcp_mux: stream.is_some_and(|stream| stream.rtcp_mux),
        protection: Agreed::Plain,
        sends: stream.is_some_and(|stream| stream.direction.sends()),
        receives: stream.is_some_and(|stream| stream.direction.receives()),
        ptime_ms: stream.map_or(20, |stream| stream.ptime),
    }
}

/// The configured codecs that we have, redundancy for those without any of their own (RFC 2198 §5), and telephone events
/// in the clock of each of them (RFC 4733 §2.1).
fn codecs(config: &Config) -> Vec<Codec> {
    let mut codecs: Vec<Codec> = Vec::new();
    let mut dynamic = (96..=127u8).filter(|number| !TELEPHONE_EVENTS.contains(number));
    for format in config.codecs.iter().filter_map(|name| by_word(name)) {
        let known = codecs.iter().any(|codec| codec.name == format.name);
        if let Some(number) = format.payload_type.or_else(|| dynamic.next()).filter(|_| !known) {
            codecs.push(Codec {
                channels: format.channels,
                fmtp: format.parameters.map(str::to_owned),
                ..Codec::new(number, format.name, format.clock_rate)
            });
        }
    }
    let plain = codecs.iter().filter(|codec| codec.clock_rate == TELEPHONY && codec.channels == 1);
    let plain: Vec<u8> = plain.map(|codec| codec.payload_type).collect();
    if !plain.is_empty() {
        codecs.extend(dynamic.next().map(|number| Codec::redundancy(number, TELEPHONY, 1, &plain)));
    }
    let mut clocks: Vec<u32> = codecs.iter().map(|codec| codec.clock_rate).collect();
    clocks.sort_unstable();
    clocks.dedup();
    let event = |(clock, number): (u32, u8)| Codec::telephone_event(number, clock);
    codecs.extend(clocks.into_iter().zip(TELEPHONE_EVENTS).map(event));
    codecs
}

/// The clock of G.711 and G.722, in Hz.
const TELEPHONY: u32 = 8000;

/// The payload types for telephone events; everybody uses the first for the clock of telephony.
const TELEPHONE_EVENTS: [u8; 2] = [101, 102];

/// How long a key is held.
const KEY: Duration = Duration::from_millis(120);

/// What a comma among the keys waits.
const PAUSE: Duration = Duration::from_secs(2);

/// Stands behind the last of the queued keys; no key itself.
const END: char = '\0';

/// The most keys that wait to be sent.
const MAX_KEYS: usize = 256;
