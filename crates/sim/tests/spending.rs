//! Limits of what accounts may spend, of calls by trunks with a password, which are bridged.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use offhook_exchange::config::Config;
use offhook_exchange::event::Event;
use offhook_exchange::route::Numbering;
use offhook_exchange::route::countries::Country;
use offhook_exchange::spending::{Money, Rates};
use offhook_sim::{PhoneId, Provider, World};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);
const NUMBER: &str = "sip:030-987654@example.com";

/// A provider, a minute to which costs 0.60, and 0.30 for an account to spend on a day.
fn limited(config: &mut Config, shards: u8) {
    config.shards = shards;
    config.trunks.push(Provider::trunk("provider.test"));
    config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
    config.plan.rules.push(Provider::outside(&["provider.test"]));
    let table = "prefix,per_minute,connection,increments,currency\n+49,0.60,0,1/1,EUR\n";
    config.rates = Arc::new(Rates::parse(table).unwrap());
    config.limits.money_per_day = Some(Money(300_000));
}

fn world(seed: u64, shards: u8) -> (World, PhoneId) {
    let mut world = World::new(seed, |config| limited(config, shards));
    let alice = world.phone("alice", None);
    world.provider("provider.test");
    world.register(alice);
    (world, alice)
}

fn stopped(world: &World, under_way: bool) -> usize {
    let is = |one: &&Event| matches!(one, Event::SpendingStopped { ended, .. } if *ended == under_way);
    world.office.events.iter().filter(is).count()
}

#[test]
fn a_bridged_call_ends_at_the_limit_and_the_next_does_not_leave() {
    for shards in [1, 3] {
        let (mut world, alice) = world(1, shards);
        world.call(alice, NUMBER);
        world.pass(29 * SECOND);
        assert!(world.phones[alice.0].ends().is_empty());
        world.pass(3 * SECOND);
        assert_eq!(world.phones[alice.0].ends().len(), 1);
        assert_eq!((stopped(&world, true), stopped(&world, false)), (1, 0));
        world.begin_ladder();
        world.call(alice, NUMBER);
        world.pass(3 * SECOND);
        let ends = world.phones[alice.0].ends();
        assert_eq!(ends[1].0, 403);
        assert!(ends[1].1.contains("spent 0.30 of its 0.30 EUR"), "{}", ends[1].1);
        let ladder = world.ladder.draw(&["alice", "exchange", "provider.test"]);
        assert!(!ladder.contains("provider.test ─") && stopped(&world, false) == 1, "{ladder}");
        world.pass(240 * SECOND);
        let now = world.now();
        let status = world.office.status(now);
        assert_eq!((status.ringing, status.anchored), (0, 0));
        // Tomorrow is another day.
        world.pass(86_400 * SECOND);
        world.call(alice, NUMBER);
        world.pass(3 * SECOND);
        assert_eq!(world.phones[alice.0].ends().len(), 2);
    }
}

#[test]
fn calls_at_several_shards_spend_together() {
    let (mut world, alice) = world(2, 4);
    let calls: Vec<_> = (0..3).map(|_| world.call(alice, NUMBER)).collect();
    world.pass(9 * SECOND);
    assert!(world.phones[alice.0].ends().is_empty(), "three calls of 9 s cost 0.27");
    world.pass(4 * SECOND);
    assert_eq!(world.phones[alice.0].ends().len(), calls.len());
    assert_eq!(stopped(&world, true), calls.len());
}

#[test]
fn a_call_that_its_caller_ends_has_spent_until_then() {
    let (mut world, alice) = world(3, 1);
    let call = world.call(alice, NUMBER);
    world.pass(21 * SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    world.call(alice, NUMBER);
    world.pass(8 * SECOND);
    assert_eq!(world.phones[alice.0].ends().len(), 1);
    world.pass(4 * SECOND);
    assert_eq!(world.phones[alice.0].ends().len(), 2);
    assert_eq!(stopped(&world, true), 1);
}
