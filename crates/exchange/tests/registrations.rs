//! The registrar as phones and their users see it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, BOB, EVE, invite};
use bench::{Bench, reply, request, tcp, udp};
use offhook_exchange::config::{Authentication, Config};
use offhook_exchange::io::Input;
use offhook_sip::Name;

fn open(config: &mut Config) {
    config.authentication = Authentication::Off;
}

#[test]
fn an_address_of_ours_is_as_good_as_our_name() {
    // The exchange's own address is not among its domains.
    let mut bench = Bench::with(|config| config.domains.truncate(1));
    let text = bench::register("bob", BOB, &format!("Contact: <sip:bob@{BOB}>\n"));
    let text =
        text.replace("sip:bob@example.com", "sip:bob@192.0.2.1").replace("sip:example", "sip:192.0.2.1");
    let text = text.replace("REGISTER sip:192.0.2.1.com", "REGISTER sip:192.0.2.1");
    assert_eq!(bench.authenticated(BOB, "bob", &text).status().code(), 200);
    let call = invite("").replace("alice@example.com", "alice@192.0.2.1");
    assert_eq!(bench.authenticated(ALICE, "alice", &call).status().code(), 100);
    assert_eq!(bench.request(BOB).method().as_str(), "INVITE");
}

#[test]
fn users_of_the_same_name_in_two_domains_prove_themselves_each() {
    let mut bench = Bench::with(|config| config.domains.push("b.example".into()));
    bench.account_at("bob", "b.example", "other");
    let text = bench::register("bob", EVE, "Contact: <sip:bob@203.0.113.66>\n");
    let text = text.replace("bob@example.com", "bob@b.example");
    assert_eq!(bench.authenticated(EVE, "bob", &text).status().code(), 401, "that is another's password");
    bench.send(EVE, &text.replace("regbob1", "third1"));
    let challenge = bench.response(EVE);
    bench.authenticated_with(EVE, "bob", "other", &text.replace("regbob1", "third1"), &challenge);
    assert_eq!(bench.codes(EVE), [200]);
}

#[test]
fn the_same_contact_twice_in_one_request_counts_once() {
    let mut bench = Bench::with(open);
    bench.send(
        BOB,
        &bench::register("bob", BOB, "Contact: <sip:bob@192.0.2.20>, <sip:bob@192.0.2.20>;q=0.5\n"),
    );
    let answer = bench.response(BOB);
    assert_eq!(answer.status().code(), 200);
    assert_eq!(answer.contacts().unwrap().list().len(), 1);
}

#[test]
fn a_registration_whose_answer_was_lost_in_a_crash_is_answered_again() {
    let mut bench = Bench::with(open);
    let text = bench::register("bob", BOB, "Contact: <sip:bob@192.0.2.20>;expires=600\n");
    bench.send(BOB, &text);
    assert_eq!(bench.codes(BOB), [200]);
    bench.pass(Duration::from_secs(100));
    // The transaction is forgotten, as after a crash; the binding is not.
    bench.send(BOB, &text);
    assert_eq!(bench.codes(BOB), [200]);
    bench.send(BOB, &text.replace("regbob1", "regbob2").replace("expires=600", "expires=0"));
    assert_eq!(bench.codes(BOB), [500]);
}

#[test]
fn a_contact_at_our_own_address_does_not_make_a_loop() {
    for contact in
        ["sip:bob@192.0.2.1:5060", "sip:bob@192.0.2.1", "sip:bob@example.com", "sip:bob@127.0.0.1:25"]
    {
        let mut bench = Bench::with(open);
        bench.send(BOB, &bench::register("bob", BOB, &format!("Contact: <{contact}>\n")));
        bench.take(BOB);
        bench.send(ALICE, &invite(""));
        assert_eq!(bench.request(BOB).uri_bytes(), contact.as_bytes(), "to the phone that said so");
    }
}

#[test]
fn a_phone_that_sends_from_another_port_than_it_listens_on_is_reached_where_it_listens() {
    let mut bench = Bench::with(open);
    let text = bench::register("bob", "192.0.2.20:5060", "Contact: <sip:bob@192.0.2.20:5060>\n");
    // It does not know of rport (RFC 3581), so it cannot expect answers at the port it sends from.
    bench.send("192.0.2.20:50123", &text.replace(";rport", ""));
    assert_eq!(bench.codes("192.0.2.20:5060"), [200]);
    bench.send(ALICE, &invite(""));
    assert_eq!(bench.request("192.0.2.20:5060").method().as_str(), "INVITE");
}

#[test]
fn a_transport_that_we_do_not_speak_does_not_lead_to_a_phone() {
    let mut bench = Bench::with(open);
    bench.send(BOB, &bench::register("bob", BOB, "Contact: <sip:bob@192.0.2.20;transport=tls>\n"));
    bench.take(BOB);
    bench.send(ALICE, &invite(""));
    assert_eq!(bench.request(BOB).method().as_str(), "INVITE");
}

#[test]
fn a_secure_contact_needs_a_secure_way() {
    let mut bench = Bench::with(open);
    bench.send(BOB, &bench::register("bob", BOB, "Contact: <sips:bob@192.0.2.20>\n"));
    assert_eq!(bench.codes(BOB), [400]);
}

#[test]
fn a_path_is_kept_on_one_line_and_has_to_be_one() {
    let mut bench = Bench::with(open);
    let headers =
        "Contact: <sip:bob@10.0.0.9>\nSupported: path\nPath: \"Edge\n one\" <sip:edge.example;lr>\n";
    bench.send(BOB, &bench::register("bob", BOB, headers));
    assert_eq!(bench.codes(BOB), [200]);
    let offhook_exchange::io::StoreRequest::Bindings(_, bindings) = &bench.stored[0];
    assert!(!bindings.0[0].path[0].contains('\n'), "{:?}", bindings.0[0].path);
    let headers = "Contact: <sip:bob@10.0.0.9>\nSupported: path\nPath: nonsense\n";
    bench.send(BOB, &bench::register("bob", BOB, headers).replace("regbob1", "regbob2"));
    assert_eq!(bench.codes(BOB), [400]);
}

#[test]
fn accounts_that_share_a_connection_lose_it_together() {
    let mut bench = Bench::with(open);
    let phone = tcp("192.0.2.20:49152", 7);
    for user in ["bob", "carol"] {
        let contact = format!("Contact: <sip:{user}@192.0.2.20:5070;transport=tcp>\n");
        let text = bench::register(user, "192.0.2.20:49152", &contact).replace("/UDP", "/TCP");
        bench.send_on(phone, &text);
    }
    bench.take("192.0.2.20:49152");
    bench.input(Input::FlowFailed(phone));
    for user in ["bob", "carol"] {
        let uri = format!("sip:{user}@example.com");
        bench.send(ALICE, &request("MESSAGE", &uri, &format!("to{user}"), ALICE, "", ""));
        let sent = bench.take_with_way("192.0.2.20:5070");
        assert_eq!(sent.len(), 1, "{user} is called where its contact says");
        assert_eq!(sent[0].0.connection, None);
    }
}

#[test]
fn without_authentication_names_are_short_all_the_same() {
    let mut bench = Bench::with(open);
    let user = "x".repeat(300);
    bench.send(BOB, &bench::register(&user, BOB, "Contact: <sip:bob@192.0.2.20>\n"));
    assert_eq!(bench.codes(BOB), [400]);
    assert!(bench.stored.is_empty());
}

#[test]
fn answers_do_not_tell_whether_an_account_exists() {
    let digest = |user: &str, realm: &str, nonce: &str, uri: &str| {
        format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{}\", algorithm=MD5, cnonce=\"a\", qop=auth, nc=00000001",
            "0".repeat(32)
        )
    };
    for method in ["REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE", "BYE"] {
        for credentials in ["none", "wrong", "foreign", "broken"] {
            // As caller, as callee, and as the name in the credentials; both names are of one length.
            let answers = ["carol", "darol"].map(|user| {
                let mut bench = Bench::new();
                bench.register("bob", BOB);
                let (uri, to) = match method {
                    "REGISTER" => ("sip:example.com".to_owned(), user),
                    _ => (format!("sip:{user}@example.com"), user),
                };
                let text = request(method, &uri, user, EVE, "", "")
                    .replace(&format!("To: <{uri}>"), &format!("To: <sip:{to}@example.com>"));
                bench.send(EVE, &text);
                let challenge = bench.response(EVE);
                let (name, header) = match challenge.status().code() {
                    401 => (Name::WwwAuthenticate, "Authorization"),
                    _ => (Name::ProxyAuthenticate, "Proxy-Authorization"),
                };
                let nonce =
                    challenge.challenges(name).flatten().next().unwrap().nonce().unwrap().into_owned();
                let value = match credentials {
                    "none" => return masked(challenge.bytes(), user),
                    "wrong" => digest(user, "example.com", &nonce, &uri),
                    "foreign" => digest(user, "elsewhere.example", &nonce, &uri),
                    _ => format!("Digest username=\"{user}\", realm=\"example.com\""),
                };
                let text = text.replacen("1;rport", "2;rport", 1);
                bench.send(EVE, &text.replacen("CSeq:", &format!("{header}: {value}\nCSeq:"), 1));
                masked(bench.response(EVE).bytes(), user)
            });
            assert_eq!(answers[0], answers[1], "{method} with {credentials} credentials");
        }
    }
}

/// An answer without what is random in it, and with the same name for everyone.
fn masked(bytes: &[u8], user: &str) -> String {
    let text = String::from_utf8_lossy(bytes).replace(user, "USER");
    let words = text.split_inclusive([' ', ';', ',', '"', '=', '\r']);
    words
        .map(|word| {
            let hex = word.trim_end_matches(['"', '\r', ';', ',']);
            let random = hex.len() >= 16 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            if random { "x".repeat(word.len()) } else { word.to_owned() }
        })
        .collect()
}

#[test]
fn a_phone_is_called_on_the_way_that_it_registered_by_whatever_its_answer_claims() {
    let mut bench = Bench::with(open);
    bench.send_on(udp(BOB), &bench::register("bob", BOB, &format!("Contact: <sip:bob@{BOB}>\n")));
    bench.take(BOB);
    bench.send(ALICE, &invite(""));
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 200, "tbob", "Contact: <sip:bob@203.0.113.66:25>\n", ""));
    let ok = bench.response(ALICE);
    bench.send(ALICE, &bench::in_dialog("BYE", 3, &got, &ok, true, ALICE));
    assert_eq!(bench.request(BOB).method().as_str(), "BYE");
    assert!(bench.nothing_sent());
}

#[test]
fn nobody_has_another_banned_by_guesses_in_its_name() {
    let mut bench = Bench::with(|_| {});
    let text = |unique: &str| bench::register("bob", BOB, "").replace("regbob1", unique);
    bench.send(EVE, &text("hers").replace(BOB, EVE));
    let hers = bench.response(EVE);
    for number in 0..20 {
        // She writes the address of his phone on her datagrams, and so never reads what they are answered with.
        bench.authenticated_with(BOB, "bob", "guess", &text(&format!("guess{number}x")), &hers);
        assert_eq!(bench.codes(BOB), [401]);
    }
    bench.register("bob", BOB);
    for number in 0..8 {
        bench.send(BOB, &text(&format!("his{number}x")));
        let his = bench.response(BOB);
        bench.authenticated_with(BOB, "bob", "forgotten", &text(&format!("his{number}y")), &his);
        bench.take(BOB);
    }
    bench.send(BOB, &text("last"));
    assert!(bench.take(BOB).is_empty(), "its own wrong passwords ban an address");
}
