//! Recording those whom the exchange has connected: by click to dial, by transfer, in one shard or in two.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::command::Command as Operator;
use offhook_exchange::directory::{AddressOfRecord, Record, Rights};
use offhook_exchange::event::Event;
use offhook_media::tone::analyse;
use offhook_sim::{PhoneId, World};
use offhook_ua::{CallId, Command};

const SECOND: Duration = Duration::from_secs(1);
const ALICE: f32 = 440.0;
const BOB: f32 = 1000.0;
const CAROL: f32 = 600.0;

/// Alice, Bob and Carol, whose calls are recorded like this.
fn three(seed: u64, shards: u8, records: [Record; 3]) -> (World, [PhoneId; 3]) {
    let mut world = World::new(seed, |config| config.shards = shards);
    let phones = [("alice", ALICE), ("bob", BOB), ("carol", CAROL)].map(|(name, hz)| {
        let phone = world.phone(name, None);
        world.phones[phone.0].sings = Some(hz);
        world.register(phone);
        phone
    });
    for (name, record) in ["alice", "bob", "carol"].iter().zip(records) {
        let now = world.now();
        world.office.rights(now, name, Rights { record, ..Rights::default() });
    }
    (world, phones)
}

/// Somebody wants Alice to talk with Bob.
fn connect(world: &mut World) {
    let alice = AddressOfRecord::new("alice", "example.com");
    world.ask_exchange(&Operator::Connect(alice, "bob".to_owned()));
    world.pass(10 * SECOND);
}

/// The recordings in the order of their names, which begin with the moment: whose it is, what stands left and right, and
/// samples a second.
fn recordings(world: &World) -> Vec<(String, [Vec<i16>; 2], u32)> {
    let files = world.office.recordings.files.iter().filter(|(name, _)| name.starts_with("recordings/"));
    files
        .map(|(name, (samples, rate))| {
            let side = |n| samples.iter().skip(n).step_by(2).copied().collect();
            (name.clone(), [side(0), side(1)], rate / 2)
        })
        .collect()
}

/// Left and right sing so, from the second second to the last but one.
fn must_sing((name, sides, rate): &(String, [Vec<i16>; 2], u32), hz: [f32; 2]) {
    let second = *rate as usize;
    assert!(sides[0].len() > 4 * second && sides[0].len() == sides[1].len(), "{name}: {}", sides[0].len());
    for (side, hz) in sides.iter().zip(hz) {
        let heard = analyse(&side[second..side.len() - second], *rate);
        assert!((heard.dominant_hz - hz).abs() < 10.0 && heard.share > 0.8, "{name}: {heard:?}, not {hz}");
    }
}

fn told(world: &World) -> Vec<Result<String, String>> {
    let of =
        |event: &Event| if let Event::Recording { what, .. } = event { Some(what.clone()) } else { None };
    world.office.events.iter().filter_map(of).collect()
}

fn press(world: &mut World, phone: PhoneId, digits: &str) {
    let call = world.phones[phone.0].first_call();
    world.command(phone, Command::Dtmf { call, digits: digits.into() });
    world.pass(5 * SECOND);
}

fn beeps(world: &World, phone: PhoneId) -> usize {
    let pieces = world.phones[phone.0].heard.chunks_exact(400);
    pieces.filter(|piece| (analyse(piece, 8000).dominant_hz - 1400.0).abs() < 60.0).count()
}

fn hang_up(world: &mut World, phone: PhoneId) {
    let call: CallId = world.phones[phone.0].first_call();
    world.command(phone, Command::Hangup { call });
    world.pass(2 * SECOND);
}

fn nothing_is_left(world: &mut World) {
    world.pass(240 * SECOND);
    let now = world.now();
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
}

#[test]
fn two_who_were_connected_are_recorded_on_their_sides_and_told_so() {
    let wishes =
        [[Record::Always, Record::Never, Record::Never], [Record::Never, Record::Always, Record::Never]];
    for (seed, wishes) in [(1, wishes[0]), (2, wishes[1])] {
        let (mut world, [alice, bob, _]) = three(seed, 1, wishes);
        connect(&mut world);
        world.pass(4 * SECOND);
        world.phones[alice.0].must_hear(BOB);
        world.phones[bob.0].must_hear(ALICE);
        assert!(beeps(&world, alice) > 0 && beeps(&world, bob) > 0);
        hang_up(&mut world, bob);
        let all = recordings(&world);
        assert_eq!(all.len(), 1);
        must_sing(&all[0], [ALICE, BOB]);
        assert!(all[0].0.contains("_alice_bob_"), "{}", all[0].0);
        assert_eq!(told(&world), [Ok(all[0].0.clone())]);
        nothing_is_left(&mut world);
    }
}

#[test]
fn keys_begin_pause_and_end_it_for_those_who_may() {
    let (mut world, [alice, bob, _]) = three(3, 1, [Record::Never, Record::OnDemand, Record::Never]);
    connect(&mut world);
    press(&mut world, alice, "*1");
    assert!(told(&world).is_empty(), "Alice may not");
    press(&mut world, bob, "*1");
    press(&mut world, bob, "*3");
    press(&mut world, bob, "*3");
    press(&mut world, bob, "*1");
    let (name, [left, right], rate) = recordings(&world).remove(0);
    let second = rate as usize;
    assert!((12 * second..20 * second).contains(&left.len()), "{name}: {}", left.len() / second);
    let quiet =
        |sound: &[i16]| sound.chunks_exact(second / 10).filter(|one| one.iter().all(|s| *s == 0)).count();
    assert!((35..=60).contains(&quiet(&left)) && quiet(&left) == quiet(&right), "{}", quiet(&left));
    press(&mut world, bob, "*1");
    hang_up(&mut world, alice);
    let all = recordings(&world);
    assert_eq!(all.len(), 2, "one more, until the end of the call");
    must_sing(&all[1], [ALICE, BOB]);
    nothing_is_left(&mut world);
}

#[test]
fn who_is_transferred_begins_another_recording() {
    let (mut world, [alice, bob, carol]) = three(4, 1, [Record::Always, Record::Never, Record::Never]);
    world.private_call(alice, "bob");
    world.pass(8 * SECOND);
    let call = world.phones[bob.0].first_call();
    let target = "sip:carol@example.com".parse().unwrap();
    world.command(bob, Command::Transfer { call, target });
    world.pass(12 * SECOND);
    world.phones[carol.0].must_hear(ALICE);
    hang_up(&mut world, carol);
    let all = recordings(&world);
    assert_eq!(all.len(), 2, "{:?}", all.iter().map(|one| &one.0).collect::<Vec<_>>());
    must_sing(&all[0], [ALICE, BOB]);
    must_sing(&all[1], [ALICE, CAROL]);
    assert!(all[1].0.contains("_alice_carol_"), "{}", all[1].0);
    nothing_is_left(&mut world);
}

#[test]
fn a_disk_that_is_full_ends_the_recording_and_not_the_call() {
    let (mut world, [alice, bob, _]) = three(5, 1, [Record::Always, Record::Never, Record::Never]);
    connect(&mut world);
    world.pass(5 * SECOND);
    world.office.recordings.cut = true;
    world.pass(10 * SECOND);
    world.phones[bob.0].must_hear(ALICE);
    let told = told(&world);
    assert!(told.len() == 2 && told[0].is_ok() && told[1].is_err(), "{told:?}");
    hang_up(&mut world, alice);
    nothing_is_left(&mut world);
}

#[test]
fn halves_of_different_shards_make_one_recording() {
    let (yes, no) = (Record::Always, Record::Never);
    for seed in 0..4 {
        for records in [[yes, no, no], [no, no, yes], [yes, no, yes]] {
            let (mut world, [alice, bob, carol]) = three(seed, 2, records);
            world.private_call(alice, "bob");
            world.pass(4 * SECOND);
            let first = world.phones[bob.0].first_call();
            let second = world.private_call(bob, "carol");
            world.pass(4 * SECOND);
            let replaces = world.phones[bob.0].ua.replaces(second).unwrap();
            let replaces: String = replaces.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let target = format!("sip:carol@example.com?Replaces={replaces}").parse().unwrap();
            world.command(bob, Command::Transfer { call: first, target });
            world.pass(9 * SECOND);
            world.phones[alice.0].must_hear(CAROL);
            world.phones[carol.0].must_hear(ALICE);
            hang_up(&mut world, alice);
            let all = recordings(&world);
            let both: Vec<_> = all.iter().filter(|one| one.0.contains("_alice_carol_")).collect();
            assert_eq!(both.len(), 1, "{seed}: {:?}", all.iter().map(|one| &one.0).collect::<Vec<_>>());
            must_sing(both[0], [ALICE, CAROL]);
            nothing_is_left(&mut world);
        }
    }
}

/// Carol comes to the call of Alice and Bob, by keys of Alice.
fn with_carol(seed: u64, records: [Record; 3]) -> (World, [PhoneId; 3]) {
    let (mut world, phones) = three(seed, 1, records);
    let now = world.now();
    world.office.number(now, "carol", "1003");
    connect(&mut world);
    // Who does not sing is not in the way of the one who does.
    world.phones[phones[1].0].sings = Some(0.0);
    press(&mut world, phones[0], "*41003#");
    world.pass(8 * SECOND);
    (world, phones)
}

#[test]
fn a_call_of_several_is_recorded_with_the_caller_left_and_all_others_right() {
    let (mut world, [alice, bob, carol]) = with_carol(6, [Record::Never, Record::Never, Record::Always]);
    world.phones[alice.0].must_hear(CAROL);
    hang_up(&mut world, alice);
    // Bob and Carol go on, and Carol still wants it.
    world.pass(8 * SECOND);
    world.phones[bob.0].must_hear(CAROL);
    hang_up(&mut world, carol);
    let all = recordings(&world);
    let names: Vec<_> = all.iter().map(|one| &one.0).collect();
    assert_eq!(all.len(), 2, "{names:?}");
    must_sing(&all[0], [ALICE, CAROL]);
    assert!(all[0].0.contains("_alice_bob+carol_") && all[1].0.contains("_bob_carol_"), "{names:?}");
    let (_, [left, right], rate) = &all[1];
    assert!(left.iter().all(|sample| sample.unsigned_abs() < 300), "Bob is silent");
    let heard = analyse(&right[*rate as usize..right.len() - *rate as usize], *rate);
    assert!((heard.dominant_hz - CAROL).abs() < 10.0, "{heard:?}");
    assert!(beeps(&world, carol) > 0, "all are told");
    nothing_is_left(&mut world);
}

#[test]
fn keys_record_a_call_of_several_and_what_was_begun_for_two_goes_on() {
    let (mut world, [alice, bob, carol]) = with_carol(7, [Record::Never, Record::OnDemand, Record::Never]);
    press(&mut world, carol, "*1");
    assert!(told(&world).is_empty(), "Carol may not");
    press(&mut world, bob, "*1");
    world.pass(4 * SECOND);
    press(&mut world, bob, "*1");
    hang_up(&mut world, carol);
    hang_up(&mut world, alice);
    let all = recordings(&world);
    assert_eq!(all.len(), 1);
    must_sing(&all[0], [ALICE, CAROL]);
    nothing_is_left(&mut world);
    // Begun by two.
    let (mut world, [alice, bob, _]) = three(8, 1, [Record::Never, Record::OnDemand, Record::Never]);
    let now = world.now();
    world.office.number(now, "carol", "1003");
    connect(&mut world);
    press(&mut world, bob, "*1");
    press(&mut world, bob, "*41003#");
    world.pass(8 * SECOND);
    hang_up(&mut world, alice);
    let names: Vec<_> = recordings(&world).into_iter().map(|one| one.0).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].contains("_alice_bob_") && names[1].contains("_alice_bob+carol_"), "{names:?}");
    hang_up(&mut world, bob);
    nothing_is_left(&mut world);
}
