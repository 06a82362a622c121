//! G.722 at 64 kbit/s (ITU-T G.722 mode 1, RFC 3551 §4.5.2): 7 kHz of sound in two bands of ADPCM.
//!
//! A byte holds two samples of 16 kHz: six bits for the lower band, two for the upper. Names of variables
//! follow the Recommendation where it has any.

mod band;
mod mirror;

use super::shape::Shape;
use super::{Codec, Format};
use band::{Band, Bands, LowerBand};
use mirror::{Analysis, Synthesis};

pub(super) const G722: Format = Format {
    name: "G722",
    clock_rate: 8000,
    channels: 1,
    sample_rate: 16_000,
    payload_type: Some(9),
    packet_ms: &[10, 20, 30, 40, 50, 60, 80, 100, 120],
    parameters: None,
    make: || Box::new(Coder::default()),
};

/// An encoder and a decoder; each uses its own half.
#[derive(Clone, Debug)]
struct Coder {
    analysis: Analysis,
    /// The encoder of the lower band, and that of the upper.
    low: Shape<Band>,
    high: Band,
    decoder: Bands,
    synthesis: Synthesis,
    /// Splits made-up sound, to bring the decoder to where such sound would have brought it.
    followed: Analysis,
}

impl Default for Coder {
    fn default() -> Coder {
        let Bands { low, high } = Bands::default();
        Coder {
            analysis: Analysis::default(),
            low: Shape::new(low),
            high,
            decoder: Bands::default(),
            synthesis: Synthesis::default(),
            followed: Analysis::default(),
        }
    }
}

impl Codec for Coder {
    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        let start = out.len();
        let split = samples.chunks_exact(2).map(|pair| self.analysis.split(pair[0], pair[1]));
        let (lows, highs): (Vec<i16>, Vec<i32>) = split.map(|(low, high)| (band::narrow(low), high)).unzip();
        self.low.encode(&lows, &LowerBand, out);
        for (code, high) in out[start..].iter_mut().zip(highs) {
            *code |= self.high.encode_high(high) << 6;
        }
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        for code in payload {
            let (low, high) = self.decoder.decode(*code);
            let pair = self.synthesis.join(low, high);
            self.followed.remember(pair[0], pair[1]);
            out.extend(pair);
        }
    }

    fn samples(&self, payload: &[u8]) -> usize {
        payload.len() * 2
    }

    fn fork(&self) -> Option<Box<dyn Codec>> {
        Some(Box::new(self.clone()))
    }

    fn follow(&mut self, samples: &[i16]) {
        for pair in samples.chunks_exact(2) {
            let (low, high) = self.followed.split(pair[0], pair[1]);
            // The decoder would have been sent this code.
            let mut sender = self.decoder.clone();
            let code = sender.encode(low, high);
            let (low, high) = self.decoder.decode(code);
            self.synthesis.join(low, high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signal::Dice;

    #[test]
    fn silence_stays_silence() {
        let (mut payload, mut back) = (Vec::new(), Vec::new());
        let mut coder = Coder::default();
        coder.encode(&[0; 1600], &mut payload);
        coder.decode(&payload, &mut back);
        assert!(back.iter().all(|sample| sample.abs() < 16), "{:?}", back.iter().max());
    }

    #[test]
    fn encoder_and_decoder_walk_in_step() {
        let (mut coder, mut dice) = (Coder::default(), Dice(3));
        for _ in 0..200 {
            let sound: Vec<i16> = (0..160).map(|_| (dice.fraction() * 20_000.0 - 10_000.0) as i16).collect();
            let (mut payload, mut back) = (Vec::new(), Vec::new());
            coder.encode(&sound, &mut payload);
            coder.decode(&payload, &mut back);
            assert_eq!((coder.low.state(), &coder.high), (&coder.decoder.low, &coder.decoder.high));
        }
    }

    #[test]
    fn a_decoder_that_follows_made_up_sound_is_nearer_to_the_sender_than_one_that_stands_still() {
        let sound = crate::test_signal::sine_at(700.0, 16_000, 16_000);
        // One that takes the nearest code each time, as most do.
        let (mut analysis, mut sender) = (Analysis::default(), Bands::default());
        let mut code = |pair: &[i16]| {
            let (low, high) = analysis.split(pair[0], pair[1]);
            sender.encode(low, high)
        };
        let payloads: Vec<Vec<u8>> =
            sound.chunks(320).map(|frame| frame.chunks_exact(2).map(&mut code).collect()).collect();
        let error = |follow: bool| {
            let mut decoder = Coder::default();
            let mut heard = Vec::new();
            for (n, payload) in payloads.iter().enumerate() {
                if n == 25 {
                    let guess: Vec<i16> = heard[heard.len() - 640..heard.len() - 320].to_vec();
                    if follow {
                        decoder.follow(&guess);
                    }
                    heard.extend(guess);
                } else {
                    decoder.decode(payload, &mut heard);
                }
            }
            let delay = 22;
            let after = 26 * 320..27 * 320;
            after.map(|n| (f64::from(heard[n + delay]) - f64::from(sound[n])).powi(2)).sum::<f64>()
        };
        assert!(error(true) < error(false), "{} {}", error(true), error(false));
    }
}
