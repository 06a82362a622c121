//! G.711: one byte a sample, µ-law (RFC 3551 §4.5.14) and A-law.
//!
//! The encoder shapes its noise like the speech around it, which hides it better; any decoder plays that. Sound that
//! the code can say exactly, as that of another G.711 call, is encoded exactly.

use super::shape::{Quantiser, Shape};
use super::{Codec, Format};
use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

pub(super) const PCMU: Format =
    Format { make: || Box::new(Coder::new(encode_ulaw, decode_ulaw)), ..format("PCMU", 0) };

pub(super) const PCMA: Format = format("PCMA", 8);

const fn format(name: &'static str, payload_type: u8) -> Format {
    Format {
        name,
        clock_rate: 8000,
        channels: 1,
        sample_rate: 8000,
        payload_type: Some(payload_type),
        packet_ms: &[10, 20, 30, 40, 50, 60, 80, 100, 120, 140, 160, 180, 200],
        parameters: None,
        make: || Box::new(Coder::new(encode_alaw, decode_alaw)),
    }
}

#[derive(Debug)]
struct Coder {
    law: Law,
    shape: Shape<()>,
}

#[derive(Debug)]
struct Law {
    code: fn(i16) -> u8,
    sample: fn(u8) -> i16,
    /// All codes from the least to the greatest sample, and the place of each.
    codes: [u8; 256],
    places: [u8; 256],
}

impl Coder {
    fn new(code: fn(i16) -> u8, sample: fn(u8) -> i16) -> Coder {
        let mut codes: [u8; 256] = std::array::from_fn(|code| code as u8);
        codes.sort_by_key(|code| sample(*code));
        let mut places = [0; 256];
        for (place, code) in (0..=u8::MAX).zip(codes) {
            places[usize::from(code)] = place;
        }
        Coder { law: Law { code, sample, codes, places }, shape: Shape::new(()) }
    }
}

impl Quantiser for Law {
    type State = ();

    fn nearest(&self, (): &(), value: i16) -> [(u8, i16); 2] {
        let code = (self.code)(value);
        let (heard, place) = ((self.sample)(code), self.places[usize::from(code)]);
        let beside = if heard > value { place.saturating_sub(1) } else { place.saturating_add(1) };
        let other = self.codes[usize::from(beside)];
        [(code, heard), (other, (self.sample)(other))]
    }

    fn chosen(&self, (): &mut (), _code: u8) {}
}

impl Codec for Coder {
    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        self.shape.encode(samples, &self.law, out);
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        out.extend(payload.iter().map(|byte| (self.law.sample)(*byte)));
    }

    fn samples(&self, payload: &[u8]) -> usize {
        payload.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signal::speech;

    #[test]
    fn what_was_g711_before_is_encoded_without_another_loss() {
        for format in [PCMU, PCMA] {
            let (mut once, mut twice) = (Vec::new(), Vec::new());
            let (mut payload, mut again) = (Vec::new(), Vec::new());
            (format.make)().encode(&speech(16_000, 1), &mut payload);
            (format.make)().decode(&payload, &mut once);
            (format.make)().encode(&once, &mut again);
            (format.make)().decode(&again, &mut twice);
            assert_eq!(once, twice, "{format:?}");
        }
    }

    #[test]
    fn silence_is_silent_also_after_loud_sound() {
        for format in [PCMU, PCMA] {
            let mut sound = speech(8000, 2);
            sound.extend([0; 4000]);
            let (mut codec, mut payload, mut back) = ((format.make)(), Vec::new(), Vec::new());
            codec.encode(&sound, &mut payload);
            codec.decode(&payload, &mut back);
            assert!(back[9000..].iter().all(|sample| sample.abs() <= 8), "{format:?}");
        }
    }

    #[test]
    fn the_noise_lies_where_the_speech_is() {
        let sound = speech(32_000, 3);
        let (mut codec, mut payload, mut back) = ((PCMU.make)(), Vec::new(), Vec::new());
        codec.encode(&sound, &mut payload);
        codec.decode(&payload, &mut back);
        let plain: Vec<i16> = sound.iter().map(|sample| decode_ulaw(encode_ulaw(*sample))).collect();
        // Speech is loud below 1 kHz: noise that is left in the differences of neighbours lies above.
        let high = |heard: &[i16]| -> f64 {
            let noise: Vec<f64> =
                heard.iter().zip(&sound).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
            noise.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum()
        };
        assert!(high(&back) < 0.8 * high(&plain), "{} {}", high(&back), high(&plain));
    }
}
