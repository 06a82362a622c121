//! A third party comes to a call.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::command::Command as Operator;
use offhook_exchange::directory::AddressOfRecord;
use offhook_sim::{Habit, PhoneId, World};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);

/// Alice, Carol and Dora sing; Bob is silent. Alice talks with Bob, by an end of ours.
fn talking(seed: u64) -> (World, [PhoneId; 4]) {
    let mut world = World::new(seed, |_| {});
    let all = [("alice", 440.0), ("bob", 0.0), ("carol", 600.0), ("dora", 1000.0)];
    let phones = all.map(|(name, hz)| {
        let phone = world.phone(
            name,
            match name {
                "carol" => Some("1003"),
                "dora" => Some("1004"),
                _ => None,
            },
        );
        world.phones[phone.0].sings = Some(hz);
        world.register(phone);
        phone
    });
    world.ask_exchange(&Operator::Connect(AddressOfRecord::new("alice", "example.com"), "bob".into()));
    world.pass(8 * SECOND);
    world.phones[phones[1].0].must_hear(440.0);
    (world, phones)
}

fn press(world: &mut World, phone: PhoneId, digits: &str) {
    let call = world.phones[phone.0].first_call();
    world.command(phone, Command::Dtmf { call, digits: digits.into() });
    world.pass(8 * SECOND);
}

fn hang_up(world: &mut World, phone: PhoneId) {
    let call = world.phones[phone.0].first_call();
    world.command(phone, Command::Hangup { call });
    world.pass(3 * SECOND);
}

fn nothing_is_left(world: &mut World) {
    world.nothing_is_left_after(240 * SECOND);
}

#[test]
fn three_hear_each_other_and_two_go_on_when_one_goes() {
    let (mut world, [alice, bob, carol, _]) = talking(61);
    press(&mut world, alice, "*41003#");
    world.phones[alice.0].must_hear(600.0);
    world.phones[carol.0].must_hear(440.0);
    hang_up(&mut world, alice);
    world.phones[bob.0].must_hear(600.0);
    hang_up(&mut world, carol);
    assert!(world.phones[bob.0].ua.calls().is_empty(), "who is alone is done");
    nothing_is_left(&mut world);
}

#[test]
fn who_has_come_may_add_more() {
    let (mut world, [alice, bob, carol, _]) = talking(62);
    press(&mut world, bob, "*41003#");
    hang_up(&mut world, alice);
    world.phones[bob.0].must_hear(600.0);
    press(&mut world, bob, "*41004#");
    hang_up(&mut world, carol);
    world.phones[bob.0].must_hear(1000.0);
    hang_up(&mut world, bob);
    nothing_is_left(&mut world);
}

#[test]
fn a_third_who_does_not_come_changes_nothing() {
    for (habit, gone) in
        [(Habit::Refuse(486), false), (Habit::Ignore, false), (Habit::Answer(20 * SECOND), true)]
    {
        let (mut world, [alice, bob, carol, _]) = talking(63);
        world.phones[carol.0].habit = habit;
        press(&mut world, alice, "*41003#");
        world.phones[bob.0].must_hear(440.0);
        if gone {
            hang_up(&mut world, bob);
            world.pass(30 * SECOND);
            assert!(world.phones[carol.0].ua.calls().is_empty(), "there is no call to come to");
        } else {
            world.pass(40 * SECOND);
            world.phones[bob.0].must_hear(440.0);
            hang_up(&mut world, bob);
        }
        nothing_is_left(&mut world);
    }
}
