//! Two phones that are about to cross each other, and what each has said and been told.

use std::time::Duration;

use bytes::Bytes;
use offhook_exchange::command::Command as Operator;
use offhook_exchange::config::{AnchorPolicy, Authentication};
use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::event::Event as Told;
use offhook_sim::{Link, PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, Command, Event};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const ALL: [&str; 3] = ["alice", "exchange", "bob"];

/// How Alice and Bob come to talk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// In one dialog, and their sound goes from phone to phone.
    Direct,
    /// In one dialog, and their sound goes through the exchange.
    Relayed,
    /// In two dialogs, the exchange between them.
    Bridged,
    /// The exchange has called both.
    Halves,
}

pub(crate) use Kind::{Bridged, Direct, Halves, Relayed};
pub(crate) const CALLED: [Kind; 3] = [Direct, Relayed, Bridged];
pub(crate) const KINDS: [Kind; 4] = [Direct, Relayed, Bridged, Halves];

pub(crate) struct Race {
    pub(crate) kind: Kind,
    pub(crate) world: World,
    pub(crate) alice: PhoneId,
    pub(crate) bob: PhoneId,
}

/// How phones are made: whether their ringing is acknowledged, and how many seconds a session lasts that nobody refreshes.
#[derive(Clone, Copy)]
pub(crate) struct Make {
    pub(crate) reliable: bool,
    pub(crate) interval: u32,
    /// Who they are. An INVITE with credentials is too large for UDP (RFC 3261 §18.1.1), and does not come again.
    pub(crate) authentication: Authentication,
}

pub(crate) const USUAL: Make =
    Make { reliable: true, interval: 1800, authentication: Authentication::Required };

impl Race {
    /// Alice and Bob are registered.
    pub(crate) fn new(kind: Kind, make: Make) -> Self {
        let mut world = World::new(5407, |config| {
            config.anchor = if kind == Relayed { AnchorPolicy::Always } else { AnchorPolicy::Auto };
            config.authentication = make.authentication;
        });
        let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
        for (phone, hz) in [(alice, 440.0), (bob, 1000.0)] {
            world.phones[phone.0].sings = Some(hz);
            world.equip(phone, |config| {
                config.accept_transfers = true;
                config.reliable_provisional = make.reliable;
                config.session_timers.interval = make.interval;
            });
            world.register(phone);
        }
        world.link = Link { loss: 0.0, delay: 20 * MS, jitter: Duration::ZERO };
        world.begin_ladder();
        Self { kind, world, alice, bob }
    }

    /// Alice and Bob are about to talk.
    pub(crate) fn begin(mut self) -> Self {
        match self.kind {
            Direct | Relayed => _ = self.world.call(self.alice, "bob"),
            Bridged => _ = self.world.private_call(self.alice, "bob"),
            Halves => {
                let alice = AddressOfRecord::new("alice", "example.com");
                self.world.ask_exchange(&Operator::Connect(alice, "bob".into()));
            }
        }
        self
    }

    /// Alice and Bob talk, and the ladder begins.
    pub(crate) fn up(kind: Kind) -> Self {
        let mut race = Self::new(kind, USUAL).begin();
        race.world.pass(9 * SECOND);
        race.both_hear();
        race.world.begin_ladder();
        race
    }

    /// Time passes until this is so.
    pub(crate) fn until(&mut self, what: impl Fn(&Self) -> bool) {
        for _ in 0..100_000 {
            if what(self) {
                return;
            }
            self.world.pass(MS);
        }
        panic!("{:?}: that never is\n{}", self.kind, self.picture());
    }

    pub(crate) fn picture(&self) -> String {
        self.world.ladder.draw(&ALL)
    }

    pub(crate) fn answered(&self, phone: PhoneId) -> bool {
        self.world.phones[phone.0].was_answered()
    }

    pub(crate) fn command(&mut self, phone: PhoneId, command: impl FnOnce(CallId) -> Command) {
        let call = self.world.phones[phone.0].first_call();
        self.world.command(phone, command(call));
    }

    pub(crate) fn ends(&mut self, phone: PhoneId) {
        self.command(phone, |call| Command::Hangup { call });
    }

    pub(crate) fn holds(&mut self, phone: PhoneId) {
        self.command(phone, |call| Command::Hold { call });
    }

    /// What a phone sends in the dialog in which it has sent this before, of which its user agent knows nothing.
    pub(crate) fn forge(&mut self, phone: PhoneId, like: &str, method: &str, body: &str) {
        let name = self.world.phones[phone.0].name.clone();
        let before =
            String::from_utf8(self.world.ladder.last(&name, "exchange", like).unwrap().to_vec()).unwrap();
        let mut lines = before.split("\r\n\r\n").next().unwrap().lines();
        let uri = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let mut forged = format!("{method} {uri} SIP/2.0\r\n");
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            match name {
                "Via" => {
                    let way = value.split(";branch=").next().unwrap();
                    forged += &format!("Via: {way};branch=z9hG4bKforged{method};rport\r\n");
                }
                "CSeq" => {
                    let number: u32 = value.split(' ').next().unwrap().parse().unwrap();
                    forged += &format!("CSeq: {} {method}\r\n", number + 10);
                }
                "Route" | "From" | "To" | "Call-ID" | "Max-Forwards" => forged += &format!("{line}\r\n"),
                _ => {}
            }
        }
        let contact = self.world.phones[phone.0].address;
        if !body.is_empty() {
            forged += &format!("Contact: <sip:{name}@{contact}>\r\nContent-Type: application/sdp\r\n");
        }
        forged += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.world.forge(phone, Bytes::from(forged));
    }

    /// The last session that a phone has offered.
    pub(crate) fn offer(&self, name: &str) -> String {
        let invite = self.world.ladder.last(name, "exchange", "INVITE").unwrap();
        let invite = String::from_utf8(invite.to_vec()).unwrap();
        invite.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// How often a phone has been sent this.
    pub(crate) fn seen(&self, to: &str, what: &str) -> usize {
        self.world.ladder.times("exchange", to, what).len()
    }

    /// How often a phone has sent this.
    pub(crate) fn sent(&self, from: &str, what: &str) -> usize {
        self.world.ladder.times(from, "exchange", what).len()
    }

    /// A phone has been sent each of these so often.
    pub(crate) fn has_seen(&self, to: &str, messages: &[(&str, usize)]) {
        for (what, times) in messages {
            let seen = self.seen(to, what);
            assert_eq!(seen, *times, "{:?}: {what} to {to}\n{}", self.kind, self.picture());
        }
    }

    /// A phone has sent each of these so often.
    pub(crate) fn has_sent(&self, from: &str, messages: &[(&str, usize)]) {
        for (what, times) in messages {
            let sent = self.sent(from, what);
            assert_eq!(sent, *times, "{:?}: {what} from {from}\n{}", self.kind, self.picture());
        }
    }

    pub(crate) fn both_hear(&self) {
        self.world.phones[self.alice.0].must_hear(1000.0);
        self.world.phones[self.bob.0].must_hear(440.0);
    }

    pub(crate) fn is_held_by_peer(&self, phone: PhoneId) -> bool {
        let held = |one: &Event| matches!(one, Event::Held { by_peer: true, .. });
        self.world.phones[phone.0].events.iter().any(held)
    }

    /// The call is over for everyone; what was said is as saved.
    pub(crate) fn is_over(&mut self, name: &str) {
        self.world.pass(5 * SECOND);
        self.is_as_saved(name);
        self.nothing_is_left();
    }

    /// A forwarded call is as its phones are: where we are an end, what we say is saved.
    pub(crate) fn is_as_saved(&self, name: &str) {
        match self.kind {
            Bridged => compare_with_saved(&format!("race-{name}"), &self.picture()),
            Halves => compare_with_saved(&format!("race-{name}-halves"), &self.picture()),
            Direct | Relayed => {}
        }
    }

    pub(crate) fn hang_up(&mut self) {
        for phone in (0..self.world.phones.len()).map(PhoneId) {
            for call in self.world.phones[phone.0].ua.calls() {
                self.world.command(phone, Command::Hangup { call });
            }
        }
    }

    pub(crate) fn nothing_is_left(&mut self) {
        self.world.pass(150 * SECOND);
        let now = self.world.now();
        for phone in &self.world.phones {
            assert!(phone.ua.is_idle(), "{:?}: {} is not idle\n{}", self.kind, phone.name, self.picture());
        }
        assert!(
            self.world.office.is_idle(),
            "{:?}: {:?}\n{}",
            self.kind,
            self.world.office.status(now),
            self.picture()
        );
        let counts = (self.count(false), self.count(true));
        assert_eq!(counts, (1, 1), "{:?}: begun, ended\n{}", self.kind, self.picture());
    }

    /// How many calls have begun, or ended.
    pub(crate) fn count(&self, ended: bool) -> usize {
        let events = self.world.office.events.iter();
        let is = |one: &&Told| match one {
            Told::CallStarted { .. } => !ended,
            Told::CallEnded { .. } | Told::CallFailed { .. } => ended,
            _ => false,
        };
        events.filter(is).count()
    }
}
