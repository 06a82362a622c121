//! Whom the relay never reaches.

use super::*;

const CLIENT: &str = "203.0.113.5:40000";

#[test]
fn peers_that_only_this_machine_can_reach_are_refused_in_words() {
    let refused = [
        ("127.0.0.1:20000", "Forbidden: a loopback address"),
        ("127.8.0.1:20000", "Forbidden: a loopback address"),
        ("0.0.0.0:20000", "Forbidden: an address of nobody"),
        ("0.1.2.3:20000", "Forbidden: an address of nobody"),
        ("224.0.0.1:20000", "Forbidden: a multicast address"),
        ("255.255.255.255:20000", "Forbidden: a broadcast address"),
        ("240.0.0.1:20000", "Forbidden: a reserved address"),
        ("169.254.169.254:80", "Forbidden: a link-local address"),
        ("10.1.2.3:5000", "Forbidden: a private network"),
        ("172.31.2.3:5000", "Forbidden: a private network"),
        ("192.168.2.3:5000", "Forbidden: a private network"),
        ("100.64.2.3:5000", "Forbidden: a private network"),
    ];
    let mut bench = Bench::new();
    bench.allocated(udp(CLIENT));
    for (peer, words) in refused {
        let answer = bench.permit(udp(CLIENT), peer);
        assert_eq!((answer.code(), answer.reason().as_str()), (403, words), "{peer}");
        let answer = bench.bind(udp(CLIENT), 0x4000, peer);
        assert_eq!((answer.code(), answer.reason().as_str()), (403, words), "{peer}");
        assert_eq!(bench.send(udp(CLIENT), peer, b"x"), [], "{peer}");
        bench.pass(1);
    }
    assert_eq!((bench.refused("peer_loopback"), bench.refused("peer_private")), (4, 8));
}

#[test]
fn ipv6_peers_that_are_not_for_everybody_are_refused_in_every_disguise() {
    let check = |peer: &str| config().peers.check_ip(peer.parse().unwrap());
    assert_eq!(check("::"), Err(Forbidden::Unspecified));
    assert_eq!(check("::1"), Err(Forbidden::Loopback));
    assert_eq!(check("fe80::1"), Err(Forbidden::LinkLocal));
    assert_eq!(check("fd00::1"), Err(Forbidden::Private));
    assert_eq!(check("ff02::1"), Err(Forbidden::Multicast));
    assert_eq!(check("::ffff:127.0.0.1"), Err(Forbidden::Loopback));
    assert_eq!(check("::ffff:10.0.0.1"), Err(Forbidden::Private));
    assert_eq!(check("::127.0.0.1"), Err(Forbidden::Reserved));
    assert_eq!(check("64:ff9b::7f00:1"), Err(Forbidden::Loopback));
    assert_eq!(check("64:ff9b::a9fe:a9fe"), Err(Forbidden::LinkLocal));
    assert_eq!(check("2002:a00:1::"), Err(Forbidden::Private));
    assert_eq!(check("2001:db8:7::1"), Ok(()));
    assert_eq!(check("64:ff9b::c000:207"), Ok(()));
}

#[test]
fn a_mapped_address_is_the_same_peer_in_a_message() {
    let mut bench = Bench::new();
    bench.allocated(udp(CLIENT));
    // Written by hand: our own writer would not disguise it.
    let mut value = vec![0, 2, 0, 0];
    let mapped = "::ffff:127.0.0.1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    let request = bench.begin(Method::CreatePermission);
    let header = request.clone().finish();
    value.extend(mapped.iter().zip(&header[4..20]).map(|(byte, mask)| byte ^ mask));
    let request = request.attribute(kind::XOR_PEER_ADDRESS, &value);
    assert_eq!(bench.ask(udp(CLIENT), request, "sip:alice@example.com").code(), 403);
}

#[test]
fn the_exchange_is_reached_at_its_media_ports_only() {
    let mut bench = Bench::new();
    let port = bench.allocated(udp(CLIENT)).port();
    let own = |port: u16| format!("198.51.100.1:{port}");
    assert_eq!(bench.permit(udp(CLIENT), &own(20_000)).code(), 0);
    for open in [20_000, 20_999, 21_500] {
        let passed = bench.send(udp(CLIENT), &own(open), b"x");
        assert_eq!(passed, [Output::ToPeer { port, to: address(&own(open)), payload: b"x".to_vec() }]);
    }
    for shut in [5060, 8080, 3478, 53] {
        assert_eq!(bench.send(udp(CLIENT), &own(shut), b"x"), [], "{shut}");
        let answer = bench.bind(udp(CLIENT), 0x4000, &own(shut));
        assert_eq!((answer.code(), answer.reason().as_str()), (403, "Forbidden: a port of the exchange"));
    }
    assert_eq!(bench.refused("peer_exchange"), 8);
}

#[test]
fn a_private_network_that_is_named_may_be_reached() {
    let mut policy = config().peers;
    policy.allowed = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/16".parse().unwrap()];
    let check = |peer: &str| policy.check(address(peer));
    assert_eq!(check("10.1.2.3:5000"), Ok(()));
    assert_eq!(check("[fd00::1]:5000"), Ok(()));
    assert_eq!(check("192.168.1.1:5000"), Err(Forbidden::Private));
    assert_eq!(check("[fd01::1]:5000"), Err(Forbidden::Private));
    assert_eq!(check("127.0.0.1:5000"), Err(Forbidden::Loopback));
}

#[test]
fn naming_everything_opens_nothing_that_is_closed() {
    let mut policy = config().peers;
    policy.allowed = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    let check = |peer: &str| policy.check(address(peer));
    assert_eq!(check("127.0.0.1:5000"), Err(Forbidden::Loopback));
    assert_eq!(check("10.0.0.1:5000"), Err(Forbidden::Private));
    assert_eq!(check("224.0.0.1:5000"), Err(Forbidden::Multicast));
    for (network, does) in [
        ("10.0.0.0/8", true),
        ("127.0.0.1/32", true),
        ("0.0.0.0/0", false),
        ("8.8.8.0/24", false),
        ("224.0.0.0/8", false),
    ] {
        assert_eq!(opens(&network.parse().unwrap()), does, "{network}");
    }
}

#[test]
fn the_exchange_itself_stays_shut_even_where_its_network_is_named() {
    let mut config = config();
    config.peers.own.push("10.0.0.1".parse().unwrap());
    config.peers.allowed = vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.0/8".parse().unwrap()];
    let check = |peer: &str| config.peers.check(address(peer));
    for peer in ["10.0.0.1:5060", "127.0.0.1:8080", "198.51.100.1:3478"] {
        assert_eq!(check(peer), Err(Forbidden::Exchange), "{peer}");
    }
    assert_eq!(check("10.0.0.1:53"), Err(Forbidden::Exchange));
    assert_eq!(check("10.0.0.2:53"), Ok(()));
    assert_eq!(check("127.0.0.1:9000"), Ok(()));
    // Its other ports are open where it is named by itself.
    config.peers.allowed = vec!["10.0.0.1/32".parse().unwrap()];
    let check = |peer: &str| config.peers.check(address(peer));
    assert_eq!((check("10.0.0.1:53"), check("10.0.0.1:5060")), (Ok(()), Err(Forbidden::Exchange)));
}
