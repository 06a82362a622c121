use super::*;
use crate::test_signal::{Dice, epoch, sine, speech};
use crate::tone::analyse;
use crate::{FRAME, SILENCE};
use std::time::Duration;

/// A sender, a network and a loudspeaker in virtual time.
struct Line {
    sound: Vec<i16>,
    /// How much faster the sender's clock runs, in millionths.
    ppm: f64,
    /// Delay of packet n in ms; `None`: lost.
    network: Box<dyn FnMut(usize) -> Option<f64>>,
    /// When the loudspeaker first asks, in ms.
    phase: f64,
    ssrc: u32,
}

struct Outcome {
    heard: Vec<i16>,
    played: Vec<Played>,
    measures: Measures,
    /// The delay that was measured at each frame, in ms.
    delays: Vec<u32>,
}

fn line(sound: Vec<i16>, network: impl FnMut(usize) -> Option<f64> + 'static) -> Line {
    Line { sound, ppm: 0.0, network: Box::new(network), phase: 7.0, ssrc: 1 }
}

fn micros(ms: f64) -> Duration {
    Duration::from_micros((ms * 1000.0) as u64)
}

impl Line {
    fn run(mut self) -> Outcome {
        let start = epoch();
        let mut arrivals: Vec<(Duration, usize)> = Vec::new();
        for n in 0..self.sound.len() / FRAME {
            let sent = n as f64 * 20.0 / (1.0 + self.ppm / 1e6);
            arrivals.extend((self.network)(n).map(|delay| (micros(sent + delay), n)));
        }
        arrivals.sort_by_key(|arrival| arrival.0);
        let mut arrivals = arrivals.into_iter().peekable();
        let mut buffer = Adaptive::new(start);
        let mut outcome =
            Outcome { heard: vec![], played: vec![], measures: Measures::default(), delays: vec![] };
        for tick in 0..self.sound.len() / FRAME + 10 {
            let now = micros(self.phase + tick as f64 * 20.0);
            while let Some((at, n)) = arrivals.next_if(|arrival| arrival.0 <= now) {
                let sound = &self.sound[n * FRAME..(n + 1) * FRAME];
                let payload: Vec<u8> = sound.iter().flat_map(|sample| sample.to_be_bytes()).collect();
                let timestamp = (u32::MAX - 1000).wrapping_add((n * FRAME) as u32);
                let packet = Received { payload_type: 0, ssrc: self.ssrc, timestamp, payload: &payload };
                buffer.put(start + at, packet);
            }
            let mut frame = SILENCE;
            outcome.played.push(buffer.pull(start + now, &mut decode, &mut frame));
            outcome.heard.extend_from_slice(&frame);
            outcome.delays.push(buffer.measures().delay_ms);
        }
        outcome.measures = buffer.measures();
        // What comes after the sender fell silent says nothing.
        outcome.delays.truncate(self.sound.len() / FRAME);
        outcome
    }
}

fn decode(_: u8, payload: &[u8], samples: &mut Vec<i16>) {
    samples.extend(payload.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])));
}

fn count(played: &[Played], what: Played) -> usize {
    played.iter().filter(|frame| **frame == what).count()
}

#[test]
fn a_clean_network_is_heard_bit_for_bit_after_less_than_40_ms_whatever_the_phase() {
    let sound = speech(8000 * 10, 1);
    for phase in [0.0, 3.0, 7.0, 12.5, 19.9] {
        let mut line = line(sound.clone(), |_| Some(35.0));
        line.phase = phase;
        let outcome = line.run();
        let begin = outcome.played.iter().position(|played| *played == Played::Sound).unwrap();
        let delay_ms = phase + begin as f64 * 20.0 - 35.0;
        assert!((20.0..=40.0).contains(&delay_ms), "{delay_ms}");
        let heard = &outcome.heard[begin * FRAME..];
        let length = heard.len().min(sound.len());
        assert_eq!(heard[..length], sound[..length]);
        assert_eq!(outcome.measures.target_ms, 20);
    }
}

#[test]
fn small_jitter_changes_nothing_that_is_heard() {
    for seed in 0..8 {
        let sound = speech(8000 * 10, seed);
        let mut dice = Dice(seed);
        let outcome = line(sound.clone(), move |_| Some(30.0 + 10.0 * dice.fraction())).run();
        let begin = outcome.played.iter().position(|played| *played == Played::Sound).unwrap();
        let played = &outcome.played[begin..begin + 490];
        assert_eq!(count(played, Played::Sound), 490, "seed {seed} {:?}", outcome.measures);
        assert!(outcome.measures.target_ms <= 20);
    }
}

#[test]
fn packets_in_the_wrong_order_are_put_right() {
    let sound = speech(8000 * 20, 3);
    // Every fifth packet is overtaken by its successor.
    let outcome = line(sound, |n| Some(if n % 5 == 0 { 65.0 } else { 40.0 })).run();
    // Until the buffer has learnt of it, a few may be missed.
    assert!(outcome.measures.late <= 3, "{:?}", outcome.measures);
    assert_eq!(count(&outcome.played[100..900], Played::Sound), 800);
    assert!((25..=60).contains(&outcome.measures.target_ms));
}

#[test]
fn heavy_jitter_is_absorbed_for_nearly_all_packets() {
    for seed in 0..4 {
        let mut dice = Dice(seed);
        let outcome = line(speech(8000 * 30, seed), move |_| Some(40.0 + 100.0 * dice.fraction())).run();
        let measures = outcome.measures;
        assert!((90..=110).contains(&measures.target_ms), "{measures:?}");
        assert!(measures.late + measures.discarded < 1500 / 20, "seed {seed} {measures:?}");
        assert!(outcome.delays[500..].iter().all(|delay| (60..=160).contains(delay)), "seed {seed}");
    }
}

#[test]
fn lost_packets_are_made_up_so_that_a_tone_stays_a_tone() {
    for seed in 0..10 {
        let mut dice = Dice(seed);
        let outcome = line(sine(440.0, 8000 * 20), move |_| (!dice.chance(0.05)).then_some(30.0)).run();
        let heard = analyse(&outcome.heard, 8000);
        assert!((heard.dominant_hz - 440.0).abs() < 2.0 && heard.share > 0.9, "{heard:?}");
        let concealed = outcome.measures.concealed;
        assert!((20 * 160..100 * 160).contains(&concealed), "seed {seed} {concealed}");
        assert!(outcome.measures.stretched + outcome.measures.shrunk < 2000, "{:?}", outcome.measures);
    }
}

#[test]
fn a_burst_of_losses_fades_to_silence_and_sound_returns_in_time() {
    let sound = sine(440.0, 8000 * 6);
    let outcome = line(sound, |n| (!(100..115).contains(&n)).then_some(30.0)).run();
    let loudness =
        |from: usize| outcome.heard[from * FRAME..(from + 1) * FRAME].iter().map(|s| s.abs()).max();
    assert!(loudness(103) > Some(3000));
    assert_eq!(loudness(110), Some(0));
    assert_eq!(count(&outcome.played[125..290], Played::Sound), 165, "{:?}", outcome.measures);
    assert!((20..=80).contains(outcome.delays.last().unwrap()));
}

#[test]
fn after_a_stall_of_the_network_the_delay_comes_down_again() {
    // Packets 500 to 520 are held up and come together, once.
    let stall = |n: usize| Some(if (500..520).contains(&n) { 30.0 + (520 - n) as f64 * 20.0 } else { 30.0 });
    let outcome = line(speech(8000 * 60, 5), stall).run();
    assert!(outcome.delays[2000..].iter().all(|delay| *delay <= 60), "{:?}", outcome.delays.last());
    assert!(outcome.measures.shrunk > 0 || outcome.measures.discarded > 0);
}

#[test]
fn a_longer_way_is_followed_up_and_down() {
    let outcome =
        line(speech(8000 * 60, 6), |n| Some(if (800..1800).contains(&n) { 130.0 } else { 30.0 })).run();
    assert_eq!(count(&outcome.played[1000..1700], Played::Sound), 700);
    assert!(*outcome.delays.last().unwrap() <= 60, "{:?}", outcome.delays.last());
}

#[test]
fn clocks_that_differ_by_200_ppm_never_pile_up_delay_nor_run_dry_in_ten_minutes() {
    for ppm in [-200.0, 200.0] {
        let mut line = line(sine(300.0, 8000 * 600), |_| Some(30.0));
        line.ppm = ppm;
        let outcome = line.run();
        let steady = &outcome.played[10..29_900];
        assert!(count(steady, Played::Sound) > steady.len() - 10, "{ppm} {:?}", outcome.measures);
        assert!(outcome.delays[10..29_900].iter().all(|delay| (10..=55).contains(delay)), "{ppm}");
        // 120 ms in all.
        let changed = outcome.measures.stretched as i64 - outcome.measures.shrunk as i64;
        let expected = -ppm as i64 * 8 * 600 / 1000;
        assert!((changed - expected).abs() < 400, "{ppm} {changed}");
        let heard = analyse(&outcome.heard[8000 * 500..8000 * 560], 8000);
        assert!((heard.dominant_hz - 300.0).abs() < 2.0 && heard.share > 0.95, "{heard:?}");
    }
}

#[test]
fn a_new_source_and_a_leap_of_its_clock_are_followed() {
    let start = epoch();
    let mut buffer = Adaptive::new(start);
    let mut frame = SILENCE;
    let payload: Vec<u8> = [100i16; FRAME].iter().flat_map(|sample| sample.to_be_bytes()).collect();
    let mut sounding = 0;
    for n in 0..300u32 {
        let now = start + Duration::from_millis(20) * n;
        let (ssrc, origin) = [(1, 0), (2, 0x8000_0000), (2, 5)][(n / 100) as usize];
        let timestamp = n * 160 + origin;
        buffer.put(now, Received { payload_type: 0, ssrc, timestamp, payload: &payload });
        sounding += u32::from(buffer.pull(now, &mut decode, &mut frame) == Played::Sound);
    }
    assert!(sounding > 285, "{sounding}");
}

#[test]
fn packets_of_other_lengths_are_played_too() {
    for samples in [80usize, 240, 480] {
        let start = epoch();
        let mut buffer = Adaptive::new(start);
        let mut frame = SILENCE;
        let sound = speech(samples * 200, 9);
        let mut heard = Vec::new();
        let mut sent = 0;
        for tick in 0..(200 * samples / FRAME) as u64 {
            let now = start + Duration::from_millis(20 * tick);
            // A packet leaves once its last sample was spoken.
            while (sent + 1) * samples <= (tick as usize + 1) * FRAME && sent < 200 {
                let piece = &sound[sent * samples..(sent + 1) * samples];
                let payload: Vec<u8> = piece.iter().flat_map(|sample| sample.to_be_bytes()).collect();
                let timestamp = (sent * samples) as u32;
                buffer.put(now, Received { payload_type: 0, ssrc: 1, timestamp, payload: &payload });
                sent += 1;
            }
            let played = buffer.pull(now, &mut decode, &mut frame);
            if played != Played::Silence {
                heard.extend_from_slice(&frame);
            }
        }
        let measures = buffer.measures();
        assert!(measures.concealed < 600 && measures.late < 4, "{samples} {measures:?}");
        assert!(heard.len() > samples * 180);
    }
}

#[test]
fn a_buffer_that_nobody_reads_stays_bounded() {
    let start = epoch();
    let mut buffer = Adaptive::new(start);
    for n in 0..1000u32 {
        let now = start + Duration::from_millis(20) * n;
        buffer.put(now, Received { payload_type: 0, ssrc: 1, timestamp: n * 160, payload: &[0; 320] });
    }
    assert_eq!(buffer.measures().discarded, 900);
    // And begins with what is new.
    let mut frame = SILENCE;
    let now = start + Duration::from_millis(20) * 1000;
    assert_eq!(buffer.pull(now, &mut decode, &mut frame), Played::Sound);
    assert!(buffer.measures().delay_ms < 130);
}

proptest::proptest! {
    #[test]
    fn the_buffer_is_total_whatever_comes(
        steps in proptest::collection::vec(
            (proptest::num::u32::ANY, 0u32..3, 0usize..900, 0u64..100_000, proptest::bool::ANY), 0..200)
    ) {
        let mut now = epoch();
        let mut buffer = Adaptive::new(now);
        let mut frame = SILENCE;
        let mut timestamp = 0u32;
        for (value, ssrc, length, wait, near) in steps {
            now += Duration::from_micros(wait);
            timestamp = if near { timestamp.wrapping_add(value % 2000).wrapping_sub(500) } else { value };
            let payload = vec![value as u8; length];
            buffer.put(now, Received { payload_type: 0, ssrc: ssrc / 2, timestamp, payload: &payload });
            buffer.pull(now, &mut decode, &mut frame);
        }
    }
}
