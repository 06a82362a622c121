//! A live call moves from one of one's phones to another.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_sim::{PhoneId, World, compare_with_saved};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);

/// Alice, who calls Bob by the exchange, and Bob's two phones, of which only the first registers before.
fn phones(seed: u64, shards: u8) -> (World, [PhoneId; 3]) {
    let mut world = World::new(seed, |config| config.shards = shards);
    let alice = world.phone("alice", None);
    let bob = world.phone("bob", None);
    let desk = world.another_phone_of(bob, "desk");
    for (phone, hz) in [(alice, 440.0), (bob, 1000.0), (desk, 600.0)] {
        world.phones[phone.0].sings = Some(hz);
    }
    world.register(alice);
    world.register(bob);
    world.begin_ladder();
    world.private_call(alice, "bob");
    world.pass(5 * SECOND);
    world.phones[alice.0].must_hear(1000.0);
    world.register(desk);
    (world, [alice, bob, desk])
}

fn nothing_is_left(world: &mut World) {
    world.nothing_is_left_after(240 * SECOND);
}

#[test]
fn a_call_moves_to_the_phone_that_fetches_it_and_back() {
    for (seed, shards) in [(51, 1), (52, 3), (53, 3), (54, 3)] {
        let (mut world, [alice, bob, desk]) = phones(seed, shards);
        world.call(desk, "*71");
        world.pass(5 * SECOND);
        if seed == 51 {
            compare_with_saved("fetch", &world.ladder.draw(&["alice", "exchange", "bob", "desk"]));
        }
        world.phones[alice.0].must_hear(600.0);
        world.phones[desk.0].must_hear(440.0);
        assert!(world.phones[bob.0].ua.calls().is_empty(), "the first phone is done");
        world.call(bob, "*71");
        world.pass(5 * SECOND);
        world.phones[alice.0].must_hear(1000.0);
        world.phones[bob.0].must_hear(440.0);
        assert!(world.phones[desk.0].ua.calls().is_empty());
        let call = world.phones[alice.0].first_call();
        world.command(alice, Command::Hangup { call });
        nothing_is_left(&mut world);
    }
}

#[test]
fn nobody_fetches_the_call_of_another_or_one_that_is_not() {
    let (mut world, [alice, bob, _]) = phones(55, 1);
    let carol = world.phone("carol", None);
    world.phones[carol.0].sings = Some(0.0);
    world.register(carol);
    world.call(carol, "*71");
    world.pass(8 * SECOND);
    assert!(world.phones[carol.0].ua.calls().is_empty());
    assert!(world.phones[carol.0].heard.iter().any(|sample| *sample != 0), "a voice says so");
    world.phones[alice.0].must_hear(1000.0);
    let call = world.phones[bob.0].first_call();
    world.command(bob, Command::Hangup { call });
    nothing_is_left(&mut world);
}

#[test]
fn a_call_that_is_the_phones_own_is_not_fetched_and_a_voice_says_so() {
    for shards in [1, 3] {
        let (mut world, [alice, bob, desk]) = phones(56, shards);
        let call = world.phones[alice.0].first_call();
        world.command(alice, Command::Hangup { call });
        world.pass(2 * SECOND);
        world.command(desk, Command::Unregister);
        world.pass(SECOND);
        // This one is forwarded: its dialog is the phones'.
        world.call(alice, "bob");
        world.pass(4 * SECOND);
        world.register(desk);
        world.phones[desk.0].heard.clear();
        world.call(desk, "*71");
        world.pass(8 * SECOND);
        assert!(world.phones[desk.0].heard.iter().any(|sample| *sample != 0), "a voice says so");
        assert!(world.phones[desk.0].ua.calls().is_empty());
        world.phones[alice.0].must_hear(1000.0);
        let call = world.phones[bob.0].first_call();
        world.command(bob, Command::Hangup { call });
        nothing_is_left(&mut world);
    }
}
