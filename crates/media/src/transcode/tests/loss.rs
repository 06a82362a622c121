use super::*;
use crate::test_signal::speech_at;

#[test]
fn a_lost_packet_is_a_gap_in_the_numbers_and_the_rest_stays_in_its_place() {
    for (from, to) in [("pcmu", "pcma"), ("g722", "pcmu"), ("pcmu", "opus"), ("g722", "opus")] {
        let mut way = Way::new(format(from), format(to));
        let frame = vec![700; way.from.codec.samples_in(20)];
        for n in 0..40 {
            let bytes = way.make(&frame);
            if n % 10 != 5 && n % 10 != 6 {
                way.send(&bytes);
            }
        }
        let step = way.to.codec.clock_rate / 50;
        let places: Vec<u32> =
            way.sent().iter().map(|s| s.0.timestamp.wrapping_sub(NUMBERS.timestamp) / step).collect();
        let numbers: Vec<u32> =
            way.sent().iter().map(|s| u32::from(s.0.sequence.wrapping_sub(NUMBERS.sequence))).collect();
        let expected: Vec<u32> = (0..40).filter(|n| n % 10 != 5 && n % 10 != 6).collect();
        assert_eq!((&places, &numbers), (&expected, &expected), "{from} {to}");
        assert!(way.sent().iter().skip(1).all(|(header, _)| !header.marker));
    }
}

#[test]
fn a_lost_packet_of_opus_is_found_in_its_successor() {
    let mut way = Way::new(format("opus"), format("pcmu"));
    way.encoder.expect_loss(20.0);
    let sound = speech_at(48_000, 48_000 * 6, 1);
    for (n, frame) in sound.chunks_exact(960).enumerate() {
        let bytes = way.make(frame);
        if n % 4 != 3 {
            way.send(&bytes);
        }
    }
    let counts = way.transcoder.counts();
    assert!(counts.recovered > 20, "{counts:?}");
    assert_eq!(counts.sent, counts.taken + counts.recovered);
}

#[test]
fn with_other_packet_lengths_only_whole_packets_are_left_out() {
    let mut way = Way::new(format("pcmu"), Format { ptime_ms: 30, ..format("pcma") });
    for n in 0..90 {
        let bytes = way.make(&sine_at(400.0, 8000, 160));
        if n % 15 != 7 {
            way.send(&bytes);
        }
    }
    // A packet of 30 ms always has something of one that came.
    assert_eq!(way.out.len(), 60);
    assert_eq!(way.sent().last().unwrap().0.sequence, NUMBERS.sequence.wrapping_add(59));
}

#[test]
fn packets_that_come_again_or_too_late_are_dropped() {
    let mut way = Way::new(format("pcma"), format("opus"));
    let packets: Vec<Vec<u8>> = (0..20).map(|_| way.make(&[300; 160])).collect();
    for pair in packets.chunks(2) {
        way.send(&pair[1]);
        way.send(&pair[0]);
        way.send(&pair[1]);
    }
    assert_eq!(way.out.len(), 10);
    assert_eq!(way.transcoder.counts().late, 20);
    let times: Vec<u32> = way.sent().iter().map(|s| s.0.timestamp.wrapping_sub(NUMBERS.timestamp)).collect();
    assert_eq!(times, (0..10).map(|n| n * 1920).collect::<Vec<u32>>());
}

#[test]
fn another_source_and_a_leap_of_the_clock_go_on_without_a_seam() {
    let mut way = Way::new(format("pcmu"), format("g722"));
    for n in 0..90u32 {
        if n == 30 {
            way.header = Header { ssrc: 99, sequence: 4, timestamp: 0x8000_0000, ..way.header };
        }
        if n == 60 {
            way.header.timestamp = way.header.timestamp.wrapping_add(0x4000_0000);
        }
        way.say(&[700; 160], 20);
    }
    let times: Vec<u32> =
        way.sent().iter().map(|s| s.0.timestamp.wrapping_sub(NUMBERS.timestamp) / 160).collect();
    assert_eq!(times, (0..90).collect::<Vec<u32>>());
    let markers: Vec<usize> =
        way.sent().iter().enumerate().filter(|(_, s)| s.0.marker).map(|(n, _)| n).collect();
    assert_eq!(markers, [0, 30, 60]);
}

#[test]
fn ten_thousand_packets_of_a_bad_network_keep_the_stream_in_order() {
    for (n, (from, to)) in pairs().enumerate() {
        let from =
            Format { event: Some(EventFormat { payload_type: 101, clock_rate: 8000 }), ..format(from) };
        let to = Format { event: Some(EventFormat { payload_type: 102, clock_rate: 48_000 }), ..format(to) };
        let mut way = Way::new(from, to);
        let mut dice = Dice(n as u64);
        let sound = speech_at(from.codec.sample_rate, from.codec.sample_rate as usize * 2, 3);
        let frames: Vec<&[i16]> = sound.chunks_exact(from.codec.samples_in(20)).collect();
        let mut held: Option<Vec<u8>> = None;
        // Sixteen pairs: 10,000 packets in all.
        for n in 0..625 {
            if dice.chance(0.005) {
                way.header.ssrc = dice.roll() as u32;
            }
            if dice.chance(0.005) {
                way.header.timestamp = dice.roll() as u32;
            }
            if dice.chance(0.003) {
                way.header.sequence = dice.roll() as u16;
            }
            let mut bytes = way.make(frames[n % frames.len()]);
            if dice.chance(0.01) {
                bytes = raw(Header { payload_type: 101, ..way.header }, &[5, 0x8a, 3, dice.roll() as u8]);
            }
            if dice.chance(0.01) {
                let length = dice.roll() as usize % bytes.len();
                bytes.truncate(length);
            }
            if dice.chance(0.1) {
                continue;
            }
            if dice.chance(0.05) {
                way.send(&bytes);
            }
            match held.take() {
                Some(before) => {
                    way.send(&bytes);
                    way.send(&before);
                }
                None if dice.chance(0.1) => held = Some(bytes),
                None => way.send(&bytes),
            }
        }
        let sent = way.sent();
        assert!(sent.len() > 300, "{from:?} {to:?} {}", sent.len());
        let mut seen = std::collections::BTreeSet::new();
        for pair in sent.windows(2) {
            let (a, b) = (pair[0].0, pair[1].0);
            assert_eq!((a.ssrc, b.ssrc), (7, 7));
            let step = b.sequence.wrapping_sub(a.sequence);
            assert!((1..60).contains(&step), "{from:?} {to:?} {a:?} {b:?}");
            assert!(seen.insert(b.sequence), "{b:?}");
            let ahead = b.timestamp.wrapping_sub(a.timestamp) as i32;
            assert!((0..48_000 * 60).contains(&ahead), "{from:?} {to:?} {a:?} {b:?}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn a_transcoder_is_total_whatever_comes(
        steps in proptest::collection::vec(
            (proptest::collection::vec(proptest::num::u8::ANY, 0..200), 0u64..3_000_000, 0usize..4), 0..60)
    ) {
        let mut way = Way::new(
            Format { event: Some(EventFormat { payload_type: 101, clock_rate: 48_000 }), ..format("opus") },
            Format { comfort_noise: Some(13), ..format("pcmu") },
        );
        for (mut bytes, wait, kind) in steps {
            way.now += Duration::from_micros(wait);
            if let Some(first) = bytes.first_mut() {
                *first = 0x80;
            }
            if let Some(second) = bytes.get_mut(1) {
                *second = [96, 101, 13, *second][kind];
            }
            let before = way.out.len();
            way.send(&bytes);
            proptest::prop_assert!(way.out.len() - before <= MOST_PACKETS + 4);
        }
    }
}
