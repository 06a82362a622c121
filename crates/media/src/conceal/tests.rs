use super::*;
use crate::test_signal::{Dice, sine_at, speech_at};
use crate::tone::analyse;

/// Loses every eighth frame of 20 ms; `sees` tells the concealer what follows.
fn with_gaps(rate: u32, sound: &[i16], sees: bool) -> Vec<i16> {
    let frame = rate as usize / 50;
    let mut concealer = Concealer::new(rate);
    let mut out = Vec::new();
    for (n, piece) in sound.chunks_exact(frame).enumerate() {
        if n % 8 == 7 {
            let future =
                if sees { sound.get((n + 1) * frame..(n + 2) * frame).unwrap_or_default() } else { &[] };
            concealer.conceal(frame, future, &mut out);
        } else {
            let mut piece = piece.to_vec();
            concealer.heard(&mut piece);
            out.extend(piece);
        }
    }
    out
}

fn error(a: &[i16], b: &[i16]) -> f64 {
    let noise: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    noise / b.iter().map(|b| f64::from(*b).powi(2)).sum::<f64>()
}

#[test]
fn a_tone_stays_a_tone_at_every_rate() {
    for rate in [8000, 16_000, 48_000] {
        for sees in [false, true] {
            let heard = analyse(&with_gaps(rate, &sine_at(310.0, rate, rate as usize * 4), sees), rate);
            assert!((heard.dominant_hz - 310.0).abs() < 2.0 && heard.share > 0.9, "{rate} {sees} {heard:?}");
        }
    }
}

#[test]
fn knowing_what_follows_makes_a_better_guess() {
    for rate in [8000, 16_000] {
        let (mut blind, mut seeing) = (0.0, 0.0);
        for seed in 0..6 {
            let sound = speech_at(rate, rate as usize * 6, seed);
            blind += error(&with_gaps(rate, &sound, false), &sound);
            seeing += error(&with_gaps(rate, &sound, true), &sound);
        }
        assert!(seeing < 0.7 * blind, "{rate} {seeing} {blind}");
    }
}

#[test]
fn a_long_gap_fades_to_silence_but_a_stall_of_the_network_does_not() {
    let mut concealer = Concealer::new(8000);
    concealer.heard(&mut sine_at(300.0, 8000, 800));
    let mut out = Vec::new();
    for _ in 0..10 {
        concealer.conceal(160, &[], &mut out);
    }
    assert!(out[..160].iter().any(|sample| sample.abs() > 8000));
    assert!(out[960..1120].iter().any(|sample| sample.abs() > 1000));
    assert!(out[1280..].iter().all(|sample| *sample == 0));
}

#[test]
fn nothing_heard_is_continued_by_silence() {
    let mut out = Vec::new();
    Concealer::new(8000).conceal(160, &[], &mut out);
    Concealer::new(8000).conceal(160, &[500; 160], &mut out);
    assert_eq!(out, [0; 320]);
}

#[test]
fn any_pieces_in_any_order_are_taken() {
    let mut dice = Dice(2);
    for rate in [8000, 16_000, 48_000] {
        let mut concealer = Concealer::new(rate);
        for _ in 0..300 {
            let mut sound: Vec<i16> = (0..dice.roll() as usize % 1000).map(|_| dice.roll() as i16).collect();
            let count = dice.roll() as usize % 2000;
            let mut out = Vec::new();
            if dice.chance(0.5) {
                concealer.heard(&mut sound);
            }
            concealer.conceal(count, &sound, &mut out);
            assert_eq!(out.len(), count);
        }
    }
}
