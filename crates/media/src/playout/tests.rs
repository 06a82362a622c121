use super::*;
use crate::codec::{self, Codec};
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
        let mut buffer = raw(start);
        let mut outcome =
            Outcome { heard: vec![], played: vec![], measures: Measures::default(), delays: vec![] };
        for tick in 0..self.sound.len() / FRAME + 10 {
            let now = micros(self.phase + tick as f64 * 20.0);
            while let Some((at, n)) = arrivals.next_if(|arrival| arrival.0 <= now) {
                let sound = &self.sound[n * FRAME..(n + 1) * FRAME];
                let payload: Vec<u8> = sound.iter().flat_map(|sample| sample.to_be_bytes()).collect();
                let timestamp = (u32::MAX - 1000).wrapping_add((n * FRAME) as u32);
                let packet = Received { payload_type: 0, ssrc: self.ssrc, timestamp, payload: &payload };
                buffer.push(start + at, packet);
            }
            let mut frame = SILENCE;
            outcome.played.push(buffer.pull(start + now, &mut frame));
            outcome.heard.extend_from_slice(&frame);
            outcome.delays.push(buffer.measures().delay_ms);
        }
        outcome.measures = buffer.measures();
        // What comes after the sender fell silent says nothing.
        outcome.delays.truncate(self.sound.len() / FRAME);
        outcome
    }
}

/// Samples as they are.
#[derive(Debug)]
struct Raw;

impl Codec for Raw {
    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.extend(samples.iter().flat_map(|sample| sample.to_be_bytes()));
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        out.extend(payload.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])));
    }

    fn samples(&self, payload: &[u8]) -> usize {
        payload.len() / 2
    }
}

const RAW: codec::Format = codec::Format {
    name: "raw",
    clock_rate: 8000,
    channels: 1,
    sample_rate: 8000,
    payload_type: None,
    packet_ms: &[20],
    parameters: None,
    make: || Box::new(Raw),
};

fn raw(start: Instant) -> Playout {
    Playout::new(start, 8000, [(0, &RAW)], Some(13))
}

fn count(played: &[Played], what: Played) -> usize {
    played.iter().filter(|frame| **frame == what).count()
}

#[test]
fn a_clean_network_is_heard_bit_for_bit_after_30_ms_at_most_whatever_the_phase() {
    let sound = speech(8000 * 10, 1);
    for phase in [0.0, 3.0, 7.0, 12.5, 19.9] {
        let mut line = line(sound.clone(), |_| Some(35.0));
        line.phase = phase;
        let outcome = line.run();
        let begin = outcome.played.iter().position(|played| *played == Played::Sound).unwrap();
        let delay_ms = phase + begin as f64 * 20.0 - 35.0;
        assert!((10.0..=31.0).contains(&delay_ms), "{delay_ms}");
        let heard = &outcome.heard[begin * FRAME..];
        let length = heard.len().min(sound.len());
        assert_eq!(heard[..length], sound[..length]);
        assert_eq!(outcome.measures.target_ms, 10);
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
        let concealed = outcome.measures.concealed_ms;
        assert!((400..2000).contains(&concealed), "seed {seed} {concealed}");
        assert!(outcome.measures.stretched_ms + outcome.measures.shrunk_ms < 250, "{:?}", outcome.measures);
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
    assert!((10..=80).contains(outcome.delays.last().unwrap()));
}

#[test]
fn what_one_stall_held_up_is_heard_whole_and_at_its_own_speed_at_any_phase() {
    // Packets 400 to 407 come together, 150 ms late and less.
    let stall =
        |n: usize| Some(30.0 + if (400..408).contains(&n) { 150.0 - (n - 400) as f64 * 20.0 } else { 0.0 });
    let sound = speech(8000 * 12, 4);
    for phase in 0..40 {
        let mut line = line(sound.clone(), stall);
        line.phase = f64::from(phase) / 2.0;
        let Outcome { heard, played, measures, .. } = line.run();
        let first = played[300..].iter().position(|played| *played == Played::Concealed).unwrap() + 300;
        let resumed = first + count(&played[300..500], Played::Concealed);
        assert!((140..=160).contains(&measures.concealed_ms), "{phase} {measures:?}");
        assert_eq!(
            (measures.late, measures.discarded, measures.stretched_ms),
            (0, 0, 0),
            "{phase} {measures:?}"
        );
        // But for the joint, nothing of it is missing, nor is any of it changed.
        let joint = 40;
        let behind = 400 * FRAME + joint..470 * FRAME;
        assert_eq!(heard[resumed * FRAME + joint..][..behind.len()], sound[behind], "{phase} {measures:?}");
    }
}

#[test]
fn after_a_stall_of_the_network_the_delay_comes_down_again() {
    // Packets 500 to 520 are held up and come together, once.
    let stall = |n: usize| Some(if (500..520).contains(&n) { 30.0 + (520 - n) as f64 * 20.0 } else { 30.0 });
    let outcome = line(speech(8000 * 60, 5), stall).run();
    assert!(outcome.delays[2000..].iter().all(|delay| *delay <= 60), "{:?}", outcome.delays.last());
    assert!(outcome.measures.shrunk_ms > 0 || outcome.measures.discarded > 0);
}

#[test]
fn the_second_packet_that_others_overtake_comes_in_time() {
    // The delay of others is 30 ms; two of six hundred come after the one behind them.
    let network = |n: usize| Some(if [400, 520].contains(&n) { 60.0 } else { 30.0 });
    let outcome = line(speech(8000 * 20, 7), network).run();
    assert!(count(&outcome.played[395..410], Played::Concealed) > 0, "the first is missed");
    assert_eq!(count(&outcome.played[500..600], Played::Concealed), 0);
    assert!(*outcome.delays.last().unwrap() <= 45, "{:?}", outcome.delays.last());
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
        assert!(outcome.delays[10..29_900].iter().all(|delay| (7..=45).contains(delay)), "{ppm}");
        // 120 ms in all.
        let changed = outcome.measures.stretched_ms as i64 - outcome.measures.shrunk_ms as i64;
        let expected = -ppm as i64 * 600 / 1000;
        assert!((changed - expected).abs() < 50, "{ppm} {changed}");
        let heard = analyse(&outcome.heard[8000 * 500..8000 * 560], 8000);
        assert!((heard.dominant_hz - 300.0).abs() < 2.0 && heard.share > 0.95, "{heard:?}");
    }
}

/// A tone of an encoder of ours, of which every tenth packet is lost, at the codec's rate.
fn tone_with_losses(name: &str, hz: f64) -> (Vec<i16>, Measures, u32) {
    let format = codec::by_word(name).unwrap();
    let (start, rate) = (epoch(), format.sample_rate);
    let mut playout = Playout::new(start, rate, [(96, format)], None);
    let (mut encoder, mut heard) = ((format.make)(), Vec::new());
    let sound = crate::test_signal::sine_at(hz, rate, rate as usize * 8);
    for (n, piece) in sound.chunks_exact(rate as usize / 50).enumerate() {
        let now = start + Duration::from_millis(20 * n as u64);
        let mut payload = Vec::new();
        encoder.encode(piece, &mut payload);
        let timestamp = (n as u32) * (format.clock_rate / 50);
        if n % 10 != 7 {
            playout.push(now, Received { payload_type: 96, ssrc: 1, timestamp, payload: &payload });
        }
        let mut frame = vec![0; piece.len()];
        playout.pull(now + Duration::from_millis(3), &mut frame);
        heard.extend(frame);
    }
    (heard, playout.measures(), rate)
}

#[test]
fn every_codec_bears_losses_at_its_own_rate() {
    for (name, hz) in [("opus", 500.0), ("g722", 3000.0), ("pcma", 700.0), ("pcmu", 300.0)] {
        let (heard, measures, rate) = tone_with_losses(name, hz);
        let heard = analyse(&heard[rate as usize * 2..], rate);
        assert!((heard.dominant_hz - hz as f32).abs() < 3.0 && heard.share > 0.8, "{name} {heard:?}");
        assert!(heard.active > 0.99, "{name} {heard:?}");
        // A loss makes us wait for the next packet, and no longer.
        assert!((24..=26).contains(&measures.target_ms) && measures.delay_ms <= 46, "{name} {measures:?}");
    }
}

#[test]
fn comfort_noise_is_heard_until_sound_comes_again() {
    let start = epoch();
    let mut playout = raw(start);
    let mut frame = SILENCE;
    let description = offhook_rtp::ComfortNoise { level: 40, reflection: vec![] }.to_bytes();
    let payload: Vec<u8> = [3000i16; FRAME].iter().flat_map(|sample| sample.to_be_bytes()).collect();
    let mut levels = Vec::new();
    for n in 0..200u32 {
        let now = start + Duration::from_millis(20) * n;
        let packet = |payload_type, payload| Received { payload_type, ssrc: 1, timestamp: n * 160, payload };
        if !(50..150).contains(&n) {
            playout.push(now, packet(0, &payload));
        } else if n == 50 {
            playout.push(now, packet(13, &description));
        }
        playout.pull(now, &mut frame);
        levels.push(crate::noise::describe(&frame).level);
    }
    assert!(levels[55..148].iter().all(|level| level.abs_diff(40) <= 3), "{levels:?}");
    assert!(levels[153..].iter().all(|level| *level < 25), "{levels:?}");
}

#[test]
fn another_codec_in_the_middle_of_a_call_is_heard_at_the_same_rate() {
    let (start, rate) = (epoch(), 48_000);
    let formats = ["opus", "pcmu"].map(|name| codec::by_word(name).unwrap());
    let mut playout = Playout::new(start, rate, [(96, formats[0]), (0, formats[1])], None);
    let mut heard = Vec::new();
    let mut encoders = formats.map(|format| (format.make)());
    for n in 0..200usize {
        let now = start + Duration::from_millis(20 * n as u64);
        let which = usize::from(n >= 100);
        let format = formats[which];
        let tone = crate::test_signal::sine_at(600.0, format.sample_rate, format.samples_in(20));
        let mut payload = Vec::new();
        encoders[which].encode(&tone, &mut payload);
        let (payload_type, timestamp) = ([96, 0][which], (n as u32) * format.clock_rate / 50);
        playout.push(now, Received { payload_type, ssrc: 1, timestamp, payload: &payload });
        let mut frame = vec![0; 960];
        playout.pull(now, &mut frame);
        heard.extend(frame);
    }
    for half in [&heard[48_000..96_000], &heard[120_000..]] {
        let heard = analyse(half, rate);
        assert!((heard.dominant_hz - 600.0).abs() < 5.0 && heard.share > 0.8, "{heard:?}");
    }
}

#[test]
fn a_new_source_and_a_leap_of_its_clock_are_followed() {
    let start = epoch();
    let mut buffer = raw(start);
    let mut frame = SILENCE;
    let payload: Vec<u8> = [100i16; FRAME].iter().flat_map(|sample| sample.to_be_bytes()).collect();
    let mut sounding = 0;
    for n in 0..300u32 {
        let now = start + Duration::from_millis(20) * n;
        let (ssrc, origin) = [(1, 0), (2, 0x8000_0000), (2, 5)][(n / 100) as usize];
        let timestamp = n * 160 + origin;
        buffer.push(now, Received { payload_type: 0, ssrc, timestamp, payload: &payload });
        sounding += u32::from(buffer.pull(now, &mut frame) == Played::Sound);
    }
    assert!(sounding > 285, "{sounding}");
}

#[test]
fn packets_of_other_lengths_are_played_too() {
    for samples in [80usize, 240, 480] {
        let start = epoch();
        let mut buffer = raw(start);
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
                buffer.push(now, Received { payload_type: 0, ssrc: 1, timestamp, payload: &payload });
                sent += 1;
            }
            let played = buffer.pull(now, &mut frame);
            if played != Played::Silence {
                heard.extend_from_slice(&frame);
            }
        }
        let measures = buffer.measures();
        assert!(measures.concealed_ms < 75 && measures.late < 4, "{samples} {measures:?}");
        assert!(heard.len() > samples * 180);
    }
}

#[test]
fn a_buffer_that_nobody_reads_stays_bounded() {
    let start = epoch();
    let mut buffer = raw(start);
    for n in 0..1000u32 {
        let now = start + Duration::from_millis(20) * n;
        buffer.push(now, Received { payload_type: 0, ssrc: 1, timestamp: n * 160, payload: &[0; 320] });
    }
    assert_eq!(buffer.measures().discarded, 900);
    // And begins with what is new.
    let mut frame = SILENCE;
    let now = start + Duration::from_millis(20) * 1000;
    assert_eq!(buffer.pull(now, &mut frame), Played::Sound);
    assert!(buffer.measures().delay_ms < 130);
}

proptest::proptest! {
    #[test]
    fn the_buffer_is_total_whatever_comes(
        steps in proptest::collection::vec(
            (proptest::num::u32::ANY, 0u32..3, 0usize..900, 0u64..100_000, proptest::bool::ANY), 0..200)
    ) {
        let mut now = epoch();
        let mut buffer = raw(now);
        let mut frame = SILENCE;
        let mut timestamp = 0u32;
        for (value, ssrc, length, wait, near) in steps {
            now += Duration::from_micros(wait);
            timestamp = if near { timestamp.wrapping_add(value % 2000).wrapping_sub(500) } else { value };
            let payload = vec![value as u8; length];
            buffer.push(now, Received { payload_type: 0, ssrc: ssrc / 2, timestamp, payload: &payload });
            buffer.pull(now, &mut frame);
        }
    }
}
