//! The table as a whole: its bounds.

use super::bench::{Bench, ours, texts, theirs, udp, with_branch};
use crate::transaction::Limits;

fn small() -> Bench {
    Bench::with_limits(Limits { clients: 2, servers: 2 })
}

#[test]
fn a_full_table_answers_503_and_keeps_nothing() {
    let mut bench = small();
    for branch in ["z9hG4bK1", "z9hG4bK2"] {
        bench.serve(with_branch("OPTIONS", "UDP 192.0.2.9:5060", branch), udp());
    }
    for _ in 0..3 {
        bench.receive(theirs("INVITE"), udp());
    }
    let sent = bench.take_sent();
    assert_eq!(sent.iter().map(|sent| sent.what()).collect::<Vec<_>>(), ["503", "503", "503"]);
    assert_eq!(sent[0].message.headers().retry_after(), Ok(Some(10)));
    assert_eq!(texts(&bench.said()), []);
    assert_eq!(bench.table.len(), 2);
}

#[test]
fn a_full_table_still_lets_calls_be_cancelled_and_acknowledged() {
    let mut bench = small();
    bench.serve(with_branch("OPTIONS", "UDP 192.0.2.9:5060", "z9hG4bK1"), udp());
    let invite = bench.serve(theirs("INVITE"), udp());
    bench.receive(theirs("CANCEL"), udp());
    bench.respond(invite, 487);
    bench.receive(theirs("ACK"), udp());
    assert_eq!(texts(&bench.said()), [(0, "cancel")]);
    // An unknown CANCEL is refused like any other request.
    bench.receive(with_branch("CANCEL", "UDP 192.0.2.9:5060", "z9hG4bK9"), udp());
    assert_eq!(bench.sent(), ["487", "503"]);
}

#[test]
fn a_client_too_many_fails_with_the_next_timers() {
    let mut bench = small();
    for branch in ["z9hG4bK1", "z9hG4bK2"] {
        bench.send(with_branch("OPTIONS", "UDP 192.0.2.1:5060", branch), udp());
    }
    bench.sent();
    let invite = bench.send(ours("INVITE"), udp());
    assert_eq!(bench.cancel(invite), None);
    assert_eq!(bench.sent(), [""; 0]);
    bench.run_until(1);
    assert_eq!(texts(&bench.said()), [(0, "transport failed")]);
    assert_eq!(bench.table.len(), 2);
}

#[test]
fn a_request_used_twice_by_mistake_leaves_nothing_behind() {
    let mut bench = Bench::new();
    bench.send(ours("OPTIONS"), udp());
    bench.send(ours("OPTIONS"), udp());
    bench.run_until(40_000);
    assert_eq!(texts(&bench.said()), [(32_000, "timeout"), (32_000, "timeout")]);
    assert!(bench.table.is_empty());
}
