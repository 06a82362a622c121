//! Conference: all in a room hear each other.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::command::Moderate;
use offhook_exchange::config::Config;
use offhook_media::tone::analyse;
use offhook_sim::{PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, Command};

const SECOND: Duration = Duration::from_secs(1);
const TONES: [f32; 3] = [600.0, 900.0, 1300.0];

/// Three phones, each of which sings in its own voice.
fn world(seed: u64, change: impl FnOnce(&mut Config)) -> (World, [PhoneId; 3]) {
    let mut world = World::new(seed, change);
    let phones = [("alice", "1001"), ("bob", "1002"), ("carol", "1003")].map(|(name, number)| {
        let phone = world.phone(name, Some(number));
        world.register(phone);
        phone
    });
    for (phone, hz) in phones.iter().zip(TONES) {
        world.phones[phone.0].sings = Some(hz);
    }
    (world, phones)
}

/// Which of the three voices a phone has heard in the last second.
fn hears(world: &World, phone: PhoneId) -> [bool; 3] {
    let heard = &world.phones[phone.0].heard;
    let last = &heard[heard.len() - 8000..];
    TONES.map(|hz| {
        let (mut cos, mut sin, mut energy) = (0.0f32, 0.0f32, 1.0f32);
        for (n, sample) in last.iter().enumerate() {
            let (turn, sample) = (std::f32::consts::TAU * hz * n as f32 / 8000.0, f32::from(*sample));
            cos += sample * turn.cos();
            sin += sample * turn.sin();
            energy += sample * sample;
        }
        let share = 2.0 * (cos * cos + sin * sin) / (energy * last.len() as f32);
        assert!(!(0.02..0.2).contains(&share), "neither heard nor not: {share}");
        share > 0.2
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
fn three_phones_hear_each_other_whatever_shards_their_calls_are_of() {
    for (seed, shards) in [(1, 1), (2, 3), (3, 5), (4, 8)] {
        let (mut world, phones) = world(seed, |config| config.shards = shards);
        world.begin_ladder();
        let calls = phones.map(|phone| {
            let call = world.call(phone, "3000");
            world.pass(2 * SECOND);
            call
        });
        world.pass(8 * SECOND);
        let all = phones.map(|phone| hears(&world, phone));
        assert_eq!(all, [[false, true, true], [true, false, true], [true, true, false]]);
        world.command(phones[1], Command::Hangup { call: calls[1] });
        world.pass(4 * SECOND);
        assert_eq!(hears(&world, phones[0]), [false, false, true]);
        world.command(phones[0], Command::Hangup { call: calls[0] });
        world.pass(SECOND);
        world.command(phones[2], Command::Hangup { call: calls[2] });
        world.pass(SECOND);
        if shards == 1 {
            compare_with_saved("conference", &world.ladder.draw(&["alice", "exchange", "bob", "carol"]));
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_is_alone_is_told_so_and_hears_others_come() {
    let (mut world, [alice, bob, _]) = world(5, |_| {});
    world.call(alice, "3001");
    world.pass(3 * SECOND);
    let speech = analyse(&world.phones[alice.0].heard, 8000);
    assert!(speech.level_dbov > -40.0, "you are the only one: {speech:?}");
    world.phones[alice.0].heard.clear();
    world.pass(3 * SECOND);
    assert!(analyse(&world.phones[alice.0].heard, 8000).level_dbov < -60.0);
    world.phones[alice.0].heard.clear();
    world.phones[bob.0].sings = Some(0.0);
    world.call(bob, "3001");
    world.pass(SECOND);
    let tone = world.phones[alice.0].heard.chunks_exact(800).map(|piece| analyse(piece, 8000));
    assert!(
        tone.into_iter().any(|heard| (heard.dominant_hz - 700.0).abs() < 30.0 && heard.level_dbov > -40.0)
    );
    // Another room is another room.
    world.phones[bob.0].sings = Some(TONES[1]);
    world.call(bob, "3002");
    world.pass(4 * SECOND);
    assert_eq!(hears(&world, alice), [false, true, false]);
}

#[test]
fn keys_mute_and_lock() {
    let (mut world, phones) = world(6, |_| {});
    let [alice, bob, carol] = phones;
    let calls = [alice, bob].map(|phone| world.call(phone, "3000"));
    world.pass(6 * SECOND);
    press(&mut world, alice, calls[0], "*6");
    world.pass(5 * SECOND);
    assert_eq!(hears(&world, bob), [false; 3], "Alice is muted");
    assert_eq!(hears(&world, alice), [false, true, false], "and hears");
    press(&mut world, alice, calls[0], "*6");
    world.pass(5 * SECOND);
    assert_eq!(hears(&world, bob), [true, false, false]);
    press(&mut world, bob, calls[1], "*7");
    world.pass(3 * SECOND);
    world.call(carol, "3000");
    world.pass(6 * SECOND);
    assert_eq!(world.phones[carol.0].ends().len(), 1, "the room is locked");
    press(&mut world, bob, calls[1], "*7");
    world.pass(3 * SECOND);
    world.call(carol, "3000");
    world.pass(6 * SECOND);
    assert_eq!(hears(&world, carol), [true, true, false]);
}

#[test]
fn a_pin_lets_in_and_a_wrong_one_does_not() {
    let (mut world, phones) = world(7, |config| {
        config.services.conference.pin = Some("2468".into());
        config.services.conference.moderator_pin = Some("8642".into());
    });
    let [alice, bob, carol] = phones;
    let calls = phones.map(|phone| world.call(phone, "3000"));
    world.pass(2 * SECOND);
    press(&mut world, alice, calls[0], "2468#");
    press(&mut world, bob, calls[1], "8642#");
    press(&mut world, carol, calls[2], "1111#22222222222222222222222222222222222222#");
    world.pass(15 * SECOND);
    assert_eq!(hears(&world, alice), [false, true, false]);
    assert!(world.phones[carol.0].ends().is_empty());
    press(&mut world, carol, calls[2], "246#");
    world.pass(8 * SECOND);
    assert_eq!(world.phones[carol.0].ends().len(), 1, "three wrong ones are enough");
    // Only the moderator locks.
    press(&mut world, alice, calls[0], "*7");
    world.pass(SECOND);
    let call = world.call(carol, "3000");
    world.pass(2 * SECOND);
    press(&mut world, carol, call, "2468#");
    world.pass(8 * SECOND);
    assert_eq!(hears(&world, carol), [true, true, false]);
    press(&mut world, bob, calls[1], "*7");
    world.pass(SECOND);
    world.command(carol, Command::Hangup { call });
    world.pass(SECOND);
    let call = world.call(carol, "3000");
    world.pass(2 * SECOND);
    press(&mut world, carol, call, "2468#");
    world.pass(8 * SECOND);
    assert_eq!(world.phones[carol.0].ends().len(), 3);
    // Who never enters anything is sent away.
    world.call(carol, "3000");
    world.pass(40 * SECOND);
    assert_eq!(world.phones[carol.0].ends().len(), 4);
}

#[test]
fn a_machine_that_guesses_a_pin_is_made_to_wait_and_told_so() {
    let (mut world, [alice, bob, _]) =
        world(8, |config| config.services.conference.pin = Some("2468".into()));
    let refused = |world: &World, phone: PhoneId| {
        world.phones[phone.0].ends().into_iter().filter(|end| end.0 == 403).count()
    };
    // Three calls with three wrong ones each.
    for guess in 0..3 {
        let call = world.call(alice, "3000");
        world.pass(2 * SECOND);
        press(&mut world, alice, call, &format!("{guess}1#{guess}2#{guess}3#"));
        world.pass(10 * SECOND);
    }
    assert_eq!(refused(&world, alice), 0);
    world.call(alice, "3000");
    world.pass(2 * SECOND);
    assert_eq!(refused(&world, alice), 1);
    // Others are asked, and so is she when some time has passed.
    let call = world.call(bob, "3000");
    world.pass(2 * SECOND);
    press(&mut world, bob, call, "2468#");
    world.pass(601 * SECOND);
    let call = world.call(alice, "3000");
    world.pass(2 * SECOND);
    press(&mut world, alice, call, "2468#");
    world.pass(8 * SECOND);
    assert_eq!(hears(&world, alice), [false, true, false]);
}

#[test]
fn a_full_room_and_a_phone_that_vanishes_come_to_an_end() {
    let (mut world, phones) = world(8, |config| config.services.conference.most = 2);
    let [alice, bob, carol] = phones;
    let call = world.call(alice, "3000");
    world.call(bob, "3000");
    world.pass(4 * SECOND);
    world.call(carol, "3000");
    world.pass(6 * SECOND);
    assert_eq!(world.phones[carol.0].ends().len(), 1);
    world.unplug(bob);
    world.pass(130 * SECOND);
    world.call(carol, "3000");
    world.pass(6 * SECOND);
    assert_eq!(hears(&world, alice), [false, false, true]);
    world.command(alice, Command::Hangup { call });
    world.unplug(carol);
    world.pass(130 * SECOND);
    nothing_is_left(&mut world);
}

#[test]
fn other_numbers_are_no_rooms() {
    let (mut world, [alice, ..]) = world(9, |_| {});
    for number in ["3010", "2999", "03000", "+3000", "3000x"] {
        world.call(alice, number);
        world.pass(SECOND);
        assert_eq!(world.phones[alice.0].ends().last().unwrap().0, 404, "{number}");
    }
}

#[test]
fn a_key_has_the_room_recorded_and_ends_that() {
    let (mut world, phones) = world(10, |_| {});
    let [alice, bob, carol] = phones;
    world.begin_ladder();
    let call = world.call(alice, "3000");
    world.call(bob, "3000");
    world.pass(6 * SECOND);
    press(&mut world, alice, call, "*9");
    world.pass(5 * SECOND);
    press(&mut world, alice, call, "*9");
    world.pass(2 * SECOND);
    let files = &world.office.recordings.files;
    assert_eq!(files.len(), 1, "it is complete");
    let (file, (sound, rate)) = files.iter().next().unwrap();
    assert!(file.contains("_conference_3000_"), "{file}");
    assert!((4..=6).contains(&(sound.len() / *rate as usize)), "{}", sound.len());
    // What is said afterwards is in no file.
    world.call(carol, "3000");
    world.pass(4 * SECOND);
    world.hang_up_all();
    world.pass(2 * SECOND);
    assert_eq!(world.office.recordings.files.len(), 1);
    compare_with_saved("conference-recorded", &world.ladder.draw(&["alice", "exchange", "bob", "carol"]));
    nothing_is_left(&mut world);
}

#[test]
fn an_operator_mutes_sends_away_and_has_a_room_recorded_whatever_the_shards() {
    for (seed, shards) in [(11, 1), (12, 4)] {
        let (mut world, phones) = world(seed, |config| config.shards = shards);
        for phone in phones {
            world.call(phone, "3000");
        }
        world.pass(9 * SECOND);
        let now = world.now();
        let mut from: Vec<_> = world.office.conferences(now).into_iter().map(|guest| guest.from).collect();
        from.sort();
        assert_eq!(from, ["1001", "1002", "1003"]);
        assert_eq!(world.office.moderate(now, 3000, Some("1002"), Moderate::Mute(true)), 1);
        assert_eq!(world.office.moderate(now, 3000, Some("1001"), Moderate::Record(true)), 1);
        world.pass(4 * SECOND);
        assert_eq!(hears(&world, phones[0]), [false, false, true], "Bob is muted");
        let now = world.now();
        assert_eq!(world.office.moderate(now, 3000, None, Moderate::Mute(false)), 3);
        assert_eq!(world.office.moderate(now, 3000, Some("1003"), Moderate::Kick), 1);
        assert_eq!(world.office.moderate(now, 3001, None, Moderate::Kick), 0);
        world.pass(5 * SECOND);
        assert_eq!(hears(&world, phones[0]), [false, true, false], "Carol is gone, Bob is back");
        assert_eq!(world.phones[phones[2].0].ends().len(), 1);
        let now = world.now();
        assert_eq!(world.office.moderate(now, 3000, Some("1001"), Moderate::Record(false)), 1);
        world.pass(SECOND);
        let (file, (sound, rate)) = world.office.recordings.files.iter().next().unwrap();
        assert!(file.starts_with("recordings/2027/01/") && file.contains("_conference_3000_"), "{file}");
        assert!((8..=10).contains(&(sound.len() / *rate as usize)), "{}", sound.len());
        assert!(analyse(sound, *rate).level_dbov > -40.0);
        for phone in &phones[..2] {
            let call = world.phones[phone.0].ua.calls()[0];
            world.command(*phone, Command::Hangup { call });
        }
        nothing_is_left(&mut world);
    }
}
