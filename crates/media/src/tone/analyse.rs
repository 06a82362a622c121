//! What a piece of sound is.

use crate::spectrum::Spectrum;
use std::fmt;
use std::str::FromStr;

/// What was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heard {
    /// The strongest frequency, in Hz; 0 when nothing was heard.
    pub dominant_hz: f32,
    /// How much of the whole energy is at that frequency, 0 to 1.
    pub share: f32,
    /// Loudness of the parts that are not silent, in dBov (0 is the loudest possible square wave).
    pub level_dbov: f32,
    /// How much of the time there was sound, 0 to 1.
    pub active: f32,
    /// How much of the active time had a pitch as a voice has it, 0 to 1.
    pub voiced: f32,
    /// How much the loudness rises and falls, in dB between the soft and the loud tenth of the active time.
    pub dynamics_db: f32,
}

/// What ought to be heard: `tone:440`, `speech` or `silence`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expectation {
    /// A tone of this many Hz, within 2 % (and 5 Hz).
    Tone(f32),
    /// A voice.
    Speech,
    /// Nothing.
    Silence,
}

/// The text names none of `tone:HZ`, `speech` and `silence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownExpectation;

/// Listens to sound piece by piece.
#[derive(Clone, Debug)]
pub struct Analyser {
    rate: u32,
    spectrum: Spectrum,
    /// Waits until a piece for the spectrum is full.
    piece: Vec<i16>,
    /// Waits until a frame of 20 ms is full.
    frame: Vec<i16>,
    /// Frames by loudness, in steps of 1 dB below 0 dBov.
    levels: [u32; 128],
    energy: f64,
    frames: u32,
    active: u32,
    voiced: u32,
}

/// What a piece of sound is as a whole.
pub fn analyse(samples: &[i16], rate: u32) -> Heard {
    let mut analyser = Analyser::new(rate);
    analyser.push(samples);
    analyser.heard()
}

impl Analyser {
    /// Nothing heard yet, at `rate` samples a second.
    pub fn new(rate: u32) -> Analyser {
        let rate = rate.max(1000);
        // About half a second: 2 Hz a bin.
        let size = (rate as usize / 2).next_power_of_two();
        Analyser {
            rate,
            spectrum: Spectrum::new(size),
            piece: Vec::with_capacity(size),
            frame: Vec::new(),
            levels: [0; 128],
            energy: 0.0,
            frames: 0,
            active: 0,
            voiced: 0,
        }
    }

    /// Listens to more.
    pub fn push(&mut self, mut samples: &[i16]) {
        let frame_size = self.rate as usize / 50;
        while !samples.is_empty() {
            let (now, rest) = samples.split_at(samples.len().min(frame_size - self.frame.len()));
            samples = rest;
            self.frame.extend_from_slice(now);
            if self.frame.len() == frame_size {
                self.frame_is_full();
                self.frame.clear();
            }
        }
    }

    /// What was heard so far.
    pub fn heard(&self) -> Heard {
        if self.active == 0 {
            return Heard { level_dbov: -127.0, ..Heard::default() };
        }
        let mut spectrum = self.spectrum.clone();
        if !self.piece.is_empty() {
            spectrum.add(&self.piece);
        }
        let (dominant_hz, share) = self.peak(&spectrum);
        let mean = self.energy / f64::from(self.active) / (self.rate / 50) as f64;
        Heard {
            dominant_hz,
            share,
            level_dbov: (10.0 * mean.log10()) as f32,
            active: self.active as f32 / self.frames as f32,
            voiced: self.voiced as f32 / self.active as f32,
            dynamics_db: self.quantile(0.1) - self.quantile(0.9),
        }
    }

    fn frame_is_full(&mut self) {
        self.frames = self.frames.saturating_add(1);
        let energy: f64 = self.frame.iter().map(|s| (f64::from(*s) / 32768.0).powi(2)).sum();
        let below = -10.0 * (energy / self.frame.len() as f64).max(1e-13).log10();
        if below > ACTIVE_ABOVE {
            return; // Silence says nothing about the sound.
        }
        self.levels[(below as usize).min(127)] += 1;
        self.energy += energy;
        self.active = self.active.saturating_add(1);
        for chunk in self.frame.chunks(self.spectrum.size()) {
            self.piece.extend_from_slice(chunk);
        }
        if self.piece.len() >= self.spectrum.size() {
            self.spectrum.add(&self.piece[..self.spectrum.size()]);
            // Half a piece of overlap.
            self.piece.drain(..self.spectrum.size() / 2);
            if has_pitch(&self.piece, self.rate) {
                self.voiced =
                    self.voiced.saturating_add((self.spectrum.size() / 2 / self.frame.len()) as u32);
            }
        }
        self.voiced = self.voiced.min(self.active);
    }

    /// How many dB below full the loudest `share` of the active frames begins.
    fn quantile(&self, share: f32) -> f32 {
        let wanted = (self.active as f32 * share) as u32;
        let mut seen = 0;
        for (below, count) in self.levels.iter().enumerate() {
            seen += count;
            if seen > wanted {
                return -(below as f32);
            }
        }
        -127.0
    }

    fn peak(&self, spectrum: &Spectrum) -> (f32, f32) {
        let power = spectrum.power();
        let hz_per_bin = self.rate as f32 / spectrum.size() as f32;
        let first = ((LOWEST_HZ / hz_per_bin) as usize).max(1);
        let Some(top) = (first..power.len() - 1).max_by(|a, b| power[*a].total_cmp(&power[*b])) else {
            return (0.0, 0.0);
        };
        // The peak lies where a parabola through three logarithms has its top.
        let [left, middle, right] = [top - 1, top, top + 1].map(|bin| power[bin].max(1e-30).ln());
        let bend = left - 2.0 * middle + right;
        let shift = if bend < 0.0 { 0.5 * (left - right) / bend } else { 0.0 };
        let around: f64 = power[top.saturating_sub(REACH)..(top + REACH + 1).min(power.len())].iter().sum();
        let whole: f64 = power[first..].iter().sum();
        ((top as f64 + shift) as f32 * hz_per_bin, (around / whole.max(1e-30)) as f32)
    }
}

impl Heard {
    /// Whether there was anything to hear.
    pub fn is_silent(&self) -> bool {
        self.active < 0.02
    }

    /// Whether it was a single steady frequency.
    pub fn is_tone(&self) -> bool {
        !self.is_silent() && self.share >= TONE_SHARE
    }

    /// Whether it was a voice: sound that is no tone, with a pitch, and that rises and falls.
    pub fn is_speech(&self) -> bool {
        !self.is_silent() && !self.is_tone() && self.voiced >= 0.1 && self.dynamics_db >= 6.0
    }
}

impl Expectation {
    /// Whether that is what was heard.
    pub fn is_met_by(self, heard: &Heard) -> bool {
        match self {
            Expectation::Tone(hz) => {
                heard.is_tone() && (heard.dominant_hz - hz).abs() <= (hz * 0.02).max(5.0)
            }
            Expectation::Speech => heard.is_speech(),
            Expectation::Silence => heard.is_silent(),
        }
    }
}

impl FromStr for Expectation {
    type Err = UnknownExpectation;

    fn from_str(text: &str) -> Result<Expectation, UnknownExpectation> {
        match text {
            "speech" => Ok(Expectation::Speech),
            "silence" => Ok(Expectation::Silence),
            _ => {
                let hz = text.strip_prefix("tone:").and_then(|hz| hz.parse::<f32>().ok());
                hz.filter(|hz| (20.0..4000.0).contains(hz)).map(Expectation::Tone).ok_or(UnknownExpectation)
            }
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Tone(hz) => write!(f, "tone:{hz}"),
            Expectation::Speech => f.write_str("speech"),
            Expectation::Silence => f.write_str("silence"),
        }
    }
}

impl fmt::Display for UnknownExpectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected tone:HZ (20 to 4000 Hz), speech or silence")
    }
}

impl std::error::Error for UnknownExpectation {}

/// Whether 40 ms in the middle of a piece repeat themselves 70 to 400 times a second.
fn has_pitch(piece: &[i16], rate: u32) -> bool {
    let (length, longest) = (rate as usize / 25, rate as usize / 70);
    let start = piece.len().saturating_sub(length + longest) / 2;
    let Some(sound) = piece.get(start..start + length + longest) else { return false };
    let likeness = |lag: usize| {
        let (mut product, mut a, mut b) = (0.0f64, 1.0f64, 1.0f64);
        for (x, y) in sound[..length].iter().zip(&sound[lag..]) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            product += x * y;
            a += x * x;
            b += y * y;
        }
        product / (a * b).sqrt()
    };
    (rate as usize / 400..longest).step_by((rate as usize / 8000).max(1)).any(|lag| likeness(lag) > 0.6)
}

/// Softer frames are silence: −50 dBov, well above G.711's noise and below any speech.
const ACTIVE_ABOVE: f64 = 50.0;
/// Hum and offset below this are not heard.
const LOWEST_HZ: f32 = 60.0;
/// Bins on either side that belong to a peak: the window's main lobe and a little drift.
const REACH: usize = 4;
/// A tone with some loss still keeps this share of the energy.
const TONE_SHARE: f32 = 0.5;
