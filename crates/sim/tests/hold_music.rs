//! Music on hold: who is held in a bridged call hears music until the other is back.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_media::tone::analyse;
use offhook_sim::{PhoneId, World, compare_with_saved};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);
const ALICE: f32 = 440.0;
const BOB: f32 = 1000.0;

fn two(seed: u64) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(seed, |_| {});
    let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
    world.phones[alice.0].sings = Some(ALICE);
    world.phones[bob.0].sings = Some(BOB);
    world.register(alice);
    world.register(bob);
    world.begin_ladder();
    (world, alice, bob)
}

fn hears(world: &World, phone: PhoneId, hz: f32) -> bool {
    (world.phones[phone.0].heard_hz(1.0) - hz).abs() < 10.0
}

fn loudness(world: &World, phone: PhoneId) -> f32 {
    let heard = &world.phones[phone.0].heard;
    analyse(&heard[heard.len() - 16_000..], 8000).level_dbov
}

#[test]
fn who_is_held_by_either_side_hears_music_until_the_other_is_back() {
    for holder in [0, 1] {
        let (mut world, alice, bob) = two(1 + holder as u64);
        let placed = world.private_call(alice, "bob");
        world.pass(8 * SECOND);
        let answered = world.phones[bob.0].ua.calls()[0];
        let (holds, call, held, voice) =
            if holder == 0 { (alice, placed, bob, ALICE) } else { (bob, answered, alice, BOB) };
        world.command(holds, Command::Hold { call });
        world.pass(6 * SECOND);
        assert!(loudness(&world, held) > -50.0, "music is heard: {}", loudness(&world, held));
        assert!(!hears(&world, held, voice));
        world.command(holds, Command::Resume { call });
        world.pass(6 * SECOND);
        assert!(hears(&world, held, voice), "{}", world.phones[held.0].heard_hz(1.0));
        assert!(hears(&world, holds, if holder == 0 { BOB } else { ALICE }));
        world.command(holds, Command::Hangup { call });
        world.pass(SECOND);
        if holder == 0 {
            compare_with_saved("hold-music", &world.ladder.draw(&["alice", "exchange", "bob"]));
        }
        world.pass(90 * SECOND);
        let now = world.now();
        assert!(world.office.is_idle(), "{:?}", world.office.status(now));
    }
}

#[test]
fn music_of_ones_own_is_played_in_place_of_the_melody() {
    let (mut world, alice, bob) = two(3);
    let tone =
        (0..16_000).map(|n| ((n as f32 * std::f32::consts::TAU * 700.0 / 16_000.0).sin() * 6000.0) as i16);
    world.office.recordings.files.insert("music".into(), (tone.collect(), 16_000));
    let placed = world.private_call(alice, "bob");
    world.pass(8 * SECOND);
    world.command(alice, Command::Hold { call: placed });
    world.pass(6 * SECOND);
    assert!(hears(&world, bob, 700.0), "{}", world.phones[bob.0].heard_hz(1.0));
}

#[test]
fn a_held_call_ends_without_a_trace() {
    let (mut world, alice, bob) = two(4);
    let placed = world.private_call(alice, "bob");
    world.pass(8 * SECOND);
    world.command(alice, Command::Hold { call: placed });
    world.pass(3 * SECOND);
    let answered = world.phones[bob.0].ua.calls()[0];
    world.command(bob, Command::Hangup { call: answered });
    world.pass(90 * SECOND);
    let now = world.now();
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
}
