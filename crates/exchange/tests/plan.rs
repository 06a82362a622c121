//! Numbers that are no account's: routes, trunks, calls for help; and who may call in.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, BOB, EVE};
use bench::{Bench, request};
use offhook_exchange::config::Config;
use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Choice, Destination, Numbering, Pattern, Rule, Trunk, TrunkAuth};
use offhook_sip::{Name, Status, Uri};

const CARRIER: &str = "198.51.100.9:5060";

fn rule(name: &str, pattern: &str, to: Destination) -> Rule {
    Rule { patterns: vec![Pattern::parse(pattern).unwrap()], ..Rule::new(name, to) }
}

/// Germany, a carrier that is known by its address, and all numbers go there.
fn with_carrier(config: &mut Config) {
    let Ok(Uri::Sip(server)) = "sip:198.51.100.9".parse() else { panic!("a URI") };
    let networks = vec!["198.51.100.0/28".parse().unwrap()];
    config.trunks.push(Trunk { networks, ..Trunk::new("carrier", server, TrunkAuth::Address) });
    config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
    config.plan.rules.push(rule("all", "*", Destination::Trunk(Choice::only("carrier"))));
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

/// The carrier has four numbers here: dora holds the first, a rule leads the second to bob and the third to the line of
/// another carrier.
fn with_numbers() -> Bench {
    let mut bench = Bench::with(|config| {
        with_carrier(config);
        let numbers = ["+493055501", "+493055502", "+493055503", "+493055504"];
        config.trunks[0].numbers = numbers.map(str::to_owned).to_vec();
        let Ok(Uri::Sip(server)) = "sip:203.0.113.77".parse() else { panic!("a URI") };
        let networks = vec!["203.0.113.77/32".parse().unwrap()];
        config.trunks.push(Trunk { networks, ..Trunk::new("other", server, TrunkAuth::Address) });
        let bob = Destination::Account(AddressOfRecord::new("bob", "example.com"));
        for (pattern, to) in [("+493055502", bob), ("+493055503", Destination::Trunk(Choice::only("other")))]
        {
            let mut incoming = rule(pattern, pattern, to);
            incoming.from = vec!["carrier".into()];
            config.plan.rules.insert(0, incoming);
        }
    });
    bench.account("dora", Some("+493055501"));
    bench.register("dora", ALICE);
    bench.register("bob", BOB);
    bench
}

fn from_carrier(bench: &mut Bench, uri: &str, call: &str, from: &str) -> Vec<u16> {
    let text = request("INVITE", uri, "x", CARRIER, "", "").replace("INVITEx", call);
    bench.send(CARRIER, &text.replace("sip:x@example.com", from));
    bench.codes(CARRIER)
}

#[test]
fn a_number_of_a_trunk_reaches_what_it_is_bound_to_however_it_is_written() {
    let mut bench = with_numbers();
    // Whatever From says: carriers write there what their callers do.
    let from = ["sip:+4989111@carrier.example", "sip:alice@example.com", "sip:anonymous@anonymous.invalid"];
    for (user, phone, last) in [("dora", ALICE, 1), ("bob", BOB, 2)] {
        for (at, start) in [
            "sip:+49305550N@example.com",
            "sip:+49305550N@192.0.2.1;user=phone",
            "sip:49305550N@example.com",
            "sip:0049305550N@example.com",
            "sip:030-5550N@192.0.2.1:5060",
            "tel:+49-30-5550N",
        ]
        .into_iter()
        .enumerate()
        {
            let uri = start.replace('N', &last.to_string());
            let codes = from_carrier(&mut bench, &uri, &format!("{user}{at}"), from[at % 3]);
            assert_eq!(codes, [100], "{uri}");
            let got = String::from_utf8(bench.request(phone).uri_bytes().to_vec()).unwrap();
            assert!(got.starts_with(&format!("sip:{user}@")), "{uri}: {got}");
        }
    }
}

#[test]
fn a_number_of_a_trunk_is_ours_whatever_host_its_carrier_names() {
    let mut bench = with_numbers();
    let from = "sip:+4989111@carrier.example";
    for (at, (user, host)) in [
        ("+493055501", "carrier.example"),
        ("493055501", "198.51.100.9:5060"),
        ("+49-30-55501", "sbc1.other.example"),
    ]
    .into_iter()
    .enumerate()
    {
        let codes = from_carrier(&mut bench, &format!("sip:{user}@{host}"), &format!("foreign{at}"), from);
        assert_eq!(codes, [100], "{host}");
        assert!(bench.request(ALICE).uri_bytes().starts_with(b"sip:dora@"), "{host}");
    }
    // What a rule for the carrier leads elsewhere goes there as if it had named us.
    assert_eq!(from_carrier(&mut bench, "sip:+493055502@carrier.example", "rule", from), [100]);
    assert!(bench.request(BOB).uri_bytes().starts_with(b"sip:bob@"));
    // Nothing is relayed for it: no number of its own, no account, and nobody else's.
    for user in ["+493055509", "dora", "1002", "112", "+4989111"] {
        let uri = format!("sip:{user}@carrier.example");
        assert_eq!(from_carrier(&mut bench, &uri, user, from), [403], "{uri}");
    }
    let stranger = "203.0.113.5:5060";
    let text = request("INVITE", "sip:+493055501@carrier.example", "x", stranger, "", "");
    bench.send(stranger, &text.replace("sip:x@example.com", from));
    assert_eq!(bench.codes(stranger), [403]);
    assert!(bench.questions.is_empty());
}

#[test]
fn a_trunk_with_numbers_calls_nothing_else_and_leaves_only_by_a_rule_for_it() {
    let mut bench = with_numbers();
    let from = "sip:+4989111@carrier.example";
    // Not an extension, a name, a number of nobody here, help, a service or another domain; nor what no rule takes.
    for (at, (uri, code)) in [
        ("sip:1002@example.com", 404),
        ("sip:bob@example.com", 404),
        ("sip:+493099999@example.com", 404),
        ("sip:0900123456@example.com", 404),
        ("sip:112@example.com", 404),
        ("sip:*43@example.com", 404),
        ("sip:+493055504@example.com", 404),
        ("sip:+493099999@other.example", 403),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(from_carrier(&mut bench, uri, &format!("call{at}"), from), [code], "{uri}");
    }
    assert!(bench.questions.is_empty() && bench.nothing_sent());
    assert_eq!(from_carrier(&mut bench, "sip:+493055503@example.com", "transit", from), [100]);
    bench.resolve("203.0.113.77");
    let uri = String::from_utf8(bench.request("203.0.113.77:5060").uri_bytes().to_vec()).unwrap();
    assert_eq!(uri, "sip:+493055503@203.0.113.77;user=phone");
}

#[test]
fn of_trunks_at_one_address_a_call_is_of_the_one_whose_number_it_names() {
    let mut bench = Bench::with(|config| {
        with_carrier(config);
        config.trunks[0].numbers = vec!["+493055501".into()];
        let second =
            Trunk { name: "second".into(), numbers: vec!["+493055502".into()], ..config.trunks[0].clone() };
        config.trunks.push(second);
        let mut incoming = rule("in", "*", Destination::Account(AddressOfRecord::new("bob", "example.com")));
        incoming.from = vec!["second".into()];
        config.plan.rules.insert(0, incoming);
    });
    bench.register("bob", BOB);
    let from = "sip:+4989111@carrier.example";
    assert_eq!(from_carrier(&mut bench, "sip:+493055502@example.com", "one", from), [100]);
    assert!(bench.request(BOB).uri_bytes().starts_with(b"sip:bob@"));
    assert_eq!(from_carrier(&mut bench, "sip:+493055501@example.com", "two", from), [404]);
}

#[test]
fn a_trunk_is_told_a_number_that_can_be_called_back_whatever_the_phone_claims() {
    let whole = ("dora", Some("+49305559"), "\"DORA\" <sip:+49305559@example.com;user=phone>");
    let short = ("emil", Some("1009"), "\"EMIL\" <sip:+493055501@example.com;user=phone>");
    let none = ("emil", None, "\"EMIL\" <sip:emil@example.com>");
    for (has_numbers, (user, number, told)) in [(true, whole), (false, whole), (true, short), (false, none)] {
        let mut bench = Bench::with(|config| {
            with_carrier(config);
            config.trunks[0].numbers.extend(has_numbers.then(|| "+493055501".to_owned()));
        });
        bench.account(user, number);
        for (privacy, call) in [("", "open"), ("Privacy: id\n", "private")] {
            let claims = format!(
                "P-Asserted-Identity: <sip:+49110@example.com>\nP-Preferred-Identity: <tel:+49110>\n{privacy}"
            );
            let text = request("INVITE", "sip:0301234567@example.com", user, ALICE, &claims, "");
            let text = text.replace(&format!("INVITE{user}"), call);
            assert_eq!(bench.authenticated(ALICE, user, &text).status().code(), 100);
            bench.resolve("198.51.100.9");
            let got = bench.request(CARRIER);
            let header = |name| got.raw_all(name).map(String::from_utf8_lossy).collect::<Vec<_>>();
            assert_eq!(header(Name::PAssertedIdentity), [told], "{user} {privacy}");
            assert!(header(Name::PPreferredIdentity).is_empty());
            assert_eq!(header(Name::Privacy).len(), usize::from(!privacy.is_empty()));
        }
    }
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
