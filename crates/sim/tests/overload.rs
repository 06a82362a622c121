//! An exchange to which more comes than it can do.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use offhook_exchange::config::AnchorPolicy;
use offhook_exchange::event;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, Command, Event};

const SECOND: Duration = Duration::from_secs(1);
/// What the exchange needs for a message that comes or goes: a call costs some twenty of them.
const COST: Duration = Duration::from_millis(1);
/// Waiting for longer than T1 brings copies: what there is room for is done in a quarter of a second or so.
const ROOM: usize = 200;
/// Calls a second that the exchange can just do; it is rather less if nobody is to be refused.
const ABLE: u32 = 44;
const USUAL: u32 = 30;
/// A caller hangs up then, whatever became of the call.
const PATIENCE: Duration = Duration::from_secs(2);
/// The crowd does something a hundred times a second.
const SLICES: u32 = 100;
const SLICE: Duration = Duration::from_millis(10);
const CROWD: usize = 40;
/// How long it lasts; a call for help begins in each of them.
const SECONDS: u32 = 5;

struct Rush {
    world: World,
    callers: Vec<PhoneId>,
    callees: Vec<String>,
    under_way: VecDeque<(Instant, PhoneId, CallId)>,
    begun: BTreeMap<(PhoneId, CallId), Instant>,
    /// How many events of each caller were looked at.
    seen: Vec<usize>,
    next: usize,
    answered: usize,
    /// What the others ended with, and after what time.
    refused: Vec<(u16, Duration)>,
}

impl Rush {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed, |config| {
            config.anchor = AnchorPolicy::Never;
            config.max_calls_per_account = 1_000;
            config.plan.numbering.emergency = vec!["110".into()];
        });
        let names: Vec<_> = (0..2 * CROWD).map(|at| format!("crowd{at}")).collect();
        let phones: Vec<_> = names.iter().map(|name| crowded(&mut world, name, None)).collect();
        Self {
            world,
            callers: phones[..CROWD].to_vec(),
            callees: names[CROWD..].to_vec(),
            under_way: VecDeque::new(),
            begun: BTreeMap::new(),
            seen: vec![0; CROWD],
            next: 0,
            answered: 0,
            refused: Vec::new(),
        }
    }

    /// Lets so many calls a second begin for some time.
    fn offer(&mut self, rate: u32, time: Duration) {
        let slices = (time.as_millis() / SLICE.as_millis()) as u32;
        for at in 0..slices {
            for _ in 0..rate * (at + 1) / SLICES - rate * at / SLICES {
                let caller = self.callers[self.next % CROWD];
                let callee = self.callees[self.next * 7 % CROWD].clone();
                self.next += 1;
                let call = self.world.call(caller, &callee);
                self.begun.insert((caller, call), self.world.now());
                self.under_way.push_back((self.world.now() + PATIENCE, caller, call));
            }
            self.slice();
        }
    }

    fn wait(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / SLICE.as_millis() {
            self.slice();
        }
    }

    /// Lets a moment pass, and looks what has become of calls.
    fn slice(&mut self) {
        self.world.pass(SLICE);
        let now = self.world.now();
        for (at, caller) in self.callers.iter().enumerate() {
            let events = &self.world.phones[caller.0].events;
            for event in &events[std::mem::replace(&mut self.seen[at], events.len())..] {
                match event {
                    Event::Answered { call, .. } => {
                        self.answered += usize::from(self.begun.remove(&(*caller, *call)).is_some());
                    }
                    Event::Ended { call, code, .. } => {
                        let begun = self.begun.remove(&(*caller, *call));
                        self.refused.extend(begun.map(|begun| (*code, now - begun)));
                    }
                    _ => {}
                }
            }
        }
        while let Some((_, caller, call)) = self.under_way.pop_front_if(|(until, ..)| *until <= now) {
            if self.world.phones[caller.0].ua.calls().contains(&call) {
                self.world.command(caller, Command::Hangup { call });
            }
        }
    }

    /// How many were answered since it was last asked, and what became of the others.
    fn outcome(&mut self) -> (usize, Vec<(u16, Duration)>) {
        (std::mem::take(&mut self.answered), std::mem::take(&mut self.refused))
    }

    /// How many new calls the exchange says that it turned away.
    fn turned_away(&self) -> u64 {
        let told =
            |event: &event::Event| if let event::Event::Overload { refused } = event { *refused } else { 0 };
        self.world.office.events.iter().map(told).sum()
    }

    fn transactions(&mut self) -> usize {
        let now = self.world.now();
        self.world.office.status(now).transactions
    }
}

/// A phone with room for many calls, registered, whose user answers at once.
fn crowded(world: &mut World, name: &str, number: Option<&str>) -> PhoneId {
    let phone = world.phone(name, number);
    world.equip(phone, |config| {
        let first = config.media_ports[0];
        config.media_ports = (0..60)
            .map(|n| {
                let mut port = first;
                port.advertised.set_port(4000 + 2 * n);
                port
            })
            .collect();
    });
    world.phones[phone.0].habit = Habit::Answer(Duration::ZERO);
    world.register(phone);
    phone
}

#[test]
fn two_and_three_times_of_what_it_can_do_are_turned_away_early_and_nothing_else_suffers() {
    let usual = rush(USUAL);
    for times in [2, 3] {
        let most = rush(times * ABLE);
        // A refusal costs three messages of the twenty of a call: 0.85 and 0.7 of all time is left for calls.
        assert!(most.answered as u32 * 20 >= SECONDS * ABLE * 13, "{times}: {}", most.answered);
        // What is kept is kept of the calls that were let in.
        let of_each = |one: &Outcome| one.transactions as f64 / one.answered as f64;
        assert!(of_each(&most) <= of_each(&usual) * 1.25, "{times}: {} {}", of_each(&most), of_each(&usual));
    }
}

/// What became of the calls of a rush.
struct Outcome {
    answered: usize,
    /// How many transactions there were at the end.
    transactions: usize,
}

/// So many calls a second are offered.
fn rush(rate: u32) -> Outcome {
    let mut rush = Rush::new(rate.into());
    let [alice, bob, erin] = ["alice", "bob", "erin"].map(|name| crowded(&mut rush.world, name, None));
    crowded(&mut rush.world, "help", Some("110"));
    let late = rush.world.phone("late", None);
    let talk = rush.world.call(alice, "bob");
    rush.world.pass(2 * SECOND);
    rush.world.slow_exchange(COST, ROOM);
    rush.offer(rate, 2 * SECOND);
    rush.outcome();

    rush.world.command(alice, Command::Hold { call: talk });
    rush.world.command(late, Command::Register);
    for at in 0..SECONDS {
        if at == 0 {
            rush.world.begin_ladder();
        }
        let call = rush.world.call(erin, "110");
        rush.world.later(2 * SECOND, erin, Command::Hangup { call });
        rush.offer(rate, SECOND);
        if at == 0 && rate == 3 * ABLE {
            let picture = rush.world.ladder.draw(&["erin", "exchange", "help"]);
            compare_with_saved("overload-emergency-call", &picture);
        }
    }
    let (answered, refused) = rush.outcome();
    let transactions = rush.transactions();

    let early = refused.iter().filter(|(code, after)| *code == 503 && *after < SECOND).count();
    assert!(early * 20 >= refused.len() * 19, "{rate}: {early} of {refused:?}");
    assert!((rate > ABLE) == (early > 0), "{rate}: {refused:?}");
    if rate > ABLE {
        let told = refused_crowd(&rush);
        assert!(told.lines().any(|line| line.starts_with("Retry-After: ")), "{told}");
    }
    let saw = |phone: PhoneId, what: fn(&Event) -> bool| {
        rush.world.phones[phone.0].events.iter().filter(|event| what(event)).count()
    };
    assert_eq!(saw(erin, |event| matches!(event, Event::Answered { .. })), SECONDS as usize, "{rate}");
    assert_eq!(saw(late, |event| matches!(event, Event::Registered { .. })), 1, "{rate}");
    assert_eq!(saw(alice, |event| matches!(event, Event::Held { by_us: true, .. })), 1, "{rate}");
    assert_eq!(saw(bob, |event| matches!(event, Event::Held { by_peer: true, .. })), 1, "{rate}");

    // A second later all is as it was.
    rush.wait(SECOND);
    rush.outcome();
    rush.begun.clear();
    rush.offer(USUAL, 3 * SECOND);
    rush.wait(SECOND);
    assert_eq!(rush.outcome(), (3 * USUAL as usize, Vec::new()), "{rate}");
    assert!(rush.turned_away() >= early as u64, "{rate}");
    assert!(rush.world.phones[alice.0].ua.calls().contains(&talk));
    rush.world.command(alice, Command::Hangup { call: talk });
    rush.wait(2 * SECOND);
    assert_eq!(rush.world.phones[alice.0].ends(), [(200, "OK".to_owned())]);
    rush.world.nothing_is_left_after(240 * SECOND);
    Outcome { answered, transactions }
}

/// A refusal that one of the crowd was sent.
fn refused_crowd(rush: &Rush) -> String {
    let names = rush.callers.iter().map(|caller| &rush.world.phones[caller.0].name);
    let mut told = names.filter_map(|name| rush.world.ladder.last("exchange", name, "503 INVITE"));
    String::from_utf8_lossy(&told.next().unwrap()).into_owned()
}
