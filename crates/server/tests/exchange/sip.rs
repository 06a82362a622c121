//! What phones see.

use offhook_sip::digest::Algorithm;
use serde_json::Value;

use crate::client::{Tcp, Udp, Wire, add_account, server};

#[test]
fn options_is_answered_over_udp_and_tcp() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    answers_options(&mut Udp::to(&server));
    answers_options(&mut Tcp::to(&server));
    server.stop();
}

#[test]
fn a_phone_registers_with_either_algorithm_and_not_with_a_wrong_password() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    add_account(&server, "sip:alice@example.com", "secret");
    assert_eq!(Udp::to(&server).register("alice", "secret", Algorithm::Sha256), (401, 200));
    assert_eq!(Tcp::to(&server).register("alice", "secret", Algorithm::Md5), (401, 200));
    let (_, refused) = Udp::to(&server).register("alice", "guess", Algorithm::Md5);
    let (_, unknown) = Udp::to(&server).register("nobody", "guess", Algorithm::Md5);
    assert_eq!((refused, unknown), (401, 401));
    let devices = server.ask("GET", "/api/v1/devices", Vec::new()).unwrap();
    let devices: Value = serde_json::from_slice(&devices).unwrap();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 2, "{devices}");
    server.stop();
}

#[test]
fn registrations_and_keys_outlive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let first = server(data.path(), &[]);
    add_account(&first, "sip:alice@example.com", "secret");
    assert_eq!(Udp::to(&first).register("alice", "secret", Algorithm::Sha256), (401, 200));
    first.stop();
    // Even under another name the passwords stay good: they were made for the first.
    let second = server(data.path(), &[("domains", "pbx.example.org,example.com,127.0.0.1")]);
    let devices = second.ask("GET", "/api/v1/devices", Vec::new()).unwrap();
    assert!(String::from_utf8(devices).unwrap().contains("sip:alice@example.com"));
    assert_eq!(Udp::to(&second).register("alice", "secret", Algorithm::Md5), (401, 200));
    assert!(second.warnings().iter().any(|warning| warning.contains("the realm stays example.com")));
    second.stop();
}

#[test]
fn nonsense_does_not_keep_the_next_request_from_being_answered() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    let long = vec![b'x'; 60_000];
    let nonsense: [&[u8]; 9] = [
        b"\0\0\0\0",
        b"\r\n\r\n",
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"OPTIONS sip:example.com SIP/2.0\r\n\r\n",
        b"OPTIONS sip:example.com SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"INVITE sip:\xff\xfe@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nCSeq: x\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK00ffffffff\r\n\r\n",
        &long,
    ];
    let mut udp = Udp::to(&server);
    for bytes in nonsense {
        udp.send(bytes);
        Tcp::to(&server).send(bytes);
    }
    // Answers to what could be answered come before.
    let mut wire = Udp::to(&server);
    answers_options(&mut wire);
    answers_options(&mut Tcp::to(&server));
    let text = String::from_utf8(crate::api::get(&server, "/metrics").1).unwrap();
    assert!(text.contains("offhook_messages_dropped_total{reason=\"NotSip\"}"), "{text}");
    server.stop();
}

#[test]
fn a_caller_without_an_account_is_refused_and_a_stranger_never_relayed() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    add_account(&server, "sip:alice@example.com", "secret");
    let mut wire = Udp::to(&server);
    let invite = wire.request("MESSAGE", "sip:alice@example.com", "stranger", 1, "");
    assert!([401, 403, 407].contains(&wire.ask(&invite).status().code()));
    let relay = wire.request("MESSAGE", "sip:someone@192.0.2.99", "relay", 1, "");
    assert!([401, 403, 407].contains(&wire.ask(&relay).status().code()));
    server.stop();
}

#[test]
fn a_message_of_a_megabyte_is_refused_in_words_before_it_has_come() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    let mut wire = Tcp::to(&server);
    let large = wire.request("MESSAGE", "sip:alice@example.com", "large", 1, "");
    let large = large.replace("Content-Length: 0\r\n\r\n", "Content-Length: 1000000\r\n\r\n");
    // Whoever sends all of it may find the connection closed, and the answer lost with it.
    let refused = wire.ask(&format!("{large}{}", "x".repeat(4_000)));
    assert_eq!((refused.status().code(), refused.reason()), (513, &b"Message Too Large"[..]));
    answers_options(&mut Tcp::to(&server));
    server.stop();
}

#[test]
fn the_largest_datagram_is_read_to_its_end_and_answered_as_any_other() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    let mut wire = Udp::to(&server);
    let large = wire.request("MESSAGE", "sip:alice@example.com", "large", 1, "");
    let head = large
        .replace("Content-Length: 0\r\n\r\n", "Content-Type: text/plain\r\nContent-Length: 60000\r\n\r\n");
    let body = "x".repeat(60_000);
    let padding = LARGEST - head.len() - body.len() - "X: \r\n".len();
    let large = head.replace("Content-Type", &format!("X: {}\r\nContent-Type", "y".repeat(padding))) + &body;
    assert_eq!(large.len(), LARGEST);
    // Who sends it has not said who it is.
    assert!([401, 407].contains(&wire.ask(&large).status().code()));
    // One that claims to be larger than its datagram is cut off: what is missing never comes (RFC 3261 §18.3).
    let cut = large.replace("Content-Length: 60000", "Content-Length: 99999").replace("large", "cut00");
    assert_eq!(wire.ask(&cut).status().code(), 400);
    answers_options(&mut wire);
    server.stop();
}

/// What a UDP datagram over IPv4 holds.
const LARGEST: usize = 65_507;

fn answers_options<W: Wire>(wire: &mut W) {
    let request = wire.request("OPTIONS", "sip:example.com", "options", 1, "");
    assert_eq!(wire.ask(&request).status().code(), 200);
}
