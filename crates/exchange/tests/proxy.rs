//! The proxy as its phones see it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, BOB, BOB_TOO, EVE, call, invite, ring};
use bench::{Bench, in_dialog, raw, reply, request, sdp};
use offhook_exchange::config::{AnchorPolicy, Authentication, Strangers};
use offhook_exchange::event::{EndedBy, Event};
use offhook_exchange::io::Input;
use offhook_media::command::{Command, Counters, Report};
use offhook_sip::Name;

#[test]
fn a_call_is_challenged_forwarded_answered_and_ended() {
    let mut bench = Bench::new();
    let (got, ok) = call(&mut bench);
    assert_eq!(got.uri_bytes(), format!("sip:bob@{BOB}").as_bytes());
    assert_eq!(got.max_forwards(), Ok(Some(69)));
    assert!(!got.has(Name::ProxyAuthorization), "credentials stay here");
    assert_eq!(raw(&got, Name::PAssertedIdentity), "\"ALICE\" <sip:alice@example.com>");
    assert_eq!(ok.vias().count(), 1);
    bench.send(BOB, &in_dialog("BYE", 1, &got, &ok, false, BOB));
    let bye = bench.request(ALICE);
    assert_eq!(bye.method().as_str(), "BYE");
    assert_eq!(bye.routes().count(), 0, "our route is taken off");
    bench.send(ALICE, &reply(&bye, 200, "", "", ""));
    assert_eq!(bench.codes(BOB), [200]);
    assert!(bench.events.iter().any(|one| matches!(one, Event::CallEnded { by: EndedBy::Callee, .. })));
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn numbers_and_tel_uris_mean_the_account() {
    for uri in ["sip:1002@example.com", "tel:1002", "sip:1002@192.0.2.1"] {
        let mut bench = Bench::new();
        bench.register("bob", BOB);
        let invite = request("INVITE", uri, "alice", ALICE, "", "");
        let answer = bench.authenticated(ALICE, "alice", &invite);
        assert_eq!(answer.status().code(), 100, "{uri}");
    }
}

#[test]
fn unknown_is_404_and_known_but_absent_is_480() {
    let mut bench = Bench::new();
    let nobody = request("INVITE", "sip:nobody@example.com", "alice", ALICE, "", "");
    assert_eq!(bench.authenticated(ALICE, "alice", &nobody).status().code(), 404);
    let absent = invite("").replace("INVITEalice", "absent");
    assert_eq!(bench.authenticated(ALICE, "alice", &absent).status().code(), 480);
}

#[test]
fn a_refusal_that_was_lost_is_sent_again_without_asking_for_credentials_again() {
    let mut bench = Bench::new();
    let text = request("MESSAGE", "sip:nobody@example.com", "alice", ALICE, "", "");
    bench.send(ALICE, &text);
    let challenge = bench.response(ALICE);
    for _ in 0..3 {
        bench.authenticated_again(ALICE, "alice", &text, &challenge);
        assert_eq!(bench.codes(ALICE), [404]);
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let mut bench = Bench::new();
    let mut answers = Vec::new();
    for user in ["alice", "nobody"] {
        let text = bench::register(user, ALICE, "Contact: <sip:x@192.0.2.10>\n");
        bench.send(ALICE, &text);
        let challenge = bench.response(ALICE);
        let wrong = text.replacen("1;rport", "2;rport", 1).replacen(
            "CSeq: 1",
            &format!(
                "Authorization: Digest username=\"{user}\", realm=\"example.com\", nonce=\"{}\", \
                 uri=\"sip:example.com\", response=\"{}\", algorithm=MD5, cnonce=\"a\", qop=auth, nc=00000001\n\
                 CSeq: 2",
                challenge.challenges(Name::WwwAuthenticate).flatten().next().unwrap().nonce().unwrap(),
                "0".repeat(32)
            ),
            1,
        );
        bench.send(ALICE, &wrong);
        let answer = bench.response(ALICE);
        let names: Vec<_> = answer.fields().map(|field| (field.name, field.value.len())).collect();
        answers.push((answer.status(), names.len()));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0.code(), 401);
    assert!(bench.stored.is_empty());
}

#[test]
fn one_cannot_register_for_another() {
    let mut bench = Bench::new();
    let text = bench::register("bob", EVE, "Contact: <sip:bob@203.0.113.66>\n");
    assert_eq!(bench.authenticated(EVE, "alice", &text).status().code(), 403);
    assert!(bench.stored.is_empty());
}

#[test]
fn one_cannot_call_under_the_name_of_another() {
    let mut bench = Bench::new();
    bench.register("bob", BOB);
    let text = request("INVITE", "sip:bob@example.com", "carol", EVE, "", "");
    assert_eq!(bench.authenticated(EVE, "alice", &text).status().code(), 403);
}

#[test]
fn claims_of_identity_are_not_believed() {
    let mut bench = Bench::new();
    bench.register("bob", BOB);
    let claims = "P-Asserted-Identity: <sip:boss@example.com>\nRemote-Party-ID: <sip:boss@example.com>\n";
    let text = request("INVITE", "sip:bob@example.com", "alice", ALICE, claims, "");
    bench.authenticated(ALICE, "alice", &text);
    let got = bench.request(BOB);
    assert_eq!(got.raw_all(Name::PAssertedIdentity).count(), 1);
    assert!(!String::from_utf8_lossy(got.bytes()).contains("boss"));
}

#[test]
fn a_stranger_is_not_relayed_and_calls_in_only_where_that_is_allowed() {
    let mut bench = Bench::new();
    bench.register("bob", BOB);
    let elsewhere = |uri: &str| {
        request("INVITE", uri, "eve", EVE, "", "").replace("sip:eve@example.com", "sip:eve@evil.example")
    };
    bench.send(EVE, &elsewhere("sip:x@victim.example"));
    assert_eq!(bench.codes(EVE), [403]);
    bench.send(EVE, &elsewhere("sip:bob@example.com"));
    assert_eq!(bench.codes(EVE), [407]);
    assert!(bench.nothing_sent());

    let mut bench = Bench::with(|config| config.strangers = Strangers::Allow);
    bench.register("bob", BOB);
    bench.send(EVE, &elsewhere("sip:bob@example.com"));
    assert_eq!(bench.codes(EVE), [100]);
    assert_eq!(bench.request(BOB).method().as_str(), "INVITE");
    bench.send(
        EVE,
        &elsewhere("sip:x@victim.example").replace("call-eve", "call-2").replace("INVITEeve1", "second1"),
    );
    assert_eq!(bench.codes(EVE), [403]);
}

#[test]
fn a_to_tag_or_a_forged_route_is_no_way_in() {
    let mut bench = Bench::new();
    let (got, ok) = call(&mut bench);
    let bye = in_dialog("BYE", 5, &got, &ok, true, EVE);
    let without: String =
        bye.lines().filter(|line| !line.starts_with("Route")).map(|line| format!("{line}\n")).collect();
    bench.send(EVE, &without);
    assert_eq!(bench.codes(EVE), [481]);
    bench.send(EVE, &bye.replace("Call-ID: call-alice", "Call-ID: other").replace("BYE5", "BYE6"));
    assert_eq!(bench.codes(EVE), [403]);
    let elsewhere = "Route: <sip:evil.example;lr>\nRoute: ";
    bench.send(
        EVE,
        &without
            .replace("Max-", &format!("Route: <sip:192.0.2.1;lr>\n{}Max-", &elsewhere[..elsewhere.len() - 7]))
            .replace("BYE5", "BYE7"),
    );
    assert_eq!(bench.codes(EVE), [403]);
    assert!(bench.nothing_sent());
}

#[test]
fn all_phones_of_the_best_preference_ring_then_the_next_and_losers_are_cancelled() {
    let mut bench = Bench::new();
    let contacts =
        format!("Contact: <sip:bob@{BOB}>;q=1.0, <sip:bob@{BOB_TOO}>;q=1.0, <sip:bob@192.0.2.22>;q=0.5\n");
    assert_eq!(bench.authenticated(BOB, "bob", &bench::register("bob", BOB, &contacts)).status().code(), 200);
    bench.authenticated(ALICE, "alice", &invite(""));
    let (one, two) = (bench.request(BOB), bench.request(BOB_TOO));
    assert!(bench.nothing_sent(), "the third waits");
    assert_eq!(one.max_breadth(), Ok(Some(30)));
    bench.send(BOB, &reply(&one, 180, "t1", "", ""));
    bench.send(BOB_TOO, &reply(&two, 180, "t2", "", ""));
    assert_eq!(bench.codes(ALICE), [180, 180]);
    bench.send(BOB, &reply(&one, 200, "t1", "Contact: <sip:bob@192.0.2.20>\n", ""));
    assert_eq!(bench.codes(ALICE), [200]);
    let cancel = bench.request(BOB_TOO);
    assert_eq!(cancel.method().as_str(), "CANCEL");
    assert!(raw(&cancel, Name::Reason).contains("Call completed elsewhere"));
    bench.send(BOB_TOO, &reply(&cancel, 200, "t2", "", ""));
    bench.send(BOB_TOO, &reply(&two, 487, "t2", "", ""));
    assert_eq!(bench.codes(ALICE), Vec::<u16>::new());
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn the_next_preference_is_tried_after_failure_and_the_best_failure_goes_back() {
    let mut bench = Bench::new();
    let contacts = format!("Contact: <sip:bob@{BOB}>;q=1.0, <sip:bob@{BOB_TOO}>;q=0.5\n");
    bench.authenticated(BOB, "bob", &bench::register("bob", BOB, &contacts));
    bench.authenticated(ALICE, "alice", &invite(""));
    let one = bench.request(BOB);
    bench.send(BOB, &reply(&one, 486, "t1", "", ""));
    assert_eq!(bench.request(BOB).method().as_str(), "ACK");
    let two = bench.request(BOB_TOO);
    bench.send(BOB_TOO, &reply(&two, 503, "t2", "", ""));
    assert_eq!(bench.codes(ALICE), [486]);
}

#[test]
fn a_caller_that_gives_up_gets_487_and_the_phone_stops_ringing() {
    let mut bench = Bench::new();
    let got = ring(&mut bench);
    bench.send(BOB, &reply(&got, 180, "tbob", "", ""));
    bench.take(ALICE);
    let cancel = invite("").replace("INVITE", "CANCEL").replace("z9hG4bKCANCELalice1", "z9hG4bKINVITEalice2");
    let why = "SIP;cause=600;text=\"Changed my mind\"";
    let cancel = cancel.replace("Contact:", &format!("Reason: {why}\nContact:"));
    bench.send(ALICE, &cancel.replace("CSeq: 1", "CSeq: 2"));
    assert_eq!(bench.codes(ALICE), [200]);
    let cancel = bench.request(BOB);
    assert_eq!(cancel.method().as_str(), "CANCEL");
    assert_eq!(raw(&cancel, Name::Reason), why);
    bench.send(BOB, &reply(&cancel, 200, "tbob", "", ""));
    bench.send(BOB, &reply(&got, 487, "tbob", "", ""));
    assert_eq!(bench.codes(ALICE), [487]);
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn a_phone_that_rings_forever_is_cancelled_and_the_caller_hears_408() {
    let mut bench = Bench::new();
    let got = ring(&mut bench);
    bench.send(BOB, &reply(&got, 180, "tbob", "", ""));
    bench.pass(Duration::from_secs(186));
    let cancel = bench.request(BOB);
    assert_eq!(cancel.method().as_str(), "CANCEL");
    bench.take(ALICE);
    bench.send(BOB, &reply(&cancel, 200, "tbob", "", ""));
    bench.send(BOB, &reply(&got, 487, "tbob", "", ""));
    assert_eq!(bench.codes(ALICE), [408]);
}

#[test]
fn a_phone_that_is_gone_is_408_after_timer_b() {
    let mut bench = Bench::new();
    ring(&mut bench);
    bench.pass(Duration::from_secs(33));
    assert_eq!(bench.codes(ALICE).last(), Some(&408));
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn hops_loops_and_unknown_extensions_are_refused() {
    let mut bench = Bench::new();
    bench.register("bob", BOB);
    bench.send(ALICE, &invite("").replace("Max-Forwards: 70", "Max-Forwards: 0"));
    assert_eq!(bench.codes(ALICE), [483]);
    let required =
        invite("").replace("Contact:", "Proxy-Require: nonsense, more\nContact:").replace("alice1", "alice7");
    bench.send(ALICE, &required);
    let answer = bench.response(ALICE);
    assert_eq!(answer.status().code(), 420);
    assert_eq!(answer.unsupported().collect::<Vec<_>>(), ["nonsense", "more"]);
}

#[test]
fn a_request_that_comes_by_again_unchanged_is_a_loop() {
    let mut bench = Bench::with(|config| config.authentication = Authentication::Off);
    bench.register("bob", BOB);
    bench.send(ALICE, &invite(""));
    let got = bench.request(BOB);
    // A phone that sends back what it got, to the name it was called by.
    let back =
        String::from_utf8_lossy(got.bytes()).replacen(&format!("sip:bob@{BOB}"), "sip:bob@example.com", 1);
    let back = back.replacen("Via:", "Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKagain;rport\r\nVia:", 1);
    bench.send(BOB, &back);
    assert_eq!(bench.codes(BOB), [482]);
}

#[test]
fn every_method_passes_also_those_nobody_knows() {
    for method in ["MESSAGE", "INFO", "SUBSCRIBE", "PUBLISH", "REFER", "NOTIFY", "OPTIONS", "NEWMETHOD"] {
        let mut bench = Bench::new();
        bench.register("bob", BOB);
        let text = request(method, "sip:bob@example.com", "alice", ALICE, "X-Any: kept  as it is\n", "");
        bench.send(ALICE, &text);
        let challenge = bench.response(ALICE);
        assert_eq!(challenge.status().code(), 407, "{method}");
        bench.authenticated_again(ALICE, "alice", &text, &challenge);
        let got = bench.request(BOB);
        assert_eq!(got.method().as_str(), method);
        assert_eq!(got.raw_other("X-Any"), Some(&b"kept  as it is"[..]));
        bench.send(BOB, &reply(&got, 200, "tbob", "", ""));
        assert_eq!(bench.codes(ALICE), [200], "{method}");
    }
}

#[test]
fn an_exchange_that_is_asked_what_it_can_answers_itself() {
    let mut bench = Bench::new();
    bench.send(EVE, &request("OPTIONS", "sip:example.com", "eve", EVE, "", ""));
    let answer = bench.response(EVE);
    assert_eq!(answer.status().code(), 200);
    assert!(answer.allow().any(|method| method == "INVITE"));
}

#[test]
fn media_through_us_is_told_our_ports_and_closed_with_the_call() {
    let mut bench = Bench::with(|config| config.anchor = AnchorPolicy::Always);
    let (got, ok) = call(&mut bench);
    let offer = String::from_utf8_lossy(got.body()).into_owned();
    assert!(offer.contains("c=IN IP4 192.0.2.1\r\n") && offer.contains("m=audio 20002 "), "{offer}");
    let answer = String::from_utf8_lossy(ok.body()).into_owned();
    assert!(answer.contains("c=IN IP4 192.0.2.1\r\n") && answer.contains("m=audio 20000 "), "{answer}");
    let Some(Command::Open { stream, sides, .. }) = bench.media.first().cloned() else { panic!() };
    assert_eq!(sides[0].remote.rtp, Some("192.0.2.10:4000".parse().unwrap()));
    bench.send(ALICE, &in_dialog("BYE", 3, &got, &ok, true, ALICE));
    let bye = bench.request(BOB);
    bench.send(BOB, &reply(&bye, 200, "", "", ""));
    assert_eq!(bench.media.last(), Some(&Command::Close { stream }));
    assert!(!bench.shard.is_idle(), "the ports are not home yet");
    let ports = vec![sides[0].ports, sides[1].ports];
    bench.input(Input::Media(Report::Closed { stream, ports, counters: [Counters::default(); 2] }));
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn a_call_whose_media_has_stopped_is_ended_in_both_names() {
    let mut bench = Bench::with(|config| config.anchor = AnchorPolicy::Always);
    call(&mut bench);
    let Some(Command::Open { stream, .. }) = bench.media.first().cloned() else { panic!() };
    bench.input(Input::Media(Report::Stopped { stream, idle: Duration::from_secs(60) }));
    for (at, from) in [(ALICE, "bob@example.com"), (BOB, "alice@example.com")] {
        let bye = bench.request(at);
        assert_eq!(bye.method().as_str(), "BYE");
        assert!(raw(&bye, Name::From).contains(from));
        assert!(raw(&bye, Name::Reason).contains("Media stopped"));
        assert!(raw(&bye, Name::To).contains("tag="));
        bench.send(at, &reply(&bye, 200, "", "", ""));
    }
    assert!(bench.events.iter().any(|one| matches!(one, Event::CallEnded { by: EndedBy::Exchange, .. })));
}

#[test]
fn media_stays_direct_where_both_phones_are_in_one_network_and_not_where_one_is_behind_a_nat() {
    let auto = |config: &mut offhook_exchange::config::Config| {
        config.anchor = AnchorPolicy::Auto;
        config.local_networks = vec!["192.0.2.0/24".parse().unwrap()];
    };
    let mut bench = Bench::with(auto);
    ring(&mut bench);
    assert!(bench.media.is_empty());
    let mut bench = Bench::with(auto);
    bench.register("bob", BOB);
    let private = invite(&sdp("10.0.0.5", 4000));
    bench.authenticated(ALICE, "alice", &private);
    assert_eq!(bench.media.len(), 1, "the SDP names another network");
}

#[test]
fn an_account_has_only_so_many_calls_at_a_time() {
    let mut bench = Bench::with(|config| config.max_calls_per_account = 1);
    let got = ring(&mut bench);
    let second = invite("").replace("call-alice", "call-2").replace("INVITEalice", "second");
    assert_eq!(bench.authenticated(ALICE, "alice", &second).status().code(), 403);
    bench.send(BOB, &reply(&got, 486, "tbob", "", ""));
    let third = invite("").replace("call-alice", "call-3").replace("INVITEalice", "third");
    assert_eq!(bench.authenticated(ALICE, "alice", &third).status().code(), 100);
}

#[test]
fn without_authentication_anyone_registers_and_calls_inside_but_not_outside() {
    let mut bench = Bench::with(|config| config.authentication = Authentication::Off);
    bench.register("b17", BOB);
    bench.send(ALICE, &request("INVITE", "sip:b17@example.com", "u1", ALICE, "", ""));
    assert_eq!(bench.request(BOB).method().as_str(), "INVITE");
    bench.send(ALICE, &request("INVITE", "sip:x@victim.example", "u2", ALICE, "", ""));
    assert_eq!(bench.codes(ALICE).last(), Some(&403));
}

#[test]
fn an_expired_binding_is_never_called() {
    let mut bench = Bench::new();
    bench.register("bob", BOB);
    bench.pass(Duration::from_secs(599));
    assert_eq!(bench.authenticated(ALICE, "alice", &invite("")).status().code(), 100);
    bench.pass(Duration::from_secs(1));
    let later = invite("").replace("call-alice", "later").replace("INVITEalice", "later");
    assert_eq!(bench.authenticated(ALICE, "alice", &later).status().code(), 480);
}
