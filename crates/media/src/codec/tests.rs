use super::*;
use crate::test_signal::{Dice, sine_at};
use crate::tone::analyse;

/// Packets of 20 ms through a fresh encoder and decoder.
fn round(format: &Format, sound: &[i16]) -> Vec<i16> {
    let (mut encoder, mut decoder) = ((format.make)(), (format.make)());
    let mut back = Vec::new();
    for frame in sound.chunks_exact(format.samples_in(20)) {
        let mut payload = Vec::new();
        encoder.encode(frame, &mut payload);
        let before = back.len();
        decoder.decode(&payload, &mut back);
        assert_eq!(back.len() - before, decoder.samples(&payload), "{format:?}");
        assert_eq!(back.len() - before, frame.len(), "{format:?}");
    }
    back
}

#[test]
fn every_codec_is_found_by_name_and_number() {
    for format in CODECS {
        assert_eq!(by_name(&format.name.to_lowercase(), format.clock_rate), Some(format));
        assert_eq!(by_word(&format.name.to_uppercase()), Some(format));
        if let Some(number) = format.payload_type {
            assert_eq!(by_payload_type(number), Some(format));
        }
    }
    assert_eq!(by_name("PCMU", 16000), None);
}

#[test]
fn a_tone_survives_every_codec_at_its_loudness() {
    for format in CODECS {
        let tone = sine_at(440.0, format.sample_rate, format.sample_rate as usize * 2);
        let back = round(format, &tone);
        let (said, heard) = (analyse(&tone, format.sample_rate), analyse(&back, format.sample_rate));
        assert!((heard.dominant_hz - 440.0).abs() < 1.0 && heard.share > 0.95, "{format:?} {heard:?}");
        assert!((heard.level_dbov - said.level_dbov).abs() < 1.0, "{format:?} {heard:?}");
    }
}

#[test]
fn a_tone_of_6_khz_survives_wideband_codecs_only() {
    for format in CODECS.iter().filter(|format| format.sample_rate > 8000) {
        let tone = sine_at(6000.0, format.sample_rate, format.sample_rate as usize * 2);
        let heard = analyse(&round(format, &tone), format.sample_rate);
        assert!((heard.dominant_hz - 6000.0).abs() < 2.0 && heard.share > 0.8, "{format:?} {heard:?}");
    }
}

#[test]
fn packet_lengths_are_the_nearest_that_the_codec_has() {
    let opus = by_word("opus").unwrap();
    assert_eq!([1, 20, 29, 31, 500].map(|ms| opus.nearest_packet_ms(ms)), [10, 20, 20, 40, 60]);
    let pcmu = by_word("pcmu").unwrap();
    assert_eq!([1, 20, 30, 500].map(|ms| pcmu.nearest_packet_ms(ms)), [10, 20, 30, 200]);
}

#[test]
fn any_bytes_may_be_decoded() {
    for format in CODECS {
        let (mut codec, mut dice) = ((format.make)(), Dice(5));
        for length in (0..400).chain([1500, 65_000]) {
            let payload: Vec<u8> = (0..length).map(|_| dice.roll() as u8).collect();
            let mut samples = Vec::new();
            codec.decode(&payload, &mut samples);
            codec.samples(&payload);
            codec.carries_previous(&payload);
            codec.is_pause(&payload);
            codec.recover(&payload, 960, &mut samples);
            codec.conceal(length, &mut samples);
            assert!(samples.len() <= 140_000, "{format:?} {length}");
        }
    }
}
