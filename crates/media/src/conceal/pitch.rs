//! The period of a sound.

/// How long the period is, in samples, and how well it fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pitch {
    pub(super) lag: usize,
    /// Likeness of neighbouring periods, −1 to 1.
    pub(super) score: f32,
}

impl Pitch {
    /// Of the end of `past`, within `range` of lags where one is given.
    pub(super) fn of(past: &[f32], rate: usize, range: Option<(usize, usize)>) -> Pitch {
        let (shortest, longest) = range.unwrap_or((rate / 400, rate * 16 / 1000));
        let longest = longest.min(past.len() * 2 / 3).max(shortest);
        // First in the rough, at about 8 kHz.
        let step = (rate / 8000).max(1);
        let coarse: Vec<f32> =
            past.rchunks_exact(step).rev().map(|c| c.iter().sum::<f32>() / step as f32).collect();
        let template = rate * TEMPLATE_MS / 1000 / step;
        let best = search(&coarse, template, shortest / step, longest / step);
        if step == 1 {
            return best;
        }
        let middle = best.lag * step;
        let fine = search(past, template * step, middle.saturating_sub(step).max(shortest), middle + step);
        Pitch { lag: fine.lag.min(longest), ..fine }
    }

    /// The same near the period of what is on the other side of a gap.
    pub(super) fn near(past: &[f32], rate: usize, other: &Pitch) -> Option<Pitch> {
        other.is_voiced().then(|| Pitch::of(past, rate, Some((other.lag * 3 / 4, other.lag * 4 / 3))))
    }

    pub(super) fn is_voiced(&self) -> bool {
        self.score > VOICED
    }
}

fn search(past: &[f32], template: usize, shortest: usize, longest: usize) -> Pitch {
    let mut best = Pitch { lag: shortest.max(1), score: -1.0 };
    for lag in shortest.max(1)..=longest {
        let Some(room) = past.len().checked_sub(lag) else { break };
        let length = template.min(room);
        let now = &past[past.len() - length..];
        let before = &past[room - length..room];
        // A multiple of the period must fit clearly better than the period itself.
        let score = likeness(now, before) - lag as f32 / longest as f32 * BIAS;
        if score > best.score {
            best = Pitch { lag, score };
        }
    }
    best
}

/// By how much `ahead` from `place` on has to be moved to look most like `target`; at most `reach` from `wanted`.
pub(super) fn best_shift(ahead: &[f32], place: usize, target: &[f32], reach: usize, wanted: f32) -> f32 {
    let mut best = (f32::MIN, wanted);
    for offset in -(reach as i64)..=reach as i64 {
        let shift = wanted.round() as i64 + offset;
        let Ok(start) = usize::try_from(place as i64 + shift) else { continue };
        let Some(piece) = ahead.get(start..start + target.len()) else { continue };
        let score = likeness(piece, target) - (offset as f32 / reach.max(1) as f32).abs() * BIAS;
        if score > best.0 {
            best = (score, shift as f32);
        }
    }
    best.1
}

/// Normalised cross-correlation, −1 to 1.
pub(crate) fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let (mut product, mut energy_a, mut energy_b) = (0.0f32, 1.0f32, 1.0f32);
    for (x, y) in a.iter().zip(b) {
        product += x * y;
        energy_a += x * x;
        energy_b += y * y;
    }
    product / (energy_a.sqrt() * energy_b.sqrt())
}

const TEMPLATE_MS: usize = 16;
const VOICED: f32 = 0.5;
const BIAS: f32 = 0.08;
