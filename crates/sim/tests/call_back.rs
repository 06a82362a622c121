//! Call back when free.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::Config;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, Command, Event};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Alice, who wants to talk with Bob, and Carol, who does: each sings a tone of its own.
fn three(seed: u64, change: impl FnOnce(&mut Config)) -> (World, [PhoneId; 3]) {
    let mut world = World::new(seed, change);
    let phones = [("alice", 440.0), ("bob", 1000.0), ("carol", 600.0)].map(|(name, hz)| {
        let phone = world.phone(name, (name == "bob").then_some("1002"));
        world.phones[phone.0].sings = Some(hz);
        world.register(phone);
        phone
    });
    (world, phones)
}

fn rang(world: &World, phone: PhoneId) -> usize {
    world.phones[phone.0].events.iter().filter(|one| matches!(one, Event::Incoming { .. })).count()
}

fn last_code(world: &World, phone: PhoneId) -> u16 {
    world.phones[phone.0].ends().last().unwrap().0
}

/// Dials a code, hears what is said, and is hung up on.
fn dial(world: &mut World, phone: PhoneId, code: &str) {
    world.call(phone, code);
    world.pass(10 * SECOND);
    assert!(world.phones[phone.0].was_answered() && world.phones[phone.0].ua.calls().is_empty(), "{code}");
}

/// Carol talks with Bob, and Alice finds him busy.
fn bob_is_busy(world: &mut World, [alice, bob, carol]: [PhoneId; 3]) -> CallId {
    let call = world.call(carol, "bob");
    world.pass(4 * SECOND);
    world.phones[bob.0].habit = Habit::Refuse(486);
    world.call(alice, "1002");
    world.pass(2 * SECOND);
    assert_eq!(last_code(world, alice), 486);
    world.phones[bob.0].habit = Habit::Answer(SECOND);
    call
}

fn hang_up(world: &mut World, phone: PhoneId, call: CallId) {
    world.command(phone, Command::Hangup { call });
}

fn talk(world: &World, alice: PhoneId, bob: PhoneId) {
    world.phones[alice.0].must_hear(1000.0);
    world.phones[bob.0].must_hear(440.0);
}

fn nothing_is_left(world: &mut World) {
    world.nothing_is_left_after(2 * MINUTE);
}

#[test]
fn both_are_called_when_the_busy_one_is_free() {
    for shards in [1, 3] {
        let (mut world, phones) = three(41, |config| config.shards = shards);
        let [alice, bob, carol] = phones;
        let call = bob_is_busy(&mut world, phones);
        dial(&mut world, alice, "*37");
        world.pass(MINUTE);
        assert_eq!((rang(&world, alice), rang(&world, bob)), (0, 2), "not while he talks");
        world.begin_ladder();
        hang_up(&mut world, carol, call);
        world.pass(2 * SECOND);
        assert_eq!(rang(&world, alice), 0, "a moment after that");
        world.pass(10 * SECOND);
        assert_eq!((rang(&world, alice), rang(&world, bob)), (1, 3));
        talk(&world, alice, bob);
        let call = world.phones[alice.0].first_call();
        hang_up(&mut world, alice, call);
        world.pass(MINUTE);
        if shards == 1 {
            compare_with_saved("call-back", &world.ladder.draw(&["carol", "exchange", "alice", "bob"]));
        }
        assert_eq!((rang(&world, alice), rang(&world, bob)), (1, 3), "once");
        nothing_is_left(&mut world);
    }
}

#[test]
fn it_survives_a_restart_and_is_cancelled_by_a_code() {
    for cancelled in [false, true] {
        let (mut world, phones) = three(42, |_| {});
        let [alice, bob, carol] = phones;
        let call = bob_is_busy(&mut world, phones);
        dial(&mut world, alice, "*37*1002");
        world.kill_and_restart_exchange();
        if cancelled {
            dial(&mut world, alice, "%2337");
        }
        hang_up(&mut world, carol, call);
        world.pass(20 * SECOND);
        assert_eq!(rang(&world, alice), usize::from(!cancelled));
        if !cancelled {
            talk(&world, alice, bob);
            let call = world.phones[bob.0].first_call();
            hang_up(&mut world, bob, call);
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_did_not_answer_is_called_after_the_next_call_and_no_longer_than_is_waited() {
    for late in [false, true] {
        let (mut world, [alice, bob, carol]) = three(43, |_| {});
        world.phones[bob.0].habit = Habit::Ignore;
        let call = world.call(alice, "bob");
        world.pass(10 * SECOND);
        hang_up(&mut world, alice, call);
        world.pass(SECOND);
        dial(&mut world, alice, "*37");
        world.phones[bob.0].habit = Habit::Answer(SECOND);
        world.pass(if late { 61 * MINUTE } else { 5 * MINUTE });
        for phone in [alice, bob, carol] {
            world.register(phone);
        }
        let call = world.call(bob, "carol");
        world.pass(5 * SECOND);
        hang_up(&mut world, bob, call);
        world.pass(15 * SECOND);
        assert_eq!(rang(&world, alice), usize::from(!late));
        if !late {
            talk(&world, alice, bob);
            let call = world.phones[alice.0].first_call();
            hang_up(&mut world, alice, call);
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_had_no_phone_is_called_when_one_comes_and_not_when_one_stays() {
    for shards in [1, 3] {
        let (mut world, [alice, bob, _]) = three(46, |config| config.shards = shards);
        world.command(bob, Command::Unregister);
        world.pass(SECOND);
        world.call(alice, "bob");
        world.pass(2 * SECOND);
        assert_eq!(last_code(&world, alice), 480);
        dial(&mut world, alice, "*37");
        // Whose phone renews what is known of it has not come.
        world.register(alice);
        world.pass(MINUTE);
        assert_eq!((rang(&world, alice), rang(&world, bob)), (0, 0));
        world.register(bob);
        world.pass(15 * SECOND);
        assert_eq!((rang(&world, alice), rang(&world, bob)), (1, 1));
        talk(&world, alice, bob);
        let call = world.phones[alice.0].first_call();
        hang_up(&mut world, alice, call);
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_is_busy_again_is_waited_for_again() {
    let (mut world, phones) = three(44, |_| {});
    let [alice, bob, carol] = phones;
    let call = bob_is_busy(&mut world, phones);
    dial(&mut world, alice, "*37");
    world.phones[bob.0].habit = Habit::Refuse(486);
    hang_up(&mut world, carol, call);
    world.pass(20 * SECOND);
    assert_eq!(rang(&world, alice), 1);
    assert!(world.phones[alice.0].ua.calls().is_empty(), "she is told, and that is all");
    world.phones[bob.0].habit = Habit::Answer(SECOND);
    let call = world.call(carol, "bob");
    world.pass(4 * SECOND);
    hang_up(&mut world, carol, call);
    world.pass(12 * SECOND);
    assert_eq!(rang(&world, alice), 2);
    talk(&world, alice, bob);
    let call = world.phones[alice.0].first_call();
    hang_up(&mut world, alice, call);
    nothing_is_left(&mut world);
}

#[test]
fn what_cannot_be_is_said() {
    let (mut world, [alice, bob, _]) = three(45, |_| {});
    // Nobody was called in vain; there is nobody of that number; that is oneself; nothing is set.
    for code in ["*37", "*371234", "*37alice", "%2337"] {
        dial(&mut world, alice, code);
    }
    assert_eq!(rang(&world, bob), 0);
    nothing_is_left(&mut world);
}
