//! An exchange of three shards, as its users know it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::AnchorPolicy;
use offhook_sim::{Habit, PhoneId, World};
use offhook_ua::{Command, Event};

const SECOND: Duration = Duration::from_secs(1);
const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

/// Phones that are registered; each sings a note of its own.
fn office(seed: u64, anchor: AnchorPolicy) -> (World, Vec<PhoneId>) {
    let mut world = World::new(seed, |config| {
        config.shards = 3;
        config.anchor = anchor;
    });
    let phones: Vec<_> = NAMES.iter().map(|name| world.phone(name, None)).collect();
    for (at, phone) in phones.iter().enumerate() {
        world.phones[phone.0].sings = Some(hz(at));
        world.register(*phone);
    }
    (world, phones)
}

fn hz(at: usize) -> f32 {
    440.0 + 200.0 * at as f32
}

fn hears(world: &World, phone: PhoneId, at: usize) {
    let heard = world.phones[phone.0].heard_hz(1.5);
    assert!((heard - hz(at)).abs() < 10.0, "{} hears {heard} Hz", world.phones[phone.0].name);
}

/// How many shards have a call.
fn busy(world: &mut World) -> usize {
    let now = world.now();
    world.office.each_status(now).iter().filter(|one| one.ringing + one.anchored > 0).count()
}

#[test]
fn everyone_is_known_everywhere() {
    let (mut world, _) = office(21, AnchorPolicy::Auto);
    let now = world.now();
    let known = world.office.devices(now);
    assert_eq!(known.len(), 3);
    assert!(known.iter().all(|devices| devices.len() == NAMES.len() && *devices == known[0]));
}

#[test]
fn each_calls_each_and_hears_whom_it_called() {
    let (mut world, phones) = office(22, AnchorPolicy::Always);
    for from in 0..phones.len() {
        for to in (0..phones.len()).filter(|to| *to != from) {
            let call = world.call(phones[from], NAMES[to]);
            world.pass(5 * SECOND);
            hears(&world, phones[from], to);
            hears(&world, phones[to], from);
            if (from + to) % 2 == 0 {
                world.command(phones[from], Command::Hangup { call });
            } else {
                let call = world.phones[phones[to].0].ua.calls()[0];
                world.command(phones[to], Command::Hangup { call });
            }
            world.pass(SECOND);
            assert_eq!(world.phones[phones[from].0].ends().pop().map(|(code, _)| code), Some(200));
            assert!(world.phones[phones[to].0].ua.calls().is_empty());
        }
    }
    // Phones keep their nonces: most of these calls were at another shard than the one before.
    world.pass(240 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn calls_are_held_resumed_and_cancelled_at_whichever_shard_they_are() {
    let (mut world, phones) = office(23, AnchorPolicy::Always);
    world.phones[phones[4].0].habit = Habit::Ignore;
    let mut shards = 0;
    for _ in 0..6 {
        let (call, ringing) = (world.call(phones[0], "bob"), world.call(phones[2], "erin"));
        world.pass(5 * SECOND);
        shards = shards.max(busy(&mut world));
        world.command(phones[2], Command::Hangup { call: ringing });
        world.command(phones[0], Command::Hold { call });
        world.pass(20 * SECOND);
        assert!(world.phones[phones[4].0].ua.calls().is_empty(), "the CANCEL arrived");
        assert_eq!(world.phones[phones[2].0].ends().pop().map(|(code, _)| code), Some(487));
        world.command(phones[0], Command::Resume { call });
        world.pass(4 * SECOND);
        hears(&world, phones[0], 1);
        hears(&world, phones[1], 0);
        world.command(phones[0], Command::Hangup { call });
        world.pass(SECOND);
    }
    assert!(shards > 1, "all calls were at one shard");
    world.pass(240 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn an_account_has_no_more_calls_than_it_may_have_over_all_shards() {
    let mut world = World::new(24, |config| {
        config.shards = 3;
        config.max_calls_per_account = 3;
    });
    let alice = world.phone("alice", None);
    let others: Vec<_> = NAMES[1..].iter().map(|name| world.phone(name, None)).collect();
    for phone in others.iter().chain([&alice]) {
        world.phones[phone.0].habit = Habit::Ignore;
        world.register(*phone);
    }
    for name in &NAMES[1..] {
        world.call(alice, name);
        world.pass(SECOND);
    }
    assert_eq!(world.phones[alice.0].ends().iter().map(|(code, _)| *code).collect::<Vec<_>>(), [403]);
    let ringing = |event: &Event| matches!(event, Event::Incoming { .. });
    let rang = others.iter().filter(|phone| world.phones[phone.0].events.iter().any(ringing)).count();
    assert_eq!(rang, 3);
}

#[test]
fn registrations_outlive_the_death_of_all_shards() {
    let (mut world, phones) = office(25, AnchorPolicy::Always);
    world.kill_and_restart_exchange();
    world.call(phones[3], "bob");
    world.pass(6 * SECOND);
    hears(&world, phones[3], 1);
    hears(&world, phones[1], 3);
}
