//! What users of the exchange rely on, with sound.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::IpAddr;
use std::time::Duration;

use offhook_exchange::config::AnchorPolicy;
use offhook_exchange::event::{EndedBy, Event};
use offhook_sim::{Habit, Link, Nat, PhoneId, World};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);

/// Alice sings 440 Hz, Bob 1,000 Hz.
fn singers(world: &mut World, alice: PhoneId, bob: PhoneId) {
    world.phones[alice.0].sings = Some(440.0);
    world.phones[bob.0].sings = Some(1000.0);
    world.register(alice);
    world.register(bob);
}

fn both_hear(world: &World, alice: PhoneId, bob: PhoneId) {
    let (to_alice, to_bob) = (world.phones[alice.0].heard_hz(2.0), world.phones[bob.0].heard_hz(2.0));
    assert!((to_alice - 1000.0).abs() < 10.0, "alice hears {to_alice} Hz");
    assert!((to_bob - 440.0).abs() < 10.0, "bob hears {to_bob} Hz");
}

#[test]
fn two_phones_hear_each_other_directly_and_through_the_exchange() {
    for anchor in [AnchorPolicy::Never, AnchorPolicy::Auto, AnchorPolicy::Always] {
        let mut world = World::new(1, |config| config.anchor = anchor);
        let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
        singers(&mut world, alice, bob);
        let call = world.call(alice, "bob");
        world.pass(8 * SECOND);
        both_hear(&world, alice, bob);
        let now = world.now();
        assert_eq!(world.office.status(now).anchored, usize::from(anchor == AnchorPolicy::Always));
        world.command(alice, Command::Hangup { call });
        world.pass(90 * SECOND);
        assert!(world.office.is_idle());
    }
}

#[test]
fn two_phones_behind_two_nats_of_the_worst_kind_hear_each_other() {
    let mut world = World::new(2, |_| {});
    let nat = |last: u8| Nat::new(IpAddr::from([203, 0, 113, last]), true);
    let alice = world.phone_behind(nat(1), "alice", None);
    let bob = world.phone_behind(nat(2), "bob", None);
    singers(&mut world, alice, bob);
    let call = world.call(alice, "bob");
    world.pass(8 * SECOND);
    both_hear(&world, alice, bob);
    // A BYE from the callee finds its way back to the caller behind its NAT.
    let theirs = world.phones[bob.0].ua.calls()[0];
    world.command(bob, Command::Hangup { call: theirs });
    world.pass(SECOND);
    assert_eq!(world.phones[alice.0].ends()[0].0, 200);
    assert!(!world.phones[alice.0].ua.calls().contains(&call));
}

#[test]
fn a_network_that_loses_a_fifth_of_everything_still_connects() {
    let mut world = World::new(3, |config| config.anchor = AnchorPolicy::Always);
    let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
    world.link = Link { loss: 0.2, delay: Duration::from_millis(30), jitter: Duration::from_millis(20) };
    singers(&mut world, alice, bob);
    world.pass(10 * SECOND);
    world.call(alice, "bob");
    world.pass(20 * SECOND);
    both_hear(&world, alice, bob);
}

#[test]
fn a_registration_outlives_the_death_of_the_exchange() {
    let mut world = World::new(4, |_| {});
    let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
    singers(&mut world, alice, bob);
    world.kill_and_restart_exchange();
    world.call(alice, "bob");
    world.pass(8 * SECOND);
    both_hear(&world, alice, bob);
}

#[test]
fn a_direct_call_outlives_the_death_of_the_exchange_and_can_be_ended() {
    let mut world = World::new(5, |config| config.anchor = AnchorPolicy::Never);
    let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
    singers(&mut world, alice, bob);
    let call = world.call(alice, "bob");
    world.pass(5 * SECOND);
    world.kill_and_restart_exchange();
    world.pass(3 * SECOND);
    both_hear(&world, alice, bob);
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    assert_eq!(world.phones[bob.0].ends()[0].0, 200, "the signed route leads to Bob without any state");
}

#[test]
fn a_call_whose_phone_died_is_ended_with_a_reason() {
    let mut world = World::new(6, |config| config.anchor = AnchorPolicy::Always);
    let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
    singers(&mut world, alice, bob);
    world.call(alice, "bob");
    world.pass(5 * SECOND);
    world.unplug(alice);
    world.unplug(bob);
    world.pass(130 * SECOND);
    let ended = |event: &Event| matches!(event, Event::CallEnded { by: EndedBy::Exchange, .. });
    assert!(world.office.events.iter().any(ended));
    assert!(world.office.is_idle());
}

#[test]
fn hold_silences_and_resume_brings_the_sound_back() {
    let mut world = World::new(7, |config| config.anchor = AnchorPolicy::Always);
    let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
    singers(&mut world, alice, bob);
    let call = world.call(alice, "bob");
    world.pass(6 * SECOND);
    world.command(alice, Command::Hold { call });
    world.pass(200 * SECOND);
    assert_eq!(world.phones[alice.0].ua.calls(), [call], "a held call lasts");
    world.command(alice, Command::Resume { call });
    world.pass(5 * SECOND);
    both_hear(&world, alice, bob);
}

#[test]
fn keys_arrive_through_the_relay() {
    let mut world = World::new(8, |config| config.anchor = AnchorPolicy::Always);
    let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
    singers(&mut world, alice, bob);
    let call = world.call(alice, "bob");
    world.pass(4 * SECOND);
    world.command(alice, Command::Dtmf { call, digits: "12#".into() });
    world.pass(5 * SECOND);
    let keys: String = world.phones[bob.0]
        .events
        .iter()
        .filter_map(|event| match event {
            offhook_ua::Event::Digit { digit, .. } => Some(*digit),
            _ => None,
        })
        .collect();
    assert_eq!(keys, "12#");
}

#[test]
fn numbers_ring_the_same_phone() {
    let mut world = World::new(9, |_| {});
    let (alice, bob) = (world.phone("alice", Some("1001")), world.phone("bob", Some("+8613800000000")));
    singers(&mut world, alice, bob);
    world.call(alice, "tel:+86-138-0000-0000");
    world.pass(8 * SECOND);
    both_hear(&world, alice, bob);
}

#[test]
fn a_text_message_arrives() {
    let mut world = World::new(10, |_| {});
    let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
    singers(&mut world, alice, bob);
    let request = world.phones[alice.0].ua.next_request();
    let target = "sip:bob@example.com".parse().unwrap();
    world.command(alice, Command::Message { request, target, text: "你好, Bob".into() });
    world.pass(SECOND);
    let got = |event: &offhook_ua::Event| matches!(event, offhook_ua::Event::MessageReceived { text, .. } if text == "你好, Bob");
    assert!(world.phones[bob.0].events.iter().any(got));
    world.phones[bob.0].habit = Habit::Ignore;
}
