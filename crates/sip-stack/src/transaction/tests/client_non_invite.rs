use super::bench::{Bench, ours, reply, tcp, texts, udp};

#[test]
fn unanswered_request_is_sent_eleven_times_then_times_out() {
    let mut bench = Bench::new();
    bench.send(ours("OPTIONS"), udp());
    let moments: Vec<u64> = bench.sends_until(40_000).iter().map(|(at, _)| *at).collect();
    assert_eq!(moments, [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(texts(&bench.said()), [(32_000, "timeout")]);
    assert!(bench.table.is_empty());
}

#[test]
fn request_over_tcp_is_sent_once_then_times_out() {
    let mut bench = Bench::new();
    bench.send(ours("OPTIONS"), tcp(1));
    assert_eq!(bench.sends_until(40_000).len(), 1);
    assert_eq!(texts(&bench.said()), [(32_000, "timeout")]);
}

#[test]
fn after_a_provisional_response_it_is_sent_again_every_four_seconds() {
    let mut bench = Bench::new();
    let options = ours("OPTIONS");
    bench.send(options.clone(), udp());
    bench.run_until(600);
    bench.sent();
    bench.receive(reply(&options, 100, ""), udp());
    bench.receive(reply(&options, 183, "b"), udp());
    let moments: Vec<u64> = bench.sends_until(40_000).iter().map(|(at, _)| *at).collect();
    assert_eq!(moments, [1500, 5500, 9500, 13_500, 17_500, 21_500, 25_500, 29_500]);
    assert_eq!(texts(&bench.said()), [(600, "100"), (600, "183"), (32_000, "timeout")]);
    assert!(bench.table.is_empty());
}

#[test]
fn the_first_final_response_is_told_and_copies_are_absorbed_until_timer_k() {
    for provisional in [false, true] {
        let mut bench = Bench::new();
        let options = ours("OPTIONS");
        bench.send(options.clone(), udp());
        if provisional {
            bench.receive(reply(&options, 100, ""), udp());
            bench.said();
        }
        bench.receive(reply(&options, 200, "b"), udp());
        bench.receive(reply(&options, 200, "b"), udp());
        bench.receive(reply(&options, 404, "c"), udp());
        bench.receive(reply(&options, 100, ""), udp());
        bench.flow_failed(udp());
        assert_eq!(bench.sends_until(40_000).len(), 1);
        assert_eq!(texts(&bench.said()), [(0, "200"), (5000, "client ended")]);
        assert!(bench.table.is_empty());
    }
}

#[test]
fn over_tcp_it_ends_with_its_final_response() {
    let mut bench = Bench::new();
    let options = ours("OPTIONS");
    bench.send(options.clone(), tcp(1));
    bench.receive(reply(&options, 500, "b"), tcp(1));
    bench.run_until(1);
    assert_eq!(texts(&bench.said()), [(0, "500"), (0, "client ended")]);
    assert!(bench.table.is_empty());
}

#[test]
fn a_transport_error_before_the_final_response_ends_it() {
    for provisional in [false, true] {
        let mut bench = Bench::new();
        let options = ours("OPTIONS");
        bench.send(options.clone(), udp());
        if provisional {
            bench.receive(reply(&options, 100, ""), udp());
            bench.said();
        }
        bench.flow_failed(udp());
        assert_eq!(texts(&bench.said()), [(0, "transport failed")]);
        assert!(bench.table.is_empty());
    }
}
