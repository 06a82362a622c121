//! Trunks and rules that change while calls go on.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::sync::Arc;
use std::time::Duration;

use bench::call::ALICE;
use bench::{Bench, in_dialog, raw, reply, request, sdp};
use offhook_exchange::command::{Answer, Command, Ticket, TrunkReport};
use offhook_exchange::io::Input;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{
    Choice, Destination, Lines, Numbering, Plan, Rule, Trunk, TrunkAccount, TrunkAuth,
};
use offhook_exchange::trunks::TrunkRegistration;
use offhook_sip::{Name, Request, SipUri, Uri};
use offhook_sip_stack::auth::Password;

const ONE: &str = "198.51.100.9:5060";
const OTHER: &str = "198.51.100.10:5060";

fn uri(text: &str) -> SipUri {
    match text.parse() {
        Ok(Uri::Sip(uri)) => uri,
        other => panic!("{other:?}"),
    }
}

fn trunk(name: &str, password: &str) -> Trunk {
    let account = TrunkAccount {
        username: "t0815".into(),
        auth_username: None,
        password: Password::new(password),
        realm: None,
        registrar: uri(&format!("sip:{name}.example")),
        expires: Some(600),
        from_username: false,
    };
    Trunk::new(name, uri(&format!("sip:{name}.example")), TrunkAuth::Password(Box::new(account)))
}

/// These trunks, and a rule that sends all numbers to the first of them.
fn lines(trunks: Vec<Trunk>) -> Lines {
    let mut plan = Plan::empty();
    plan.numbering = Numbering::of(Country::of("DE").unwrap());
    plan.rules
        .extend(trunks.first().map(|trunk| Rule::new("out", Destination::Trunk(Choice::only(&trunk.name)))));
    Lines { plan, trunks }
}

fn take_over(bench: &mut Bench, trunks: Vec<Trunk>) {
    bench.input(Input::Command(Ticket(0), Command::Lines(Arc::new(lines(trunks)))));
    assert!(matches!(bench.answers.pop(), Some(Answer::Done)));
    bench.pass(Duration::from_millis(1));
}

fn reports(bench: &mut Bench) -> Vec<TrunkReport> {
    bench.input(Input::Command(Ticket(0), Command::Trunks));
    match bench.answers.pop() {
        Some(Answer::Trunks(trunks)) => trunks,
        other => panic!("{other:?}"),
    }
}

/// The provider at this address takes the registration that it is sent.
fn accept(bench: &mut Bench, ip: &str) -> Request {
    bench.resolve(ip);
    let register = bench.request(&format!("{ip}:5060"));
    let contact = format!("Contact: {};expires=300\n", raw(&register, Name::Contact));
    bench.send(&format!("{ip}:5060"), &reply(&register, 200, "p", &contact, ""));
    register
}

fn dial(call: &str) -> String {
    let sdp = sdp("192.0.2.10", 4000);
    request("INVITE", "sip:0301234567@example.com", "alice", ALICE, "", &sdp)
        .replace("INVITEalice", call)
        .replace("call-alice", call)
}

#[test]
fn a_trunk_that_is_added_is_found_registered_and_called_without_a_restart() {
    let mut bench = Bench::new();
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("zero")).status().code(), 404);
    take_over(&mut bench, vec![trunk("one", "secret")]);
    let register = accept(&mut bench, "198.51.100.9");
    assert!(register.bytes().starts_with(b"REGISTER sip:one.example"));
    let state = reports(&mut bench)[0].state.clone().unwrap();
    assert!(matches!(state.registration, TrunkRegistration::Until(_)));
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("one")).status().code(), 100);
    assert!(bench.request(ONE).bytes().starts_with(b"INVITE"));
}

#[test]
fn a_trunk_that_is_removed_takes_its_contact_back_and_its_calls_go_on() {
    let mut bench = Bench::new();
    take_over(&mut bench, vec![trunk("one", "secret")]);
    accept(&mut bench, "198.51.100.9");
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("one")).status().code(), 100);
    let invite = bench.request(ONE);
    let contact = "Contact: <sip:gateway@198.51.100.9>\n";
    bench.send(ONE, &reply(&invite, 200, "provider", contact, &sdp("198.51.100.9", 6000)));
    let ok = bench.response(ALICE);
    bench.send(
        ALICE,
        &in_dialog("ACK", 2, &invite, &ok, true, ALICE)
            .replace(&String::from_utf8_lossy(invite.raw(Name::CallId).unwrap()).into_owned(), "one"),
    );
    bench.take(ONE);
    take_over(&mut bench, Vec::new());
    let farewell = bench.request(ONE);
    assert!(farewell.bytes().starts_with(b"REGISTER"));
    assert_eq!(raw(&farewell, Name::Expires), "0");
    bench.send(ONE, &reply(&farewell, 200, "p", "", ""));
    assert!(reports(&mut bench).is_empty());
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("two")).status().code(), 404);
    // Nobody looks after it any more.
    bench.pass(Duration::from_secs(1_000));
    assert!(bench.questions.is_empty());
}

#[test]
fn one_that_moves_is_another_and_one_with_another_password_registers_anew() {
    let mut bench = Bench::new();
    take_over(&mut bench, vec![trunk("one", "secret")]);
    accept(&mut bench, "198.51.100.9");
    take_over(&mut bench, vec![trunk("one", "other")]);
    assert!(accept(&mut bench, "198.51.100.9").bytes().starts_with(b"REGISTER"));
    assert_eq!(reports(&mut bench).len(), 1);
    let moved = Trunk { proxy: Some(uri("sip:198.51.100.10")), ..trunk("one", "other") };
    take_over(&mut bench, vec![moved]);
    assert_eq!(raw(&bench.request(ONE), Name::Expires), "0");
    accept(&mut bench, "198.51.100.10");
    let all = reports(&mut bench);
    assert_eq!((all.len(), all[0].name.as_str()), (1, "one"));
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("one")).status().code(), 100);
    assert!(bench.request(OTHER).bytes().starts_with(b"INVITE"));
}
