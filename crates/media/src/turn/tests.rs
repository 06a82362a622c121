mod allocations;
mod authentication;
mod bytes;
mod data;
mod peers;
mod sweep;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::attribute as kind;
use super::*;
use crate::stun::{Class, Integrity, Key, Message, Method, PasswordAlgorithm, Writer};

/// A server, the hour, and clients that know what they do.
struct Bench {
    server: Server,
    now: Instant,
    asked: u16,
}

/// Seconds since 1970 at the beginning.
const UNIX: u64 = 1_800_000_000;
const UDP_ONLY: [u8; 4] = [17, 0, 0, 0];

/// An answer, read.
#[derive(Clone, Debug)]
struct Answer(Vec<u8>);

impl Answer {
    fn message(&self) -> Message<'_> {
        Message::parse(&self.0).expect("a message")
    }

    /// The error code; 0 for success.
    fn code(&self) -> u16 {
        match self.message().get(kind::ERROR_CODE) {
            Some([_, _, class, number, ..]) => u16::from(*class) * 100 + u16::from(*number),
            _ => {
                assert_eq!(self.message().class(), Class::Success);
                0
            }
        }
    }

    fn reason(&self) -> String {
        let value = self.message().get(kind::ERROR_CODE).expect("an error");
        String::from_utf8(value[4..].to_vec()).expect("text")
    }

    fn relayed(&self) -> SocketAddr {
        self.message().address(kind::XOR_RELAYED_ADDRESS).expect("an address").expect("is there")
    }

    fn lifetime(&self) -> Option<u32> {
        self.message().number(kind::LIFETIME).expect("a number")
    }
}

fn config() -> Config {
    let own: Vec<_> = ["198.51.100.1", "2001:db8::1"].map(|ip| ip.parse().unwrap()).into();
    Config {
        realm: "example.com".to_owned(),
        secret: Secret::of_exchange(&[7; 32]),
        seed: [9; 32],
        addresses: own.clone(),
        external_address: None,
        local_networks: vec!["10.0.0.0/8".parse().unwrap()],
        ports: 21_000..=21_999,
        peers: PeerPolicy {
            own,
            open: vec![20_000..=20_999, 21_000..=21_999],
            shut: vec![5060, 8080, 3478],
            allowed: Vec::new(),
        },
        limits: Limits::default(),
    }
}

fn udp(client: &str) -> FiveTuple {
    of(Transport::Udp, client)
}

fn of(transport: Transport, client: &str) -> FiveTuple {
    let client: SocketAddr = client.parse().unwrap();
    let server = if client.is_ipv4() { "198.51.100.1:3478" } else { "[2001:db8::1]:3478" };
    FiveTuple { transport, client, server: server.parse().unwrap() }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Bench {
    fn new() -> Bench {
        Bench::with(config())
    }

    #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
    fn with(config: Config) -> Bench {
        let now = Instant::now();
        Bench { server: Server::new(config, now, UNIX), now, asked: 0 }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Seconds since 1970.
    fn unix(&self) -> u64 {
        UNIX + self.now.saturating_duration_since(self.server.epoch().0).as_secs()
    }

    fn credentials(&self, account: &str) -> Credentials {
        config().secret.issue(account, self.unix() + 3600)
    }

    /// A new request.
    fn begin(&mut self, method: Method) -> Writer {
        self.asked += 1;
        let [high, low] = self.asked.to_be_bytes();
        Writer::new(Class::Request, method, [high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    }

    fn allocate(&mut self) -> Writer {
        self.begin(Method::Allocate).attribute(kind::REQUESTED_TRANSPORT, &UDP_ONLY)
    }

    /// Signs a request with credentials of the account, as a client of RFC 5389 does.
    fn sign(&mut self, from: FiveTuple, request: Writer, account: &str) -> Vec<u8> {
        let credentials = self.credentials(account);
        self.sign_with(from, request, &credentials)
    }

    fn sign_with(&mut self, from: FiveTuple, request: Writer, credentials: &Credentials) -> Vec<u8> {
        let nonce = self.nonce(from);
        let key = Key::long_term(
            PasswordAlgorithm::Md5,
            &credentials.username,
            "example.com",
            &credentials.password,
        );
        let request = request
            .attribute(kind::USERNAME, credentials.username.as_bytes())
            .attribute(kind::REALM, b"example.com")
            .attribute(kind::NONCE, &nonce);
        request.signed(Integrity::Sha1, &key).finish()
    }

    /// What the 401 to a request without credentials gives.
    fn nonce(&mut self, from: FiveTuple) -> Vec<u8> {
        let request = self.begin(Method::Allocate).finish();
        let answer = self.exchange(from, &request).expect("a challenge");
        assert_eq!(answer.code(), 401);
        answer.message().get(kind::NONCE).expect("a nonce").to_vec()
    }

    fn put(&mut self, from: FiveTuple, bytes: &[u8]) -> Vec<Output> {
        let mut out = Vec::new();
        self.server.receive(self.now, from, bytes, &mut out);
        out
    }

    /// Sends a request; opens what is to be opened.
    fn exchange(&mut self, from: FiveTuple, bytes: &[u8]) -> Option<Answer> {
        let mut out = self.put(from, bytes);
        let mut answer = None;
        while !out.is_empty() {
            for one in std::mem::take(&mut out) {
                match one {
                    Output::ToClient { to, bytes } => {
                        assert_eq!(to, from);
                        assert!(answer.is_none(), "one answer is enough");
                        answer = Some(Answer(bytes));
                    }
                    Output::Open { address } => {
                        self.server.opened(self.now, address.port(), true, &mut out);
                    }
                    Output::Close { .. } => {}
                    Output::ToPeer { .. } => panic!("nothing is relayed here"),
                }
            }
        }
        answer
    }

    fn ask(&mut self, from: FiveTuple, request: Writer, account: &str) -> Answer {
        let bytes = self.sign(from, request, account);
        self.exchange(from, &bytes).expect("an answer")
    }

    /// An allocation of alice, and its relayed address.
    fn allocated(&mut self, from: FiveTuple) -> SocketAddr {
        let request = self.allocate();
        let answer = self.ask(from, request, "sip:alice@example.com");
        assert_eq!(answer.code(), 0);
        answer.relayed()
    }

    fn permit(&mut self, from: FiveTuple, peer: &str) -> Answer {
        let request = self.begin(Method::CreatePermission).address(kind::XOR_PEER_ADDRESS, address(peer));
        self.ask(from, request, "sip:alice@example.com")
    }

    fn bind(&mut self, from: FiveTuple, number: u16, peer: &str) -> Answer {
        let request = self
            .begin(Method::ChannelBind)
            .number(kind::CHANNEL_NUMBER, u32::from(number) << 16)
            .address(kind::XOR_PEER_ADDRESS, address(peer));
        self.ask(from, request, "sip:alice@example.com")
    }

    fn send(&mut self, from: FiveTuple, peer: &str, payload: &[u8]) -> Vec<Output> {
        let indication = Writer::new(Class::Indication, Method::Send, [0; 12])
            .address(kind::XOR_PEER_ADDRESS, address(peer))
            .attribute(kind::DATA, payload)
            .finish();
        self.put(from, &indication)
    }

    fn arrive(&mut self, port: u16, peer: &str, payload: &[u8]) -> Vec<Output> {
        let mut out = Vec::new();
        self.server.relayed(self.now, port, address(peer), payload, &mut out);
        out
    }

    fn refused(&self, word: &str) -> u64 {
        self.server.counts().refused.get(word).copied().unwrap_or(0)
    }
}
