use super::*;
use crate::test_signal::{Dice, sine_at};
use crate::tone::analyse;

const RATES: [u32; 3] = [8000, 16_000, 48_000];

fn resample(from: u32, to: u32, sound: &[i16]) -> Vec<i16> {
    let mut out = Vec::new();
    Resampler::new(from, to).push(sound, &mut out);
    out
}

fn pairs() -> impl Iterator<Item = (u32, u32)> {
    RATES.into_iter().flat_map(|from| RATES.into_iter().map(move |to| (from, to)))
}

#[test]
fn speech_frequencies_keep_their_loudness_within_half_a_db() {
    for (from, to) in pairs() {
        for hz in [100.0, 440.0, 1000.0, 2500.0, 3400.0] {
            let tone = sine_at(hz, from, from as usize * 2);
            let heard = analyse(&resample(from, to, &tone), to);
            let said = analyse(&tone, from);
            assert!(
                (heard.dominant_hz - hz as f32).abs() < 1.0 && heard.share > 0.99,
                "{from} {to} {heard:?}"
            );
            assert!((heard.level_dbov - said.level_dbov).abs() < 0.5, "{from} {to} {hz} {heard:?}");
        }
    }
}

#[test]
fn what_the_lower_rate_cannot_hold_is_taken_away() {
    for (from, to) in [(48_000, 8000), (16_000, 8000), (48_000, 16_000)] {
        let hz = f64::from(to) * 0.58;
        let tone = sine_at(hz, from, from as usize);
        let back = resample(from, to, &tone);
        let rms = |samples: &[i16]| {
            (samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
        };
        assert!(rms(&back[400..]) < rms(&tone) / 300.0, "{from} {to} {}", rms(&back[400..]));
    }
}

#[test]
fn images_of_the_lower_rate_are_not_heard() {
    for (from, to) in [(8000, 48_000), (8000, 16_000), (16_000, 48_000)] {
        let hz = f64::from(from) * 0.42;
        let heard = analyse(&resample(from, to, &sine_at(hz, from, from as usize * 2)), to);
        assert!(heard.share > 0.999, "{from} {to} {heard:?}");
    }
}

#[test]
fn the_delay_is_at_most_3_ms_and_as_it_says() {
    for (from, to) in pairs() {
        let resampler = Resampler::new(from, to);
        assert!(resampler.delay_ms() <= 3.0, "{from} {to} {}", resampler.delay_ms());
        let mut click = vec![0i16; from as usize / 10];
        let at = from as usize / 20;
        click[at] = 20_000;
        let back = resample(from, to, &click);
        let peak = (0..back.len()).max_by_key(|n| back[*n]).unwrap();
        let later = peak as f32 * 1000.0 / to as f32 - 50.0;
        assert!((later - resampler.delay_ms()).abs() < 0.13, "{from} {to} {later}");
    }
}

#[test]
fn pieces_of_any_length_give_what_the_whole_gives() {
    let mut dice = Dice(1);
    for (from, to) in pairs() {
        let sound: Vec<i16> = (0..5000).map(|_| (dice.roll() as i16) / 2).collect();
        let (mut resampler, mut pieces, mut rest) = (Resampler::new(from, to), Vec::new(), &sound[..]);
        while !rest.is_empty() {
            let (piece, others) = rest.split_at((dice.roll() as usize % 300).min(rest.len()));
            resampler.push(piece, &mut pieces);
            rest = others;
        }
        assert_eq!(pieces, resample(from, to, &sound), "{from} {to}");
        let expected = sound.len() * to as usize / from as usize;
        assert!(pieces.len().abs_diff(expected) <= 1, "{from} {to} {}", pieces.len());
        // Whole frames in, whole frames out, at every moment.
        let mut frame = Vec::new();
        let mut resampler = Resampler::new(from, to);
        for _ in 0..10 {
            frame.clear();
            resampler.push(&vec![1; from as usize / 50], &mut frame);
            assert_eq!(frame.len(), to as usize / 50, "{from} {to}");
        }
    }
}
