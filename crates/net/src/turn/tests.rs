use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use offhook_media::stun::{Class, Integrity, Key, Message, Method, PasswordAlgorithm, Writer};
use offhook_media::turn::{Config, Frame, Limits, PeerPolicy, Secret};

use super::*;
use crate::bind_tcp;

const USERNAME: u16 = 0x0006;
const ERROR_CODE: u16 = 0x0009;
const CHANNEL_NUMBER: u16 = 0x000c;
const PEER: u16 = 0x0012;
const DATA: u16 = 0x0013;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const RELAYED: u16 = 0x0016;
const REQUESTED_TRANSPORT: u16 = 0x0019;
const MAPPED: u16 = 0x0020;
const UNIX: u64 = 1_800_000_000;

/// A server on this machine's loopback, whose peers may be there too.
struct Bench {
    handle: TurnHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
    udp: SocketAddr,
    tcp: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn start(allowed: &[&str], ports: std::ops::RangeInclusive<u16>) -> Bench {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listener = bind_udp((ip, 0).into(), &SocketOptions::default()).unwrap();
        let (udp, tcp_listener) = (listener.local_addr(), bind_tcp((ip, 0).into()).unwrap());
        let config = Config {
            realm: "example.com".to_owned(),
            secret: secret(),
            seed: [3; 32],
            addresses: vec![ip],
            external_address: None,
            local_networks: Vec::new(),
            ports,
            peers: PeerPolicy {
                own: vec![ip],
                open: Vec::new(),
                shut: vec![udp.port()],
                allowed: allowed.iter().map(|net| net.parse().unwrap()).collect(),
            },
            limits: Limits::default(),
        };
        let server = Server::new(config, now(), UNIX);
        let (sockets, streams, handle) =
            TurnSockets::new(server, vec![listener], Poller::new().unwrap()).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let tcp = tcp_listener.local_addr().unwrap();
        runtime.block_on(async { streams.listen(tcp_listener, None) }).unwrap();
        let thread = Some(std::thread::spawn(move || sockets.run()));
        Bench { handle, thread, udp, tcp, _runtime: runtime }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.handle.end();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(Ok(())))), "{ended:?}");
    }
}

fn secret() -> Secret {
    Secret::of_exchange(&[5; 32])
}

/// A client by either transport.
enum Line {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
}

impl Line {
    fn udp(server: SocketAddr) -> Line {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Line::Udp(socket)
    }

    fn tcp(server: SocketAddr) -> Line {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Line::Tcp(stream, Vec::new())
    }

    fn local(&self) -> SocketAddr {
        match self {
            Line::Udp(socket) => socket.local_addr().unwrap(),
            Line::Tcp(stream, _) => stream.local_addr().unwrap(),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        match self {
            Line::Udp(socket) => assert_eq!(socket.send(bytes).unwrap(), bytes.len()),
            Line::Tcp(stream, _) => stream.write_all(bytes).unwrap(),
        }
    }

    fn receive(&mut self) -> Vec<u8> {
        match self {
            Line::Udp(socket) => {
                let mut buffer = [0; 2048];
                let length = socket.recv(&mut buffer).unwrap();
                buffer[..length].to_vec()
            }
            Line::Tcp(stream, received) => loop {
                if let Frame::Whole { message, all } = Frame::of(received) {
                    let whole = received.drain(..all).collect::<Vec<_>>();
                    return whole[..message].to_vec();
                }
                let mut buffer = [0; 2048];
                let length = stream.read(&mut buffer).unwrap();
                assert!(length > 0, "the server closed the stream");
                received.extend_from_slice(&buffer[..length]);
            },
        }
    }

    fn ask(&mut self, request: Writer) -> Vec<u8> {
        self.send(&Writer::new(Class::Request, Method::Allocate, [1; 12]).finish());
        let challenge = self.receive();
        let nonce = Message::parse(&challenge).unwrap().get(NONCE).unwrap();
        let credentials = secret().issue("sip:alice@example.com", UNIX + 3600);
        let (username, password) = (&credentials.username, &credentials.password);
        let key = Key::long_term(PasswordAlgorithm::Md5, username, "example.com", password);
        let request = request
            .attribute(USERNAME, username.as_bytes())
            .attribute(REALM, b"example.com")
            .attribute(NONCE, nonce);
        self.send(&request.signed(Integrity::Sha1, &key).finish());
        self.receive()
    }

    fn allocate(&mut self) -> SocketAddr {
        let request = Writer::new(Class::Request, Method::Allocate, [2; 12])
            .attribute(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        let answer = self.ask(request);
        let answer = Message::parse(&answer).unwrap();
        assert_eq!(answer.class(), Class::Success);
        assert_eq!(answer.address(MAPPED), Ok(Some(self.local())));
        answer.address(RELAYED).unwrap().unwrap()
    }

    fn bind(&mut self, peer: SocketAddr) -> Vec<u8> {
        let request = Writer::new(Class::Request, Method::ChannelBind, [3; 12])
            .number(CHANNEL_NUMBER, 0x4001 << 16)
            .address(PEER, peer);
        self.ask(request)
    }
}

fn peer() -> UdpSocket {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

fn relays_both_ways(mut line: Line) {
    let peer = peer();
    let relayed = line.allocate();
    let answer = line.bind(peer.local_addr().unwrap());
    assert_eq!(Message::parse(&answer).unwrap().class(), Class::Success);
    // Padded, as streams want it; a datagram may be.
    line.send(b"\x40\x01\0\x05hello\0\0\0");
    let mut buffer = [0; 100];
    let (length, from) = peer.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from), (&b"hello"[..], relayed));
    peer.send_to(b"answer", relayed).unwrap();
    assert_eq!(line.receive(), b"\x40\x01\0\x06answer");
    // Before any channel, data goes with its address.
    let other = self::peer();
    let peer = other.local_addr().unwrap();
    line.send(
        &Writer::new(Class::Indication, Method::Send, [4; 12])
            .address(PEER, peer)
            .attribute(DATA, b"hi")
            .finish(),
    );
    assert_eq!(other.recv_from(&mut buffer).unwrap(), (2, relayed));
    other.send_to(b"ho", relayed).unwrap();
    let indication = line.receive();
    let indication = Message::parse(&indication).unwrap();
    assert_eq!((indication.method(), indication.get(DATA)), (Method::Data, Some(&b"ho"[..])));
}

#[test]
fn a_client_by_udp_reaches_its_peer() {
    let bench = Bench::start(&["127.0.0.0/8"], 42_000..=42_099);
    relays_both_ways(Line::udp(bench.udp));
}

#[test]
fn a_client_by_tcp_reaches_its_peer_and_its_end_frees_what_it_had() {
    let bench = Bench::start(&["127.0.0.0/8"], 42_100..=42_199);
    relays_both_ways(Line::tcp(bench.tcp));
    let deadline = now() + PATIENCE;
    while bench.handle.counts().allocations > 0 {
        assert!(now() < deadline, "the line is dropped, and its allocation is not");
        std::thread::yield_now();
    }
    assert_eq!(bench.handle.counts().relayed_bytes, 15);
}

#[test]
fn a_peer_on_loopback_is_refused_where_it_is_not_named() {
    let bench = Bench::start(&[], 42_200..=42_299);
    let mut line = Line::udp(bench.udp);
    line.allocate();
    let answer = line.bind(peer().local_addr().unwrap());
    let error = Message::parse(&answer).unwrap().get(ERROR_CODE).unwrap().to_vec();
    assert_eq!(error[..4], [0, 0, 4, 3]);
    assert_eq!(String::from_utf8_lossy(&error[4..]), "Forbidden: a loopback address");
}

#[test]
fn what_is_no_message_ends_a_stream() {
    let bench = Bench::start(&[], 42_300..=42_399);
    let Line::Tcp(mut stream, _) = Line::tcp(bench.tcp) else { unreachable!("it is TCP") };
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(stream.read(&mut [0; 100]).unwrap(), 0);
}

/// Only a broken server makes a test wait for it.
const PATIENCE: Duration = Duration::from_secs(30);
