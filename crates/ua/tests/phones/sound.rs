//! What is heard: tones, keys, silence.

use std::time::Duration;

use offhook_ua::{Command, Event};

use crate::wire::{Wire, config};

#[test]
fn both_hear_the_others_tone_with_each_codec() {
    for codec in ["PCMU", "PCMA", "G722", "opus"] {
        let (mut caller, mut callee) = (config(0), config(1));
        caller.codecs = vec![codec.to_owned()];
        callee.codecs = ["PCMA", "PCMU", "opus", "G722"].map(str::to_owned).to_vec();
        let mut wire = Wire::new(1, vec![caller, callee]);
        let (call, _) = wire.established();
        wire.cover_ears();
        wire.pass(Duration::from_secs(5));
        assert!((wire.heard_hz(0) - 700.0).abs() < 5.0, "{}", wire.heard_hz(0));
        assert!((wire.heard_hz(1) - 400.0).abs() < 5.0, "{}", wire.heard_hz(1));
        wire.command(0, Command::Hangup { call });
        wire.pass(Duration::from_secs(1));
        for phone in 0..2 {
            let report = wire.last_report(phone);
            assert_eq!((report.codec, report.lost), (codec, 0));
            assert!(report.sent > 240 && report.received > 240, "{report:?}");
            assert!(report.mos.unwrap() > 4.0, "{report:?}");
        }
        wire.assert_nothing_left();
    }
}

#[test]
fn the_caller_s_preference_decides_and_the_rate_is_that_of_the_codec() {
    for (codec, rate) in [("opus", 48_000), ("G722", 16_000), ("PCMA", 8000)] {
        let (mut caller, mut callee) = (config(0), config(1));
        let all = ["opus", "G722", "PCMA", "PCMU"];
        let first = all.iter().position(|name| *name == codec).unwrap();
        caller.codecs = all[first..].iter().map(|name| (*name).to_owned()).collect();
        callee.codecs = all.iter().rev().map(|name| (*name).to_owned()).collect();
        let mut wire = Wire::new(1, vec![caller, callee]);
        let (call, called) = wire.established();
        assert_eq!(wire.phones[0].ua.sample_rate(call), rate, "{codec}");
        assert_eq!(wire.phones[1].ua.sample_rate(called), rate, "{codec}");
        let answered = Event::Answered { call, codec: Some(codec.to_owned()) };
        assert!(wire.phones[0].events.contains(&answered), "{codec}");
        wire.command(0, Command::Dtmf { call, digits: "7#".to_owned() });
        wire.pass(Duration::from_secs(3));
        let digits: Vec<(char, u64)> = wire.phones[1]
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Digit { digit, duration, .. } => Some((*digit, duration.as_millis() as u64)),
                _ => None,
            })
            .collect();
        assert_eq!(digits, [('7', 120), ('#', 120)], "{codec}");
        wire.command(0, Command::Hangup { call });
        wire.assert_nothing_left();
    }
}

#[test]
fn keys_arrive_in_order_also_over_a_bad_wire() {
    let mut wire = Wire::pair();
    let (call, called) = wire.established();
    wire.loss = 0.1;
    wire.command(0, Command::Dtmf { call, digits: "19,*#A".to_owned() });
    wire.pass(Duration::from_secs(6));
    let digits: String = wire.phones[1]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Digit { call, digit, .. } if *call == called => Some(*digit),
            _ => None,
        })
        .collect();
    assert_eq!(digits, "19*#A");
    assert!(wire.phones[0].events.contains(&Event::DigitsSent { call }));
    wire.loss = 0.0;
    wire.command(0, Command::Hangup { call });
    wire.assert_nothing_left();
}

#[test]
fn whoever_holds_the_line_hears_nothing_until_it_is_resumed() {
    let mut wire = Wire::pair();
    let (call, _) = wire.established();
    wire.command(0, Command::Hold { call });
    wire.pass(Duration::from_secs(1));
    wire.cover_ears();
    wire.pass(Duration::from_secs(2));
    assert!(wire.phones[0].heard.iter().all(|sample| *sample == 0));
    wire.command(0, Command::Resume { call });
    wire.pass(Duration::from_secs(1));
    wire.cover_ears();
    wire.pass(Duration::from_secs(2));
    assert!((wire.heard_hz(0) - 700.0).abs() < 5.0);
    wire.command(0, Command::Hangup { call });
    wire.assert_nothing_left();
}

#[test]
fn lost_sound_is_counted_and_comes_again_and_much_of_it_costs_quality() {
    for (loss, mos) in [(0.05, 4.2..4.5), (0.3, 1.0..4.0)] {
        let mut wire = Wire::pair();
        let (call, _) = wire.established();
        wire.loss = loss;
        wire.pass(Duration::from_secs(20));
        wire.loss = 0.0;
        wire.command(0, Command::Hangup { call });
        wire.pass(Duration::from_secs(1));
        let report = wire.last_report(1);
        let share = f64::from(report.loss_percent) / 100.0 / loss;
        assert!(share > 0.5 && share < 1.8, "{report:?}");
        assert!(report.playout.copies * 2 > report.lost, "{report:?}");
        assert!(mos.contains(&report.mos.unwrap()), "{report:?}");
        wire.assert_nothing_left();
    }
}
