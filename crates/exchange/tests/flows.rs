//! Transactions and dialogs through the proxy at their edges: races, timers, lost ways, other transports.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, BOB, EVE, call, invite, ring};
use bench::{Bench, in_dialog, raw, reply, request, tcp, udp};
use offhook_exchange::config::{Authentication, Config, Listener};
use offhook_exchange::io::Input;
use offhook_sip::{Name, Request};
use offhook_sip_stack::{Flow, Transport};

fn open(config: &mut Config) {
    config.authentication = Authentication::Off;
}

fn cancel_of_the_call() -> String {
    let cancel = invite("").replace("INVITE", "CANCEL").replace("z9hG4bKCANCELalice1", "z9hG4bKINVITEalice2");
    cancel.replace("CSeq: 1", "CSeq: 2")
}

#[test]
fn a_re_invite_that_nobody_finishes_does_not_stay_for_ever() {
    let mut bench = Bench::new();
    let (got, ok) = call(&mut bench);
    bench.send(ALICE, &in_dialog("INVITE", 3, &got, &ok, true, ALICE));
    let asked = bench.request(BOB);
    bench.send(BOB, &reply(&asked, 180, "tbob", "", ""));
    bench.pass(Duration::from_secs(186));
    assert_eq!(bench.request(BOB).method().as_str(), "CANCEL");
    bench.pass(Duration::from_secs(200));
    assert_eq!(bench.codes(ALICE).last(), Some(&408));
    assert!(bench.shard.is_idle());
}

#[test]
fn a_call_given_up_before_the_phone_said_anything_is_487() {
    let mut bench = Bench::new();
    ring(&mut bench);
    bench.send(ALICE, &cancel_of_the_call());
    bench.pass(Duration::from_secs(33));
    assert_eq!(bench.codes(ALICE)[..2], [200, 487]);
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn an_answer_that_crosses_a_cancel_goes_through() {
    let mut bench = Bench::new();
    let got = ring(&mut bench);
    bench.send(BOB, &reply(&got, 180, "tbob", "", ""));
    bench.send(ALICE, &cancel_of_the_call());
    bench.send(BOB, &reply(&got, 200, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), ""));
    assert_eq!(bench.codes(ALICE), [180, 200, 200]);
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn a_caller_that_is_gone_stops_the_ringing() {
    let mut bench = Bench::new();
    let got = ring(&mut bench);
    bench.send(BOB, &reply(&got, 180, "tbob", "", ""));
    bench.input(Input::FlowFailed(udp(ALICE)));
    assert_eq!(bench.request(BOB).method().as_str(), "CANCEL");
    bench.send(BOB, &reply(&got, 487, "tbob", "", ""));
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn only_100_and_no_408_answers_a_request_other_than_invite() {
    let mut bench = Bench::with(open);
    bench.register("bob", BOB);
    bench.send(ALICE, &request("OPTIONS", "sip:bob@example.com", "alice", ALICE, "", ""));
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 183, "tbob", "", ""));
    bench.pass(Duration::from_secs(70));
    assert_eq!(bench.codes(ALICE), Vec::<u16>::new());
    assert!(bench.shard.is_idle());
}

#[test]
fn a_phone_that_is_overloaded_says_nothing_about_us() {
    let mut bench = Bench::new();
    let (got, ok) = call(&mut bench);
    bench.send(ALICE, &in_dialog("INFO", 3, &got, &ok, true, ALICE));
    let asked = bench.request(BOB);
    bench.send(BOB, &reply(&asked, 503, "tbob", "Retry-After: 3600\n", ""));
    let answer = bench.response(ALICE);
    assert_eq!(answer.status().code(), 500);
    assert!(!answer.has(Name::RetryAfter));
}

#[test]
fn a_loop_is_found_also_where_a_route_led_to_us() {
    let mut bench = Bench::with(open);
    bench.register("bob", BOB);
    let routed = invite("").replace("Contact:", "Route: <sip:192.0.2.1;lr>\nContact:");
    bench.send(ALICE, &routed);
    let got = bench.request(BOB);
    // A proxy that sends it on the way it came.
    let back = String::from_utf8_lossy(got.bytes()).replacen(
        &format!("INVITE sip:bob@{BOB}"),
        "INVITE sip:bob@example.com",
        1,
    );
    let via = "Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKagain;rport\r\nRoute: <sip:192.0.2.1;lr>\r\nVia:";
    bench.send(BOB, &back.replacen("Via:", via, 1));
    assert_eq!(bench.codes(BOB), [482]);
}

#[test]
fn a_request_refused_without_proof_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let claimed = "Proxy-Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"1\", \
                   uri=\"sip:bob@example.com\", response=\"2\"\n";
    let text = request("MESSAGE", "sip:bob@example.com", "alice", EVE, claimed, "");
    bench.send(EVE, &text.replace("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=x"));
    assert_eq!(bench.codes(EVE), [481]);
    bench.send(EVE, &text.replace("Max-Forwards: 70", "Max-Forwards: 0").replace("MESSAGEalice1", "two1"));
    assert_eq!(bench.codes(EVE), [483]);
    bench.send(EVE, &request("OPTIONS", "sip:example.com", "eve", EVE, "", ""));
    assert_eq!(bench.codes(EVE), [200]);
    assert_eq!(bench.status().transactions, 0);
}

#[test]
fn the_ack_to_our_own_refusal_goes_no_further() {
    let mut bench = Bench::new();
    let (got, ok) = call(&mut bench);
    let again = in_dialog("INVITE", 3, &got, &ok, true, ALICE).replace("Max-Forwards: 70", "Max-Forwards: 0");
    bench.send(ALICE, &again);
    assert_eq!(bench.codes(ALICE), [483]);
    let ack = again.replace("INVITE sip", "ACK sip").replace("CSeq: 3 INVITE", "CSeq: 3 ACK");
    bench.send(ALICE, &ack.replace("Max-Forwards: 0", "Max-Forwards: 70"));
    assert!(bench.nothing_sent());
}

#[test]
fn credentials_for_us_stay_here_in_whichever_header() {
    let mut bench = Bench::new();
    bench.register("bob", BOB);
    let digest = |realm: &str| {
        format!(
            "Digest username=\"alice\", realm=\"{realm}\", nonce=\"1\", uri=\"sip:bob@example.com\", response=\"2\""
        )
    };
    let both =
        format!("Authorization: {}\nAuthorization: {}\n", digest("example.com"), digest("elsewhere.example"));
    let text = request("MESSAGE", "sip:bob@example.com", "alice", ALICE, &both, "");
    bench.send(ALICE, &text);
    let challenge = bench.response(ALICE);
    bench.authenticated_again(ALICE, "alice", &text, &challenge);
    let got = String::from_utf8_lossy(bench.request(BOB).bytes()).into_owned();
    assert!(!got.contains("realm=\"example.com\""), "{got}");
    assert!(got.contains("elsewhere.example"), "{got}");
}

#[test]
fn a_contact_that_looks_like_our_route_cannot_keep_a_call_alive() {
    let mut bench = Bench::new();
    let got = ring(&mut bench);
    bench.send(BOB, &reply(&got, 200, "tbob", &format!("Contact: <sip:bob@{BOB};oh=AAAA>\n"), ""));
    let ok = bench.response(ALICE);
    bench.send(ALICE, &in_dialog("BYE", 3, &got, &ok, true, ALICE));
    assert_eq!(bench.request(BOB).method().as_str(), "BYE");
}

#[test]
fn the_route_of_another_exchange_behind_ours_is_left_to_it() {
    let mut bench = Bench::new();
    let (got, ok) = call(&mut bench);
    let bye = in_dialog("BYE", 3, &got, &ok, true, ALICE);
    bench.send(ALICE, &bye.replace("From:", "Route: <sip:192.0.2.20:5080;lr;oh=AAAA>\nFrom:"));
    let bye = bench.request(BOB);
    assert_eq!(raw(&bye, Name::Route), "<sip:192.0.2.20:5080;lr;oh=AAAA>");
}

#[test]
fn a_request_that_spiralled_through_us_goes_to_whom_the_last_of_our_routes_names() {
    let mut bench = Bench::with(open);
    const CAROL: &str = "192.0.2.30:5060";
    bench.register("bob", BOB);
    bench.register("carol", CAROL);
    bench.send(ALICE, &invite(""));
    let got = bench.request(BOB);
    // Bob's proxy sends it on to Carol.
    let on = String::from_utf8_lossy(got.bytes()).replacen(
        &format!("INVITE sip:bob@{BOB}"),
        "INVITE sip:carol@example.com",
        1,
    );
    bench.send(BOB, &on.replacen("Via:", "Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKon;rport\r\nVia:", 1));
    let got = bench.request(CAROL);
    let answer = reply(&got, 200, "tcarol", &format!("Contact: <sip:carol@{CAROL}>\n"), "");
    bench.send(CAROL, &answer);
    let ok = bench.response(BOB);
    bench.send(BOB, &String::from_utf8_lossy(ok.edit().pop_via().finish().bytes()));
    let ok = bench.response(ALICE);
    bench.send(ALICE, &in_dialog("BYE", 3, &got, &ok, true, ALICE));
    assert_eq!(bench.request(CAROL).method().as_str(), "BYE");
    bench.send(CAROL, &in_dialog("INFO", 1, &got, &ok, false, CAROL));
    assert_eq!(bench.request(ALICE).method().as_str(), "INFO");
}

#[test]
fn each_side_gets_a_route_of_its_own_transport() {
    let mut bench = Bench::with(|config| {
        open(config);
        let address = "192.0.2.1:5062".parse().unwrap();
        config.listeners.push(Listener { transport: Transport::Tcp, address });
    });
    let phone = Flow { local: "192.0.2.1:5062".parse().unwrap(), ..tcp("192.0.2.20:49152", 7) };
    let contact = "Contact: <sip:bob@192.0.2.20:49152;transport=tcp>\n";
    let text = bench::register("bob", "192.0.2.20:49152", contact).replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    bench.send_on(phone, &text);
    bench.take("192.0.2.20:49152");
    bench.send(ALICE, &invite(""));
    let (way, message) = bench.take_with_way("192.0.2.20:49152").pop().unwrap();
    assert_eq!(way, phone);
    let got = message.as_request().unwrap();
    let routes: Vec<String> = got.record_routes().flatten().map(|one| one.to_string()).collect();
    assert_eq!(routes.len(), 2);
    assert!(routes[0].starts_with("<sip:192.0.2.1:5062;transport=tcp;lr;"), "{routes:?}");
    assert!(routes[1].starts_with("<sip:192.0.2.1:5060;transport=udp;lr;"), "{routes:?}");
    assert!(raw(got, Name::Via).starts_with("SIP/2.0/TCP 192.0.2.1:5062"));
    bench.send_on(phone, &reply(got, 200, "tbob", "Contact: <sip:bob@192.0.2.20;transport=tcp>\n", ""));
    let ok = bench.response(ALICE);
    bench.send(ALICE, &in_dialog("BYE", 3, got, &ok, true, ALICE));
    let (way, _) = bench.take_with_way("192.0.2.20:49152").pop().unwrap();
    assert_eq!((way.transport, way.connection), (Transport::Tcp, None), "found again by its address");
}

#[test]
fn an_external_address_is_told_only_to_its_own_family() {
    let mut bench = Bench::with(|config| {
        open(config);
        config.external_address = Some("198.51.100.1".parse().unwrap());
    });
    let phone = |remote: &str, local: &str| Flow { local: local.parse().unwrap(), ..udp(remote) };
    let six = phone("[2001:db8::20]:5060", "[2001:db8::1]:5060");
    let four = phone(ALICE, bench::SERVER);
    let contact = "Contact: <sip:bob@[2001:db8::20]:5060>\n";
    bench.send_on(six, &bench::register("bob", "[2001:db8::20]:5060", contact));
    bench.take("[2001:db8::20]:5060");
    bench.send_on(four, &invite(""));
    let got: Request = bench.request("[2001:db8::20]:5060");
    assert!(raw(&got, Name::Via).starts_with("SIP/2.0/UDP [2001:db8::1]:5060;"), "{}", raw(&got, Name::Via));
    let routes: Vec<String> = got.record_routes().flatten().map(|one| one.to_string()).collect();
    assert!(routes[0].starts_with("<sip:[2001:db8::1]:5060;"), "{routes:?}");
    assert!(routes[1].starts_with("<sip:198.51.100.1:5060;"), "{routes:?}");
}

#[test]
fn max_breadth_is_shared_among_branches() {
    let mut bench = Bench::with(open);
    let contacts = "Contact: <sip:bob@192.0.2.20>, <sip:bob@192.0.2.21>, <sip:bob@192.0.2.22>\n";
    bench.send(BOB, &bench::register("bob", BOB, contacts));
    bench.take(BOB);
    bench.send(ALICE, &invite("").replace("Contact:", "Max-Breadth: 7\nContact:"));
    for at in ["192.0.2.20:5060", "192.0.2.21:5060", "192.0.2.22:5060"] {
        assert_eq!(bench.request(at).max_breadth(), Ok(Some(2)));
    }
    let narrow = invite("").replace("Contact:", "Max-Breadth: 2\nContact:").replace("INVITEalice", "narrow");
    bench.send(ALICE, &narrow);
    assert_eq!(bench.codes(ALICE).last(), Some(&440));
}

#[test]
fn every_request_that_is_sent_on_has_a_max_breadth_within_our_limit() {
    for (given, passed) in [("", 60), ("Max-Breadth: 200\n", 60), ("Max-Breadth: 5\n", 5)] {
        let mut bench = Bench::with(open);
        bench.send(BOB, &bench::register("bob", BOB, "Contact: <sip:bob@192.0.2.20>\n"));
        bench.take(BOB);
        bench.send(ALICE, &invite("").replace("Contact:", &format!("{given}Contact:")));
        assert_eq!(bench.request(BOB).max_breadth(), Ok(Some(passed)), "{given:?}");
    }
}

#[test]
fn a_stream_that_cannot_be_cut_into_messages_is_told_why_before_it_ends() {
    let options = request("OPTIONS", "sip:example.com", "alice", ALICE, "", "").replace('\n', "\r\n");
    let without = options.replace("Content-Length: 0\r\n", "");
    let huge = options.replace("Content-Length: 0", "Content-Length: 99999999");
    for (text, code, reason) in [(without, 400, "Content-Length missing"), (huge, 513, "Message Too Large")] {
        let mut bench = Bench::new();
        let flow = tcp(ALICE, 7);
        bench.input(Input::BrokenStream { flow, head: text.into_bytes().into() });
        let answer = bench.response(ALICE);
        assert_eq!((answer.status().code(), answer.reason()), (code, reason.as_bytes()));
    }
}
