//! Cameras: who calls one hears it, is told when it goes away, and is called when somebody presses its button.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::command::{Answer, Command as Ask};
use offhook_exchange::config::Config;
use offhook_exchange::services::Camera;
use offhook_media::camera::{self, CameraId, Coding, Feed};
use offhook_media::tone::Tone;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);
const DOOR: CameraId = CameraId(0);
const HZ: f32 = 1100.0;

fn door(config: &mut Config) {
    config.services.cameras = vec![Camera {
        id: DOOR,
        name: "Front door".into(),
        number: "81".into(),
        coding: Some(Coding::H264),
        calls: vec!["1001".into(), "1002".into()],
        rings_for: 20 * SECOND,
    }];
}

/// Alice and Bob.
fn world(seed: u64) -> (World, [PhoneId; 2]) {
    let mut world = World::new(seed, door);
    let phones = [("alice", "1001"), ("bob", "1002")].map(|(name, number)| {
        let phone = world.phone(name, Some(number));
        world.phones[phone.0].sings = Some(0.0);
        world.register(phone);
        phone
    });
    (world, phones)
}

/// The camera sings for so long, 20 ms after 20 ms.
fn sends(world: &mut World, time: Duration) {
    let mut tone = Tone::sine(HZ, -20.0, 8000);
    for _ in 0..time.as_millis() / 20 {
        let mut samples = [0; 160];
        tone.fill(&mut samples);
        let mut bytes = Vec::new();
        (offhook_media::codec::by_name("PCMA", 8000).unwrap().make)().encode(&samples, &mut bytes);
        world.feed(Feed::Sound { camera: DOOR, is_a_law: true, bytes: bytes.into() });
        world.pass(Duration::from_millis(20));
    }
}

fn hears_the_door(world: &World, phone: PhoneId) -> bool {
    !world.phones[phone.0].heard.is_empty() && (world.phones[phone.0].heard_hz(1.0) - HZ).abs() < 10.0
}

fn nothing_is_left(world: &mut World) {
    world.pass(90 * SECOND);
    let now = world.now();
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
    let opened = world.office.asks.iter().filter(|ask| **ask == camera::Ask::Open(DOOR)).count();
    assert_eq!(world.office.asks.len(), 2 * opened, "what was opened is closed");
}

#[test]
fn two_who_call_a_camera_share_its_session_and_hear_it() {
    let (mut world, [alice, bob]) = world(1);
    world.begin_ladder();
    let first = world.call(alice, "81");
    world.pass(SECOND);
    assert_eq!(world.office.asks, [camera::Ask::Open(DOOR)]);
    sends(&mut world, 2 * SECOND);
    let second = world.call(bob, "81");
    sends(&mut world, 2 * SECOND);
    assert!(hears_the_door(&world, alice) && hears_the_door(&world, bob));
    world.command(alice, Command::Hangup { call: first });
    sends(&mut world, SECOND);
    assert_eq!(world.office.asks.len(), 1, "somebody watches still");
    world.command(bob, Command::Hangup { call: second });
    world.pass(SECOND);
    compare_with_saved("camera", &world.ladder.draw(&["alice", "exchange"]));
    nothing_is_left(&mut world);
}

#[test]
fn who_watches_is_told_that_the_camera_is_away_and_hears_it_when_it_is_back() {
    let (mut world, [alice, _]) = world(2);
    let call = world.call(alice, "81");
    sends(&mut world, 2 * SECOND);
    assert!(hears_the_door(&world, alice));
    world.feed(Feed::State { camera: DOOR, is_up: false });
    let before = world.phones[alice.0].heard.len();
    world.pass(4 * SECOND);
    let said = &world.phones[alice.0].heard[before..];
    let loud = said.chunks_exact(800).filter(|piece| piece.iter().any(|one| one.abs() > 1000)).count();
    assert!(loud > 8 && !hears_the_door(&world, alice), "speech of {} ms", loud * 100);
    world.feed(Feed::State { camera: DOOR, is_up: true });
    sends(&mut world, 10 * SECOND);
    assert!(hears_the_door(&world, alice));
    world.command(alice, Command::Hangup { call });
    nothing_is_left(&mut world);
}

#[test]
fn its_button_calls_all_whom_it_is_to_call_and_who_answers_hears_it() {
    let (mut world, [alice, bob]) = world(3);
    world.phones[alice.0].habit = Habit::Ignore;
    world.phones[bob.0].habit = Habit::Answer(2 * SECOND);
    world.begin_ladder();
    let press = |world: &mut World| world.ask_exchange(&Ask::PressButton("Front door".into()));
    assert!(press(&mut world).iter().all(|answer| matches!(answer, Answer::Done)));
    world.pass(SECOND);
    // Once more: it rings already.
    assert!(press(&mut world).iter().all(|answer| matches!(answer, Answer::Done)));
    sends(&mut world, 4 * SECOND);
    assert!(hears_the_door(&world, bob) && world.phones[alice.0].heard.is_empty());
    compare_with_saved("camera-rings", &world.ladder.draw(&["alice", "exchange", "bob"]));
    assert!(world.ladder.told("bob", "Front door") && world.ladder.told("bob", "m=video"));
    let wrong = world.ask_exchange(&Ask::PressButton("Back door".into()));
    assert!(wrong.iter().any(|answer| matches!(answer, Answer::Refused(_))));
}
