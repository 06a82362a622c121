//! Comfort noise as sound (RFC 3389 §4): made from a description, and described.

use offhook_rtp::ComfortNoise;

/// Makes background noise of [`crate::SAMPLE_RATE`].
#[derive(Clone, Debug)]
pub struct Noise {
    reflection: Vec<f32>,
    /// The lattice's memory.
    state: Vec<f32>,
    /// Of the white noise that is coloured.
    amplitude: f32,
    seed: u32,
}

impl Noise {
    /// Noise as described.
    pub fn new(description: &ComfortNoise) -> Noise {
        let mut noise =
            Noise { reflection: Vec::new(), state: Vec::new(), amplitude: 0.0, seed: 0x1234_5678 };
        noise.change(description);
        noise
    }

    /// Goes on as described anew.
    pub fn change(&mut self, description: &ComfortNoise) {
        let level = 32768.0 * 10f32.powf(-f32::from(description.level.max(LOUDEST)) / 20.0);
        let gain: f32 = description.reflection.iter().map(|k| 1.0 - k * k).product();
        self.reflection.clone_from(&description.reflection);
        self.state.resize(self.reflection.len() + 1, 0.0);
        // Even noise between −1 and 1 has a mean power of a third.
        self.amplitude = level * gain.max(0.0).sqrt() * 3f32.sqrt();
    }

    /// Fills `out` with what comes next.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let white = (self.seed >> 8) as f32 / (1u32 << 23) as f32 - 1.0;
            let mut forward = white * self.amplitude;
            for n in (0..self.reflection.len()).rev() {
                let k = self.reflection[n];
                forward -= k * self.state[n];
                self.state[n + 1] = self.state[n] + k * forward;
            }
            self.state[0] = forward;
            // The cast saturates.
            *sample = forward as i16;
        }
    }
}

/// What noise like this would be described as.
pub fn describe(samples: &[i16]) -> ComfortNoise {
    let correlation = |lag: usize| -> f64 {
        let pairs = samples.iter().zip(samples.iter().skip(lag));
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let r: Vec<f64> = (0..=ORDER).map(correlation).collect();
    let mean = r[0] / samples.len().max(1) as f64 / (32768.0 * 32768.0);
    let level = (-10.0 * mean.max(1e-13).log10()).round().clamp(0.0, 127.0) as u8;
    ComfortNoise { level, reflection: reflection(&r) }
}

/// Reflection coefficients by the Levinson-Durbin recursion.
fn reflection(r: &[f64]) -> Vec<f32> {
    let mut error = r[0] * 1.001 + 1.0;
    let mut a = vec![1.0];
    let mut result = Vec::new();
    for order in 1..r.len() {
        let sum: f64 = (0..order).map(|n| a[n] * r[order - n]).sum();
        let k = (-sum / error).clamp(-0.98, 0.98);
        a.push(0.0);
        let before = a.clone();
        for n in 1..=order {
            a[n] += k * before[order - n];
        }
        error *= 1.0 - k * k;
        result.push(k as f32);
    }
    result
}

const ORDER: usize = 8;
/// Noise louder than this is a mistake or meant to hurt; in dB below overload.
const LOUDEST: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn made(description: &ComfortNoise) -> Vec<i16> {
        let mut samples = vec![0; 16_000];
        Noise::new(description).fill(&mut samples);
        samples
    }

    #[test]
    fn noise_has_the_level_and_colour_that_it_is_described_with() {
        for reflection in [vec![], vec![-0.7], vec![0.5, 0.3], vec![-0.9, 0.6, 0.1]] {
            for level in [30, 45] {
                let heard = describe(&made(&ComfortNoise { level, reflection: reflection.clone() }));
                assert!(heard.level.abs_diff(level) <= 1, "{level} {reflection:?} {heard:?}");
                for (n, k) in reflection.iter().enumerate() {
                    assert!((heard.reflection[n] - k).abs() < 0.06, "{reflection:?} {heard:?}");
                }
            }
        }
    }

    #[test]
    fn noise_that_wants_to_be_too_loud_is_kept_down_and_silence_is_silent() {
        let peak = |level| made(&ComfortNoise { level, reflection: vec![] }).into_iter().map(i16::abs).max();
        assert!(peak(0) < Some(6000));
        assert_eq!(peak(127), Some(0));
        assert_eq!(describe(&[0; 800]).level, 127);
        assert_eq!(describe(&[]).level, 127);
    }
}
