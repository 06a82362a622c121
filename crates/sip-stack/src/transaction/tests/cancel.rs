//! CANCEL (§9) and its races.

use offhook_sip::{Message, Name};

use super::bench::{Bench, ours, reply, tcp, texts, theirs, udp, with_branch};
use crate::transaction::TransactionEvent;

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    let id = bench.send(invite.clone(), udp());
    let cancel = bench.cancel(id);
    assert!(cancel.is_some());
    assert_eq!(bench.cancel(id), cancel, "asking twice is asking once");
    assert_eq!(bench.sent(), ["INVITE"]);
    bench.receive(reply(&invite, 100, ""), udp());
    assert_eq!(bench.sent(), ["CANCEL"]);
    bench.receive(reply(&invite, 180, "b"), udp());
    assert_eq!(bench.sent(), [""; 0]);
}

#[test]
fn cancel_copies_what_it_must_from_the_invite() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    let id = bench.send(invite.clone(), tcp(3));
    bench.receive(reply(&invite, 180, "b"), tcp(3));
    bench.take_sent();
    let reason = "SIP;cause=200;text=\"Call completed elsewhere\"";
    bench.with(|table, cx| table.cancel_because(id, reason, cx));
    let sent = bench.take_sent();
    let Message::Request(cancel) = &sent[0].message else { panic!("a response") };
    assert_eq!(sent[0].flow, tcp(3));
    assert_eq!(cancel.uri_bytes(), invite.uri_bytes());
    for name in [Name::Via, Name::Route, Name::From, Name::To, Name::CallId] {
        assert_eq!(
            cancel.raw_all(name).collect::<Vec<_>>(),
            invite.raw_all(name).collect::<Vec<_>>(),
            "{name}"
        );
    }
    assert_eq!(cancel.to_tag(), None);
    assert_eq!(cancel.cseq().unwrap().to_string(), "1 CANCEL");
    assert_eq!(cancel.raw(Name::Reason), Some(reason.as_bytes()));
    assert!(!cancel.has(Name::Contact) && !cancel.has(Name::Require));
}

#[test]
fn cancel_is_a_transaction_of_its_own() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    let id = bench.send(invite.clone(), udp());
    bench.receive(reply(&invite, 180, "b"), udp());
    let cancel = bench.cancel(id).unwrap();
    let sent = bench.take_sent();
    let Message::Request(request) = sent[1].message.clone() else { panic!("a response") };
    bench.receive(reply(&request, 200, "b"), udp());
    bench.receive(reply(&invite, 487, "b"), udp());
    let clients: Vec<_> = bench
        .events()
        .into_iter()
        .filter_map(|event| match event {
            TransactionEvent::Response { client, response, .. } => Some((client, response.status().code())),
            _ => None,
        })
        .collect();
    assert_eq!(clients, [(id, 180), (cancel, 200), (id, 487)]);
    assert_eq!(bench.sent(), ["ACK"]);
    bench.run_until(40_000);
    assert!(bench.table.is_empty());
}

#[test]
fn a_2xx_that_crosses_the_cancel_is_passed_on() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    let id = bench.send(invite.clone(), udp());
    bench.receive(reply(&invite, 180, "b"), udp());
    bench.cancel(id);
    bench.receive(reply(&invite, 200, "b"), udp());
    assert_eq!(texts(&bench.said()), [(0, "180"), (0, "200")]);
}

#[test]
fn a_final_response_before_any_provisional_makes_the_cancel_needless() {
    for status in [200, 486] {
        let mut bench = Bench::new();
        let invite = ours("INVITE");
        let id = bench.send(invite.clone(), udp());
        bench.cancel(id);
        bench.receive(reply(&invite, status, "b"), udp());
        assert_eq!(bench.cancel(id), None);
        bench.receive(reply(&invite, 180, "b"), udp());
        bench.run_until(100_000);
        assert!(!bench.sent().contains(&"CANCEL".to_owned()));
        assert!(bench.table.is_empty());
    }
}

#[test]
fn a_cancelled_invite_without_final_response_ends_after_64_t1() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    let id = bench.send(invite.clone(), udp());
    bench.run_until(1000);
    bench.receive(reply(&invite, 180, "b"), udp());
    bench.cancel(id);
    bench.run_until(33_000);
    // Both: the CANCEL was not answered either.
    assert_eq!(texts(&bench.said()), [(1000, "180"), (33_000, "timeout"), (33_000, "timeout")]);
    assert!(bench.table.is_empty());
}

#[test]
fn only_an_invite_that_is_known_can_be_cancelled() {
    let mut bench = Bench::new();
    let options = bench.send(ours("OPTIONS"), udp());
    assert_eq!(bench.cancel(options), None);
    let invite = bench.send(with_branch("INVITE", "UDP 192.0.2.1", "z9hG4bK-2"), udp());
    bench.run_until(40_000);
    assert_eq!(bench.cancel(invite), None);
}

#[test]
fn a_received_cancel_names_its_invite_and_leaves_it_to_the_user() {
    let mut bench = Bench::new();
    let invite = bench.serve(theirs("INVITE"), udp());
    bench.respond(invite, 180);
    bench.receive(theirs("CANCEL"), udp());
    let events = bench.events();
    let [TransactionEvent::Cancel { server, invite: named, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*named, invite);
    bench.respond(*server, 200);
    bench.respond(invite, 487);
    // A copy of the CANCEL is answered again and not told.
    bench.receive(theirs("CANCEL"), udp());
    assert_eq!(bench.sent(), ["180", "200", "487", "200"]);
    assert_eq!(texts(&bench.said()), []);
}

#[test]
fn a_received_cancel_without_its_invite_is_a_request_like_any_other() {
    let mut bench = Bench::new();
    // No INVITE at all; one of another transaction; a transaction that is no INVITE; another call's.
    bench.serve(with_branch("INVITE", "UDP 192.0.2.9:5060", "z9hG4bK-other"), udp());
    bench.serve(theirs("OPTIONS"), udp());
    bench.receive(theirs("CANCEL"), udp());
    assert_eq!(texts(&bench.said()), [(0, "CANCEL")]);
}

#[test]
fn a_cancel_with_a_guessed_branch_but_another_call_id_cancels_nothing() {
    let mut bench = Bench::new();
    bench.serve(theirs("INVITE"), udp());
    let mut edit = theirs("CANCEL").edit();
    edit.set(Name::CallId, "guess");
    bench.receive(edit.finish(), udp());
    assert_eq!(texts(&bench.said()), [(0, "CANCEL")]);
}

#[test]
fn a_cancel_after_the_final_response_is_still_matched() {
    let mut bench = Bench::new();
    let invite = bench.serve(theirs("INVITE"), udp());
    bench.respond(invite, 200);
    bench.receive(theirs("CANCEL"), udp());
    assert_eq!(texts(&bench.said()), [(0, "cancel")]);
}
