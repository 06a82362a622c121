//! Changes the rate of sound between 8, 16 and 48 kHz with little delay.
//!
//! A polyphase filter with a Kaiser window: linear phase, so its delay is the same for all frequencies, and
//! at most 2.5 ms. It keeps state, so sound may come in pieces of any length.

use std::f64::consts::PI;

/// One stream of sound from one rate to another.
#[derive(Clone, Debug)]
pub struct Resampler {
    up: usize,
    down: usize,
    /// One row of coefficients for each of `up` phases, for the newest sample first.
    phases: Vec<Vec<f32>>,
    /// The past, oldest first: as many samples as a row but one.
    past: Vec<f32>,
    work: Vec<f32>,
    /// Where in the grid of the common multiple the next output lies, in steps after the next input.
    phase: usize,
    delay_ms: f32,
}

impl Resampler {
    /// From a rate to another, in Hz. Rates whose common multiple is far above them are not meant for it.
    pub fn new(from: u32, to: u32) -> Resampler {
        let common = gcd(from.max(1), to.max(1));
        let (up, down) = ((to.max(1) / common) as usize, (from.max(1) / common) as usize);
        if up == down {
            let (phases, past) = (vec![vec![1.0]], Vec::new());
            return Resampler { up, down, phases, past, work: Vec::new(), phase: 0, delay_ms: 0.0 };
        }
        let lowest = f64::from(from.min(to));
        let grid = f64::from(from) * up as f64;
        // Half the filter: 2.5 ms at telephone rate, in proportion above, a whole number of inputs.
        let half = (HALF_PERIODS * grid / lowest / up as f64).round() as usize * up;
        let row = 2 * half / up + 1;
        let cutoff = CUTOFF * lowest / grid;
        let mut phases = vec![vec![0.0; row]; up];
        for (phase, coefficients) in phases.iter_mut().enumerate() {
            for (n, coefficient) in coefficients.iter_mut().enumerate() {
                let at = (n * up + phase) as f64 - half as f64;
                *coefficient = tap(at, cutoff, half as f64);
            }
            // Each phase passes a steady level unchanged, so that none of them is heard.
            let sum: f64 = coefficients.iter().sum();
            coefficients.iter_mut().for_each(|coefficient| *coefficient /= sum);
        }
        let phases: Vec<Vec<f32>> =
            phases.into_iter().map(|row| row.into_iter().map(|value| value as f32).collect()).collect();
        let past = vec![0.0; row - 1];
        let delay_ms = (half as f64 * 1000.0 / grid) as f32;
        Resampler { up, down, phases, past, work: Vec::new(), phase: 0, delay_ms }
    }

    /// How much later sound comes out than it went in, in ms.
    pub fn delay_ms(&self) -> f32 {
        self.delay_ms
    }

    /// Appends `samples` at the new rate to `out`.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        if self.up == self.down {
            out.extend_from_slice(samples);
            return;
        }
        let mut work = std::mem::take(&mut self.work);
        work.clear();
        work.extend_from_slice(&self.past);
        work.extend(samples.iter().map(|sample| f32::from(*sample)));
        let reach = self.past.len();
        let mut at = 0;
        loop {
            at += self.phase / self.up;
            self.phase %= self.up;
            let Some(window) = work.get(at..at + reach + 1).filter(|_| at < samples.len()) else { break };
            let row = &self.phases[self.phase];
            let sum: f32 = window.iter().rev().zip(row).map(|(sample, tap)| sample * tap).sum();
            // The cast saturates.
            out.push(sum.round() as i16);
            self.phase += self.down;
        }
        // What lies beyond these samples is counted from the next ones.
        self.phase += (at - samples.len()) * self.up;
        self.past.clear();
        self.past.extend_from_slice(&work[samples.len()..]);
        self.work = work;
    }
}

/// A low-pass at `cutoff` (in cycles a step) seen through a Kaiser window.
fn tap(at: f64, cutoff: f64, half: f64) -> f64 {
    let x = 2.0 * cutoff * at;
    let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
    let edge = (at / (half + 1.0)).powi(2);
    2.0 * cutoff * sinc * bessel(BETA * (1.0 - edge).max(0.0).sqrt()) / bessel(BETA)
}

/// The modified Bessel function of order zero.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..30 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Periods of the lower rate on each side.
const HALF_PERIODS: f64 = 20.0;
/// Middle of the slope, in parts of the lower rate.
const CUTOFF: f64 = 0.475;
/// About 60 dB of suppression.
const BETA: f64 = 5.65;

#[cfg(test)]
mod tests;
