//! Takes the loudspeaker's echo, and steady noise, out of what the microphone hears.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sonora::config::{EchoCanceller, HighPassFilter, NoiseSuppression};
use sonora::{AudioProcessing, Config, StreamConfig};

/// Listens to the loudspeaker and cleans the microphone. Where the work fails it begins anew, and after some
/// failures it lets all sound through.
pub(crate) struct Canceller {
    rate: u32,
    work: Option<AudioProcessing>,
    failures: u32,
}

impl Canceller {
    /// For devices that are opened now; it learns how the room sounds during the call.
    pub(crate) fn new() -> Self {
        Self { rate: 0, work: None, failures: 0 }
    }

    /// What the loudspeaker is given, at `rate` samples a second.
    pub(crate) fn hear(&mut self, frame: &[i16], rate: u32) {
        let mut unchanged = vec![0; frame.len()];
        self.pieces(rate, frame, &mut unchanged, |work, from, to| work.process_render_i16(from, to).is_ok());
    }

    /// Cleans what the microphone said, whose sound is `delay_ms` older than the loudspeaker's last.
    pub(crate) fn clean(&mut self, frame: &mut [i16], rate: u32, delay_ms: i32) {
        let said = frame.to_vec();
        let done = self.pieces(rate, &said, frame, |work, from, to| {
            // Fails only by saying that it was clamped.
            let _ = work.set_stream_delay_ms(delay_ms);
            work.process_capture_i16(from, to).is_ok()
        });
        if !done {
            frame.copy_from_slice(&said);
        }
    }

    /// Works on pieces of 10 ms; whether all went well.
    fn pieces(
        &mut self,
        rate: u32,
        from: &[i16],
        to: &mut [i16],
        mut step: impl FnMut(&mut AudioProcessing, &[i16], &mut [i16]) -> bool,
    ) -> bool {
        if self.failures > MOST_FAILURES || !RATES.contains(&rate) {
            return false;
        }
        if self.rate != rate || self.work.is_none() {
            self.rate = rate;
            self.work = Some(processing(rate));
        }
        let Some(work) = &mut self.work else { return false };
        let size = rate as usize / 100;
        let mut pieces = from.chunks_exact(size).zip(to.chunks_exact_mut(size));
        // A defect in it must not end the call.
        let went = catch_unwind(AssertUnwindSafe(|| pieces.all(|(from, to)| step(work, from, to))));
        if went.is_err() {
            self.failures += 1;
            self.work = None;
        }
        went.unwrap_or(false)
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("rate", &self.rate).field("failures", &self.failures).finish()
    }
}

fn processing(rate: u32) -> AudioProcessing {
    let config = Config {
        high_pass_filter: Some(HighPassFilter::default()),
        echo_canceller: Some(EchoCanceller::default()),
        noise_suppression: Some(NoiseSuppression::default()),
        ..Config::default()
    };
    let stream = StreamConfig::new(rate, 1);
    AudioProcessing::builder().config(config).capture_config(stream).render_config(stream).build()
}

const RATES: [u32; 3] = [8000, 16_000, 48_000];
const MOST_FAILURES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice-like buzz in syllables, at about a quarter of full scale.
    fn voice(rate: u32, samples: usize) -> Vec<i16> {
        let rate = rate as f32;
        let tau = std::f32::consts::TAU;
        let at = |n: usize| {
            let t = n as f32 / rate;
            let loud = (tau * 1.7 * t).sin().max(0.0);
            let pitch = 110.0 + 30.0 * (tau * 0.3 * t).sin();
            let buzz: f32 = (1..15).map(|k| (tau * pitch * k as f32 * t).sin() / k as f32).sum();
            (4000.0 * loud * buzz) as i16
        };
        (0..samples).map(at).collect()
    }

    fn energy(samples: &[i16]) -> f64 {
        samples.iter().map(|sample| f64::from(*sample).powi(2)).sum()
    }

    #[test]
    fn the_loudspeaker_s_echo_is_taken_out_of_the_microphone_at_every_rate() {
        for rate in RATES {
            let (frame, seconds) = (rate as usize / 50, 6);
            let far = voice(rate, rate as usize * seconds);
            let delay = rate as usize / 20;
            let mut canceller = Canceller::new();
            let (mut before, mut after) = (0.0, 0.0);
            for start in (0..far.len() - frame).step_by(frame) {
                canceller.hear(&far[start..start + frame], rate);
                let echo = |n: usize| n.checked_sub(delay).map_or(0, |n| far[n] / 3);
                let mut heard: Vec<i16> = (start..start + frame).map(echo).collect();
                let with_echo = energy(&heard);
                canceller.clean(&mut heard, rate, 50);
                if start > far.len() / 2 {
                    before += with_echo;
                    after += energy(&heard);
                }
            }
            assert!(after < before / 30.0, "{rate} {before} {after}");
        }
    }

    #[test]
    fn a_rate_that_it_does_not_know_goes_through() {
        let mut frame = [500; 220];
        Canceller::new().clean(&mut frame, 11_025, 0);
        assert_eq!(frame, [500; 220]);
    }
}
