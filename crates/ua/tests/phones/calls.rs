//! Calls: placed, answered, refused, given up, changed.

use std::time::Duration;

use offhook_sip::{Message, Name};
use offhook_sip_stack::usage::SessionTimers;
use offhook_ua::{CallOptions, Command, Event, Side};

use crate::wire::{Wire, address, config, script, uri};

const A_MOMENT: Duration = Duration::from_millis(100);

#[test]
fn a_call_rings_is_answered_and_hung_up() {
    let mut wire = Wire::pair();
    let call = wire.call(0, 1);
    wire.pass(A_MOMENT);
    let called = wire.incoming(1);
    wire.command(1, Command::Ring { call: called });
    wire.pass(A_MOMENT);
    wire.command(1, Command::Answer { call: called });
    wire.pass(A_MOMENT);
    wire.command(0, Command::Hangup { call });
    wire.pass(A_MOMENT);
    let ladder =
        ["0 INVITE", "1 180 INVITE", "0 PRACK", "1 200 PRACK", "1 200 INVITE", "0 ACK", "0 BYE", "1 200 BYE"];
    assert_eq!(wire.trace, ladder);
    assert_eq!(wire.ended(0), [(Side::Us, 200)]);
    assert_eq!(wire.ended(1), [(Side::Peer, 200)]);
    let rang = Event::Progress { call, code: 180, reason: "Ringing".to_owned(), early_media: false };
    assert!(wire.phones[0].events.contains(&rang));
    wire.assert_nothing_left();
}

#[test]
fn a_refused_call_ends_with_the_code_of_the_refusal() {
    for code in [486, 603] {
        let mut wire = Wire::pair();
        wire.call(0, 1);
        wire.pass(A_MOMENT);
        let call = wire.incoming(1);
        wire.command(1, Command::Reject { call, code });
        wire.pass(A_MOMENT);
        assert_eq!(wire.ended(0), [(Side::Peer, code)]);
        assert_eq!(wire.ended(1), [(Side::Us, code)]);
        wire.assert_nothing_left();
    }
}

#[test]
fn a_call_that_is_given_up_is_cancelled() {
    let mut wire = Wire::pair();
    let call = wire.call(0, 1);
    wire.pass(A_MOMENT);
    let called = wire.incoming(1);
    wire.command(1, Command::Ring { call: called });
    wire.pass(A_MOMENT);
    wire.command(0, Command::Hangup { call });
    wire.pass(A_MOMENT);
    assert_eq!(wire.ended(0), [(Side::Us, 487)]);
    assert_eq!(wire.ended(1), [(Side::Peer, 487)]);
    wire.assert_nothing_left();
}

#[test]
fn a_call_that_nobody_answers_ends_after_the_ring_timeout() {
    let mut wire = Wire::pair();
    let options = CallOptions { ring_timeout: Some(Duration::from_secs(30)), ..CallOptions::default() };
    wire.call_uri(0, uri("sip:phone1@192.0.2.2"), options);
    wire.pass(Duration::from_secs(29));
    assert!(wire.ended(0).is_empty());
    wire.pass(Duration::from_secs(2));
    assert_eq!(wire.ended(0), [(Side::Us, 487)]);
    wire.assert_nothing_left();
}

#[test]
fn a_call_to_nobody_times_out() {
    let mut wire = Wire::pair();
    wire.call_uri(0, uri("sip:x@192.0.2.77"), CallOptions::default());
    wire.pass(Duration::from_secs(33));
    assert_eq!(wire.ended(0), [(Side::Network, 408)]);
    assert_eq!(wire.count("0 INVITE"), 7);
    wire.assert_nothing_left();
}

#[test]
fn one_call_too_many_is_busy() {
    let mut busy = config(1);
    busy.max_calls = 1;
    let mut wire = Wire::new(1, vec![config(0), busy]);
    let (call, _) = wire.established();
    wire.call(0, 1);
    wire.pass(A_MOMENT);
    assert_eq!(wire.ended(0), [(Side::Peer, 486)]);
    wire.command(0, Command::Hangup { call });
    wire.assert_nothing_left();
}

#[test]
fn a_held_peer_is_told_and_released() {
    let mut wire = Wire::pair();
    let (call, called) = wire.established();
    wire.command(0, Command::Hold { call });
    wire.pass(A_MOMENT);
    assert!(wire.phones[0].events.contains(&Event::Held { call, by_us: true, by_peer: false }));
    assert!(wire.phones[1].events.contains(&Event::Held { call: called, by_us: false, by_peer: true }));
    wire.command(0, Command::Resume { call });
    wire.pass(A_MOMENT);
    assert!(wire.phones[0].events.contains(&Event::Held { call, by_us: false, by_peer: false }));
    assert!(wire.phones[1].events.contains(&Event::Held { call: called, by_us: false, by_peer: false }));
    wire.command(0, Command::Hangup { call });
    wire.assert_nothing_left();
}

#[test]
fn both_may_put_each_other_on_hold_at_the_same_time() {
    let mut wire = Wire::pair();
    let (call, called) = wire.established();
    wire.command(0, Command::Hold { call });
    wire.command(1, Command::Hold { call: called });
    wire.pass(Duration::from_secs(6));
    assert_eq!((wire.count("0 491 INVITE"), wire.count("1 491 INVITE")), (1, 1));
    assert!(wire.phones[0].events.contains(&Event::Held { call, by_us: true, by_peer: true }));
    assert!(wire.phones[1].events.contains(&Event::Held { call: called, by_us: true, by_peer: true }));
    wire.command(1, Command::Resume { call: called });
    wire.pass(A_MOMENT);
    assert!(wire.phones[1].events.contains(&Event::Held { call: called, by_us: false, by_peer: true }));
    wire.command(0, Command::Hangup { call });
    wire.assert_nothing_left();
}

#[test]
fn a_lost_ack_and_a_lost_2xx_are_made_good() {
    let mut wire = Wire::pair();
    wire.lose("0 ACK", 1);
    wire.lose("1 200 INVITE", 1);
    let (call, _) = {
        let call = wire.call(0, 1);
        wire.pass(A_MOMENT);
        let called = wire.incoming(1);
        wire.command(1, Command::Answer { call: called });
        wire.pass(Duration::from_secs(3));
        (call, called)
    };
    assert_eq!((wire.count("1 200 INVITE"), wire.count("0 ACK")), (3, 2));
    wire.command(0, Command::Hangup { call });
    wire.assert_nothing_left();
}

#[test]
fn a_call_whose_peer_vanished_ends_when_its_session_expires() {
    let configs = (0..2).map(|n| {
        let mut config = config(n);
        config.session_timers = SessionTimers { interval: 120, minimum: 90 };
        config
    });
    let mut wire = Wire::new(1, configs.collect());
    wire.established();
    wire.pass(Duration::from_secs(200));
    assert!(wire.ended(0).is_empty() && wire.ended(1).is_empty());
    assert!(wire.count("0 UPDATE") >= 2);
    wire.loss = 1.0;
    wire.pass(Duration::from_secs(130));
    assert_eq!(wire.ended(0), [(Side::Network, 408)]);
    assert_eq!(wire.ended(1), [(Side::Network, 408)]);
    wire.assert_nothing_left();
}

#[test]
fn a_name_is_resolved_and_its_addresses_are_tried_in_order() {
    let mut wire = Wire::pair();
    wire.call_uri(0, uri("sip:phone1@phone.example"), CallOptions::default());
    wire.pass(Duration::from_secs(33));
    assert_eq!(wire.strays.len(), 7);
    let called = wire.incoming(1);
    wire.command(1, Command::Answer { call: called });
    wire.pass(A_MOMENT);
    assert!(wire.answered(0));
    wire.command(1, Command::Hangup { call: called });
    wire.pass(A_MOMENT);
    wire.call_uri(0, uri("sip:x@nowhere.example"), CallOptions::default());
    assert_eq!(wire.ended(0), [(Side::Peer, 200), (Side::Network, 503)]);
    wire.assert_nothing_left();
}

#[test]
fn a_redirected_call_goes_to_the_other_address() {
    let mut wire = Wire::pair();
    wire.call_uri(0, uri(&format!("sip:old@{}", script())), CallOptions::default());
    wire.pass(A_MOMENT);
    let Some(Message::Request(invite)) = wire.strays.pop() else { panic!() };
    let moved = offhook_sip::Response::to_request(&invite, offhook_sip::Status::MOVED_TEMPORARILY)
        .to_tag("x")
        .header(Name::Contact, format!("<sip:phone1@{}>", address(1)))
        .finish();
    wire.inject(0, &String::from_utf8_lossy(moved.bytes()).replace("\r\n", "\n"));
    wire.pass(A_MOMENT);
    let called = wire.incoming(1);
    wire.command(1, Command::Answer { call: called });
    wire.pass(A_MOMENT);
    assert!(wire.answered(0));
    wire.command(1, Command::Hangup { call: called });
    wire.assert_nothing_left();
}

#[test]
fn a_transfer_is_followed_and_reported() {
    let mut obliging = config(1);
    obliging.accept_transfers = true;
    let mut wire = Wire::new(1, vec![config(0), obliging, config(2)]);
    let (call, _) = wire.established();
    let target = uri(&format!("sip:phone2@{}", address(2)));
    wire.command(0, Command::Transfer { call, target });
    wire.pass(A_MOMENT);
    let third = wire.incoming(2);
    wire.command(2, Command::Answer { call: third });
    wire.pass(A_MOMENT);
    let told = |code, last| wire.phones[0].events.contains(&Event::Transfer { call, code, last });
    assert!(told(202, false) && told(100, false) && told(200, true), "{:?}", wire.phones[0].events);
    wire.command(0, Command::Hangup { call });
    wire.command(2, Command::Hangup { call: third });
    wire.assert_nothing_left();
}

#[test]
fn a_transfer_is_declined_by_default() {
    let mut wire = Wire::pair();
    let (call, _) = wire.established();
    wire.command(0, Command::Transfer { call, target: uri("sip:x@192.0.2.77") });
    wire.pass(A_MOMENT);
    assert!(wire.phones[0].events.contains(&Event::Transfer { call, code: 603, last: true }));
    wire.command(0, Command::Hangup { call });
    wire.assert_nothing_left();
}

#[test]
fn with_a_fifth_of_all_packets_lost_every_call_ends_and_nothing_is_left() {
    for seed in 0..20 {
        let mut wire = Wire::new(seed, vec![config(0), config(1)]);
        wire.loss = 0.2;
        let call = wire.call(0, 1);
        wire.pass(Duration::from_secs(4));
        let arrived = wire.phones[1].events.iter().any(|event| matches!(event, Event::Incoming { .. }));
        if arrived {
            let called = wire.incoming(1);
            wire.command(1, Command::Ring { call: called });
            wire.pass(Duration::from_secs(1));
            wire.command(1, Command::Answer { call: called });
            wire.pass(Duration::from_secs(3));
            wire.command(1, Command::Hold { call: called });
            wire.command(0, Command::Hold { call });
            wire.pass(Duration::from_secs(8));
        }
        match wire.phones[1].ua.calls().first().copied().filter(|_| seed % 2 == 1) {
            Some(called) => wire.command(1, Command::Hangup { call: called }),
            None => wire.command(0, Command::Hangup { call }),
        }
        wire.assert_nothing_left();
        assert_eq!(wire.ended(0).len(), 1, "seed {seed}");
        assert_eq!(wire.ended(1).len(), usize::from(arrived), "seed {seed}");
    }
}
