//! Which way messages go (§18, RFC 3581).

use std::net::SocketAddr;

use offhook_sip::{Message, Name, Request};

use super::bench::{Bench, flow, ours, reply, tcp, texts, theirs, udp, with_branch};
use crate::transport::{response_flow, stamp};
use crate::{ConnectionId, Flow, Transport};

fn response_goes_to(via: &str, flow: Flow) -> SocketAddr {
    let request = stamp(with_branch("OPTIONS", via, "z9hG4bK1"), &flow);
    response_flow(&request, &flow).remote
}

#[test]
fn a_response_over_udp_goes_where_the_via_and_the_source_say() {
    let from_nat = Flow { remote: "203.0.113.5:40000".parse().unwrap(), ..udp() };
    for (via, expected) in [
        ("UDP 192.0.2.9:5060", "203.0.113.5:5060"),
        ("UDP 192.0.2.9", "203.0.113.5:5060"),
        ("UDP 192.0.2.9:5062", "203.0.113.5:5062"),
        ("UDP 192.0.2.9:0", "203.0.113.5:5060"),
        ("UDP 192.0.2.9:5060;rport", "203.0.113.5:40000"),
        ("UDP 192.0.2.9:5060;rport=7", "203.0.113.5:40000"),
        ("UDP 192.0.2.9:5060;received=10.0.0.1", "203.0.113.5:5060"),
        ("UDP phone.example.com;maddr=224.0.1.75", "203.0.113.5:5060"),
        ("UDP phone.example.com;maddr=198.51.100.1", "203.0.113.5:5060"),
        ("UDP 255.255.255.255:9", "203.0.113.5:9"),
    ] {
        assert_eq!(response_goes_to(via, from_nat), expected.parse().unwrap(), "{via}");
    }
}

#[test]
fn the_stamp_is_added_where_it_is_due() {
    let top =
        |request: &Request| String::from_utf8(request.values(Name::Via).next().unwrap().to_vec()).unwrap();
    for (via, expected) in [
        ("UDP 192.0.2.9:5060", None),
        ("UDP phone.example.com", Some((Some("192.0.2.9"), None))),
        ("UDP 10.1.1.1", Some((Some("192.0.2.9"), None))),
        ("UDP 192.0.2.9;rport", Some((Some("192.0.2.9"), Some(5060)))),
        ("UDP 192.0.2.9;received=10.9.9.9", Some((Some("192.0.2.9"), None))),
        ("UDP [2001:db8::9]", Some((Some("192.0.2.9"), None))),
    ] {
        let request = with_branch("OPTIONS", via, "z9hG4bK1");
        let stamped = stamp(request.clone(), &udp());
        match expected {
            None => assert_eq!(stamped, request),
            Some((received, rport)) => {
                let via = stamped.via().unwrap();
                assert_eq!(via.received(), received.map(|ip| ip.parse().unwrap()), "{}", top(&stamped));
                assert_eq!(via.rport(), rport, "{}", top(&stamped));
            }
        }
    }
}

#[test]
fn a_mapped_ipv6_source_is_stamped_as_the_ipv4_address_it_is() {
    let mapped = Flow { remote: "[::ffff:203.0.113.5]:5060".parse().unwrap(), ..udp() };
    let same = with_branch("OPTIONS", "UDP 203.0.113.5", "z9hG4bK1");
    assert_eq!(stamp(same.clone(), &mapped), same);
    let other = stamp(theirs("OPTIONS"), &mapped);
    assert_eq!(other.via().unwrap().received(), Some("203.0.113.5".parse().unwrap()));
}

#[test]
fn a_response_over_tcp_goes_back_on_its_connection_and_if_that_is_lost_to_the_senders_port() {
    let from = Flow { remote: "192.0.2.9:43210".parse().unwrap(), ..tcp(4) };
    let mut bench = Bench::new();
    let server = bench.serve(with_branch("INVITE", "TCP 192.0.2.9:5060", "z9hG4bK1"), from);
    bench.respond(server, 180);
    bench.flow_failed(from);
    bench.respond(server, 200);
    let sent = bench.take_sent();
    assert_eq!(sent[0].flow, from);
    assert_eq!(sent[1].flow, flow(Transport::Tcp, None));
    // That fails as well.
    bench.flow_failed(flow(Transport::Tcp, None));
    assert_eq!(texts(&bench.said()), []);
}

#[test]
fn a_client_that_lost_its_connection_gets_its_response_on_the_new_one() {
    let mut bench = Bench::new();
    let request = with_branch("OPTIONS", "TCP 192.0.2.9:5060", "z9hG4bK1");
    let server = bench.serve(request.clone(), tcp(4));
    bench.flow_failed(tcp(4));
    bench.receive(request, tcp(5));
    bench.respond(server, 200);
    assert_eq!(bench.take_sent()[0].flow, tcp(5));
}

#[test]
fn messages_on_a_stream_get_a_content_length() {
    let mut edit = with_branch("OPTIONS", "TCP 192.0.2.1:5060", "z9hG4bK1").edit();
    edit.remove(Name::ContentLength);
    let mut bench = Bench::new();
    bench.send(edit.finish(), tcp(1));
    bench.send(edit.finish(), udp());
    let sent = bench.take_sent();
    assert!(sent[0].message.headers().has(Name::ContentLength));
    assert!(!sent[1].message.headers().has(Name::ContentLength));
}

fn large(method: &str) -> Request {
    let mut edit = ours(method).edit();
    edit.set_body(Some("text/plain"), &[b'x'; 1200]);
    edit.finish()
}

#[test]
fn a_request_too_large_for_udp_goes_over_tcp_with_its_via_changed() {
    let mut bench = Bench::new();
    let invite = large("INVITE");
    assert!(invite.bytes().len() > 1300);
    let client = bench.send(invite.clone(), udp());
    let sent = bench.take_sent();
    assert_eq!(sent[0].flow, flow(Transport::Tcp, None));
    let Message::Request(request) = &sent[0].message else { panic!("a response") };
    assert_eq!(request.via().unwrap().to_string(), "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK-ours");
    // The answer comes on the connection that was opened; CANCEL takes the same.
    bench.receive(reply(request, 180, "b"), tcp(8));
    bench.cancel(client);
    let sent = bench.take_sent();
    assert_eq!((sent[0].what().as_str(), sent[0].flow), ("CANCEL", tcp(8)));
    assert_eq!(texts(&bench.sends_until(31_000)), []);
}

#[test]
fn where_tcp_is_refused_a_large_request_goes_over_udp_after_all() {
    for method in ["INVITE", "MESSAGE"] {
        let mut bench = Bench::new();
        let request = large(method);
        bench.send(request.clone(), udp());
        bench.run_until(100);
        bench.take_sent();
        bench.flow_failed(flow(Transport::Tcp, None));
        let sent = bench.take_sent();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].flow, udp());
        assert_eq!(sent[0].message, Message::Request(request.clone()));
        assert_eq!(texts(&bench.sends_until(1000)), [(600, method)]);
        assert_eq!(texts(&bench.said()), []);
        bench.receive(reply(&request, 200, "b"), udp());
        assert_eq!(texts(&bench.said()), [(1000, "200")]);
        bench.run_until(100_000);
        assert!(bench.table.is_empty());
    }
}

#[test]
fn where_tcp_stays_silent_a_large_request_goes_over_udp_after_two_seconds() {
    let mut bench = Bench::new();
    bench.send(large("INVITE"), udp());
    let sends: Vec<u64> = bench.sends_until(100_000).iter().map(|(at, _)| *at).collect();
    assert_eq!(sends, [0, 2000, 2500, 3500, 5500, 9500, 17_500, 33_500]);
    assert_eq!(texts(&bench.said()), [(34_000, "timeout")]);
    assert!(bench.table.is_empty());
}

#[test]
fn where_tcp_answers_there_is_no_second_copy_over_udp() {
    let mut bench = Bench::new();
    let invite = large("INVITE");
    bench.send(invite.clone(), udp());
    bench.receive(reply(&invite, 100, ""), tcp(8));
    assert_eq!(bench.sends_until(100_000).len(), 1);
    bench.flow_failed(Flow { connection: Some(ConnectionId(8)), ..flow(Transport::Tcp, None) });
    assert_eq!(texts(&bench.said()), [(0, "100"), (100_000, "transport failed")]);
}
