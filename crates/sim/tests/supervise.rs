//! Supervision: an account with the right hears a call of another, whispers to it, or joins in.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::AnchorPolicy;
use offhook_exchange::directory::Rights;
use offhook_exchange::event::Event;
use offhook_sim::{PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, Command};

const SECOND: Duration = Duration::from_secs(1);
const TONES: [f32; 3] = [600.0, 900.0, 1300.0];

/// Alice, Bob, and Carol who supervises Bob.
fn world(seed: u64, shards: u8, anchor: AnchorPolicy) -> (World, [PhoneId; 3]) {
    let mut world = World::new(seed, |config| {
        config.shards = shards;
        config.anchor = anchor;
    });
    let phones = [("alice", "1001"), ("bob", "1002"), ("carol", "1003")].map(|(name, number)| {
        let phone = world.phone(name, Some(number));
        world.register(phone);
        phone
    });
    for (phone, hz) in phones.iter().zip(TONES) {
        world.phones[phone.0].sings = Some(hz);
    }
    let now = world.now();
    world.office.rights(now, "carol", Rights { supervises: vec!["1002".into()], ..Rights::default() });
    (world, phones)
}

/// Which of the three voices a phone has heard in the last second.
fn hears(world: &World, phone: PhoneId) -> [bool; 3] {
    let heard = &world.phones[phone.0].heard;
    let last = &heard[heard.len().saturating_sub(8000)..];
    TONES.map(|hz| {
        let (mut cos, mut sin, mut energy) = (0.0f32, 0.0f32, 1.0f32);
        for (n, sample) in last.iter().enumerate() {
            let (turn, sample) = (std::f32::consts::TAU * hz * n as f32 / 8000.0, f32::from(*sample));
            cos += sample * turn.cos();
            sin += sample * turn.sin();
            energy += sample * sample;
        }
        2.0 * (cos * cos + sin * sin) / (energy * last.len() as f32) > 0.1
    })
}

fn press(world: &mut World, phone: PhoneId, call: CallId, digits: &str) {
    world.command(phone, Command::Dtmf { call, digits: digits.into() });
}

fn nothing_is_left(world: &mut World) {
    world.pass(90 * SECOND);
    let now = world.now();
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
}

#[test]
fn a_supervisor_listens_whispers_and_joins_in_whatever_shards_the_calls_are_of() {
    for (seed, shards) in [(1, 1), (2, 3), (3, 5), (4, 8)] {
        let (mut world, phones) = world(seed, shards, AnchorPolicy::Always);
        let [alice, _, carol] = phones;
        world.begin_ladder();
        let call = world.call(alice, "1002");
        world.pass(6 * SECOND);
        let listening = world.call(carol, "*9011002");
        world.pass(5 * SECOND);
        let all = phones.map(|phone| hears(&world, phone));
        assert_eq!(all, [[false, true, false], [true, false, false], [true, true, false]], "listens");
        press(&mut world, carol, listening, "5");
        world.pass(4 * SECOND);
        let all = phones.map(|phone| hears(&world, phone));
        assert_eq!(all, [[false, true, false], [true, false, true], [true, true, false]], "whispers");
        press(&mut world, carol, listening, "6");
        world.pass(4 * SECOND);
        let all = phones.map(|phone| hears(&world, phone));
        assert_eq!(all, [[false, true, true], [true, false, true], [true, true, false]], "joins in");
        press(&mut world, carol, listening, "4");
        world.pass(4 * SECOND);
        let all = phones.map(|phone| hears(&world, phone));
        assert_eq!(all, [[false, true, false], [true, false, false], [true, true, false]], "listens again");
        world.command(alice, Command::Hangup { call });
        world.pass(3 * SECOND);
        assert_eq!(world.phones[carol.0].ends().len(), 1, "with the call there is nothing to hear any more");
        if shards == 1 {
            compare_with_saved("supervise", &world.ladder.draw(&["alice", "exchange", "bob", "carol"]));
        }
        let how = world.office.events.iter().filter_map(|event| match event {
            Event::Supervised { how, by, .. } => Some((*how, by.user().to_owned())),
            _ => None,
        });
        let by = || "carol".to_owned();
        let expected = [("listen", by()), ("whisper", by()), ("barge", by()), ("listen", by())];
        assert_eq!(how.collect::<Vec<_>>(), expected);
        nothing_is_left(&mut world);
    }
}

#[test]
fn the_call_goes_on_when_the_supervisor_leaves() {
    let (mut world, phones) = world(5, 2, AnchorPolicy::Always);
    let [alice, bob, carol] = phones;
    world.call(alice, "1002");
    world.pass(6 * SECOND);
    let barging = world.call(carol, "*9031002");
    world.pass(5 * SECOND);
    assert_eq!(hears(&world, alice), [false, true, true]);
    world.command(carol, Command::Hangup { call: barging });
    world.pass(3 * SECOND);
    assert_eq!((hears(&world, alice), hears(&world, bob)), ([false, true, false], [true, false, false]));
}

#[test]
fn who_may_not_is_refused_and_a_call_that_is_not_heard_here_is_not_heard() {
    let (mut world, [alice, bob, carol]) = world(6, 1, AnchorPolicy::Auto);
    world.call(alice, "*9011002");
    world.call(carol, "*9011001");
    world.pass(2 * SECOND);
    assert_eq!((world.phones[alice.0].ends()[0].0, world.phones[carol.0].ends()[0].0), (403, 403));
    // The sound of this one goes between the phones.
    world.call(alice, "1002");
    world.pass(6 * SECOND);
    world.call(carol, "*9011002");
    world.pass(8 * SECOND);
    assert_eq!(hears(&world, carol), [false; 3]);
    assert_eq!(world.phones[carol.0].ends().len(), 2, "it is told so, and the call ends");
    assert_eq!(hears(&world, bob), [true, false, false]);
}
