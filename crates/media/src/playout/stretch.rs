//! Makes sound a little longer or shorter without changing its pitch: one period is played twice or left
//! out where the wave fits itself best.

/// The longest piece that is left out or played twice, in samples.
pub(super) fn longest(per_ms: i64) -> usize {
    per_ms as usize * LAG_MAX_MS
}

/// The shortest, in samples.
pub(super) fn shortest(per_ms: i64) -> i64 {
    per_ms * LAG_MIN_MS as i64
}

/// Fills `out` from more sound than it holds. Returns how many samples were left out; so many more than it
/// holds are used up, at most `most`. `None`, and nothing done, where the sound does not fit itself well or is too short.
pub(super) fn shrink(sound: &[i16], per_ms: i64, most: usize, out: &mut [i16]) -> Option<usize> {
    let (lag, joint) = (best_lag(sound, per_ms, most, false)?, per_ms as usize * JOINT_MS);
    let rest = sound.get(lag..lag + out.len()).filter(|rest| rest.len() > joint)?;
    out.copy_from_slice(rest);
    for n in 0..joint {
        out[n] = fade(sound[n], rest[n], n, joint);
    }
    Some(lag)
}

/// Fills `out` from less sound than it holds; as much must be there. Returns how many samples were added; so
/// many less than it holds are used up. `None` as with [`shrink`]; `force` does it even badly.
pub(super) fn stretch(
    sound: &[i16],
    per_ms: i64,
    most: usize,
    force: bool,
    out: &mut [i16],
) -> Option<usize> {
    let sound = sound.get(..out.len())?;
    let (lag, joint) = (best_lag(sound, per_ms, most, force)?, per_ms as usize * JOINT_MS);
    if lag + joint > out.len() {
        return None;
    }
    out[..lag].copy_from_slice(&sound[..lag]);
    out[lag..].copy_from_slice(&sound[..sound.len() - lag]);
    for n in 0..joint {
        out[lag + n] = fade(sound[lag + n], sound[n], n, joint);
    }
    Some(lag)
}

/// How far the sound has to be moved to fit itself, if it does well enough.
fn best_lag(sound: &[i16], per_ms: i64, most: usize, force: bool) -> Option<usize> {
    let per_ms = per_ms as usize;
    let template = TEMPLATE_MS * per_ms;
    // About 8 kHz is enough to find it.
    let stride = (per_ms / 8).max(1);
    let score = |lag: usize| -> Option<f64> {
        Some(likeness(sound.get(..template)?, sound.get(lag..lag + template)?, stride))
    };
    let mut best: Option<(f64, usize)> = None;
    for lag in (LAG_MIN_MS * per_ms..=most.min(LAG_MAX_MS * per_ms)).step_by(stride) {
        let Some(score) = score(lag) else { break };
        if best.is_none_or(|(before, _)| score > before) {
            best = Some((score, lag));
        }
    }
    let (score, lag) = best?;
    let quiet = sound[..template.min(sound.len())].iter().all(|sample| sample.unsigned_abs() < QUIET);
    (force || quiet || score > WELL).then_some(lag)
}

/// Normalised cross-correlation, −1 to 1.
fn likeness(a: &[i16], b: &[i16], stride: usize) -> f64 {
    let (mut product, mut energy_a, mut energy_b) = (0i64, 1i64, 1i64);
    for (x, y) in a.iter().zip(b).step_by(stride) {
        let (x, y) = (i64::from(*x), i64::from(*y));
        product += x * y;
        energy_a += x * x;
        energy_b += y * y;
    }
    product as f64 / (energy_a as f64 * energy_b as f64).sqrt()
}

/// From `old` to `new`, at step `n` of `steps`.
fn fade(old: i16, new: i16, n: usize, steps: usize) -> i16 {
    let (n, whole) = (n as i32 + 1, steps as i32 + 1);
    ((i32::from(old) * (whole - n) + i32::from(new) * n) / whole) as i16
}

/// 400 Hz.
const LAG_MIN_MS: usize = 2;
/// 100 Hz.
const LAG_MAX_MS: usize = 10;
const TEMPLATE_MS: usize = 10;
const JOINT_MS: usize = 5;
/// How well it must fit.
const WELL: f64 = 0.8;
/// −42 dB: nobody hears how well that fits.
const QUIET: u16 = 256;
