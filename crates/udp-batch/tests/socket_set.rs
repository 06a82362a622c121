//! Sets of real sockets on the loopback interface, in every way that this kernel allows.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // Helpers of tests are no tests to clippy.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use offhook_udp_batch::{BatchSocket, LONGEST, Method, Poller, SetOptions, SocketOptions, SocketSet};

/// `epoll` always; `io_uring` where it can be had.
fn each_way(pacing: Duration, test: impl Fn(&mut SocketSet)) {
    for method in [Method::Epoll, Method::IoUring] {
        match SocketSet::new(Poller::new().unwrap(), SetOptions { method: Some(method), pacing }) {
            Ok(mut set) => {
                assert_eq!(set.method(), method);
                test(&mut set);
            }
            Err(error) => assert_eq!(method, Method::IoUring, "{error}"),
        }
    }
}

#[test]
fn without_a_wish_there_is_always_a_way() {
    let options = SetOptions { method: None, pacing: Duration::ZERO };
    let mut set = SocketSet::new(Poller::new().unwrap(), options).unwrap();
    let port = open(&mut set, 0, "127.0.0.1:0");
    let phone = phone();
    phone.send_to(b"?", port).unwrap();
    assert_eq!(take(&mut set, 1), [(0, phone.local_addr().unwrap(), b"?".to_vec(), false)]);
}

#[test]
fn each_datagram_is_returned_once_with_its_socket_and_source() {
    each_way(Duration::ZERO, |set| {
        let phones: Vec<_> = (0..20).map(|_| phone()).collect();
        let ports: Vec<_> = (0..20).map(|token| open(set, token, "127.0.0.1:0")).collect();
        let mut expected = Vec::new();
        for round in 0..10_u8 {
            for (token, (phone, port)) in phones.iter().zip(&ports).enumerate() {
                let payload = vec![round; 1 + usize::from(round) * 100 + token];
                phone.send_to(&payload, port).unwrap();
                expected.push((token as u32, phone.local_addr().unwrap(), payload, false));
            }
        }
        let mut got = take(set, expected.len());
        // Among sockets there is no order; within one the first stays first.
        got.sort_by_key(|one| one.0);
        expected.sort_by_key(|one| one.0);
        assert!(got == expected);
        set.wait(Some(Duration::ZERO)).unwrap();
        assert!(set.next().is_none());
    });
}

#[test]
fn what_is_passed_on_leaves_by_the_socket_that_was_named() {
    for address in ["127.0.0.1:0", "[::]:0", "0.0.0.0:0"] {
        each_way(Duration::ZERO, |set| {
            let (a, b) = (phone(), phone());
            let (port_a, port_b) = (open(set, 3, address), open(set, 900, address));
            let home = |port: SocketAddr| SocketAddr::new("127.0.0.1".parse().unwrap(), port.port());
            for round in 0..200_u8 {
                a.send_to(&[round; 172], home(port_a)).unwrap();
                b.send_to(&[round; 60], home(port_b)).unwrap();
                cross(set, 2, |token| match token {
                    3 => Some((900, b.local_addr().unwrap())),
                    _ => Some((3, a.local_addr().unwrap())),
                });
                assert_eq!(hear(&b), (vec![round; 172], home(port_b)));
                assert_eq!(hear(&a), (vec![round; 60], home(port_a)));
            }
        });
    }
}

#[test]
fn more_than_all_buffers_hold_pass_in_order() {
    each_way(Duration::from_micros(100), |set| {
        let (a, b) = (phone(), phone());
        let roomy = SocketOptions { receive_buffer: Some(400_000), ..SocketOptions::default() };
        let socket = BatchSocket::bind("127.0.0.1:0".parse().unwrap(), &roomy).unwrap();
        let port_a = socket.local_addr();
        set.open(0, socket).unwrap();
        open(set, 1, "127.0.0.1:0");
        let mut next = 0_u32;
        for _ in 0..30 {
            for number in next..next + 100 {
                a.send_to(&number.to_be_bytes(), port_a).unwrap();
            }
            cross(set, 100, |_| Some((1, b.local_addr().unwrap())));
            for number in next..next + 100 {
                assert_eq!(hear(&b).0, number.to_be_bytes());
            }
            next += 100;
        }
    });
}

#[test]
fn a_flood_over_many_sockets_loses_nothing_and_silences_none() {
    each_way(Duration::from_micros(500), |set| {
        let phone = phone();
        let ports: Vec<_> = (0..50).map(|token| open(set, token, "127.0.0.1:0")).collect();
        // More than all buffers hold, many times over, then a trickle.
        for each in [30, 30, 1, 1] {
            for number in 0..each {
                for port in &ports {
                    phone.send_to(&[number], port).unwrap();
                }
            }
            let mut got = take(set, 50 * usize::from(each));
            got.sort_by_key(|one| one.0);
            for (one, place) in got.iter().zip(0..) {
                assert_eq!((one.0, one.2[0]), (place / u32::from(each), (place % u32::from(each)) as u8));
            }
        }
    });
}

#[test]
fn an_answer_leaves_from_the_address_that_its_receiver_calls() {
    for wildcard in ["0.0.0.0:0", "[::]:0"] {
        each_way(Duration::ZERO, |set| {
            let (a, b) = (phone(), phone());
            let (port_a, port_b) = (open(set, 0, wildcard), open(set, 1, wildcard));
            let called = SocketAddr::new("127.0.0.9".parse().unwrap(), port_a.port());
            a.send_to(b"here", called).unwrap();
            cross(set, 1, |_| None);
            b.send_to(b"!", SocketAddr::new("127.0.0.1".parse().unwrap(), port_b.port())).unwrap();
            cross(set, 1, |_| Some((0, a.local_addr().unwrap())));
            assert_eq!(hear(&a), (b"!".to_vec(), called));
        });
    }
}

#[test]
fn ipv6_passes() {
    each_way(Duration::ZERO, |set| {
        let (a, b) = (UdpSocket::bind("[::1]:0").unwrap(), UdpSocket::bind("[::1]:0").unwrap());
        b.set_read_timeout(Some(PATIENCE)).unwrap();
        let (port_a, port_b) = (open(set, 0, "[::1]:0"), open(set, 1, "[::1]:0"));
        a.send_to(b"?", port_a).unwrap();
        cross(set, 1, |_| Some((1, b.local_addr().unwrap())));
        assert_eq!(hear(&b), (b"?".to_vec(), port_b));
    });
}

#[test]
fn a_peer_of_long_standing_changes_nothing_for_others() {
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        each_way(Duration::ZERO, |set| {
            let (a, b, moved, stranger) = (phone(), phone(), phone(), phone());
            let (port_a, port_b) = (open(set, 0, address), open(set, 1, address));
            let home = |port: SocketAddr| SocketAddr::new("127.0.0.1".parse().unwrap(), port.port());
            let talk = |set: &mut SocketSet, a: &UdpSocket, times| {
                for round in 0..times {
                    eprintln!("{address} {round} {:?}", set.method());
                    a.send_to(&[round, 1], home(port_a)).unwrap();
                    b.send_to(&[round, 2], home(port_b)).unwrap();
                    let to = [b.local_addr().unwrap(), a.local_addr().unwrap()];
                    cross(set, 2, |token| Some((1 - token, to[token as usize])));
                    assert_eq!(hear(&b), (vec![round, 1], home(port_b)));
                    assert_eq!(hear(a), (vec![round, 2], home(port_a)));
                }
            };
            for _ in 0..3 {
                talk(set, &a, 100);
                // Others are still heard there, and none of them can take the port.
                stranger.send_to(b"hello", home(port_a)).unwrap();
                assert_eq!(take(set, 1), [(0, stranger.local_addr().unwrap(), b"hello".to_vec(), false)]);
                assert!(BatchSocket::bind(port_a, &SocketOptions::default()).is_err());
                assert!(BatchSocket::bind(home(port_a), &SocketOptions::default()).is_err());
                talk(set, &moved, 100);
                for len in [1, LONGEST, LONGEST + 1, 20_000] {
                    // An empty one may be left out, and silences nobody.
                    moved.send_to(b"", home(port_a)).unwrap();
                    moved.send_to(&vec![7; len], home(port_a)).unwrap();
                    let mut got = Vec::new();
                    while got.is_empty() {
                        set.wait(Some(PATIENCE)).unwrap();
                        while let Some(one) = set.next() {
                            got.extend(
                                (!one.payload.is_empty()).then_some((one.payload.len(), one.truncated)),
                            );
                        }
                    }
                    assert_eq!(got, [(len.min(LONGEST), len > LONGEST)]);
                }
            }
            set.close(0);
            assert!(BatchSocket::bind(home(port_a), &SocketOptions::default()).is_ok());
        });
    }
}

#[test]
fn a_peer_that_comes_back_to_its_port_is_reached_again() {
    each_way(Duration::ZERO, |set| {
        let (a, mut b) = (phone(), phone());
        let port = open(set, 0, "127.0.0.1:0");
        let to = b.local_addr().unwrap();
        for round in 0..200_u8 {
            if round % 50 == 49 {
                drop(b);
                for _ in 0..5 {
                    a.send_to(b"lost", port).unwrap();
                    cross(set, 1, |_| Some((0, to)));
                }
                b = UdpSocket::bind(to).unwrap();
                b.set_read_timeout(Some(PATIENCE)).unwrap();
                // The news that nobody is there may cost one more.
                a.send_to(&[round], port).unwrap();
                cross(set, 1, |_| Some((0, to)));
            }
            a.send_to(&[round], port).unwrap();
            cross(set, 1, |_| Some((0, to)));
            let mut heard = hear(&b).0;
            if round % 50 == 49 {
                b.set_nonblocking(true).unwrap();
                while b.recv(&mut [0; 9]).is_ok() {}
                b.set_nonblocking(false).unwrap();
                heard = vec![round];
            }
            assert_eq!(heard, [round]);
        }
    });
}

#[test]
fn a_long_datagram_says_that_it_was_cut() {
    each_way(Duration::ZERO, |set| {
        let port = open(set, 0, "127.0.0.1:0");
        let phone = phone();
        for len in [0, LONGEST, LONGEST + 1, 20_000] {
            phone.send_to(&vec![7; len], port).unwrap();
            let got = take(set, 1);
            assert_eq!((got[0].2.len(), got[0].3), (len.min(LONGEST), len > LONGEST));
        }
    });
}

#[test]
fn what_cannot_leave_stops_nothing() {
    each_way(Duration::ZERO, |set| {
        let (a, b) = (phone(), phone());
        let port = open(set, 0, "127.0.0.1:0");
        let closed = phone_that_left();
        let ways: [(u32, SocketAddr); 5] = [
            (0, "[::1]:9".parse().unwrap()),
            (77, b.local_addr().unwrap()),
            (0, closed),
            (0, "255.255.255.255:9".parse().unwrap()),
            (0, b.local_addr().unwrap()),
        ];
        // More rounds than there are buffers: none may be lost for good.
        for round in 0..300_u16 {
            for (token, to) in ways {
                a.send_to(&round.to_be_bytes(), port).unwrap();
                cross(set, 1, |_| Some((token, to)));
            }
            assert_eq!(hear(&b).0, round.to_be_bytes());
        }
    });
}

#[test]
fn a_closed_socket_frees_its_port_and_is_heard_no_more() {
    each_way(Duration::ZERO, |set| {
        let phone = phone();
        let mut port = open(set, 0, "127.0.0.1:0");
        for _ in 0..100 {
            // It is closed with something that came, seen and unseen.
            phone.send_to(b"old", port).unwrap();
            phone.send_to(b"old", port).unwrap();
            set.wait(Some(PATIENCE)).unwrap();
            assert!(set.next().is_some());
            set.close(0);
            assert!(set.next().is_none());
            let again = BatchSocket::bind(port, &SocketOptions::default()).unwrap();
            port = again.local_addr();
            set.open(0, again).unwrap();
            phone.send_to(b"new", port).unwrap();
            assert_eq!(take(set, 1)[0].2, b"new");
        }
        set.close(0);
        set.close(5);
    });
}

#[test]
fn a_waker_and_the_time_end_a_wait() {
    for pacing in [Duration::ZERO, Duration::from_micros(200)] {
        for method in [Method::Epoll, Method::IoUring] {
            let poller = Poller::new().unwrap();
            let waker = poller.waker();
            let Ok(mut set) = SocketSet::new(poller, SetOptions { method: Some(method), pacing }) else {
                continue;
            };
            set.wait(Some(Duration::from_millis(1))).unwrap();
            let (sender, inbox) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || {
                for number in 0..1_000 {
                    sender.send(number).unwrap();
                    waker.wake();
                }
            });
            let mut expected = 0;
            while expected < 1_000 {
                // A lost wake-up would hang here.
                set.wait(None).unwrap();
                assert!(set.next().is_none());
                for number in inbox.try_iter() {
                    assert_eq!(number, expected);
                    expected += 1;
                }
            }
            thread.join().unwrap();
        }
    }
}

#[test]
fn what_is_passed_on_changed_arrives_so_and_what_does_not_fit_is_lost() {
    each_way(Duration::ZERO, |set| {
        let (a, b) = (phone(), phone());
        let port = open(set, 3, "127.0.0.1:0");
        open(set, 5, "127.0.0.1:0");
        let to = b.local_addr().unwrap();
        for length in [0, 1, 100, LONGEST, LONGEST + 1, 7] {
            a.send_to(&[1; 50], port).unwrap();
            set.wait(Some(PATIENCE)).unwrap();
            assert_eq!(set.next().map(|one| one.payload.len()), Some(50));
            set.pass_on_changed(5, to, &vec![length as u8; length]);
            set.wait(Some(Duration::ZERO)).unwrap();
        }
        for length in [0, 1, 100, LONGEST, 7] {
            assert_eq!(hear(&b).0, vec![length as u8; length]);
        }
    });
}

#[test]
fn a_datagram_of_our_own_leaves_at_once_by_the_socket_that_is_named() {
    each_way(Duration::ZERO, |set| {
        let phone = phone();
        let port = open(set, 4, "127.0.0.1:0");
        set.send(9, phone.local_addr().unwrap(), b"nobody has this number");
        set.send(4, phone.local_addr().unwrap(), b"hello");
        assert_eq!(hear(&phone), (b"hello".to_vec(), port));
    });
}

type Came = (u32, SocketAddr, Vec<u8>, bool);

fn take(set: &mut SocketSet, count: usize) -> Vec<Came> {
    let mut got = Vec::new();
    while got.len() < count {
        set.wait(Some(PATIENCE)).unwrap();
        let before = got.len();
        while let Some(one) = set.next() {
            got.push((one.token, one.source, one.payload.to_vec(), one.truncated));
        }
        assert!(got.len() > before, "nothing came");
    }
    got
}

/// Passes on `count` datagrams as `way` says, and lets them leave.
fn cross(set: &mut SocketSet, count: usize, way: impl Fn(u32) -> Option<(u32, SocketAddr)>) {
    let mut passed = 0;
    for _ in 0..10_000 {
        while let Some(one) = set.next() {
            passed += 1;
            let token = one.token;
            if let Some((token, to)) = way(token) {
                set.pass_on(token, to);
            }
        }
        if passed >= count {
            set.wait(Some(Duration::ZERO)).unwrap();
            return;
        }
        set.wait(Some(PATIENCE)).unwrap();
    }
    panic!("nothing came");
}

fn hear(phone: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2_048];
    let (len, source) = phone.recv_from(&mut buffer).unwrap();
    (buffer[..len].to_vec(), source)
}

fn open(set: &mut SocketSet, token: u32, address: &str) -> SocketAddr {
    let socket = BatchSocket::bind(address.parse().unwrap(), &SocketOptions::default()).unwrap();
    let address = socket.local_addr();
    set.open(token, socket).unwrap();
    address
}

fn phone() -> UdpSocket {
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(PATIENCE)).unwrap();
    phone
}

fn phone_that_left() -> SocketAddr {
    phone().local_addr().unwrap()
}

const PATIENCE: Duration = Duration::from_secs(30);
