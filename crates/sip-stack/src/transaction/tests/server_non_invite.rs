use super::bench::{Bench, reply, tcp, texts, theirs, udp};

#[test]
fn copies_of_the_request_are_absorbed_then_answered_with_the_last_response() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("OPTIONS"), udp());
    bench.receive(theirs("OPTIONS"), udp());
    assert_eq!(bench.sent(), [""; 0]);
    bench.respond(server, 100);
    bench.receive(theirs("OPTIONS"), udp());
    bench.respond(server, 183);
    bench.receive(theirs("OPTIONS"), udp());
    bench.respond(server, 200);
    bench.receive(theirs("OPTIONS"), udp());
    assert_eq!(bench.sent(), ["100", "100", "183", "183", "200", "200"]);
    assert_eq!(texts(&bench.said()), []);
}

#[test]
fn a_second_final_response_is_dropped_and_timer_j_ends_it() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("OPTIONS"), udp());
    bench.run_until(1000);
    bench.respond(server, 200);
    bench.respond(server, 500);
    bench.respond(server, 100);
    assert_eq!(texts(&bench.sends_until(40_000)), [(1000, "200")]);
    assert_eq!(texts(&bench.said()), [(33_000, "server ended")]);
    assert!(bench.table.is_empty());
}

#[test]
fn over_tcp_the_final_response_ends_it() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("OPTIONS"), tcp(1));
    bench.respond(server, 200);
    bench.run_until(1);
    assert_eq!(texts(&bench.said()), [(0, "server ended")]);
    assert!(bench.table.is_empty());
}

#[test]
fn a_transport_error_ends_it_once_something_was_sent() {
    for (status, expected) in
        [(None, vec![]), (Some(100), vec![(0, "server ended")]), (Some(200), vec![(0, "server ended")])]
    {
        let mut bench = Bench::new();
        let server = bench.serve(theirs("OPTIONS"), udp());
        if let Some(status) = status {
            bench.respond(server, status);
        }
        bench.flow_failed(udp());
        assert_eq!(texts(&bench.said()), expected, "{status:?}");
        assert_eq!(bench.table.is_empty(), status.is_some());
    }
}

#[test]
fn a_request_that_is_never_answered_is_forgotten_when_its_client_has_given_up() {
    for provisional in [false, true] {
        let mut bench = Bench::new();
        let server = bench.serve(theirs("MESSAGE"), udp());
        if provisional {
            bench.respond(server, 100);
        }
        bench.run_until(40_000);
        assert_eq!(texts(&bench.said()), [(32_000, "server ended")]);
        assert!(bench.table.is_empty());
    }
}

#[test]
fn responding_once_to_what_is_answered_changes_nothing() {
    let mut bench = Bench::new();
    let server = bench.serve(theirs("OPTIONS"), udp());
    bench.respond(server, 200);
    let late = reply(&theirs("OPTIONS"), 404, "t");
    bench.with(|table, cx| table.respond_once(server, late, cx));
    assert_eq!(bench.sent(), ["200"]);
    assert_eq!(bench.table.len(), 1);
}
