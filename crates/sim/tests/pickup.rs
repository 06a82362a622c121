//! Call pickup (RFC 5359 §2.16): a colleague takes a call that rings elsewhere.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::directory::Answering;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);

/// Alice calls Bob, who does not answer; Carol is in a group with him unless she is not. They sing 440, 1,000 and 600 Hz.
fn three(seed: u64, shards: u8, together: bool) -> (World, [PhoneId; 3]) {
    let mut world = World::new(seed, |config| config.shards = shards);
    let numbers = [("alice", "1001", 440.0), ("bob", "1002", 1000.0), ("carol", "1003", 600.0)];
    let phones = numbers.map(|(name, number, hz)| {
        let phone = world.phone(name, Some(number));
        world.phones[phone.0].sings = Some(hz);
        world.register(phone);
        phone
    });
    world.phones[phones[1].0].habit = Habit::Ignore;
    for (name, group) in [("bob", "sales"), ("carol", if together { "sales" } else { "support" })] {
        let now = world.now();
        let pickup_group = Some(group.to_owned());
        world.office.answering(now, name, Answering { pickup_group, ..Answering::default() });
    }
    world.begin_ladder();
    (world, phones)
}

fn nothing_is_left(world: &mut World) {
    world.hang_up_all();
    world.nothing_is_left_after(240 * SECOND);
}

#[test]
fn a_colleague_takes_a_call_that_is_forwarded_or_bridged() {
    for (bridged, dialled) in [(false, "*8"), (true, "*8"), (false, "*81002"), (true, "*8bob")] {
        let (mut world, [alice, bob, carol]) = three(1, 1, true);
        if bridged {
            world.private_call(alice, "bob");
        } else {
            world.call(alice, "bob");
        }
        world.pass(3 * SECOND);
        world.call(carol, dialled);
        world.pass(5 * SECOND);
        world.phones[carol.0].must_hear(440.0);
        world.phones[alice.0].must_hear(600.0);
        assert_eq!(world.phones[bob.0].ends()[0].0, 487);
        if !bridged && dialled == "*8" {
            compare_with_saved("pickup", &world.ladder.draw(&["alice", "exchange", "bob", "carol"]));
        }
        let call = world.phones[alice.0].first_call();
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
        assert!(world.phones[carol.0].ua.calls().is_empty());
        nothing_is_left(&mut world);
    }
}

#[test]
fn calls_and_colleagues_of_different_shards_meet() {
    for seed in 10..16 {
        for bridged in [false, true] {
            let (mut world, [alice, _, carol]) = three(seed, 3, true);
            if bridged {
                world.private_call(alice, "bob");
            } else {
                world.call(alice, "bob");
            }
            world.pass(3 * SECOND);
            world.call(carol, "*8");
            world.pass(5 * SECOND);
            world.phones[carol.0].must_hear(440.0);
            world.phones[alice.0].must_hear(600.0);
            nothing_is_left(&mut world);
        }
    }
}

#[test]
fn others_take_nothing() {
    let (mut world, [alice, bob, carol]) = three(2, 1, false);
    world.call(alice, "bob");
    world.pass(3 * SECOND);
    world.call(carol, "*81002");
    world.call(alice, "*8");
    world.pass(SECOND);
    assert_eq!(world.phones[carol.0].ends()[0].0, 403, "another group");
    assert_eq!(world.phones[alice.0].ends()[0].0, 403, "no group");
    // Nothing rings in Carol's own group.
    world.call(carol, "*8");
    world.pass(3 * SECOND);
    assert_eq!(world.phones[carol.0].ends().len(), 2);
    assert_eq!(world.phones[bob.0].ua.calls().len(), 1, "it still rings");
    nothing_is_left(&mut world);
}

#[test]
fn a_caller_that_gives_up_meanwhile_leaves_nobody_behind() {
    for after in 0..6 {
        let (mut world, [alice, _, carol]) = three(3, 2, true);
        let placed = world.call(alice, "bob");
        world.pass(3 * SECOND);
        world.call(carol, "*8");
        world.later(Duration::from_millis(after), alice, Command::Hangup { call: placed });
        world.pass(10 * SECOND);
        assert!(world.phones[carol.0].ua.calls().is_empty(), "{after}");
        nothing_is_left(&mut world);
    }
}
