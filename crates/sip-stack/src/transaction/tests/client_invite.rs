use offhook_sip::{Message, Name};

use super::bench::{Bench, ours, reply, tcp, texts, udp};

#[test]
fn unanswered_invite_is_sent_seven_times_then_times_out() {
    let mut bench = Bench::new();
    bench.send(ours("INVITE"), udp());
    let sends = bench.sends_until(40_000);
    let moments: Vec<u64> = sends.iter().map(|(at, _)| *at).collect();
    assert_eq!(moments, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(texts(&bench.said()), [(32_000, "timeout")]);
    assert!(bench.table.is_empty());
}

#[test]
fn invite_over_tcp_is_sent_once_then_times_out() {
    let mut bench = Bench::new();
    bench.send(ours("INVITE"), tcp(1));
    assert_eq!(bench.sends_until(40_000).len(), 1);
    assert_eq!(texts(&bench.said()), [(32_000, "timeout")]);
    assert!(bench.table.is_empty());
}

#[test]
fn a_provisional_response_stops_retransmission_and_timer_b() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    bench.send(invite.clone(), udp());
    bench.run_until(600);
    bench.sent();
    bench.receive(reply(&invite, 180, "b"), udp());
    bench.receive(reply(&invite, 183, "c"), udp());
    assert_eq!(bench.sends_until(100_000), []);
    assert_eq!(texts(&bench.said()), [(600, "180"), (600, "183")]);
    assert_eq!(bench.table.len(), 1);
}

#[test]
fn a_failure_is_acknowledged_and_its_copies_again_but_told_once() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    bench.send(invite.clone(), udp());
    bench.receive(reply(&invite, 100, ""), udp());
    bench.sent();
    for _ in 0..3 {
        bench.receive(reply(&invite, 486, "b"), udp());
    }
    let sent = bench.take_sent();
    assert_eq!(sent.len(), 3);
    for ack in &sent {
        let Message::Request(ack) = &ack.message else { panic!("a response") };
        assert_eq!(ack.method().as_str(), "ACK");
        assert_eq!(ack.uri_bytes(), invite.uri_bytes());
        assert_eq!(ack.raw_all(Name::Via).collect::<Vec<_>>(), invite.raw_all(Name::Via).collect::<Vec<_>>());
        assert_eq!(ack.raw(Name::From), invite.raw(Name::From));
        assert_eq!(ack.raw(Name::Route), invite.raw(Name::Route));
        assert_eq!(ack.raw(Name::CallId), invite.raw(Name::CallId));
        assert_eq!(ack.to_tag(), Some("b"));
        assert_eq!(ack.cseq().unwrap().to_string(), "1 ACK");
        assert!(!ack.has(Name::Contact));
    }
    bench.run_until(40_000);
    assert_eq!(texts(&bench.said()), [(0, "100"), (0, "486"), (32_000, "client ended")]);
    assert!(bench.table.is_empty());
}

#[test]
fn a_failure_straight_after_the_invite_ends_at_once_over_tcp() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    bench.send(invite.clone(), tcp(1));
    bench.receive(reply(&invite, 603, "b"), tcp(1));
    assert_eq!(bench.sent(), ["INVITE", "ACK"]);
    bench.run_until(1);
    assert_eq!(texts(&bench.said()), [(0, "603"), (0, "client ended")]);
    assert!(bench.table.is_empty());
}

#[test]
fn the_ack_repeats_the_credentials_of_the_invite() {
    let mut bench = Bench::new();
    let mut edit = ours("INVITE").edit();
    edit.add(Name::ProxyAuthorization, "Digest username=\"alice\"");
    let invite = edit.finish();
    bench.send(invite.clone(), udp());
    bench.receive(reply(&invite, 404, "b"), udp());
    let sent = bench.take_sent();
    assert_eq!(sent[1].message.headers().raw(Name::ProxyAuthorization), invite.raw(Name::ProxyAuthorization));
}

#[test]
fn every_2xx_is_passed_on_until_timer_m_and_none_is_acknowledged_here() {
    for through_proceeding in [false, true] {
        let mut bench = Bench::new();
        let invite = ours("INVITE");
        bench.send(invite.clone(), udp());
        if through_proceeding {
            bench.receive(reply(&invite, 180, "b"), udp());
            bench.said();
        }
        bench.sent();
        bench.receive(reply(&invite, 200, "b"), udp());
        bench.run_until(500);
        bench.receive(reply(&invite, 200, "b"), udp());
        bench.receive(reply(&invite, 200, "other"), udp());
        // What comes after a 2xx and is none is absorbed.
        bench.receive(reply(&invite, 180, "late"), udp());
        bench.receive(reply(&invite, 486, "late"), udp());
        bench.flow_failed(udp());
        bench.run_until(31_999);
        assert_eq!(bench.table.len(), 1);
        bench.run_until(33_000);
        assert_eq!(texts(&bench.said()), [(0, "200"), (500, "200"), (500, "200"), (32_000, "client ended")]);
        assert_eq!(bench.sent(), [""; 0]);
        assert!(bench.table.is_empty());
    }
}

#[test]
fn other_responses_after_a_failure_are_absorbed() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    bench.send(invite.clone(), udp());
    bench.receive(reply(&invite, 486, "b"), udp());
    bench.sent();
    bench.receive(reply(&invite, 180, "b"), udp());
    bench.receive(reply(&invite, 200, "b"), udp());
    assert_eq!(bench.sent(), [""; 0]);
    assert_eq!(texts(&bench.said()), [(0, "486")]);
}

#[test]
fn a_transport_error_ends_it_and_is_told_unless_there_was_a_final_response() {
    for (status, expected) in
        [(None, "transport failed"), (Some(180), "transport failed"), (Some(486), "client ended")]
    {
        let mut bench = Bench::new();
        let invite = ours("INVITE");
        bench.send(invite.clone(), tcp(1));
        if let Some(status) = status {
            bench.receive(reply(&invite, status, "b"), tcp(1));
        }
        bench.said();
        bench.flow_failed(tcp(1));
        assert_eq!(texts(&bench.said()), [(0, expected)], "{status:?}");
        assert!(bench.table.is_empty());
        bench.run_until(40_000);
        assert_eq!(texts(&bench.said()), []);
    }
}

#[test]
fn a_failure_of_another_connection_is_no_failure() {
    let mut bench = Bench::new();
    bench.send(ours("INVITE"), tcp(1));
    bench.flow_failed(tcp(2));
    bench.flow_failed(udp());
    assert_eq!(texts(&bench.said()), []);
    assert_eq!(bench.table.len(), 1);
}

#[test]
fn whatever_stands_in_to_is_acknowledged_as_it_came() {
    for to in ["<sip:bob@example.com>", "\"a \\\" b\"\r\n <sip:bob@example.com>;tag=b;x=\"\u{e9}\"", "sip:x"]
    {
        let mut bench = Bench::new();
        let invite = ours("INVITE");
        bench.send(invite.clone(), udp());
        bench.sent();
        let text = String::from_utf8(reply(&invite, 486, "b").bytes().to_vec()).unwrap();
        let text = text.replace("<sip:bob@example.com>;tag=b", to);
        let response = Message::parse(text.into()).unwrap();
        let expected = response.headers().raw(Name::To).map(<[u8]>::to_vec);
        bench.receive(response, udp());
        let sent = bench.take_sent();
        assert_eq!(sent[0].message.headers().raw(Name::To).map(<[u8]>::to_vec), expected);
        assert_eq!(texts(&bench.said()), [(0, "486")]);
    }
}

#[test]
fn a_flood_of_responses_leaves_one_transaction() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    bench.send(invite.clone(), udp());
    for number in 0..1000_u16 {
        bench.receive(reply(&invite, 100 + number % 100, &number.to_string()), udp());
    }
    for number in 0..1000_u16 {
        bench.receive(reply(&invite, 200 + number % 500, &number.to_string()), udp());
    }
    assert_eq!(bench.table.len(), 1);
    bench.run_until(40_000);
    assert!(bench.table.is_empty());
}
