use offhook_sip::{Name, Request};

use super::bench::{Bench, ours, reply, texts, their_ack, theirs, udp};
use crate::Flow;

/// Where the peer, or the way to it, is after a move.
fn elsewhere() -> Flow {
    Flow { remote: "198.51.100.7:5070".parse().unwrap(), ..udp() }
}

fn with_credentials(response: &str) -> Request {
    let credentials = format!("Digest username=\"alice\", response=\"{response}\"");
    let via = "SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK-theirs";
    theirs("INVITE").edit().set(Name::Authorization, credentials).set(Name::Via, via).finish()
}

fn ways(bench: &mut Bench) -> Vec<(String, bool)> {
    bench.take_sent().iter().map(|sent| (sent.what(), sent.flow == elsewhere())).collect()
}

#[test]
fn who_sends_its_invite_again_from_elsewhere_has_the_responses_there() {
    for (status, answered_before) in [(200, false), (486, false), (200, true), (486, true)] {
        let mut bench = Bench::new();
        let server = bench.serve(with_credentials("one"), udp());
        bench.respond(server, if answered_before { status } else { 180 });
        bench.sent();
        bench.receive(with_credentials("one"), elsewhere());
        bench.respond(server, status);
        assert!(bench.take_sent().iter().all(|sent| sent.flow == elsewhere()), "{status} {answered_before}");
        assert_eq!(texts(&bench.said()), []);
    }
}

#[test]
fn responses_stay_where_they_go_when_somebody_else_repeats_the_invite() {
    let without = || with_credentials("one").edit().remove(Name::Authorization).finish();
    let other_call = || with_credentials("one").edit().set(Name::CallId, "call-2").finish();
    for copy in [without(), with_credentials("two"), other_call()] {
        for answered_before in [false, true] {
            let mut bench = Bench::new();
            let server = bench.serve(with_credentials("one"), udp());
            bench.respond(server, if answered_before { 486 } else { 180 });
            bench.receive(copy.clone(), elsewhere());
            bench.respond(server, 486);
            assert!(bench.take_sent().iter().all(|sent| sent.flow != elsewhere()));
        }
    }
    // Who has shown nothing cannot show it again.
    let mut bench = Bench::new();
    let server = bench.serve(without(), udp());
    bench.receive(without(), elsewhere());
    bench.respond(server, 486);
    assert!(bench.take_sent().iter().all(|sent| sent.flow != elsewhere()));
    bench.receive(their_ack(), udp());
}

#[test]
fn who_has_moved_sends_its_invite_until_a_response_finds_it() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    let client = bench.send(invite.clone(), udp());
    bench.receive(reply(&invite, 180, "b"), udp());
    bench.run_until(1000);
    bench.sent();
    bench.with(|table, cx| table.moved(client, elsewhere(), cx));
    bench.run_until(2600);
    let again = ("INVITE".to_owned(), true);
    assert_eq!(ways(&mut bench), [again.clone(), again.clone(), again]);
    bench.receive(reply(&invite, 180, "b"), elsewhere());
    assert_eq!(bench.sends_until(60_000), []);
    bench.cancel(client);
    assert_eq!(ways(&mut bench)[0], ("CANCEL".to_owned(), true));
}

#[test]
fn nothing_from_there_is_a_timeout() {
    let mut bench = Bench::new();
    let invite = ours("INVITE");
    let client = bench.send(invite.clone(), udp());
    bench.receive(reply(&invite, 180, "b"), udp());
    bench.said();
    bench.with(|table, cx| table.moved(client, elsewhere(), cx));
    bench.run_until(40_000);
    assert_eq!(texts(&bench.said()), [(32_000, "timeout")]);
}

#[test]
fn a_peer_that_has_moved_gets_what_it_has_not_answered() {
    let mut bench = Bench::new();
    let (unheard, rings) = (ours("BYE"), ours("INVITE"));
    let bye = bench.send(unheard, udp());
    let client = bench.send(rings.clone(), udp());
    bench.receive(reply(&rings, 180, "b"), udp());
    bench.cancel(client);
    bench.sent();
    for client in [bye, client] {
        bench.with(|table, cx| table.reroute(client, elsewhere(), cx));
    }
    // The INVITE itself has arrived.
    assert_eq!(ways(&mut bench), [("BYE".to_owned(), true), ("CANCEL".to_owned(), true)]);
}
