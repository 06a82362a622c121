//! The decoders of a playout, one for each payload type, and the noise of pauses.

use super::{Decoded, Stored};
use crate::SAMPLE_RATE;
use crate::codec::{Codec, Format};
use crate::conceal::Concealer;
use crate::noise::Noise;
use crate::resample::Resampler;
use offhook_rtp::ComfortNoise;
use std::fmt;

pub(super) struct Decoders {
    rate: u32,
    known: Vec<Decoder>,
    comfort_noise: Option<u8>,
    /// Which one decoded last.
    active: Option<usize>,
    noise: Option<(Noise, Resampler)>,
    recovered: u64,
}

struct Decoder {
    payload_type: u8,
    format: &'static Format,
    codec: Box<dyn Codec>,
    resampler: Resampler,
}

/// What a payload is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) clock_rate: u32,
    /// How long it lasts, at the rate of the playout.
    pub(super) samples: usize,
    pub(super) is_noise: bool,
}

impl Decoders {
    pub(super) fn new(
        rate: u32,
        formats: impl IntoIterator<Item = (u8, &'static Format)>,
        comfort_noise: Option<u8>,
    ) -> Decoders {
        let decoder = |(payload_type, format): (u8, &'static Format)| Decoder {
            payload_type,
            format,
            codec: (format.make)(),
            resampler: Resampler::new(format.sample_rate, rate),
        };
        let known = formats.into_iter().take(MOST_FORMATS).map(decoder).collect();
        Decoders { rate, known, comfort_noise, active: None, noise: None, recovered: 0 }
    }

    pub(super) fn change(
        &mut self,
        formats: impl IntoIterator<Item = (u8, &'static Format)>,
        comfort_noise: Option<u8>,
    ) {
        let recovered = self.recovered;
        *self = Decoders { recovered, ..Decoders::new(self.rate, formats, comfort_noise) };
    }

    /// `None` for a payload that cannot be played.
    pub(super) fn kind(&self, payload_type: u8, payload: &[u8]) -> Option<Kind> {
        if let Some(decoder) = self.known.iter().find(|decoder| decoder.payload_type == payload_type) {
            let samples = decoder.at_rate(decoder.codec.samples(payload), self.rate);
            let clock_rate = decoder.format.clock_rate;
            return (samples > 0).then_some(Kind { clock_rate, samples, is_noise: false });
        }
        let is_noise = self.comfort_noise == Some(payload_type) && !payload.is_empty();
        is_noise.then_some(Kind { clock_rate: NOISE_CLOCK, samples: 0, is_noise })
    }

    /// Decodes a packet before which `gap` samples are missing.
    pub(super) fn decode(&mut self, packet: &Stored, gap: usize, concealer: &Concealer) -> Decoded {
        let mut decoded = Decoded::default();
        let place = self.known.iter().position(|decoder| decoder.payload_type == packet.payload_type);
        let Some(place) = place else {
            self.describe(&packet.payload);
            return decoded;
        };
        if self.active.replace(place).is_some_and(|before| before != place) {
            self.known[place].codec = (self.known[place].format.make)();
        }
        self.noise = None;
        let rate = self.rate;
        let decoder = &mut self.known[place];
        if gap > 0 {
            let guess = || {
                let mut guess = Vec::new();
                concealer.clone().conceal(gap, &[], &mut guess);
                guess
            };
            decoded.copy = decoder.bridge(&packet.payload, gap, rate, guess);
            self.recovered += u64::from(!decoded.copy.is_empty());
        }
        let mut samples = Vec::new();
        decoder.codec.decode(&packet.payload, &mut samples);
        samples.truncate(decoder.format.samples_in(LONGEST_MS));
        decoder.resampler.push(&samples, &mut decoded.sound);
        decoded
    }

    /// Goes on without a packet; `false` where the codec cannot.
    pub(super) fn go_on(&mut self, samples: usize, out: &mut Vec<i16>) -> bool {
        if self.noise.is_some() {
            out.resize(samples, 0);
            self.background(out);
            return true;
        }
        let rate = self.rate;
        let Some(decoder) = self.active.and_then(|place| self.known.get_mut(place)) else { return false };
        decoder.conceal(samples, rate, out)
    }

    /// Sound was made up outside of the codec.
    pub(super) fn follow(&mut self, samples: &[i16]) {
        let rate = self.rate;
        if let Some(decoder) = self.active.and_then(|place| self.known.get_mut(place)) {
            decoder.follow(samples, rate);
        }
    }

    /// Whether a packet says that nothing is said.
    pub(super) fn is_pause(&self, packet: &Stored) -> bool {
        match self.known.iter().find(|decoder| decoder.payload_type == packet.payload_type) {
            Some(decoder) => decoder.codec.is_pause(&packet.payload),
            None => true,
        }
    }

    /// Whether comfort noise is what is heard at present.
    pub(super) fn is_noise(&self) -> bool {
        self.noise.is_some()
    }

    /// What is heard in a pause: comfort noise, or nothing.
    pub(super) fn background(&mut self, out: &mut [i16]) {
        let Some((noise, resampler)) = &mut self.noise else { return out.fill(0) };
        let mut samples = vec![0; out.len() * SAMPLE_RATE as usize / self.rate.max(1) as usize];
        noise.fill(&mut samples);
        let mut sound = Vec::with_capacity(out.len());
        resampler.push(&samples, &mut sound);
        sound.resize(out.len(), 0);
        out.copy_from_slice(&sound);
    }

    pub(super) fn restart(&mut self) {
        for decoder in &mut self.known {
            decoder.codec = (decoder.format.make)();
        }
        self.noise = None;
        self.active = None;
    }

    pub(super) fn recovered(&self) -> u64 {
        self.recovered
    }

    fn describe(&mut self, payload: &[u8]) {
        let Some(description) = ComfortNoise::parse(payload) else { return };
        match &mut self.noise {
            Some((noise, _)) => noise.change(&description),
            None => self.noise = Some((Noise::new(&description), Resampler::new(SAMPLE_RATE, self.rate))),
        }
    }
}

impl Decoder {
    /// Takes the decoder over a gap before a packet, to where that can be decoded, and returns the copy of what was
    /// sent last, if the packet has it. `guess` makes up sound where the codec cannot.
    fn bridge(&mut self, next: &[u8], gap: usize, rate: u32, guess: impl FnOnce() -> Vec<i16>) -> Vec<i16> {
        let missing = gap * self.format.sample_rate as usize / rate.max(1) as usize;
        let copied = match self.codec.carries_previous(next) {
            true => self.codec.samples(next).min(missing),
            false => 0,
        };
        let (mut made, mut copy) = (Vec::new(), Vec::new());
        if missing > copied && !self.codec.conceal(missing - copied, &mut made) {
            self.follow(&guess(), rate);
        }
        made.resize(missing - copied, 0);
        self.resampler.push(&made, &mut Vec::new());
        if copied > 0 && !self.codec.recover(next, copied, &mut copy) {
            copy.clear();
        }
        let mut sound = Vec::with_capacity(copy.len());
        self.resampler.push(&copy, &mut sound);
        sound.truncate(gap);
        sound
    }

    fn conceal(&mut self, samples: usize, rate: u32, out: &mut Vec<i16>) -> bool {
        let mut made = Vec::new();
        let wanted = samples * self.format.sample_rate as usize / rate.max(1) as usize;
        if !self.codec.conceal(wanted, &mut made) {
            return false;
        }
        made.truncate(wanted);
        let start = out.len();
        self.resampler.push(&made, out);
        out.resize(start + samples, 0);
        true
    }

    fn follow(&mut self, samples: &[i16], rate: u32) {
        // Only where it is the decoder's own rate is the guess worth anything.
        if self.format.sample_rate == rate {
            self.codec.follow(samples);
        }
    }

    fn at_rate(&self, samples: usize, rate: u32) -> usize {
        samples * rate as usize / self.format.sample_rate as usize
    }
}

impl fmt::Debug for Decoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known.iter().map(|decoder| decoder.format)).finish()
    }
}

/// RFC 3389 §4: telephone bandwidth, the clock of the codecs that need it.
const NOISE_CLOCK: u32 = 8000;
/// The longest packet that is played whole.
const LONGEST_MS: u32 = 200;
/// An answer names fewer.
const MOST_FORMATS: usize = 16;
