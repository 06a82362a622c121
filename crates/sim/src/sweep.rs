//! Seeded users who do everything badly for a while, and what must hold all the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use offhook_exchange::config::AnchorPolicy;
use offhook_exchange::directory::{AddressOfRecord, Answering};
use offhook_exchange::event::Event as Told;
use offhook_ua::{CallId, Command, Event};
use rand::RngExt as _;

use crate::{Habit, Link, Nat, PhoneId, World};

/// What a sweep is like.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The share of datagrams that is lost, 0 to 1.
    pub loss: f64,
    /// How many phones there are.
    pub phones: usize,
    /// How many things users do.
    pub steps: usize,
    /// How many shards the exchange has.
    pub shards: u8,
    /// Whether users also transfer, park, fetch and pick up calls, and go elsewhere with their phones.
    pub moves: bool,
}

/// What became of the calls of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Calls placed.
    pub placed: usize,
    /// Calls that someone answered.
    pub answered: usize,
    /// Calls that ended, at the side that placed them.
    pub ended: usize,
    /// A digest of everything that happened: two runs of one seed have the same.
    pub trace: u64,
}

/// Runs a sweep and checks it.
///
/// # Errors
/// What does not hold, with the ladder and the command that repeats it.
pub fn run(seed: u64, plan: Plan) -> Result<Outcome, String> {
    let mut world = world(seed, plan);
    let mut placed: Vec<(PhoneId, CallId)> = Vec::new();
    for _ in 0..plan.steps {
        match plan.moves && world.rng.random_range(0..3) == 0 {
            true => move_call(&mut world, &mut placed),
            false => act(&mut world, &mut placed),
        }
        let pause = world.rng.random_range(0..3_000);
        world.pass(Duration::from_millis(pause));
    }
    settle(&mut world);
    let trace = trace(&world);
    let ended = placed.iter().filter(|(id, call)| has_ended(&world, *id, *call)).count();
    let answered = world.phones.iter().flat_map(|phone| &phone.events);
    let answered = answered.filter(|event| matches!(event, Event::Answered { .. })).count();
    let outcome = Outcome { placed: placed.len(), answered, ended, trace };
    match broken(&mut world, &placed) {
        None => Ok(outcome),
        Some(what) => Err(complaint(seed, &what, &world)),
    }
}

/// Some phones with addresses of their own, some behind NATs.
fn world(seed: u64, plan: Plan) -> World {
    let anchor = [AnchorPolicy::Auto, AnchorPolicy::Always, AnchorPolicy::Never][(seed % 3) as usize];
    let mut world = World::new(seed, |config| {
        config.anchor = anchor;
        config.shards = plan.shards;
    });
    world.link = Link { loss: plan.loss, delay: Duration::from_millis(5), jitter: Duration::from_millis(40) };
    for n in 0..plan.phones {
        let (name, number) = (format!("user{n}"), format!("10{n:02}"));
        let id = if n % 3 == 2 {
            let nat = Nat::new(IpAddr::from([203, 0, 113, n as u8]), n % 2 == 0);
            world.phone_behind(nat, &name, Some(&number))
        } else {
            world.phone(&name, Some(&number))
        };
        let habit = match n % 4 {
            0 | 1 => Habit::Answer(Duration::from_millis(1_500)),
            2 => Habit::Refuse(486),
            _ => Habit::Ignore,
        };
        if plan.moves {
            world.equip(id, |config| config.accept_transfers = true);
            let (now, pickup_group) = (world.now(), Some("all".to_owned()));
            world.office.answering(now, &name, Answering { pickup_group, ..Answering::default() });
        }
        world.phones[id.0].habit = habit;
        world.command(id, Command::Register);
    }
    world.pass(Duration::from_secs(5));
    world
}

/// One thing that some user does.
fn act(world: &mut World, placed: &mut Vec<(PhoneId, CallId)>) {
    let id = PhoneId(world.rng.random_range(0..world.phones.len()));
    let whom = world.rng.random_range(0..world.phones.len() + 1);
    let calls = world.phones[id.0].ua.calls();
    let some = (!calls.is_empty()).then(|| calls[world.rng.random_range(0..calls.len())]);
    match (world.rng.random_range(0..20), some) {
        (0, _) => placed.push((id, world.call(id, "*43"))),
        // These are bridged.
        (1 | 2, _) => placed.push((id, world.private_call(id, &format!("user{whom}")))),
        (3..=7, _) => placed.push((id, world.call(id, &format!("user{whom}")))),
        (8..=10, Some(call)) => world.command(id, Command::Hangup { call }),
        (11, Some(call)) => world.command(id, Command::Hold { call }),
        (12, Some(call)) => world.command(id, Command::Resume { call }),
        (13, Some(call)) => world.command(id, Command::Dtmf { call, digits: "12#".into() }),
        (14, Some(call)) => world.command(id, Command::Answer { call }),
        (15, _) => world.command(id, Command::Register),
        (16, _) if world.rng.random_range(0..4) == 0 => world.command(id, Command::Unregister),
        (17, _) if world.rng.random_range(0..8) == 0 => world.kill_and_restart_exchange(),
        (18, _) => {
            let request = world.phones[id.0].ua.next_request();
            let target = format!("sip:user{whom}@example.com").parse();
            if let Ok(target) = target {
                world.command(id, Command::Options { request, target });
            }
        }
        _ => {}
    }
}

/// One thing that some user does with calls that others may have a part in.
fn move_call(world: &mut World, placed: &mut Vec<(PhoneId, CallId)>) {
    let id = PhoneId(world.rng.random_range(0..world.phones.len()));
    let whom = world.rng.random_range(0..world.phones.len() + 1);
    let calls = world.phones[id.0].ua.calls();
    let mut some = || (!calls.is_empty()).then(|| calls[world.rng.random_range(0..calls.len())]);
    let (one, other) = (some(), some());
    let transfer = |world: &mut World, call, target: String| {
        if let Ok(target) = target.parse() {
            world.command(id, Command::Transfer { call, target });
        }
    };
    match (world.rng.random_range(0..9), one, other) {
        (0 | 1, Some(call), _) => transfer(world, call, format!("sip:user{whom}@example.com")),
        (2, Some(call), _) => transfer(world, call, "sip:700@example.com".into()),
        (3, Some(call), Some(other)) => {
            let replaces = world.phones[id.0].ua.replaces(other).unwrap_or_default();
            let replaces: String = replaces.bytes().map(|byte| format!("%{byte:02X}")).collect();
            transfer(world, call, format!("sip:user{whom}@example.com?Replaces={replaces}"));
        }
        (4, Some(call), _) => world.command(id, Command::Dtmf { call, digits: format!("*210{whom:02}#") }),
        (5, _, _) => {
            let slot = 701 + world.rng.random_range(0..4);
            placed.push((id, world.call(id, &slot.to_string())));
        }
        (6, _, _) => placed.push((id, world.call(id, "*8"))),
        (7, _, _) => {
            let account = AddressOfRecord::new(&format!("user{}", id.0), "example.com");
            world.ask_exchange(&offhook_exchange::command::Command::Connect(account, format!("user{whom}")));
        }
        // Who has an address of its own finds itself elsewhere after a while.
        (8, _, _) if world.phones[id.0].nat.is_none() => {
            world.unplug(id);
            let away = world.rng.random_range(0..4_000);
            world.pass(Duration::from_millis(away));
            world.move_phone(id);
        }
        _ => {}
    }
}

/// Everyone hangs up, on a good network, and every timer runs out.
fn settle(world: &mut World) {
    for _ in 0..3 {
        for id in (0..world.phones.len()).map(PhoneId) {
            for call in world.phones[id.0].ua.calls() {
                world.command(id, Command::Hangup { call });
            }
        }
        world.link = Link::GOOD;
        // Longer than 64·T1 and than the time after which silent media ends a call.
        world.pass(Duration::from_secs(240));
    }
}

fn broken(world: &mut World, placed: &[(PhoneId, CallId)]) -> Option<String> {
    for (id, call) in placed {
        if !has_ended(world, *id, *call) {
            return Some(format!(
                "{} call {call} of {} never ended",
                world.time().as_secs(),
                world.phones[id.0].name
            ));
        }
    }
    // A registration that is being refreshed is no leak: everyone is idle at some moment.
    for id in 0..world.phones.len() {
        if !(0..4).any(|_| {
            let idle = world.phones[id].ua.is_idle();
            world.pass(Duration::from_secs(17));
            idle
        }) {
            return Some(format!("{} is never idle at the end", world.phones[id].name));
        }
    }
    if !(0..4).any(|_| {
        let idle = world.office.is_idle();
        world.pass(Duration::from_secs(17));
        idle
    }) {
        let now = world.now();
        return Some(format!("the exchange is not idle at the end: {:?}", world.office.status(now)));
    }
    let now = world.now();
    let known = world.office.devices(now);
    if known.iter().any(|devices| *devices != known[0]) {
        return Some(format!("the shards know different phones: {known:?}"));
    }
    // What happened to calls whose exchange was killed is known to nobody.
    if world.office.restarts == 0 {
        return begun_and_ended(&world.office.events).find_map(|(call, begun, ended)| {
            (begun != ended).then(|| format!("call {call} has begun {begun} times and ended {ended} times"))
        });
    }
    None
}

/// How often each call has begun and ended.
fn begun_and_ended(events: &[Told]) -> impl Iterator<Item = (&str, usize, usize)> {
    let mut calls: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for event in events {
        match event {
            Told::CallStarted { call, .. } => calls.entry(call).or_default().0 += 1,
            Told::CallEnded { call, .. } | Told::CallFailed { call, .. } => {
                calls.entry(call).or_default().1 += 1;
            }
            _ => {}
        }
    }
    calls.into_iter().map(|(call, (begun, ended))| (call, begun, ended))
}

fn has_ended(world: &World, id: PhoneId, call: CallId) -> bool {
    world.phones[id.0]
        .events
        .iter()
        .any(|event| matches!(event, Event::Ended { call: one, .. } if *one == call))
}

/// FNV-1a over all events.
fn trace(world: &World) -> u64 {
    let text = world.phones.iter().fold(String::new(), |mut text, phone| {
        let _ = write!(text, "{:?}", phone.events);
        text
    });
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn complaint(seed: u64, what: &str, world: &World) -> String {
    let mut names: Vec<&str> = vec!["exchange"];
    names.extend(world.phones.iter().map(|phone| phone.name.as_str()));
    format!(
        "seed {seed}: {what}\n{}\nAgain: SEED={seed} cargo test -p offhook-sim --test sweep",
        world.ladder.draw(&names)
    )
}
