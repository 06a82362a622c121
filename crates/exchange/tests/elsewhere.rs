//! Who may call other domains, and who has to answer there.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, EVE};
use bench::{Bench, raw, reply, request};
use offhook_exchange::config::{Authentication, Listener, Strangers};
use offhook_sip::Name;
use offhook_sip_stack::Transport;

const THERE: &str = "198.51.100.7:5060";

fn invite(uri: &str) -> String {
    request("INVITE", uri, "alice", ALICE, "", "")
}

#[test]
fn an_accounts_call_goes_to_the_domains_address_with_our_route_in_it() {
    let mut bench = Bench::new();
    let answer = bench.authenticated(ALICE, "alice", &invite("sip:bob@other.example"));
    assert_eq!(answer.status().code(), 100);
    bench.resolve("198.51.100.7");
    let got = bench.request(THERE);
    assert_eq!(got.uri_bytes(), b"sip:bob@other.example");
    assert!(!got.has(Name::ProxyAuthorization), "credentials stay here");
    assert!(raw(&got, Name::RecordRoute).contains("192.0.2.1:5060"));
    assert!(bench.expected.iter().all(|(_, domain)| domain == "other.example"));
    bench.send(THERE, &reply(&got, 404, "theirs", "", ""));
    assert_eq!(bench.codes(ALICE), [404]);
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn nobody_else_is_relayed_anywhere() {
    for change in [Authentication::Required, Authentication::Off] {
        let mut bench = Bench::with(|config| {
            config.authentication = change;
            config.strangers = Strangers::Allow;
        });
        let text = request("INVITE", "sip:bob@other.example", "eve", EVE, "", "");
        bench.send(EVE, &text.replace("sip:eve@example.com", "sip:eve@evil.example"));
        assert_eq!(bench.codes(EVE), [403]);
        assert!(bench.questions.is_empty(), "nor is the DNS asked for them");
    }
    let mut bench = Bench::with(|config| config.other_domains = false);
    assert_eq!(bench.authenticated(ALICE, "alice", &invite("sip:bob@other.example")).status().code(), 403);
}

#[test]
fn a_sips_uri_goes_over_tls_to_whoever_proves_the_domain() {
    let mut bench = Bench::with(|config| {
        config
            .listeners
            .push(Listener { transport: Transport::Tls, address: "192.0.2.1:5061".parse().unwrap() });
    });
    let uri = "sip:bob@other.example;transport=tls";
    assert_eq!(bench.authenticated(ALICE, "alice", &invite(uri)).status().code(), 100);
    bench.resolve("198.51.100.7");
    assert_eq!(bench.expected, [("198.51.100.7:5061".parse().unwrap(), "other.example".to_owned())]);
    let got = bench.request("198.51.100.7:5061");
    assert!(raw(&got, Name::Via).starts_with("SIP/2.0/TLS 192.0.2.1:5061"));
}

#[test]
fn nobody_from_outside_reaches_this_machine_through_us() {
    for address in ["127.0.0.1", "169.254.1.1"] {
        let mut bench = Bench::new();
        let answer = bench.authenticated(ALICE, "alice", &invite("sip:x@rebound.example:11211"));
        assert_eq!(answer.status().code(), 100);
        bench.resolve(address);
        let answer = bench.response(ALICE);
        assert_eq!(answer.status().code(), 403, "{address}");
    }
}

#[test]
fn an_answer_that_never_comes_is_not_waited_for_for_ever() {
    let mut bench = Bench::new();
    bench.authenticated(ALICE, "alice", &invite("sip:bob@other.example"));
    bench.pass(Duration::from_millis(30_100));
    assert_eq!(bench.codes(ALICE), [503]);
    bench.pass(Duration::from_secs(40));
    bench.codes(ALICE);
    assert!(bench.shard.is_idle());
    bench.resolve("198.51.100.7");
    assert!(bench.nothing_sent(), "a late answer changes nothing");
}

#[test]
fn a_transport_that_is_not_spoken_is_refused_at_once() {
    let mut bench = Bench::new();
    let answer = bench.authenticated(ALICE, "alice", &invite("sip:bob@other.example;transport=tls"));
    assert_eq!(answer.status().code(), 480);
    let answer =
        bench.authenticated(ALICE, "alice", &invite("sip:bob@255.255.255.255").replace("INVITEalice", "two"));
    assert_eq!(answer.status().code(), 404);
}
