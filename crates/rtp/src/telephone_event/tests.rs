use proptest::prelude::*;

use super::*;

fn press(digit: char, timestamp: u32, duration_ms: u32, clock_rate: u32) -> Vec<EventPacket> {
    EventSender::new(event_of(digit).expect("a key"), timestamp, duration_ms, 20, clock_rate).collect()
}

fn body(packet: &EventPacket) -> TelephoneEvent {
    TelephoneEvent::parse(&packet.payload).expect("four bytes")
}

fn hear<'a>(receiver: &mut EventReceiver, packets: impl IntoIterator<Item = &'a EventPacket>) -> Vec<Heard> {
    let mut heard = Vec::new();
    for packet in packets {
        receiver.receive(packet.timestamp, &packet.payload, &mut heard);
    }
    heard
}

fn pressed(event: u8, duration_ms: u32) -> [Heard; 2] {
    [Heard::Started { event }, Heard::Ended { event, duration_ms }]
}

#[test]
fn keys_and_events_go_both_ways() {
    for (event, digit) in "0123456789*#ABCD".chars().enumerate() {
        assert_eq!(event_of(digit), u8::try_from(event).ok());
        assert_eq!(digit_of(event as u8), Some(digit));
    }
    assert_eq!(event_of('d'), Some(15));
    assert_eq!((event_of('E'), event_of('x'), event_of('é')), (None, None, None));
    assert_eq!((digit_of(16), digit_of(255)), (None, None));
}

#[test]
fn a_key_of_100_ms_is_seven_packets() {
    let packets = press('5', 8000, 100, 8000);
    let durations: Vec<u16> = packets.iter().map(|packet| body(packet).duration).collect();
    assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
    let ends: Vec<bool> = packets.iter().map(|packet| body(packet).end).collect();
    assert_eq!(ends, [false, false, false, false, true, true, true]);
    assert!(packets[0].marker && packets[1..].iter().all(|packet| !packet.marker));
    assert!(packets.iter().all(|packet| packet.timestamp == 8000));
    assert_eq!(packets[6].payload, [5, 0x8a, 3, 0x20]);
}

#[test]
fn a_key_is_at_least_one_step_long() {
    let packets = press('1', 0, 0, 8000);
    assert_eq!(packets.len(), 3);
    assert!(packets[0].marker && body(&packets[0]).end);
    assert_eq!(hear(&mut EventReceiver::new(8000), &packets), pressed(1, 20));
}

#[test]
fn a_held_key_lasts_until_it_is_released() {
    let mut sender = EventSender::held(11, 0, 20, 8000);
    let mut packets: Vec<EventPacket> = sender.by_ref().take(10).collect();
    assert!(packets.iter().all(|packet| !body(packet).end));
    sender.release();
    assert!(!sender.is_done());
    packets.extend(sender.by_ref());
    assert!(sender.is_done());
    assert_eq!(packets.len(), 13);
    assert_eq!(hear(&mut EventReceiver::new(8000), &packets), pressed(11, 220));
}

#[test]
fn a_very_long_key_goes_on_in_segments() {
    // 65,535 units are 8.19 s at 8 kHz, 1.37 s at 48 kHz (RFC 4733 §2.5.1.3).
    for (clock_rate, duration_ms) in [(8000, 20_000), (48_000, 3_000)] {
        let packets = press('9', u32::MAX - 100, duration_ms, clock_rate);
        let timestamps: std::collections::BTreeSet<u32> = packets.iter().map(|p| p.timestamp).collect();
        assert_eq!(timestamps.len(), 3);
        assert_eq!(packets.iter().filter(|packet| packet.marker).count(), 1);
        let heard = hear(&mut EventReceiver::new(clock_rate), &packets);
        assert_eq!(heard, pressed(9, duration_ms));
        // With every fourth packet lost it is still one key.
        let some = packets.iter().enumerate().filter(|(n, _)| n % 4 != 3).map(|(_, packet)| packet);
        assert_eq!(hear(&mut EventReceiver::new(clock_rate), some), pressed(9, duration_ms));
    }
}

#[test]
fn repeated_and_reordered_packets_are_one_key() {
    let mut packets = press('#', 160, 100, 8000);
    packets.swap(1, 2);
    packets.swap(4, 5);
    packets.push(packets[2]); // a straggler after the end
    assert_eq!(hear(&mut EventReceiver::new(8000), &packets), pressed(11, 100));
}

#[test]
fn only_the_end_is_enough() {
    let packets = press('7', 160, 100, 8000);
    assert_eq!(hear(&mut EventReceiver::new(8000), packets.last()), pressed(7, 100));
}

#[test]
fn the_same_key_twice_is_two_keys() {
    let mut packets = press('1', 160, 100, 8000);
    packets.extend(press('1', 160 + 1600, 100, 8000));
    let mut receiver = EventReceiver::new(8000);
    assert_eq!(hear(&mut receiver, &packets), [pressed(1, 100), pressed(1, 100)].concat());
    assert_eq!(receiver.current(), None);
}

#[test]
fn a_lost_end_shows_at_the_next_key_or_in_later_audio() {
    let first = press('1', 0, 100, 8000);
    let mut receiver = EventReceiver::new(8000);
    let mut packets = first[..4].to_vec();
    packets.extend(press('2', 3200, 100, 8000));
    assert_eq!(hear(&mut receiver, &packets), [pressed(1, 80), pressed(2, 100)].concat());

    let mut receiver = EventReceiver::new(8000);
    let mut heard = hear(&mut receiver, &first[..4]);
    receiver.audio(160, &mut heard); // audio from before, or sent along with the event
    receiver.audio(640 + 800, &mut heard);
    assert_eq!(heard, [Heard::Started { event: 1 }]);
    receiver.audio(640 + 1600, &mut heard);
    assert_eq!(heard, pressed(1, 80));
    // The end comes after all: it is known already.
    receiver.receive(0, &first[6].payload, &mut heard);
    assert_eq!(heard.len(), 2);
}

#[test]
fn a_source_that_restarts_its_clock_is_heard() {
    let mut receiver = EventReceiver::new(8000);
    let mut packets = press('1', 3_000_000_000, 100, 8000);
    packets.extend(press('2', 1_000_000_000, 100, 8000));
    assert_eq!(hear(&mut receiver, &packets), [pressed(1, 100), pressed(2, 100)].concat());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_packets_start_and_end_in_turn(
        packets in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..6), 0..3u8), 0..60),
        clock_rate: u32,
    ) {
        let mut receiver = EventReceiver::new(clock_rate);
        let mut heard = Vec::new();
        for (timestamp, payload, how) in packets {
            match how {
                0 => receiver.audio(timestamp % 5000, &mut heard),
                1 => receiver.receive(timestamp % 5000, &payload, &mut heard),
                _ => receiver.receive(timestamp, &payload, &mut heard),
            }
        }
        receiver.finish(&mut heard);
        prop_assert_eq!(heard.len() % 2, 0);
        for pair in heard.chunks(2) {
            let &[Heard::Started { event }, Heard::Ended { event: ended, .. }] = pair else {
                return Err(TestCaseError::fail("out of turn"));
            };
            prop_assert_eq!(event, ended);
        }
    }

    #[test]
    fn a_payload_is_read_back(event: u8, end: bool, volume in 0..64u8, duration: u16) {
        let written = TelephoneEvent { event, end, volume, duration };
        prop_assert_eq!(TelephoneEvent::parse(&written.to_bytes()), Some(written));
    }

    #[test]
    fn every_key_is_heard_with_its_length(
        event: u8, timestamp: u32, duration_ms in 0..30_000u32, step_ms in 10..60u32,
        clock_rate in prop_oneof![Just(8000u32), Just(16_000), Just(48_000)],
    ) {
        let packets: Vec<EventPacket> =
            EventSender::new(event, timestamp, duration_ms, step_ms, clock_rate).collect();
        let heard = hear(&mut EventReceiver::new(clock_rate), &packets);
        prop_assert_eq!(heard, pressed(event, duration_ms.max(step_ms)));
    }

    #[test]
    fn any_settings_end_at_some_time(event: u8, duration_ms in 0..4_000_000u32, step_ms: u32, clock_rate: u32) {
        // At most a packet for each unit of a 16-bit segment, but only a few are looked at.
        let sender = EventSender::new(event, 0, duration_ms, step_ms.max(1000), clock_rate.max(8000));
        let _ = sender.take(10_000).count();
    }
}
