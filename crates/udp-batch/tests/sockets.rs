//! Real sockets on the loopback interface.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // Helpers of tests are no tests to clippy.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use offhook_udp_batch::{
    BatchSocket, Interest, Outgoing, OwnedDatagram, Poller, ReceiveBatch, SocketOptions,
};

#[test]
fn two_hundred_datagrams_arrive_whole_and_in_order_over_ipv4() {
    send_two_hundred("127.0.0.1:0", "127.0.0.1:0");
}

#[test]
fn two_hundred_datagrams_arrive_whole_and_in_order_over_ipv6() {
    send_two_hundred("[::1]:0", "[::1]:0");
}

#[test]
fn a_dual_stack_socket_sends_to_ipv4() {
    send_two_hundred("[::]:0", "127.0.0.1:0");
}

fn send_two_hundred(from: &str, to: &str) {
    // The kernel counts about 1,300 bytes for each; its default would not hold them all.
    let roomy = SocketOptions { receive_buffer: Some(200_000), ..SocketOptions::default() };
    let (sender, receiver) = (bind(from), BatchSocket::bind(to.parse().unwrap(), &roomy).unwrap());
    let payloads: Vec<Vec<u8>> = (0..200_u16).map(|n| n.to_be_bytes().repeat(1 + usize::from(n))).collect();
    let outgoing: Vec<_> = payloads.iter().map(|payload| to_socket(&receiver, payload)).collect();
    let (mut sent, mut got, mut failures) = (0, Vec::new(), Vec::new());
    let mut batch = ReceiveBatch::new();
    while got.len() < 200 {
        sent += sender.send(&outgoing[sent..], &mut failures);
        wait(&receiver);
        while receiver.receive(&mut batch).unwrap() > 0 {
            got.extend(batch.iter_owned());
        }
    }
    assert!(failures.is_empty());
    for (got, payload) in got.iter().zip(&payloads) {
        assert_eq!(&got.payload[..], &payload[..]);
        assert_eq!(got.source.port(), sender.local_addr().port());
        assert_eq!(got.destination, receiver.local_addr());
        assert!(!got.truncated);
    }
    assert_eq!(receiver.dropped(), 0);
}

#[test]
fn a_wildcard_socket_learns_which_address_was_called_and_answers_from_it() {
    for wildcard in ["0.0.0.0:0", "[::]:0"] {
        let (server, phone) = (bind(wildcard), bind("127.0.0.1:0"));
        for called in ["127.0.0.1", "127.0.0.9"] {
            let called = SocketAddr::new(called.parse().unwrap(), server.local_addr().port());
            send_one(&phone, Outgoing { destination: called, source: None, payload: b"?" });
            let asked = receive_one(&server);
            assert_eq!((asked.source, asked.destination), (phone.local_addr(), called));
            let answer =
                Outgoing { destination: asked.source, source: Some(asked.destination.ip()), payload: b"!" };
            send_one(&server, answer);
            assert_eq!(receive_one(&phone).source, called);
        }
    }
}

#[test]
fn an_ipv6_answer_leaves_from_the_address_that_was_called() {
    let (server, phone) = (bind("[::]:0"), bind("[::1]:0"));
    let called = SocketAddr::new("::1".parse().unwrap(), server.local_addr().port());
    send_one(&phone, Outgoing { destination: called, source: None, payload: b"?" });
    let asked = receive_one(&server);
    assert_eq!(asked.destination, called);
    let source = Some(called.ip());
    send_one(&server, Outgoing { destination: asked.source, source, payload: b"!" });
    assert_eq!(receive_one(&phone).source, called);
}

#[test]
fn one_bad_destination_does_not_stop_the_others() {
    let (sender, receiver) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let huge = vec![0; 66_000];
    let good = to_socket(&receiver, b"good");
    let foreign_source: IpAddr = "192.0.2.1".parse().unwrap();
    let outgoing = [
        good,
        Outgoing { destination: "[::1]:9".parse().unwrap(), ..good },
        good,
        Outgoing { payload: &huge, ..good },
        Outgoing { source: Some(foreign_source), ..good },
        good,
    ];
    let mut failures = Vec::new();
    assert_eq!(sender.send(&outgoing, &mut failures), 6);
    assert_eq!(failures.iter().map(|failure| failure.index).collect::<Vec<_>>(), [1, 3, 4]);
    for _ in 0..3 {
        assert_eq!(&receive_one(&receiver).payload[..], b"good");
    }
}

#[test]
fn a_destination_that_refuses_stops_nothing() {
    let closed = bind("127.0.0.1:0").local_addr();
    let (sender, receiver) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let refused = Outgoing { destination: closed, source: None, payload: b"?" };
    for _ in 0..3 {
        let mut failures = Vec::new();
        assert_eq!(sender.send(&[refused, to_socket(&receiver, b"good")], &mut failures), 2);
        assert_eq!(&receive_one(&receiver).payload[..], b"good");
    }
}

#[test]
fn the_longest_datagram_fits_and_a_short_slot_says_that_it_cut() {
    let (sender, receiver) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let longest = vec![7; 65_507];
    send_one(&sender, to_socket(&receiver, &longest));
    let whole = receive_one(&receiver);
    assert_eq!((whole.payload.len(), whole.truncated), (65_507, false));

    send_one(&sender, to_socket(&receiver, &longest));
    send_one(&sender, to_socket(&receiver, b""));
    let mut short = ReceiveBatch::with_slots(4, 100);
    wait(&receiver);
    let mut got = Vec::new();
    while got.len() < 2 {
        receiver.receive(&mut short).unwrap();
        got.extend(short.iter().map(|datagram| (datagram.payload.len(), datagram.truncated)));
    }
    assert_eq!(got, [(100, true), (0, false)]);
}

#[test]
fn a_taken_port_is_an_error_unless_both_share_it() {
    let first = bind("127.0.0.1:0");
    let error = BatchSocket::bind(first.local_addr(), &SocketOptions::default()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);

    let sharing = SocketOptions { share_port: true, ..SocketOptions::default() };
    let first = BatchSocket::bind("127.0.0.1:0".parse().unwrap(), &sharing).unwrap();
    BatchSocket::bind(first.local_addr(), &sharing).unwrap();
}

#[test]
fn the_granted_buffer_sizes_are_reported_and_dscp_is_checked() {
    let options = SocketOptions {
        receive_buffer: Some(100_000),
        send_buffer: Some(50_000),
        dscp: Some(46),
        ..SocketOptions::default()
    };
    for address in ["127.0.0.1:0", "[::]:0"] {
        let socket = BatchSocket::bind(address.parse().unwrap(), &options).unwrap();
        assert_eq!((socket.buffers().receive, socket.buffers().send), (100_000, 50_000));
    }
    let wrong = SocketOptions { dscp: Some(64), ..SocketOptions::default() };
    assert!(BatchSocket::bind("127.0.0.1:0".parse().unwrap(), &wrong).is_err());
}

#[test]
fn what_the_kernel_drops_is_counted() {
    let options = SocketOptions { receive_buffer: Some(4_096), ..SocketOptions::default() };
    let receiver = BatchSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let sender = bind("127.0.0.1:0");
    for _ in 0..100 {
        send_one(&sender, to_socket(&receiver, &[0; 1_000]));
    }
    let mut batch = ReceiveBatch::new();
    let mut got = 0;
    while receiver.receive(&mut batch).unwrap() > 0 {
        got += batch.len() as u64;
    }
    send_one(&sender, to_socket(&receiver, b"after"));
    receive_one(&receiver);
    assert!(receiver.dropped() > 0);
    assert_eq!(receiver.dropped() + got, 100);
}

#[test]
fn a_poller_names_the_socket_that_is_ready_until_it_is_read() {
    let (quiet, busy) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let mut poller = Poller::new().unwrap();
    poller.add(&quiet, 1, Interest::Read).unwrap();
    poller.add(&busy, 1 << 40, Interest::Read).unwrap();
    assert!(poller.add(&busy, u64::MAX, Interest::Read).is_err());
    let mut ready = Vec::new();
    assert!(!poller.wait(Some(Duration::ZERO), &mut ready).unwrap());
    assert!(ready.is_empty());

    send_one(&quiet, to_socket(&busy, b"1"));
    for _ in 0..2 {
        poller.wait(None, &mut ready).unwrap();
        assert_eq!(
            ready.iter().map(|ready| (ready.token, ready.readable)).collect::<Vec<_>>(),
            [(1 << 40, true)]
        );
    }
    receive_one(&busy);
    poller.modify(&busy, 2, Interest::ReadWrite).unwrap();
    poller.wait(None, &mut ready).unwrap();
    assert!(ready[0].token == 2 && ready[0].writable && !ready[0].readable);
    poller.remove(&busy).unwrap();
    poller.wait(Some(Duration::from_micros(10)), &mut ready).unwrap();
    assert!(ready.is_empty());
}

#[test]
fn a_waker_ends_the_wait_of_another_thread_every_time() {
    let mut poller = Poller::new().unwrap();
    let waker = poller.waker();
    waker.wake();
    waker.clone().wake();
    let mut ready = Vec::new();
    assert!(poller.wait(None, &mut ready).unwrap());
    assert!(!poller.wait(Some(Duration::ZERO), &mut ready).unwrap());

    let (sender, inbox) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        for number in 0..10_000 {
            sender.send(number).unwrap();
            waker.wake();
        }
    });
    let mut expected = 0;
    while expected < 10_000 {
        // A lost wake-up would hang here.
        assert!(poller.wait(None, &mut ready).unwrap());
        for number in inbox.try_iter() {
            assert_eq!(number, expected);
            expected += 1;
        }
    }
    thread.join().unwrap();
}

fn bind(address: &str) -> BatchSocket {
    BatchSocket::bind(address.parse().unwrap(), &SocketOptions::default()).unwrap()
}

fn to_socket<'a>(receiver: &BatchSocket, payload: &'a [u8]) -> Outgoing<'a> {
    Outgoing { destination: receiver.local_addr(), source: None, payload }
}

fn send_one(socket: &BatchSocket, datagram: Outgoing<'_>) {
    let mut failures = Vec::new();
    assert_eq!(socket.send(&[datagram], &mut failures), 1);
    assert!(failures.is_empty(), "{failures:?}");
}

fn wait(socket: &BatchSocket) {
    let mut poller = Poller::new().unwrap();
    poller.add(socket, 0, Interest::Read).unwrap();
    let mut ready = Vec::new();
    poller.wait(Some(Duration::from_secs(30)), &mut ready).unwrap();
    assert!(!ready.is_empty(), "nothing came");
}

fn receive_one(socket: &BatchSocket) -> OwnedDatagram {
    wait(socket);
    let mut batch = ReceiveBatch::with_slots(1, usize::from(u16::MAX));
    assert_eq!(socket.receive(&mut batch).unwrap(), 1);
    batch.iter_owned().next().unwrap()
}
