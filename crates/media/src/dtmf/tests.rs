use super::*;
use crate::test_signal::{Dice, sine, speech};

/// Digits as tones of `on` samples with `off` samples of silence between, beginning after `lead`.
fn dialled(digits: &str, on: usize, off: usize, lead: usize) -> Vec<i16> {
    let mut samples = vec![0; lead];
    for digit in digits.chars() {
        let start = samples.len();
        samples.resize(start + on, 0);
        tone(digit, 8000).unwrap().fill(&mut samples[start..]);
        samples.resize(samples.len() + off, 0);
    }
    samples
}

fn heard(samples: &[i16]) -> String {
    let (mut detector, mut keys) = (Detector::new(), Vec::new());
    for frame in samples.chunks(160) {
        detector.push(frame, &mut keys);
    }
    keys.into_iter().collect()
}

#[test]
fn every_key_is_heard_once_however_it_falls_on_the_blocks() {
    let all = "0123456789*#ABCD11223";
    for lead in (0..210).step_by(13) {
        assert_eq!(heard(&dialled(all, 400, 400, lead)), all, "lead {lead}");
        assert_eq!(heard(&dialled(all, 330, 330, lead)), all, "short, lead {lead}");
    }
    assert_eq!(heard(&dialled("5", 8000, 100, 0)), "5");
}

#[test]
fn keys_survive_noise_and_a_codec() {
    let mut dice = Dice(4);
    let codec = crate::codec::by_name("PCMA", 8000).unwrap();
    let noisy: Vec<i16> =
        dialled("19*0", 640, 400, 50).iter().map(|s| s + (1500.0 * (dice.fraction() - 0.5)) as i16).collect();
    let (mut payload, mut samples) = (Vec::new(), Vec::new());
    (codec.make)().encode(&noisy, &mut payload);
    (codec.make)().decode(&payload, &mut samples);
    assert_eq!(heard(&samples), "19*0");
}

#[test]
fn single_tones_speech_and_noise_are_no_keys() {
    assert_eq!(heard(&sine(697.0, 8000)), "");
    assert_eq!(heard(&sine(1336.0, 8000)), "");
    for seed in 0..5 {
        assert_eq!(heard(&speech(8000 * 10, seed)), "");
    }
    let mut dice = Dice(9);
    let noise: Vec<i16> = (0..80000).map(|_| (20000.0 * (dice.fraction() - 0.5)) as i16).collect();
    assert_eq!(heard(&noise), "");
    assert!(tone('x', 8000).is_none());
}

#[test]
fn a_key_goes_down_and_up_once_and_lasts_as_long_as_it_sounds() {
    let sound = dialled("57", 1600, 800, 100);
    let (mut detector, mut down, mut lasted) = (Detector::new(), None, Vec::new());
    for (n, piece) in sound.chunks(80).enumerate() {
        let mut presses = Vec::new();
        detector.listen(piece, &mut presses);
        for press in presses {
            match press {
                Press::Down(key) => down = Some((key, n)),
                Press::Up(key) => {
                    let (before, from) = down.take().unwrap();
                    assert_eq!(before, key);
                    lasted.push((key, (n - from) * 10));
                }
            }
        }
    }
    let keys: String = lasted.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, "57");
    assert!(lasted.iter().all(|(_, ms)| (180..=230).contains(ms)), "{lasted:?}");
}

#[test]
fn a_row_may_be_louder_than_its_column_but_not_the_other_way_round() {
    let key = |low_db: f32, high_db: f32| {
        let mut mix = vec![0i16; 1600];
        for (hz, db) in [(770.0, low_db), (1336.0, high_db)] {
            let mut tone = vec![0i16; 1600];
            crate::tone::Tone::sine(hz, db, 8000).fill(&mut tone);
            mix.iter_mut().zip(tone).for_each(|(sum, sample)| *sum += sample);
        }
        heard(&mix)
    };
    assert_eq!(key(-13.0, -13.0), "5");
    assert_eq!(key(-10.0, -17.0), "5");
    assert_eq!(key(-15.0, -11.0), "5");
    assert_eq!(key(-10.0, -21.0), "");
    assert_eq!(key(-20.0, -11.0), "");
}
