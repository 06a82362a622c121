//! Sines and the tones of call progress.

use std::f32::consts::TAU;

/// A mix of frequencies that goes on and off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cadence {
    /// In Hz, played together.
    pub frequencies: &'static [f32],
    /// How long it sounds, in ms; with `off_ms` 0 it never ends.
    pub on_ms: u32,
    /// How long it is silent, in ms.
    pub off_ms: u32,
}

/// The far phone rings (ITU-T E.180 supplement 2, China).
pub const RINGBACK: Cadence = Cadence { frequencies: &[450.0], on_ms: 1000, off_ms: 4000 };

/// The far phone is busy (E.180, China).
pub const BUSY: Cadence = Cadence { frequencies: &[450.0], on_ms: 350, off_ms: 350 };

/// The call cannot be placed (E.180, China).
pub const CONGESTION: Cadence = Cadence { frequencies: &[450.0], on_ms: 700, off_ms: 700 };

/// Ready to dial (E.180, China).
pub const DIAL: Cadence = Cadence { frequencies: &[450.0], on_ms: 1000, off_ms: 0 };

/// Makes the samples of a tone.
#[derive(Clone, Debug)]
pub struct Tone {
    /// Phase (0 to 1) and its step of each frequency.
    voices: Vec<(f32, f32)>,
    amplitude: f32,
    on: u32,
    period: u32,
    at: u32,
}

impl Tone {
    /// A steady sine of `hz` at `dbov` (0 is the loudest possible square wave; −3 the loudest sine).
    pub fn sine(hz: f32, dbov: f32, rate: u32) -> Tone {
        Tone::mix(&[hz], 1, 0, dbov, rate)
    }

    /// A cadence at the usual loudness for signals.
    pub fn cadence(cadence: &Cadence, rate: u32) -> Tone {
        Tone::mix(cadence.frequencies, cadence.on_ms, cadence.off_ms, -16.0, rate)
    }

    /// Frequencies of `dbov` together, on and off.
    pub fn mix(frequencies: &[f32], on_ms: u32, off_ms: u32, dbov: f32, rate: u32) -> Tone {
        let rate = rate.max(1);
        let voices: Vec<_> = frequencies.iter().map(|hz| (0.0, hz / rate as f32)).collect();
        // A sine's power is half the square of its peak.
        let each = (2.0 / voices.len().max(1) as f32).sqrt();
        let amplitude = (32768.0 * each * 10f32.powf(dbov / 20.0)).min(32767.0);
        let samples = |ms: u32| (u64::from(ms) * u64::from(rate) / 1000).min(u64::from(u32::MAX / 2)) as u32;
        let on = samples(on_ms);
        Tone { voices, amplitude, on, period: on + samples(off_ms), at: 0 }
    }

    /// Fills `out` with what comes next.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            let mut sum = 0.0;
            for (phase, step) in &mut self.voices {
                sum += (TAU * *phase).sin();
                *phase = (*phase + *step).fract();
            }
            // The cast saturates.
            *sample = if self.at < self.on { (sum * self.amplitude) as i16 } else { 0 };
            self.at = if self.period == 0 { 0 } else { (self.at + 1) % self.period };
        }
    }
}
