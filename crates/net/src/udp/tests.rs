use bytes::Bytes;
use offhook_udp_batch::{ReceiveBatch, SocketOptions};

use super::*;
use crate::bind_udp;

fn bind(address: &str) -> BatchSocket {
    bind_udp(address.parse().unwrap(), &SocketOptions::default()).unwrap()
}

fn transmit(local: SocketAddr, remote: SocketAddr) -> Transmit {
    let flow = Flow { transport: Transport::Udp, local, remote, connection: None };
    Transmit { flow, bytes: Bytes::from_static(b"OPTIONS") }
}

fn receive(socket: &BatchSocket) -> OwnedDatagram {
    let mut batch = ReceiveBatch::new();
    loop {
        // Loopback delivers within the send call; the loop is for systems where it does not.
        if socket.receive(&mut batch).unwrap() > 0 {
            return batch.iter_owned().next().unwrap();
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_message_leaves_by_the_socket_and_address_that_its_flow_names() {
    let phone = bind("127.0.0.1:0");
    let mut sockets = UdpSockets::new(vec![bind("127.0.0.1:0"), bind("127.0.0.2:0"), bind("0.0.0.0:0")]);
    let ours: Vec<SocketAddr> = sockets.iter().map(BatchSocket::local_addr).collect();
    let through_wildcard = SocketAddr::new("127.0.0.7".parse().unwrap(), ours[2].port());
    for local in [ours[0], ours[1], through_wildcard] {
        sockets.queue(transmit(local, phone.local_addr()));
        let mut failed = Vec::new();
        assert!(!sockets.flush(&mut failed));
        assert!(failed.is_empty());
        let got = receive(&phone);
        assert_eq!(got.source, local);
        let back = flow_of(&got);
        assert_eq!((back.local, back.remote), (phone.local_addr(), local));
    }
}

#[test]
fn a_flow_that_leaves_the_choice_takes_the_family_of_its_peer() {
    let phone = bind("[::1]:0");
    let mut sockets = UdpSockets::new(vec![bind("127.0.0.1:0"), bind("[::1]:0")]);
    sockets.queue(transmit("0.0.0.0:0".parse().unwrap(), phone.local_addr()));
    assert!(!sockets.flush(&mut Vec::new()));
    assert_eq!(receive(&phone).source.ip(), phone.local_addr().ip());
}

#[test]
fn a_message_that_no_socket_can_send_fails_and_the_rest_leaves() {
    let phone = bind("127.0.0.1:0");
    let mut sockets = UdpSockets::new(vec![bind("127.0.0.1:0")]);
    let ours = sockets.get(0).unwrap().local_addr();
    let tcp = Flow { transport: Transport::Tcp, ..transmit(ours, phone.local_addr()).flow };
    sockets.queue(Transmit { flow: tcp, bytes: Bytes::new() });
    sockets.queue(transmit(ours, "[::1]:9".parse().unwrap()));
    sockets.queue(transmit("127.0.0.9:9".parse().unwrap(), phone.local_addr()));
    sockets.queue(Transmit { bytes: vec![0; 66_000].into(), ..transmit(ours, phone.local_addr()) });
    sockets.queue(transmit(ours, phone.local_addr()));
    let mut failed = Vec::new();
    assert!(!sockets.flush(&mut failed));
    assert_eq!(failed.len(), 4);
    assert!(failed[..3].iter().all(|failed| failed.failure == SendFailure::Unsupported));
    assert_eq!(failed[3].transmit.bytes.len(), 66_000);
    assert_eq!(&receive(&phone).payload[..], b"OPTIONS");
}

#[test]
fn the_source_towards_loopback_is_loopback() {
    assert_eq!(source_towards("127.0.0.1:9".parse().unwrap()).unwrap(), Ipv4Addr::LOCALHOST);
    assert_eq!(source_towards("[::1]:9".parse().unwrap()).unwrap(), Ipv6Addr::LOCALHOST);
}
