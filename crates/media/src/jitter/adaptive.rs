//! The adaptive jitter buffer.

use super::conceal::Tail;
use super::timing::Timing;
use super::{Decode, JitterBuffer, Measures, Played, Received, stretch};
use crate::{FRAME, Frame, SAMPLE_RATE, SILENCE};
use std::collections::BTreeMap;
use std::time::Instant;

/// Plays as early as the measured jitter allows. All quantities are in samples.
#[derive(Debug)]
pub struct Adaptive {
    start: Instant,
    ssrc: Option<u32>,
    /// The last timestamp as received, and without wrapping.
    last: Option<(u32, i64)>,
    timing: Timing,
    waiting: BTreeMap<i64, Stored>,
    playout: Playout,
    tail: Tail,
    decoded: Vec<i16>,
    measures: Measures,
}

#[derive(Debug)]
struct Stored {
    payload_type: u8,
    payload: Vec<u8>,
}

#[derive(Debug)]
enum Playout {
    /// Nothing to play yet, or any more.
    Waiting,
    Playing(Playing),
}

#[derive(Clone, Copy, Debug)]
struct Playing {
    /// Timestamp of the sample after the last one in the tail.
    position: i64,
    /// Arrival clock minus play head, averaged.
    lag: f64,
    /// Samples made up since the last real sound, during which the position stood still.
    frozen: i64,
    /// Frames since the length was last changed.
    since_change: u32,
}

impl Adaptive {
    /// An empty buffer whose clock begins at `now`.
    pub fn new(now: Instant) -> Adaptive {
        Adaptive {
            start: now,
            ssrc: None,
            last: None,
            timing: Timing::new(),
            waiting: BTreeMap::new(),
            playout: Playout::Waiting,
            tail: Tail::default(),
            decoded: Vec::new(),
            measures: Measures::default(),
        }
    }

    fn clock(&self, now: Instant) -> i64 {
        let micros = now.saturating_duration_since(self.start).as_micros();
        i64::try_from(micros * u128::from(SAMPLE_RATE) / 1_000_000).unwrap_or(i64::MAX)
    }

    fn unwrap_timestamp(&mut self, timestamp: u32) -> i64 {
        let whole = match self.last {
            Some((last, whole)) => whole + i64::from(timestamp.wrapping_sub(last) as i32),
            None => i64::from(timestamp),
        };
        self.last = Some((timestamp, whole));
        whole
    }

    /// Another source, or its clock leapt: what was measured and what waits belongs to the past.
    fn restart(&mut self) {
        self.measures.discarded += self.waiting.len() as u64;
        self.timing = Timing::new();
        self.waiting.clear();
        self.playout = Playout::Waiting;
    }

    /// Where to begin, once the first packet has waited long enough.
    fn begin(&mut self, clock: i64) -> Option<Playing> {
        let newest_start = clock - self.timing.base() - self.timing.target();
        // What came long before anyone listened is not worth its delay.
        self.drop_before(newest_start - FAR);
        let position = *self.waiting.first_key_value()?.0;
        (position <= newest_start).then(|| {
            self.tail.consume(usize::MAX);
            Playing { position, lag: (clock - position) as f64, frozen: 0, since_change: 0 }
        })
    }

    /// Decodes packets until `need` samples are there or the next packet is missing. The gap before the
    /// next packet that is there, if any.
    fn fill(&mut self, playing: &mut Playing, need: usize, decode: &mut Decode<'_>) -> Option<i64> {
        while self.tail.len() < need {
            let first = self.waiting.first_entry()?;
            let gap = first.key() - playing.position;
            if gap > 0 {
                // A pause of the sender, or a time for which sound was made up already.
                if gap <= MAX_GAP && playing.frozen == 0 {
                    return Some(gap);
                }
                let skipped = if gap > MAX_GAP { gap } else { gap.min(playing.frozen) };
                playing.position += skipped;
                playing.lag -= skipped as f64;
                playing.frozen = 0;
                continue;
            }
            let (timestamp, packet) = first.remove_entry();
            self.decoded.clear();
            decode(packet.payload_type, &packet.payload, &mut self.decoded);
            self.decoded.truncate(MAX_PACKET);
            let sound = self.decoded.get((playing.position - timestamp) as usize..).unwrap_or_default();
            self.tail.append(sound);
            playing.position += sound.len() as i64;
            playing.frozen = 0;
        }
        None
    }

    /// Fills the frame from the tail, made longer or shorter where the delay is far from what it should be.
    fn take(&mut self, playing: &mut Playing, excess: i64, frame: &mut Frame) {
        let sound = self.tail.samples();
        let far = excess.abs() > FAR;
        let may_change = playing.since_change >= if far { 1 } else { CHANGE_EVERY };
        playing.since_change += 1;
        if may_change && excess > TOO_LATE && sound.len() >= stretch::SHRINK_NEEDS {
            let less = stretch::shrink(sound, frame);
            self.tail.consume(FRAME + less);
            self.measures.shrunk += less as u64;
            playing.lag -= less as f64;
            playing.since_change = 0;
        } else if may_change && excess < TOO_EARLY {
            let more = stretch::stretch(sound, frame);
            self.tail.consume(FRAME - more);
            self.measures.stretched += more as u64;
            playing.lag += more as f64;
            playing.since_change = 0;
        } else {
            frame.copy_from_slice(&sound[..FRAME]);
            self.tail.consume(FRAME);
        }
    }

    fn play(
        &mut self,
        clock: i64,
        mut playing: Playing,
        decode: &mut Decode<'_>,
        frame: &mut Frame,
    ) -> Played {
        let lag = (clock - (playing.position - self.tail.len() as i64)) as f64;
        let weight = if playing.frozen > 0 { 1.0 } else { 1.0 / 16.0 };
        playing.lag += (lag - playing.lag) * weight;
        let excess = playing.lag as i64 - self.timing.base() - self.timing.target();
        if excess > HOPELESS {
            self.skip(&mut playing, excess);
        }
        let need = if excess > TOO_LATE { stretch::SHRINK_NEEDS } else { FRAME };
        let mut played = Played::Sound;
        while let Some(gap) = self.fill(&mut playing, need, decode)
            && self.tail.len() < FRAME
        {
            let made_up = gap.min((FRAME - self.tail.len()) as i64);
            self.tail.conceal(made_up as usize);
            self.measures.concealed += made_up as u64;
            playing.position += made_up;
            played = Played::Concealed;
        }
        if let Some(missing @ 1..) = FRAME.checked_sub(self.tail.len()) {
            // Nothing has come: what is late may still come, so time stands still.
            self.tail.conceal(missing);
            self.measures.concealed += missing as u64;
            playing.frozen += missing as i64;
            played = Played::Concealed;
        }
        if played == Played::Sound {
            self.take(&mut playing, excess, frame);
        } else {
            frame.copy_from_slice(&self.tail.samples()[..FRAME]);
            self.tail.consume(FRAME);
        }
        let over = playing.frozen >= PAUSE;
        self.playout = if over { Playout::Waiting } else { Playout::Playing(playing) };
        self.measures.delay_ms = to_ms(playing.lag as i64 - self.timing.base());
        played
    }

    /// Far behind, as after the machine slept: leaves out what is old.
    fn skip(&mut self, playing: &mut Playing, excess: i64) {
        let queued = self.tail.len() as i64;
        self.tail.consume(usize::MAX);
        playing.position += excess - queued;
        playing.lag -= excess as f64;
        self.drop_before(playing.position);
    }

    fn drop_before(&mut self, position: i64) {
        let kept = self.waiting.split_off(&position);
        self.measures.discarded += self.waiting.len() as u64;
        self.waiting = kept;
    }
}

impl JitterBuffer for Adaptive {
    fn put(&mut self, now: Instant, packet: Received<'_>) {
        if self.ssrc.replace(packet.ssrc).is_some_and(|before| before != packet.ssrc) {
            self.restart();
            self.last = None;
        }
        let timestamp = self.unwrap_timestamp(packet.timestamp);
        let transit = self.clock(now) - timestamp;
        if self.timing.is_leap(transit) {
            self.restart();
        }
        self.timing.measure(transit);
        if let Playout::Playing(playing) = &self.playout
            && timestamp < playing.position
        {
            self.measures.late += 1;
            return;
        }
        let stored = Stored { payload_type: packet.payload_type, payload: packet.payload.to_vec() };
        if self.waiting.insert(timestamp, stored).is_some() {
            self.measures.duplicates += 1;
        }
        if self.waiting.len() > MAX_WAITING {
            self.waiting.pop_first();
            self.measures.discarded += 1;
        }
    }

    fn pull(&mut self, now: Instant, decode: &mut Decode<'_>, frame: &mut Frame) -> Played {
        let clock = self.clock(now);
        let playing = match self.playout {
            Playout::Playing(playing) => Some(playing),
            Playout::Waiting => self.begin(clock),
        };
        match playing {
            Some(playing) => self.play(clock, playing, decode, frame),
            None => {
                *frame = SILENCE;
                Played::Silence
            }
        }
    }

    fn measures(&self) -> Measures {
        Measures { target_ms: to_ms(self.timing.target()), ..self.measures }
    }
}

fn to_ms(samples: i64) -> u32 {
    u32::try_from(samples.max(0) * 1000 / i64::from(SAMPLE_RATE)).unwrap_or(u32::MAX)
}

/// Two seconds of packets of 20 ms.
const MAX_WAITING: usize = 100;
/// The longest packet believed: 200 ms.
const MAX_PACKET: usize = 1600;
/// A longer gap between packets is a pause, not a loss: 200 ms.
const MAX_GAP: i64 = 1600;
/// Without any packet for 160 ms the stream pauses.
const PAUSE: i64 = 1280;
/// Frames come every 20 ms, so the delay is up to that above the target by chance; 10 ms more is too much.
const TOO_LATE: i64 = 240;
/// 5 ms below the target.
const TOO_EARLY: i64 = -40;
/// 80 ms off: correct in every other frame.
const FAR: i64 = 640;
const CHANGE_EVERY: u32 = 8;
/// 1 s too late: shrinking would take too long.
const HOPELESS: i64 = 8000;
