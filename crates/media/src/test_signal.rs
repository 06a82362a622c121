//! Sounds and numbers for tests.

use std::f64::consts::TAU;

/// A sine at about half of full scale.
pub(crate) fn sine(hz: f64, samples: usize) -> Vec<i16> {
    sine_at(hz, 8000, samples)
}

/// The same at another rate.
pub(crate) fn sine_at(hz: f64, rate: u32, samples: usize) -> Vec<i16> {
    (0..samples).map(|n| (12000.0 * (TAU * hz * n as f64 / f64::from(rate)).sin()) as i16).collect()
}

/// Numbers that repeat with their seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }
}

/// Something like speech: a buzz with formants whose pitch glides, in syllables with pauses.
pub(crate) fn speech(samples: usize, seed: u64) -> Vec<i16> {
    speech_at(8000, samples, seed)
}

/// The same at another rate.
pub(crate) fn speech_at(rate: u32, samples: usize, seed: u64) -> Vec<i16> {
    let rate = f64::from(rate);
    let mut dice = Dice(seed);
    let mut phase = 0.0f64;
    let mut pitch = 120.0;
    (0..samples)
        .map(|n| {
            let t = n as f64 / rate;
            let syllable = (TAU * 2.0 * t).sin();
            let loudness = if syllable > 0.0 { syllable } else { 0.0 };
            if n % (rate / 4.0) as usize == 0 {
                pitch = 100.0 + 60.0 * dice.fraction();
            }
            phase = (phase + pitch / rate).fract();
            let buzz: f64 = (1..20).map(|k| (TAU * phase * f64::from(k)).sin() / f64::from(k)).sum();
            (6000.0 * loudness * buzz + 20.0 * (dice.fraction() - 0.5)) as i16
        })
        .collect()
}

/// The moment at which a test's virtual time begins; which one it is does not matter.
#[allow(clippy::disallowed_methods)] // An `Instant` cannot be had in another way.
pub(crate) fn epoch() -> std::time::Instant {
    std::time::Instant::now()
}
