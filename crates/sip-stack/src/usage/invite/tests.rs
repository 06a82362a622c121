use std::time::Duration;

use offhook_sip::{Message, Method, Status};

use super::super::tests::{CALL, CALLED, Wire};
use super::*;
use crate::usage::SessionTimers;

fn bodies(wire: &Wire, end: usize) -> Vec<String> {
    let text = |body: &Body| String::from_utf8_lossy(&body.bytes).into_owned();
    let bodies = wire.ends[end].events.iter().filter_map(|(_, event)| match event {
        InviteEvent::Answered { body: Some(body), .. }
        | InviteEvent::Settled { body }
        | InviteEvent::Offer { body: Some(body) } => Some(text(body)),
        _ => None,
    });
    bodies.collect()
}

fn hangup(wire: &mut Wire, end: usize) {
    let usage = if end == 0 { CALL } else { CALLED };
    wire.at(end, usage, |usage, stack| usage.hangup(stack));
}

#[test]
fn a_call_is_offered_answered_acknowledged_and_hung_up() {
    let mut wire = Wire::new();
    wire.establish();
    hangup(&mut wire, 1);
    wire.pass(Duration::from_millis(100));
    assert_eq!(wire.trace, ["0 INVITE", "1 200 INVITE", "0 ACK", "1 BYE", "0 200 BYE"]);
    assert_eq!(bodies(&wire, 0), ["answer"]);
    assert_eq!((wire.ended(0), wire.ended(1)), (vec![Status::OK], vec![Status::OK]));
    wire.assert_nothing_left();
}

#[test]
fn a_call_without_offer_has_it_in_the_2xx_and_the_answer_in_the_ack() {
    let mut wire = Wire::new();
    wire.call(None);
    wire.pass(Duration::from_millis(100));
    wire.at(1, CALLED, |usage, stack| usage.accept(Body::sdp("late offer"), stack));
    wire.pass(Duration::from_millis(50));
    let answered = &wire.ends[0].events.last().unwrap().1;
    assert!(matches!(answered, InviteEvent::Answered { offer: true, .. }));
    wire.at(0, CALL, |usage, stack| usage.answer(Body::sdp("late answer"), stack));
    wire.pass(Duration::from_millis(100));
    assert_eq!(bodies(&wire, 1), ["late answer"]);
    hangup(&mut wire, 0);
    wire.assert_nothing_left();
}

#[test]
fn a_lost_ack_is_sent_again_for_each_copy_of_the_2xx() {
    let mut wire = Wire::new();
    wire.losses = vec![("0 ACK", 2)];
    wire.call(Some("offer"));
    wire.pass(Duration::from_millis(100));
    wire.at(1, CALLED, |usage, stack| usage.accept(Body::sdp("answer"), stack));
    wire.pass(Duration::from_secs(10));
    assert_eq!((wire.count("1 200 INVITE"), wire.count("0 ACK")), (3, 3));
    hangup(&mut wire, 1);
    wire.assert_nothing_left();
}

#[test]
fn a_lost_ack_is_sent_again_when_the_next_invite_is_answered() {
    let mut wire = Wire::new();
    wire.losses = vec![("0 ACK", 2)];
    wire.establish();
    wire.at(0, CALL, |usage, stack| usage.change(Body::sdp("hold"), stack));
    wire.pass(Duration::from_millis(300));
    assert_eq!((wire.count("1 200 INVITE"), wire.count("0 ACK")), (2, 2));
    wire.pass(Duration::from_secs(1));
    assert_eq!((wire.count("1 200 INVITE"), wire.count("0 ACK")), (4, 4), "{:?}", wire.trace);
    hangup(&mut wire, 1);
    wire.assert_nothing_left();
}

#[test]
fn the_ack_of_the_next_invite_will_do_for_a_lost_one() {
    let mut wire = Wire::new();
    wire.losses = vec![("0 ACK", 1)];
    wire.establish();
    wire.at(0, CALL, |usage, stack| usage.change(Body::sdp("hold"), stack));
    wire.pass(Duration::from_secs(1));
    assert_eq!((wire.count("1 200 INVITE"), wire.count("0 ACK")), (2, 2), "{:?}", wire.trace);
    hangup(&mut wire, 1);
    wire.assert_nothing_left();
}

#[test]
fn a_2xx_that_is_never_acknowledged_ends_with_bye() {
    let mut wire = Wire::new();
    wire.losses = vec![("0 ACK", 100)];
    wire.call(Some("offer"));
    wire.pass(Duration::from_millis(100));
    wire.at(1, CALLED, |usage, stack| usage.accept(Body::sdp("answer"), stack));
    wire.pass(Duration::from_secs(31));
    assert_eq!(wire.count("1 BYE"), 0);
    wire.pass(Duration::from_secs(3));
    assert_eq!(wire.count("1 BYE"), 1);
    assert_eq!(wire.ended(1), [Status::REQUEST_TIMEOUT]);
    wire.assert_nothing_left();
}

#[test]
fn the_callee_waits_with_bye_for_the_ack() {
    let mut wire = Wire::new();
    wire.losses = vec![("0 ACK", 1)];
    wire.call(Some("offer"));
    wire.pass(Duration::from_millis(100));
    wire.at(1, CALLED, |usage, stack| usage.accept(Body::sdp("answer"), stack));
    wire.pass(Duration::from_millis(100));
    hangup(&mut wire, 1);
    wire.pass(Duration::from_millis(100));
    assert_eq!(wire.count("1 BYE"), 0);
    wire.pass(Duration::from_secs(1));
    assert_eq!(wire.count("1 BYE"), 1);
    wire.assert_nothing_left();
}

#[test]
fn a_cancelled_call_gets_487() {
    let mut wire = Wire::new();
    wire.call(Some("offer"));
    wire.pass(Duration::from_millis(100));
    wire.at(1, CALLED, |usage, stack| usage.provisional(Status::RINGING, None, stack));
    wire.pass(Duration::from_millis(100));
    hangup(&mut wire, 0);
    wire.pass(Duration::from_millis(100));
    let ladder = ["0 INVITE", "1 180 INVITE", "0 CANCEL", "1 200 CANCEL", "1 487 INVITE", "0 ACK"];
    assert_eq!(wire.trace, ladder);
    assert_eq!(wire.ended(1), [Status::REQUEST_TERMINATED]);
    wire.assert_nothing_left();
}

#[test]
fn a_2xx_that_crosses_cancel_is_acknowledged_and_hung_up() {
    let mut wire = Wire::new();
    wire.call(Some("offer"));
    wire.pass(Duration::from_millis(100));
    wire.at(1, CALLED, |usage, stack| usage.provisional(Status::RINGING, None, stack));
    wire.pass(Duration::from_millis(100));
    hangup(&mut wire, 0);
    wire.at(1, CALLED, |usage, stack| usage.accept(Body::sdp("answer"), stack));
    wire.pass(Duration::from_millis(200));
    assert_eq!((wire.count("0 ACK"), wire.count("0 BYE"), wire.count("1 200 BYE")), (1, 1, 1));
    assert_eq!(wire.ended(0), [Status::REQUEST_TERMINATED]);
    assert_eq!(wire.ended(1), [Status::OK]);
    wire.assert_nothing_left();
}

#[test]
fn crossing_byes_are_both_answered() {
    let mut wire = Wire::new();
    wire.establish();
    hangup(&mut wire, 0);
    hangup(&mut wire, 1);
    wire.pass(Duration::from_millis(100));
    assert_eq!((wire.count("0 200 BYE"), wire.count("1 200 BYE")), (1, 1));
    wire.assert_nothing_left();
}

#[test]
fn a_bye_that_crosses_a_re_invite_wins() {
    let mut wire = Wire::new();
    wire.establish();
    wire.at(0, CALL, |usage, stack| usage.change(Body::sdp("hold"), stack));
    hangup(&mut wire, 1);
    wire.pass(Duration::from_millis(200));
    assert_eq!((wire.count("1 481 INVITE"), wire.count("0 200 BYE")), (1, 1));
    assert_eq!((wire.ended(0), wire.ended(1)), (vec![Status::OK], vec![Status::OK]));
    wire.assert_nothing_left();
}

#[test]
fn re_invites_that_cross_are_refused_and_tried_again_one_after_the_other() {
    let mut wire = Wire::new();
    wire.establish();
    wire.at(0, CALL, |usage, stack| usage.change(Body::sdp("from caller"), stack));
    wire.at(1, CALLED, |usage, stack| usage.change(Body::sdp("from callee"), stack));
    wire.pass(Duration::from_secs(5));
    assert_eq!((wire.count("0 491 INVITE"), wire.count("1 491 INVITE")), (1, 1));
    assert_eq!((wire.count("0 200 INVITE"), wire.count("1 200 INVITE")), (1, 2));
    assert_eq!(bodies(&wire, 0), ["answer", "from callee", "answer"]);
    assert_eq!(bodies(&wire, 1), ["answer", "from caller"]);
    hangup(&mut wire, 0);
    wire.assert_nothing_left();
}

#[test]
fn a_re_invite_while_an_offer_is_open_gets_500_with_retry_after() {
    let mut wire = Wire::new();
    wire.establish();
    wire.ends[1].answers = None;
    wire.at(0, CALL, |usage, stack| usage.change(Body::sdp("first"), stack));
    wire.pass(Duration::from_millis(100));
    let dialog = wire.ends[0].usages[&CALL].dialog().unwrap().clone();
    let (local, remote) = (dialog.local().clone(), dialog.remote().clone());
    let number = dialog.local_sequence() + 1;
    wire.inject(
        1,
        &format!(
            "INVITE sip:end2@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother\n\
             From: {local}\nTo: {remote}\nCall-ID: {}\nCSeq: {number} INVITE\nMax-Forwards: 70\n\
             Contact: <sip:end1@192.0.2.1>\nContent-Length: 0\n\n",
            dialog.id().call_id
        ),
    );
    assert_eq!(wire.count("1 500 INVITE"), 1);
    wire.at(1, CALLED, |usage, stack| usage.answer(Body::sdp("done"), stack));
    wire.pass(Duration::from_millis(100));
    assert_eq!(bodies(&wire, 0), ["answer", "done"]);
    hangup(&mut wire, 1);
    wire.assert_nothing_left();
}

#[test]
fn a_refused_change_leaves_the_call_as_it_is() {
    let mut wire = Wire::new();
    wire.establish();
    wire.ends[1].answers = None;
    wire.at(0, CALL, |usage, stack| usage.change(Body::sdp("video"), stack));
    wire.pass(Duration::from_millis(100));
    wire.at(1, CALLED, |usage, stack| usage.refuse(Status::NOT_ACCEPTABLE_HERE, &[], stack));
    wire.pass(Duration::from_millis(100));
    let failed = InviteEvent::ChangeFailed { status: Status::NOT_ACCEPTABLE_HERE };
    assert!(wire.ends[0].events.contains(&(CALL, failed)));
    assert!(wire.ends[0].usages[&CALL].is_established());
    hangup(&mut wire, 0);
    wire.assert_nothing_left();
}

fn reliable() -> Wire {
    let mut wire = Wire::new();
    for end in &mut wire.ends {
        end.settings.reliable_provisional = true;
    }
    wire.call(Some("offer"));
    wire.pass(Duration::from_millis(100));
    wire
}

#[test]
fn reliable_provisional_responses_are_acknowledged_one_by_one() {
    let mut wire = reliable();
    wire.losses = vec![("1 180 INVITE", 2), ("0 PRACK", 1)];
    wire.at(1, CALLED, |usage, stack| {
        usage.provisional(Status::RINGING, None, stack);
        usage.provisional(Status::QUEUED, None, stack);
    });
    wire.pass(Duration::from_secs(6));
    assert_eq!((wire.count("1 180 INVITE"), wire.count("1 182 INVITE")), (3, 1));
    assert_eq!((wire.count("0 PRACK"), wire.count("1 200 PRACK")), (3, 2));
    wire.at(1, CALLED, |usage, stack| usage.accept(Body::sdp("answer"), stack));
    wire.pass(Duration::from_millis(100));
    hangup(&mut wire, 0);
    wire.assert_nothing_left();
}

#[test]
fn the_2xx_waits_for_the_prack_of_an_early_answer_and_does_not_repeat_it() {
    let mut wire = reliable();
    wire.losses = vec![("0 PRACK", 1)];
    wire.at(1, CALLED, |usage, stack| {
        usage.provisional(Status::SESSION_PROGRESS, Some(Body::sdp("early answer")), stack);
        usage.accept(Body::sdp("early answer"), stack);
    });
    wire.pass(Duration::from_millis(100));
    assert_eq!(wire.count("1 200 INVITE"), 0);
    wire.pass(Duration::from_secs(2));
    assert_eq!(wire.count("1 200 INVITE"), 1);
    assert_eq!(bodies(&wire, 0), ["early answer"]);
    hangup(&mut wire, 0);
    wire.assert_nothing_left();
}

#[test]
fn an_early_session_is_changed_by_update() {
    let mut wire = reliable();
    wire.at(1, CALLED, |usage, stack| {
        usage.provisional(Status::SESSION_PROGRESS, Some(Body::sdp("early answer")), stack);
    });
    wire.pass(Duration::from_millis(100));
    wire.at(0, CALL, |usage, stack| usage.change(Body::sdp("other"), stack));
    wire.pass(Duration::from_millis(100));
    assert_eq!((wire.count("0 UPDATE"), wire.count("1 200 UPDATE")), (1, 1));
    assert_eq!(bodies(&wire, 1), ["other"]);
    hangup(&mut wire, 0);
    wire.assert_nothing_left();
}

#[test]
fn a_call_whose_provisional_response_is_never_acknowledged_is_refused() {
    let mut wire = reliable();
    wire.losses = vec![("0 PRACK", 100)];
    wire.at(1, CALLED, |usage, stack| usage.provisional(Status::RINGING, None, stack));
    wire.pass(Duration::from_secs(40));
    assert_eq!(wire.ended(1), [Status::SERVER_TIMEOUT]);
    assert_eq!(wire.ended(0), [Status::SERVER_TIMEOUT]);
    wire.assert_nothing_left();
}

fn timed(interval: u32) -> Wire {
    let mut wire = Wire::new();
    for end in &mut wire.ends {
        end.settings.session_timers = SessionTimers { interval, minimum: 90 };
    }
    wire
}

#[test]
fn a_session_is_refreshed_at_half_time() {
    let mut wire = timed(100);
    wire.establish();
    wire.pass(Duration::from_secs(170));
    assert_eq!((wire.count("0 UPDATE"), wire.count("1 200 UPDATE")), (3, 3));
    hangup(&mut wire, 1);
    wire.assert_nothing_left();
}

#[test]
fn a_session_whose_peer_is_gone_ends_by_itself() {
    let mut wire = timed(100);
    wire.establish();
    wire.losses = vec![("0 UPDATE", 1000), ("1 BYE", 1000), ("0 BYE", 1000)];
    wire.pass(Duration::from_secs(100));
    assert_eq!(wire.ended(1), [Status::REQUEST_TIMEOUT]);
    assert_eq!(wire.ended(0), [Status::REQUEST_TIMEOUT]);
    wire.assert_nothing_left();
}

#[test]
fn a_session_interval_that_is_too_small_is_asked_again_larger() {
    let mut wire = timed(100);
    wire.ends[1].settings.session_timers = SessionTimers { interval: 1800, minimum: 300 };
    wire.call(Some("offer"));
    wire.pass(Duration::from_millis(200));
    assert_eq!((wire.count("0 INVITE"), wire.count("1 422 INVITE")), (2, 1));
    wire.at(1, CALLED, |usage, stack| usage.accept(Body::sdp("answer"), stack));
    wire.pass(Duration::from_secs(160));
    assert_eq!(wire.count("0 UPDATE"), 1);
    hangup(&mut wire, 1);
    wire.assert_nothing_left();
}

/// What a fork says to an INVITE.
fn reply(invite: &str, status: &str, tag: &str, more: &str) -> String {
    let Message::Request(invite) = Message::parse(invite.to_owned().into()).unwrap() else { panic!() };
    format!(
        "SIP/2.0 {status}\nVia: {}\nFrom: {}\nTo: {};tag={tag}\nCall-ID: {}\nCSeq: 1 INVITE\n\
         Contact: <sip:{tag}@192.0.2.2>\n{more}",
        invite.via().unwrap(),
        invite.from().unwrap(),
        invite.to().unwrap(),
        invite.call_id().unwrap(),
    )
}

const ANSWER: &str = "Content-Type: application/sdp\nContent-Length: 1\n\n";

#[test]
fn the_first_fork_to_answer_wins_and_the_others_are_hung_up() {
    let mut wire = Wire::new();
    wire.losses = vec![("0 INVITE", 100)];
    wire.call(Some("offer"));
    let initial = wire.ends[0].usages[&CALL].initial.as_ref().unwrap();
    let invite = String::from_utf8_lossy(initial.attempt.request().bytes()).into_owned();
    for tag in ["one", "two", "three"] {
        let ringing = reply(&invite, "180 Ringing", tag, "Content-Length: 0\n\n");
        wire.inject(0, &ringing);
    }
    let winner = reply(&invite, "200 OK", "two", ANSWER) + "2";
    wire.inject(0, &winner);
    assert_eq!(bodies(&wire, 0), ["2"]);
    assert_eq!((wire.count("0 ACK"), wire.count("0 BYE")), (1, 0));
    for tag in ["three", "stranger"] {
        let loser = reply(&invite, "200 OK", tag, ANSWER) + "3";
        wire.inject(0, &loser);
    }
    assert_eq!((wire.count("0 ACK"), wire.count("0 BYE")), (3, 2));
    wire.inject(0, &winner);
    assert_eq!((wire.count("0 ACK"), wire.count("0 BYE")), (4, 2));
    assert!(wire.ends[0].usages[&CALL].is_established());
    assert_eq!(wire.ends[0].usages[&CALL].dialog().unwrap().id().remote_tag, "two");
}

#[test]
fn a_request_for_a_dialog_that_is_gone_gets_481() {
    let mut wire = Wire::new();
    wire.establish();
    let dialog = wire.ends[0].usages[&CALL].dialog().unwrap().clone();
    wire.at(0, CALL, |usage, stack| assert_eq!(usage.send(Method::Info, &[], None, stack), Some(1)));
    wire.pass(Duration::from_millis(100));
    assert!(matches!(wire.ends[1].events.last(), Some((_, InviteEvent::Requested { .. }))));
    wire.inject(
        1,
        &format!(
            "INFO sip:end2@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\n\
             From: <sip:end1@example.com>;tag=wrong\nTo: {}\nCall-ID: {}\nCSeq: 9 INFO\n\
             Max-Forwards: 70\nContent-Length: 0\n\n",
            dialog.remote(),
            dialog.id().call_id
        ),
    );
    assert_eq!(wire.count("1 481 INFO"), 1);
}

#[test]
fn an_answer_that_crosses_a_cancel_is_ended_in_the_dialog_that_it_was_early_in() {
    let mut wire = reliable();
    // The PRACK has used a number of the dialog, which the BYE has to count on from.
    wire.at(1, CALLED, |usage, stack| usage.provisional(Status::RINGING, None, stack));
    wire.pass(Duration::from_millis(100));
    wire.at(1, CALLED, |usage, stack| usage.accept(Body::sdp("answer"), stack));
    hangup(&mut wire, 0);
    wire.pass(Duration::from_secs(40));
    assert!(wire.trace.iter().any(|one| one == "1 200 BYE"), "{:?}", wire.trace);
    wire.assert_nothing_left();
}

#[test]
fn an_offer_that_is_asked_for_comes_in_the_2xx_and_is_answered_in_the_ack() {
    let mut wire = Wire::new();
    wire.establish();
    wire.pass(Duration::from_millis(100));
    (wire.ends[0].answers, wire.ends[1].answers) = (Some("given"), Some("asked for"));
    wire.at(0, CALL, |usage, stack| usage.ask(stack));
    wire.pass(Duration::from_millis(100));
    assert!(bodies(&wire, 0).contains(&"asked for".to_owned()), "{:?}", wire.trace);
    assert!(bodies(&wire, 1).contains(&"given".to_owned()), "{:?}", wire.trace);
    hangup(&mut wire, 0);
    wire.assert_nothing_left();
}

#[test]
fn a_change_that_is_passed_on_fails_at_once_where_one_of_our_own_would_wait() {
    let mut wire = Wire::new();
    wire.establish();
    wire.pass(Duration::from_millis(100));
    wire.at(0, CALL, |usage, stack| usage.pass_change(Body::sdp("mine"), stack));
    wire.at(1, CALLED, |usage, stack| usage.pass_change(Body::sdp("yours"), stack));
    wire.pass(Duration::from_secs(10));
    for end in [0, 1] {
        let failed = wire.ends[end].events.iter().filter(|(_, event)| {
            matches!(event, InviteEvent::ChangeFailed { status: Status::REQUEST_PENDING })
        });
        assert_eq!(failed.count(), 1);
    }
    assert_eq!(wire.count("0 INVITE") + wire.count("1 INVITE"), 3, "{:?}", wire.trace);
    hangup(&mut wire, 0);
    wire.assert_nothing_left();
}
