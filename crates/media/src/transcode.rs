//! Transcoding of one direction of a call: RTP packets of one format in, of another out; sans-IO.
//!
//! Nothing is held back: a packet that completes one of the other side leaves in the same call. The outgoing
//! stream has numbers of its own, continuous whatever the source does. A lost packet stays lost, as a gap in
//! the numbers that the receiver conceals as it likes, unless its copy is in the packet that came (Opus FEC).
//! RTCP ends here: see [`Transcoder::control`] and [`Transcoder::report`].

mod format;
mod keys;
mod report;
mod source;
mod stream;

pub use format::{EventFormat, Format, Numbers, Unsuited};
pub use report::Said;

use crate::codec::Codec;
use crate::conceal::Concealer;
use crate::dtmf::Detector;
use crate::noise::{self, Noise};
use crate::resample::Resampler;
use keys::{InBand, Keys};
use offhook_rtp::packet::Packet;
use offhook_rtp::sequence::ReceiveStatistics;
use offhook_rtp::{ComfortNoise, Header};
use source::{Place, Source};
use std::time::Instant;
use stream::Stream;

/// One direction of a call between two formats.
#[derive(Debug)]
pub struct Transcoder {
    from: Format,
    to: Format,
    source: Source,
    decoder: Box<dyn Codec>,
    concealer: Concealer,
    resampler: Resampler,
    stream: Stream,
    keys: Keys,
    in_band: Option<InBand>,
    noise: Option<Noise>,
    received: ReceiveStatistics,
    decoded: Vec<i16>,
    counts: Counts,
}

/// What a transcoder did with what came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that were turned into sound, keys or noise.
    pub taken: u64,
    /// Packets that came again, after their successors, or from a place where nothing is believed yet.
    pub late: u64,
    /// Packets of an unknown format, or without sense.
    pub unknown: u64,
    /// Lost packets that were found again in their successors.
    pub recovered: u64,
    /// Packets sent.
    pub sent: u64,
}

impl Transcoder {
    /// From a format to another. `numbers` are where the outgoing stream begins; they should be random.
    ///
    /// # Errors
    /// When a payload type is above 127, or two meanings share one.
    pub fn new(from: Format, to: Format, numbers: Numbers) -> Result<Transcoder, Unsuited> {
        from.check()?;
        to.check()?;
        let at = |one: Format, other: Format| Format { codec: one.codec.at(other.codec.sample_rate), ..one };
        let (from, to) = (at(from, to), at(to, from));
        let rate = from.codec.sample_rate;
        let in_band = from.event.is_none() && to.event.is_some();
        Ok(Transcoder {
            source: Source::new(from.codec.clock_rate),
            decoder: (from.codec.make)(),
            concealer: Concealer::new(rate),
            resampler: Resampler::new(rate, to.codec.sample_rate),
            stream: Stream::new(&to, numbers),
            keys: Keys::default(),
            in_band: in_band.then(|| InBand::new(rate)),
            noise: None,
            received: ReceiveStatistics::new(from.codec.clock_rate),
            decoded: Vec::new(),
            counts: Counts::default(),
            from,
            to,
        })
    }

    /// Takes a packet that came at `now`; appends those that are to be sent for it to `out`, at most
    /// [`MOST_PACKETS`].
    pub fn packet(&mut self, now: Instant, rtp: &[u8], out: &mut Vec<Vec<u8>>) {
        let Ok(packet) = Packet::parse(rtp) else {
            self.counts.unknown += 1;
            return;
        };
        let header = packet.header();
        let Some(kind) = self.kind(header.payload_type, packet.payload()) else {
            self.counts.unknown += 1;
            return;
        };
        self.received.receive(&header, rtp.len() - offhook_rtp::packet::HEADER_LEN, now);
        let before = out.len();
        if kind == Kind::Event {
            match self.source.event(&header, now) {
                Some(fresh) => self.event(&header, packet.payload(), fresh, out),
                None => self.counts.late += 1,
            }
        } else {
            let place = self.source.place(&header, now);
            if place == Place::Late {
                self.counts.late += 1;
                return;
            }
            self.counts.taken += 1;
            self.bridge(place, packet.payload(), kind, out);
            match kind {
                Kind::Sound => self.sound(now, &header, packet.payload(), out),
                Kind::Pause => self.pause(now, &header, packet.payload(), out),
                Kind::Noise => self.noise(now, &header, packet.payload(), out),
                Kind::Event => {}
            }
        }
        if out.len() > before {
            self.stream.last = Some((now, self.stream.end()));
        }
        self.counts.sent += (out.len() - before) as u64;
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What was received: loss, jitter, highest sequence number.
    pub fn received(&self) -> &ReceiveStatistics {
        &self.received
    }

    /// The synchronisation source of the outgoing stream.
    pub fn ssrc(&self) -> u32 {
        self.stream.ssrc()
    }

    /// Protects the outgoing stream against so much loss, in percent, as its receiver reports it.
    pub fn expect_loss(&mut self, percent: f32) {
        self.stream.expect_loss(percent);
    }

    fn kind(&self, payload_type: u8, payload: &[u8]) -> Option<Kind> {
        if payload_type == self.from.payload_type {
            return match self.decoder.samples(payload) {
                0 => None,
                _ if self.to.comfort_noise.is_some() && self.decoder.is_pause(payload) => Some(Kind::Pause),
                _ => Some(Kind::Sound),
            };
        }
        if self.from.event.is_some_and(|event| event.payload_type == payload_type) {
            return (payload.len() >= 4).then_some(Kind::Event);
        }
        (self.from.comfort_noise == Some(payload_type) && !payload.is_empty()).then_some(Kind::Noise)
    }

    /// Does what lies between the last packet and this one.
    fn bridge(&mut self, place: Place, payload: &[u8], kind: Kind, out: &mut Vec<Vec<u8>>) {
        match place {
            Place::Next | Place::Late => {}
            Place::Pause(ticks) => {
                self.stream.pause(ticks, out);
                self.end_tones();
            }
            Place::Restart(ticks) => {
                self.decoder = (self.from.codec.make)();
                self.concealer.reset();
                self.keys = Keys::default();
                // The time since the last packet is also that of this one.
                let own = self.ticks(self.decoder.samples(payload));
                let silent = Some(ticks.saturating_sub(own)).filter(|ticks| *ticks >= TICKS / 50);
                self.stream.pause(silent.unwrap_or(0), out);
                self.stream.begin_spurt();
                self.end_tones();
            }
            Place::Lost(ticks) => self.lost(ticks, payload, kind, out),
        }
    }

    /// Makes up for lost sound, so that what follows is decoded and placed rightly. Only what is recovered is sent
    /// for its own sake.
    fn lost(&mut self, ticks: u64, payload: &[u8], kind: Kind, out: &mut Vec<Vec<u8>>) {
        let missing = (ticks * u64::from(self.from.codec.sample_rate) / TICKS) as usize;
        let previous = self.decoder.samples(payload).min(missing);
        let copied = kind == Kind::Sound && previous > 0 && self.decoder.carries_previous(payload);
        let unknown = if copied { missing - previous } else { missing };
        if unknown > 0 {
            let mut made_up = Vec::new();
            if !self.decoder.conceal(unknown, &mut made_up) {
                made_up.clear();
                self.concealer.conceal(unknown, &[], &mut made_up);
                self.decoder.follow(&made_up);
            }
            made_up.resize(unknown, 0);
            self.emit(&made_up, false, out);
        }
        let mut copy = Vec::new();
        if copied && self.decoder.recover(payload, previous, &mut copy) {
            self.counts.recovered += 1;
            self.emit(&copy, true, out);
        }
    }

    fn sound(&mut self, now: Instant, header: &Header, payload: &[u8], out: &mut Vec<Vec<u8>>) {
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        self.decoder.decode(payload, &mut decoded);
        decoded.truncate(self.from.codec.samples_in(LONGEST_MS));
        self.concealer.heard(&mut decoded);
        self.source.played(header, self.ticks(decoded.len()), now);
        let dialling = match &mut self.in_band {
            Some(in_band) => in_band.listen(&decoded),
            None => false,
        };
        if dialling || self.keys.is_down() {
            self.in_band_key(decoded.len(), out);
            self.sound_after_event(out);
        }
        if !dialling {
            self.emit(&decoded, true, out);
        }
        self.decoded = decoded;
    }

    /// A packet of discontinuous transmission, for a side that knows comfort noise.
    fn pause(&mut self, now: Instant, header: &Header, payload: &[u8], out: &mut Vec<Vec<u8>>) {
        let mut decoded = Vec::new();
        self.decoder.decode(payload, &mut decoded);
        let ticks = self.ticks(decoded.len());
        self.source.played(header, ticks, now);
        self.stream.pause(0, out);
        let mut samples = Vec::new();
        Resampler::new(self.from.codec.sample_rate, crate::SAMPLE_RATE).push(&decoded, &mut samples);
        if let Some(payload_type) = self.to.comfort_noise {
            self.stream.noise(payload_type, &noise::describe(&samples).to_bytes(), out);
        }
        self.stream.pause(ticks, out);
    }

    fn noise(&mut self, now: Instant, header: &Header, payload: &[u8], out: &mut Vec<Vec<u8>>) {
        self.stream.pause(0, out);
        if let Some(payload_type) = self.to.comfort_noise {
            self.source.played(header, 0, now);
            let length = payload.len().min(1 + ComfortNoise::MAX_ORDER);
            self.stream.noise(payload_type, &payload[..length], out);
            return;
        }
        let Some(description) = ComfortNoise::parse(payload) else { return };
        let noise = self.noise.get_or_insert_with(|| Noise::new(&description));
        noise.change(&description);
        let mut samples = vec![0; self.to.ptime_ms as usize * crate::SAMPLE_RATE as usize / 1000];
        noise.fill(&mut samples);
        self.source.played(header, u64::from(self.to.ptime_ms) * TICKS / 1000, now);
        let mut sound = Vec::new();
        Resampler::new(crate::SAMPLE_RATE, self.to.codec.sample_rate).push(&samples, &mut sound);
        self.stream.push(&sound, true, out);
    }

    /// Passes sound on to the outgoing stream.
    fn emit(&mut self, samples: &[i16], real: bool, out: &mut Vec<Vec<u8>>) {
        let mut sound = Vec::with_capacity(samples.len());
        self.resampler.push(samples, &mut sound);
        self.stream.push(&sound, real, out);
    }

    fn end_tones(&mut self) {
        if let Some(in_band) = &mut self.in_band {
            in_band.detector = Detector::new();
        }
    }

    fn ticks(&self, samples: usize) -> u64 {
        samples as u64 * TICKS / u64::from(self.from.codec.sample_rate)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sound,
    /// Sound that only says that nothing is said.
    Pause,
    Event,
    Noise,
}

/// Time inside a transcoder is counted at this rate, of which every clock rate is a part.
const TICKS: u64 = 48_000;
/// The longest packet that is believed.
const LONGEST_MS: u32 = 120;
/// The most packets that leave for one that comes.
pub const MOST_PACKETS: usize = 64;

#[cfg(test)]
mod tests;
