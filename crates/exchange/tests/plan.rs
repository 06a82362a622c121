//! Numbers that are no account's: routes, trunks, calls for help; and who may call in.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, BOB, EVE};
use bench::{Bench, request};
use offhook_exchange::config::Config;
use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Destination, Numbering, Pattern, Rule, Trunk, TrunkAuth};
use offhook_sip::{Status, Uri};

const CARRIER: &str = "198.51.100.9:5060";

fn rule(name: &str, pattern: &str, to: Destination) -> Rule {
    Rule {
        name: name.into(),
        patterns: vec![Pattern::parse(pattern).unwrap()],
        callers: Vec::new(),
        domains: Vec::new(),
        from: Vec::new(),
        windows: Vec::new(),
        to,
        strip: 0,
        prepend: String::new(),
    }
}

/// Germany, a carrier that is known by its address, and all numbers go there.
fn with_carrier(config: &mut Config) {
    let Ok(Uri::Sip(server)) = "sip:198.51.100.9".parse() else { panic!("a URI") };
    let networks = vec!["198.51.100.0/28".parse().unwrap()];
    let (name, numbers) = ("carrier".to_owned(), Vec::new());
    config.trunks.push(Trunk { name, server, auth: TrunkAuth::Address, numbers, networks });
    config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
    config.plan.rules.push(rule("all", "*", Destination::Trunk("carrier".into())));
}

fn dial(number: &str, call: &str) -> String {
    request("INVITE", &format!("sip:{number}@example.com"), "alice", ALICE, "", "")
        .replace("INVITEalice", call)
}

#[test]
fn a_number_goes_to_the_trunk_in_its_whole_form() {
    for (dialled, sent) in
        [("030-1234567", "+49301234567"), ("0049301234567", "+49301234567"), ("110", "110")]
    {
        let mut bench = Bench::with(with_carrier);
        assert_eq!(
            bench.authenticated(ALICE, "alice", &dial(dialled, "one")).status().code(),
            100,
            "{dialled}"
        );
        bench.resolve("198.51.100.9");
        let uri = String::from_utf8(bench.request(CARRIER).uri_bytes().to_vec()).unwrap();
        assert_eq!(uri, format!("sip:{sent}@198.51.100.9;user=phone"));
    }
}

#[test]
fn abroad_and_rejected_numbers_get_the_reason_in_words() {
    let mut bench = Bench::with(|config| {
        with_carrier(config);
        let closed = Destination::Reject(Status::DECLINE, "No premium numbers".into());
        config.plan.rules.insert(0, rule("premium", "+49900*", closed));
    });
    for (at, (dialled, code, reason)) in [
        ("004312345678", 603, "Calls abroad are not allowed here"),
        ("0900 123456", 603, "No premium numbers"),
        ("nobody", 404, "Not Found"),
    ]
    .into_iter()
    .enumerate()
    {
        let dialled = dialled.replace(' ', "");
        let answer = bench.authenticated(ALICE, "alice", &dial(&dialled, &format!("call{at}")));
        assert_eq!(answer.status().code(), code, "{dialled}");
        assert_eq!(String::from_utf8_lossy(answer.reason()), reason);
    }
    assert!(bench.questions.is_empty());
}

#[test]
fn a_number_of_an_account_is_found_in_any_spelling_and_asks_no_rule() {
    let mut bench = Bench::with(with_carrier);
    bench.account("dora", Some("+49301234567"));
    bench.register("dora", BOB);
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("0301234567", "one")).status().code(), 100);
    assert!(bench.request(BOB).uri_bytes().starts_with(b"sip:dora@"));
}

#[test]
fn help_is_called_beyond_the_limit_of_calls() {
    let mut bench = Bench::with(|config| {
        with_carrier(config);
        config.max_calls_per_account = 1;
    });
    let code = |bench: &mut Bench, number, call| {
        bench.authenticated(ALICE, "alice", &dial(number, call)).status().code()
    };
    assert_eq!(code(&mut bench, "0301234567", "one"), 100);
    assert_eq!(code(&mut bench, "0301234567", "two"), 403);
    assert_eq!(code(&mut bench, "112", "three"), 100);
}

#[test]
fn a_trunk_calls_accounts_without_a_challenge_and_is_relayed_nowhere() {
    let mut bench = Bench::with(|config| {
        with_carrier(config);
        let bob = Destination::Account(AddressOfRecord::new("bob", "example.com"));
        let mut incoming = rule("incoming", "+49307*", bob);
        incoming.from = vec!["carrier".into()];
        config.plan.rules.push(incoming);
    });
    bench.register("bob", BOB);
    let from_carrier = |uri: &str, call: &str| {
        let text = request("INVITE", uri, "x", CARRIER, "", "").replace("INVITEx", call);
        text.replace("sip:x@example.com", "sip:+4989111@carrier.example")
    };
    for (number, call) in [("1002", "one"), ("+493077", "two")] {
        bench.send(CARRIER, &from_carrier(&format!("sip:{number}@example.com"), call));
        assert_eq!(bench.codes(CARRIER), [100], "{number}");
        assert!(bench.request(BOB).uri_bytes().starts_with(b"sip:bob@"));
    }
    for (uri, call) in [("sip:+493012345@example.com", "three"), ("sip:112@example.com", "four")] {
        bench.send(CARRIER, &from_carrier(uri, call));
        assert_eq!(bench.codes(CARRIER), [404], "{uri}");
    }
    bench.send(CARRIER, &from_carrier("sip:x@other.example", "five"));
    assert_eq!(bench.codes(CARRIER), [403]);
    assert!(bench.questions.is_empty());
}

fn stranger(from: &str, uri: &str, call: &str, headers: &str) -> String {
    let text = request("INVITE", uri, "eve", from, headers, "").replace("INVITEeve", call);
    text.replace("sip:eve@example.com", "sip:eve@partner.example")
}

#[test]
fn strangers_come_from_named_networks_and_not_too_many_at_once() {
    let mut bench = Bench::with(|config| {
        config.allow_from.push("203.0.113.0/24".parse().unwrap());
        config.strangers_per_minute = 3;
    });
    let mut codes = Vec::new();
    for n in 0..5 {
        bench.send(EVE, &stranger(EVE, "sip:bob@example.com", &format!("call{n}"), ""));
        codes.extend(bench.codes(EVE));
    }
    assert_eq!(codes, [480, 480, 480, 503, 503]);
    let far = "198.51.100.77:5060";
    bench.send(far, &stranger(far, "sip:bob@example.com", "far", ""));
    assert_eq!(bench.codes(far), [407]);
}

#[test]
fn a_stranger_of_a_named_domain_has_to_come_from_its_servers() {
    for (address, expected) in [("203.0.113.66", 480), ("198.51.100.1", 407)] {
        let mut bench = Bench::with(|config| config.allow_domains.push("partner.example".into()));
        for n in 0..2 {
            bench.send(EVE, &stranger(EVE, "sip:bob@example.com", &format!("call{n}"), ""));
            bench.resolve(address);
            let codes = bench.codes(EVE);
            assert_eq!(codes.last(), Some(&expected), "{address}: {codes:?}");
        }
        assert!(bench.questions.is_empty());
        bench.pass(Duration::from_secs(70));
        assert!(bench.shard.is_idle());
    }
}

#[test]
fn a_stranger_that_gives_up_while_the_dns_is_asked_rings_nowhere() {
    let mut bench = Bench::with(|config| config.allow_domains.push("partner.example".into()));
    bench.register("bob", BOB);
    let invite = stranger(EVE, "sip:bob@example.com", "call", "");
    bench.send(EVE, &invite);
    bench.send(EVE, &invite.replace("INVITE sip:", "CANCEL sip:").replace(" INVITE\n", " CANCEL\n"));
    assert_eq!(bench.codes(EVE), [100, 200, 487]);
    bench.resolve("203.0.113.66");
    assert!(bench.nothing_sent());
}

#[test]
fn a_route_or_a_to_tag_relays_nobody() {
    let mut bench = Bench::with(|config| config.allow_from.push("203.0.113.0/24".parse().unwrap()));
    let tries = [
        ("sip:bob@example.com", "Route: <sip:victim.example;lr>\n"),
        ("sip:bob@example.com", "Route: <sip:192.0.2.1;lr>, <sip:victim.example;lr>\n"),
        ("sip:x@victim.example", "Route: <sip:192.0.2.1;lr>\n"),
        ("sip:+19005550100@example.com", ""),
    ];
    for (at, (uri, headers)) in tries.into_iter().enumerate() {
        bench.send(EVE, &stranger(EVE, uri, &format!("call{at}"), headers));
        let codes = bench.codes(EVE);
        assert!(
            codes.iter().all(|code| [403, 404].contains(code)) && codes.len() == 1,
            "{uri} {headers}: {codes:?}"
        );
    }
    let tagged = stranger(EVE, "sip:x@victim.example", "tagged", "");
    bench.send(EVE, &tagged.replacen("To: <sip:x@victim.example>", "To: <sip:x@victim.example>;tag=1", 1));
    assert_eq!(bench.codes(EVE), [481]);
    assert!(bench.questions.is_empty() && bench.nothing_sent());
}
