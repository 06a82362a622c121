//! The echo test: who dials its number hears itself.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::IpAddr;
use std::time::Duration;

use offhook_exchange::config::AnchorPolicy;
use offhook_exchange::event::{EndedBy, Event};
use offhook_sim::{Link, Nat, PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, CallOptions, Command};

const SECOND: Duration = Duration::from_secs(1);

fn hears_itself(world: &World, phone: PhoneId) {
    let heard = world.phones[phone.0].heard_hz(2.0);
    assert!((heard - 440.0).abs() < 10.0, "{} hears {heard} Hz", world.phones[phone.0].name);
}

fn singer(world: &mut World) -> PhoneId {
    let alice = world.phone("alice", Some("1001"));
    world.phones[alice.0].sings = Some(440.0);
    world.register(alice);
    alice
}

/// Everything is over and nothing is left.
fn nothing_is_left(world: &mut World) {
    world.pass(90 * SECOND);
    let now = world.now();
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
}

#[test]
fn who_dials_the_number_of_the_echo_test_hears_itself() {
    for anchor in [AnchorPolicy::Never, AnchorPolicy::Auto, AnchorPolicy::Always] {
        let mut world = World::new(1, |config| config.anchor = anchor);
        let alice = singer(&mut world);
        world.begin_ladder();
        let call = world.call(alice, "*43");
        world.pass(4 * SECOND);
        hears_itself(&world, alice);
        let now = world.now();
        assert_eq!(world.office.status(now).anchored, 1);
        assert_eq!(world.office.calls(now).len(), 1);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
        let ended = |event: &Event| matches!(event, Event::CallEnded { by: EndedBy::Caller, .. });
        assert!(world.office.events.iter().any(ended));
        compare_with_saved("echo-test", &world.ladder.draw(&["alice", "exchange"]));
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_phone_behind_a_nat_of_the_worst_kind_hears_itself() {
    let mut world = World::new(2, |_| {});
    let nat = Nat::new(IpAddr::from([203, 0, 113, 1]), true);
    let alice = world.phone_behind(nat, "alice", None);
    world.phones[alice.0].sings = Some(440.0);
    world.register(alice);
    world.call(alice, "*43");
    world.pass(4 * SECOND);
    hears_itself(&world, alice);
}

#[test]
fn a_held_echo_is_silent_and_comes_back_when_it_is_resumed() {
    let mut world = World::new(3, |_| {});
    let alice = singer(&mut world);
    let call = world.call(alice, "*43");
    world.pass(4 * SECOND);
    world.command(alice, Command::Hold { call });
    world.pass(200 * SECOND);
    assert_eq!(world.phones[alice.0].ua.calls(), [call], "a held call lasts");
    world.phones[alice.0].heard.clear();
    world.command(alice, Command::Resume { call });
    world.pass(4 * SECOND);
    hears_itself(&world, alice);
    world.command(alice, Command::Hangup { call });
    nothing_is_left(&mut world);
}

#[test]
fn keys_come_back() {
    let mut world = World::new(4, |_| {});
    let alice = singer(&mut world);
    let call = world.call(alice, "*43");
    world.pass(2 * SECOND);
    world.command(alice, Command::Dtmf { call, digits: "12#".into() });
    world.pass(5 * SECOND);
    let keys: String = world.phones[alice.0]
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
fn a_phone_that_died_is_noticed_by_its_silence() {
    let mut world = World::new(5, |_| {});
    let alice = singer(&mut world);
    world.call(alice, "*43");
    world.pass(4 * SECOND);
    world.unplug(alice);
    world.pass(130 * SECOND);
    let ended = |event: &Event| matches!(event, Event::CallEnded { by: EndedBy::Exchange, .. });
    assert!(world.office.events.iter().any(ended));
    assert!(world.office.is_idle());
}

#[test]
fn a_call_on_hold_is_not_held_for_ever() {
    let mut world = World::new(6, |config| config.hold_timeout = 300 * SECOND);
    let alice = singer(&mut world);
    let call = world.call(alice, "*43");
    world.pass(2 * SECOND);
    world.command(alice, Command::Hold { call });
    world.pass(400 * SECOND);
    let ends = world.phones[alice.0].ends();
    assert_eq!(ends[0], (200, "On hold too long".to_owned()));
    nothing_is_left(&mut world);
}

#[test]
fn a_session_that_nobody_refreshes_ends() {
    // Held, so that silence says nothing, and the phone is gone: the timer of the session is what is left.
    let mut world = World::new(7, |_| {});
    let alice = singer(&mut world);
    let call = world.call(alice, "*43");
    world.pass(2 * SECOND);
    world.command(alice, Command::Hold { call });
    world.pass(2 * SECOND);
    world.unplug(alice);
    world.pass(1_900 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn only_as_many_as_an_account_may_have() {
    let mut world = World::new(8, |config| config.max_calls_per_account = 2);
    let alice = singer(&mut world);
    let calls: Vec<CallId> = (0..3).map(|_| world.call(alice, "*43")).collect();
    world.pass(2 * SECOND);
    assert_eq!(world.phones[alice.0].ends()[0].0, 403);
    for call in &calls[..2] {
        world.command(alice, Command::Hangup { call: *call });
    }
    world.pass(SECOND);
    world.call(alice, "*43");
    world.pass(4 * SECOND);
    hears_itself(&world, alice);
}

#[test]
fn a_service_that_is_turned_off_is_not_found() {
    let mut world = World::new(9, |config| config.services.echo_number = None);
    let alice = singer(&mut world);
    world.call(alice, "*43");
    world.pass(2 * SECOND);
    assert_eq!(world.phones[alice.0].ends()[0].0, 404);
    nothing_is_left(&mut world);
}

#[test]
fn what_is_required_and_unknown_is_refused() {
    let mut world = World::new(10, |_| {});
    let alice = singer(&mut world);
    let headers = vec![("Require".to_owned(), "teleport".to_owned())];
    world.call_with(alice, "*43", CallOptions { headers, ..CallOptions::default() });
    world.pass(2 * SECOND);
    assert_eq!(world.phones[alice.0].ends()[0].0, 420);
    nothing_is_left(&mut world);
}

#[test]
fn a_bad_network_and_every_shard_will_do() {
    for seed in 0..16 {
        let mut world = World::new(seed, |config| config.shards = 3);
        let alice = singer(&mut world);
        world.link = Link { loss: 0.2, delay: Duration::from_millis(30), jitter: Duration::from_millis(20) };
        let call = world.call(alice, "*43");
        world.pass(20 * SECOND);
        hears_itself(&world, alice);
        world.command(alice, Command::Hangup { call });
        nothing_is_left(&mut world);
    }
}
