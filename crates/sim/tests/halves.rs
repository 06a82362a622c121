//! Calls that services make: somebody is called, somebody else for it, and the two halves are connected. Click to dial does
//! nothing but that.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::command::{Answer, Command as Operator};
use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::event::Event;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);
const ALL: [&str; 3] = ["alice", "exchange", "bob"];

/// Alice sings 440 Hz, Bob 1,000 Hz.
fn two(seed: u64) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(seed, |_| {});
    let (alice, bob) = (world.phone("alice", Some("1001")), world.phone("bob", Some("1002")));
    ready(&mut world, alice, bob);
    (world, alice, bob)
}

fn ready(world: &mut World, alice: PhoneId, bob: PhoneId) {
    world.phones[alice.0].sings = Some(440.0);
    world.phones[bob.0].sings = Some(1000.0);
    world.register(alice);
    world.register(bob);
    world.begin_ladder();
}

/// Somebody wants Alice to talk with a number.
fn connect(world: &mut World, to: &str) -> Vec<Answer> {
    let alice = AddressOfRecord::new("alice", "example.com");
    world.ask_exchange(&Operator::Connect(alice, to.to_owned()))
}

fn both_hear(world: &World, alice: PhoneId, bob: PhoneId) {
    let (to_alice, to_bob) = (world.phones[alice.0].heard_hz(2.0), world.phones[bob.0].heard_hz(2.0));
    assert!((to_alice - 1000.0).abs() < 10.0, "alice hears {to_alice} Hz");
    assert!((to_bob - 440.0).abs() < 10.0, "bob hears {to_bob} Hz");
}

fn nothing_is_left(world: &mut World) {
    world.nothing_is_left_after(240 * SECOND);
}

#[test]
fn two_are_connected_and_either_ends_the_call() {
    for hangs_up in [0, 1] {
        let (mut world, alice, bob) = two(1);
        connect(&mut world, "1002");
        world.pass(3 * SECOND);
        assert!((world.phones[alice.0].heard_hz(0.3) - 425.0).abs() < 10.0, "alice hears that it rings");
        world.pass(6 * SECOND);
        both_hear(&world, alice, bob);
        let now = world.now();
        assert_eq!(world.office.calls(now).len(), 1, "it is one call");
        let ends = [alice, bob][hangs_up];
        let call = world.phones[ends.0].first_call();
        world.command(ends, Command::Hangup { call });
        world.pass(SECOND);
        compare_with_saved(["halves", "halves-ended-by-other"][hangs_up], &world.ladder.draw(&ALL));
        assert!(world.phones.iter().all(|phone| phone.ua.calls().is_empty()));
        let ended = |one: &&Event| matches!(one, Event::CallEnded { .. });
        assert_eq!(world.office.events.iter().filter(ended).count(), 1);
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_shares_no_format_and_no_protection_with_the_other_is_connected_all_the_same() {
    use offhook_ua::SrtpPolicy;
    let mut world = World::new(2, |_| {});
    let (alice, bob) = (world.phone("alice", Some("1001")), world.phone("bob", Some("1002")));
    world.equip(alice, |config| {
        config.codecs = vec!["PCMU".into()];
        config.srtp = SrtpPolicy::Prefer;
    });
    world.equip(bob, |config| {
        config.codecs = vec!["opus".into()];
        config.srtp = SrtpPolicy::Off;
    });
    ready(&mut world, alice, bob);
    connect(&mut world, "1002");
    world.pass(9 * SECOND);
    both_hear(&world, alice, bob);
    let call = world.phones[bob.0].first_call();
    world.command(bob, Command::Hangup { call });
    nothing_is_left(&mut world);
}

#[test]
fn keys_come_through() {
    let (mut world, alice, bob) = two(3);
    connect(&mut world, "1002");
    world.pass(8 * SECOND);
    for (from, to, digits) in [(alice, bob, "12#"), (bob, alice, "*7")] {
        let call = world.phones[from.0].first_call();
        world.command(from, Command::Dtmf { call, digits: digits.into() });
        world.pass(3 * SECOND);
        let heard: String = world.phones[to.0]
            .events
            .iter()
            .filter_map(|event| match event {
                offhook_ua::Event::Digit { digit, .. } => Some(*digit),
                _ => None,
            })
            .collect();
        assert_eq!(heard, digits);
    }
}

#[test]
fn hold_is_between_each_party_and_us_and_lasts() {
    let (mut world, alice, bob) = two(4);
    connect(&mut world, "1002");
    world.pass(8 * SECOND);
    for one in [alice, bob] {
        let call = world.phones[one.0].first_call();
        world.command(one, Command::Hold { call });
        world.pass(100 * SECOND);
        world.command(one, Command::Resume { call });
        world.pass(5 * SECOND);
        both_hear(&world, alice, bob);
    }
}

#[test]
fn who_is_refused_or_left_alone_is_let_go() {
    for (habit, ends) in [(Habit::Refuse(486), 486), (Habit::Ignore, 487)] {
        let (mut world, alice, bob) = two(5);
        world.phones[bob.0].habit = habit;
        connect(&mut world, "1002");
        world.pass(45 * SECOND);
        assert_eq!(world.phones[alice.0].ends(), [(200, "OK".to_owned())]);
        assert_eq!(world.phones[bob.0].ends()[0].0, ends);
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_caller_that_gives_up_while_it_rings_stops_the_ringing() {
    let (mut world, alice, bob) = two(6);
    world.phones[bob.0].habit = Habit::Ignore;
    connect(&mut world, "1002");
    world.pass(6 * SECOND);
    let call = world.phones[alice.0].first_call();
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    compare_with_saved("halves-given-up", &world.ladder.draw(&ALL));
    assert_eq!(world.phones[bob.0].ends()[0].0, 487);
    nothing_is_left(&mut world);
}

#[test]
fn nobody_there_means_no_call() {
    let (mut world, alice, bob) = two(7);
    world.phones[alice.0].habit = Habit::Refuse(603);
    connect(&mut world, "1002");
    world.pass(5 * SECOND);
    assert!(world.phones[bob.0].events.iter().all(|one| !matches!(one, offhook_ua::Event::Incoming { .. })));
    for to in ["4711", "", "sip:bob@elsewhere.example", "tel:+4930"] {
        world.phones[alice.0].habit = Habit::Answer(SECOND);
        connect(&mut world, to);
        // As long as a DNS that says nothing is waited for.
        world.pass(40 * SECOND);
        assert!(world.phones[alice.0].ua.calls().is_empty(), "{to}");
    }
    let nobody = AddressOfRecord::new("nobody", "example.com");
    let refused = world.ask_exchange(&Operator::Connect(nobody, "1002".into()));
    assert!(matches!(refused[..], [Answer::Refused(_)]));
    nothing_is_left(&mut world);
}

#[test]
fn several_phones_ring_and_one_is_connected() {
    let (mut world, alice, bob) = two(8);
    let desk = world.another_phone_of(bob, "desk");
    world.phones[desk.0].habit = Habit::Ignore;
    world.register(desk);
    connect(&mut world, "1002");
    world.pass(9 * SECOND);
    both_hear(&world, alice, bob);
    assert_eq!(world.phones[desk.0].ends()[0].0, 487);
    let call = world.phones[alice.0].first_call();
    world.command(alice, Command::Hangup { call });
    nothing_is_left(&mut world);
}

#[test]
fn a_phone_that_vanishes_ends_the_call_of_the_other() {
    let (mut world, alice, bob) = two(9);
    connect(&mut world, "1002");
    world.pass(9 * SECOND);
    world.unplug(bob);
    world.pass(200 * SECOND);
    assert!(world.phones[alice.0].ua.calls().is_empty(), "alice is told");
}
