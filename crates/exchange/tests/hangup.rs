//! Calls that an operator ends.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, BOB, BOB_TOO, answer, call, invite, ring};
use bench::{Bench, in_dialog, raw, reply, request, sdp};
use offhook_exchange::command::{Answer, Command, Ticket};
use offhook_exchange::config::AnchorPolicy;
use offhook_exchange::event::{EndedBy, Event};
use offhook_exchange::io::Input;
use offhook_sip::{Name, Request};

const REASON: &str = "SIP;cause=480;text=\"Ended by the operator\"";

fn anchoring() -> Bench {
    Bench::with(|config| config.anchor = AnchorPolicy::Always)
}

/// Ends calls; returns how many there were.
fn hang_up(bench: &mut Bench, call_id: &str) -> usize {
    bench.input(Input::Command(Ticket(1), Command::HangUp(call_id.to_owned())));
    match bench.answers.pop() {
        Some(Answer::HungUp(ended)) => ended,
        other => panic!("{other:?}"),
    }
}

/// The Call-ID of the one call that the exchange tells of.
fn only_call(bench: &mut Bench) -> String {
    bench.input(Input::Command(Ticket(1), Command::Calls));
    match bench.answers.pop() {
        Some(Answer::Calls(calls)) if calls.len() == 1 => calls[0].id.clone(),
        other => panic!("{other:?}"),
    }
}

/// The phone answers the CANCEL that it gets, and the INVITE with 487.
fn is_cancelled(bench: &mut Bench, phone: &str, got: &Request) {
    let cancel = bench.request(phone);
    assert_eq!((cancel.method().as_str(), raw(&cancel, Name::Reason).as_str()), ("CANCEL", REASON));
    bench.send(phone, &reply(&cancel, 200, "", "", ""));
    bench.send(phone, &reply(got, 487, "tbob", "", ""));
}

/// The caller is refused in the operator's name, and so it is recorded.
fn caller_is_refused(bench: &mut Bench) {
    let refused = bench.response(ALICE);
    assert_eq!((refused.status().code(), refused.reason()), (480, &b"Ended by the operator"[..]));
    let failed: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::CallFailed { status, reason, by, .. } => Some((status.code(), reason.as_str(), *by)),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [(480, "Ended by the operator", Some(EndedBy::Operator))]);
}

fn both_get_a_bye(bench: &mut Bench) {
    for at in [ALICE, BOB] {
        let bye = bench.request(at);
        assert_eq!((bye.method().as_str(), raw(&bye, Name::Reason).as_str()), ("BYE", REASON));
        bench.send(at, &reply(&bye, 200, "", "", ""));
    }
    let ended: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::CallEnded { by, .. } => Some(*by),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [EndedBy::Operator]);
}

fn nothing_is_left(bench: &mut Bench) {
    bench.relay();
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn an_anchored_call_ends_for_both_phones() {
    let mut bench = anchoring();
    let (got, _) = call(&mut bench);
    assert_eq!(hang_up(&mut bench, "another"), 0);
    assert_eq!(hang_up(&mut bench, got.call_id().unwrap()), 1);
    both_get_a_bye(&mut bench);
    assert!(bench.open_streams().is_empty());
    assert_eq!(hang_up(&mut bench, got.call_id().unwrap()), 0, "it is over");
    nothing_is_left(&mut bench);
}

#[test]
fn phones_that_ring_stop_and_the_caller_is_told_whatever_else_was_answered() {
    let mut bench = anchoring();
    bench.register("bob", BOB_TOO);
    let got = ring(&mut bench);
    let too = bench.request(BOB_TOO);
    bench.send(BOB, &reply(&got, 180, "tbob", "", ""));
    bench.send(BOB_TOO, &reply(&too, 486, "ttoo", "", ""));
    assert_eq!(bench.request(BOB_TOO).method().as_str(), "ACK");
    assert_eq!(hang_up(&mut bench, got.call_id().unwrap()), 1);
    is_cancelled(&mut bench, BOB, &got);
    caller_is_refused(&mut bench);
    assert!(bench.open_streams().is_empty());
    nothing_is_left(&mut bench);
}

#[test]
fn an_answer_that_crosses_the_cancel_does_not_keep_the_call() {
    let mut bench = anchoring();
    let got = ring(&mut bench);
    bench.send(BOB, &reply(&got, 180, "tbob", "", ""));
    assert_eq!(hang_up(&mut bench, got.call_id().unwrap()), 1);
    assert_eq!(bench.request(BOB).method().as_str(), "CANCEL");
    bench.send(
        BOB,
        &reply(&got, 200, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), &sdp("192.0.2.20", 6000)),
    );
    both_get_a_bye(&mut bench);
    assert!(bench.open_streams().is_empty());
    nothing_is_left(&mut bench);
}

#[test]
fn a_call_that_its_caller_has_given_up_is_the_callers() {
    let mut bench = Bench::new();
    let got = ring(&mut bench);
    bench.send(BOB, &reply(&got, 180, "tbob", "", ""));
    let cancel = invite("").replace("INVITE", "CANCEL").replace("z9hG4bKCANCELalice1", "z9hG4bKINVITEalice2");
    bench.send(ALICE, &cancel.replace("CSeq: 1", "CSeq: 2"));
    assert_eq!(bench.request(BOB).method().as_str(), "CANCEL");
    assert_eq!(hang_up(&mut bench, got.call_id().unwrap()), 1);
    bench.send(BOB, &reply(&got, 487, "tbob", "", ""));
    assert_eq!(bench.response(ALICE).status().code(), 487);
    assert!(bench.events.iter().any(|one| matches!(one, Event::CallFailed { by: None, .. })));
}

/// Bob's phone rings, and Alice ends its dialog by a BYE.
fn leave_early(bench: &mut Bench) -> Request {
    let got = ring(bench);
    bench.send(BOB, &reply(&got, 180, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), ""));
    let ringing = bench.response(ALICE);
    assert_eq!(ringing.status().code(), 180);
    bench.send(ALICE, &in_dialog("BYE", 3, &got, &ringing, true, ALICE));
    let bye = bench.request(BOB);
    assert_eq!(bye.method().as_str(), "BYE");
    bench.send(BOB, &reply(&bye, 200, "", "", ""));
    assert_eq!(bench.response(ALICE).status().code(), 200);
    got
}

/// How the call ended, each time that it is told.
fn ends(bench: &Bench) -> Vec<String> {
    let end = |event: &Event| match event {
        Event::CallFailed { status, by, .. } => Some(format!("failed {} {by:?}", status.code())),
        Event::CallEnded { by, .. } => Some(format!("ended {by:?}")),
        Event::CallAnswered { .. } => Some("answered".into()),
        _ => None,
    };
    bench.events.iter().filter_map(end).collect()
}

#[test]
fn a_bye_to_a_phone_that_rings_ends_a_call_that_was_not_answered() {
    for mut bench in [Bench::new(), anchoring()] {
        let got = leave_early(&mut bench);
        assert!(ends(&bench).is_empty());
        bench.send(BOB, &reply(&got, 487, "tbob", "", ""));
        assert_eq!(bench.response(ALICE).status().code(), 487);
        assert_eq!(ends(&bench), ["failed 487 Some(Caller)"]);
        nothing_is_left(&mut bench);
    }
}

#[test]
fn an_answer_that_crosses_such_a_bye_is_over_at_once() {
    for mut bench in [Bench::new(), anchoring()] {
        let got = leave_early(&mut bench);
        let (got, ok) = answer(&mut bench, &got, &sdp("192.0.2.20", 6000));
        assert_eq!(ends(&bench), ["answered", "ended Caller"]);
        // Whoever hangs up once more ends nothing.
        bench.send(ALICE, &in_dialog("BYE", 4, &got, &ok, true, ALICE));
        let bye = bench.request(BOB);
        bench.send(BOB, &reply(&bye, 481, "", "", ""));
        assert_eq!(ends(&bench), ["answered", "ended Caller"]);
        nothing_is_left(&mut bench);
    }
}

#[test]
fn a_phone_that_is_left_while_it_rings_does_not_take_the_call_from_another() {
    let mut bench = Bench::new();
    bench.register("bob", BOB_TOO);
    let got = leave_early(&mut bench);
    let too = bench.request(BOB_TOO);
    bench.send(BOB, &reply(&got, 487, "tbob", "", ""));
    bench.send(BOB_TOO, &reply(&too, 200, "ttoo", &format!("Contact: <sip:bob@{BOB_TOO}>\n"), ""));
    let ok = bench.response(ALICE);
    assert_eq!(ok.status().code(), 200);
    assert_eq!(ends(&bench), ["answered"]);
    bench.send(ALICE, &in_dialog("BYE", 4, &too, &ok, true, ALICE));
    assert_eq!(ends(&bench), ["answered", "ended Caller"]);
}

#[test]
fn a_direct_call_belongs_to_its_phones_once_it_is_answered() {
    let mut bench = Bench::new();
    let (got, _) = call(&mut bench);
    assert_eq!(hang_up(&mut bench, got.call_id().unwrap()), 0);
    assert!(bench.nothing_sent());
}

/// A caller with privacy has a call of its own with the exchange.
fn ring_bridged(bench: &mut Bench) -> Request {
    bench.register("bob", BOB);
    let hidden = request(
        "INVITE",
        "sip:bob@example.com",
        "alice",
        ALICE,
        "Privacy: header\n",
        &sdp("192.0.2.10", 4000),
    );
    assert_eq!(bench.authenticated(ALICE, "alice", &hidden).status().code(), 100);
    bench.request(BOB)
}

#[test]
fn a_bridged_call_ends_for_both_phones() {
    let mut bench = anchoring();
    let got = ring_bridged(&mut bench);
    bench.send(
        BOB,
        &reply(&got, 200, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), &sdp("192.0.2.20", 6000)),
    );
    let ok = bench.response(ALICE);
    assert_eq!(ok.status().code(), 200);
    let ack = request("ACK", &ok.contacts().unwrap().list()[0].uri().to_string(), "alice", ALICE, "", "");
    let to = ack.lines().find(|line| line.starts_with("To: ")).unwrap().to_owned();
    let ack = ack.replace(&to, &format!("To: {}", raw(&ok, Name::To))).replace("CSeq: 1", "CSeq: 2");
    bench.send(ALICE, &ack);
    assert_eq!(bench.request(BOB).method().as_str(), "ACK");
    let id = only_call(&mut bench);
    assert_eq!(hang_up(&mut bench, &id), 1);
    both_get_a_bye(&mut bench);
    assert!(bench.open_streams().is_empty());
    assert_eq!(hang_up(&mut bench, &id), 0, "it is over");
    nothing_is_left(&mut bench);
}

#[test]
fn a_bridged_call_that_rings_is_refused_in_the_operators_name() {
    let mut bench = anchoring();
    let got = ring_bridged(&mut bench);
    bench.send(BOB, &reply(&got, 180, "tbob", "", ""));
    let id = only_call(&mut bench);
    assert_eq!(hang_up(&mut bench, &id), 1);
    is_cancelled(&mut bench, BOB, &got);
    caller_is_refused(&mut bench);
    assert!(bench.open_streams().is_empty());
}

#[test]
fn an_answered_call_of_two_is_ended_and_the_other_goes_on() {
    let mut bench = anchoring();
    let (got, _) = call(&mut bench);
    let other =
        invite(&sdp("192.0.2.10", 4100)).replace("INVITEalice", "second").replace("Call-ID: ", "Call-ID: x");
    assert_eq!(bench.authenticated(ALICE, "alice", &other).status().code(), 100);
    let second = bench.request(BOB);
    assert_ne!(second.call_id(), got.call_id());
    answer(&mut bench, &second, &sdp("192.0.2.20", 6100));
    assert_eq!(hang_up(&mut bench, got.call_id().unwrap()), 1);
    assert_eq!(only_call(&mut bench), second.call_id().unwrap());
}
