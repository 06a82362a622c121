//! Wake-up calls.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::Event;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The world begins at 08:00 UTC.
fn room() -> (World, PhoneId) {
    let mut world = World::new(13, |_| {});
    let phone = world.phone("alice", None);
    world.phones[phone.0].sings = Some(200.0);
    world.register(phone);
    (world, phone)
}

fn dial(world: &mut World, phone: PhoneId, code: &str) {
    world.call(phone, code);
    world.pass(15 * SECOND);
    assert!(world.phones[phone.0].was_answered() && world.phones[phone.0].ua.calls().is_empty(), "{code}");
}

fn rang(world: &World, phone: PhoneId) -> usize {
    world.phones[phone.0].events.iter().filter(|one| matches!(one, Event::Incoming { .. })).count()
}

#[test]
fn a_sleeper_is_called_at_its_time_and_once() {
    let (mut world, alice) = room();
    dial(&mut world, alice, "*55*0820");
    world.pass(19 * MINUTE);
    assert_eq!(rang(&world, alice), 0);
    world.begin_ladder();
    world.pass(2 * MINUTE);
    compare_with_saved("wake-up", &world.ladder.draw(&["alice", "exchange"]));
    assert_eq!(rang(&world, alice), 1);
    assert!(world.phones[alice.0].ua.calls().is_empty(), "the exchange hangs up");
    world.register(alice);
    world.pass(30 * MINUTE);
    assert_eq!(rang(&world, alice), 1);
    assert!(world.office.is_idle());
}

#[test]
fn who_does_not_answer_is_called_three_times() {
    let (mut world, alice) = room();
    dial(&mut world, alice, "*55*0805");
    world.phones[alice.0].habit = Habit::Ignore;
    world.pass(45 * MINUTE);
    assert_eq!(rang(&world, alice), 3);
}

#[test]
fn a_restart_changes_nothing_and_a_code_ends_it() {
    let (mut world, alice) = room();
    dial(&mut world, alice, "*55*0810");
    world.kill_and_restart_exchange();
    world.pass(12 * MINUTE);
    assert_eq!(rang(&world, alice), 1);
    dial(&mut world, alice, "*55*0830");
    dial(&mut world, alice, "%2355");
    world.pass(20 * MINUTE);
    assert_eq!(rang(&world, alice), 1);
}
