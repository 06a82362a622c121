//! Who may use it (RFC 8489 §9.2), and what those get who have not proven who they are.

use super::super::bucket::MOST_SOURCES;
use super::super::key::OFFERED;
use super::*;

const ALICE: &str = "sip:alice@example.com";
const CLIENT: &str = "203.0.113.5:40000";

#[test]
fn a_request_without_credentials_is_challenged_in_few_bytes() {
    let mut bench = Bench::new();
    let request = bench.allocate().finish();
    let answer = bench.exchange(udp(CLIENT), &request).unwrap();
    assert_eq!((answer.code(), answer.reason().as_str()), (401, "Unauthenticated"));
    assert_eq!(answer.message().get(kind::REALM), Some(&b"example.com"[..]));
    assert!(answer.0.len() < 150, "{}", answer.0.len());
    assert_eq!(bench.refused("unauthenticated"), 1);
}

#[test]
fn credentials_of_an_account_open_the_relay_until_they_expire() {
    let mut bench = Bench::new();
    let credentials = config().secret.issue(ALICE, UNIX + 100);
    let request = bench.allocate();
    let bytes = bench.sign_with(udp(CLIENT), request, &credentials);
    assert_eq!(bench.exchange(udp(CLIENT), &bytes).unwrap().code(), 0);
    bench.pass(100);
    let request = bench.begin(Method::Refresh);
    let bytes = bench.sign_with(udp(CLIENT), request, &credentials);
    assert_eq!(bench.exchange(udp(CLIENT), &bytes).unwrap().code(), 401);
    // Newer credentials of the same account carry on.
    let request = bench.begin(Method::Refresh);
    assert_eq!(bench.ask(udp(CLIENT), request, ALICE).code(), 0);
}

#[test]
fn a_password_is_what_others_in_this_field_compute() {
    // base64(HMAC-SHA1(secret, username)), as `openssl dgst -sha1 -hmac` has it.
    let credentials = config().secret.issue("alice", 1_800_003_600);
    assert_eq!(credentials.username, "1800003600:alice");
    assert_eq!(credentials.password.len(), 28);
    assert_ne!(credentials.password, config().secret.issue("bob", 1_800_003_600).password);
    assert_ne!(credentials.password, Secret::of_exchange(&[8; 32]).issue("alice", 1_800_003_600).password);
}

#[test]
fn names_that_nobody_was_given_are_refused() {
    let far = UNIX + 24 * 3600;
    let names = [
        (config().secret.issue(ALICE, far), "too far ahead"),
        (config().secret.issue(ALICE, UNIX - 1), "expired"),
        (config().secret.issue("", UNIX + 100), "no account"),
        (Secret::of_exchange(&[8; 32]).issue(ALICE, UNIX + 100), "another secret"),
        (Credentials { username: ALICE.to_owned(), password: "alice's own".to_owned() }, "SIP credentials"),
    ];
    for (credentials, why) in names {
        let mut bench = Bench::new();
        let request = bench.allocate();
        let bytes = bench.sign_with(udp(CLIENT), request, &credentials);
        assert_eq!(bench.exchange(udp(CLIENT), &bytes).unwrap().code(), 401, "{why}");
    }
}

#[test]
fn a_nonce_grows_stale_and_belongs_to_one_address() {
    let mut bench = Bench::new();
    let request = bench.allocate();
    let bytes = bench.sign(udp(CLIENT), request, ALICE);
    let elsewhere = udp("203.0.113.6:40000");
    let answer = bench.exchange(elsewhere, &bytes).unwrap();
    assert_eq!(answer.code(), 438);
    bench.pass(1800);
    let answer = bench.exchange(udp(CLIENT), &bytes).unwrap();
    assert_eq!(answer.code(), 438);
    assert!(answer.message().get(kind::NONCE).is_some());
    assert_eq!(bench.refused("stale_nonce"), 2);
}

#[test]
fn credentials_without_name_realm_or_nonce_are_a_bad_request() {
    let mut bench = Bench::new();
    let key = Key::short_term("x");
    let bytes = bench.allocate().attribute(kind::USERNAME, b"x").signed(Integrity::Sha1, &key).finish();
    assert_eq!(bench.exchange(udp(CLIENT), &bytes).unwrap().code(), 400);
}

#[test]
fn the_stronger_hash_is_taken_and_given_back() {
    let mut bench = Bench::new();
    let credentials = bench.credentials(ALICE);
    let nonce = bench.nonce(udp(CLIENT));
    let key = Key::long_term(
        PasswordAlgorithm::Sha256,
        &credentials.username,
        "example.com",
        &credentials.password,
    );
    let request = |offered: &[u8], chosen: &[u8], number: u8| {
        Writer::new(Class::Request, Method::Allocate, [number; 12])
            .attribute(kind::REQUESTED_TRANSPORT, &UDP_ONLY)
            .attribute(kind::USERNAME, credentials.username.as_bytes())
            .attribute(kind::REALM, b"example.com")
            .attribute(kind::NONCE, &nonce)
            .attribute(kind::PASSWORD_ALGORITHMS, offered)
            .attribute(kind::PASSWORD_ALGORITHM, chosen)
            .signed(Integrity::Sha256, &key)
            .finish()
    };
    // Somebody between us took the stronger algorithm out.
    let answer = bench.exchange(udp(CLIENT), &request(&OFFERED[4..], &OFFERED[4..], 100)).unwrap();
    assert_eq!(answer.code(), 400);
    let answer = bench.exchange(udp(CLIENT), &request(&OFFERED, &OFFERED[..4], 101)).unwrap();
    assert_eq!(answer.code(), 0);
    assert_eq!(answer.message().signed_with(&key), Some(Integrity::Sha256));
}

#[test]
fn an_answer_is_signed_and_marked_as_its_request() {
    let mut bench = Bench::new();
    let credentials = bench.credentials(ALICE);
    let nonce = bench.nonce(udp(CLIENT));
    let key =
        Key::long_term(PasswordAlgorithm::Md5, &credentials.username, "example.com", &credentials.password);
    let bytes = bench
        .allocate()
        .attribute(kind::USERNAME, credentials.username.as_bytes())
        .attribute(kind::REALM, b"example.com")
        .attribute(kind::NONCE, &nonce)
        .signed(Integrity::Sha1, &key)
        .marked()
        .finish();
    let answer = bench.exchange(udp(CLIENT), &bytes).unwrap();
    assert_eq!((answer.code(), answer.message().is_marked()), (0, true));
    assert_eq!(answer.message().signed_with(&key), Some(Integrity::Sha1));
}

#[test]
fn a_binding_request_is_told_its_address_and_hardly_more() {
    let mut bench = Bench::new();
    for client in [CLIENT, "[2001:db8:5::7]:40000"] {
        let request = bench.begin(Method::Binding).finish();
        let answer = bench.exchange(udp(client), &request).unwrap();
        assert_eq!(answer.message().address(kind::XOR_MAPPED_ADDRESS), Ok(Some(address(client))));
        assert!(answer.0.len() <= request.len() + 24);
    }
    // CHANGE-REQUEST of RFC 5780: the answer never goes elsewhere.
    let request = bench.begin(Method::Binding).attribute(3, &[0, 0, 0, 6]).finish();
    let answer = bench.exchange(udp(CLIENT), &request).unwrap();
    assert_eq!((answer.code(), answer.message().get(kind::UNKNOWN_ATTRIBUTES)), (420, Some(&[0, 3][..])));
}

#[test]
fn a_source_gets_so_many_answers_and_no_more() {
    let mut bench = Bench::new();
    let request = bench.begin(Method::Binding).finish();
    let answers = (0..1000).filter(|_| bench.exchange(udp(CLIENT), &request).is_some()).count();
    assert_eq!(answers, 60);
    let challenge = bench.allocate().finish();
    assert!(bench.exchange(udp(CLIENT), &challenge).is_none());
    assert_eq!(bench.refused("rate"), 941);
    assert!(bench.exchange(udp("203.0.113.6:40000"), &request).is_some());
    bench.pass(1);
    assert_eq!((0..1000).filter(|_| bench.exchange(udp(CLIENT), &request).is_some()).count(), 20);
}

#[test]
fn the_table_of_sources_is_bounded_and_forgets() {
    let mut bench = Bench::new();
    let request = bench.begin(Method::Binding).finish();
    let many = |bench: &mut Bench, net: u8| {
        (0..20_000_u32)
            .filter(|n| {
                let client = format!("{net}.{}.{}.1:4000", n >> 8, n & 255);
                bench.exchange(udp(&client), &request).is_some()
            })
            .count()
    };
    let answered = many(&mut bench, 11);
    assert_eq!(bench.server.sources().len(), MOST_SOURCES);
    assert_eq!(answered, MOST_SOURCES + 200, "those without a place share what there is");
    bench.pass(5);
    assert_eq!(many(&mut bench, 12), MOST_SOURCES + 200);
    assert_eq!(bench.server.sources().len(), MOST_SOURCES);
}

#[test]
fn secrets_do_not_print() {
    let secret = Secret::of_exchange(&[7; 32]);
    let printed = format!("{secret:?} {:?} {:?}", secret.issue("alice", 5), Key::short_term("x"));
    assert_eq!(printed, "Secret(…) Credentials(5:alice, …) Key(…)");
}
