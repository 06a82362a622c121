//! Two agents in a world with one clock: in the open, behind NATs that give each peer another port, and with our TURN server.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::protection::IceCredentials;
use crate::test_signal::epoch;
use crate::turn;

const TURN: &str = "203.0.113.9:3478";
const UNIX: u64 = 1_800_000_000;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn credentials(name: &str) -> IceCredentials {
    IceCredentials { ufrag: name.repeat(4), pwd: name.repeat(22) }
}

struct End {
    agent: Agent,
    host: SocketAddr,
    /// The address of its NAT; none: it is in the open.
    nat: Option<std::net::IpAddr>,
    heard: Vec<Datagram>,
}

struct World {
    now: Instant,
    ends: [End; 2],
    server: turn::Server,
    flying: VecDeque<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
    /// For each port of a NAT: the end behind it, and the only one who may use it.
    ports: BTreeMap<SocketAddr, (usize, SocketAddr)>,
    lose: fn(u32) -> bool,
    count: u32,
}

impl World {
    /// `places`: the host of each end and, where it is behind one, its NAT.
    fn new(places: [(&str, Option<&str>); 2], with_turn: [bool; 2]) -> World {
        let now = epoch();
        let config = turn::Config {
            realm: "example.com".to_owned(),
            secret: turn::Secret::of_exchange(&[5; 32]),
            seed: [3; 32],
            addresses: vec![address(TURN).ip()],
            external_address: None,
            local_networks: Vec::new(),
            ports: 50_000..=50_099,
            peers: turn::PeerPolicy {
                own: vec![address(TURN).ip()],
                open: vec![50_000..=50_099],
                shut: vec![3478],
                allowed: Vec::new(),
            },
            limits: turn::Limits::default(),
        };
        let issued = turn::Secret::of_exchange(&[5; 32]).issue("sip:alice@example.com", UNIX + 3600);
        let end = |n: usize| {
            let (host, nat) = places[n];
            let turn = TurnServer {
                address: address(TURN),
                username: issued.username.clone(),
                password: issued.password.clone(),
            };
            let servers = Servers { stun: None, turn: Some(turn).filter(|_| with_turn[n]) };
            let name = ["a", "b"][n];
            End {
                agent: Agent::new(now, servers, address(host), &[n as u8 + 1; 32], credentials(name)),
                host: address(host),
                nat: nat.map(|nat| nat.parse().unwrap()),
                heard: Vec::new(),
            }
        };
        let ends = [end(0), end(1)];
        let server = turn::Server::new(config, now, UNIX);
        let (flying, ports) = (VecDeque::new(), BTreeMap::new());
        World { now, ends, server, flying, ports, lose: |_| false, count: 0 }
    }

    /// Offer and answer: each end learns of the other.
    fn signal(&mut self) {
        for n in 0..2 {
            let other = &self.ends[1 - n].agent;
            let (theirs, candidates) = (other.credentials().clone(), other.candidates());
            let lines: Vec<Candidate> =
                candidates.iter().map(|one| one.to_string().parse().unwrap()).collect();
            assert_eq!(lines, candidates);
            self.ends[n].agent.signalled(self.now, &theirs, &lines, n == 0);
        }
    }

    fn send(&mut self, n: usize, (to, bytes): Packet) {
        self.count += 1;
        if (self.lose)(self.count) {
            return;
        }
        let end = &self.ends[n];
        let mut from = end.host;
        if let Some(nat) = end.nat {
            // Private addresses lead nowhere from outside, and each peer gets a port of its own.
            let known = self.ports.iter().find(|(_, (owner, peer))| (*owner, *peer) == (n, to));
            let port = 40_000 + self.ports.len() as u16;
            from = known.map_or(SocketAddr::new(nat, port), |(at, _)| *at);
            self.ports.insert(from, (n, to));
        }
        self.flying.push_back((self.now + DELAY, from, to, bytes));
    }

    fn serve(&mut self, outputs: Vec<turn::Output>) {
        for output in outputs {
            match output {
                turn::Output::ToClient { to, bytes } => {
                    self.flying.push_back((self.now + DELAY, address(TURN), to.client, bytes));
                }
                turn::Output::ToPeer { port, to, payload } => {
                    let from = SocketAddr::new(address(TURN).ip(), port);
                    self.flying.push_back((self.now + DELAY, from, to, payload));
                }
                turn::Output::Open { address } => {
                    let mut more = Vec::new();
                    self.server.opened(self.now, address.port(), true, &mut more);
                    self.serve(more);
                }
                turn::Output::Close { .. } => {}
            }
        }
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let mut outputs = Vec::new();
        if to == address(TURN) {
            let tuple = turn::FiveTuple { transport: turn::Transport::Udp, client: from, server: to };
            self.server.receive(self.now, tuple, bytes, &mut outputs);
            return self.serve(outputs);
        }
        if to.ip() == address(TURN).ip() {
            self.server.relayed(self.now, to.port(), from, bytes, &mut outputs);
            return self.serve(outputs);
        }
        let inside = self.ports.get(&to).filter(|(_, peer)| *peer == from).map(|(owner, _)| *owner);
        let open = self.ends.iter().position(|end| end.nat.is_none() && end.host == to);
        let Some(n) = inside.or(open) else { return };
        let mut out = Vec::new();
        let heard = self.ends[n].agent.receive(self.now, from, bytes, &mut out);
        self.ends[n].heard.extend(heard);
        out.into_iter().for_each(|packet| self.send(n, packet));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = self.ends.iter().filter_map(|end| end.agent.next_deadline()).min();
            let arrival = self.flying.front().map(|(at, ..)| *at);
            let Some(next) = due.into_iter().chain(arrival).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            while let Some((_, from, to, bytes)) = self.flying.pop_front_if(|(at, ..)| *at <= self.now) {
                self.arrive(from, to, &bytes);
            }
            for n in 0..2 {
                if self.ends[n].agent.next_deadline().is_some_and(|at| at <= self.now) {
                    let mut out = Vec::new();
                    self.ends[n].agent.deadline(self.now, &mut out);
                    out.into_iter().for_each(|packet| self.send(n, packet));
                }
            }
        }
        self.now = end;
    }

    /// Whether what each says reaches the other, and comes from where that is thought to be.
    fn both_hear(&mut self) -> bool {
        let mut all = true;
        for n in 0..2 {
            let word = vec![0x80, 0, 7, n as u8];
            let Some(to) = self.ends[n].agent.selected() else { return false };
            let Some(packet) = self.ends[n].agent.carry(to, &word) else { return false };
            self.send(n, packet);
            self.pass(Duration::from_millis(100));
            let heard = std::mem::take(&mut self.ends[1 - n].heard);
            let expected = self.ends[1 - n].agent.selected();
            all &= heard.len() == 1 && heard[0].bytes == word && Some(heard[0].from) == expected;
        }
        all
    }

    fn relayed(&self) -> [bool; 2] {
        [0, 1].map(|n| self.ends[n].agent.is_relayed())
    }
}

fn open() -> [(&'static str, Option<&'static str>); 2] {
    [("192.0.2.1:4000", None), ("192.0.2.2:5000", None)]
}

fn behind_symmetric_nats() -> [(&'static str, Option<&'static str>); 2] {
    [("10.0.0.1:4000", Some("198.51.100.1")), ("10.0.0.2:5000", Some("198.51.100.2"))]
}

#[test]
fn in_the_open_the_hosts_talk_directly_and_keep_consent() {
    let mut world = World::new(open(), [false, false]);
    world.pass(Duration::from_millis(10));
    assert!(world.ends.iter().all(|end| end.agent.is_gathered()), "there is nobody to ask");
    world.signal();
    world.pass(Duration::from_secs(2));
    assert!(world.both_hear());
    assert_eq!(world.relayed(), [false, false]);
    world.pass(Duration::from_secs(600));
    assert!(world.both_hear());
}

#[test]
fn the_direct_way_is_chosen_although_both_have_relays() {
    let mut world = World::new(open(), [true, true]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.ends[0].agent.candidates().len(), 2);
    world.signal();
    world.pass(Duration::from_secs(3));
    assert!(world.both_hear());
    assert_eq!(world.relayed(), [false, false]);
}

#[test]
fn behind_symmetric_nats_the_relay_is_found_and_lives_on() {
    // Who has no server at all does not know its outer address, and no relay may reach it.
    for with_turn in [[true, true]] {
        let mut world = World::new(behind_symmetric_nats(), with_turn);
        world.pass(Duration::from_secs(1));
        for (end, with) in world.ends.iter().zip(with_turn) {
            // The host, what the server sees, and what it lends.
            assert_eq!(
                (end.agent.is_gathered(), end.agent.candidates().len()),
                (true, if with { 3 } else { 1 })
            );
        }
        world.signal();
        world.pass(Duration::from_secs(5));
        assert!(world.both_hear(), "{with_turn:?} {:?}", world.ends.each_ref().map(|end| &end.agent));
        assert!(world.relayed().contains(&true));
        // Beyond the lifetime of permissions, channels and the allocation.
        for _ in 0..10 {
            world.pass(Duration::from_secs(300));
            assert!(world.both_hear(), "{with_turn:?}");
        }
    }
}

#[test]
fn a_way_is_found_although_every_fourth_datagram_is_lost() {
    let losses: [fn(u32) -> bool; 3] = [|n| n % 4 == 0, |n| n % 4 == 1, |n| n % 4 == 3];
    for lose in losses {
        let mut world = World::new(behind_symmetric_nats(), [true, true]);
        world.lose = lose;
        world.pass(Duration::from_secs(2));
        world.signal();
        world.pass(Duration::from_secs(15));
        world.lose = |_| false;
        assert!(world.both_hear());
    }
}

#[test]
fn without_a_way_it_is_said_that_there_is_none() {
    let mut world = World::new(behind_symmetric_nats(), [false, false]);
    world.pass(Duration::from_millis(10));
    world.signal();
    world.pass(Duration::from_secs(30));
    assert!(world.ends.iter().all(|end| end.agent.is_lost() && end.agent.selected().is_none()));
}

#[test]
fn when_the_other_side_falls_silent_consent_ends_within_half_a_minute() {
    let mut world = World::new(open(), [false, false]);
    world.signal();
    world.pass(Duration::from_secs(2));
    assert!(world.both_hear());
    world.lose = |_| true;
    world.pass(Duration::from_secs(24));
    assert!(!world.ends[0].agent.is_lost());
    world.pass(Duration::from_secs(12));
    assert!(world.ends.iter().all(|end| end.agent.is_lost()));
    assert_eq!(world.ends[0].agent.carry(address("192.0.2.2:5000"), b"x"), None);
}

#[test]
fn both_may_claim_to_choose_and_one_gives_way() {
    let mut world = World::new(open(), [false, false]);
    for n in 0..2 {
        let theirs = world.ends[1 - n].agent.credentials().clone();
        let candidates = world.ends[1 - n].agent.candidates();
        world.ends[n].agent.signalled(world.now, &theirs, &candidates, true);
    }
    world.pass(Duration::from_secs(3));
    assert!(world.both_hear());
}

#[test]
fn after_a_move_new_credentials_find_the_new_address() {
    let mut world = World::new(open(), [false, false]);
    world.signal();
    world.pass(Duration::from_secs(2));
    assert!(world.both_hear());
    // The first has another address, and says so by offering anew.
    let host = address("192.0.2.77:4000");
    world.ends[0].agent = Agent::new(world.now, Servers::default(), host, &[10; 32], credentials("c"));
    world.ends[0].host = host;
    world.ends[1].agent.restart(credentials("d"));
    world.signal();
    world.pass(Duration::from_secs(2));
    assert!(world.both_hear());
    assert_eq!(world.ends[1].agent.selected(), Some(host));
}

#[test]
fn strangers_and_wrong_passwords_get_no_answer_and_no_hearing() {
    let mut world = World::new(open(), [false, false]);
    world.signal();
    world.pass(Duration::from_secs(2));
    let wrong = check::Party::new(credentials("x"));
    let target = check::Party { key: wrong.key.clone(), ..check::Party::new(credentials("a")) };
    let role = check::Role { controlling: true, tie_breaker: 1 };
    let forged = check::request([9; 12], &wrong, &target, role, true);
    let mut out = Vec::new();
    let stranger = address("192.0.2.66:6000");
    let agent = &mut world.ends[0].agent;
    assert_eq!(agent.receive(world.now, stranger, &forged, &mut out), None);
    assert_eq!(agent.receive(world.now, stranger, &[0x80, 0, 1, 2], &mut out), None);
    assert_eq!((out.len(), agent.selected()), (0, Some(address("192.0.2.2:5000"))));
}

#[test]
fn a_peer_without_ice_is_reached_through_the_relay_where_there_is_one() {
    let mut world = World::new([behind_symmetric_nats()[0], open()[1]], [true, false]);
    world.pass(Duration::from_secs(1));
    let relayed = world.ends[0].agent.default_address();
    assert_eq!(relayed.ip(), address(TURN).ip());
    let peer = address("192.0.2.2:5000");
    world.ends[0].agent.without_ice(world.now, Some(peer));
    world.pass(Duration::from_secs(1));
    let packet = world.ends[0].agent.carry(peer, b"\x80hello").unwrap();
    assert_eq!(packet.0, address(TURN));
    world.ends[1].agent.without_ice(world.now, Some(relayed));
    world.send(0, packet);
    let packet = world.ends[1].agent.carry(relayed, b"\x80there").unwrap();
    world.send(1, packet);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.ends[1].heard, [Datagram { from: relayed, bytes: b"\x80hello".to_vec() }]);
    assert_eq!(world.ends[0].heard, [Datagram { from: peer, bytes: b"\x80there".to_vec() }]);
}

#[test]
fn lines_that_are_no_candidates_of_ours_are_left_out() {
    let read = |text: &str| text.parse::<Candidate>().ok();
    let good = "1 1 udp 2130706431 192.0.2.1 4000 typ host generation 0";
    assert_eq!(read(good).unwrap().address, address("192.0.2.1:4000"));
    let relay = "9 1 UDP 7 2001:db8::1 9 typ relay raddr 192.0.2.1 rport 8";
    assert_eq!(read(relay).unwrap().related, Some(address("192.0.2.1:8")));
    for bad in [
        "",
        "1 1 udp 1 name.local 4000 typ host",
        "1 2 udp 1 192.0.2.1 4000 typ host",
        "1 1 tcp 1 192.0.2.1 4000 typ host",
        "1 1 udp 0 192.0.2.1 4000 typ host",
        "1 1 udp 1 192.0.2.1 0 typ host",
        "1 1 udp 1 0.0.0.0 4000 typ host",
        "1 1 udp 1 192.0.2.1 4000 typ odd",
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

proptest::proptest! {
    #[test]
    fn an_agent_is_total_on_whatever_comes(
        packets in proptest::collection::vec(
            (proptest::collection::vec(proptest::num::u8::ANY, 0..80), 0u8..3, 0u64..400), 0..60)
    ) {
        let mut world = World::new(open(), [true, false]);
        world.pass(Duration::from_secs(1));
        world.signal();
        let mut out = Vec::new();
        for (bytes, from, wait) in packets {
            let from = [TURN, "192.0.2.2:5000", "192.0.2.66:1"][usize::from(from)];
            world.now += Duration::from_millis(wait);
            world.ends[0].agent.receive(world.now, address(from), &bytes, &mut out);
            world.ends[0].agent.deadline(world.now, &mut out);
        }
        assert!(out.len() < 5000);
    }
}

const DELAY: Duration = Duration::from_millis(20);
