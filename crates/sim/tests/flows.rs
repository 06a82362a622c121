//! The call flows of RFC 3665, with our exchange for its proxies, as saved ladders in `docs/flows`.
//!
//! `SAVE_FLOWS=1 cargo test -p offhook-sim --test flows` saves them anew: look at the difference before you do.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::{AnchorPolicy, Config};
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::Command;

const ALL: [&str; 3] = ["alice", "exchange", "bob"];

fn direct(config: &mut Config) {
    config.anchor = AnchorPolicy::Never;
}

/// Alice and Bob, both registered; the ladder starts after that.
fn two() -> (World, PhoneId, PhoneId) {
    let mut world = World::new(1, direct);
    let (alice, bob) = (world.phone("alice", Some("1001")), world.phone("bob", Some("1002")));
    world.register(alice);
    world.register(bob);
    world.begin_ladder();
    (world, alice, bob)
}

#[test]
fn rfc_3665_2_1_registration() {
    let mut world = World::new(1, direct);
    let bob = world.phone("bob", None);
    world.register(bob);
    compare_with_saved("2.1-registration", &world.ladder.draw(&["bob", "exchange"]));
}

#[test]
fn rfc_3665_2_4_cancellation_of_a_registration() {
    let mut world = World::new(1, direct);
    let bob = world.phone("bob", None);
    world.register(bob);
    world.begin_ladder();
    world.command(bob, Command::Unregister);
    world.pass(Duration::from_secs(1));
    compare_with_saved("2.4-cancellation-of-registration", &world.ladder.draw(&["bob", "exchange"]));
}

#[test]
fn rfc_3665_3_2_session_through_a_proxy() {
    let (mut world, alice, _) = two();
    let call = world.call(alice, "bob");
    world.pass(Duration::from_secs(5));
    world.command(alice, Command::Hangup { call });
    world.pass(Duration::from_secs(1));
    compare_with_saved("3.2-session-through-a-proxy", &world.ladder.draw(&ALL));
    assert_eq!(world.phones[alice.0].ends()[0].0, 200);
}

#[test]
fn rfc_3665_3_7_session_with_re_invite_for_hold() {
    let (mut world, alice, bob) = two();
    let call = world.call(alice, "bob");
    world.pass(Duration::from_secs(5));
    world.begin_ladder();
    world.command(alice, Command::Hold { call });
    world.pass(Duration::from_secs(2));
    world.command(alice, Command::Resume { call });
    world.pass(Duration::from_secs(2));
    let theirs = world.phones[bob.0].ua.calls()[0];
    world.command(bob, Command::Hangup { call: theirs });
    world.pass(Duration::from_secs(1));
    compare_with_saved("3.7-hold-and-resume", &world.ladder.draw(&ALL));
}

#[test]
fn rfc_3665_3_8_no_answer_cancelled_by_the_caller() {
    let (mut world, alice, bob) = two();
    world.phones[bob.0].habit = Habit::Ignore;
    let call = world.call(alice, "bob");
    world.pass(Duration::from_secs(10));
    world.command(alice, Command::Hangup { call });
    world.pass(Duration::from_secs(1));
    compare_with_saved("3.8-no-answer", &world.ladder.draw(&ALL));
}

#[test]
fn rfc_3665_3_9_busy() {
    let (mut world, alice, bob) = two();
    world.phones[bob.0].habit = Habit::Refuse(486);
    world.call(alice, "bob");
    world.pass(Duration::from_secs(1));
    compare_with_saved("3.9-busy", &world.ladder.draw(&ALL));
    assert_eq!(world.phones[alice.0].ends()[0].0, 486);
}

#[test]
fn rfc_3665_3_10_no_response_from_the_phone() {
    let (mut world, alice, bob) = two();
    world.unplug(bob);
    world.call(alice, "bob");
    world.pass(Duration::from_secs(40));
    compare_with_saved("3.10-no-response", &world.ladder.draw(&ALL));
    assert_eq!(world.phones[alice.0].ends()[0].0, 408);
}

#[test]
fn rfc_3665_3_11_temporarily_unavailable() {
    let mut world = World::new(1, direct);
    let alice = world.phone("alice", None);
    world.phone("bob", None);
    world.register(alice);
    world.begin_ladder();
    world.call(alice, "bob");
    world.pass(Duration::from_secs(1));
    compare_with_saved("3.11-nobody-registered", &world.ladder.draw(&ALL));
    assert_eq!(world.phones[alice.0].ends()[0].0, 480);
}

#[test]
fn forking_rings_two_phones_and_cancels_the_slower() {
    let (mut world, alice, bob) = two();
    let desk = world.another_phone_of(bob, "desk");
    world.phones[desk.0].habit = Habit::Ignore;
    world.register(desk);
    world.begin_ladder();
    let call = world.call(alice, "bob");
    world.pass(Duration::from_secs(5));
    world.command(alice, Command::Hangup { call });
    world.pass(Duration::from_secs(1));
    compare_with_saved("forking", &world.ladder.draw(&["alice", "exchange", "bob", "desk"]));
}
