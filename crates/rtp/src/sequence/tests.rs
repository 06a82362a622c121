use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::packet::Header;
use crate::rtcp::{NtpTime, SenderReport};

/// Any moment will do; tests only add to it.
#[allow(clippy::disallowed_methods)]
fn start() -> Instant {
    Instant::now()
}

fn feed(numbers: impl IntoIterator<Item = u16>) -> (Sequence, Vec<Arrival>) {
    let mut sequence = Sequence::new();
    let arrivals = numbers.into_iter().map(|number| sequence.receive(number)).collect();
    (sequence, arrivals)
}

#[test]
fn a_source_is_believed_at_its_second_packet_and_counts_from_its_first() {
    let (sequence, arrivals) = feed([10, 11, 12]);
    assert_eq!(arrivals[0], Arrival::Probation);
    assert!(matches!(arrivals[1], Arrival::New(_)));
    assert_eq!((sequence.expected(), sequence.received(), sequence.lost()), (3, 3, 0));
    let (sequence, arrivals) = feed([10, 500, 9, 10]);
    assert_eq!(arrivals[..3], [Arrival::Probation; 3]);
    assert_eq!(sequence.expected(), 2);
}

#[test]
fn numbers_go_on_across_the_wrap() {
    let (sequence, arrivals) = feed([65_534, 65_535, 0, 1]);
    let extended: Vec<u64> = arrivals
        .iter()
        .filter_map(|arrival| if let Arrival::New(n) = arrival { Some(*n) } else { None })
        .collect();
    assert_eq!(extended, [131_071, 131_072, 131_073]);
    assert_eq!(sequence.expected(), 4);
    assert_eq!(sequence.lost(), 0);
}

#[test]
fn losses_duplicates_and_late_packets_are_counted_apart() {
    let (sequence, arrivals) = feed([1, 2, 5, 4, 4, 9, 2]);
    assert_eq!(arrivals[3], Arrival::Reordered(65_536 + 4));
    assert_eq!(arrivals[4], Arrival::Duplicate);
    assert_eq!(arrivals[6], Arrival::Duplicate);
    assert_eq!((sequence.expected(), sequence.received(), sequence.lost()), (9, 5, 4));
    assert_eq!((sequence.duplicates(), sequence.reordered(), sequence.gaps()), (2, 1, 2));
}

#[test]
fn the_first_packets_may_come_in_the_wrong_order() {
    let (sequence, arrivals) = feed([0, 1, 65_535]);
    assert_eq!(arrivals[2], Arrival::Reordered(65_535));
    assert_eq!((sequence.expected(), sequence.received()), (3, 3));
}

#[test]
fn a_jump_is_believed_only_when_confirmed() {
    let (sequence, arrivals) = feed([1, 2, 30_000, 3]);
    assert_eq!(arrivals[2..], [Arrival::Jump, Arrival::New(65_539)]);
    assert_eq!(sequence.expected(), 3);
    let (sequence, arrivals) = feed([1, 2, 30_000, 30_001, 30_002]);
    assert_eq!(arrivals[3], Arrival::Restarted(65_536 + 30_001));
    assert_eq!((sequence.expected(), sequence.received()), (3, 3));
}

fn header(sequence: u16, timestamp: u32, ssrc: u32) -> Header {
    Header { payload_type: 0, marker: false, sequence, timestamp, ssrc }
}

#[test]
fn an_even_stream_has_no_jitter_and_no_loss() {
    let (start, mut stream) = (start(), ReceiveStatistics::new(8000));
    for n in 0..250u16 {
        stream.receive(
            &header(n, u32::from(n) * 160, 1),
            160,
            start + Duration::from_millis(20) * u32::from(n),
        );
    }
    assert_eq!((stream.received(), stream.lost(), stream.octets()), (250, 0, 40_000));
    assert!(stream.jitter_ms() < 0.01 && stream.loss_percent() < 0.01);
    let report = stream.report(start + Duration::from_secs(5)).expect("a source");
    assert_eq!((report.ssrc, report.fraction_lost, report.cumulative_lost), (1, 0, 0));
    assert_eq!((report.highest_sequence, report.lsr, report.dlsr), (249, 0, 0));
}

#[test]
fn jitter_nears_the_mean_deviation() {
    let (start, mut stream) = (start(), ReceiveStatistics::new(8000));
    for n in 0..2000u16 {
        let late = if n % 2 == 0 { 0 } else { 5 };
        let at = start + Duration::from_millis(20 * u64::from(n) + late);
        stream.receive(&header(n, u32::from(n) * 160, 1), 160, at);
    }
    assert!((stream.jitter_ms() - 5.0).abs() < 0.2, "{}", stream.jitter_ms());
    assert!(stream.max_jitter_ms() >= stream.jitter_ms());
}

#[test]
fn packets_of_one_event_and_leaps_of_the_clock_are_no_jitter() {
    let (start, mut stream) = (start(), ReceiveStatistics::new(8000));
    for n in 0..20u16 {
        let timestamp = if n < 10 { u32::from(n) * 160 } else { 1600 };
        stream.receive(&header(n, timestamp, 1), 4, start + Duration::from_millis(20) * u32::from(n));
    }
    let after = start + Duration::from_millis(400);
    stream.receive(&header(20, 3_000_000_000, 1), 160, after);
    stream.receive(&header(21, 3_000_000_160, 1), 160, after + Duration::from_millis(20));
    assert!(stream.jitter_ms() < 0.01, "{}", stream.jitter_ms());
}

#[test]
fn a_report_tells_the_losses_since_the_last() {
    let (start, mut stream) = (start(), ReceiveStatistics::new(8000));
    assert_eq!(stream.report(start), None);
    let take = |stream: &mut ReceiveStatistics, numbers: &[u16]| {
        for n in numbers {
            stream.receive(&header(*n, u32::from(*n) * 160, 1), 160, start);
        }
    };
    take(&mut stream, &[0, 1, 3, 4]);
    stream.sender_report(
        &SenderReport { ssrc: 1, ntp: NtpTime(0x1111_2222_3333_4444), ..SenderReport::default() },
        start,
    );
    let report = stream.report(start + Duration::from_millis(1500)).expect("a source");
    assert_eq!((report.fraction_lost, report.cumulative_lost), (51, 1)); // 1/5 of 256
    assert_eq!((report.lsr, report.dlsr), (0x2222_3333, 98_304));
    take(&mut stream, &[5, 6, 7, 7]);
    let report = stream.report(start).expect("a source");
    assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 0)); // the duplicate hides a loss, as in the RFC
    assert_eq!((stream.lost(), stream.duplicates()), (1, 1));
}

#[test]
fn totals_go_on_over_a_new_source_and_a_restart() {
    let (start, mut stream) = (start(), ReceiveStatistics::new(8000));
    for (ssrc, n) in [(1, 0), (1, 1), (1, 3), (2, 500), (2, 501), (2, 40_000), (2, 40_001), (2, 40_002)] {
        stream.receive(&header(n, 0, ssrc), 160, start);
    }
    assert_eq!((stream.expected(), stream.received(), stream.lost()), (9, 8, 1));
    assert_eq!(stream.report(start).map(|r| (r.ssrc, r.highest_sequence)), Some((2, 40_002)));
}

#[test]
fn bursts_are_told_from_single_losses() {
    let ratio = |lost: fn(u16) -> bool| {
        let (start, mut stream) = (start(), ReceiveStatistics::new(8000));
        for n in (0..1000).filter(|n| !lost(*n)) {
            stream.receive(&header(n, u32::from(n) * 160, 1), 160, start);
        }
        (stream.loss_percent(), stream.burst_ratio())
    };
    assert_eq!(ratio(|_| false), (0.0, 1.0));
    let (loss, burst) = ratio(|n| n % 10 == 5);
    assert!((loss - 10.0).abs() < 0.1 && burst < 1.01, "{loss} {burst}");
    let (loss, burst) = ratio(|n| n % 100 >= 90 && n < 990);
    assert!((loss - 9.0).abs() < 0.2 && burst > 8.0, "{loss} {burst}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_numbers_give_counts_that_agree(
        packets in proptest::collection::vec((any::<u16>(), 0..3u8, any::<u32>(), 0..3u32, 0..100_000u64), 0..200),
    ) {
        let mut now = start();
        let mut stream = ReceiveStatistics::new(8000);
        let (mut number, mut taken) = (0u16, 0u64);
        for (jump, how, timestamp, ssrc, micros) in packets {
            number = match how {
                0 => number.wrapping_add(1),
                1 => number.wrapping_add(jump % 7).wrapping_sub(3),
                _ => jump,
            };
            now += Duration::from_micros(micros);
            stream.receive(&header(number, timestamp, ssrc / 2), 160, now);
            taken += 1;
            prop_assert!(stream.received() + stream.duplicates() <= taken);
            prop_assert!(stream.received() <= stream.expected());
            prop_assert!(stream.lost() <= stream.expected());
            prop_assert!(stream.burst_ratio() >= 1.0 && stream.jitter_ms() >= 0.0);
            let _ = stream.report(now);
        }
    }
}
