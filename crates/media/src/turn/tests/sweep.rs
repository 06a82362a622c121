//! Sequences of everything, in any order: the tables stay sound, and in the end they are empty.

use proptest::prelude::*;

use super::super::channel;
use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate {
        client: u8,
        account: u8,
        even: u8,
    },
    /// With the token that was given last.
    Claim {
        client: u8,
        account: u8,
    },
    Opened {
        is_open: bool,
    },
    Refresh {
        client: u8,
        account: u8,
        lifetime: u32,
    },
    Permit {
        client: u8,
        peer: u8,
    },
    Bind {
        client: u8,
        peer: u8,
        number: u16,
    },
    Data {
        client: u8,
        number: u16,
    },
    Arrive {
        peer: u8,
        allocation: u8,
    },
    Close {
        client: u8,
    },
    Pass {
        seconds: u64,
    },
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    let (client, account, peer) = (0..6_u8, 0..2_u8, 0..4_u8);
    let number = 0x4000..0x4003_u16;
    prop_oneof![
        4 => (client.clone(), account.clone(), 0..3_u8)
            .prop_map(|(client, account, even)| Step::Allocate { client, account, even }),
        1 => (client.clone(), account.clone()).prop_map(|(client, account)| Step::Claim { client, account }),
        6 => prop::bool::weighted(0.8).prop_map(|is_open| Step::Opened { is_open }),
        2 => (client.clone(), account, prop_oneof![Just(0), Just(600), Just(3600)])
            .prop_map(|(client, account, lifetime)| Step::Refresh { client, account, lifetime }),
        2 => (client.clone(), peer.clone()).prop_map(|(client, peer)| Step::Permit { client, peer }),
        2 => (client.clone(), peer.clone(), number.clone())
            .prop_map(|(client, peer, number)| Step::Bind { client, peer, number }),
        2 => (client.clone(), number).prop_map(|(client, number)| Step::Data { client, number }),
        2 => (peer, 0..4_u8).prop_map(|(peer, allocation)| Step::Arrive { peer, allocation }),
        1 => client.prop_map(|client| Step::Close { client }),
        2 => (0..400_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Expire),
    ]
}

/// The server, and what its driver has to do still.
struct Sweep {
    bench: Bench,
    sockets: std::collections::BTreeSet<u16>,
    to_open: Vec<u16>,
    token: [u8; 8],
}

impl Sweep {
    fn new() -> Sweep {
        let mut config = config();
        config.ports = 21_000..=21_007;
        config.limits.per_account = 3;
        let bench = Bench::with(config);
        Sweep { bench, sockets: Default::default(), to_open: Vec::new(), token: [0; 8] }
    }

    fn take(&mut self, out: Vec<Output>) {
        for one in out {
            match one {
                Output::Open { address } => self.to_open.push(address.port()),
                Output::Close { port } => assert!(self.sockets.remove(&port), "{port} is not open"),
                Output::ToPeer { port, .. } => assert!(self.sockets.contains(&port)),
                Output::ToClient { bytes, .. } => {
                    let token = Message::parse(&bytes).and_then(|one| one.get(kind::RESERVATION_TOKEN));
                    self.token = token.and_then(|token| token.try_into().ok()).unwrap_or(self.token);
                }
            }
        }
    }

    fn ask(&mut self, client: u8, account: u8, request: Writer) {
        let from = self::client(client);
        let account = ["sip:alice@example.com", "sip:bob@example.com"][usize::from(account)];
        // So that nobody is without an answer for having asked too often.
        self.bench.pass(1);
        // The challenge, whose outputs nobody looks at, must find nothing to close.
        self.step(Step::Expire);
        let bytes = self.bench.sign(from, request, account);
        let out = self.bench.put(from, &bytes);
        self.take(out);
    }

    fn step(&mut self, step: Step) {
        let now = self.bench.now;
        let mut out = Vec::new();
        match step {
            Step::Allocate { client, account, even } => {
                let request = self.bench.allocate();
                let request = match even {
                    0 => request,
                    one => request.attribute(kind::EVEN_PORT, &[if one == 1 { 0 } else { 0x80 }]),
                };
                self.ask(client, account, request);
            }
            Step::Claim { client, account } => {
                let request = self.bench.allocate().attribute(kind::RESERVATION_TOKEN, &self.token);
                self.ask(client, account, request);
            }
            Step::Opened { is_open } => {
                if let Some(port) = self.to_open.pop() {
                    if is_open {
                        assert!(self.sockets.insert(port), "{port} is open already");
                    }
                    self.bench.server.opened(now, port, is_open, &mut out);
                }
            }
            Step::Refresh { client, account, lifetime } => {
                let request = self.bench.begin(Method::Refresh).number(kind::LIFETIME, lifetime);
                self.ask(client, account, request);
            }
            Step::Permit { client, peer } => {
                let request = self.bench.begin(Method::CreatePermission);
                self.ask(client, 0, request.address(kind::XOR_PEER_ADDRESS, self::peer(peer)));
            }
            Step::Bind { client, peer, number } => {
                let request = self.bench.begin(Method::ChannelBind);
                let request = request.number(kind::CHANNEL_NUMBER, u32::from(number) << 16);
                self.ask(client, 0, request.address(kind::XOR_PEER_ADDRESS, self::peer(peer)));
            }
            Step::Data { client, number } => {
                out = self.bench.put(self::client(client), &channel::write(number, b"data", false));
            }
            Step::Arrive { peer, allocation } => {
                if let Some(port) = self.sockets.iter().nth(usize::from(allocation)).copied() {
                    self.bench.server.relayed(now, port, self::peer(peer), b"data", &mut out);
                }
            }
            Step::Close { client } => self.bench.server.closed(&self::client(client), &mut out),
            Step::Pass { seconds } => self.bench.pass(seconds),
            Step::Expire => self.bench.server.expire(now, &mut out),
        }
        self.take(out);
        self.bench.server.assert_sound();
    }
}

fn client(number: u8) -> FiveTuple {
    let transport = if number.is_multiple_of(2) { Transport::Udp } else { Transport::Tcp };
    of(transport, &format!("203.0.113.{number}:40000"))
}

fn peer(number: u8) -> SocketAddr {
    SocketAddr::new([192, 0, 2, number].into(), 6000)
}

proptest! {
    #[test]
    fn whatever_clients_do_tables_stay_sound_and_are_empty_in_the_end(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut sweep = Sweep::new();
        steps.into_iter().for_each(|step| sweep.step(step));
        while !sweep.to_open.is_empty() {
            sweep.step(Step::Opened { is_open: false });
        }
        sweep.step(Step::Pass { seconds: 3600 });
        sweep.step(Step::Expire);
        prop_assert_eq!(sweep.bench.server.ports().taken(), 0);
        prop_assert!(sweep.sockets.is_empty(), "{:?} are open", sweep.sockets);
        prop_assert_eq!(sweep.bench.server.next_deadline(), None);
    }
}
