//! Real connections on the loopback interface.
#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are no tests to clippy.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use offhook_net::{Door, Inlet, NetInput, SendFailure, StreamLimits, Streams, bind_tcp};
use offhook_sip::{FrameErrorKind, Limits};
use offhook_sip_stack::{Flow, Transmit, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

struct Server {
    streams: Streams,
    inputs: Receiver<NetInput>,
    address: SocketAddr,
}

impl Server {
    fn start(limits: StreamLimits) -> Self {
        Self::start_on("127.0.0.1:0", limits, 64)
    }

    fn start_on(listen: &str, limits: StreamLimits, capacity: usize) -> Self {
        let listener = bind_tcp(listen.parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (inlet, inputs) = Inlet::new(capacity, || {});
        Self {
            streams: Streams::start(vec![Door::tcp(listener)], None, limits, inlet).unwrap(),
            inputs,
            address,
        }
    }

    async fn next(&mut self) -> NetInput {
        timeout(PATIENCE, self.inputs.recv()).await.expect("nothing was reported").unwrap()
    }

    async fn opened(&mut self) -> Flow {
        match self.next().await {
            NetInput::ConnectionOpened(flow) => flow,
            other => panic!("{other:?}"),
        }
    }

    async fn message(&mut self) -> (Bytes, Flow) {
        match self.next().await {
            NetInput::Message { bytes, flow } => (bytes, flow),
            other => panic!("{other:?}"),
        }
    }

    async fn lost(&mut self) -> Flow {
        match self.next().await {
            NetInput::ConnectionLost(flow) => flow,
            other => panic!("{other:?}"),
        }
    }

    /// The failure of a message; the opening and loss of connections before it are passed over.
    async fn failure(&mut self) -> SendFailure {
        loop {
            match self.next().await {
                NetInput::SendFailed(failed) => return failed.failure,
                NetInput::ConnectionOpened(_) | NetInput::ConnectionLost(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn send(&self, flow: Flow, bytes: impl Into<Bytes>) {
        self.streams.send(Transmit { flow, bytes: bytes.into() }).unwrap();
    }
}

fn towards(remote: SocketAddr) -> Flow {
    let local = if remote.is_ipv4() { "0.0.0.0:5060" } else { "[::]:5060" }.parse().unwrap();
    Flow { transport: Transport::Tcp, local, remote, connection: None }
}

fn message(number: usize) -> Vec<u8> {
    let body = "x".repeat(number % 50);
    format!("OPTIONS sip:{number}@example.com SIP/2.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into()
}

async fn read_exactly(stream: &mut TcpStream, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    timeout(PATIENCE, stream.read_exact(&mut got)).await.expect("nothing came").unwrap();
    assert_eq!(got, expected);
}

async fn read_end(stream: &mut TcpStream) {
    let mut room = [0; 4096];
    // A reset is an end as well.
    while timeout(PATIENCE, stream.read(&mut room)).await.expect("still open").unwrap_or(0) > 0 {}
}

#[tokio::test]
async fn messages_cut_at_every_byte_arrive_whole() {
    let mut server = Server::start(StreamLimits::default());
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    peer.set_nodelay(true).unwrap();
    let flow = server.opened().await;
    assert_eq!((flow.local, flow.remote), (server.address, peer.local_addr().unwrap()));
    assert_eq!(flow.transport, Transport::Tcp);
    let pair = [message(7), message(8)].concat();
    for cut in 0..=pair.len() {
        peer.write_all(&pair[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        peer.write_all(&pair[cut..]).await.unwrap();
        assert_eq!(server.message().await, (message(7).into(), flow));
        assert_eq!(server.message().await, (message(8).into(), flow));
    }
    for byte in &pair {
        peer.write_all(std::slice::from_ref(byte)).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(server.message().await.0, message(7));
    assert_eq!(server.message().await.0, message(8));
}

#[tokio::test]
async fn a_dual_stack_listener_shows_ipv4_and_ipv6_peers_as_what_they_are() {
    let mut server = Server::start_on("[::]:0", StreamLimits::default(), 64);
    let mut peers = Vec::new();
    for ip in ["127.0.0.1", "::1"] {
        let address = SocketAddr::new(ip.parse().unwrap(), server.address.port());
        let peer = TcpStream::connect(address).await.unwrap();
        let flow = server.opened().await;
        assert_eq!((flow.local, flow.remote), (address, peer.local_addr().unwrap()));
        peers.push(peer);
    }
}

#[tokio::test]
async fn a_ping_is_answered_with_a_pong_and_not_reported() {
    let mut server = Server::start(StreamLimits::default());
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    server.opened().await;
    for _ in 0..3 {
        peer.write_all(b"\r\n\r\n").await.unwrap();
        read_exactly(&mut peer, b"\r\n").await;
    }
    peer.write_all(&message(1)).await.unwrap();
    server.message().await;
}

#[tokio::test]
async fn an_answer_returns_on_the_connection_and_so_does_a_request_to_the_same_address() {
    let mut server = Server::start(StreamLimits::default());
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    let flow = server.opened().await;
    server.send(flow, message(1));
    server.send(towards(peer.local_addr().unwrap()), message(2));
    read_exactly(&mut peer, &[message(1), message(2)].concat()).await;
    assert_eq!(server.streams.counts().open, 1);
}

#[tokio::test]
async fn a_new_address_is_connected_to_once_and_messages_keep_their_order() {
    let mut server = Server::start(StreamLimits::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = listener.local_addr().unwrap();
    for number in 0..100 {
        server.send(towards(remote), message(number));
    }
    let (mut peer, from) = listener.accept().await.unwrap();
    let expected: Vec<u8> = (0..100).flat_map(message).collect();
    read_exactly(&mut peer, &expected).await;
    let flow = server.opened().await;
    assert_eq!((flow.local, flow.remote), (from, remote));

    peer.write_all(&message(5)).await.unwrap();
    assert_eq!(server.message().await, (message(5).into(), flow));
}

#[tokio::test]
async fn a_lost_connection_is_reported_and_the_next_message_opens_another() {
    let mut server = Server::start(StreamLimits::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = listener.local_addr().unwrap();
    let mut flows = Vec::new();
    for number in 0..2 {
        server.send(towards(remote), message(number));
        let (mut peer, _) = listener.accept().await.unwrap();
        read_exactly(&mut peer, &message(number)).await;
        flows.push(server.opened().await);
        drop(peer);
        assert_eq!(server.lost().await, flows[number]);
    }
    assert_ne!(flows[0].connection, flows[1].connection);

    timeout(PATIENCE, async {
        while server.streams.counts().open > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    server.send(flows[0], message(9));
    assert_eq!(server.failure().await, SendFailure::ConnectionLost);
}

#[tokio::test]
async fn a_connection_leaves_from_the_address_that_the_flow_names() {
    let server = Server::start(StreamLimits::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = listener.local_addr().unwrap();
    for ip in ["127.0.0.2", "127.0.0.3"] {
        let local = SocketAddr::new(ip.parse().unwrap(), 5060);
        server.send(Flow { local, ..towards(remote) }, message(1));
        let (_peer, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip(), local.ip());
    }
}

#[tokio::test]
async fn a_refused_connection_returns_every_message() {
    let mut server = Server::start(StreamLimits::default());
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    server.send(towards(closed), message(1));
    server.send(towards(closed), message(2));
    for number in 1..=2 {
        match server.next().await {
            NetInput::SendFailed(failed) => {
                assert_eq!(failed.failure, SendFailure::Refused);
                assert_eq!(failed.transmit.bytes, message(number));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_peer_that_does_not_accept_in_time_is_a_failure() {
    let limits = StreamLimits { connect: SHORT, ..StreamLimits::default() };
    let mut server = Server::start(limits);
    // A listener with a full backlog answers nothing to the next connection.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let remote = listener.local_addr().unwrap();
    let mut fillers = Vec::new();
    while let Ok(stream) = timeout(SHORT, TcpStream::connect(remote)).await {
        fillers.push(stream);
    }
    server.send(towards(remote), message(1));
    assert_eq!(server.failure().await, SendFailure::TimedOut);
}

#[tokio::test]
async fn a_transport_or_family_that_does_not_fit_is_a_failure() {
    let mut server = Server::start(StreamLimits::default());
    let remote = server.address;
    server.send(Flow { transport: Transport::Udp, ..towards(remote) }, message(1));
    assert_eq!(server.failure().await, SendFailure::Unsupported);
    server.send(Flow { local: "[::1]:5060".parse().unwrap(), ..towards(remote) }, message(1));
    assert_eq!(server.failure().await, SendFailure::Unsupported);
}

#[tokio::test]
async fn half_a_message_is_not_waited_for_for_ever() {
    let limits = StreamLimits { partial: SHORT, ..StreamLimits::default() };
    let mut server = Server::start(limits);
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    server.opened().await;
    peer.write_all(&message(1)).await.unwrap();
    peer.write_all(&message(2)[..20]).await.unwrap();
    server.message().await;
    server.lost().await;
    read_end(&mut peer).await;
}

#[tokio::test]
async fn a_silent_connection_is_closed_after_the_idle_limit() {
    let limits = StreamLimits { idle: SHORT, ..StreamLimits::default() };
    let mut server = Server::start(limits);
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    let flow = server.opened().await;
    assert_eq!(server.lost().await, flow);
    read_end(&mut peer).await;
}

#[tokio::test]
async fn lost_framing_is_reported_with_the_head_and_can_still_be_answered() {
    let mut server = Server::start(StreamLimits::default());
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    server.opened().await;
    let head = b"OPTIONS sip:a@example.com SIP/2.0\r\nContent-Length: many\r\n\r\n";
    peer.write_all(head).await.unwrap();
    peer.write_all(&[b'x'; 5_000]).await.unwrap();
    let NetInput::BadFrame { error, flow } = server.next().await else { panic!() };
    assert_eq!(error.kind, FrameErrorKind::BadContentLength);
    assert!(error.head.starts_with(head));
    assert_eq!(server.lost().await, flow);
    server.send(flow, "SIP/2.0 400 Bad Request\r\n\r\n");
    server.streams.close(flow.connection.unwrap());
    read_exactly(&mut peer, b"SIP/2.0 400 Bad Request\r\n\r\n").await;
    read_end(&mut peer).await;
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_reported_as_bad() {
    let message = Limits { message: 500, ..Limits::default() };
    let mut server = Server::start(StreamLimits { message, ..StreamLimits::default() });
    for bytes in ["INVITE sip:a@b SIP/2.0\r\nContent-Length: 501\r\n\r\n".to_owned(), "INVITE ".repeat(100)] {
        let mut peer = TcpStream::connect(server.address).await.unwrap();
        server.opened().await;
        peer.write_all(bytes.as_bytes()).await.unwrap();
        assert!(matches!(server.next().await, NetInput::BadFrame { .. }));
        server.lost().await;
        read_end(&mut peer).await;
    }
}

#[tokio::test]
async fn a_peer_that_stops_sending_still_gets_its_answer() {
    let mut server = Server::start(StreamLimits::default());
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    server.opened().await;
    peer.write_all(&message(1)).await.unwrap();
    peer.shutdown().await.unwrap();
    let (_, flow) = server.message().await;
    server.lost().await;
    server.send(flow, message(2));
    read_exactly(&mut peer, &message(2)).await;
    read_end(&mut peer).await;
}

#[tokio::test]
async fn closing_comes_after_what_was_sent() {
    let mut server = Server::start(StreamLimits::default());
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    let flow = server.opened().await;
    server.send(flow, message(1));
    server.streams.close(flow.connection.unwrap());
    server.send(flow, message(2));
    read_exactly(&mut peer, &message(1)).await;
    read_end(&mut peer).await;
    assert_eq!(server.failure().await, SendFailure::ConnectionLost);
}

#[tokio::test]
async fn too_many_connections_are_turned_away_until_one_closes() {
    for limits in [
        StreamLimits { connections: 2, ..StreamLimits::default() },
        StreamLimits { per_address: 2, ..StreamLimits::default() },
    ] {
        let mut server = Server::start(limits);
        let first = TcpStream::connect(server.address).await.unwrap();
        let _second = TcpStream::connect(server.address).await.unwrap();
        server.opened().await;
        server.opened().await;
        read_end(&mut TcpStream::connect(server.address).await.unwrap()).await;
        assert_eq!(server.streams.counts().refused, 1);
        assert_eq!(server.streams.counts().accepted, 2);

        drop(first);
        server.lost().await;
        timeout(PATIENCE, async {
            while server.streams.counts().open > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        let _third = TcpStream::connect(server.address).await.unwrap();
        server.opened().await;
    }
}

#[tokio::test]
async fn of_a_crowd_that_waits_at_the_door_everyone_is_let_in() {
    let listener = bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    // The system takes them before anybody looks.
    let crowd: Vec<_> = (0..300).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let (inlet, inputs) = Inlet::new(64, || {});
    let streams = Streams::start(vec![Door::tcp(listener)], None, StreamLimits::default(), inlet).unwrap();
    let mut server = Server { streams, inputs, address };
    for _ in &crowd {
        server.opened().await;
    }
    assert_eq!(server.streams.counts().accepted, crowd.len() as u64);
}

#[tokio::test]
async fn no_connection_is_opened_beyond_the_limit() {
    let mut server = Server::start(StreamLimits { connections: 1, ..StreamLimits::default() });
    let _peer = TcpStream::connect(server.address).await.unwrap();
    server.opened().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    server.send(towards(listener.local_addr().unwrap()), message(1));
    assert_eq!(server.failure().await, SendFailure::TooManyConnections);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off_and_delays_nobody() {
    let mut server = Server::start(StreamLimits { waiting_bytes: 100_000, ..StreamLimits::default() });
    let slow = TcpStream::connect(server.address).await.unwrap();
    let slow_flow = server.opened().await;
    let mut quick = TcpStream::connect(server.address).await.unwrap();
    let quick_flow = server.opened().await;
    let large = Bytes::from(vec![b'x'; 60_000]);
    let (mut sent, mut failures, mut lost) = (0_usize, 0_usize, false);
    while !lost {
        server.send(slow_flow, large.clone());
        sent += 1;
        server.send(quick_flow, message(sent));
        read_exactly(&mut quick, &message(sent)).await;
        while let Ok(input) = server.inputs.try_recv() {
            match input {
                NetInput::SendFailed(failed) => {
                    assert_eq!((failed.failure, failed.transmit.flow), (SendFailure::Full, slow_flow));
                    failures += 1;
                }
                NetInput::ConnectionLost(flow) => {
                    assert_eq!(flow, slow_flow);
                    lost = true;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(failures >= 1 && failures <= sent);
    server.send(quick_flow, message(1));
    read_exactly(&mut quick, &message(1)).await;
    drop(slow);
}

#[tokio::test]
async fn a_write_that_makes_no_progress_fails() {
    let limits = StreamLimits { write: SHORT, waiting_bytes: 100 << 20, ..StreamLimits::default() };
    let mut server = Server::start(limits);
    let _slow = TcpStream::connect(server.address).await.unwrap();
    let flow = server.opened().await;
    for _ in 0..64 {
        server.send(flow, vec![b'x'; 1 << 20]);
    }
    assert_eq!(server.failure().await, SendFailure::TimedOut);
}

#[tokio::test]
async fn while_nobody_takes_inputs_streams_are_not_read_and_nothing_is_lost() {
    let mut server = Server::start_on("127.0.0.1:0", StreamLimits::default(), 2);
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    let writing = tokio::spawn(async move {
        for number in 0..2_000 {
            peer.write_all(&message(number)).await.unwrap();
        }
        peer
    });
    // Answers leave although the inputs are stuck.
    let mut quick = TcpStream::connect(server.address).await.unwrap();
    let quick_flow = loop {
        match server.next().await {
            NetInput::ConnectionOpened(flow) if flow.remote == quick.local_addr().unwrap() => break flow,
            NetInput::ConnectionOpened(_) => {}
            NetInput::Message { .. } => continue,
            other => panic!("{other:?}"),
        }
    };
    server.send(quick_flow, message(1));
    read_exactly(&mut quick, &message(1)).await;
    let mut last = None;
    while last != Some(Bytes::from(message(1_999))) {
        last = Some(server.message().await.0);
    }
    drop(writing.await.unwrap());
}

#[tokio::test]
async fn each_message_goes_to_its_owner_and_a_loss_to_everyone() {
    let listener = bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    // The number in the Request-URI is the owner's; one of them does not exist.
    let owner = |bytes: &[u8]| usize::from(bytes[b"OPTIONS sip:".len()] - b'0');
    let wakes = (0..3).map(|_| Box::new(|| {}) as offhook_net::Wake).collect();
    let (inlet, mut inputs) = Inlet::for_each(4, wakes, std::sync::Arc::new(owner));
    let _streams = Streams::start(vec![Door::tcp(listener)], None, StreamLimits::default(), inlet).unwrap();
    let mut peer = TcpStream::connect(address).await.unwrap();
    for number in [2, 1, 7] {
        peer.write_all(&message(number)).await.unwrap();
    }
    drop(peer);
    for (at, expected) in [(0, 7), (1, 1), (2, 2)] {
        let mut next = async || timeout(PATIENCE, inputs[at].recv()).await.unwrap().unwrap();
        if at == 0 {
            assert!(matches!(next().await, NetInput::ConnectionOpened(_)));
        }
        match next().await {
            NetInput::Message { bytes, .. } => assert_eq!(bytes, message(expected)),
            other => panic!("{other:?}"),
        }
        assert!(matches!(next().await, NetInput::ConnectionLost(_)));
    }
}

#[tokio::test]
async fn shutdown_sends_what_waits_and_stops_listening() {
    let mut server = Server::start(StreamLimits::default());
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    let flow = server.opened().await;
    server.send(flow, message(1));
    let (streams, address) = (server.streams.clone(), server.address);
    let reading = tokio::spawn(async move {
        read_exactly(&mut peer, &message(1)).await;
        read_end(&mut peer).await;
    });
    timeout(PATIENCE, streams.shutdown()).await.unwrap();
    reading.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    let transmit = Transmit { flow, bytes: Bytes::new() };
    assert_eq!(server.streams.send(transmit).unwrap_err().failure, SendFailure::ConnectionLost);
}

/// Far longer than anything takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// A limit that a test waits for.
const SHORT: Duration = Duration::from_millis(200);
