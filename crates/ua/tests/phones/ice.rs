//! Ways for the sound that are tried before they are taken.

use std::time::Duration;

use offhook_sip::Message;
use offhook_ua::{Command, Config, Event, IceServers, Side, TurnServer};

use crate::wire::{Wire, address, config};

fn with_ice(n: usize) -> Config {
    Config { ice: Some(IceServers::default()), ..config(n) }
}

/// Whether the descriptions that a phone sent speak of ICE.
fn speaks_ice(wire: &Wire, phone: usize) -> bool {
    let of_phone = wire.sent.iter().filter(|(by, sip, _)| *by == phone && *sip);
    let bodies = of_phone.filter_map(|(_, _, bytes)| Message::parse(bytes.clone()).ok());
    let mut described =
        bodies.map(|message| message.headers().body().to_vec()).filter(|body| !body.is_empty());
    described.any(|body| memchr(&body, b"a=ice-ufrag:") && memchr(&body, b"a=candidate:1 1 UDP 2130706431 "))
}

fn memchr(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn both_hear(wire: &mut Wire) {
    wire.pass(Duration::from_secs(1));
    wire.cover_ears();
    wire.pass(Duration::from_secs(2));
    assert!((wire.heard_hz(0) - 700.0).abs() < 5.0, "{}", wire.heard_hz(0));
    assert!((wire.heard_hz(1) - 400.0).abs() < 5.0, "{}", wire.heard_hz(1));
}

#[test]
fn phones_that_do_ice_and_phones_that_do_not_hear_each_other() {
    for (caller, callee) in [(true, true), (true, false), (false, true)] {
        let configs = [caller, callee].into_iter().enumerate();
        let make = |(n, ice)| if ice { with_ice(n) } else { config(n) };
        let mut wire = Wire::new(1, configs.map(make).collect());
        let (call, called) = wire.established();
        both_hear(&mut wire);
        assert_eq!((speaks_ice(&wire, 0), speaks_ice(&wire, 1)), (caller, caller && callee));
        // It outlives more than one term of consent, and hold and resume.
        wire.pass(Duration::from_secs(90));
        wire.command(1, Command::Hold { call: called });
        wire.pass(Duration::from_secs(40));
        wire.command(1, Command::Resume { call: called });
        both_hear(&mut wire);
        for (phone, call) in [(0, call), (1, called)] {
            let report = wire.phones[phone].ua.media_report(call).unwrap();
            assert_eq!((report.lost, report.foreign), (0, 0), "{report:?}");
        }
        wire.command(0, Command::Hangup { call });
        wire.assert_nothing_left();
    }
}

#[test]
fn a_phone_that_has_gone_silently_is_noticed_by_its_consent() {
    let mut wire = Wire::new(1, vec![with_ice(0), with_ice(1)]);
    wire.established();
    both_hear(&mut wire);
    wire.loss = 1.0;
    wire.pass(Duration::from_secs(50));
    let ended = wire.phones[0].events.iter().find_map(|event| match event {
        Event::Ended { by, code, reason, .. } => Some((*by, *code, reason.clone())),
        _ => None,
    });
    let (by, code, reason) = ended.unwrap();
    assert_eq!((by, code), (Side::Us, 488));
    assert!(reason.starts_with("no way for the sound was found"), "{reason}");
    wire.assert_nothing_left();
}

#[test]
fn a_server_that_does_not_answer_delays_a_call_by_two_seconds_and_no_more() {
    let turn = TurnServer { address: address(50), username: "u".into(), password: "p".into() };
    let servers = IceServers { stun: Some(address(51)), turn: Some(turn) };
    let mut wire = Wire::new(1, vec![Config { ice: Some(servers.clone()), ..config(0) }, config(1)]);
    wire.call(0, 1);
    wire.pass(Duration::from_millis(1900));
    assert_eq!(wire.count("0 INVITE"), 0);
    wire.pass(Duration::from_millis(300));
    assert_eq!(wire.count("0 INVITE"), 1);
    let called = wire.incoming(1);
    wire.command(1, Command::Answer { call: called });
    both_hear(&mut wire);
    wire.command(1, Command::Hangup { call: called });
    wire.assert_nothing_left();

    // One that is called answers when it knows its addresses, and may hang up before.
    let mut wire = Wire::new(1, vec![config(0), Config { ice: Some(servers), ..config(1) }]);
    wire.call(0, 1);
    wire.pass(Duration::from_millis(100));
    let called = wire.incoming(1);
    wire.command(1, Command::Answer { call: called });
    wire.pass(Duration::from_millis(500));
    assert!(!wire.answered(0));
    wire.pass(Duration::from_secs(2));
    assert!(wire.answered(0));
    wire.command(1, Command::Hangup { call: called });
    wire.assert_nothing_left();
}

#[test]
fn a_call_that_is_given_up_before_its_addresses_are_known_sends_no_invite() {
    let servers = IceServers { stun: Some(address(51)), turn: None };
    let mut wire = Wire::new(1, vec![Config { ice: Some(servers), ..config(0) }, config(1)]);
    let call = wire.call(0, 1);
    wire.pass(Duration::from_millis(500));
    wire.command(0, Command::Hangup { call });
    wire.pass(Duration::from_secs(5));
    assert_eq!((wire.count("0 INVITE"), wire.ended(0)), (0, vec![(Side::Us, 487)]));
    wire.assert_nothing_left();
}
