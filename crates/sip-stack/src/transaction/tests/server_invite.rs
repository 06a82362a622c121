use offhook_sip::Response;

use super::bench::{Bench, tcp, texts, their_ack, theirs, udp};

#[test]
fn a_silent_user_lets_100_go_out_after_200_ms() {
    let mut bench = Bench::new();
    bench.serve(theirs("INVITE"), udp());
    assert_eq!(texts(&bench.sends_until(10_000)), [(200, "100")]);
    assert_eq!(bench.table.len(), 1);
}

#[test]
fn trying_sends_100_at_once_and_only_once() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("INVITE"), udp());
    for _ in 0..2 {
        bench.with(|table, cx| table.trying(server, cx));
    }
    let sent = bench.take_sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].message.headers().to_tag(), None);
    assert_eq!(texts(&bench.sends_until(10_000)), []);
}

#[test]
fn a_user_that_speaks_in_time_makes_100_needless() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("INVITE"), udp());
    bench.run_until(150);
    bench.respond(server, 180);
    bench.with(|table, cx| table.trying(server, cx));
    assert_eq!(texts(&bench.sends_until(10_000)), [(150, "180")]);
}

#[test]
fn a_repeated_invite_gets_the_last_provisional_response() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("INVITE"), udp());
    bench.receive(theirs("INVITE"), udp());
    assert_eq!(bench.sent(), [""; 0]);
    bench.respond(server, 100);
    bench.receive(theirs("INVITE"), udp());
    bench.respond(server, 183);
    bench.receive(theirs("INVITE"), udp());
    assert_eq!(bench.sent(), ["100", "100", "183", "183"]);
    assert_eq!(texts(&bench.said()), []);
}

#[test]
fn a_failure_is_sent_eleven_times_then_the_missing_ack_is_told() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("INVITE"), udp());
    bench.respond(server, 486);
    let moments: Vec<u64> = bench.sends_until(40_000).iter().map(|(at, _)| *at).collect();
    assert_eq!(moments, [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(texts(&bench.said()), [(32_000, "no ack")]);
    assert!(bench.table.is_empty());
}

#[test]
fn a_failure_over_tcp_is_sent_once_and_waits_for_its_ack() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("INVITE"), tcp(1));
    bench.respond(server, 486);
    assert_eq!(bench.sends_until(40_000).len(), 1);
    assert_eq!(texts(&bench.said()), [(32_000, "no ack")]);
}

#[test]
fn the_ack_of_a_failure_is_absorbed_with_its_copies_until_timer_i() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("INVITE"), udp());
    bench.respond(server, 486);
    bench.receive(theirs("INVITE"), udp());
    assert_eq!(bench.sent(), ["486", "486"]);
    bench.run_until(100);
    bench.receive(their_ack(), udp());
    bench.receive(their_ack(), udp());
    bench.receive(theirs("INVITE"), udp());
    bench.respond(server, 500);
    bench.flow_failed(udp());
    assert_eq!(texts(&bench.sends_until(40_000)), []);
    assert_eq!(texts(&bench.said()), [(5100, "server ended")]);
    assert!(bench.table.is_empty());
}

#[test]
fn over_tcp_the_ack_of_a_failure_ends_it() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("INVITE"), tcp(1));
    bench.respond(server, 486);
    bench.receive(their_ack(), tcp(1));
    bench.run_until(1);
    assert_eq!(texts(&bench.said()), [(0, "server ended")]);
    assert!(bench.table.is_empty());
}

#[test]
fn after_a_2xx_copies_of_the_invite_are_absorbed_and_the_user_repeats_the_2xx_until_timer_l() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("INVITE"), udp());
    bench.respond(server, 200);
    bench.receive(theirs("INVITE"), udp());
    bench.respond(server, 180);
    bench.respond(server, 486);
    bench.flow_failed(udp());
    assert_eq!(bench.sent(), ["200"]);
    bench.run_until(500);
    bench.respond(server, 200);
    assert_eq!(texts(&bench.sends_until(31_999)), [(500, "200")]);
    assert_eq!(bench.table.len(), 1);
    bench.run_until(40_000);
    assert_eq!(texts(&bench.said()), [(32_000, "server ended")]);
    assert!(bench.table.is_empty());
}

#[test]
fn an_ack_with_the_branch_of_the_invite_reaches_the_user_after_a_2xx() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("INVITE"), udp());
    bench.respond(server, 200);
    bench.receive(their_ack(), udp());
    assert_eq!(texts(&bench.said()), [(0, "ack of ours")]);
}

#[test]
fn an_ack_before_any_final_response_is_absorbed() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("INVITE"), udp());
    bench.receive(their_ack(), udp());
    assert_eq!(texts(&bench.said()), []);
    bench.respond(server, 200);
    assert_eq!(bench.sent(), ["200"]);
}

#[test]
fn an_ack_that_matches_nothing_is_passed_on() {
    let mut bench = Bench::new();
    bench.receive(their_ack(), udp());
    assert_eq!(texts(&bench.said()), [(0, "ack")]);
    assert!(bench.table.is_empty());
}

#[test]
fn a_transport_error_ends_it_before_and_after_a_failure() {
    for status in [180, 486] {
        let mut bench = Bench::new();
        let server = bench.serve(theirs("INVITE"), udp());
        bench.respond(server, status);
        bench.flow_failed(udp());
        assert_eq!(texts(&bench.said()), [(0, "server ended")]);
        assert!(bench.table.is_empty());
    }
}

#[test]
fn a_response_sent_once_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("INVITE"), udp());
    let challenge =
        Response::to_request(&theirs("INVITE"), offhook_sip::Status::UNAUTHORIZED).to_tag("t").finish();
    bench.with(|table, cx| table.respond_once(server, challenge, cx));
    assert_eq!(bench.sent(), ["401"]);
    assert!(bench.table.is_empty());
    bench.receive(their_ack(), udp());
    bench.run_until(40_000);
    assert_eq!(texts(&bench.said()), [(0, "ack")]);
    bench.serve(theirs("INVITE"), udp());
}
