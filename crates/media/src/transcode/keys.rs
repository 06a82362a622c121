//! Keys on their way through a transcoder: events to events in another clock, events to tones, tones to events.

use super::source::Fresh;
use super::{TICKS, Transcoder};
use crate::dtmf::{self, Detector, Press};
use crate::resample::Resampler;
use crate::tone::Tone;
use offhook_rtp::Header;
use offhook_rtp::telephone_event::{TelephoneEvent, digit_of, event_of};

/// The event under way.
#[derive(Debug, Default)]
pub(super) struct Keys {
    current: Option<Key>,
    /// Timestamp of the last event that ended, and its end packets that were passed on.
    ended: Option<(u32, Key, u8)>,
}

#[derive(Clone, Debug)]
struct Key {
    event: u8,
    volume: u8,
    /// The source's timestamp of the present segment, and its length, in its clock.
    timestamp: u32,
    duration: u16,
    /// Length of earlier segments, in the source's clock.
    before: u64,
    /// The source's timestamp of its begin, in the clock of the sound.
    source_begin: u32,
    /// Where the outgoing event, or its present segment, begins, in ticks.
    begin: u64,
    /// Where the whole event begins.
    origin: u64,
    marker: bool,
    /// How much of it was made as a tone, in ticks.
    sounded: u64,
    tone: Option<Tone>,
}

/// Listens for tones of keys.
#[derive(Debug)]
pub(super) struct InBand {
    resampler: Resampler,
    pub(super) detector: Detector,
    pressed: Vec<Press>,
}

impl InBand {
    pub(super) fn new(rate: u32) -> InBand {
        let resampler = Resampler::new(rate, crate::SAMPLE_RATE);
        InBand { resampler, detector: Detector::new(), pressed: Vec::new() }
    }

    /// Whether a key is down after this sound, which should not be heard then.
    pub(super) fn listen(&mut self, samples: &[i16]) -> bool {
        let mut sound = Vec::new();
        self.resampler.push(samples, &mut sound);
        self.detector.listen(&sound, &mut self.pressed);
        self.detector.down().is_some()
    }
}

impl Keys {
    pub(super) fn is_down(&self) -> bool {
        self.current.is_some()
    }
}

impl Transcoder {
    /// Takes a packet of an event.
    pub(super) fn event(&mut self, header: &Header, payload: &[u8], fresh: Fresh, out: &mut Vec<Vec<u8>>) {
        let Some(packet) = TelephoneEvent::parse(payload) else { return };
        self.counts.taken += 1;
        if fresh.restarted {
            self.keys = Keys::default();
            self.concealer.reset();
        }
        if self.repeated_end(header.timestamp, out) {
            return;
        }
        let clock = self.from.event.map_or(self.from.codec.clock_rate, |event| event.clock_rate);
        let mut key = match self.keys.current.take() {
            Some(key) if key.timestamp == header.timestamp => key,
            Some(key) if continues(&key, &packet, header.timestamp) => Key {
                before: key.before + u64::from(key.duration),
                timestamp: header.timestamp,
                duration: 0,
                ..key
            },
            other => {
                if let Some(lost_end) = other {
                    self.finish(lost_end, out);
                }
                self.new_key(&packet, header, fresh, out)
            }
        };
        key.duration = key.duration.max(packet.duration);
        let reached = (key.before + u64::from(key.duration)) * TICKS / u64::from(clock);
        self.reach(&mut key, reached, packet.end, out);
        if packet.end {
            self.keys.ended = Some((header.timestamp, key, 1));
        } else {
            self.keys.current = Some(key);
        }
    }

    /// Sound came for a key that is heard in it, or was: sends its events.
    pub(super) fn in_band_key(&mut self, samples: usize, out: &mut Vec<Vec<u8>>) {
        let Some(in_band) = &mut self.in_band else { return };
        let pressed = std::mem::take(&mut in_band.pressed);
        for press in pressed {
            match press {
                Press::Down(digit) => {
                    self.stream.flush(out);
                    let event = event_of(digit).unwrap_or_default();
                    self.keys.current = Some(Key::new(event, 10, 0, self.stream.end()));
                }
                Press::Up(_) => {
                    if let Some(key) = self.keys.current.take() {
                        self.finish(key, out);
                    }
                }
            }
        }
        if let Some(mut key) = self.keys.current.take() {
            let reached = key.sounded + self.ticks(samples);
            key.sounded = reached;
            self.reach(&mut key, reached, false, out);
            self.keys.current = Some(key);
        }
    }

    fn new_key(
        &mut self,
        packet: &TelephoneEvent,
        header: &Header,
        fresh: Fresh,
        out: &mut Vec<Vec<u8>>,
    ) -> Key {
        let begin = self.stream.end().saturating_add_signed(fresh.offset);
        if self.to.event.is_some() {
            self.stream.flush(out);
        } else if fresh.offset > 0 {
            self.stream.pause(fresh.offset as u64, out);
        }
        let begin = begin.max(self.stream.end());
        let mut key = Key::new(packet.event, packet.volume, header.timestamp, begin);
        key.source_begin = fresh.begin;
        key.tone = digit_of(packet.event).and_then(|digit| dtmf::tone(digit, self.to.codec.sample_rate));
        key
    }

    /// An event has lasted for `reached` ticks by now.
    fn reach(&mut self, key: &mut Key, reached: u64, end: bool, out: &mut Vec<Vec<u8>>) {
        if self.from.event.is_some() {
            self.source.lasted(key.source_begin, reached);
        }
        if self.to.event.is_some() {
            self.send_event(key, reached, end, out);
            self.stream.advance_to(key.origin + reached);
            return;
        }
        let more = reached.saturating_sub(key.sounded).min(MOST_TONE);
        let samples = (more * u64::from(self.to.codec.sample_rate) / TICKS) as usize;
        if samples > 0 {
            let mut sound = vec![0; samples];
            if let Some(tone) = &mut key.tone {
                tone.fill(&mut sound);
            }
            key.sounded = reached;
            self.stream.push(&sound, true, out);
        }
    }

    fn send_event(&mut self, key: &mut Key, reached: u64, end: bool, out: &mut Vec<Vec<u8>>) {
        let Some(event) = self.to.event else { return };
        let clock = u64::from(event.clock_rate);
        let units = |ticks: u64| ticks * clock / TICKS;
        // What does not fit goes on as a new segment (RFC 4733 §2.5.1.3).
        let past = key.begin - key.origin;
        if units(reached.saturating_sub(past)) > LONGEST_SEGMENT {
            key.begin = key.origin + reached.saturating_sub(SEGMENT_STEP);
            key.begin = key.begin.min(key.origin + past + LONGEST_SEGMENT * TICKS / clock);
        }
        let past = key.begin - key.origin;
        let duration = units(reached.saturating_sub(past)).min(LONGEST_SEGMENT) as u16;
        let marker = std::mem::take(&mut key.marker);
        let body = TelephoneEvent { event: key.event, end, volume: key.volume, duration };
        self.stream.send((event.payload_type, key.begin, marker), &body.to_bytes(), out);
    }

    /// A repeated end is repeated on the other side, up to three times.
    fn repeated_end(&mut self, timestamp: u32, out: &mut Vec<Vec<u8>>) -> bool {
        let Some((ended, key, count)) = &mut self.keys.ended else { return false };
        let behind = ended.wrapping_sub(timestamp) as i32;
        if behind != 0 {
            // A straggler of it or of one before.
            return behind > 0 && behind < 8 * self.from.codec.clock_rate as i32;
        }
        *count = count.saturating_add(1);
        if *count <= END_PACKETS {
            let mut key = key.clone();
            let clock = self.from.event.map_or(self.from.codec.clock_rate, |event| event.clock_rate);
            let reached = (key.before + u64::from(key.duration)) * TICKS / u64::from(clock);
            self.send_event(&mut key, reached, true, out);
        }
        true
    }

    /// Sound well behind an event means that its end was lost.
    pub(super) fn sound_after_event(&mut self, out: &mut Vec<Vec<u8>>) {
        let Some(clock) = self.from.event.map(|event| event.clock_rate) else { return };
        let over = |key: &Key| {
            let reached = (key.before + u64::from(key.duration)) * TICKS / u64::from(clock);
            self.stream.end() > key.origin + reached + LOST_END
        };
        if self.keys.current.as_ref().is_some_and(over)
            && let Some(key) = self.keys.current.take()
        {
            self.finish(key, out);
        }
    }

    /// Ends a key whose end was lost, or was only heard.
    fn finish(&mut self, mut key: Key, out: &mut Vec<Vec<u8>>) {
        if self.to.event.is_none() {
            return;
        }
        let clock = self.from.event.map(|event| event.clock_rate);
        let reached = match clock {
            Some(clock) => (key.before + u64::from(key.duration)) * TICKS / u64::from(clock),
            None => key.sounded,
        };
        for _ in 0..END_PACKETS {
            self.send_event(&mut key, reached, true, out);
        }
    }
}

impl Key {
    fn new(event: u8, volume: u8, timestamp: u32, begin: u64) -> Key {
        let (origin, marker) = (begin, true);
        Key {
            event,
            volume,
            timestamp,
            duration: 0,
            before: 0,
            source_begin: timestamp,
            begin,
            origin,
            marker,
            sounded: 0,
            tone: None,
        }
    }
}

/// Whether a packet is the next segment of a very long event.
fn continues(key: &Key, packet: &TelephoneEvent, timestamp: u32) -> bool {
    let gap = timestamp.wrapping_sub(key.timestamp);
    packet.event == key.event
        && key.duration >= SEGMENT_MIN
        && (u32::from(SEGMENT_MIN)..=0xffff).contains(&gap)
}

const LONGEST_SEGMENT: u64 = 0xffff;
/// Only a segment that is about to overflow is left.
const SEGMENT_MIN: u16 = 0xf000;
/// 20 ms.
const SEGMENT_STEP: u64 = TICKS / 50;
const END_PACKETS: u8 = 3;
/// 200 ms.
const LOST_END: u64 = TICKS / 5;
/// The longest piece of a tone that one packet brings: 1 s.
const MOST_TONE: u64 = TICKS;
