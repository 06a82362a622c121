//! Recording: calls of accounts that want it stand in files, the caller left, the one who was called right.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::Config;
use offhook_exchange::directory::{Record, Rights};
use offhook_exchange::event::Event;
use offhook_exchange::services::Announce;
use offhook_media::tone::analyse;
use offhook_sim::{PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, Command};

const SECOND: Duration = Duration::from_secs(1);
const ALICE: f32 = 600.0;
const BOB: f32 = 900.0;

/// Alice and Bob, whose calls are recorded like this.
fn world(seed: u64, records: [Record; 2], change: impl FnOnce(&mut Config)) -> (World, [PhoneId; 2]) {
    let mut world = World::new(seed, change);
    let phones = [("alice", "1001", ALICE), ("bob", "1002", BOB)].map(|(name, number, hz)| {
        let phone = world.phone(name, Some(number));
        world.register(phone);
        world.phones[phone.0].sings = Some(hz);
        phone
    });
    for (name, record) in ["alice", "bob"].iter().zip(records) {
        let now = world.now();
        world.office.rights(now, name, Rights { record, ..Rights::default() });
    }
    (world, phones)
}

/// The recordings: what stands left, what stands right, and samples a second.
fn recordings(world: &World) -> Vec<(Vec<i16>, Vec<i16>, u32)> {
    let files = world.office.recordings.files.iter().filter(|(name, _)| name.starts_with("recordings/"));
    files
        .map(|(_, (samples, rate))| {
            let side = |n| samples.iter().skip(n).step_by(2).copied().collect();
            (side(0), side(1), rate / 2)
        })
        .collect()
}

/// What happened to recordings: a file, or why there is none.
fn told(world: &World) -> Vec<Result<String, String>> {
    let of =
        |event: &Event| if let Event::Recording { what, .. } = event { Some(what.clone()) } else { None };
    world.office.events.iter().filter_map(of).collect()
}

fn press(world: &mut World, phone: PhoneId, call: CallId, digits: &str) {
    world.command(phone, Command::Dtmf { call, digits: digits.into() });
}

fn hz(sound: &[i16], rate: u32) -> f32 {
    analyse(sound, rate).dominant_hz
}

fn nothing_is_left(world: &mut World) {
    world.pass(90 * SECOND);
    let now = world.now();
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
}

#[test]
fn a_call_is_recorded_with_either_party_on_its_side_and_stays_forwarded() {
    for (seed, records) in [(1, [Record::Always, Record::Never]), (2, [Record::Never, Record::Always])] {
        let (mut world, [alice, bob]) = world(seed, records, |_| {});
        world.begin_ladder();
        let call = world.call(alice, "1002");
        world.pass(14 * SECOND);
        let (to_alice, to_bob) = (world.phones[alice.0].heard_hz(2.0), world.phones[bob.0].heard_hz(2.0));
        assert!((to_alice - BOB).abs() < 10.0 && (to_bob - ALICE).abs() < 10.0, "they hear each other");
        world.command(alice, Command::Hangup { call });
        world.pass(2 * SECOND);
        if seed == 1 {
            compare_with_saved("recording", &world.ladder.draw(&["alice", "exchange", "bob"]));
        }
        let all = recordings(&world);
        let [(left, right, rate)] = &all[..] else { unreachable!("{}", all.len()) };
        let second = *rate as usize;
        assert!(left.len() > 5 * second && left.len() == right.len(), "{} {}", left.len(), right.len());
        let middle = second..left.len() - second;
        assert!((hz(&left[middle.clone()], *rate) - ALICE).abs() < 10.0);
        assert!((hz(&right[middle], *rate) - BOB).abs() < 10.0);
        let told = told(&world);
        let file = told[0].as_ref().unwrap();
        assert!(file.starts_with("recordings/2027/01/20270115T"), "{file}");
        assert!(file.contains("_alice_1002_") && file.ends_with("-1.wav"), "{file}");
        assert!(world.office.recordings.files.contains_key(file));
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_tone_tells_both_that_they_are_recorded_unless_that_is_not_wanted() {
    for announce in [Announce::Beep, Announce::Silent] {
        let records = [Record::Always, Record::Never];
        let (mut world, phones) = world(3, records, |config| config.services.recording.announce = announce);
        world.call(phones[0], "1002");
        world.pass(10 * SECOND);
        for phone in phones {
            let pieces = world.phones[phone.0].heard.chunks_exact(400);
            let beeps = pieces.filter(|piece| (hz(piece, 8000) - 1400.0).abs() < 60.0).count();
            assert_eq!(beeps > 0, announce == Announce::Beep, "{beeps}");
        }
    }
}

#[test]
fn on_demand_keys_begin_pause_and_end_it() {
    let records = [Record::Never, Record::OnDemand];
    let (mut world, [alice, bob]) = world(4, records, |_| {});
    let placed = world.call(alice, "1002");
    world.pass(6 * SECOND);
    let answered = world.phones[bob.0].ua.calls()[0];
    press(&mut world, alice, placed, "*1");
    world.pass(4 * SECOND);
    assert!(told(&world).is_empty(), "Alice may not");
    press(&mut world, bob, answered, "*1");
    world.pass(5 * SECOND);
    press(&mut world, bob, answered, "*3");
    world.pass(5 * SECOND);
    press(&mut world, bob, answered, "*3");
    world.pass(5 * SECOND);
    press(&mut world, bob, answered, "*1");
    world.pass(5 * SECOND);
    let (left, right, rate) = recordings(&world).remove(0);
    let second = rate as usize;
    assert!((12 * second..18 * second).contains(&left.len()), "{}", left.len() / second);
    let quiet =
        |sound: &[i16]| sound.chunks_exact(second / 10).filter(|one| one.iter().all(|s| *s == 0)).count();
    assert!((35..=60).contains(&quiet(&left)) && quiet(&left) == quiet(&right), "{}", quiet(&left));
    let end = left.len() - 2 * second..left.len() - second;
    assert!((hz(&left[end.clone()], rate) - ALICE).abs() < 10.0, "it goes on after the pause");
    assert!((hz(&right[end], rate) - BOB).abs() < 10.0);
    press(&mut world, bob, answered, "*1");
    world.pass(3 * SECOND);
    world.command(alice, Command::Hangup { call: placed });
    world.pass(2 * SECOND);
    assert_eq!(recordings(&world).len(), 2, "one more, until the end of the call");
    nothing_is_left(&mut world);
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_call() {
    let (mut world, [alice, bob]) = world(5, [Record::Always; 2], |_| {});
    let call = world.call(alice, "1002");
    world.pass(10 * SECOND);
    world.office.recordings.cut = true;
    world.pass(10 * SECOND);
    assert!((world.phones[bob.0].heard_hz(2.0) - ALICE).abs() < 10.0);
    let told = told(&world);
    assert!(told[0].is_ok() && told[1].is_err() && told.len() == 2, "{told:?}");
    let (left, _, rate) = recordings(&world).remove(0);
    assert!(left.len() > 5 * rate as usize, "what was recorded is there");
    world.command(alice, Command::Hangup { call });
    nothing_is_left(&mut world);
}

#[test]
fn nobody_is_recorded_who_does_not_want_it() {
    let (mut world, [alice, bob]) = world(6, [Record::Never; 2], |_| {});
    let placed = world.call(alice, "1002");
    world.pass(6 * SECOND);
    let answered = world.phones[bob.0].ua.calls()[0];
    press(&mut world, alice, placed, "*1");
    press(&mut world, bob, answered, "*1");
    world.pass(5 * SECOND);
    world.command(alice, Command::Hangup { call: placed });
    world.pass(2 * SECOND);
    assert!(world.office.recordings.files.is_empty() && told(&world).is_empty());
}
