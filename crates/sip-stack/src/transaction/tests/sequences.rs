//! Any sequence of inputs: no panic, and an empty table in the end.

use proptest::prelude::*;

use super::bench::{Bench, flow, reply, tcp, udp, with_branch};
use crate::transaction::{ClientId, Limits, ServerId, TransactionEvent};
use crate::{Flow, Transport};

const METHODS: [&str; 5] = ["INVITE", "ACK", "CANCEL", "OPTIONS", "BYE"];
const STATUSES: [u16; 7] = [100, 180, 200, 302, 401, 487, 603];

#[derive(Clone, Debug)]
enum Step {
    Receive { method: usize, branch: u8, way: u8 },
    Send { method: usize, branch: u8, way: u8, large: bool },
    Response { method: usize, branch: u8, way: u8, status: usize },
    Respond { server: usize, status: usize, once: bool },
    Trying { server: usize },
    Cancel { client: usize },
    FlowFailed { way: u8 },
    Pass { millis: u64 },
}

fn steps() -> impl Strategy<Value = Step> {
    let (method, branch, way) = (0..METHODS.len(), 0..4_u8, 0..4_u8);
    let status = 0..STATUSES.len();
    prop_oneof![
        (method.clone(), branch.clone(), way.clone()).prop_map(|(method, branch, way)| Step::Receive {
            method,
            branch,
            way
        }),
        (method.clone(), branch.clone(), way.clone(), any::<bool>())
            .prop_map(|(method, branch, way, large)| Step::Send { method, branch, way, large }),
        (method, branch, way.clone(), status.clone())
            .prop_map(|(method, branch, way, status)| Step::Response { method, branch, way, status }),
        (0..8_usize, status, any::<bool>()).prop_map(|(server, status, once)| Step::Respond {
            server,
            status,
            once
        }),
        (0..8_usize).prop_map(|server| Step::Trying { server }),
        (0..8_usize).prop_map(|client| Step::Cancel { client }),
        way.prop_map(|way| Step::FlowFailed { way }),
        prop_oneof![Just(0), 1..1000_u64, 1000..40_000_u64].prop_map(|millis| Step::Pass { millis }),
    ]
}

fn way(number: u8) -> Flow {
    match number {
        0 => udp(),
        1 => tcp(1),
        2 => tcp(2),
        _ => flow(Transport::Tcp, None),
    }
}

fn branch(number: u8) -> &'static str {
    // The last two are of RFC 2543.
    ["z9hG4bK1", "z9hG4bK2", "1", "z9hG4bK"][usize::from(number)]
}

#[derive(Default)]
struct Known {
    servers: Vec<(ServerId, offhook_sip::Request)>,
    clients: Vec<ClientId>,
}

fn pick<T: Clone>(from: &[T], number: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[number % from.len()].clone())
}

fn act(bench: &mut Bench, known: &mut Known, step: Step) {
    match step {
        Step::Receive { method, branch: number, way: from } => {
            bench.receive(with_branch(METHODS[method], "UDP 192.0.2.9:5060", branch(number)), way(from));
        }
        Step::Send { method, branch: number, way: to, large } => {
            let mut edit = with_branch(METHODS[method], "UDP 192.0.2.1:5060", branch(number)).edit();
            if large {
                edit.set_body(Some("text/plain"), &[b'x'; 1300]);
            }
            known.clients.push(bench.send(edit.finish(), way(to)));
        }
        Step::Response { method, branch: number, way: from, status } => {
            let request = with_branch(METHODS[method], "UDP 192.0.2.1:5060", branch(number));
            bench.receive(reply(&request, STATUSES[status], "t"), way(from));
        }
        Step::Respond { server, status, once } => {
            let Some((server, request)) = pick(&known.servers, server) else { return };
            let response = reply(&request, STATUSES[status], "t");
            bench.with(|table, cx| match once {
                true => table.respond_once(server, response, cx),
                false => table.respond(server, response, cx),
            });
        }
        Step::Trying { server } => {
            let Some((server, _)) = pick(&known.servers, server) else { return };
            bench.with(|table, cx| table.trying(server, cx));
        }
        Step::Cancel { client } => {
            let Some(client) = pick(&known.clients, client) else { return };
            bench.cancel(client);
        }
        Step::FlowFailed { way: failed } => bench.flow_failed(way(failed)),
        Step::Pass { millis } => bench.run_until(bench.elapsed() + millis),
    }
    for event in bench.events() {
        if let TransactionEvent::Request { server, request, .. }
        | TransactionEvent::Cancel { server, request, .. } = event
        {
            known.servers.push((server, request));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn whatever_happens_the_table_is_empty_when_its_timers_have_run(
        sequence in proptest::collection::vec(steps(), 1..60),
        limit in 1..6_usize,
    ) {
        let mut bench = Bench::with_limits(Limits { clients: limit, servers: limit });
        let mut known = Known::default();
        for step in sequence {
            act(&mut bench, &mut known, step);
            // CANCELs may come on top.
            prop_assert!(bench.table.len() <= 4 * limit + known.clients.len());
        }
        // The users do what they must: answer their INVITEs, give up those they sent.
        for (server, request) in known.servers {
            let response = reply(&request, 480, "t");
            bench.with(|table, cx| table.respond(server, response, cx));
        }
        for client in known.clients {
            bench.cancel(client);
        }
        bench.run_until(bench.elapsed() + 32_000 + 2_000 + 32_000 + 5_000);
        prop_assert!(bench.table.is_empty());
    }
}
