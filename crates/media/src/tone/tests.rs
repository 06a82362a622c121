use super::*;
use crate::test_signal::{Dice, sine, speech};

#[test]
fn a_sine_is_heard_at_its_frequency_and_level() {
    for hz in [100.0, 440.0, 1000.0, 1004.0, 3000.0] {
        let mut samples = vec![0; 8000];
        Tone::sine(hz, -20.0, 8000).fill(&mut samples);
        let heard = analyse(&samples, 8000);
        assert!((heard.dominant_hz - hz).abs() < 0.5, "{hz} {heard:?}");
        assert!((heard.level_dbov + 20.0).abs() < 0.2 && heard.is_tone(), "{heard:?}");
        assert!(Expectation::Tone(hz).is_met_by(&heard) && !Expectation::Speech.is_met_by(&heard));
        assert!(!Expectation::Tone(hz * 1.2).is_met_by(&heard));
    }
}

#[test]
fn a_short_tone_in_a_long_silence_is_still_a_tone() {
    let mut samples = vec![0; 8000];
    samples.extend(sine(440.0, 2400));
    samples.extend([0; 24000]);
    let heard = analyse(&samples, 8000);
    assert!(Expectation::Tone(440.0).is_met_by(&heard), "{heard:?}");
    assert!((heard.active - 2400.0 / 34400.0).abs() < 0.01);
}

#[test]
fn a_tone_at_another_rate_is_heard_right() {
    let mut samples = vec![0; 48000];
    Tone::sine(1000.0, -10.0, 48000).fill(&mut samples);
    assert!((analyse(&samples, 48000).dominant_hz - 1000.0).abs() < 0.5);
}

#[test]
fn a_voice_is_speech_and_noise_is_neither() {
    for seed in 0..5 {
        let heard = analyse(&speech(8000 * 5, seed), 8000);
        assert!(Expectation::Speech.is_met_by(&heard), "{heard:?}");
        let mut dice = Dice(seed);
        let noise: Vec<i16> = (0..40000).map(|_| (8000.0 * (dice.fraction() - 0.5)) as i16).collect();
        let heard = analyse(&noise, 8000);
        assert!(!heard.is_speech() && !heard.is_tone() && !heard.is_silent(), "{heard:?}");
    }
}

#[test]
fn nothing_and_codec_noise_are_silence() {
    let mut dice = Dice(1);
    let hiss: Vec<i16> = (0..16000).map(|_| (dice.roll() % 17) as i16 - 8).collect();
    for samples in [vec![], vec![0; 16000], vec![8; 16000], hiss] {
        let heard = analyse(&samples, 8000);
        assert!(Expectation::Silence.is_met_by(&heard), "{heard:?}");
        assert!(!Expectation::Tone(440.0).is_met_by(&heard) && !Expectation::Speech.is_met_by(&heard));
    }
}

#[test]
fn listening_in_pieces_is_the_same_as_at_once() {
    let samples = speech(8000 * 3, 2);
    let mut analyser = Analyser::new(8000);
    for piece in samples.chunks(77) {
        analyser.push(piece);
    }
    assert_eq!(analyser.heard(), analyse(&samples, 8000));
}

#[test]
fn cadences_are_on_and_off() {
    let mut samples = vec![0; 8000 * 6];
    Tone::cadence(&RINGBACK, 8000).fill(&mut samples);
    let loud = |from_ms: usize, to_ms: usize| samples[from_ms * 8..to_ms * 8].iter().any(|s| *s != 0);
    assert!(loud(0, 1000) && !loud(1000, 5000) && loud(5001, 6000));
    assert!(analyse(&samples, 8000).is_tone());
}

#[test]
fn expectations_are_read_and_written() {
    for text in ["tone:440", "tone:1004.5", "speech", "silence"] {
        assert_eq!(text.parse::<Expectation>().unwrap().to_string(), text);
    }
    for text in ["", "tone", "tone:", "tone:x", "tone:5", "tone:NaN", "tone:9000", "noise"] {
        assert_eq!(text.parse::<Expectation>(), Err(UnknownExpectation), "{text}");
    }
}
