//! Call park (RFC 5359 §2.13): a call is transferred to 700, waits in a slot, and is fetched by dialling the slot.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{Command, Event};

const SECOND: Duration = Duration::from_secs(1);

/// Alice, Bob and Carol sing 440, 1,000 and 600 Hz. Bob does not answer when he is told a slot.
fn three(seed: u64, slots: std::ops::RangeInclusive<u32>) -> (World, [PhoneId; 3]) {
    let mut world = World::new(seed, |config| config.services.park.slots = slots);
    let phones = [("alice", 440.0), ("bob", 1000.0), ("carol", 600.0)].map(|(name, hz)| {
        let phone = world.phone(name, None);
        world.equip(phone, |config| config.accept_transfers = true);
        world.phones[phone.0].sings = Some(hz);
        world.register(phone);
        phone
    });
    world.begin_ladder();
    (world, phones)
}

fn transfer(world: &mut World, by: PhoneId, to: &str) {
    let (call, target) = (world.phones[by.0].first_call(), format!("sip:{to}@example.com").parse().unwrap());
    world.command(by, Command::Transfer { call, target });
}

/// Who has called a phone, by number.
fn callers(world: &World, phone: PhoneId) -> Vec<String> {
    let from =
        |event: &Event| if let Event::Incoming { from, .. } = event { Some(from.to_string()) } else { None };
    world.phones[phone.0].events.iter().filter_map(from).collect()
}

fn nothing_is_left(world: &mut World) {
    world.hang_up_all();
    world.pass(240 * SECOND);
    let now = world.now();
    assert!(
        world.phones.iter().all(|phone| phone.dead || phone.ua.calls().is_empty()),
        "a phone still has a call"
    );
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
}

#[test]
fn a_call_is_parked_by_transfer_and_fetched_by_its_slot() {
    // Bridged by us, or forwarded: then the other phone follows the REFER.
    for bridged in [true, false] {
        let (mut world, [alice, bob, carol]) = three(1, 701..=720);
        if bridged {
            world.private_call(alice, "bob");
        } else {
            world.call(alice, "bob");
        }
        world.pass(6 * SECOND);
        transfer(&mut world, bob, "700");
        if !bridged {
            world.pass(SECOND);
            let call = world.phones[bob.0].first_call();
            world.command(bob, Command::Hangup { call });
        }
        world.pass(8 * SECOND);
        let parked = callers(&world, bob);
        assert!(parked.iter().any(|from| from.contains("701@")), "bob is told the slot: {parked:?}");
        world.call(carol, "701");
        world.pass(5 * SECOND);
        world.phones[carol.0].must_hear(440.0);
        world.phones[alice.0].must_hear(600.0);
        if bridged {
            compare_with_saved("park", &world.ladder.draw(&["alice", "exchange", "bob", "carol"]));
        }
        world.call(bob, "701");
        world.pass(2 * SECOND);
        assert_eq!(world.phones[bob.0].ends().last().unwrap().0, 404, "the slot is free again");
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_parks_by_an_attended_transfer_hears_the_slot_before() {
    let (mut world, [alice, bob, carol]) = three(2, 701..=720);
    world.private_call(alice, "bob");
    world.pass(6 * SECOND);
    let call = world.phones[bob.0].first_call();
    world.command(bob, Command::Hold { call });
    let second = world.call(bob, "700");
    world.pass(6 * SECOND);
    let replaces = world.phones[bob.0].ua.replaces(second).unwrap();
    let replaces: String = replaces.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let target = format!("sip:700@example.com?Replaces={replaces}").parse().unwrap();
    world.command(bob, Command::Transfer { call, target });
    world.pass(3 * SECOND);
    assert!(world.phones[bob.0].ua.calls().is_empty());
    world.call(carol, "701");
    world.pass(5 * SECOND);
    world.phones[carol.0].must_hear(440.0);
    world.phones[alice.0].must_hear(600.0);
    nothing_is_left(&mut world);
}

#[test]
fn a_call_that_nobody_fetches_rings_back() {
    let (mut world, [alice, bob, _]) = three(3, 701..=720);
    world.phones[bob.0].habit = Habit::Answer(5 * SECOND);
    world.private_call(alice, "bob");
    world.pass(9 * SECOND);
    transfer(&mut world, bob, "700");
    world.pass(160 * SECOND);
    world.phones[alice.0].must_hear(1000.0);
    world.phones[bob.0].must_hear(440.0);
    nothing_is_left(&mut world);
}

#[test]
fn a_phone_that_vanishes_while_parked_leaves_the_slot_free() {
    let (mut world, [alice, bob, carol]) = three(4, 701..=701);
    world.private_call(alice, "bob");
    world.pass(6 * SECOND);
    transfer(&mut world, bob, "700");
    world.pass(15 * SECOND);
    world.unplug(alice);
    world.pass(200 * SECOND);
    world.call(carol, "700");
    world.pass(6 * SECOND);
    assert!(world.phones[carol.0].was_answered(), "the only slot is free");
    // And another finds none.
    world.call(bob, "700");
    world.pass(3 * SECOND);
    assert_eq!(world.phones[bob.0].ends().last().unwrap().0, 486);
    nothing_is_left(&mut world);
}

#[test]
fn who_gives_up_while_parked_is_gone() {
    let (mut world, [alice, bob, carol]) = three(5, 701..=720);
    let placed = world.private_call(alice, "bob");
    world.pass(6 * SECOND);
    transfer(&mut world, bob, "700");
    world.pass(8 * SECOND);
    world.command(alice, Command::Hangup { call: placed });
    world.pass(2 * SECOND);
    world.call(carol, "701");
    world.pass(2 * SECOND);
    assert_eq!(world.phones[carol.0].ends()[0].0, 404);
    nothing_is_left(&mut world);
}

#[test]
fn a_call_is_fetched_whatever_shards_it_and_the_other_are_of() {
    let mut elsewhere = 0;
    for seed in 20..28 {
        let mut world = World::new(seed, |config| config.shards = 3);
        let [alice, bob, carol] = [("alice", 440.0), ("bob", 1000.0), ("carol", 600.0)].map(|(name, hz)| {
            let phone = world.phone(name, None);
            world.phones[phone.0].sings = Some(hz);
            world.register(phone);
            phone
        });
        world.private_call(alice, "bob");
        world.pass(6 * SECOND);
        transfer(&mut world, bob, "700");
        world.pass(8 * SECOND);
        let told = callers(&world, bob);
        let slot =
            told.iter().find_map(|from| from.strip_prefix("sip:")?.split('@').next()).unwrap_or_default();
        let slot =
            told.last().map_or(slot, |from| from.trim_start_matches("sip:").split('@').next().unwrap());
        world.call(carol, slot);
        world.pass(5 * SECOND);
        world.phones[carol.0].must_hear(440.0);
        world.phones[alice.0].must_hear(600.0);
        let now = world.now();
        elsewhere +=
            usize::from(world.office.each_status(now).iter().filter(|one| one.anchored > 0).count() > 1);
        let (ends, stays) = if seed % 2 == 0 { (carol, alice) } else { (alice, carol) };
        let call = world.phones[ends.0].first_call();
        world.command(ends, Command::Hangup { call });
        world.pass(SECOND);
        assert!(world.phones[stays.0].ua.calls().is_empty(), "the other half ends too");
        nothing_is_left(&mut world);
    }
    assert!(elsewhere > 0, "some of them were of two shards");
}

#[test]
fn a_slot_has_a_lamp_and_who_waits_there_hears_music() {
    for shards in [1, 3] {
        let mut world = World::new(9, |config| config.shards = shards);
        let [alice, carol, dora] = ["alice", "carol", "dora"].map(|name| {
            let phone = world.phone(name, None);
            world.phones[phone.0].sings = Some(440.0);
            world.register(phone);
            phone
        });
        let lamps = |world: &World, phone: PhoneId| -> Vec<String> {
            let state = |event: &Event| match event {
                Event::Notified { body, .. } => {
                    let body = String::from_utf8_lossy(body).into_owned();
                    Some(
                        body.split_once("<state>")
                            .map_or("out", |(_, rest)| &rest[..rest.find('<').unwrap()])
                            .to_owned(),
                    )
                }
                _ => None,
            };
            world.phones[phone.0].events.iter().filter_map(state).collect()
        };
        let watch = |world: &mut World, phone: PhoneId| {
            let request = world.phones[phone.0].ua.next_request();
            let target = "sip:701@example.com".parse().unwrap();
            let expires = 3600 * SECOND;
            world.command(phone, Command::Subscribe { request, target, event: "dialog".into(), expires });
            world.pass(SECOND);
        };
        watch(&mut world, dora);
        assert_eq!(lamps(&world, dora), ["out"]);
        // Whoever parks itself takes the first slot of its shard: until that is the one that is watched.
        let call = (0..40).find_map(|_| {
            let call = world.call(alice, "700");
            world.pass(8 * SECOND);
            if lamps(&world, dora).len() > 1 {
                return Some(call);
            }
            world.command(alice, Command::Hangup { call });
            world.pass(SECOND);
            None
        });
        let call = call.expect("nobody came to slot 701");
        assert_eq!(lamps(&world, dora), ["out", "confirmed"]);
        let loudest =
            world.phones[alice.0].heard.iter().rev().take(8_000).map(|one| one.unsigned_abs()).max();
        assert!(loudest.unwrap() > 500, "there is no music: {loudest:?}");
        // Who asks later is told at once.
        watch(&mut world, carol);
        assert_eq!(lamps(&world, carol), ["confirmed"]);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
        for phone in [carol, dora] {
            assert_eq!(lamps(&world, phone).last().unwrap(), "terminated");
        }
    }
}
