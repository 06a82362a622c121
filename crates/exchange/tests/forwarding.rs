//! Calls that go on to somebody else, or are turned away, as the account that is called has set it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, BOB, EVE, invite};
use bench::{Bench, in_dialog, raw, reply, sdp};
use offhook_exchange::command::{Command, Ticket};
use offhook_exchange::config::{Config, Strangers};
use offhook_exchange::directory::{AddressOfRecord, Answering, Delta, Forward};
use offhook_exchange::event::Event;
use offhook_exchange::io::Input;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Choice, Destination, Numbering, Pattern, Rule, Trunk, TrunkAuth};
use offhook_sip::{Name, Uri};

const CAROL: &str = "192.0.2.30:5060";
const DAVE: &str = "192.0.2.40:5060";
const CARRIER: &str = "198.51.100.9:5060";

fn set(bench: &mut Bench, user: &str, answering: Answering) {
    let delta = Delta::Answering(AddressOfRecord::new(user, "example.com"), answering);
    bench.input(Input::Command(Ticket(0), Command::Apply(Box::new(delta))));
}

/// Bob is registered and wants his calls like this; so are Carol and Dave (+49307654321).
fn office(answering: Answering) -> Bench {
    with(|_| {}, answering)
}

fn with(change: impl FnOnce(&mut Config), answering: Answering) -> Bench {
    let mut bench = Bench::with(change);
    bench.account("dave", Some("+49307654321"));
    for (user, at) in [("bob", BOB), ("carol", CAROL), ("dave", DAVE)] {
        bench.register(user, at);
    }
    set(&mut bench, "bob", answering);
    bench
}

fn forward(forward: Forward) -> Answering {
    Answering { forward, ..Answering::default() }
}

fn to(target: &str) -> Option<String> {
    Some(target.to_owned())
}

fn dial(bench: &mut Bench) -> u16 {
    bench.authenticated(ALICE, "alice", &invite(&sdp("192.0.2.10", 4000))).status().code()
}

fn started(bench: &Bench) -> usize {
    bench.events.iter().filter(|one| matches!(one, Event::CallStarted { .. })).count()
}

fn failed(bench: &Bench) -> Vec<u16> {
    let code = |event: &Event| match event {
        Event::CallFailed { status, .. } => Some(status.code()),
        _ => None,
    };
    bench.events.iter().filter_map(code).collect()
}

/// Whoever is at `at` takes the call, talks and is hung up on; then nothing is left.
fn talks(bench: &mut Bench, at: &str) {
    let got = bench.request(at);
    bench
        .send(at, &reply(&got, 200, "ttaken", &format!("Contact: <sip:x@{at}>\n"), &sdp("192.0.2.30", 6000)));
    let ok = bench.response(ALICE);
    assert_eq!(ok.status().code(), 200);
    bench.send(ALICE, &in_dialog("ACK", 2, &got, &ok, true, ALICE));
    assert_eq!(bench.request(at).method().as_str(), "ACK");
    bench.send(ALICE, &in_dialog("BYE", 3, &got, &ok, true, ALICE));
    let bye = bench.request(at);
    bench.send(at, &reply(&bye, 200, "", "", ""));
    assert_eq!(started(bench), 1, "one call for all who were asked");
    nothing_is_left(bench);
}

fn nothing_is_left(bench: &mut Bench) {
    bench.relay();
    bench.pass(Duration::from_secs(300));
    assert!(bench.shard.is_idle());
}

#[test]
fn all_calls_go_on_at_once_and_say_by_whom() {
    for target in ["carol", "sip:carol@example.com", "carol@example.com"] {
        let mut bench = office(forward(Forward { always: to(target), ..Forward::default() }));
        assert_eq!(dial(&mut bench), 100);
        assert!(bench.take(BOB).is_empty(), "bob does not ring");
        let got = bench.take(CAROL).pop().unwrap().as_request().cloned().unwrap();
        assert_eq!(raw(&got, Name::Diversion), "<sip:bob@example.com>;reason=unconditional;counter=1");
        assert_eq!(raw(&got, Name::PAssertedIdentity), "\"ALICE\" <sip:alice@example.com>");
        bench.send(CAROL, &reply(&got, 486, "tc", "", ""));
        assert_eq!(bench.response(ALICE).status().code(), 486);
        nothing_is_left(&mut bench);
    }
}

#[test]
fn a_busy_phone_sends_the_call_on() {
    for code in [486, 600, 603] {
        let mut bench = office(forward(Forward { busy: to("carol"), ..Forward::default() }));
        assert_eq!(dial(&mut bench), 100);
        let got = bench.request(BOB);
        bench.send(BOB, &reply(&got, 180, "tb", "", ""));
        bench.send(BOB, &reply(&got, code, "tb", "", ""));
        assert_eq!(bench.codes(ALICE), [180], "the failure stays with us");
        talks(&mut bench, CAROL);
    }
}

#[test]
fn nobody_answers_for_as_long_as_is_set() {
    let after = Answering {
        ring_seconds: Some(12),
        ..forward(Forward { no_answer: to("carol"), ..Forward::default() })
    };
    let mut bench = office(after);
    assert_eq!(dial(&mut bench), 100);
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 180, "tb", "", ""));
    bench.pass(Duration::from_secs(11));
    assert!(bench.take(BOB).is_empty());
    bench.pass(Duration::from_secs(2));
    let cancel = bench.request(BOB);
    assert_eq!(cancel.method().as_str(), "CANCEL");
    assert!(bench.take(CAROL).is_empty(), "not before bob's phone has stopped");
    bench.send(BOB, &reply(&cancel, 200, "tb", "", ""));
    bench.send(BOB, &reply(&got, 487, "tb", "", ""));
    let diverted = bench.take(CAROL).pop().unwrap();
    let diverted = diverted.as_request().unwrap();
    assert_eq!(raw(diverted, Name::Diversion), "<sip:bob@example.com>;reason=no-answer;counter=1");
    bench.send(CAROL, &reply(diverted, 404, "tc", "", ""));
    assert_eq!(bench.response(ALICE).status().code(), 404);
    assert_eq!((started(&bench), failed(&bench)), (1, vec![404]));
    nothing_is_left(&mut bench);
}

#[test]
fn a_phone_that_says_nothing_is_unreachable_and_one_that_rang_is_not() {
    let both = Forward { no_answer: to("carol"), unreachable: to("dave"), ..Forward::default() };
    let mut bench = office(forward(both.clone()));
    assert_eq!(dial(&mut bench), 100);
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 480, "tb", "", ""));
    talks(&mut bench, DAVE);

    let mut bench = office(forward(both));
    assert_eq!(dial(&mut bench), 100);
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 180, "tb", "", ""));
    bench.send(BOB, &reply(&got, 480, "tb", "", ""));
    talks(&mut bench, CAROL);
}

#[test]
fn who_has_no_phone_is_unreachable() {
    let mut bench = Bench::new();
    bench.register("carol", CAROL);
    set(&mut bench, "bob", forward(Forward { unreachable: to("carol"), ..Forward::default() }));
    assert_eq!(dial(&mut bench), 100);
    talks(&mut bench, CAROL);
}

#[test]
fn do_not_disturb_is_busy_without_a_ring() {
    let mut bench = office(Answering { do_not_disturb: true, ..Answering::default() });
    assert_eq!(dial(&mut bench), 486);
    assert!(bench.take(BOB).is_empty());
    let busy = forward(Forward { busy: to("carol"), ..Forward::default() });
    set(&mut bench, "bob", Answering { do_not_disturb: true, ..busy });
    let again =
        invite(&sdp("192.0.2.10", 4000)).replace("INVITEalice", "again").replace("call-alice", "again");
    assert_eq!(bench.authenticated(ALICE, "alice", &again).status().code(), 100);
    let got = bench.request(CAROL);
    assert_eq!(raw(&got, Name::Diversion), "<sip:bob@example.com>;reason=do-not-disturb;counter=1");
}

#[test]
fn a_circle_of_forwards_ends_with_the_reason() {
    let mut bench = office(forward(Forward { always: to("carol"), ..Forward::default() }));
    set(&mut bench, "carol", forward(Forward { always: to("dave"), ..Forward::default() }));
    set(&mut bench, "dave", forward(Forward { always: to("1002"), ..Forward::default() }));
    bench.send(ALICE, &invite(""));
    let challenge = bench.response(ALICE);
    bench.authenticated_again(ALICE, "alice", &invite(""), &challenge);
    let answer = bench.response(ALICE);
    assert_eq!(answer.status().code(), 482);
    assert_eq!(answer.reason(), b"This call is forwarded in a circle");
    // To oneself is the smallest one.
    set(&mut bench, "bob", forward(Forward { busy: to("bob"), ..Forward::default() }));
    let again = invite("").replace("INVITEalice", "again").replace("call-alice", "again");
    assert_eq!(bench.authenticated(ALICE, "alice", &again).status().code(), 100);
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 486, "tb", "", ""));
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 486, "tb", "", ""));
    assert_eq!(bench.response(ALICE).status().code(), 482);
    nothing_is_left(&mut bench);
}

#[test]
fn a_caller_who_gives_up_is_forwarded_nowhere() {
    let mut bench =
        office(forward(Forward { no_answer: to("carol"), busy: to("carol"), ..Forward::default() }));
    assert_eq!(dial(&mut bench), 100);
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 180, "tb", "", ""));
    bench.take(ALICE);
    let cancel = invite("").replace("INVITE", "CANCEL").replace("z9hG4bKCANCELalice1", "z9hG4bKINVITEalice2");
    let cancel = cancel.replace("CSeq: 1", "CSeq: 2");
    bench.send(ALICE, &cancel);
    let cancelled = bench.request(BOB);
    bench.send(BOB, &reply(&cancelled, 200, "tb", "", ""));
    bench.send(BOB, &reply(&got, 487, "tb", "", ""));
    assert!(bench.codes(ALICE).contains(&487));
    bench.pass(Duration::from_secs(60));
    assert!(bench.take(CAROL).is_empty());
}

#[test]
fn callers_are_turned_away_by_number_and_for_hiding() {
    let blocked = ["1001", "alice@example.com", "alic*", "sip:alice@example.com"];
    for one in blocked {
        let mut bench = office(Answering { blocked: vec![one.into()], ..Answering::default() });
        assert_eq!(dial(&mut bench), 603, "{one}");
        assert!(bench.take(BOB).is_empty());
    }
    let mut bench = office(Answering { reject_anonymous: true, ..Answering::default() });
    let hidden = invite("").replace("Contact:", "Privacy: id\nContact:");
    assert_eq!(bench.authenticated(ALICE, "alice", &hidden).status().code(), 433);
    let open = invite("").replace("INVITEalice", "open").replace("call-alice", "open");
    assert_eq!(bench.authenticated(ALICE, "alice", &open).status().code(), 100);
}

/// Germany, with a carrier for all numbers.
fn with_carrier(config: &mut Config) {
    let Ok(Uri::Sip(server)) = "sip:198.51.100.9".parse() else { panic!("a URI") };
    let networks = vec!["198.51.100.0/28".parse().unwrap()];
    config.trunks.push(Trunk { networks, ..Trunk::new("carrier", server, TrunkAuth::Address) });
    config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
    config.plan.rules.push(Rule {
        patterns: vec![Pattern::parse("*").unwrap()],
        callers: vec!["bob@example.com".into()],
        ..Rule::new("all", Destination::Trunk(Choice::only("carrier")))
    });
    config.strangers = Strangers::Allow;
}

#[test]
fn a_call_goes_outside_by_the_right_of_the_one_who_sends_it_there() {
    let away = || forward(Forward { busy: to("0301112222"), ..Forward::default() });
    let mut bench = with(with_carrier, away());
    // A stranger could not call that number.
    let stranger =
        invite("").replace("sip:alice@example.com", "sip:eve@elsewhere.example").replace(ALICE, EVE);
    bench.send(EVE, &stranger);
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 486, "tb", "", ""));
    bench.resolve("198.51.100.9");
    let sent = bench.request(CARRIER);
    assert_eq!(sent.uri_bytes(), b"sip:+49301112222@198.51.100.9;user=phone");
    assert_eq!(raw(&sent, Name::Diversion), "<sip:bob@example.com>;reason=user-busy;counter=1");
    assert!(raw(&sent, Name::PAssertedIdentity).contains("bob@example.com"), "who answers for the call");

    // Who may not call out sends nobody out.
    set(&mut bench, "carol", away());
    let direct = stranger.replace("bob@example.com", "carol@example.com").replace("INVITEalice", "two");
    bench.send(EVE, &direct.replace("call-alice", "two"));
    let got = bench.request(CAROL);
    bench.send(CAROL, &reply(&got, 486, "tc", "", ""));
    assert_eq!(bench.response(EVE).status().code(), 404);
    assert!(bench.questions.is_empty());
}

#[test]
fn the_limit_of_calls_counts_a_call_once() {
    let mut bench = with(
        |config| config.max_calls_per_account = 1,
        forward(Forward { busy: to("carol"), ..Forward::default() }),
    );
    assert_eq!(dial(&mut bench), 100);
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 486, "tb", "", ""));
    talks(&mut bench, CAROL);
}

#[test]
fn a_phone_that_sends_a_call_on_by_itself_is_followed() {
    for (contact, code) in [
        ("<sip:carol@example.com>;q=0.9, <sip:dave@example.com>;q=0.1", 302),
        ("<sip:carol@example.com>", 301),
    ] {
        let mut bench = office(Answering::default());
        assert_eq!(dial(&mut bench), 100);
        let got = bench.request(BOB);
        bench.send(BOB, &reply(&got, code, "tb", &format!("Contact: {contact}\n"), ""));
        assert!(bench.codes(ALICE).is_empty());
        talks(&mut bench, CAROL);
    }
    // Without a place to go to it is an answer like another.
    let mut bench = office(Answering::default());
    assert_eq!(dial(&mut bench), 100);
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 302, "tb", "", ""));
    assert_eq!(bench.codes(ALICE), [302]);
    nothing_is_left(&mut bench);
}
