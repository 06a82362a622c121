//! Permissions, channels, and what is passed on (RFC 8656 §9 to §12).

use super::super::allocation::MOST_PEERS;
use super::super::channel;
use super::*;

const CLIENT: &str = "203.0.113.5:40000";
const PEER: &str = "192.0.2.7:6000";

fn to_peer(port: u16, to: &str, payload: &[u8]) -> Output {
    Output::ToPeer { port, to: address(to), payload: payload.to_vec() }
}

#[test]
fn without_permission_nothing_passes_either_way() {
    let mut bench = Bench::new();
    let port = bench.allocated(udp(CLIENT)).port();
    assert_eq!(bench.send(udp(CLIENT), PEER, b"hello"), []);
    assert_eq!(bench.arrive(port, PEER, b"hello"), []);
    assert_eq!(bench.refused("no_permission"), 2);
    assert_eq!(bench.send(udp("203.0.113.6:40000"), PEER, b"hello"), []);
    assert_eq!(bench.arrive(port ^ 1, PEER, b"hello"), []);
    assert_eq!(bench.refused("no_allocation"), 2);
}

#[test]
fn a_permission_lets_every_port_of_a_peer_pass_for_five_minutes() {
    let mut bench = Bench::new();
    let port = bench.allocated(udp(CLIENT)).port();
    assert_eq!(bench.permit(udp(CLIENT), PEER).code(), 0);
    assert_eq!(bench.send(udp(CLIENT), PEER, b"hello"), [to_peer(port, PEER, b"hello")]);
    let out = bench.arrive(port, "192.0.2.7:7000", b"answer");
    let [Output::ToClient { to, bytes }] = &out[..] else { panic!("{out:?}") };
    assert_eq!(*to, udp(CLIENT));
    let message = Message::parse(bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::Data));
    assert_eq!(message.address(kind::XOR_PEER_ADDRESS), Ok(Some(address("192.0.2.7:7000"))));
    assert_eq!(message.get(kind::DATA), Some(&b"answer"[..]));
    assert_eq!(bench.arrive(port, "192.0.2.8:6000", b"stranger"), []);
    assert_eq!(bench.server.counts().relayed_bytes, 11);
    bench.pass(300);
    assert_eq!(bench.send(udp(CLIENT), PEER, b"hello"), []);
    assert_eq!(bench.arrive(port, PEER, b"answer"), []);
}

#[test]
fn a_channel_carries_both_ways_for_ten_minutes() {
    let mut bench = Bench::new();
    let port = bench.allocated(udp(CLIENT)).port();
    assert_eq!(bench.bind(udp(CLIENT), 0x4000, PEER).code(), 0);
    let data = channel::write(0x4000, b"hello", false);
    assert_eq!(bench.put(udp(CLIENT), &data), [to_peer(port, PEER, b"hello")]);
    let out = bench.arrive(port, PEER, b"answer");
    let answer = channel::write(0x4000, b"answer", false);
    assert_eq!(out, [Output::ToClient { to: udp(CLIENT), bytes: answer }]);
    // The same peer at another port has no channel, but has permission.
    assert!(matches!(bench.arrive(port, "192.0.2.7:6001", b"x")[..], [Output::ToClient { .. }]));
    // The permission ends first, and binding again renews both.
    bench.pass(301);
    assert_eq!(bench.arrive(port, PEER, b"answer"), []);
    assert_eq!(bench.bind(udp(CLIENT), 0x4000, PEER).code(), 0);
    assert_eq!(bench.arrive(port, PEER, b"answer").len(), 1);
    let request = bench.begin(Method::Refresh).number(kind::LIFETIME, 3600);
    bench.ask(udp(CLIENT), request, "sip:alice@example.com");
    bench.pass(600);
    assert_eq!(bench.put(udp(CLIENT), &data), []);
}

#[test]
fn a_channel_and_a_peer_belong_together() {
    let mut bench = Bench::new();
    bench.allocated(udp(CLIENT));
    assert_eq!(bench.bind(udp(CLIENT), 0x4000, PEER).code(), 0);
    assert_eq!(bench.bind(udp(CLIENT), 0x4000, "192.0.2.7:6001").code(), 400);
    assert_eq!(bench.bind(udp(CLIENT), 0x4001, PEER).code(), 400);
    assert_eq!(bench.bind(udp(CLIENT), 0x3fff, "192.0.2.7:6001").code(), 400);
    assert_eq!(bench.bind(udp(CLIENT), 0x8000, "192.0.2.7:6001").code(), 400);
    assert_eq!(bench.bind(udp(CLIENT), 0x7fff, "192.0.2.7:6001").code(), 0);
    assert_eq!(bench.bind(udp(CLIENT), 0x4002, "[2001:db8::9]:1").code(), 443);
    let request = bench.begin(Method::ChannelBind).number(kind::CHANNEL_NUMBER, 0x4003 << 16);
    assert_eq!(bench.ask(udp(CLIENT), request, "sip:alice@example.com").code(), 400);
}

#[test]
fn permissions_need_an_allocation_peers_and_their_family() {
    let mut bench = Bench::new();
    assert_eq!(bench.permit(udp(CLIENT), PEER).code(), 437);
    assert_eq!(bench.bind(udp(CLIENT), 0x4000, PEER).code(), 437);
    bench.allocated(udp(CLIENT));
    assert_eq!(bench.permit(udp(CLIENT), "[2001:db8::9]:1").code(), 443);
    let alice = "sip:alice@example.com";
    let request = bench.begin(Method::CreatePermission);
    assert_eq!(bench.ask(udp(CLIENT), request, alice).code(), 400);
    let request = bench.begin(Method::CreatePermission).attribute(kind::XOR_PEER_ADDRESS, b"odd");
    assert_eq!(bench.ask(udp(CLIENT), request, alice).code(), 400);
    let request = bench.begin(Method::CreatePermission).address(kind::XOR_PEER_ADDRESS, address(PEER));
    assert_eq!(bench.ask(udp(CLIENT), request, "sip:bob@example.com").code(), 441);
}

#[test]
fn permissions_and_channels_are_bounded() {
    let mut bench = Bench::new();
    bench.allocated(udp(CLIENT));
    let peers: Vec<String> = (0..MOST_PEERS).map(|n| format!("192.0.2.{n}:6000")).collect();
    for chunk in peers.chunks(32) {
        let mut request = bench.begin(Method::CreatePermission);
        for peer in chunk {
            request = request.address(kind::XOR_PEER_ADDRESS, address(peer));
        }
        assert_eq!(bench.ask(udp(CLIENT), request, "sip:alice@example.com").code(), 0);
    }
    assert_eq!(bench.permit(udp(CLIENT), "192.0.2.200:1").code(), 508);
    assert_eq!(bench.permit(udp(CLIENT), "192.0.2.3:1").code(), 0);
    bench.pass(301);
    assert_eq!(bench.permit(udp(CLIENT), "192.0.2.200:1").code(), 0);
    for n in 0..MOST_PEERS {
        if n.is_multiple_of(20) {
            bench.pass(2);
        }
        assert_eq!(bench.bind(udp(CLIENT), 0x4000 + n as u16, &format!("192.0.2.200:{}", n + 1)).code(), 0);
    }
    assert_eq!(bench.bind(udp(CLIENT), 0x4f00, "192.0.2.200:6000").code(), 508);
}

#[test]
fn a_stream_gets_its_channel_data_padded() {
    let mut bench = Bench::new();
    let stream = of(Transport::Tcp, CLIENT);
    let port = bench.allocated(stream).port();
    bench.bind(stream, 0x4000, PEER);
    let out = bench.arrive(port, PEER, b"abcde");
    assert_eq!(out, [Output::ToClient { to: stream, bytes: b"\x40\0\0\x05abcde\0\0\0".to_vec() }]);
}

#[test]
fn an_allocation_carries_so_much_a_second_each_way() {
    let mut bench = Bench::new();
    let port = bench.allocated(udp(CLIENT)).port();
    bench.bind(udp(CLIENT), 0x4000, PEER);
    let data = channel::write(0x4000, &[0; 1000], false);
    let passed = |bench: &mut Bench| (0..1000).filter(|_| !bench.put(udp(CLIENT), &data).is_empty()).count();
    assert_eq!(passed(&mut bench), 250);
    assert_eq!(bench.refused("bandwidth"), 750);
    assert_eq!(bench.arrive(port, PEER, &[0; 1000]).len(), 1, "the other way is counted by itself");
    bench.pass(1);
    assert_eq!(passed(&mut bench), 250);
}

#[test]
fn an_indication_with_what_is_not_understood_is_dropped() {
    let mut bench = Bench::new();
    bench.allocated(udp(CLIENT));
    bench.permit(udp(CLIENT), PEER);
    let indication = Writer::new(Class::Indication, Method::Send, [0; 12])
        .address(kind::XOR_PEER_ADDRESS, address(PEER))
        .attribute(kind::DONT_FRAGMENT, &[])
        .attribute(kind::DATA, b"x")
        .finish();
    assert_eq!(bench.put(udp(CLIENT), &indication), []);
    let no_data = Writer::new(Class::Indication, Method::Send, [0; 12])
        .address(kind::XOR_PEER_ADDRESS, address(PEER))
        .finish();
    assert_eq!(bench.put(udp(CLIENT), &no_data), []);
    assert_eq!(bench.refused("malformed"), 2);
}

#[test]
fn what_is_sent_to_our_external_address_stays_on_the_machine() {
    let mut config = config();
    let external = "192.0.2.99";
    config.external_address = Some(external.parse().unwrap());
    config.peers.own.push(external.parse().unwrap());
    let mut bench = Bench::with(config);
    let port = bench.allocated(udp(CLIENT)).port();
    assert_eq!(bench.bind(udp(CLIENT), 0x4000, "192.0.2.99:20000").code(), 0);
    let data = channel::write(0x4000, b"rtp", false);
    assert_eq!(bench.put(udp(CLIENT), &data), [to_peer(port, "198.51.100.1:20000", b"rtp")]);
    let out = bench.arrive(port, "198.51.100.1:20000", b"rtp");
    assert_eq!(out, [Output::ToClient { to: udp(CLIENT), bytes: data }]);
}
