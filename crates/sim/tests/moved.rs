//! A phone whose network is another in the middle of a call: it registers from there, and the call goes on.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::AnchorPolicy;
use offhook_sim::{Habit, PhoneId, World};
use offhook_ua::{Command, Event, IceServers};

const SECOND: Duration = Duration::from_secs(1);
const ALICE_HZ: f32 = 440.0;
const BOB_HZ: f32 = 600.0;

/// Alice and Bob, who are registered.
fn world(anchor: AnchorPolicy, ice: bool) -> (World, PhoneId, PhoneId) {
    world_of(1, anchor, ice)
}

/// The same with so many shards: a phone that has moved may come to another than before.
fn world_of(shards: u8, anchor: AnchorPolicy, ice: bool) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(1, |config| (config.anchor, config.shards) = (anchor, shards));
    let (alice, bob) = (world.phone("alice", Some("1001")), world.phone("bob", Some("1002")));
    for (phone, hz) in [(alice, ALICE_HZ), (bob, BOB_HZ)] {
        if ice {
            world.equip(phone, |config| config.ice = Some(IceServers::default()));
        }
        world.phones[phone.0].sings = Some(hz);
        world.register(phone);
    }
    (world, alice, bob)
}

fn both_hear(world: &mut World, alice: PhoneId, bob: PhoneId) {
    world.pass(4 * SECOND);
    world.phones[alice.0].must_hear(BOB_HZ);
    world.phones[bob.0].must_hear(ALICE_HZ);
}

/// The phone is nowhere for a while, then somewhere else.
fn travel(world: &mut World, phone: PhoneId) {
    world.unplug(phone);
    world.pass(3 * SECOND);
    world.move_phone(phone);
}

/// Everything is over and nothing is left.
fn nothing_is_left(world: &mut World) {
    world.pass(90 * SECOND);
    let now = world.now();
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
    assert!(world.phones.iter().all(|phone| phone.ua.is_idle()));
}

#[test]
fn a_call_goes_on_when_either_phone_is_in_another_network() {
    for (anchor, shards) in [(AnchorPolicy::Never, 1), (AnchorPolicy::Never, 3), (AnchorPolicy::Always, 1)] {
        for ice in [false, true] {
            for (callee_moves, mover_ends) in [(false, false), (false, true), (true, false), (true, true)] {
                let (mut world, alice, bob) = world_of(shards, anchor, ice);
                world.call(alice, "bob");
                both_hear(&mut world, alice, bob);
                let (moves, stays) = if callee_moves { (bob, alice) } else { (alice, bob) };
                travel(&mut world, moves);
                both_hear(&mut world, alice, bob);
                travel(&mut world, moves);
                both_hear(&mut world, alice, bob);
                let ends = if mover_ends { moves } else { stays };
                let call = world.phones[ends.0].first_call();
                world.command(ends, Command::Hangup { call });
                world.pass(SECOND);
                for phone in [moves, stays] {
                    let ends = world.phones[phone.0].ends().len();
                    assert_eq!(ends, 1, "{anchor:?} {ice} {callee_moves} {mover_ends}");
                }
                nothing_is_left(&mut world);
            }
        }
    }
}

#[test]
fn who_has_moved_is_called_at_the_new_address_alone() {
    let (mut world, alice, bob) = world(AnchorPolicy::Never, false);
    travel(&mut world, bob);
    world.pass(SECOND);
    let now = world.now();
    assert_eq!(world.office.status(now).bindings, 2, "the contact of before is taken back");
    world.call(alice, "bob");
    both_hear(&mut world, alice, bob);
}

#[test]
fn who_was_away_when_a_call_came_is_called_at_the_new_address() {
    for (anchor, shards) in [(AnchorPolicy::Never, 1), (AnchorPolicy::Never, 3), (AnchorPolicy::Always, 3)] {
        let (mut world, alice, bob) = world_of(shards, anchor, false);
        world.unplug(bob);
        world.call(alice, "bob");
        world.pass(3 * SECOND);
        world.move_phone(bob);
        both_hear(&mut world, alice, bob);
        let call = world.phones[alice.0].first_call();
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
        for phone in [alice, bob] {
            assert_eq!(
                world.phones[phone.0].ends().len(),
                1,
                "{anchor:?} {shards}: one call, which has ended"
            );
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_watches_is_told_at_the_new_address_at_once() {
    let (mut world, alice, bob) = world(AnchorPolicy::Never, false);
    let request = world.phones[bob.0].ua.next_request();
    let target = "sip:alice@example.com".parse().unwrap();
    let event = "dialog".to_owned();
    world.command(bob, Command::Subscribe { request, target, event, expires: Duration::from_secs(3600) });
    world.pass(SECOND);
    let told = |world: &World| {
        let events = &world.phones[bob.0].events;
        events.iter().filter(|event| matches!(event, Event::Notified { .. })).count()
    };
    assert_eq!(told(&world), 1);
    travel(&mut world, bob);
    world.pass(SECOND);
    assert_eq!(told(&world), 2, "who asks from elsewhere is told the present state");
    let call = world.call(alice, "*43");
    world.pass(SECOND);
    let rings = told(&world);
    assert!(rings > 2, "{rings}");
    // Nobody is there for a while: what was sent to it then ends nothing that it asks for again.
    world.unplug(bob);
    world.command(alice, Command::Hangup { call });
    world.pass(60 * SECOND);
    world.move_phone(bob);
    world.pass(SECOND);
    assert!(told(&world) > rings, "it is told that the call is over");
    let now = world.now();
    assert_eq!(world.office.status(now).subscriptions, 1);
}

#[test]
fn a_call_with_the_exchange_goes_on() {
    let (mut world, alice, _) = world(AnchorPolicy::Auto, false);
    world.call(alice, "*43");
    world.pass(4 * SECOND);
    world.phones[alice.0].must_hear(ALICE_HZ);
    travel(&mut world, alice);
    world.pass(4 * SECOND);
    world.phones[alice.0].must_hear(ALICE_HZ);
}

#[test]
fn a_phone_that_rings_can_still_be_answered_and_a_call_that_is_placed_ends_with_the_reason() {
    let (mut world, alice, bob) = world(AnchorPolicy::Always, false);
    world.phones[bob.0].habit = Habit::Ignore;
    world.call(alice, "bob");
    world.pass(SECOND);
    world.move_phone(bob);
    world.pass(SECOND);
    let call = world.phones[bob.0].first_call();
    world.command(bob, Command::Answer { call });
    both_hear(&mut world, alice, bob);
    let call = world.phones[bob.0].first_call();
    world.command(bob, Command::Hangup { call });
    world.pass(SECOND);
    world.call(alice, "bob");
    world.pass(SECOND);
    world.move_phone(alice);
    world.pass(SECOND);
    let (code, reason) = world.phones[alice.0].ends().pop().unwrap();
    assert_eq!((code, reason.as_str()), (503, "Our address changed before the call was answered"));
    let cancelled = |event: &Event| matches!(event, Event::Ended { code: 487, .. });
    assert!(world.phones[bob.0].events.iter().any(cancelled), "Bob's phone rings no more");
    nothing_is_left(&mut world);
}
