//! Noise feedback: each sample is aimed beside the true one so that the error of quantising, seen over time, has
//! the spectrum of the speech.

/// The errors of the past, and what they weigh.
#[derive(Debug)]
pub(super) struct Shape {
    /// The newest first.
    errors: [f32; ORDER],
    weights: [f32; ORDER],
    /// What was heard lately, in a ring.
    heard: [f32; WINDOW],
    at: usize,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { errors: [0.0; ORDER], weights: [0.0; ORDER], heard: [0.0; WINDOW], at: 0 }
    }
}

impl Shape {
    /// What to encode in place of `sample`.
    pub(super) fn aim(&self, sample: i16) -> i16 {
        let pull: f32 = self.errors.iter().zip(&self.weights).map(|(error, weight)| error * weight).sum();
        // The cast saturates.
        (f32::from(sample) - pull).round() as i16
    }

    /// What came of it.
    pub(super) fn hit(&mut self, sample: i16, heard: i16) {
        let error = f32::from(heard) - f32::from(sample);
        self.errors.copy_within(..ORDER - 1, 1);
        // Where the code has no place for the sound, as above its loudest, the error is not to be paid back.
        self.errors[0] = if error.abs() > LARGEST { 0.0 } else { error };
        self.heard[self.at] = f32::from(heard);
        self.at = (self.at + 1) % WINDOW;
        if self.at.is_multiple_of(STEP) {
            self.weights = self.weigh();
        }
    }

    fn weigh(&self) -> [f32; ORDER] {
        let (newer, older) = self.heard.split_at(self.at);
        let mut window = [0.0; WINDOW];
        for (n, (place, value)) in window.iter_mut().zip(older.iter().chain(newer)).enumerate() {
            // Rises, since what came last matters most.
            *place = value * (n as f32 + 0.5) / WINDOW as f32;
        }
        let r: [f32; ORDER + 1] = std::array::from_fn(|lag| product(&window[lag..], &window[..WINDOW - lag]));
        let mut a = predictor(&r);
        let mut weight = 1.0;
        // In silence every error counts for itself.
        let closeness = if r[0] < QUIET { 0.0 } else { CLOSENESS };
        for a in &mut a {
            weight *= closeness;
            *a *= weight;
        }
        a
    }
}

/// The coefficients a of A(z) = 1 + Σ a·z⁻ⁿ by the Levinson-Durbin recursion.
fn predictor(r: &[f32; ORDER + 1]) -> [f32; ORDER] {
    let mut a = [0.0; ORDER];
    let mut error = r[0] * (1.0 + WHITE) + 1.0;
    for order in 0..ORDER {
        let sum: f32 = r[order + 1] + (0..order).map(|n| a[n] * r[order - n]).sum::<f32>();
        let k = (-sum / error).clamp(-0.99, 0.99);
        let before = a;
        for n in 0..order {
            a[n] = before[n] + k * before[order - 1 - n];
        }
        a[order] = k;
        error *= 1.0 - k * k;
    }
    a
}

/// The sum of the products, in lanes that the processor adds up side by side.
fn product(one: &[f32], other: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest: f32 = ones.remainder().iter().zip(others.remainder()).map(|(a, b)| a * b).sum();
    for (one, other) in ones.zip(others) {
        for (lane, (a, b)) in lanes.iter_mut().zip(one.iter().zip(other)) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

const ORDER: usize = 10;
const LANES: usize = 8;
/// 20 ms.
const WINDOW: usize = 160;
/// 5 ms.
const STEP: usize = 40;
/// How closely the noise follows the speech: 0 not at all, 1 wholly.
const CLOSENESS: f32 = 0.97;
/// A floor of noise that keeps the predictor from ringing.
const WHITE: f32 = 0.03;
/// −66 dB over the window.
const QUIET: f32 = 160.0 * 16.0 * 16.0 / 3.0;
/// Twice the coarsest step.
const LARGEST: f32 = 2048.0;
