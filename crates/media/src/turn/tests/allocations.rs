//! Allocate and Refresh (RFC 8656 §7, §8).

use super::*;

const ALICE: &str = "sip:alice@example.com";
const BOB: &str = "sip:bob@example.com";
const CLIENT: &str = "203.0.113.5:40000";

#[test]
fn an_allocation_is_an_address_of_ours_for_ten_minutes() {
    let mut bench = Bench::new();
    let request = bench.allocate();
    let answer = bench.ask(udp(CLIENT), request, ALICE);
    assert_eq!((answer.code(), answer.lifetime()), (0, Some(600)));
    assert_eq!(answer.relayed().ip(), address("198.51.100.1:0").ip());
    assert!((21_000..=21_999).contains(&answer.relayed().port()));
    assert_eq!(answer.message().address(kind::XOR_MAPPED_ADDRESS), Ok(Some(address(CLIENT))));
    assert_eq!(bench.server.counts().allocations, 1);
}

#[test]
fn a_lost_answer_is_given_again_and_another_request_is_a_mismatch() {
    let mut bench = Bench::new();
    let request = bench.allocate();
    let bytes = bench.sign(udp(CLIENT), request, ALICE);
    let first = bench.exchange(udp(CLIENT), &bytes).unwrap();
    let again = bench.exchange(udp(CLIENT), &bytes).unwrap();
    assert_eq!(first.relayed(), again.relayed());
    let request = bench.allocate();
    assert_eq!(bench.ask(udp(CLIENT), request, ALICE).code(), 437);
    assert_eq!(bench.server.counts().allocations, 1);
}

#[test]
fn a_request_that_comes_again_while_its_socket_is_opened_makes_no_second_allocation() {
    let mut bench = Bench::new();
    let request = bench.allocate();
    let bytes = bench.sign(udp(CLIENT), request, ALICE);
    let out = bench.put(udp(CLIENT), &bytes);
    let [Output::Open { address }] = out[..] else { panic!("{out:?}") };
    assert_eq!(bench.put(udp(CLIENT), &bytes), []);
    let mut out = Vec::new();
    bench.server.opened(bench.now, address.port(), true, &mut out);
    assert!(matches!(out[..], [Output::ToClient { .. }]));
}

#[test]
fn what_is_asked_for_must_make_sense() {
    let token = [1; 8];
    let v4 = [1, 0, 0, 0];
    let cases: [(u16, &dyn Fn(Writer) -> Writer); 9] = [
        (400, &|request| request),
        (442, &|request| request.attribute(kind::REQUESTED_TRANSPORT, &[6, 0, 0, 0])),
        (400, &|request| request.attribute(kind::REQUESTED_TRANSPORT, &[17])),
        (420, &|request| with_udp(request).attribute(kind::DONT_FRAGMENT, &[])),
        (440, &|request| with_udp(request).attribute(kind::REQUESTED_ADDRESS_FAMILY, &[3, 0, 0, 0])),
        (400, &|request| {
            with_udp(request).attribute(kind::RESERVATION_TOKEN, &token).attribute(kind::EVEN_PORT, &[0])
        }),
        (400, &|request| {
            let request = with_udp(request).attribute(kind::RESERVATION_TOKEN, &token);
            request.attribute(kind::REQUESTED_ADDRESS_FAMILY, &v4)
        }),
        (400, &|request| {
            let request = with_udp(request).attribute(kind::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]);
            request.attribute(kind::REQUESTED_ADDRESS_FAMILY, &v4)
        }),
        (508, &|request| with_udp(request).attribute(kind::RESERVATION_TOKEN, &token)),
    ];
    for (n, (code, more)) in cases.into_iter().enumerate() {
        let mut bench = Bench::new();
        let request = more(bench.begin(Method::Allocate));
        assert_eq!(bench.ask(udp(CLIENT), request, ALICE).code(), code, "case {n}");
        assert_eq!(bench.server.ports().taken(), 0, "case {n}");
    }
}

fn with_udp(request: Writer) -> Writer {
    request.attribute(kind::REQUESTED_TRANSPORT, &UDP_ONLY)
}

#[test]
fn the_family_is_as_asked_for_whatever_way_the_client_comes() {
    let mut bench = Bench::new();
    let request = bench.allocate().attribute(kind::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
    let answer = bench.ask(udp(CLIENT), request, ALICE);
    assert_eq!(answer.relayed().ip(), address("[2001:db8::1]:0").ip());
    let request = bench.allocate();
    let answer = bench.ask(udp("[2001:db8:5::7]:40000"), request, ALICE);
    assert!(answer.relayed().is_ipv4(), "IPv4 where nothing is said");
    let mut config = config();
    config.addresses.truncate(1);
    let mut bench = Bench::with(config);
    let request = bench.allocate().attribute(kind::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
    assert_eq!(bench.ask(udp(CLIENT), request, ALICE).code(), 440);
}

#[test]
fn an_even_port_and_the_next_for_rtcp() {
    let mut bench = Bench::new();
    let request = bench.allocate().attribute(kind::EVEN_PORT, &[0x80]);
    let answer = bench.ask(udp(CLIENT), request, ALICE);
    let port = answer.relayed().port();
    assert!(port.is_multiple_of(2));
    let token = answer.message().get(kind::RESERVATION_TOKEN).unwrap().to_vec();
    // Nobody else may have it.
    let second = udp("203.0.113.5:40002");
    let request = bench.allocate().attribute(kind::RESERVATION_TOKEN, &token);
    assert_eq!(bench.ask(second, request, BOB).code(), 508);
    let request = bench.allocate().attribute(kind::RESERVATION_TOKEN, &token);
    assert_eq!(bench.ask(second, request, ALICE).relayed().port(), port + 1);
    // And it is good once.
    let request = bench.allocate().attribute(kind::RESERVATION_TOKEN, &token);
    assert_eq!(bench.ask(udp("203.0.113.5:40004"), request, ALICE).code(), 508);
}

#[test]
fn a_reserved_port_is_free_again_after_half_a_minute() {
    let mut bench = Bench::new();
    let request = bench.allocate().attribute(kind::EVEN_PORT, &[0x80]);
    let token =
        bench.ask(udp(CLIENT), request, ALICE).message().get(kind::RESERVATION_TOKEN).unwrap().to_vec();
    assert_eq!(bench.server.ports().taken(), 2);
    bench.pass(30);
    let request = bench.allocate().attribute(kind::RESERVATION_TOKEN, &token);
    assert_eq!(bench.ask(udp("203.0.113.5:40002"), request, ALICE).code(), 508);
    bench.server.expire(bench.now, &mut Vec::new());
    assert_eq!(bench.server.ports().taken(), 1);
}

#[test]
fn a_lifetime_is_ten_minutes_to_an_hour() {
    for (wanted, granted) in [(1, 600), (600, 600), (1800, 1800), (86_400, 3600)] {
        let mut bench = Bench::new();
        let request = bench.allocate().number(kind::LIFETIME, wanted);
        assert_eq!(bench.ask(udp(CLIENT), request, ALICE).lifetime(), Some(granted));
        let request = bench.begin(Method::Refresh).number(kind::LIFETIME, wanted);
        assert_eq!(bench.ask(udp(CLIENT), request, ALICE).lifetime(), Some(granted));
    }
}

#[test]
fn an_allocation_ends_when_its_time_is_up_and_its_port_is_free() {
    let mut bench = Bench::new();
    let port = bench.allocated(udp(CLIENT)).port();
    bench.pass(599);
    let mut out = Vec::new();
    bench.server.expire(bench.now, &mut out);
    assert_eq!(out, []);
    let request = bench.begin(Method::Refresh);
    assert_eq!(bench.ask(udp(CLIENT), request, ALICE).code(), 0);
    bench.pass(600);
    assert!(bench.server.next_deadline().is_some_and(|due| due <= bench.now));
    bench.server.expire(bench.now, &mut out);
    assert_eq!(out, [Output::Close { port }]);
    assert_eq!((bench.server.counts().allocations, bench.server.ports().taken()), (0, 0));
    assert_eq!(bench.server.next_deadline(), None);
    let request = bench.begin(Method::Refresh);
    assert_eq!(bench.ask(udp(CLIENT), request, ALICE).code(), 437);
}

#[test]
fn a_refresh_of_no_time_ends_it() {
    let mut bench = Bench::new();
    bench.allocated(udp(CLIENT));
    let request = bench.begin(Method::Refresh).number(kind::LIFETIME, 0);
    let answer = bench.ask(udp(CLIENT), request, ALICE);
    assert_eq!((answer.code(), answer.lifetime()), (0, Some(0)));
    assert_eq!((bench.server.counts().allocations, bench.server.ports().taken()), (0, 0));
}

#[test]
fn a_refresh_of_another_family_or_account_is_refused() {
    let mut bench = Bench::new();
    bench.allocated(udp(CLIENT));
    let request = bench.begin(Method::Refresh).attribute(kind::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
    assert_eq!(bench.ask(udp(CLIENT), request, ALICE).code(), 443);
    let request = bench.begin(Method::Refresh);
    assert_eq!(bench.ask(udp(CLIENT), request, BOB).code(), 441);
}

#[test]
fn an_account_may_have_ten_and_another_still_gets_one() {
    let mut bench = Bench::new();
    for n in 0..10 {
        bench.allocated(udp(&format!("203.0.113.{n}:40000")));
    }
    let request = bench.allocate();
    let answer = bench.ask(udp("203.0.113.10:40000"), request, ALICE);
    assert_eq!((answer.code(), answer.reason().as_str()), (486, "Allocation Quota Reached"));
    let request = bench.allocate();
    assert_eq!(bench.ask(udp("203.0.113.11:40000"), request, BOB).code(), 0);
}

#[test]
fn there_are_no_more_than_allowed_in_all_nor_more_than_ports() {
    let mut some = config();
    some.limits.allocations = 2;
    let mut narrow = config();
    narrow.ports = 21_000..=21_001;
    for config in [some, narrow] {
        let mut bench = Bench::with(config);
        for n in 0..2 {
            bench.allocated(udp(&format!("203.0.113.{n}:40000")));
        }
        let request = bench.allocate();
        assert_eq!(bench.ask(udp("203.0.113.2:40000"), request, BOB).code(), 508);
        assert_eq!(bench.refused("capacity"), 1);
    }
}

#[test]
fn a_port_of_another_process_is_passed_over_and_in_the_end_there_is_none() {
    let mut bench = Bench::new();
    let request = bench.allocate().attribute(kind::EVEN_PORT, &[0x80]);
    let bytes = bench.sign(udp(CLIENT), request, ALICE);
    let mut out = bench.put(udp(CLIENT), &bytes);
    let mut tried = Vec::new();
    while let Some(Output::Open { address }) = out.pop() {
        assert!(!tried.contains(&address.port()));
        tried.push(address.port());
        bench.server.opened(bench.now, address.port(), false, &mut out);
        if let [Output::ToClient { bytes, .. }] = &out[..] {
            assert_eq!(Answer(bytes.clone()).code(), 508);
        }
    }
    assert_eq!((tried.len(), bench.server.ports().taken()), (8, 0));
}

#[test]
fn a_client_inside_is_told_our_own_address_and_one_outside_the_external() {
    let mut config = config();
    config.external_address = Some("192.0.2.99".parse().unwrap());
    let mut bench = Bench::with(config);
    assert_eq!(bench.allocated(udp(CLIENT)).ip(), address("192.0.2.99:0").ip());
    assert_eq!(bench.allocated(udp("10.1.2.3:40000")).ip(), address("198.51.100.1:0").ip());
}

#[test]
fn the_end_of_a_stream_ends_its_allocation_even_one_that_begins() {
    let mut bench = Bench::new();
    let stream = of(Transport::Tcp, CLIENT);
    let port = bench.allocated(stream).port();
    let mut out = Vec::new();
    bench.server.closed(&stream, &mut out);
    assert_eq!(out, [Output::Close { port }]);

    let request = bench.allocate();
    let bytes = bench.sign(stream, request, ALICE);
    let opened = bench.put(stream, &bytes);
    let [Output::Open { address }] = opened[..] else { panic!("{opened:?}") };
    out.clear();
    bench.server.closed(&stream, &mut out);
    bench.server.opened(bench.now, address.port(), true, &mut out);
    assert_eq!(out, [Output::Close { port: address.port() }]);
    assert_eq!(bench.server.ports().taken(), 0);
}
