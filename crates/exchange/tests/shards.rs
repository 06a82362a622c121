//! Three shards that make up one exchange.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use bench::call::{ALICE, BOB, EVE, invite};
use bench::{Bench, register, tcp, udp, with_credentials};
use bytes::Bytes;
use offhook_exchange::command::{Answer, Command, Device, Ticket};
use offhook_exchange::config::Config;
use offhook_exchange::directory::{AddressOfRecord, Delta};
use offhook_exchange::dispatch;
use offhook_exchange::io::{Input, ShardMessage};
use offhook_sip::{Name, Response};
use offhook_sip_stack::Flow;

const SHARDS: u8 = 3;

/// The shards with what lies between them.
struct Rack(Vec<Bench>);

impl Rack {
    fn new(change: impl Fn(&mut Config)) -> Self {
        let shard = |number| {
            Bench::shard(number, |config| {
                config.shards = SHARDS;
                change(config);
            })
        };
        let mut rack = Self((0..SHARDS).map(shard).collect());
        rack.pass_on();
        rack.0.iter_mut().for_each(|shard| shard.stored.clear());
        rack
    }

    /// Sends a message to the shard that the door chooses, and lets the shards talk. Returns which it was.
    fn send_on(&mut self, flow: Flow, text: &str) -> usize {
        let bytes = Bytes::from(text.replace("\r\n", "\n").replace('\n', "\r\n"));
        let owner = dispatch::owner(&bytes, SHARDS).map_or(0, usize::from);
        self.0[owner].input(Input::Datagram { flow, bytes });
        self.pass_on();
        owner
    }

    fn pass_on(&mut self) {
        loop {
            let told: Vec<_> = self.0.iter_mut().flat_map(|shard| shard.told.drain(..)).collect();
            if told.is_empty() {
                return;
            }
            for (shard, message) in told {
                self.0[usize::from(shard)].input(Input::FromShard(message));
            }
        }
    }

    /// The last response to an address, whichever shard sent it.
    fn response(&mut self, to: &str) -> Response {
        let sent: Vec<_> = self.0.iter_mut().flat_map(|shard| shard.take(to)).collect();
        sent.iter().rev().find_map(|one| one.as_response().cloned()).unwrap()
    }

    /// Sends a request twice: without credentials, and with those for the challenge.
    fn authenticated(&mut self, flow: Flow, user: &str, text: &str) -> Response {
        let from = flow.remote.to_string();
        self.send_on(flow, text);
        let challenge = self.response(&from);
        self.send_on(flow, &with_credentials(text, user, user, &challenge));
        self.response(&from)
    }

    fn register(&mut self, user: &str, flow: Flow) {
        let at = flow.remote.to_string();
        let text = register(user, &at, &format!("Contact: <sip:{user}@{at}>\nExpires: 600\n"));
        assert_eq!(self.authenticated(flow, user, &text).status().code(), 200, "{user} registers");
    }

    /// What all shards know of the phones that are registered: the same.
    fn devices(&mut self) -> Vec<Device> {
        let mut known = self.0.iter_mut().map(|shard| {
            shard.input(Input::Command(Ticket(0), Command::Devices));
            match shard.answers.pop() {
                Some(Answer::Devices(devices)) => devices,
                other => panic!("{other:?}"),
            }
        });
        let first = known.next().unwrap();
        assert!(known.all(|devices| devices == first));
        first
    }

    fn apply(&mut self, delta: &Delta) {
        for shard in &mut self.0 {
            shard.input(Input::Command(Ticket(0), Command::Apply(Box::new(delta.clone()))));
        }
    }

    fn writers(&self) -> Vec<usize> {
        (0..self.0.len()).filter(|at| !self.0[*at].stored.is_empty()).collect()
    }
}

fn home(user: &str) -> usize {
    dispatch::home(&AddressOfRecord::new(user, "example.com"), SHARDS).into()
}

/// A call of Alice to Bob that belongs to a shard.
fn invite_at(shard: usize, nth: usize) -> String {
    let text = |n: usize| invite("").replace("call-alice", &format!("call-{n}"));
    let at = |n: &usize| {
        let bytes = text(*n).replace('\n', "\r\n");
        dispatch::owner(bytes.as_bytes(), SHARDS).map(usize::from) == Some(shard)
    };
    let number = (0..).filter(at).nth(nth).unwrap();
    // A branch of its own, for it is another transaction.
    text(number).replacen("z9hG4bKINVITE", &format!("z9hG4bK{number}INVITE"), 1)
}

#[test]
fn a_registration_is_known_to_all_and_written_by_one() {
    let mut rack = Rack::new(|_| {});
    for (user, at) in [("alice", ALICE), ("bob", BOB), ("carol", EVE)] {
        rack.register(user, udp(at));
        assert_eq!(rack.writers(), [home(user)]);
        rack.0.iter_mut().for_each(|shard| shard.stored.clear());
    }
    assert_eq!(rack.devices().len(), 3);
}

#[test]
fn a_registration_under_a_number_is_carried_out_at_the_home_of_its_account() {
    let mut rack = Rack::new(|_| {});
    for (user, at) in [("alice", ALICE), ("bob", BOB)] {
        let number = (2_000..).map(|n| n.to_string()).find(|number| home(number) != home(user)).unwrap();
        let account = AddressOfRecord::new(user, "example.com");
        rack.apply(&Delta::Number(number.clone(), Some(account)));
        let text = register(user, at, &format!("Contact: <sip:{user}@{at}>\nExpires: 600\n"));
        let text = text.replace(&format!("sip:{user}@example"), &format!("sip:{number}@example"));
        assert_eq!(rack.authenticated(udp(at), user, &text).status().code(), 200);
        // Now under its name, on another telephone.
        rack.register(user, udp(EVE));
        assert_eq!(rack.writers(), [home(user)]);
        rack.0.iter_mut().for_each(|shard| shard.stored.clear());
    }
    assert_eq!(rack.devices().len(), 4);
}

#[test]
fn credentials_are_good_once_and_at_one_shard() {
    let mut rack = Rack::new(|_| {});
    rack.register("bob", udp(BOB));
    rack.send_on(udp(ALICE), &invite_at(0, 0));
    let challenge = rack.response(ALICE);
    let good = with_credentials(&invite_at(0, 0), "alice", "alice", &challenge);
    rack.send_on(udp(ALICE), &good);
    assert_eq!(rack.response(ALICE).status().code(), 100);
    // Someone heard them, and calls with them.
    for (shard, nth) in [(0, 1), (1, 0), (2, 0)] {
        let heard = with_credentials(&invite_at(shard, nth), "alice", "alice", &challenge);
        assert_eq!(rack.send_on(udp(EVE), &heard), shard);
        let refused = rack.response(EVE);
        assert_eq!(refused.status().code(), 407);
        assert!(refused.challenges(Name::ProxyAuthenticate).flatten().all(|one| one.stale()));
    }
}

#[test]
fn a_phone_that_keeps_its_nonce_is_asked_once_more_at_another_shard() {
    let mut rack = Rack::new(|_| {});
    rack.register("bob", udp(BOB));
    rack.send_on(udp(ALICE), &invite_at(0, 0));
    let kept = rack.response(ALICE);
    let first = with_credentials(&invite_at(1, 0), "alice", "alice", &kept);
    let shard = rack.send_on(udp(ALICE), &first);
    let fresh = rack.response(ALICE);
    assert_eq!(fresh.status().code(), 407);
    let again = with_credentials(&invite_at(1, 0), "alice", "alice", &fresh).replace("2;rport", "3;rport");
    assert_eq!(rack.send_on(udp(ALICE), &again), shard, "the same Call-ID is the same shard");
    assert_eq!(rack.response(ALICE).status().code(), 100);
}

#[test]
fn calls_of_an_account_are_counted_over_all_shards() {
    let mut rack = Rack::new(|config| config.max_calls_per_account = 2);
    rack.register("bob", udp(BOB));
    assert_eq!(rack.authenticated(udp(ALICE), "alice", &invite_at(0, 0)).status().code(), 100);
    assert_eq!(rack.authenticated(udp(ALICE), "alice", &invite_at(1, 0)).status().code(), 100);
    for shard in 0..3 {
        assert_eq!(rack.authenticated(udp(ALICE), "alice", &invite_at(shard, 1)).status().code(), 403);
    }
    // One of them is refused: then another may begin, anywhere.
    let got = rack.0[0].request(BOB);
    rack.send_on(udp(BOB), &bench::reply(&got, 486, "busy", "", ""));
    assert_eq!(rack.authenticated(udp(ALICE), "alice", &invite_at(2, 2)).status().code(), 100);
}

#[test]
fn a_call_from_any_shard_takes_the_connection_of_a_phone_until_it_is_lost() {
    let mut rack = Rack::new(|_| {});
    let flow = tcp(BOB, 7);
    rack.register("bob", flow);
    for shard in 0..3 {
        assert_eq!(rack.authenticated(udp(ALICE), "alice", &invite_at(shard, 0)).status().code(), 100);
        let sent = rack.0[shard].take_with_way(BOB);
        let (way, _) = sent.iter().find(|(_, one)| one.as_request().is_some()).unwrap();
        assert_eq!(way.connection, flow.connection);
    }
    // The loss overtakes what the home says of the registration.
    let home = home("bob");
    let (late, other) = (rack.0[home].stored.clone(), (home + 1) % 3);
    assert!(!late.is_empty());
    rack.0[other].input(Input::FlowFailed(flow));
    rack.register("bob", flow);
    rack.0[home].input(Input::FlowFailed(flow));
    rack.pass_on();
    rack.0[other].take_all();
    assert_eq!(rack.authenticated(udp(ALICE), "alice", &invite_at(other, 1)).status().code(), 100);
    let sent = rack.0[other].take_with_way(BOB);
    assert!(sent.iter().all(|(way, _)| way.connection.is_none()));
}

#[test]
fn what_was_said_of_an_account_before_it_was_removed_does_not_bring_it_back() {
    let mut rack = Rack::new(|_| {});
    rack.register("bob", udp(BOB));
    let home = home("bob");
    let text = register("bob", EVE, &format!("Contact: <sip:bob@{EVE}>\n")).replace("regbob1", "regbob7");
    rack.0[home].send(EVE, &text);
    let challenge = rack.0[home].response(EVE);
    rack.0[home].send(EVE, &with_credentials(&text, "bob", "bob", &challenge).replace("CSeq: 2", "CSeq: 9"));
    let late: Vec<(u8, ShardMessage)> = rack.0[home].told.drain(..).collect();
    assert_eq!(late.len(), 2);
    rack.apply(&Delta::AccountRemoved(AddressOfRecord::new("bob", "example.com")));
    rack.0[home].told.splice(0..0, late);
    rack.pass_on();
    assert!(rack.devices().is_empty());
    assert_eq!(rack.writers(), [home]);
}
