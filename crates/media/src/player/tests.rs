use super::*;
use crate::tone::analyse;
use std::f64::consts::TAU;
use std::io::Cursor;

fn wav(rate: u32, channels: u16, bits: u16, format: hound::SampleFormat, seconds: f64) -> Vec<u8> {
    let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for n in 0..(f64::from(rate) * seconds) as usize {
        let value = 0.5 * (TAU * 440.0 * n as f64 / f64::from(rate)).sin();
        for _ in 0..channels {
            match format {
                hound::SampleFormat::Float => writer.write_sample(value as f32).unwrap(),
                hound::SampleFormat::Int => {
                    let full = 2f64.powi(i32::from(bits) - 1) - 1.0;
                    writer.write_sample((value * full) as i32).unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn error(bytes: &[u8]) -> String {
    Player::new(bytes, "hello.wav", false).unwrap_err().to_string()
}

#[test]
fn files_of_any_rate_width_and_channels_play_the_same_tone() {
    use hound::SampleFormat::{Float, Int};
    let kinds = [
        (8000, 1, 16, Int),
        (8000, 2, 8, Int),
        (11025, 1, 16, Int),
        (16000, 1, 24, Int),
        (22050, 2, 16, Int),
        (44100, 2, 16, Int),
        (48000, 1, 32, Float),
        (48000, 6, 32, Int),
        (96000, 2, 24, Int),
        (7919, 1, 16, Int),
    ];
    for (rate, channels, bits, format) in kinds {
        let player = Player::new(&wav(rate, channels, bits, format, 1.5)[..], "x", false).unwrap();
        let samples = player.samples();
        assert!((samples.len() as i64 - 12000).abs() <= 2, "{rate} {}", samples.len());
        let heard = analyse(samples, 8000);
        assert!((heard.dominant_hz - 440.0).abs() < 1.0 && heard.share > 0.95, "{rate} {bits} {heard:?}");
        assert!((heard.level_dbov + 9.0).abs() < 0.3, "{rate} {bits} {heard:?}");
    }
}

#[test]
fn sound_above_half_our_rate_does_not_fold_back() {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for n in 0..48000 {
        writer.write_sample((16000.0 * (TAU * 7000.0 * f64::from(n) / 48000.0).sin()) as i16).unwrap();
    }
    writer.finalize().unwrap();
    let player = Player::new(&bytes.into_inner()[..], "x", false).unwrap();
    // The edges are no steady tone.
    assert!(analyse(&player.samples()[200..7800], 8000).is_silent());
}

#[test]
fn a_player_ends_with_a_filled_frame_or_begins_again() {
    let samples: Vec<i16> = (1..=200).collect();
    let mut once = Player::from_samples(samples.clone(), false);
    assert_eq!(once.next_frame(8000).unwrap()[159], 160);
    let last = once.next_frame(8000).unwrap();
    assert_eq!((last[39], last[40]), (200, 0));
    assert_eq!(once.next_frame(8000), None);
    let mut looped = Player::from_samples(samples, true);
    looped.next_frame(8000);
    let second = looped.next_frame(8000).unwrap();
    assert_eq!((second[39], second[40]), (200, 1));
    assert_eq!(Player::from_samples(vec![], true).next_frame(8000), None);
}

#[test]
fn a_bad_file_is_named_with_what_is_wrong() {
    assert!(error(b"").starts_with("cannot play hello.wav: "));
    for (bytes, what) in [
        (&b"ID3 this is an mp3, really it is............................"[..], "MP3 without sound"),
        (b"RIFF....WAVEjunk", "not a proper WAV"),
        (b"fLaC and nothing after it", "not a proper FLAC"),
        (b"OggS and neither of the two", "Ogg without Vorbis or Opus"),
        (b"OggS....OpusHead", "not a proper Opus"),
        (b"OggS....\x01vorbis", "not a proper Vorbis"),
        (b"\0\0\0\x20ftypM4A ", "MP4 or M4A"),
        (b"Dear Sir or Madam", "something else"),
    ] {
        assert!(error(bytes).contains(what), "{what}: {}", error(bytes));
    }
    let good = wav(8000, 1, 16, hound::SampleFormat::Int, 0.1);
    assert!(error(&good[..30]).starts_with("cannot play hello.wav: "));
    assert!(error(&wav(8000, 1, 16, hound::SampleFormat::Int, 0.0)).contains("holds no sound"));
    let mut law = good.clone();
    law[20] = 6; // A-law
    assert!(error(&law).starts_with("cannot play hello.wav: "), "{}", error(&law));
    assert!(Player::new(&good[..good.len() - 101], "cut", false).is_ok());
    let slow = wav(500, 1, 16, hound::SampleFormat::Int, 1.0);
    assert!(error(&slow).contains("500 Hz"), "{}", error(&slow));
}

#[test]
fn a_wideband_file_is_played_wideband_and_goes_on_at_its_place_at_another_rate() {
    let bytes = wav(48_000, 1, 16, hound::SampleFormat::Int, 2.0);
    let mut player = Player::new(&bytes[..], "x", false).unwrap();
    let mut heard = Vec::new();
    for _ in 0..50 {
        heard.extend(player.next_frame(16_000).unwrap());
    }
    let tone = analyse(&heard, 16_000);
    assert!((tone.dominant_hz - 440.0).abs() < 1.0 && tone.share > 0.95, "{tone:?}");
    let rest = std::iter::from_fn(|| player.next_frame(48_000)).count();
    assert!(rest.abs_diff(50) <= 1, "{rest}");
}

const FLAC: &[u8] = include_bytes!("samples/tone.flac");
const VORBIS: &[u8] = include_bytes!("samples/tone-vorbis.ogg");
const OPUS: &[u8] = include_bytes!("samples/tone.opus");
const MP3: &[u8] = include_bytes!("samples/tone.mp3");

#[test]
fn every_kind_of_file_plays_its_tone() {
    for (bytes, kind) in [(FLAC, "FLAC"), (VORBIS, "Vorbis"), (OPUS, "Opus"), (MP3, "MP3")] {
        // Its name does not count.
        let player = Player::new(bytes, "x.wav", false).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let samples = player.into_samples(16_000);
        assert!(samples.len().abs_diff(8000) < 900, "{kind}: {}", samples.len());
        let heard = analyse(&samples[1000..7000], 16_000);
        assert!((heard.dominant_hz - 440.0).abs() < 3.0 && heard.share > 0.95, "{kind}: {heard:?}");
        assert!((heard.level_dbov + 9.0).abs() < 0.5, "{kind}: {heard:?}");
    }
}

proptest::proptest! {
    #[test]
    fn broken_files_end(kind in 0..4_usize, place in 0..4096_usize, value in proptest::num::u8::ANY, length in 0..4096_usize) {
        let whole = [FLAC, VORBIS, OPUS, MP3][kind];
        let mut bytes = whole.to_vec();
        bytes[place % whole.len()] = value;
        let _ = Player::new(&bytes[..], "x", false);
        let _ = Player::new(&whole[..length % whole.len()], "x", false);
    }
}
