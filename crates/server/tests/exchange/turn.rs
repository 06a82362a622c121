//! The TURN server of an exchange, from the credentials to the measures.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use offhook_media::stun::{Class, Integrity, Key, Message, Method, PasswordAlgorithm, Writer};
use offhook_server::{Server, banner};
use serde_json::Value;

use crate::api::get;
use crate::client::{add_account, server, settings};

const USERNAME: u16 = 0x0006;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const RELAYED: u16 = 0x0016;
const REQUESTED_TRANSPORT: u16 = 0x0019;
const MAPPED: u16 = 0x0020;

fn credentials(server: &Server, query: &str) -> Result<Value, u16> {
    let answer = server.ask("GET", &format!("/api/v1/turn/credentials{query}"), Vec::new());
    answer.map(|body| serde_json::from_slice(&body).unwrap()).map_err(|problem| problem.status)
}

/// Where the first URI leads.
fn address(told: &Value) -> SocketAddr {
    let uri = told["uris"][0].as_str().unwrap();
    uri.strip_prefix("turn:").unwrap().strip_suffix("?transport=udp").unwrap().parse().unwrap()
}

fn ask(socket: &UdpSocket, request: Writer) -> Vec<u8> {
    socket.send(&request.finish()).unwrap();
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn an_account_gets_credentials_and_with_them_an_address() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[("turn.listen", "127.0.0.1:0"), ("turn.ports", "42400-42499")]);
    add_account(&server, "sip:alice@example.com", "Secret-7-Secret");
    let told = credentials(&server, "?account=alice%40example.com").unwrap();
    assert_eq!(told["ttl"], 12 * 3600);
    let (username, password) = (told["username"].as_str().unwrap(), told["password"].as_str().unwrap());
    assert!(username.ends_with(":sip:alice@example.com"), "{username}");

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket.connect(address(&told)).unwrap();
    let answer = ask(&socket, Writer::new(Class::Request, Method::Binding, [1; 12]));
    let mapped = Message::parse(&answer).unwrap().address(MAPPED);
    assert_eq!(mapped, Ok(Some(socket.local_addr().unwrap())));

    let allocate = || {
        Writer::new(Class::Request, Method::Allocate, [2; 12]).attribute(REQUESTED_TRANSPORT, &[17, 0, 0, 0])
    };
    let challenge = ask(&socket, allocate());
    let challenge = Message::parse(&challenge).unwrap();
    let (realm, nonce) = (challenge.get(REALM).unwrap(), challenge.get(NONCE).unwrap());
    assert_eq!(realm, b"example.com");
    let key = Key::long_term(PasswordAlgorithm::Md5, username, "example.com", password);
    let request = allocate()
        .attribute(USERNAME, username.as_bytes())
        .attribute(REALM, realm)
        .attribute(NONCE, nonce)
        .signed(Integrity::Sha1, &key);
    let answer = ask(&socket, request);
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.class(), Class::Success);
    let relayed = answer.address(RELAYED).unwrap().unwrap();
    assert!((42_400..=42_499).contains(&relayed.port()));

    let measures = String::from_utf8(get(&server, "/metrics").1).unwrap();
    for line in [
        "offhook_turn_allocations 1\n",
        "offhook_turn_relayed_bytes_total 0\n",
        "offhook_turn_refused_total{reason=\"unauthenticated\"} 1\n",
    ] {
        assert!(measures.contains(line), "{measures}");
    }
    server.stop();
}

#[test]
fn credentials_are_for_accounts_that_exist_and_for_who_has_the_token() {
    let data = tempfile::tempdir().unwrap();
    let on = server(data.path(), &[("turn.listen", "127.0.0.1:0"), ("turn.ports", "42500-42599")]);
    add_account(&on, "sip:alice@example.com", "Secret-7-Secret");
    assert_eq!(credentials(&on, "?account=sip:bob@example.com"), Err(404));
    assert_eq!(credentials(&on, "?account=bob"), Err(400));
    assert_eq!(credentials(&on, ""), Err(400));
    assert_eq!(get(&on, "/api/v1/turn/credentials?account=sip:alice@example.com").0, 401);
    on.stop();
    // On loopback only there is none by itself.
    let off = server(data.path(), &[]);
    assert_eq!(credentials(&off, "?account=sip:alice@example.com"), Err(409));
    assert!(!banner(&off, &[]).iter().any(|line| line.contains("TURN")));
    assert!(!String::from_utf8(get(&off, "/metrics").1).unwrap().contains("offhook_turn_"));
    off.stop();
}

#[test]
fn the_banner_names_it_and_a_taken_port_its_owner() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[("turn.listen", "127.0.0.1:0"), ("turn.ports", "42600-42699")]);
    add_account(&server, "sip:alice@example.com", "Secret-7-Secret");
    let told = credentials(&server, "?account=sip:alice@example.com").unwrap();
    let line = format!("  TURN    udp+tcp {}; relayed addresses: udp 42600-42699", address(&told));
    assert!(banner(&server, &[]).contains(&line), "{line}");
    server.stop();

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = Server::start(settings(data.path(), &[("turn.listen", &address)])).err().unwrap().to_string();
    assert!(error.starts_with(&format!("tcp {address} is taken by ")), "{error}");
    assert!(error.ends_with("choose another with --set turn.listen=ADDRESS:PORT"), "{error}");
}
