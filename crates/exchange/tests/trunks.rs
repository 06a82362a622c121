//! Trunks with a password as the provider sees them: registration, calls out and in, what is proven and to whom.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, BOB, EVE};
use bench::{Bench, raw, reply, request, sdp};
use offhook_exchange::command::{Answer, Command, Ticket, TrunkReport};
use offhook_exchange::config::Config;
use offhook_exchange::directory::{AddressOfRecord, Answering, Delta, Forward};
use offhook_exchange::event::Event;
use offhook_exchange::io::Input;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{
    Choice, Destination, NumberFormat, Numbering, Pattern, Rule, Trunk, TrunkAccount, TrunkAuth,
};
use offhook_exchange::trunks::{TrunkHealth, TrunkRegistration, TrunkState, TrunkTrial};
use offhook_sip::digest::{self, Parts, Qop};
use offhook_sip::{Name, Request, SipUri, Uri};
use offhook_sip_stack::auth::Password;

const PROVIDER: &str = "198.51.100.9:5060";
const SECOND: &str = "198.51.100.10:5060";
const NUMBER: &str = "+49301234567";

fn uri(text: &str) -> SipUri {
    match text.parse() {
        Ok(Uri::Sip(uri)) => uri,
        other => panic!("{other:?}"),
    }
}

fn account() -> TrunkAccount {
    TrunkAccount {
        username: "t0815".into(),
        auth_username: None,
        password: Password::new("secret"),
        realm: None,
        registrar: uri("sip:provider.example"),
        expires: Some(600),
        from_username: false,
    }
}

fn trunk() -> Trunk {
    Trunk {
        numbers: vec![NUMBER.into()],
        ..Trunk::new("provider", uri("sip:provider.example"), TrunkAuth::Password(Box::new(account())))
    }
}

fn to(choices: Vec<Choice>) -> Rule {
    Rule { patterns: vec![Pattern::parse("+*").unwrap()], ..Rule::new("out", Destination::Trunk(choices)) }
}

fn with(trunks: Vec<Trunk>, change: impl FnOnce(&mut Config)) -> Bench {
    Bench::with(|config| {
        config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
        let choice = |(at, trunk): (usize, &Trunk)| Choice {
            trunk: trunk.name.clone(),
            priority: at as u32 + 1,
            weight: 1,
        };
        config.plan.rules.push(to(trunks.iter().enumerate().map(choice).collect()));
        config.trunks = trunks;
        change(config);
    })
}

/// One provider, found in the DNS, that has been sent a REGISTER.
fn bench() -> (Bench, Request) {
    let mut bench = with(vec![trunk()], |_| {});
    bench.pass(Duration::from_millis(1));
    bench.resolve("198.51.100.9");
    let register = bench.request(PROVIDER);
    (bench, register)
}

fn challenge(realm: &str, nonce: &str, more: &str) -> String {
    format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256{more}")
}

/// Whether a request has the right credentials for a nonce.
fn is_proven(request: &Request, name: Name, nonce: &str) -> bool {
    let credentials = request.credentials(name).flatten().next();
    credentials.is_some_and(|one| {
        assert_eq!((one.username().as_deref(), one.nonce().as_deref()), (Some("t0815"), Some(nonce)));
        let ha1 = digest::ha1(digest::Algorithm::Sha256, "t0815", "provider", "secret");
        let (nc, cnonce) = (one.param("nc").unwrap(), one.param("cnonce").unwrap());
        let qop = Some(Qop::Auth { nc: &nc, cnonce: &cnonce });
        let uri = one.uri().unwrap();
        let parts = Parts { nonce, method: request.method().as_str(), uri: &uri, qop };
        let expected = digest::response(digest::Algorithm::Sha256, &ha1, &parts);
        one.param("response").as_deref() == Some(expected.as_str())
    })
}

/// The provider asks for credentials and gets them.
fn accept(bench: &mut Bench, register: &Request) -> Request {
    let asked = format!("WWW-Authenticate: {}\n", challenge("provider", "n1", ""));
    bench.send(PROVIDER, &reply(register, 401, "p", &asked, ""));
    let proven = bench.request(PROVIDER);
    assert!(is_proven(&proven, Name::Authorization, "n1"));
    let contact = format!("Contact: {};expires=300\n", raw(&proven, Name::Contact));
    bench.send(PROVIDER, &reply(&proven, 200, "p", &contact, ""));
    proven
}

fn registered() -> (Bench, Request) {
    let (mut bench, register) = bench();
    let register = accept(&mut bench, &register);
    (bench, register)
}

fn report(bench: &mut Bench) -> TrunkReport {
    bench.input(Input::Command(Ticket(0), Command::Trunks));
    match bench.answers.pop() {
        Some(Answer::Trunks(mut trunks)) => trunks.remove(0),
        other => panic!("{other:?}"),
    }
}

fn state(bench: &mut Bench) -> TrunkState {
    report(bench).state.unwrap()
}

fn dial(headers: &str, call: &str) -> String {
    let text =
        request("INVITE", "sip:030-987654@example.com", "alice", ALICE, headers, &sdp("192.0.2.10", 4000));
    text.replace("INVITEalice", call).replace("call-alice", &format!("call-{call}"))
}

/// Alice calls a number outside; returns what the provider gets first.
fn call(bench: &mut Bench) -> Request {
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("", "one")).status().code(), 100);
    bench.request(PROVIDER)
}

fn contact() -> String {
    format!("Contact: <sip:gateway@{PROVIDER}>\n")
}

fn over(bench: &mut Bench) {
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn we_register_with_a_contact_that_nobody_guesses_and_stay_registered() {
    let (mut bench, first) = bench();
    assert_eq!(first.uri_bytes(), b"sip:provider.example");
    assert_eq!(raw(&first, Name::To), "<sip:t0815@provider.example>");
    let contact = raw(&first, Name::Contact);
    assert!(contact.starts_with("<sip:line-") && contact.contains("@192.0.2.1:5060"), "{contact}");
    accept(&mut bench, &first);
    let known = state(&mut bench);
    assert_eq!(known.registration, TrunkRegistration::Until(1_800_000_300));
    assert_eq!((known.usable(), known.realm.as_deref()), (Ok(()), Some("provider")));
    assert!(bench.events.iter().any(|one| matches!(one, Event::Trunk { what: Ok(_), .. })));
    bench.pass(Duration::from_secs(280));
    let again = bench.request(PROVIDER);
    assert!(is_proven(&again, Name::Authorization, "n1"), "what it asked for before is given at once");
    assert_eq!(again.call_id(), first.call_id());
}

#[test]
fn a_refused_password_ends_in_a_state_with_the_reason_and_is_not_tried_at_once_again() {
    let (mut bench, mut register) = bench();
    let mut requests = 0;
    for nonce in ["n1", "n2", "n3", "n4"] {
        let asked = format!("WWW-Authenticate: {}\n", challenge("provider", nonce, ""));
        bench.send(PROVIDER, &reply(&register, 401, "p", &asked, ""));
        match bench.take(PROVIDER).into_iter().find_map(|one| one.as_request().cloned()) {
            Some(next) => (register, requests) = (next, requests + 1),
            None => break,
        }
    }
    assert_eq!(requests, 1, "one password is tried once");
    let known = state(&mut bench);
    let TrunkRegistration::Failed { status: 401, reason, next } = known.registration else {
        panic!("{:?}", known.registration)
    };
    assert!(reason.contains("password is wrong"), "{reason}");
    assert!(next >= 1_800_003_600);
    bench.pass(Duration::from_secs(3000));
    assert!(bench.take(PROVIDER).is_empty());
    bench.pass(Duration::from_secs(1000));
    assert_eq!(bench.request(PROVIDER).method().as_str(), "REGISTER");
    // Calls are tried all the same: there is no other way.
    assert_eq!(call(&mut bench).method().as_str(), "INVITE");
}

#[test]
fn what_the_registrar_wants_is_done_and_what_fails_is_tried_later() {
    let (mut bench, register) = bench();
    bench.send(PROVIDER, &reply(&register, 423, "p", "Min-Expires: 3600\n", ""));
    let longer = bench.request(PROVIDER);
    assert_eq!(raw(&longer, Name::Expires), "3600");
    bench.send(PROVIDER, &reply(&longer, 503, "p", "Retry-After: 120\n", ""));
    let known = state(&mut bench);
    let TrunkRegistration::Failed { status: 503, next, .. } = known.registration else { panic!("{known:?}") };
    assert!(next >= 1_800_000_120);
    bench.pass(Duration::from_secs(119));
    assert!(bench.take(PROVIDER).is_empty());
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.request(PROVIDER).method().as_str(), "REGISTER");
}

#[test]
fn the_contact_is_taken_back_at_the_end() {
    let (mut bench, _) = registered();
    bench.input(Input::Drain);
    let last = bench.request(PROVIDER);
    assert_eq!(raw(&last, Name::Expires), "0");
    assert_eq!(bench.status().leaving, 1);
    bench.send(PROVIDER, &reply(&last, 200, "p", "", ""));
    assert_eq!(bench.status().leaving, 0);
    assert_eq!(state(&mut bench).registration, TrunkRegistration::Removed);
    over(&mut bench);
    assert!(bench.take(PROVIDER).is_empty());
}

#[test]
fn a_call_goes_out_in_a_dialog_of_ours_under_our_number_and_proves_who_we_are() {
    let (mut bench, _) = registered();
    let invite = call(&mut bench);
    assert_eq!(invite.uri_bytes(), b"sip:+4930987654@provider.example;user=phone");
    assert!(raw(&invite, Name::From).starts_with("\"ALICE\" <sip:+49301234567@provider.example>;tag="));
    assert_eq!(raw(&invite, Name::PAssertedIdentity), "\"ALICE\" <sip:+49301234567@provider.example>");
    let text = String::from_utf8_lossy(invite.bytes()).into_owned();
    for hidden in ["192.0.2.10:5060", "call-one", "example.com", "Proxy-Authorization"] {
        assert!(!text.replace("provider.example", "").contains(hidden), "{hidden}: {text}");
    }
    let asked = format!("Proxy-Authenticate: {}\n", challenge("provider", "n7", ""));
    bench.send(PROVIDER, &reply(&invite, 407, "p", &asked, ""));
    let proven = bench.request(PROVIDER);
    assert!(is_proven(&proven, Name::ProxyAuthorization, "n7"));
    assert!(bench.codes(ALICE).is_empty(), "the caller hears nothing of it");
    bench.send(PROVIDER, &reply(&proven, 200, "p2", &contact(), &sdp("198.51.100.9", 7000)));
    assert_eq!(bench.codes(ALICE), [200]);
    assert_eq!(bench.request(PROVIDER).method().as_str(), "ACK");
    assert_eq!(report(&mut bench).calls, 1);
    bench.input(Input::Command(Ticket(0), Command::HangUp("call-one".into())));
    let bye = bench.request(PROVIDER);
    assert!(is_proven(&bye, Name::ProxyAuthorization, "n7"));
    assert_eq!(report(&mut bench).calls, 0);
}

#[test]
fn no_other_realm_is_answered_and_no_nonce_twice() {
    for (first, second) in [("elsewhere", None), ("provider", Some("provider"))] {
        let (mut bench, _) = registered();
        let invite = call(&mut bench);
        let asked = format!("Proxy-Authenticate: {}\n", challenge(first, "n1", ""));
        bench.send(PROVIDER, &reply(&invite, 407, "p", &asked, ""));
        if let Some(second) = second {
            let proven = bench.request(PROVIDER);
            let asked = format!("Proxy-Authenticate: {}\n", challenge(second, "n1", ""));
            bench.send(PROVIDER, &reply(&proven, 407, "p", &asked, ""));
        }
        assert_eq!(bench.codes(ALICE), [502], "{first}");
        let left = bench.take(PROVIDER);
        assert!(left.iter().filter_map(|one| one.as_request()).all(|one| one.method().as_str() == "ACK"));
    }
}

#[test]
fn a_caller_that_hides_is_known_to_the_provider_alone() {
    let (mut bench, _) = registered();
    let text = dial("Privacy: id\n", "one");
    assert_eq!(bench.authenticated(ALICE, "alice", &text).status().code(), 100);
    let invite = bench.request(PROVIDER);
    assert!(raw(&invite, Name::From).starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>"));
    assert!(raw(&invite, Name::PAssertedIdentity).contains(NUMBER));
    assert_eq!(raw(&invite, Name::Privacy), "id");
}

#[test]
fn numbers_and_from_are_written_as_the_provider_wants_them() {
    let mut provider = trunk();
    let TrunkAuth::Password(account) = &mut provider.auth else { panic!() };
    account.from_username = true;
    provider.dialling.format = NumberFormat::National;
    let mut bench = with(vec![provider], |_| {});
    bench.pass(Duration::from_millis(1));
    bench.resolve("198.51.100.9");
    let invite = call(&mut bench);
    assert_eq!(invite.uri_bytes(), b"sip:030987654@provider.example;user=phone");
    assert!(raw(&invite, Name::From).contains("<sip:t0815@provider.example>"));
    assert!(raw(&invite, Name::PAssertedIdentity).contains("<sip:0301234567@provider.example>"));
}

/// An INVITE of the provider; `target` is its Request-URI.
fn comes_in(target: &str, to: &str, from: &str) -> String {
    let text = request("INVITE", target, "x", from, "", &sdp("198.51.100.9", 7000));
    text.replace("sip:x@example.com", "sip:+4989111@provider.example")
        .replace(&format!("To: <{target}>"), &format!("To: <{to}>"))
}

#[test]
fn a_call_at_our_contact_from_the_providers_address_reaches_the_number() {
    let (mut bench, register) = registered();
    bench.account("dora", Some(NUMBER));
    bench.register("dora", BOB);
    let ours = register.contacts().unwrap().list()[0].uri().to_string();
    bench.send(PROVIDER, &comes_in(&ours, "sip:t0815@provider.example", PROVIDER));
    assert_eq!(bench.codes(PROVIDER), [100]);
    let got = bench.request(BOB);
    assert!(got.uri_bytes().starts_with(b"sip:dora@"));
    let text = String::from_utf8_lossy(got.bytes()).into_owned();
    assert!(!text.contains("198.51.100.9:5060") && !text.contains("line-"), "{text}");
    assert_eq!(report(&mut bench).calls, 1);
    bench.send(
        BOB,
        &reply(&got, 200, "tdora", &format!("Contact: <sip:dora@{BOB}>\n"), &sdp("192.0.2.20", 6000)),
    );
    let ok = bench.response(PROVIDER);
    assert_eq!(ok.status().code(), 200);
    let text = String::from_utf8_lossy(ok.bytes()).into_owned();
    assert!(!text.contains("dora") && !text.contains("192.0.2.20:5060"), "{text}");
    // The dialog is ours: a challenge to our BYE is answered.
    bench.input(Input::Command(Ticket(0), Command::HangUp("call-x".into())));
    bench.pass(Duration::from_secs(40));
    let sent = bench.take(PROVIDER);
    let bye =
        sent.iter().filter_map(|one| one.as_request()).find(|one| one.method().as_str() == "BYE").unwrap();
    let asked = format!("WWW-Authenticate: {}\n", challenge("provider", "n9", ""));
    bench.send(PROVIDER, &reply(bye, 401, "", &asked, ""));
    assert!(is_proven(&bench.request(PROVIDER), Name::Authorization, "n9"));
}

#[test]
fn neither_our_contact_nor_the_providers_address_nor_its_name_is_enough_alone() {
    let (mut bench, register) = registered();
    bench.account("dora", Some(NUMBER));
    bench.register("dora", BOB);
    let ours = register.contacts().unwrap().list()[0].uri().to_string();
    let named = format!("sip:{NUMBER}@provider.example");
    for (at, (from, target, codes)) in [
        // Who has learnt our Contact is still somebody else.
        (EVE, ours.as_str(), [407]),
        // The provider calls its numbers, and nobody else here.
        (PROVIDER, "sip:bob@192.0.2.1", [407]),
        (PROVIDER, "sip:1002@192.0.2.1", [407]),
        (PROVIDER, "sip:line-000000000000000000000000@192.0.2.1", [407]),
        (PROVIDER, "sip:+49301234567@192.0.2.1", [100]),
    ]
    .into_iter()
    .enumerate()
    {
        bench.send(from, &comes_in(target, &named, from).replace("INVITEx1", &format!("in{at}")));
        assert_eq!(bench.codes(from), codes, "{from} {target}");
    }
}

#[test]
fn the_provider_may_ask_whether_we_are_there() {
    let (mut bench, register) = registered();
    let ours = register.contacts().unwrap().list()[0].uri().to_string();
    bench.send(PROVIDER, &request("OPTIONS", &ours, "x", PROVIDER, "", ""));
    assert_eq!(bench.codes(PROVIDER), [200]);
}

/// Two trunks in order; the second is known by its address.
fn two(change: impl FnOnce(&mut [Trunk])) -> Bench {
    let mut trunks = vec![trunk(), Trunk::new("second", uri("sip:198.51.100.10"), TrunkAuth::Address)];
    change(&mut trunks);
    let mut bench = with(trunks, |_| {});
    bench.pass(Duration::from_millis(1));
    while let Some(at) = bench.questions.iter().position(|(_, one)| one.name() == "198.51.100.10") {
        let question = bench.questions.remove(at);
        let rest = std::mem::replace(&mut bench.questions, vec![question]);
        bench.resolve("198.51.100.10");
        bench.questions.extend(rest);
    }
    bench.resolve("198.51.100.9");
    let register = bench.request(PROVIDER);
    accept(&mut bench, &register);
    bench
}

#[test]
fn the_next_trunk_takes_over_what_the_first_cannot_carry_and_only_that() {
    for (code, next) in [
        (503, true),
        (500, true),
        (403, true),
        (302, true),
        (404, false),
        (486, false),
        (480, false),
        (484, false),
        (603, false),
    ] {
        let mut bench = two(|_| {});
        let invite = call(&mut bench);
        bench.send(PROVIDER, &reply(&invite, code, "p", "", ""));
        let taken = bench.take(SECOND).into_iter().find_map(|one| one.as_request().cloned());
        assert_eq!(taken.is_some(), next, "{code}");
        match taken {
            None => assert_eq!(bench.codes(ALICE), [code]),
            Some(second) => {
                assert!(bench.codes(ALICE).is_empty());
                assert_eq!(second.uri_bytes(), b"sip:+4930987654@198.51.100.10;user=phone");
                bench.send(SECOND, &reply(&second, 200, "s", &contact(), &sdp("198.51.100.10", 7000)));
                assert_eq!(bench.codes(ALICE), [200]);
            }
        }
    }
}

#[test]
fn a_silent_trunk_is_given_up_after_seconds_and_comes_last_for_a_while() {
    let mut bench = two(|_| {});
    call(&mut bench);
    bench.pass(Duration::from_secs(4));
    let second = bench.request(SECOND);
    bench.send(SECOND, &reply(&second, 486, "s", "", ""));
    assert_eq!(bench.codes(ALICE), [486]);
    bench.take(PROVIDER);
    bench.authenticated(ALICE, "alice", &dial("", "two"));
    assert!(bench.take(PROVIDER).is_empty());
    assert_eq!(bench.request(SECOND).method().as_str(), "INVITE");
}

#[test]
fn a_retry_after_is_how_long_a_trunk_comes_last() {
    let mut bench = two(|_| {});
    let invite = call(&mut bench);
    bench.send(PROVIDER, &reply(&invite, 503, "p", "Retry-After: 20\n", ""));
    bench.take(PROVIDER);
    bench.take(SECOND);
    for (wait, call, to) in [(10, "two", SECOND), (11, "three", PROVIDER)] {
        bench.pass(Duration::from_secs(wait));
        bench.take(PROVIDER);
        bench.take(SECOND);
        bench.authenticated(ALICE, "alice", &dial("", call));
        let called = bench.take(to).iter().any(|one| one.as_request().is_some());
        assert!(called, "{call}");
    }
}

#[test]
fn who_hears_something_from_a_trunk_is_not_carried_to_the_next() {
    let mut bench = two(|_| {});
    let invite = call(&mut bench);
    bench.send(PROVIDER, &reply(&invite, 183, "p", &contact(), &sdp("198.51.100.9", 7000)));
    let early = bench.response(ALICE);
    assert_eq!((early.status().code(), early.body().is_empty()), (183, false));
    bench.send(PROVIDER, &reply(&invite, 503, "p", "", ""));
    assert_eq!(bench.codes(ALICE), [500]);
    assert!(bench.take(SECOND).is_empty());
}

#[test]
fn an_answer_without_a_session_is_no_answer() {
    let mut bench = two(|_| {});
    let invite = call(&mut bench);
    bench.send(PROVIDER, &reply(&invite, 200, "p", &contact(), ""));
    let sent: Vec<_> = bench
        .take(PROVIDER)
        .iter()
        .filter_map(|one| Some(one.as_request()?.method().as_str().to_owned()))
        .collect();
    assert_eq!(sent, ["ACK", "BYE"]);
    let second = bench.request(SECOND);
    bench.send(SECOND, &reply(&second, 200, "s", &contact(), ""));
    assert_eq!(bench.codes(ALICE), [502]);
}

#[test]
fn a_trunk_with_as_many_calls_as_it_may_have_is_passed_over() {
    let mut bench = two(|trunks| trunks[0].max_calls = Some(1));
    let first = call(&mut bench);
    bench.authenticated(ALICE, "alice", &dial("", "two"));
    assert!(bench.take(PROVIDER).is_empty());
    assert_eq!(bench.request(SECOND).method().as_str(), "INVITE");
    bench.send(PROVIDER, &reply(&first, 486, "p", "", ""));
    bench.take(PROVIDER);
    bench.authenticated(ALICE, "alice", &dial("", "three"));
    assert_eq!(bench.request(PROVIDER).method().as_str(), "INVITE");
}

#[test]
fn a_trunk_that_does_not_answer_is_down_and_tried_last_until_it_does() {
    let mut bench = two(|trunks| trunks[0].health = Some(Duration::from_secs(30)));
    bench.pass(Duration::from_secs(33));
    assert_eq!(state(&mut bench).health, TrunkHealth::Down("it does not answer".into()));
    bench.take(PROVIDER);
    bench.authenticated(ALICE, "alice", &dial("", "one"));
    assert!(bench.take(PROVIDER).is_empty());
    assert_eq!(bench.request(SECOND).method().as_str(), "INVITE");
    bench.pass(Duration::from_secs(30));
    let sent = bench.take(PROVIDER);
    let options =
        sent.iter().filter_map(|one| one.as_request()).find(|one| one.method().as_str() == "OPTIONS");
    let options = options.unwrap();
    assert_eq!(raw(options, Name::From).split(';').next(), Some("<sip:t0815@provider.example>"));
    // Whatever it says, it is there.
    bench.send(PROVIDER, &reply(options, 404, "p", "", ""));
    assert!(matches!(state(&mut bench).health, TrunkHealth::Up { .. }));
    let told = |one: &Event| if let Event::Trunk { what, .. } = one { Some(what.is_ok()) } else { None };
    let told: Vec<bool> = bench.events.iter().filter_map(told).collect();
    assert_eq!(told, [true, true, false, true], "both can be called, one is down, and up again");
}

#[test]
fn help_is_called_whatever_the_limits_are() {
    let mut bench =
        with(vec![Trunk { max_calls: Some(1), ..trunk() }], |config| config.max_calls_per_account = 1);
    bench.pass(Duration::from_millis(1));
    bench.resolve("198.51.100.9");
    call(&mut bench);
    let help = dial("", "two").replace("030-987654", "112");
    assert_eq!(bench.authenticated(ALICE, "alice", &help).status().code(), 100);
    assert_eq!(bench.request(PROVIDER).uri_bytes(), b"sip:112@provider.example;user=phone");
}

#[test]
fn a_trunk_that_is_not_found_says_so() {
    let mut bench = with(vec![trunk()], |_| {});
    bench.pass(Duration::from_millis(1));
    let answer = bench.authenticated(ALICE, "alice", &dial("", "one"));
    assert_eq!(answer.status().code(), 502);
    let reason = String::from_utf8_lossy(answer.reason()).into_owned();
    assert_eq!(reason, "The trunk provider cannot be used: its server is not known yet");
}

#[test]
fn a_call_that_came_in_goes_on_under_a_number_of_the_line() {
    let (mut bench, register) = registered();
    bench.account("dora", Some(NUMBER));
    bench.register("dora", BOB);
    let answering = Answering {
        forward: Forward { always: Some("030-987654".into()), ..Forward::default() },
        ..Answering::default()
    };
    let delta = Delta::Answering(AddressOfRecord::new("dora", "example.com"), answering);
    bench.input(Input::Command(Ticket(0), Command::Apply(Box::new(delta))));
    let ours = register.contacts().unwrap().list()[0].uri().to_string();
    bench.send(PROVIDER, &comes_in(&ours, "sip:t0815@provider.example", PROVIDER));
    let sent = bench.take(PROVIDER);
    let on = sent.iter().filter_map(|one| one.as_request()).find(|one| one.method().as_str() == "INVITE");
    let on = on.unwrap();
    assert_eq!(on.uri_bytes(), b"sip:+4930987654@provider.example;user=phone");
    assert!(raw(on, Name::From).contains("<sip:+49301234567@provider.example>"));
    assert_eq!(
        raw(on, Name::Diversion),
        "<sip:+49301234567@provider.example>;reason=unconditional;counter=1"
    );
    assert_eq!(report(&mut bench).calls, 2);
    assert!(!String::from_utf8_lossy(on.bytes()).contains("example.com"));
    bench.send(PROVIDER, &reply(on, 486, "p", "", ""));
    assert_eq!(bench.codes(PROVIDER), [486]);
    assert_eq!(report(&mut bench).calls, 0);
}

#[test]
fn a_trial_calls_a_number_and_hangs_up_when_somebody_answers() {
    for (code, ends) in [(200, TrunkTrial::Answered), (404, TrunkTrial::Failed(404, "Not Found".into()))] {
        let (mut bench, _) = registered();
        bench.input(Input::Command(Ticket(0), Command::TryTrunk("provider".into(), "030-987654".into())));
        let invite = bench.request(PROVIDER);
        assert_eq!(invite.uri_bytes(), b"sip:+4930987654@provider.example;user=phone");
        assert!(raw(&invite, Name::From).starts_with("<sip:+49301234567@provider.example>"));
        let asked = format!("Proxy-Authenticate: {}\n", challenge("provider", "n7", ""));
        bench.send(PROVIDER, &reply(&invite, 407, "p", &asked, ""));
        let proven = bench.request(PROVIDER);
        bench.send(PROVIDER, &reply(&proven, 180, "p", "", ""));
        assert_eq!(state(&mut bench).trial, Some(TrunkTrial::Ringing));
        let session = if code == 200 { sdp("198.51.100.9", 7000) } else { String::new() };
        bench.send(PROVIDER, &reply(&proven, code, "p", &contact(), &session));
        assert_eq!(state(&mut bench).trial, Some(ends));
        let sent = bench.take(PROVIDER);
        let bye = sent.iter().filter_map(|one| one.as_request()).find(|one| one.method().as_str() == "BYE");
        assert_eq!(bye.is_some(), code == 200);
        if let Some(bye) = bye {
            bench.send(PROVIDER, &reply(bye, 200, "", "", ""));
        }
        over(&mut bench);
    }
}

#[test]
fn a_trial_that_nobody_answers_ends_after_half_a_minute() {
    let (mut bench, _) = registered();
    bench.input(Input::Command(Ticket(0), Command::TryTrunk("provider".into(), "030-987654".into())));
    let invite = bench.request(PROVIDER);
    bench.send(PROVIDER, &reply(&invite, 180, "p", "", ""));
    bench.pass(Duration::from_secs(31));
    assert_eq!(state(&mut bench).trial, Some(TrunkTrial::Unanswered(true)));
    assert_eq!(bench.request(PROVIDER).method().as_str(), "CANCEL");
    bench.send(PROVIDER, &reply(&invite, 487, "p", "", ""));
    over(&mut bench);
}
