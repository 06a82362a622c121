//! The sending half: frames to packets, and keys in between.

use super::settings::{Component, EventFormat, Identity, Outbox, Payload, Settings, Transmit};
use crate::codec::Codec;
use crate::resample::Resampler;
use crate::tone::Tone;
use crate::{SAMPLE_RATE, dtmf};
use offhook_rtp::packet::{Header, PacketBuilder};
use offhook_rtp::redundancy::{self, Block};
use offhook_rtp::telephone_event::{EventSender, event_of};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Sender {
    ssrc: u32,
    sequence: u16,
    /// Of the first sample of the next frame.
    timestamp: u32,
    payload: Option<Payload>,
    encoder: Option<Box<dyn Codec>>,
    event: Option<EventFormat>,
    /// Of the codec.
    rate: u32,
    clock_rate: u32,
    /// Brings a frame of another rate to the codec's.
    resampler: Option<(u32, Resampler)>,
    samples_per_packet: usize,
    /// Said, but not enough for a packet yet.
    pending: Vec<i16>,
    encoded: Vec<u8>,
    /// Under which payload type a packet may carry the one before it.
    redundancy: Option<u8>,
    /// Until when each does.
    protected: Option<Instant>,
    /// The timestamp and the payload of the sound that was sent last, of the same codec.
    before: Option<(u32, Vec<u8>)>,
    /// The next packet begins a talk spurt.
    marker: bool,
    keys: VecDeque<(char, Duration)>,
    key: Key,
    packets: u32,
    octets: u32,
    /// When the last packet was sent, and its timestamp.
    last: Option<(Instant, u32)>,
}

/// The key being dialled.
#[derive(Debug)]
enum Key {
    None,
    Event(EventSender),
    Tone {
        tone: Tone,
        frames: u32,
    },
    /// Silence between keys, in frames.
    Gap(u32),
}

impl Sender {
    pub(super) fn new(settings: &Settings, identity: &Identity) -> Sender {
        let mut sender = Sender {
            ssrc: identity.ssrc,
            sequence: identity.sequence,
            timestamp: identity.timestamp,
            payload: None,
            encoder: None,
            event: None,
            rate: SAMPLE_RATE,
            clock_rate: SAMPLE_RATE,
            resampler: None,
            samples_per_packet: SAMPLE_RATE as usize / 50,
            pending: Vec::new(),
            encoded: Vec::new(),
            redundancy: None,
            protected: None,
            before: None,
            marker: true,
            keys: VecDeque::new(),
            key: Key::None,
            packets: 0,
            octets: 0,
            last: None,
        };
        sender.configure(settings);
        sender
    }

    pub(super) fn configure(&mut self, settings: &Settings) {
        if self.payload.map(|payload| payload.format) != settings.send.map(|payload| payload.format) {
            self.encoder = settings.send.map(|payload| (payload.format.make)());
            self.pending.clear();
            self.resampler = None;
        }
        if let Some(encoder) = &mut self.encoder {
            encoder.wish(&settings.wishes);
        }
        self.payload = settings.send;
        self.redundancy = settings.redundancy.map(|redundancy| redundancy.send);
        self.before = None;
        self.event = settings.event_send;
        if let Some(Payload { format, .. }) = settings.send {
            (self.rate, self.clock_rate) = (format.sample_rate, format.clock_rate);
            let frames = ((settings.ptime_ms + 10) / 20).clamp(1, 10);
            self.samples_per_packet = format.samples_in(format.nearest_packet_ms(frames * 20));
        }
    }

    pub(super) fn dial(&mut self, digit: char, duration: Duration) -> bool {
        let known = event_of(digit).is_some();
        if known && self.keys.len() < MAX_KEYS {
            self.keys.push_back((digit, duration.clamp(SHORTEST_KEY, LONGEST_KEY)));
        }
        known
    }

    pub(super) fn is_dialling(&self) -> bool {
        !self.keys.is_empty() || !matches!(self.key, Key::None)
    }

    /// Protects what is sent against so much loss, in percent.
    pub(super) fn expect_loss(&mut self, percent: f32) {
        if let Some(encoder) = &mut self.encoder {
            encoder.expect_loss(percent);
        }
    }

    /// Packets are being lost: each carries the one before it for some time, where that is agreed.
    pub(super) fn protect(&mut self, now: Instant) {
        self.protected = Some(now + PROTECTED);
    }

    /// Takes 20 ms; `to` is `None` while nothing may be sent.
    pub(super) fn frame(&mut self, now: Instant, frame: &[i16], to: Option<SocketAddr>, out: &mut Outbox) {
        match to.zip(self.payload) {
            Some((to, payload)) => {
                let said = self.at_rate(frame);
                self.say(now, said, payload, to, out);
            }
            None => {
                self.pending.clear();
                self.marker = true;
            }
        }
        self.timestamp = self.timestamp.wrapping_add(self.clock_rate / 50);
    }

    /// The frame as the codec wants it; 20 ms whatever came.
    fn at_rate(&mut self, frame: &[i16]) -> Vec<i16> {
        let from = frame.len() as u32 * 50;
        let mut said = Vec::with_capacity(self.rate as usize / 50);
        match &mut self.resampler {
            _ if from == self.rate || !super::RATES.contains(&from) => said.extend_from_slice(frame),
            Some((rate, resampler)) if *rate == from => resampler.push(frame, &mut said),
            other => {
                let (_, resampler) = other.insert((from, Resampler::new(from, self.rate)));
                resampler.push(frame, &mut said);
            }
        }
        said.resize(self.rate as usize / 50, 0);
        said
    }

    fn say(&mut self, now: Instant, mut said: Vec<i16>, payload: Payload, to: SocketAddr, out: &mut Outbox) {
        self.next_key();
        match &mut self.key {
            Key::None => {}
            Key::Event(event) => {
                let packet = event.next();
                if event.is_done() {
                    self.key = Key::Gap(GAP_FRAMES);
                }
                // What was said before the key must not come after it.
                self.flush(now, payload, to, out);
                if let (Some(packet), Some(event)) = (packet, self.event) {
                    let timestamp = packet.timestamp;
                    self.send(now, (event.payload_type, timestamp, packet.marker), &packet.payload, to, out);
                }
                return;
            }
            Key::Tone { tone, frames } => {
                tone.fill(&mut said);
                *frames -= 1;
                if *frames == 0 {
                    self.key = Key::Gap(GAP_FRAMES);
                }
            }
            Key::Gap(frames) => {
                *frames -= 1;
                if *frames == 0 {
                    self.key = Key::None;
                }
            }
        }
        self.pending.extend_from_slice(&said);
        if self.pending.len() >= self.samples_per_packet {
            self.flush_with(now, payload, self.rate as usize / 50, to, out);
        }
    }

    /// Begins the next key when the last is over.
    fn next_key(&mut self) {
        if !matches!(self.key, Key::None) {
            return;
        }
        let Some((digit, duration)) = self.keys.pop_front() else { return };
        let ms = duration.as_millis() as u32;
        self.key = match (self.event, event_of(digit), dtmf::tone(digit, self.rate)) {
            (Some(format), Some(event), _) => {
                Key::Event(EventSender::new(event, self.timestamp, ms, 20, format.clock_rate))
            }
            (None, _, Some(tone)) => Key::Tone { tone, frames: ms.div_ceil(20).max(1) },
            _ => Key::None,
        };
    }

    /// Sends what is pending, all of it said before the present frame.
    fn flush(&mut self, now: Instant, payload: Payload, to: SocketAddr, out: &mut Outbox) {
        self.flush_with(now, payload, 0, to, out);
    }

    /// Sends what is pending, of which `current` samples belong to the present frame.
    fn flush_with(
        &mut self,
        now: Instant,
        payload: Payload,
        current: usize,
        to: SocketAddr,
        out: &mut Outbox,
    ) {
        if self.pending.is_empty() {
            return;
        }
        let before = self.pending.len() - current.min(self.pending.len());
        let before = (before as u64 * u64::from(self.clock_rate) / u64::from(self.rate)) as u32;
        let timestamp = self.timestamp.wrapping_sub(before);
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        if let Some(encoder) = &mut self.encoder {
            // A codec with frames takes no other length.
            let whole = payload.format.nearest_packet_ms(20);
            let length = self.pending.len().next_multiple_of(payload.format.samples_in(whole));
            self.pending.resize(length, 0);
            encoder.encode(&self.pending, &mut encoded);
        }
        self.pending.clear();
        let marker = std::mem::take(&mut self.marker);
        self.send_sound(now, (payload.payload_type, timestamp, marker), &encoded, to, out);
        self.encoded = encoded;
    }

    /// Sends sound, with that of the packet before where it is worth its room.
    fn send_sound(
        &mut self,
        now: Instant,
        (payload_type, timestamp, marker): (u8, u32, bool),
        encoded: &[u8],
        to: SocketAddr,
        out: &mut Outbox,
    ) {
        let Some(redundant) = self.redundancy else {
            return self.send(now, (payload_type, timestamp, marker), encoded, to, out);
        };
        let before = self.before.take();
        if self.protected.is_some_and(|until| now < until) {
            let block = before.as_ref().map(|(at, payload)| Block {
                payload_type,
                earlier: timestamp.wrapping_sub(*at),
                payload,
            });
            let mut both = Vec::with_capacity(encoded.len() * 2 + 8);
            redundancy::write(block, (payload_type, encoded), &mut both);
            self.send(now, (redundant, timestamp, marker), &both, to, out);
        } else {
            self.send(now, (payload_type, timestamp, marker), encoded, to, out);
        }
        let mut kept = before.map_or_else(Vec::new, |(_, payload)| payload);
        kept.clear();
        kept.extend_from_slice(encoded);
        self.before = Some((timestamp, kept));
    }

    fn send(
        &mut self,
        now: Instant,
        (payload_type, timestamp, marker): (u8, u32, bool),
        payload: &[u8],
        to: SocketAddr,
        out: &mut Outbox,
    ) {
        let header = Header { payload_type, marker, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        let packet = PacketBuilder::new(header, payload);
        let mut bytes = Vec::with_capacity(packet.len());
        if packet.append_to(&mut bytes).is_err() {
            return; // A payload type above 127 was never agreed.
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        self.last = Some((now, timestamp));
        out.packets.push(Transmit { from: Component::Rtp, to, bytes });
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(super) fn packets(&self) -> u32 {
        self.packets
    }

    pub(super) fn octets(&self) -> u32 {
        self.octets
    }

    /// When the last packet was sent.
    pub(super) fn last_sent(&self) -> Option<Instant> {
        self.last.map(|(at, _)| at)
    }

    /// What the media clock shows at `now`.
    pub(super) fn clock(&self, now: Instant) -> u32 {
        let Some((at, timestamp)) = self.last else { return self.timestamp };
        let since = now.saturating_duration_since(at).as_micros() * u128::from(self.clock_rate) / 1_000_000;
        timestamp.wrapping_add(since as u32)
    }
}

/// As long as two reports of the other side take at most, and a little more.
const PROTECTED: Duration = Duration::from_secs(15);
const MAX_KEYS: usize = 256;
/// Q.24 asks for 40 ms; networks like more.
const SHORTEST_KEY: Duration = Duration::from_millis(40);
const LONGEST_KEY: Duration = Duration::from_secs(10);
/// 80 ms between keys.
const GAP_FRAMES: u32 = 4;
