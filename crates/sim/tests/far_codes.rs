//! Codes that are pressed in calls of which each half is of another shard: there a call stands in for the half that is not here, as
//! long as a service has it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::directory::{Record, Rights};
use offhook_exchange::dispatch;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::Event;

const SECOND: Duration = Duration::from_secs(1);
const HZ: [f32; 5] = [440.0, 1000.0, 600.0, 1500.0, 800.0];
const ALL: [&str; 4] = ["alice", "exchange", "carol", "dave"];
const SHARDS: u8 = 2;
const SEEDS: u64 = 4;

/// Alice, Bob, Carol, Dave and Eve sing; their numbers are 1001 to 1005. Bob has connected Alice with Carol, each of whom has a half
/// that is of another shard than that of the other, and has gone. The seeds are of calls of which that is so.
fn halves(seed: u64) -> Option<(World, [PhoneId; 5])> {
    let mut world = World::new(seed, |config| config.shards = SHARDS);
    let all = [("alice", "1001"), ("bob", "1002"), ("carol", "1003"), ("dave", "1004"), ("eve", "1005")];
    let phones = world.singers(all, HZ);
    let [alice, bob, carol, ..] = phones;
    world.private_call(alice, "bob");
    world.pass(6 * SECOND);
    world.attended_transfer(bob, "carol", true);
    hears(&world, alice, carol);
    hears(&world, carol, alice);
    world.begin_ladder();
    (shard_of(&world, alice) != shard_of(&world, carol)).then_some((world, phones))
}

/// Which a phone's first call is of.
fn shard_of(world: &World, phone: PhoneId) -> Option<u8> {
    let phone = &world.phones[phone.0];
    let dialog = phone.ua.replaces(phone.first_call())?;
    let call_id = dialog.split(';').next()?;
    dispatch::owner(format!("BYE sip:x SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n").as_bytes(), SHARDS)
}

/// Both who talk, and the two who do not yet, for either of the first who presses a code: of these calls the shard of the one who
/// presses differs from that of the other.
fn each(mut run: impl FnMut(&mut World, [PhoneId; 4], bool)) {
    let mut done = 0;
    for seed in 0..SEEDS {
        for by_caller in [true, false] {
            let Some((mut world, [alice, _, carol, dave, eve])) = halves(seed) else { continue };
            let (presses, other) = if by_caller { (alice, carol) } else { (carol, alice) };
            run(&mut world, [presses, other, dave, eve], done == 0);
            done += 1;
            world.hang_up_all();
            world.nothing_is_left_after(240 * SECOND);
        }
    }
    assert!(done >= 2, "{done} runs");
}

fn hears(world: &World, phone: PhoneId, other: PhoneId) {
    world.phones[phone.0].must_hear(HZ[other.0]);
}

fn talk(world: &World, one: PhoneId, other: PhoneId) {
    hears(world, one, other);
    hears(world, other, one);
}

fn has_calls(world: &World, phone: PhoneId) -> usize {
    world.phones[phone.0].ua.calls().len()
}

#[test]
fn either_transfers_the_other_by_keys() {
    each(|world, [presses, other, dave, eve], is_first| {
        world.press(presses, "*21004#");
        world.pass(9 * SECOND);
        if is_first {
            compare_with_saved("far-key-transfer", &world.ladder.draw(&ALL));
        }
        assert_eq!(has_calls(world, presses), 0, "who transfers is let go");
        talk(world, other, dave);
        // In the call that comes of it, once more, by the other one.
        world.press(dave, "*21005#");
        world.pass(9 * SECOND);
        assert_eq!(has_calls(world, dave), 0);
        talk(world, other, eve);
        // Who stays in the end has called nobody.
        world.hang_up(eve);
        assert_eq!(has_calls(world, other), 0);
    });
}

#[test]
fn a_transfer_to_somebody_busy_comes_back_and_one_who_hangs_up_meanwhile_ends_it() {
    each(|world, [presses, other, dave, eve], _| {
        world.phones[dave.0].habit = Habit::Refuse(486);
        world.press(presses, "*21004#");
        world.pass(12 * SECOND);
        talk(world, other, presses);
        world.phones[eve.0].habit = Habit::Ignore;
        world.press(presses, "*21005#");
        world.pass(4 * SECOND);
        assert_eq!((has_calls(world, presses), has_calls(world, eve)), (0, 1));
        world.hang_up(other);
        assert_eq!(has_calls(world, eve), 0, "nobody needs to answer");
    });
}

#[test]
fn a_transfer_into_a_slot_of_call_park_is_fetched_by_a_phone_of_any_shard() {
    each(|world, [presses, other, dave, _], _| {
        world.press(presses, "*2700#");
        world.pass(9 * SECOND);
        let slot = |event: &Event| match event {
            Event::Incoming { from, .. } => Some(from.to_string().split_once(":7")?.1.get(..2)?.to_owned()),
            _ => None,
        };
        let slot = world.phones[presses.0].events.iter().rev().find_map(slot).unwrap();
        world.call(dave, &format!("7{slot}"));
        world.pass(6 * SECOND);
        talk(world, other, dave);
    });
}

#[test]
fn a_third_party_comes_to_the_call_another_is_brought_by_the_one_who_is_lent_and_any_may_go() {
    each(|world, [presses, other, dave, eve], is_first| {
        // Who is silent is not in the way of what is heard of others.
        world.phones[other.0].sings = Some(0.0);
        world.press(presses, "*41004#");
        world.pass(9 * SECOND);
        if is_first {
            compare_with_saved("far-key-third-party", &world.ladder.draw(&ALL));
        }
        talk(world, presses, dave);
        world.phones[presses.0].sings = Some(0.0);
        world.pass(3 * SECOND);
        hears(world, other, dave);
        // The half of this one is of another shard than the room, where its keys are heard all the same.
        world.press(other, "*41005#");
        world.pass(9 * SECOND);
        world.hang_up(dave);
        world.pass(3 * SECOND);
        for phone in [presses, other] {
            hears(world, phone, eve);
        }
        world.hang_up(other);
        hears(world, presses, eve);
        world.hang_up(presses);
        assert_eq!(has_calls(world, eve), 0, "who is alone is done");
    });
}

#[test]
fn who_was_to_come_and_does_not_changes_nothing() {
    each(|world, [presses, other, dave, _], _| {
        world.phones[dave.0].habit = Habit::Refuse(486);
        world.press(presses, "*41004#");
        world.pass(9 * SECOND);
        talk(world, presses, other);
    });
}

#[test]
fn who_asks_another_first_and_hangs_up_leaves_the_two_to_each_other() {
    each(|world, [presses, other, dave, _], is_first| {
        world.press(presses, "*61004#");
        world.pass(9 * SECOND);
        talk(world, presses, dave);
        assert_eq!(has_calls(world, other), 1, "who waits hears music");
        world.hang_up(presses);
        world.pass(3 * SECOND);
        if is_first {
            compare_with_saved("far-key-attended-transfer", &world.ladder.draw(&ALL));
        }
        talk(world, other, dave);
        world.hang_up(other);
        assert_eq!(has_calls(world, dave), 0);
    });
}

#[test]
fn a_question_that_is_over_leaves_all_as_it_was_and_codes_are_heard_again() {
    each(|world, [presses, other, dave, _], _| {
        for end in ["*6#", "hangs up", "refuses"] {
            world.phones[dave.0].habit =
                if end == "refuses" { Habit::Refuse(486) } else { Habit::Answer(SECOND) };
            world.press(presses, "*61004#");
            world.pass(9 * SECOND);
            match end {
                "*6#" => world.press(presses, end),
                "hangs up" => world.hang_up(dave),
                _ => {}
            }
            world.pass(6 * SECOND);
            assert_eq!(has_calls(world, dave), 0, "{end}");
            talk(world, presses, other);
        }
    });
}

#[test]
fn who_asks_or_waits_may_go_before_an_answer() {
    for goes in ["asks", "waits", "both"] {
        each(|world, [presses, other, dave, _], _| {
            world.phones[dave.0].habit = Habit::Answer(15 * SECOND);
            world.press(presses, "*61004#");
            world.pass(6 * SECOND);
            if goes != "waits" {
                world.hang_up(presses);
            }
            if goes != "asks" {
                world.hang_up(other);
            }
            world.pass(20 * SECOND);
            match goes {
                "asks" => talk(world, other, dave),
                "waits" => talk(world, presses, dave),
                _ => assert_eq!(has_calls(world, dave), 0),
            }
        });
    }
}

#[test]
fn both_may_press_at_once() {
    for code in ["*2", "*4", "*6"] {
        each(|world, [presses, other, dave, eve], _| {
            world.press(presses, &format!("{code}1004#"));
            world.press(other, &format!("{code}1005#"));
            world.pass(15 * SECOND);
            // Whoever was parted from the other first; nobody is left with nobody.
            let up: Vec<_> = [presses, other, dave, eve].map(|phone| has_calls(world, phone)).into();
            assert!(up.iter().sum::<usize>() != 1, "{code} {up:?}");
        });
    }
}

#[test]
fn a_recording_goes_on_when_a_third_party_comes_and_any_who_may_end_and_begin_it() {
    each(|world, [presses, other, ..], _| {
        let now = world.now();
        for name in ["alice", "carol"] {
            world.office.rights(now, name, Rights { record: Record::OnDemand, ..Rights::default() });
        }
        world.press(presses, "*1");
        world.pass(4 * SECOND);
        world.press(other, "*41004#");
        world.pass(9 * SECOND);
        // A file appears when it is complete.
        assert_eq!(world.office.recordings.files.len(), 1);
        // The one whose half is lent ends what goes on as another.
        world.press(presses, "*1");
        world.pass(4 * SECOND);
        assert_eq!(world.office.recordings.files.len(), 2);
        world.press(other, "*1");
        world.pass(4 * SECOND);
        world.press(other, "*1");
        world.pass(4 * SECOND);
        assert_eq!(world.office.recordings.files.len(), 3);
    });
}
