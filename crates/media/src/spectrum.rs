//! The power spectrum of real sound.

use std::f32::consts::{PI, TAU};

/// Adds up the spectra of many pieces of the same length.
#[derive(Clone, Debug)]
pub(crate) struct Spectrum {
    window: Vec<f32>,
    twiddles: Vec<(f32, f32)>,
    work: Vec<(f32, f32)>,
    power: Vec<f64>,
}

impl Spectrum {
    /// For pieces of `size` samples, a power of two.
    pub(crate) fn new(size: usize) -> Spectrum {
        debug_assert!(size.is_power_of_two());
        let step = |n: usize| TAU * n as f32 / size as f32;
        Spectrum {
            window: (0..size).map(|n| 0.5 - 0.5 * step(n).cos()).collect(),
            twiddles: (0..size / 2).map(|n| (step(n).cos(), -step(n).sin())).collect(),
            work: vec![(0.0, 0.0); size],
            power: vec![0.0; size / 2],
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.window.len()
    }

    /// The power in each bin; bin n is at `n * rate / size` Hz.
    pub(crate) fn power(&self) -> &[f64] {
        &self.power
    }

    /// Adds a piece; a shorter one is filled up with silence.
    pub(crate) fn add(&mut self, samples: &[i16]) {
        let size = self.size();
        let bits = size.trailing_zeros();
        for n in 0..size {
            let sample = samples.get(n).copied().unwrap_or(0);
            let place = n.reverse_bits() >> (usize::BITS - bits);
            self.work[place] = (f32::from(sample) / 32768.0 * self.window[n], 0.0);
        }
        self.transform();
        for (power, (re, im)) in self.power.iter_mut().zip(&self.work) {
            *power += f64::from(re * re + im * im);
        }
    }

    /// Cooley–Tukey, in place.
    fn transform(&mut self) {
        let size = self.work.len();
        let mut half = 1;
        while half < size {
            let stride = size / (2 * half);
            for start in (0..size).step_by(2 * half) {
                for n in 0..half {
                    let (c, s) = self.twiddles[n * stride];
                    let (a, b) = (self.work[start + n], self.work[start + n + half]);
                    let turned = (b.0 * c - b.1 * s, b.0 * s + b.1 * c);
                    self.work[start + n] = (a.0 + turned.0, a.1 + turned.1);
                    self.work[start + n + half] = (a.0 - turned.0, a.1 - turned.1);
                }
            }
            half *= 2;
        }
    }
}

/// The power of one frequency in a block (Goertzel), as a share of the block's energy: 1.0 for a pure tone
/// of that frequency.
pub(crate) fn goertzel(samples: &[i16], hz: f32, rate: f32) -> f32 {
    let turn = 2.0 * (2.0 * PI * hz / rate).cos();
    let (mut before, mut last, mut energy) = (0.0f32, 0.0f32, 0.0f32);
    for sample in samples {
        let sample = f32::from(*sample);
        (before, last) = (last, sample + turn * last - before);
        energy += sample * sample;
    }
    if energy <= 0.0 {
        return 0.0;
    }
    let power = before * before + last * last - turn * before * last;
    2.0 * power / (energy * samples.len() as f32)
}
