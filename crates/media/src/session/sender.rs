//! The sending half: frames to packets, and keys in between.

use super::settings::{Component, Identity, Outbox, Payload, Settings, Transmit};
use crate::codec::Codec;
use crate::tone::Tone;
use crate::{FRAME, Frame, SAMPLE_RATE, dtmf};
use offhook_rtp::packet::{Header, PacketBuilder};
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
    event_type: Option<u8>,
    samples_per_packet: usize,
    /// Said, but not enough for a packet yet.
    pending: Vec<i16>,
    encoded: Vec<u8>,
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
            event_type: None,
            samples_per_packet: FRAME,
            pending: Vec::new(),
            encoded: Vec::new(),
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
        }
        self.payload = settings.send;
        self.event_type = settings.event_send;
        let frames = ((settings.ptime_ms + 10) / 20).clamp(1, 10);
        self.samples_per_packet = frames as usize * FRAME;
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

    /// Takes 20 ms; `to` is `None` while nothing may be sent.
    pub(super) fn frame(&mut self, now: Instant, frame: &Frame, to: Option<SocketAddr>, out: &mut Outbox) {
        match to.zip(self.payload) {
            Some((to, payload)) => self.say(now, frame, payload, to, out),
            None => {
                self.pending.clear();
                self.marker = true;
            }
        }
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
    }

    fn say(&mut self, now: Instant, frame: &Frame, payload: Payload, to: SocketAddr, out: &mut Outbox) {
        self.next_key();
        let mut said = *frame;
        match &mut self.key {
            Key::None => {}
            Key::Event(event) => {
                let packet = event.next();
                if event.is_done() {
                    self.key = Key::Gap(GAP_FRAMES);
                }
                // What was said before the key must not come after it.
                self.flush(now, payload, to, out);
                if let (Some(packet), Some(payload_type)) = (packet, self.event_type) {
                    let timestamp = packet.timestamp;
                    self.send(now, (payload_type, timestamp, packet.marker), &packet.payload, to, out);
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
            self.flush_with(now, payload, FRAME, to, out);
        }
    }

    /// Begins the next key when the last is over.
    fn next_key(&mut self) {
        if !matches!(self.key, Key::None) {
            return;
        }
        let Some((digit, duration)) = self.keys.pop_front() else { return };
        let ms = duration.as_millis() as u32;
        self.key = match (self.event_type, event_of(digit), dtmf::tone(digit, SAMPLE_RATE)) {
            (Some(_), Some(event), _) => {
                Key::Event(EventSender::new(event, self.timestamp, ms, 20, SAMPLE_RATE))
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
        let before = (self.pending.len() - current.min(self.pending.len())) as u32;
        let timestamp = self.timestamp.wrapping_sub(before);
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        if let Some(encoder) = &mut self.encoder {
            encoder.encode(&self.pending, &mut encoded);
        }
        self.pending.clear();
        let marker = std::mem::take(&mut self.marker);
        self.send(now, (payload.payload_type, timestamp, marker), &encoded, to, out);
        self.encoded = encoded;
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
        let since = now.saturating_duration_since(at).as_micros() * u128::from(SAMPLE_RATE) / 1_000_000;
        timestamp.wrapping_add(since as u32)
    }
}

const MAX_KEYS: usize = 256;
/// Q.24 asks for 40 ms; networks like more.
const SHORTEST_KEY: Duration = Duration::from_millis(40);
const LONGEST_KEY: Duration = Duration::from_secs(10);
/// 80 ms between keys.
const GAP_FRAMES: u32 = 4;
