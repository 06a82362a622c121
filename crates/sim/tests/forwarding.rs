//! Call forwarding: where calls go that the one who is called does not take (RFC 5359 §2.5–2.7).
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::AnchorPolicy;
use offhook_exchange::directory::{Answering, Forward};
use offhook_exchange::event::Event;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);
const ALL: [&str; 4] = ["alice", "exchange", "bob", "carol"];

/// Alice sings 440 Hz, Carol 1,000 Hz; Bob wants his calls like this.
fn office(answering: Answering) -> (World, [PhoneId; 3]) {
    let mut world = World::new(5, |config| config.anchor = AnchorPolicy::Always);
    let phones = ["alice", "bob", "carol"].map(|name| world.phone(name, None));
    let [alice, bob, carol] = phones;
    world.phones[alice.0].sings = Some(440.0);
    world.phones[carol.0].sings = Some(1000.0);
    phones.into_iter().for_each(|one| world.register(one));
    world.phones[bob.0].habit = Habit::Ignore;
    let now = world.now();
    world.office.answering(now, "bob", answering);
    world.begin_ladder();
    (world, phones)
}

fn to_carol(forward: impl FnOnce(&mut Forward, Option<String>)) -> Answering {
    let mut answering = Answering::default();
    forward(&mut answering.forward, Some("carol".into()));
    answering
}

/// Alice calls Bob, talks with Carol and hangs up; then nothing is left.
fn alice_talks_with_carol(world: &mut World, [alice, bob, carol]: [PhoneId; 3], name: Option<&str>) {
    let call = match name.is_some_and(|name| name.contains("bridged")) {
        true => world.private_call(alice, "bob"),
        false => world.call(alice, "bob"),
    };
    world.pass(30 * SECOND);
    let (to_alice, to_carol) = (world.phones[alice.0].heard_hz(2.0), world.phones[carol.0].heard_hz(2.0));
    assert!((to_alice - 1000.0).abs() < 10.0, "alice hears {to_alice} Hz");
    assert!((to_carol - 440.0).abs() < 10.0, "carol hears {to_carol} Hz");
    assert!(!world.phones[bob.0].was_answered());
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    if let Some(name) = name {
        compare_with_saved(name, &world.ladder.draw(&ALL));
    }
    let started = world.office.events.iter().filter(|one| matches!(one, Event::CallStarted { .. })).count();
    let answered = world.office.events.iter().filter(|one| matches!(one, Event::CallAnswered { .. })).count();
    assert_eq!((started, answered), (1, 1));
    world.pass(240 * SECOND);
    assert!(world.phones.iter().all(|phone| phone.ua.calls().is_empty()));
    assert!(world.office.is_idle());
}

#[test]
fn a_call_that_nobody_answers_goes_on() {
    let wanted = Answering { ring_seconds: Some(8), ..to_carol(|forward, carol| forward.no_answer = carol) };
    let (mut world, phones) = office(wanted);
    alice_talks_with_carol(&mut world, phones, Some("forwarded-no-answer"));
}

#[test]
fn a_call_to_someone_busy_goes_on() {
    let (mut world, phones) = office(to_carol(|forward, carol| forward.busy = carol));
    world.phones[phones[1].0].habit = Habit::Refuse(486);
    alice_talks_with_carol(&mut world, phones, Some("forwarded-busy"));
}

/// A call that the exchange has in a dialog of its own goes on in the same way.
#[test]
fn a_bridged_call_goes_on() {
    let wanted = Answering { ring_seconds: Some(8), ..to_carol(|forward, carol| forward.no_answer = carol) };
    let (mut world, phones) = office(wanted);
    alice_talks_with_carol(&mut world, phones, Some("bridged-forwarded-no-answer"));
    let (mut world, phones) = office(to_carol(|forward, carol| forward.busy = carol));
    world.phones[phones[1].0].habit = Habit::Refuse(486);
    alice_talks_with_carol(&mut world, phones, Some("bridged-forwarded-busy"));
    let (mut world, phones) = office(to_carol(|forward, carol| forward.always = carol));
    alice_talks_with_carol(&mut world, phones, Some("bridged-forwarded-always"));
}

#[test]
fn all_calls_go_on_without_a_ring() {
    let (mut world, phones) = office(to_carol(|forward, carol| forward.always = carol));
    alice_talks_with_carol(&mut world, phones, Some("forwarded-always"));
}

#[test]
fn a_phone_that_is_gone_is_unreachable() {
    let (mut world, phones) = office(to_carol(|forward, carol| forward.unreachable = carol));
    world.unplug(phones[1]);
    // Nobody hears of the INVITE, so its transaction has to time out.
    let call = world.call(phones[0], "bob");
    world.pass(40 * SECOND);
    assert!(world.phones[phones[2].0].was_answered());
    world.command(phones[0], Command::Hangup { call });
    world.pass(240 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn what_was_set_is_known_after_a_crash() {
    let (mut world, phones) = office(to_carol(|forward, carol| forward.always = carol));
    world.kill_and_restart_exchange();
    alice_talks_with_carol(&mut world, phones, None);
}

#[test]
fn messages_on_the_way_may_be_lost() {
    for seed in 0..20 {
        let wanted =
            Answering { ring_seconds: Some(5), ..to_carol(|forward, carol| forward.no_answer = carol) };
        let mut world = World::new(seed, |_| {});
        let phones = ["alice", "bob", "carol"].map(|name| world.phone(name, None));
        phones.into_iter().for_each(|one| world.register(one));
        world.phones[phones[1].0].habit = Habit::Ignore;
        let now = world.now();
        world.office.answering(now, "bob", wanted);
        world.link.loss = 0.2;
        let call = world.call(phones[0], "bob");
        world.pass(60 * SECOND);
        world.link.loss = 0.0;
        world.command(phones[0], Command::Hangup { call });
        world.pass(300 * SECOND);
        assert!(world.office.is_idle(), "seed {seed}: {:?}", world.office.status(now));
    }
}
