//! The races of RFC 5407 §3 and some more, of calls that are forwarded, bridged, and made here of two halves. The ladders are in
//! `docs/flows`; each call has one beginning and one end, and nothing is left of it, neither with us nor with a phone.
//!
//! Every message takes 20 ms, so what is said within 20 ms of each other crosses.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use bytes::Bytes;
use offhook_exchange::command::Command as Operator;
use offhook_exchange::config::{AnchorPolicy, Authentication};
use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::event::Event as Told;
use offhook_sim::{Habit, Link, PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, Command, Event};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const ALL: [&str; 3] = ["alice", "exchange", "bob"];

/// How Alice and Bob come to talk.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// In one dialog, and their sound goes from phone to phone.
    Direct,
    /// In one dialog, and their sound goes through the exchange.
    Relayed,
    /// In two dialogs, the exchange between them.
    Bridged,
    /// The exchange has called both.
    Halves,
}

use Kind::{Bridged, Direct, Halves, Relayed};
const CALLED: [Kind; 3] = [Direct, Relayed, Bridged];
const KINDS: [Kind; 4] = [Direct, Relayed, Bridged, Halves];

struct Race {
    kind: Kind,
    world: World,
    alice: PhoneId,
    bob: PhoneId,
}

/// How phones are made: whether their ringing is acknowledged, and how many seconds a session lasts that nobody refreshes.
#[derive(Clone, Copy)]
struct Make {
    reliable: bool,
    interval: u32,
    /// Who they are. An INVITE with credentials is too large for UDP (RFC 3261 §18.1.1), and does not come again.
    authentication: Authentication,
}

const USUAL: Make = Make { reliable: true, interval: 1800, authentication: Authentication::Required };

impl Race {
    /// Alice and Bob are registered.
    fn new(kind: Kind, make: Make) -> Self {
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
    fn begin(mut self) -> Self {
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
    fn up(kind: Kind) -> Self {
        let mut race = Self::new(kind, USUAL).begin();
        race.world.pass(9 * SECOND);
        race.both_hear();
        race.world.begin_ladder();
        race
    }

    /// Time passes until this is so.
    fn until(&mut self, what: impl Fn(&Self) -> bool) {
        for _ in 0..100_000 {
            if what(self) {
                return;
            }
            self.world.pass(MS);
        }
        panic!("{:?}: that never is\n{}", self.kind, self.picture());
    }

    fn picture(&self) -> String {
        self.world.ladder.draw(&ALL)
    }

    fn answered(&self, phone: PhoneId) -> bool {
        self.world.phones[phone.0].was_answered()
    }

    fn command(&mut self, phone: PhoneId, command: impl FnOnce(CallId) -> Command) {
        let call = self.world.phones[phone.0].first_call();
        self.world.command(phone, command(call));
    }

    fn ends(&mut self, phone: PhoneId) {
        self.command(phone, |call| Command::Hangup { call });
    }

    fn holds(&mut self, phone: PhoneId) {
        self.command(phone, |call| Command::Hold { call });
    }

    /// What a phone sends in the dialog in which it has sent this before, of which its user agent knows nothing.
    fn forge(&mut self, phone: PhoneId, like: &str, method: &str, body: &str) {
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
    fn offer(&self, name: &str) -> String {
        let invite = self.world.ladder.last(name, "exchange", "INVITE").unwrap();
        let invite = String::from_utf8(invite.to_vec()).unwrap();
        invite.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// How often a phone has been sent this.
    fn seen(&self, to: &str, what: &str) -> usize {
        self.world.ladder.times("exchange", to, what).len()
    }

    /// How often a phone has sent this.
    fn sent(&self, from: &str, what: &str) -> usize {
        self.world.ladder.times(from, "exchange", what).len()
    }

    /// A phone has been sent each of these so often.
    fn has_seen(&self, to: &str, messages: &[(&str, usize)]) {
        for (what, times) in messages {
            let seen = self.seen(to, what);
            assert_eq!(seen, *times, "{:?}: {what} to {to}\n{}", self.kind, self.picture());
        }
    }

    /// A phone has sent each of these so often.
    fn has_sent(&self, from: &str, messages: &[(&str, usize)]) {
        for (what, times) in messages {
            let sent = self.sent(from, what);
            assert_eq!(sent, *times, "{:?}: {what} from {from}\n{}", self.kind, self.picture());
        }
    }

    fn both_hear(&self) {
        self.world.phones[self.alice.0].must_hear(1000.0);
        self.world.phones[self.bob.0].must_hear(440.0);
    }

    fn is_held_by_peer(&self, phone: PhoneId) -> bool {
        let held = |one: &Event| matches!(one, Event::Held { by_peer: true, .. });
        self.world.phones[phone.0].events.iter().any(held)
    }

    /// The call is over for everyone; what was said is as saved.
    fn is_over(&mut self, name: &str) {
        self.world.pass(5 * SECOND);
        self.is_as_saved(name);
        self.nothing_is_left();
    }

    /// A forwarded call is as its phones are: where we are an end, what we say is saved.
    fn is_as_saved(&self, name: &str) {
        match self.kind {
            Bridged => compare_with_saved(&format!("race-{name}"), &self.picture()),
            Halves => compare_with_saved(&format!("race-{name}-halves"), &self.picture()),
            Direct | Relayed => {}
        }
    }

    fn hang_up(&mut self) {
        for phone in (0..self.world.phones.len()).map(PhoneId) {
            for call in self.world.phones[phone.0].ua.calls() {
                self.world.command(phone, Command::Hangup { call });
            }
        }
    }

    fn nothing_is_left(&mut self) {
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
    fn count(&self, ended: bool) -> usize {
        let events = self.world.office.events.iter();
        let is = |one: &&Told| match one {
            Told::CallStarted { .. } => !ended,
            Told::CallEnded { .. } | Told::CallFailed { .. } => ended,
            _ => false,
        };
        events.filter(is).count()
    }
}

/// §3.1.1: nothing of what is said of an INVITE arrives; it comes again as it is answered.
#[test]
fn an_invite_comes_again_as_it_is_answered() {
    for kind in CALLED {
        let mut race =
            Race::new(kind, Make { reliable: false, authentication: Authentication::Off, ..USUAL });
        race.world.phones[race.bob.0].habit = Habit::Answer(450 * MS);
        race.world.lose("alice", "100 INVITE");
        race.world.lose("alice", "180 INVITE");
        let mut race = race.begin();
        race.world.pass(6 * SECOND);
        race.both_hear();
        race.has_sent("alice", &[("INVITE", 2), ("ACK", 1)]);
        race.has_seen("alice", &[("200 INVITE", 1)]);
        race.has_seen("bob", &[("INVITE", 1)]);
        race.is_as_saved("3.1.1-invite-again");
        race.hang_up();
        race.nothing_is_left();
    }
}

/// §3.1.2: a CANCEL comes to who has answered.
#[test]
fn a_cancel_crosses_the_answer() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.seen("alice", "200 INVITE") == 1);
        race.ends(race.alice);
        race.world.pass(SECOND);
        race.has_seen("alice", &[("200 CANCEL", 1), ("487 INVITE", 0), ("200 BYE", 1)]);
        race.has_sent("alice", &[("CANCEL", 1), ("BYE", 1)]);
        race.has_seen("bob", &[("CANCEL", 0), ("BYE", 1)]);
        race.is_over("3.1.2-cancel");
    }
}

/// §3.1.2 with us as the one who cancels: for a caller that has gone, or one of two whom we connect.
#[test]
fn a_cancel_of_ours_crosses_the_answer() {
    for kind in KINDS {
        let mut race = Race::new(kind, USUAL).begin();
        if kind == Halves {
            race.until(|race| race.answered(race.alice));
        }
        race.until(|race| race.sent("bob", "180 INVITE") == 1);
        race.world.delay("exchange", "200 INVITE", 15 * MS);
        race.until(|race| race.answered(race.bob));
        race.ends(race.alice);
        race.world.pass(SECOND);
        race.has_seen("bob", &[("CANCEL", 1), ("BYE", 1)]);
        race.has_sent("bob", &[("200 INVITE", 1), ("200 CANCEL", 1), ("200 BYE", 1), ("487 INVITE", 0)]);
        race.is_over("3.1.2-cancel-of-ours");
    }
}

/// §3.1.3: a BYE that was sent while it rang comes to who has answered; our phone has said it without knowing.
#[test]
fn an_early_bye_crosses_the_answer() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.seen("alice", "200 INVITE") == 1);
        race.forge(race.alice, "PRACK", "BYE", "");
        race.world.pass(SECOND);
        race.has_seen("alice", &[("200 INVITE", 1), ("200 BYE", 1)]);
        assert!(race.world.phones[race.bob.0].ua.calls().is_empty(), "{kind:?}: {}", race.picture());
        race.hang_up();
        race.is_over("3.1.3-early-bye");
    }
}

/// RFC 5407 appendix A: a caller may end the dialog of a phone that rings with a BYE.
#[test]
fn an_early_bye_ends_the_ringing() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.seen("alice", "200 PRACK") == 1);
        race.world.pass(100 * MS);
        race.forge(race.alice, "PRACK", "BYE", "");
        race.world.pass(500 * MS);
        race.has_seen("alice", &[("200 BYE", 1), ("487 INVITE", 1)]);
        race.has_sent("bob", &[("487 INVITE", 1), ("200 INVITE", 0)]);
        race.is_over("a-early-bye");
    }
}

/// §3.1.4: a re-INVITE comes to who has not seen the ACK; the offer of before is answered, so this one may come.
#[test]
fn a_re_invite_overtakes_a_lost_ack() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.answered(race.bob));
        race.world.lose("exchange", "ACK");
        if kind == Bridged {
            // The first is of ours to Bob's phone.
            race.until(|race| race.seen("bob", "ACK") == 1);
        }
        race.until(|race| race.answered(race.alice));
        race.holds(race.alice);
        race.world.pass(4 * SECOND);
        race.is_as_saved("3.1.4-re-invite-before-ack");
        assert!(race.is_held_by_peer(race.bob), "{kind:?}\n{}", race.picture());
        // For longer than any 200 waits for its ACK.
        race.world.pass(40 * SECOND);
        race.command(race.alice, |call| Command::Resume { call });
        race.world.pass(5 * SECOND);
        race.both_hear();
        race.hang_up();
        race.nothing_is_left();
    }
}

/// §3.1.6: a BYE comes to who has not seen the ACK.
#[test]
fn a_bye_overtakes_a_lost_ack() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.answered(race.bob));
        race.world.lose("exchange", "ACK");
        race.until(|race| race.answered(race.alice));
        race.ends(race.alice);
        race.world.pass(SECOND);
        race.has_seen("alice", &[("200 INVITE", 1), ("200 BYE", 1)]);
        race.has_seen("bob", &[("BYE", 1)]);
        race.is_over("3.1.6-bye-before-ack");
    }
}

/// §3.2.1: two BYEs cross.
#[test]
fn both_hang_up_at_the_same_moment() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.ends(race.alice);
        race.world.pass(10 * MS);
        race.ends(race.bob);
        race.world.pass(SECOND);
        for name in ["alice", "bob"] {
            race.has_sent(name, &[("BYE", 1)]);
            race.has_seen(name, &[("200 BYE", 1)]);
        }
        race.is_over("3.2.1-bye-bye");
    }
}

/// §3.2.1 where one of them does not arrive until the other has been answered.
#[test]
fn a_bye_comes_when_the_other_is_answered() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.world.lose("exchange", "BYE");
        race.ends(race.bob);
        race.world.pass(10 * MS);
        race.ends(race.alice);
        race.world.pass(5 * SECOND);
        race.has_seen("alice", &[("200 BYE", 1)]);
        race.nothing_is_left();
    }
}

/// §3.2.2: a re-INVITE comes to who has said BYE.
#[test]
fn a_re_invite_crosses_a_bye() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.ends(race.alice);
        // The BYE is on its way to Bob when he holds.
        race.world.pass(30 * MS);
        race.holds(race.bob);
        race.world.pass(SECOND);
        race.has_seen("bob", &[("BYE", 1), ("481 INVITE", 1)]);
        race.has_sent("bob", &[("INVITE", 1), ("ACK", 1), ("200 BYE", 1)]);
        race.is_over("3.2.2-bye-re-invite");
    }
}

/// §3.2.3: the answer to a re-INVITE comes to who has said BYE since.
#[test]
fn the_answer_to_a_re_invite_crosses_a_bye() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.holds(race.bob);
        race.until(|race| race.seen("bob", "200 INVITE") == 1);
        race.ends(race.bob);
        race.world.pass(SECOND);
        race.has_sent("bob", &[("INVITE", 1), ("BYE", 1), ("ACK", 1)]);
        race.has_seen("bob", &[("200 INVITE", 1), ("200 BYE", 1)]);
        if kind != Halves {
            race.has_seen("alice", &[("INVITE", 1), ("ACK", 1), ("BYE", 1)]);
        }
        race.is_over("3.2.3-answer-bye");
    }
}

/// §3.2.4 does not happen to our phones, nor to us: who has answered says BYE when it has seen the ACK (RFC 3261 §15).
#[test]
fn who_has_answered_waits_with_its_bye_for_the_ack() {
    for kind in KINDS {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.answered(race.bob));
        race.ends(race.bob);
        race.world.pass(SECOND);
        race.has_seen("bob", &[("ACK", 1), ("200 BYE", 1)]);
        let when = |from, to, what| race.world.ladder.times(from, to, what);
        assert!(when("bob", "exchange", "BYE")[0] > when("exchange", "bob", "ACK")[0]);
        if kind != Halves {
            assert!(when("exchange", "alice", "BYE")[0] > when("alice", "exchange", "ACK")[1]);
        }
        race.is_over("3.2.4-bye-after-ack");
    }
}

/// §3.3.1: two re-INVITEs cross. Both are refused and come again, the caller's later, and both get their wish.
#[test]
fn two_re_invites_cross() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.holds(race.alice);
        race.world.pass(10 * MS);
        race.holds(race.bob);
        race.world.pass(12 * SECOND);
        race.is_as_saved("3.3.1-re-invite-re-invite");
        for (name, waits) in [("alice", 2_100..=4_000), ("bob", 0..=2_000)] {
            let times = usize::from(kind != Halves);
            race.has_seen(name, &[("491 INVITE", times)]);
            race.has_sent(name, &[("INVITE", 1 + times)]);
            if kind != Halves {
                let refused = race.world.ladder.times("exchange", name, "491 INVITE")[0] + 20 * MS;
                let again = race.world.ladder.times(name, "exchange", "INVITE")[1];
                let waited = (again - refused).as_millis();
                assert!(waits.contains(&waited), "{kind:?}: {name} waits {waited} ms\n{}", race.picture());
            }
        }
        for phone in [race.alice, race.bob] {
            assert_eq!(race.is_held_by_peer(phone), kind != Halves, "{kind:?}\n{}", race.picture());
        }
        race.command(race.alice, |call| Command::Resume { call });
        race.world.pass(10 * MS);
        race.command(race.bob, |call| Command::Resume { call });
        race.world.pass(12 * SECOND);
        race.both_hear();
        race.hang_up();
        race.nothing_is_left();
    }
}

/// §3.3.2: an UPDATE crosses a re-INVITE. Alice's phone has sent it without knowing, so it takes Bob's offer where that comes to it.
#[test]
fn an_update_crosses_a_re_invite() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.world.pass(9 * SECOND);
        let offer = race.offer("alice");
        race.forge(race.alice, "ACK", "UPDATE", &offer);
        race.world.pass(10 * MS);
        race.holds(race.bob);
        race.world.pass(12 * SECOND);
        race.has_seen("alice", &[("491 UPDATE", 1)]);
        race.has_seen("bob", &[("491 INVITE", usize::from(kind == Bridged))]);
        race.is_as_saved("3.3.2-update-re-invite");
        assert!(race.is_held_by_peer(race.alice), "{kind:?}\n{}", race.picture());
        race.command(race.bob, |call| Command::Resume { call });
        race.world.pass(5 * SECOND);
        race.both_hear();
        race.ends(race.bob);
        race.nothing_is_left();
    }
}

/// §3.3.3: a REFER comes to who has said BYE.
#[test]
fn a_refer_crosses_a_bye() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.ends(race.alice);
        race.world.pass(30 * MS);
        let target = "sip:carol@example.com".parse().unwrap();
        race.command(race.bob, |call| Command::Transfer { call, target });
        race.world.pass(SECOND);
        race.has_seen("bob", &[("BYE", 1), ("481 REFER", 1), ("NOTIFY", 0)]);
        race.is_over("3.3.3-bye-refer");
    }
}

/// Not of the RFC, as those below: that it rings is heard of when it has been answered.
#[test]
fn ringing_comes_after_the_answer() {
    for kind in CALLED {
        for (to, seen) in [("exchange", 0), ("alice", 1)] {
            let mut race = Race::new(kind, Make { reliable: false, ..USUAL });
            // Before who calls asks again.
            race.world.phones[race.bob.0].habit = Habit::Answer(300 * MS);
            race.world.delay(to, "180 INVITE", 600 * MS);
            let mut race = race.begin();
            race.world.pass(6 * SECOND);
            race.has_seen("alice", &[("180 INVITE", seen), ("200 INVITE", 1)]);
            race.both_hear();
            race.ends(race.alice);
            race.world.pass(5 * SECOND);
            race.nothing_is_left();
        }
    }
}

/// A PRACK comes after the CANCEL.
#[test]
fn a_cancel_overtakes_a_prack() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.world.delay("exchange", "PRACK", 30 * MS);
        race.until(|race| race.sent("alice", "PRACK") == 1);
        race.ends(race.alice);
        race.world.pass(SECOND);
        race.has_seen("alice", &[("200 CANCEL", 1), ("487 INVITE", 1)]);
        race.is_over("cancel-prack");
    }
}

/// A session is refreshed by one while the other ends it.
#[test]
fn a_refresh_crosses_a_bye() {
    for kind in CALLED {
        let mut race = Race::new(kind, Make { interval: 90, ..USUAL }).begin();
        race.world.pass(9 * SECOND);
        race.world.begin_ladder();
        race.world.delay("exchange", "UPDATE", 80 * MS);
        race.until(|race| race.sent("alice", "UPDATE") == 1);
        race.ends(race.bob);
        race.world.pass(SECOND);
        race.has_seen("alice", &[("BYE", 1), ("481 UPDATE", 1)]);
        race.has_seen("bob", &[("200 BYE", 1)]);
        race.nothing_is_left();
    }
}

/// The same where it is we who refresh it.
#[test]
fn a_refresh_of_ours_crosses_a_bye() {
    for (kind, name) in [(Bridged, "bob"), (Halves, "bob"), (Halves, "alice")] {
        let mut race = Race::new(kind, Make { interval: 90, ..USUAL }).begin();
        race.world.pass(9 * SECOND);
        race.world.begin_ladder();
        race.world.delay(name, "UPDATE", 80 * MS);
        race.until(|race| race.seen(name, "UPDATE") == 1);
        race.ends(if name == "bob" { race.bob } else { race.alice });
        race.world.pass(SECOND);
        race.has_seen(name, &[("200 BYE", 1)]);
        race.has_sent(name, &[("481 UPDATE", 1)]);
        race.nothing_is_left();
    }
}

/// The INVITE of a call that is over comes once more: nobody rings for it.
#[test]
fn an_invite_comes_again_when_all_is_over() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.world.pass(5 * SECOND);
        race.hang_up();
        race.world.pass(60 * SECOND);
        let invite = race.world.ladder.last("alice", "exchange", "INVITE").unwrap();
        race.world.forge(race.alice, invite);
        race.world.pass(5 * SECOND);
        race.has_seen("bob", &[("INVITE", 1)]);
        race.nothing_is_left();
    }
}

/// Two phones of Bob's answer at once: one is hung up, and the call is not over for that.
#[test]
fn two_phones_answer_at_once() {
    for kind in CALLED {
        for after in [0, 1, 15, 30] {
            let mut race = Race::new(kind, USUAL);
            let desk = race.world.another_phone_of(race.bob, "desk");
            race.world.phones[desk.0].habit = Habit::Answer(2 * SECOND + after * MS);
            race.world.register(desk);
            race.world.begin_ladder();
            let mut race = race.begin();
            race.world.pass(8 * SECOND);
            assert!(race.answered(desk) || after == 30, "{kind:?}: {}", race.picture());
            let calls = |phone: PhoneId| race.world.phones[phone.0].ua.calls().len();
            let picture = race.world.ladder.draw(&["alice", "exchange", "bob", "desk"]);
            assert_eq!((calls(race.alice), calls(race.bob) + calls(desk)), (1, 1), "{kind:?}\n{picture}");
            assert_eq!(race.count(true), 0, "{kind:?}: the call goes on\n{picture}");
            if kind == Bridged && after == 0 {
                compare_with_saved("race-two-answers", &picture);
            }
            race.ends(race.alice);
            race.world.pass(SECOND);
            race.nothing_is_left();
        }
    }
}

/// Who is transferred hangs up in the moment in which the other answers.
#[test]
fn a_bye_crosses_the_answer_to_a_transfer() {
    for kind in [Bridged, Halves] {
        let mut race = Race::up(kind);
        let carol = race.world.phone("carol", None);
        race.world.phones[carol.0].habit = Habit::Answer(500 * MS);
        race.world.register(carol);
        race.world.begin_ladder();
        let target = "sip:carol@example.com".parse().unwrap();
        race.command(race.bob, |call| Command::Transfer { call, target });
        race.until(|race| race.answered(carol));
        race.ends(race.alice);
        race.world.pass(5 * SECOND);
        race.hang_up();
        race.nothing_is_left();
    }
}
