//! The playout: packets come when the network likes, sound goes out evenly.
//!
//! [`Playout`] holds each packet just long enough that nearly all of its successors come in time. It measures
//! how late packets are, makes up for those that do not come, and stretches or shrinks the sound by single
//! periods when the network or the sender's clock changes. Sans-IO, in whatever time it is given.

mod clock;
mod decode;
mod delay;
mod stretch;
mod timing;

use crate::codec::Format;
use crate::conceal::Concealer;
use clock::Clock;
use decode::Decoders;
use delay::Change;
use offhook_rtp::ComfortNoise;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Instant;
use timing::Timing;

/// A packet of sound, as far as the playout cares.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// RTP payload type.
    pub payload_type: u8,
    /// RTP synchronisation source.
    pub ssrc: u32,
    /// RTP timestamp, in the clock of its format.
    pub timestamp: u32,
    /// The sound, encoded.
    pub payload: &'a [u8],
}

/// What a frame was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Played {
    /// Received sound.
    Sound,
    /// Wholly or in part made up for a packet that was lost or late.
    Concealed,
    /// Nothing is to be played: no stream yet, or a pause.
    Silence,
}

/// What a playout did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// Packets that came too late to be played.
    pub late: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets dropped because too many waited.
    pub discarded: u64,
    /// Packets recovered from the rough copy in their successor.
    pub recovered: u64,
    /// Packets that were missing, of which a later one brought a true copy.
    pub copies: u64,
    /// Milliseconds made up for missing packets.
    pub concealed_ms: u64,
    /// Milliseconds added by stretching.
    pub stretched_ms: u64,
    /// Milliseconds taken away by shrinking.
    pub shrunk_ms: u64,
    /// How long a packet that suffered no delay waits, in ms, as aimed for.
    pub target_ms: u32,
    /// The same as it is.
    pub delay_ms: u32,
}

/// Orders packets and plays them evenly, as early as the measured jitter allows. Inside, all quantities are in
/// samples.
pub struct Playout {
    /// Samples in a millisecond.
    per_ms: i64,
    clock: Clock,
    decoders: Decoders,
    timing: Timing,
    waiting: BTreeMap<i64, Stored>,
    state: State,
    /// Decoded, to be played next.
    queue: Vec<i16>,
    concealer: Concealer,
    /// Gaps that were passed lately: where they end, and when that was.
    passed: VecDeque<(i64, i64)>,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    measures: Measures,
    concealed: u64,
    stretched: u64,
    shrunk: u64,
}

#[derive(Debug)]
struct Stored {
    payload_type: u8,
    /// It came with its successor.
    is_copy: bool,
    payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing to play yet, or any more.
    Waiting,
    Playing(Playing),
}

#[derive(Clone, Copy, Debug)]
struct Playing {
    /// Timestamp of the sample after the last one in the queue.
    position: i64,
    /// Arrival clock minus play head, averaged.
    lag: f64,
    /// Samples made up since the last real sound, during which the position stood still.
    frozen: i64,
    /// Frames since the length was last changed.
    since_change: u32,
    /// The last packet said that nothing is said.
    pause: bool,
}

impl Playout {
    /// An empty playout whose clock begins at `now`, for sound of `rate` samples a second (8, 16 or 48 kHz) out of
    /// packets of these formats under these payload types; `comfort_noise` is the payload type of RFC 3389.
    pub fn new(
        now: Instant,
        rate: u32,
        formats: impl IntoIterator<Item = (u8, &'static Format)>,
        comfort_noise: Option<u8>,
    ) -> Playout {
        Playout {
            per_ms: i64::from(rate / 1000),
            clock: Clock::new(now, rate),
            decoders: Decoders::new(rate, formats, comfort_noise),
            timing: Timing::new(i64::from(rate / 1000)),
            waiting: BTreeMap::new(),
            state: State::Waiting,
            queue: Vec::new(),
            concealer: Concealer::new(rate),
            passed: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Other formats come from now on.
    pub fn change_formats(
        &mut self,
        formats: impl IntoIterator<Item = (u8, &'static Format)>,
        comfort_noise: Option<u8>,
    ) {
        self.decoders.change(formats, comfort_noise);
        self.restart();
    }

    /// The same for sound of another rate, which begins anew at `now`; what was counted goes on.
    pub fn at_rate(
        &self,
        now: Instant,
        rate: u32,
        formats: impl IntoIterator<Item = (u8, &'static Format)>,
        comfort_noise: Option<u8>,
    ) -> Playout {
        let mut other = Playout::new(now, rate, formats, comfort_noise);
        let scale = |samples: u64| samples * u64::from(rate / 1000) / self.per_ms.max(1) as u64;
        other.counts = Counts {
            measures: self.counts.measures,
            concealed: scale(self.counts.concealed),
            stretched: scale(self.counts.stretched),
            shrunk: scale(self.counts.shrunk),
        };
        other
    }

    /// Takes a packet that came at `now`; one of an unknown format is ignored.
    pub fn push(&mut self, now: Instant, packet: Received<'_>) {
        let Some(kind) = self.decoders.kind(packet.payload_type, packet.payload) else { return };
        if self.clock.source(packet.ssrc) {
            self.restart();
        }
        let timestamp = self.clock.whole(packet.timestamp, kind.clock_rate);
        let arrival = self.clock.now(now);
        if self.timing.is_leap(arrival - timestamp) {
            self.restart();
        }
        if !kind.is_noise {
            self.timing.measure(arrival, arrival - timestamp, kind.samples as i64);
        }
        if let State::Playing(playing) = &self.state
            && timestamp < playing.position
        {
            self.counts.measures.late += 1;
            return self.was_not_lost(timestamp, kind.samples as i64);
        }
        let payload = packet.payload.iter().copied().take(LONGEST_PAYLOAD).collect();
        let stored = Stored { payload_type: packet.payload_type, is_copy: false, payload };
        match self.waiting.insert(timestamp, stored) {
            Some(Stored { is_copy: true, .. }) => self.was_not_lost(timestamp, kind.samples as i64),
            Some(_) => self.counts.measures.duplicates += 1,
            None => self.limit(),
        }
    }

    /// Takes a copy, which came at `now` with a later packet (RFC 2198), of one that may have been lost.
    pub fn push_copy(&mut self, now: Instant, packet: Received<'_>) {
        let State::Playing(playing) = self.state else { return };
        let Some(kind) = self.decoders.kind(packet.payload_type, packet.payload) else { return };
        let timestamp = self.clock.whole(packet.timestamp, kind.clock_rate);
        if kind.is_noise || timestamp < playing.position || self.waiting.contains_key(&timestamp) {
            return;
        }
        let payload = packet.payload.iter().copied().take(LONGEST_PAYLOAD).collect();
        self.waiting.insert(timestamp, Stored { payload_type: packet.payload_type, is_copy: true, payload });
        self.limit();
        self.counts.measures.copies += 1;
        // There are losses: the next copy is to come in time as well.
        let clock = self.clock.now(now);
        self.pass(timestamp + kind.samples as i64, clock);
    }

    /// A packet of so many samples that was taken for lost has come.
    fn was_not_lost(&mut self, timestamp: i64, samples: i64) {
        self.passed.retain(|(end, _)| *end <= timestamp || *end > timestamp + 2 * samples);
    }

    fn limit(&mut self) {
        if self.waiting.len() > MAX_WAITING {
            self.waiting.pop_first();
            self.counts.measures.discarded += 1;
        }
    }

    /// Fills the sound that is to be heard next. Called by the clock of the loudspeaker.
    pub fn pull(&mut self, now: Instant, out: &mut [i16]) -> Played {
        let clock = self.clock.now(now);
        let playing = match self.state {
            State::Playing(playing) => Some(playing),
            State::Waiting => self.begin(clock),
        };
        match playing {
            Some(playing) => self.play(clock, playing, out),
            None => {
                self.decoders.background(out);
                Played::Silence
            }
        }
    }

    /// What was done so far.
    pub fn measures(&self) -> Measures {
        let ms = |samples: u64| samples / self.per_ms.max(1) as u64;
        Measures {
            recovered: self.decoders.recovered(),
            concealed_ms: ms(self.counts.concealed),
            stretched_ms: ms(self.counts.stretched),
            shrunk_ms: ms(self.counts.shrunk),
            ..self.counts.measures
        }
    }

    /// Another source, or its clock leapt: what was measured and what waits belongs to the past.
    fn restart(&mut self) {
        self.counts.measures.discarded += self.waiting.len() as u64;
        self.timing = Timing::new(self.per_ms);
        self.waiting.clear();
        self.queue.clear();
        self.decoders.restart();
        self.state = State::Waiting;
    }

    /// How long a packet that suffered no delay is to wait.
    fn target(&self, clock: i64) -> i64 {
        let age = |at: i64| (clock - at) / self.per_ms;
        let lossy = self.passed.iter().any(|(_, at)| (LATENESS..LOSS_REMEMBERED).contains(&age(*at)));
        self.timing.target(clock, lossy)
    }

    /// Where to begin, once the first packet has waited long enough.
    fn begin(&mut self, clock: i64) -> Option<Playing> {
        let newest_start = clock - self.timing.base() - self.target(clock);
        // What came long before anyone listened is not worth its delay.
        self.drop_before(newest_start - FAR * self.per_ms);
        let position = *self.waiting.first_key_value()?.0;
        (position <= newest_start).then(|| {
            self.queue.clear();
            Playing { position, lag: (clock - position) as f64, frozen: 0, since_change: 0, pause: false }
        })
    }

    fn play(&mut self, clock: i64, mut playing: Playing, out: &mut [i16]) -> Played {
        let lag = (clock - (playing.position - self.queue.len() as i64)) as f64;
        let weight = if playing.frozen > 0 { 1.0 } else { 1.0 / 16.0 };
        playing.lag += (lag - playing.lag) * weight;
        let target = self.target(clock);
        let excess = playing.lag as i64 - self.timing.base() - target;
        if excess > HOPELESS * self.per_ms {
            self.skip(&mut playing, excess);
        }
        let change = self.change(&playing, target, out.len() as i64);
        let need = if matches!(change, Change::Shrink { .. }) { stretch::longest(self.per_ms) } else { 0 };
        let mut played = Played::Sound;
        self.fill(clock, &mut playing, out.len() + need, out.len(), &mut played);
        if let Some(missing @ 1..) = out.len().checked_sub(self.queue.len()) {
            self.nothing_came(&mut playing, missing);
            played = if playing.pause { Played::Silence } else { Played::Concealed };
        }
        let change = if played == Played::Sound { change } else { Change::None };
        self.take(&mut playing, change, out);
        let over = playing.frozen >= PAUSE * self.per_ms || (playing.pause && self.decoders.is_noise());
        self.state = if over { State::Waiting } else { State::Playing(playing) };
        self.counts.measures.delay_ms = self.to_ms(playing.lag as i64 - self.timing.base());
        self.counts.measures.target_ms = self.to_ms(target);
        played
    }

    /// Decodes packets until `need` samples are queued or nothing waits. Gaps before a packet that is there are
    /// filled, but not before the queue is shorter than `least`.
    fn fill(&mut self, clock: i64, playing: &mut Playing, need: usize, least: usize, played: &mut Played) {
        while self.queue.len() < need {
            let Some((timestamp, first)) = self.waiting.first_key_value() else { return };
            let gap = *timestamp - playing.position;
            let is_noise = self.decoders.kind(first.payload_type, &first.payload).is_some_and(|k| k.is_noise);
            if gap > 0 {
                // A pause of the sender, or a time for which sound was made up already.
                let pause = gap > MAX_GAP * self.per_ms || is_noise;
                let skipped = if pause { gap } else { gap.min(playing.frozen) };
                if playing.pause && !pause && playing.frozen == 0 {
                    if self.queue.len() >= least {
                        return;
                    }
                    self.nothing_came(playing, (gap as usize).min(least - self.queue.len()));
                    continue;
                }
                if skipped > 0 {
                    if !pause {
                        self.pass(playing.position + skipped, clock);
                        self.decoders.lost();
                    }
                    playing.position += skipped;
                    playing.lag -= skipped as f64;
                    playing.frozen = 0;
                    continue;
                }
                if self.queue.len() >= least {
                    return;
                }
            }
            let excess = playing.lag as i64 - self.timing.base() - self.target(clock);
            if playing.frozen > 0 && excess > STALE * self.per_ms {
                let stale = playing.frozen.min(excess);
                playing.position += stale;
                playing.lag -= stale as f64;
                playing.frozen = 0;
                self.decoders.lost();
                self.drop_before(playing.position);
                continue;
            }
            let Some((timestamp, packet)) = self.waiting.pop_first() else { return };
            let gap = (timestamp - playing.position).max(0) as usize;
            if gap > 0 {
                self.pass(timestamp, clock);
                self.counts.concealed += gap as u64;
                *played = Played::Concealed;
            }
            let mut decoded = self.decoders.decode(&packet, gap, &self.concealer);
            let known = (playing.position - timestamp).max(0) as usize;
            let sound = decoded.sound.split_off(known.min(decoded.sound.len()));
            let length = sound.len() as i64;
            self.append(gap, Decoded { sound, ..decoded });
            playing.position = timestamp.max(playing.position) + length;
            playing.frozen = 0;
            playing.pause = self.decoders.is_pause(&packet);
            if is_noise {
                return;
            }
        }
    }

    /// A gap that ends at `end` is passed: a loss, unless the packet still comes.
    fn pass(&mut self, end: i64, clock: i64) {
        self.passed.push_back((end, clock));
        if self.passed.len() > MAX_WAITING {
            self.passed.pop_front();
        }
    }

    /// Queues what fills a gap, and the sound behind it.
    fn append(&mut self, gap: usize, decoded: Decoded) {
        let Decoded { mut copy, mut sound } = decoded;
        let unknown = gap.saturating_sub(copy.len());
        if unknown > 0 {
            let future = [copy.as_slice(), sound.as_slice()].concat();
            self.concealer.conceal(unknown, &future, &mut self.queue);
        }
        self.concealer.heard(&mut copy);
        self.queue.append(&mut copy);
        self.concealer.heard(&mut sound);
        self.queue.append(&mut sound);
    }

    /// Nothing has come: what is late may still come, so time stands still.
    fn nothing_came(&mut self, playing: &mut Playing, missing: usize) {
        let mut made_up = Vec::new();
        if self.decoders.go_on(missing, &mut made_up) {
            self.concealer.heard(&mut made_up);
            self.queue.append(&mut made_up);
        } else {
            let start = self.queue.len();
            self.concealer.conceal(missing, &[], &mut self.queue);
            self.decoders.made_up(&self.queue[start..]);
        }
        if playing.pause {
            playing.position += missing as i64;
            return;
        }
        self.counts.concealed += missing as u64;
        playing.frozen += missing as i64;
    }

    /// Far behind, as after the machine slept: leaves out what is old.
    fn skip(&mut self, playing: &mut Playing, excess: i64) {
        let queued = self.queue.len() as i64;
        self.queue.clear();
        playing.position += excess - queued;
        playing.lag -= excess as f64;
        self.drop_before(playing.position);
    }

    fn drop_before(&mut self, position: i64) {
        let kept = self.waiting.split_off(&position);
        self.counts.measures.discarded += self.waiting.len() as u64;
        self.waiting = kept;
    }

    fn to_ms(&self, samples: i64) -> u32 {
        u32::try_from(samples.max(0) / self.per_ms.max(1)).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Playout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Playout").field("waiting", &self.waiting.len()).field("state", &self.state).finish()
    }
}

/// A packet as sound, and what it says about the gap before it.
#[derive(Debug, Default)]
struct Decoded {
    /// Recovered, for the end of the gap.
    copy: Vec<i16>,
    sound: Vec<i16>,
}

/// Comfort noise says no more than this.
const _: () = assert!(ComfortNoise::MAX_ORDER < LONGEST_PAYLOAD);

/// Two seconds of packets of 20 ms.
const MAX_WAITING: usize = 100;
/// What fits into a datagram of Ethernet; 180 ms of G.711.
const LONGEST_PAYLOAD: usize = 1460;
/// All below in ms. A longer gap between packets is a pause, not a loss.
const MAX_GAP: i64 = 200;
/// Without any packet for so long the stream pauses.
const PAUSE: i64 = 160;
/// So far off: correct in every other frame.
const FAR: i64 = 60;
/// Shrinking would take too long.
const HOPELESS: i64 = 1000;
/// What is missing for longer is lost.
const LATENESS: i64 = 60;
/// What is later than this is left out, since its time has been filled; the delay stays low.
const STALE: i64 = 60;
/// How long a loss makes us wait for the packet behind each packet.
const LOSS_REMEMBERED: i64 = 10_000;

#[cfg(test)]
mod tests;
