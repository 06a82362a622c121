//! A phone whose network is another in the middle of a call: it registers from there, and the call goes on.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::AnchorPolicy;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{Command, Event, IceServers};

const SECOND: Duration = Duration::from_secs(1);
const ALICE_HZ: f32 = 440.0;
const BOB_HZ: f32 = 600.0;
const ALL: [&str; 3] = ["alice", "exchange", "bob"];

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

/// The other phone rings, and nobody picks up yet.
fn ringing(anchor: AnchorPolicy, shards: u8, ice: bool) -> (World, PhoneId, PhoneId) {
    let (mut world, alice, bob) = world_of(shards, anchor, ice);
    world.phones[bob.0].habit = Habit::Ignore;
    world.begin_ladder();
    world.call(alice, "bob");
    world.pass(SECOND);
    (world, alice, bob)
}

fn pick_up(world: &mut World, phone: PhoneId) {
    let call = world.phones[phone.0].first_call();
    world.command(phone, Command::Answer { call });
}

fn hang_up(world: &mut World, phone: PhoneId) {
    let call = world.phones[phone.0].first_call();
    world.command(phone, Command::Hangup { call });
}

fn is_cancelled(world: &World, phone: PhoneId) -> bool {
    let cancelled = |event: &Event| matches!(event, Event::Ended { code: 487, .. });
    world.phones[phone.0].events.iter().any(cancelled)
}

#[test]
fn a_phone_that_rings_can_still_be_answered_at_its_new_address() {
    let (mut world, alice, bob) = ringing(AnchorPolicy::Always, 1, false);
    world.move_phone(bob);
    world.pass(SECOND);
    pick_up(&mut world, bob);
    both_hear(&mut world, alice, bob);
    hang_up(&mut world, bob);
    world.pass(SECOND);
    nothing_is_left(&mut world);
}

#[test]
fn a_call_that_rings_goes_on_when_its_caller_is_in_another_network() {
    for (anchor, shards) in [(AnchorPolicy::Never, 1), (AnchorPolicy::Never, 3), (AnchorPolicy::Always, 1)] {
        for ice in [false, true] {
            for (while_away, mover_ends) in [(false, false), (false, true), (true, false), (true, true)] {
                let (mut world, alice, bob) = ringing(anchor, shards, ice);
                world.unplug(alice);
                world.pass(SECOND);
                if while_away {
                    pick_up(&mut world, bob);
                }
                world.pass(2 * SECOND);
                world.move_phone(alice);
                world.pass(SECOND);
                if !while_away {
                    pick_up(&mut world, bob);
                    world.pass(SECOND);
                }
                if !(ice || while_away || mover_ends) && (anchor, shards) == (AnchorPolicy::Never, 1) {
                    compare_with_saved("caller-moves-while-it-rings", &world.ladder.draw(&ALL));
                }
                both_hear(&mut world, alice, bob);
                hang_up(&mut world, if mover_ends { alice } else { bob });
                world.pass(SECOND);
                for phone in [alice, bob] {
                    let ends = world.phones[phone.0].ends();
                    assert_eq!(ends.len(), 1, "{anchor:?} {ice} {while_away} {mover_ends}: {ends:?}");
                    assert_eq!(ends[0].0, 200, "{anchor:?} {ice} {while_away} {mover_ends}: {ends:?}");
                }
                nothing_is_left(&mut world);
            }
        }
    }
}

#[test]
fn a_caller_that_has_moved_while_it_rings_can_give_up_and_is_told_of_a_refusal() {
    for refused in [false, true] {
        let (mut world, alice, bob) = ringing(AnchorPolicy::Never, 1, false);
        world.unplug(alice);
        if refused {
            let call = world.phones[bob.0].first_call();
            world.command(bob, Command::Reject { call, code: 486 });
        }
        world.pass(3 * SECOND);
        world.move_phone(alice);
        if !refused {
            hang_up(&mut world, alice);
        }
        world.pass(SECOND);
        let code = if refused { 486 } else { 487 };
        assert_eq!(world.phones[alice.0].ends()[0].0, code);
        assert_eq!(world.phones[bob.0].ends().len(), 1);
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_phone_that_has_moved_while_it_rings_stops_when_its_caller_gives_up() {
    for shards in [1, 3] {
        for given_up_meanwhile in [false, true] {
            let (mut world, alice, bob) = ringing(AnchorPolicy::Never, shards, false);
            world.unplug(bob);
            world.pass(SECOND);
            if given_up_meanwhile {
                hang_up(&mut world, alice);
            }
            world.pass(2 * SECOND);
            world.move_phone(bob);
            world.pass(SECOND);
            if !given_up_meanwhile {
                hang_up(&mut world, alice);
                world.pass(SECOND);
            }
            assert!(is_cancelled(&world, bob), "{shards} {given_up_meanwhile}");
            if !given_up_meanwhile && shards == 1 {
                compare_with_saved("callee-moves-while-it-rings", &world.ladder.draw(&ALL));
            }
            nothing_is_left(&mut world);
        }
    }
}

#[test]
fn the_legs_of_a_bridged_call_follow_their_phone() {
    // Before it heard of the call; while it rings, and it is given up; in the call.
    for (rings, gives_up) in [(false, false), (true, true), (true, false)] {
        let (mut world, alice, bob) = world(AnchorPolicy::Auto, false);
        world.phones[bob.0].habit = Habit::Ignore;
        if !rings {
            world.unplug(bob);
        }
        world.private_call(alice, "bob");
        world.pass(SECOND);
        world.unplug(bob);
        world.pass(2 * SECOND);
        world.move_phone(bob);
        world.pass(SECOND);
        if gives_up {
            hang_up(&mut world, alice);
            world.pass(SECOND);
            assert!(is_cancelled(&world, bob));
        } else {
            assert_eq!(world.phones[bob.0].ua.calls().len(), 1, "rings: {rings}");
            pick_up(&mut world, bob);
            both_hear(&mut world, alice, bob);
            travel(&mut world, bob);
            both_hear(&mut world, alice, bob);
            hang_up(&mut world, alice);
            world.pass(SECOND);
            assert_eq!(world.phones[bob.0].ends().len(), 1);
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_only_registers_from_elsewhere_hears_that_its_call_is_over() {
    for (shards, hides) in [(1, false), (3, false), (1, true)] {
        for while_away in [false, true] {
            let (mut world, alice, bob) = world_of(shards, AnchorPolicy::Auto, false);
            if hides {
                world.private_call(alice, "bob")
            } else {
                world.call(alice, "bob")
            };
            both_hear(&mut world, alice, bob);
            world.begin_ladder();
            // A phone of another maker, which does not offer its session anew.
            for _ in 0..20 {
                world.lose("exchange", "INVITE");
            }
            world.unplug(bob);
            world.pass(SECOND);
            if while_away {
                hang_up(&mut world, alice);
            }
            world.pass(2 * SECOND);
            world.move_phone(bob);
            world.pass(SECOND);
            if !while_away {
                hang_up(&mut world, alice);
                world.pass(SECOND);
            }
            assert_eq!(world.phones[bob.0].ends().len(), 1, "{shards} {hides} {while_away}");
            if !while_away && !hides && shards == 1 {
                compare_with_saved("bye-finds-who-has-moved", &world.ladder.draw(&ALL));
            }
            nothing_is_left(&mut world);
        }
    }
}

#[test]
fn a_watcher_that_only_registers_from_elsewhere_is_told_there() {
    for shards in [1, 3] {
        for while_away in [false, true] {
            let (mut world, alice, bob) = world_of(shards, AnchorPolicy::Never, false);
            let request = world.phones[bob.0].ua.next_request();
            let target = "sip:alice@example.com".parse().unwrap();
            let event = "dialog".to_owned();
            let expires = Duration::from_secs(3600);
            world.command(bob, Command::Subscribe { request, target, event, expires });
            world.pass(SECOND);
            for _ in 0..20 {
                world.lose("exchange", "SUBSCRIBE");
            }
            world.begin_ladder();
            let told = |world: &World| {
                let events = &world.phones[bob.0].events;
                events.iter().filter(|event| matches!(event, Event::Notified { .. })).count()
            };
            let before = told(&world);
            world.unplug(bob);
            if while_away {
                world.call(alice, "*43");
            }
            world.pass(2 * SECOND);
            world.move_phone(bob);
            world.pass(SECOND);
            if while_away {
                // Another shard may hear of it later, and then it is only sent again.
                world.pass(4 * SECOND);
            } else {
                world.call(alice, "*43");
                world.pass(SECOND);
            }
            assert!(told(&world) > before, "{shards} {while_away}");
            if !while_away && shards == 1 {
                compare_with_saved("lamp-follows-who-has-moved", &world.ladder.draw(&["bob", "exchange"]));
            }
            let now = world.now();
            assert_eq!(world.office.status(now).subscriptions, 1);
        }
    }
}
