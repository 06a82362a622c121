use super::*;
use offhook_rtp::telephone_event::{EventReceiver, EventSender, Heard, TelephoneEvent, digit_of, event_of};

fn with_event(name: &str, payload_type: u8, clock_rate: u32) -> Format {
    Format { event: Some(EventFormat { payload_type, clock_rate }), ..format(name) }
}

impl Way {
    /// Presses a key as an event, between sounds.
    fn press(&mut self, digit: char, ms: u32) {
        let event = self.from.event.unwrap();
        let sender =
            EventSender::new(event_of(digit).unwrap(), self.header.timestamp, ms, 20, event.clock_rate);
        for packet in sender {
            let header = Header {
                payload_type: event.payload_type,
                marker: packet.marker,
                timestamp: packet.timestamp,
                ..self.header
            };
            self.send(&raw(header, &packet.payload));
            self.header.sequence = self.header.sequence.wrapping_add(1);
            let units = self.from.codec.clock_rate / 50;
            self.header.timestamp = self.header.timestamp.wrapping_add(units);
            self.now += Duration::from_millis(20);
        }
    }

    fn speak(&mut self, ms: u32) {
        let rate = self.from.codec.sample_rate;
        let sound = sine_at(500.0, rate, self.from.codec.samples_in(ms));
        self.say(&sound, 20);
    }

    /// Keys that the receiver takes out of the events, with their length in ms.
    fn dialled(&self) -> Vec<(char, u32)> {
        let event = self.to.event.unwrap();
        let mut receiver = EventReceiver::new(event.clock_rate);
        let mut heard = Vec::new();
        for (header, payload) in self.sent() {
            if header.payload_type == event.payload_type {
                receiver.receive(header.timestamp, &payload, &mut heard);
            } else {
                receiver.audio(header.timestamp, &mut heard);
            }
        }
        receiver.finish(&mut heard);
        let key = |heard: Heard| match heard {
            Heard::Ended { event, duration_ms } => digit_of(event).map(|digit| (digit, duration_ms)),
            Heard::Started { .. } => None,
        };
        heard.into_iter().filter_map(key).collect()
    }
}

#[test]
fn events_keep_their_length_in_another_clock_and_payload_type() {
    let formats =
        [with_event("pcmu", 101, 8000), with_event("opus", 102, 48_000), with_event("g722", 96, 8000)];
    for from in formats {
        for to in formats {
            let mut way = Way::new(from, to);
            way.speak(200);
            for (n, digit) in "19*#D".chars().enumerate() {
                way.press(digit, 100 + 20 * n as u32);
                way.speak(100);
            }
            let expected = vec![('1', 100), ('9', 120), ('*', 140), ('#', 160), ('D', 180)];
            assert_eq!(way.dialled(), expected, "{from:?} {to:?}");
            let event = to.event.unwrap().payload_type;
            let first = way.sent().iter().position(|(header, _)| header.payload_type == event).unwrap();
            assert!(way.sent()[first].0.marker && first == 10);
            let ends = |payload: &[u8]| TelephoneEvent::parse(payload).unwrap().end;
            let ends = way.sent().iter().filter(|(h, p)| h.payload_type == event && ends(p)).count();
            assert_eq!(ends, 15, "each end three times");
        }
    }
}

#[test]
fn a_key_held_for_ten_seconds_is_cut_into_segments_and_put_together() {
    for (from, to) in [
        (with_event("pcmu", 101, 8000), with_event("opus", 102, 48_000)),
        (with_event("opus", 102, 48_000), with_event("pcmu", 101, 8000)),
    ] {
        let mut way = Way::new(from, to);
        way.press('5', 10_000);
        assert_eq!(way.dialled(), [('5', 10_000)], "{from:?}");
    }
}

#[test]
fn sound_goes_on_at_its_place_after_a_key() {
    let mut way = Way::new(with_event("pcmu", 101, 8000), with_event("opus", 102, 48_000));
    way.speak(100);
    way.press('7', 100);
    way.speak(100);
    let sent = way.sent();
    let sounds: Vec<u32> = sent
        .iter()
        .filter(|(header, _)| header.payload_type == 96)
        .map(|(header, _)| header.timestamp.wrapping_sub(NUMBERS.timestamp) / 960)
        .collect();
    // 100 ms of sound, 100 ms of key and 40 ms of repeated ends, then sound.
    assert_eq!(sounds, [0, 1, 2, 3, 4, 12, 13, 14, 15, 16]);
}

#[test]
fn the_end_of_a_key_may_be_lost() {
    let mut way = Way::new(with_event("pcmu", 101, 8000), with_event("pcma", 101, 8000));
    way.speak(100);
    let packets: Vec<_> = EventSender::new(3, way.header.timestamp, 100, 20, 8000).take(3).collect();
    for packet in packets {
        let header = Header { payload_type: 101, timestamp: packet.timestamp, ..way.header };
        way.send(&raw(header, &packet.payload));
        way.header.sequence = way.header.sequence.wrapping_add(1);
    }
    way.header.timestamp = way.header.timestamp.wrapping_add(800);
    way.speak(500);
    assert_eq!(way.dialled(), [('3', 60)]);
}

#[test]
fn events_become_tones_where_the_other_side_has_no_events() {
    for to in ["pcma", "g722", "opus"] {
        let mut way = Way::new(with_event("pcmu", 101, 8000), format(to));
        way.say(&[0; 1600], 20);
        for digit in "42#".chars() {
            way.press(digit, 120);
            way.say(&[0; 800], 20);
        }
        let mut sound = Vec::new();
        Resampler::new(way.to.codec.sample_rate, 8000).push(&way.heard(), &mut sound);
        let mut keys = Vec::new();
        Detector::new().push(&sound, &mut keys);
        assert_eq!(keys.into_iter().collect::<String>(), "42#", "{to}");
        let steps = way.sent().windows(2).all(|w| w[1].0.sequence == w[0].0.sequence.wrapping_add(1));
        assert!(steps, "{to}");
    }
}

#[test]
fn tones_become_events_where_only_the_other_side_has_them() {
    for from in ["pcmu", "g722", "opus"] {
        let mut way = Way::new(format(from), with_event("pcma", 101, 8000));
        let rate = way.from.codec.sample_rate;
        let silence = vec![0; rate as usize / 10];
        way.say(&silence, 20);
        for digit in "36*".chars() {
            let mut tone = vec![0; way.from.codec.samples_in(120)];
            crate::dtmf::tone(digit, rate).unwrap().fill(&mut tone);
            way.say(&tone, 20);
            way.say(&silence, 20);
        }
        let dialled = way.dialled();
        assert_eq!(dialled.iter().map(|(digit, _)| *digit).collect::<String>(), "36*", "{from}");
        assert!(dialled.iter().all(|(_, ms)| (60..=160).contains(ms)), "{from} {dialled:?}");
    }
}

#[test]
fn speech_makes_no_keys() {
    let mut way = Way::new(format("pcmu"), with_event("pcma", 101, 8000));
    for seed in 0..5 {
        way.say(&crate::test_signal::speech(8000 * 5, seed), 20);
    }
    assert_eq!(way.dialled(), []);
}
