//! The end itself: a session of sound whose microphone and loudspeaker are here.

use super::file::{Answer, Request};
use super::source::Source;
use super::take::Take;
use super::{FRAME, Frame, Heard, Order, RATE};
use crate::SAMPLE_RATE;
use crate::camera::CameraId;
use crate::command::StreamId;
use crate::dtmf::Detector;
use crate::resample::Resampler;
use crate::session::{Event, Identity, MediaSession, Outbox, Settings};
use crate::transcode::Numbers;
use offhook_rtp::NtpTime;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// One end that speaks and listens.
#[derive(Debug)]
pub(crate) struct Voice {
    stream: StreamId,
    session: MediaSession,
    /// Keys as tones, of phones that have not agreed on events.
    tones: Option<(Resampler, Detector)>,
    source: Source,
    take: Option<Take>,
    seat: Option<(u64, bool)>,
    /// What came in the last 20 ms.
    frame: Frame,
    out: Outbox,
    /// For the driver.
    pub(crate) requests: Vec<Request>,
    /// For call control.
    pub(crate) heard: Vec<Heard>,
}

impl Voice {
    pub(crate) fn new(now: Instant, stream: StreamId, settings: Settings, numbers: Numbers) -> Voice {
        let Numbers { ssrc, sequence, timestamp } = numbers;
        let cname = NAME.to_owned();
        // Only differences of our clock mean something to who receives it.
        let ntp = NtpTime::from_unix(Duration::ZERO);
        let identity = Identity { ssrc, sequence, timestamp, cname, ntp, certificate: None };
        let settings = as_wanted(settings);
        Voice {
            stream,
            tones: tones(&settings),
            session: MediaSession::new(now, settings, identity),
            source: Source::default(),
            take: None,
            seat: None,
            frame: [0; FRAME],
            out: Outbox::default(),
            requests: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Does as it is told.
    pub(crate) fn obey(&mut self, now: Instant, order: Order) {
        match order {
            Order::Agree { settings, .. } => {
                let settings = as_wanted(*settings);
                if settings.event_receive.is_some() != self.session.settings().event_receive.is_some() {
                    self.tones = tones(&settings);
                }
                self.session.configure(now, settings);
            }
            Order::Play { order, clips } => self.source.play(self.stream, order, clips, &mut self.requests),
            Order::Record { order, recording } => {
                self.end_take();
                let rate = self.session.settings().sample_rate();
                self.take = Some(Take::new(self.stream, (order, recording), (rate, 1), &mut self.requests));
            }
            Order::Stop => self.end_take(),
            Order::Join { room, muted, .. } => self.seat = Some((room, muted)),
            // Of rooms the relay knows more.
            Order::Lock(_)
            | Order::RecordRoom(_)
            | Order::RecordApart { .. }
            | Order::PauseRoom(_)
            | Order::Watch { .. } => {}
            Order::Leave => self.seat = None,
            Order::Press(key) => _ = self.session.dial(key, KEY),
        }
    }

    /// Takes a packet that is the phone's, as it was before it was protected.
    pub(crate) fn receive(&mut self, now: Instant, packet: &[u8]) {
        self.session.receive_rtp(now, PHONE, packet, &mut self.out);
    }

    /// Takes what the driver says.
    pub(crate) fn answered(&mut self, answer: &Answer) {
        match answer {
            Answer::Loaded { file, sound, .. } => self.source.loaded(file, sound.as_ref()),
            Answer::Recorded { order, .. } => {
                // It could not go on.
                self.take.take_if(|take| take.order() == *order);
            }
        }
    }

    /// Hears sound of a camera, if it says that.
    pub(crate) fn hear_live(&mut self, camera: CameraId, samples: &[i16]) {
        if let Some(live) = self.source.live() {
            live.push(camera, samples);
        }
    }

    /// A camera sends, or no longer does.
    pub(crate) fn live_state(&mut self, camera: CameraId, is_up: bool) {
        self.source.live_state(camera, is_up);
    }

    /// Hears the next 20 ms.
    pub(crate) fn listen(&mut self, now: Instant) {
        if now >= self.session.next_deadline() {
            self.session.deadline(now, &mut self.out);
        }
        self.session.loudspeaker(now, &mut self.frame);
        for event in self.out.events.drain(..) {
            match event {
                Event::DigitStarted { digit } => self.heard.push(Heard::Digit(digit)),
                Event::Digit { .. }
                | Event::Latched { .. }
                | Event::Left
                | Event::Secured
                | Event::Insecure { .. } => {}
            }
        }
        if let Some((resampler, detector)) = &mut self.tones {
            let (mut sound, mut keys) = (Vec::with_capacity(FRAME / 2), Vec::new());
            resampler.push(&self.frame, &mut sound);
            detector.push(&sound, &mut keys);
            self.heard.extend(keys.into_iter().map(Heard::Digit));
        }
        if let Some(take) = &mut self.take
            && take.push(&[&self.frame], &mut self.requests)
        {
            self.end_take();
        }
    }

    /// What was heard in the last 20 ms.
    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The rate of the phone's sound.
    pub(crate) fn rate(&self) -> u32 {
        self.session.settings().sample_rate()
    }

    /// Whether something is being said, or will be.
    pub(crate) fn is_saying(&self) -> bool {
        self.source.is_busy()
    }

    /// Whether that is music.
    pub(crate) fn plays_music(&self) -> bool {
        self.source.is_music()
    }

    /// Lets 20 ms pass in which nothing is sent.
    pub(crate) fn keep_silent(&mut self, now: Instant) {
        self.session.pass(now);
    }

    /// The room that it sits in.
    pub(crate) fn room(&self) -> Option<u64> {
        self.seat.map(|(room, _)| room)
    }

    /// What it has heard in these 20 ms and the room is to hear.
    pub(crate) fn to_room(&self) -> Option<(u64, &Frame)> {
        self.seat.filter(|(_, muted)| !muted).map(|(room, _)| (room, &self.frame))
    }

    /// Says the next 20 ms: what is to be said, and what the room says.
    pub(crate) fn speak(&mut self, now: Instant, room: Option<Frame>) {
        // Music is in place of whatever the room would say.
        let room = room.filter(|_| !self.source.is_music());
        let (said, ended) = self.source.next();
        self.source.ask(self.stream, &mut self.requests);
        self.heard.extend(ended.map(|order| Heard::Played { order }));
        let frame = match (said, room) {
            (Some(mut said), Some(room)) => {
                // What is said to one is understood above what the others say.
                said.iter_mut().zip(room).for_each(|(said, room)| *said = said.saturating_add(room / 4));
                said
            }
            (said, room) => said.or(room).unwrap_or([0; FRAME]),
        };
        self.session.microphone(now, &frame, &mut self.out);
    }

    /// What is to be sent, in order.
    pub(crate) fn packets(&mut self) -> impl Iterator<Item = Vec<u8>> {
        self.out.packets.drain(..).map(|packet| packet.bytes)
    }

    /// Its call is over: what was recorded is complete.
    pub(crate) fn end(&mut self) {
        self.end_take();
    }

    fn end_take(&mut self) {
        if let Some(take) = self.take.take() {
            take.end(&mut self.requests);
        }
    }
}

/// The session as the relay has it from us: plain, from and to the phone, and near our rate, where a codec can do that
/// by itself.
fn as_wanted(mut settings: Settings) -> Settings {
    settings.remote_rtp = Some(PHONE);
    settings.rtcp_mux = true;
    settings.protection = crate::protection::Protection::Plain;
    let payloads = settings.send.iter_mut().chain(&mut settings.receive);
    payloads.for_each(|payload| payload.format = payload.format.at(RATE));
    settings
}

fn tones(settings: &Settings) -> Option<(Resampler, Detector)> {
    let needed = settings.event_receive.is_none();
    needed.then(|| (Resampler::new(RATE, SAMPLE_RATE), Detector::new()))
}

/// How long a key is pressed that somebody else has pressed.
const KEY: Duration = Duration::from_millis(160);
/// In place of the phone's address, which the relay knows.
const PHONE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);
/// Our CNAME (RFC 7022 §3): whoever hears us hears nobody else of us in this session.
const NAME: &str = "offhook";
