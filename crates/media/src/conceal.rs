//! Sound in place of sound that is missing.
//!
//! Where only the past is known, its last pitch periods go on while they fade (as in G.711 appendix I). Where
//! what follows the gap is known too, it is also continued backwards, both are bent so that their periods meet,
//! and one becomes the other. Sound without a pitch goes on as its own mirror image, which repeats nothing.

mod pitch;

use pitch::{Pitch, best_shift};

/// Follows the sound that is heard, and continues it. All quantities are in samples at its rate.
#[derive(Clone, Debug)]
pub struct Concealer {
    rate: usize,
    history: Vec<f32>,
    /// Made-up sound that goes on until something real comes.
    extension: Option<Extension>,
}

impl Concealer {
    /// For sound of `rate` samples a second.
    pub fn new(rate: u32) -> Concealer {
        Concealer { rate: rate as usize, history: Vec::new(), extension: None }
    }

    /// Takes the next real sound; where made-up sound came before it, its beginning is faded into.
    pub fn heard(&mut self, sound: &mut [i16]) {
        if sound.is_empty() {
            return;
        }
        if let Some(mut extension) = self.extension.take() {
            let joint = self.ms(JOINT_MS).min(sound.len());
            for (n, sample) in sound.iter_mut().take(joint).enumerate() {
                let share = (n + 1) as f32 / (joint + 1) as f32;
                let old = extension.next();
                *sample = round(old + (f32::from(*sample) - old) * share);
            }
        }
        self.history.extend(sound.iter().map(|sample| f32::from(*sample)));
        self.forget();
    }

    /// Appends `count` samples to `out`. `future` is what follows right behind them, if it is known.
    pub fn conceal(&mut self, count: usize, future: &[i16], out: &mut Vec<i16>) {
        let start = self.history.len();
        let bridged =
            future.len() >= self.ms(FUTURE_MS) && count <= self.ms(BRIDGE_MS) && self.bridge(count, future);
        if bridged {
            self.extension = None;
        } else {
            let mut extension =
                self.extension.take().unwrap_or_else(|| Extension::of(&self.history, self.rate));
            self.history.extend((0..count).map(|_| extension.next()));
            self.extension = Some(extension);
        }
        out.extend(self.history[start..].iter().map(|sample| round(*sample)));
        self.forget();
    }

    /// Nothing of what was heard goes on.
    pub fn reset(&mut self) {
        self.history.clear();
        self.extension = None;
    }

    /// Appends a bridge from the past to the future to the history; `false` where it cannot be built.
    fn bridge(&mut self, count: usize, future: &[i16]) -> bool {
        if self.history.len() < self.ms(HISTORY_MS) / 2 {
            return false;
        }
        let future: Vec<f32> = future.iter().take(self.ms(HISTORY_MS)).map(|s| f32::from(*s)).collect();
        let backwards = |sound: &[f32]| sound.iter().rev().copied().collect::<Vec<f32>>();
        let (past, coming) = (&self.history, backwards(&future));
        let (before, after) = (Pitch::of(past, self.rate, None), Pitch::of(&coming, self.rate, None));
        let after = Pitch::near(&coming, self.rate, &before)
            .filter(|near| near.score > after.score * 0.85)
            .unwrap_or(after);
        // How far the phase of each is off where it meets the other.
        let room = before.lag.max(after.lag);
        let mut forward = Extension::with(past, &before, self.rate);
        let mut backward = Extension::with(&coming, &after, self.rate);
        if let Some(old) = &self.extension {
            forward.done = old.done;
        }
        let reach = self.ms(MATCH_MS);
        let ahead: Vec<f32> = (0..count + 2 * room + reach).map(|_| forward.next()).collect();
        let behind: Vec<f32> = (0..count + 2 * room + reach).map(|_| backward.next()).collect();
        let voiced = before.is_voiced() && after.is_voiced();
        let (mut forth, mut back) = (count as f32, count as f32);
        if voiced {
            let half = before.lag / 2;
            forth += best_shift(&ahead, count, &future[..reach.min(future.len())], half, 0.0);
            // As many periods backwards as forwards.
            let wanted = forth * after.lag as f32 / before.lag as f32 - count as f32;
            let mirror = backwards(past);
            let quarter = after.lag / 4;
            back += best_shift(&behind, count, &mirror[..reach.min(mirror.len())], quarter, wanted);
        }
        let (forth, back) = (forth / count as f32, back / count as f32);
        for n in 0..count {
            let share = (n as f32 + 0.5) / count as f32;
            let old = at(&ahead, n as f32 * forth);
            let new = at(&behind, (count - 1 - n) as f32 * back);
            let (a, b) = if voiced { (1.0 - share, share) } else { ((1.0 - share).sqrt(), share.sqrt()) };
            self.history.push(old * a + new * b);
        }
        true
    }

    fn forget(&mut self) {
        let surplus = self.history.len().saturating_sub(self.ms(HISTORY_MS));
        self.history.drain(..surplus);
    }

    fn ms(&self, ms: usize) -> usize {
        self.rate * ms / 1000
    }
}

/// Sound that goes on from its past, softer and softer.
#[derive(Clone, Debug)]
struct Extension {
    /// Played over and over.
    turn: Vec<f32>,
    at: usize,
    /// Samples made so far.
    done: usize,
    steady: usize,
    faded: usize,
}

impl Extension {
    fn of(past: &[f32], rate: usize) -> Extension {
        let pitch = Pitch::of(past, rate, None);
        Extension::with(past, &pitch, rate)
    }

    fn with(past: &[f32], pitch: &Pitch, rate: usize) -> Extension {
        let (steady, faded) = (rate * STEADY_MS / 1000, rate * FADED_MS / 1000);
        let length = past.len();
        let turn = if length < rate * HISTORY_MS / 4000 {
            // Too little to go on from.
            vec![0.0]
        } else if pitch.is_voiced() {
            period(past, pitch.lag)
        } else {
            // Backwards and forwards again.
            let piece = &past[length.saturating_sub(rate * MIRROR_MS / 1000)..];
            piece.iter().rev().chain(piece.iter()).copied().collect()
        };
        Extension { turn, at: 0, done: 0, steady, faded }
    }

    fn next(&mut self) -> f32 {
        let sample = self.turn[self.at];
        self.at = (self.at + 1) % self.turn.len();
        let left = self.faded.saturating_sub(self.done.max(self.steady)) as f32;
        self.done += 1;
        sample * left / (self.faded - self.steady) as f32
    }
}

/// The last period, whose end leads into its beginning.
fn period(past: &[f32], lag: usize) -> Vec<f32> {
    let length = past.len();
    let mut period = past[length - lag..].to_vec();
    let joint = (lag / 4).min(length - lag);
    for n in 0..joint {
        let place = lag - joint + n;
        let share = (n + 1) as f32 / (joint + 1) as f32;
        let earlier = past[length - lag - joint + n];
        period[place] += (earlier - period[place]) * share;
    }
    period
}

/// A value between two samples.
fn at(samples: &[f32], place: f32) -> f32 {
    let whole = place.max(0.0) as usize;
    let value = |n: usize| samples.get(n).copied().unwrap_or(0.0);
    let part = place.max(0.0) - whole as f32;
    value(whole) + (value(whole + 1) - value(whole)) * part
}

fn round(sample: f32) -> i16 {
    // The cast saturates.
    sample.round() as i16
}

/// Longest period, template and joint.
const HISTORY_MS: usize = 60;
/// From made-up to real sound.
const JOINT_MS: usize = 5;
/// At full loudness …
const STEADY_MS: usize = 15;
/// … and silent after this.
const FADED_MS: usize = 160;
/// What is mirrored where there is no pitch.
const MIRROR_MS: usize = 15;
/// Sound behind a gap that is worth looking at.
const FUTURE_MS: usize = 10;
/// The longest gap that is bridged.
const BRIDGE_MS: usize = 80;
/// What is compared where both ends meet.
const MATCH_MS: usize = 8;

#[cfg(test)]
mod tests;
