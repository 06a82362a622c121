//! Which message belongs to which transaction (§17.1.3, §17.2.3).

use offhook_sip::{Message, Name, Request};

use super::bench::{Bench, ours, reply, texts, theirs, udp, with_branch};

/// Receives a 200 to our OPTIONS in which one text is replaced by another.
fn answered(bench: &mut Bench, from: &str, to: &str) {
    let response = reply(&ours("OPTIONS"), 200, "b");
    let text = String::from_utf8(response.bytes().to_vec()).unwrap().replace(from, to);
    bench.receive(Message::parse(text.into()).unwrap(), udp());
}

#[test]
fn a_response_needs_our_branch_our_sent_by_and_the_method() {
    let mut bench = Bench::new();
    bench.send(ours("OPTIONS"), udp());
    answered(&mut bench, "z9hG4bK-ours", "z9hG4bK-other");
    answered(&mut bench, "UDP 192.0.2.1:5060", "UDP 192.0.2.1:5070");
    answered(&mut bench, "1 OPTIONS", "1 INVITE");
    assert_eq!(texts(&bench.said()), [(0, "stray 200"); 3]);
    answered(&mut bench, "z9hG4bK-ours", "Z9HG4BK-OURS");
    assert_eq!(texts(&bench.said()), [(0, "200")]);
}

#[test]
fn two_transactions_with_one_branch_differ_by_method() {
    let mut bench = Bench::new();
    let (options, message) = (ours("OPTIONS"), ours("MESSAGE"));
    bench.send(options.clone(), udp());
    bench.send(message.clone(), udp());
    bench.receive(reply(&message, 202, "b"), udp());
    bench.receive(reply(&options, 200, "b"), udp());
    bench.run_until(40_000);
    assert!(bench.table.is_empty());
}

#[test]
fn requests_of_different_hosts_with_one_branch_are_two() {
    let mut bench = Bench::new();
    bench.serve(with_branch("OPTIONS", "UDP 192.0.2.9:5060", "z9hG4bK1"), udp());
    bench.serve(with_branch("OPTIONS", "UDP 192.0.2.9:5061", "z9hG4bK1"), udp());
    bench.serve(with_branch("OPTIONS", "UDP a.example.com:5060", "z9hG4bK1"), udp());
    bench.serve(with_branch("MESSAGE", "UDP a.example.com:5060", "z9hG4bK1"), udp());
    bench.receive(with_branch("OPTIONS", "UDP A.Example.COM:5060", "Z9hG4bk1"), udp());
    assert_eq!(bench.table.len(), 4);
    assert_eq!(texts(&bench.said()), []);
}

/// A request as of RFC 2543.
fn old(method: &str, change: impl FnOnce(String) -> String, branch: &str) -> Request {
    let text = change(format!(
        "{method} sip:bob@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5060{branch}\nMax-Forwards: 70\n\
         From: <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>\nCall-ID: call-1\nCSeq: 1 {method}\n\
         Content-Length: 0\n"
    ));
    super::bench::request(&text)
}

/// The branches that say RFC 2543: none, one without the cookie, and the cookie alone.
const OLD: [&str; 3] = ["", ";branch=1.2", ";branch=z9hG4bK"];

fn same(text: String) -> String {
    text
}

#[test]
fn an_rfc_2543_copy_is_absorbed_and_a_request_that_differs_is_new() {
    for branch in OLD {
        let mut bench = Bench::new();
        bench.serve(old("INVITE", same, branch), udp());
        bench.receive(old("INVITE", same, branch), udp());
        assert_eq!(texts(&bench.said()), []);
        for (from, to) in [
            ("call-1", "call-2"),
            ("CSeq: 1", "CSeq: 2"),
            ("tag=a", "tag=z"),
            ("sip:bob@192.0.2.1", "sip:carol@192.0.2.1"),
            ("192.0.2.9:5060", "192.0.2.9:5062"),
            ("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=x"),
        ] {
            bench.serve(old("INVITE", |text| text.replace(from, to), branch), udp());
        }
        assert_eq!(bench.table.len(), 7);
    }
}

#[test]
fn an_rfc_2543_ack_matches_by_the_tag_of_our_response() {
    for branch in OLD {
        let mut bench = Bench::new();
        let server = bench.serve(old("INVITE", same, branch), udp());
        bench.respond(server, 486);
        let ack = |tag: &str| {
            old(
                "ACK",
                |text| text.replace("bob@example.com>", &format!("bob@example.com>;tag={tag}")),
                branch,
            )
        };
        bench.receive(ack("wrong"), udp());
        assert_eq!(texts(&bench.said()), [(0, "ack")]);
        bench.receive(ack("here"), udp());
        bench.sent();
        assert_eq!(texts(&bench.sends_until(40_000)), []);
        assert_eq!(texts(&bench.said()), [(5000, "server ended")]);
    }
}

#[test]
fn an_rfc_2543_ack_inside_a_dialog_matches_too() {
    let mut bench = Bench::new();
    let in_dialog = |text: String| text.replace("bob@example.com>", "bob@example.com>;tag=x");
    let server = bench.serve(old("INVITE", in_dialog, ""), udp());
    bench.respond(server, 491);
    bench.receive(old("ACK", in_dialog, ""), udp());
    bench.run_until(40_000);
    assert_eq!(texts(&bench.said()), [(5000, "server ended")]);
}

#[test]
fn an_rfc_2543_cancel_finds_its_invite() {
    for branch in OLD {
        let mut bench = Bench::new();
        bench.serve(old("INVITE", same, branch), udp());
        bench.receive(old("CANCEL", same, branch), udp());
        assert_eq!(texts(&bench.said()), [(0, "cancel")]);
    }
}

#[test]
fn what_a_sender_writes_as_received_and_rport_does_not_count() {
    let mut bench = Bench::new();
    bench.serve(theirs("INVITE"), udp());
    let forged = with_branch("INVITE", "UDP 192.0.2.9:5060;received=10.0.0.1;rport=9", "z9hG4bK-theirs");
    bench.receive(forged, udp());
    assert_eq!(texts(&bench.said()), []);
    assert!(bench.table.len() == 1);
}

#[test]
fn the_request_is_kept_as_it_came_but_stamped() {
    let mut bench = Bench::new();
    let server = bench.serve(with_branch("OPTIONS", "UDP 10.1.1.1:5060;rport", "z9hG4bK1"), udp());
    let request = bench.table.request(server).unwrap();
    let via = request.via().unwrap();
    assert_eq!(via.received(), Some("192.0.2.9".parse().unwrap()));
    assert_eq!(via.rport(), Some(5060));
    assert_eq!(request.raw(Name::CallId), Some(&b"call-1"[..]));
    bench.respond(server, 200);
    assert!(bench.table.request(server).is_none());
}
