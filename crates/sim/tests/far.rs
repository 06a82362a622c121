//! Calls of different shards that come to be one: transfers by phones whose partners are of another shard, and INVITEs that
//! take the place of a dialog of another shard.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::directory::Answering;
use offhook_sim::{Habit, PhoneId, World};
use offhook_ua::{CallOptions, Command, Event};

const SECOND: Duration = Duration::from_secs(1);

/// Alice, Bob, Carol and Dave sing 440, 1,000, 600 and 1,500 Hz. Calls that hide are bridged.
fn four(seed: u64) -> (World, [PhoneId; 4]) {
    let mut world = World::new(seed, |config| config.shards = 2);
    let phones = [("alice", 440.0), ("bob", 1000.0), ("carol", 600.0), ("dave", 1500.0)].map(|(name, hz)| {
        let phone = world.phone(name, None);
        world.phones[phone.0].sings = Some(hz);
        world.register(phone);
        phone
    });
    (world, phones)
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn transfer(world: &mut World, by: PhoneId, to: &str) {
    let (call, target) = (world.phones[by.0].first_call(), format!("sip:{to}@example.com").parse().unwrap());
    world.command(by, Command::Transfer { call, target });
}

/// A phone's first call is connected with the one whom it calls now.
fn attended(world: &mut World, by: PhoneId, to: &str) {
    let call = world.phones[by.0].first_call();
    let second = world.private_call(by, to);
    world.pass(6 * SECOND);
    let replaces = escaped(&world.phones[by.0].ua.replaces(second).unwrap());
    let target = format!("sip:{to}@example.com?Replaces={replaces}").parse().unwrap();
    world.command(by, Command::Transfer { call, target });
    world.pass(5 * SECOND);
}

/// Alice and Carol talk, each in a half of her own; of some seeds these are of different shards.
fn halves(seed: u64) -> (World, [PhoneId; 4]) {
    let (mut world, phones) = four(seed);
    let [alice, bob, carol, _] = phones;
    world.private_call(alice, "bob");
    world.pass(6 * SECOND);
    attended(&mut world, bob, "carol");
    world.phones[alice.0].must_hear(600.0);
    world.phones[carol.0].must_hear(440.0);
    (world, phones)
}

/// What a phone was told of its last transfer.
fn told(world: &World, phone: PhoneId) -> Option<u16> {
    let code = |event: &Event| if let Event::Transfer { code, .. } = event { Some(*code) } else { None };
    world.phones[phone.0].events.iter().filter_map(code).next_back()
}

fn nothing_is_left(world: &mut World) {
    for phone in 0..world.phones.len() {
        for call in world.phones[phone].ua.calls() {
            world.command(PhoneId(phone), Command::Hangup { call });
        }
    }
    world.pass(240 * SECOND);
    let now = world.now();
    assert!(world.phones.iter().all(|phone| phone.ua.calls().is_empty()), "a phone still has a call");
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
}

const SEEDS: std::ops::Range<u64> = 0..8;

#[test]
fn whose_partner_is_of_another_shard_transfers_it_blind() {
    for seed in SEEDS {
        let (mut world, [alice, bob, carol, _]) = halves(seed);
        transfer(&mut world, carol, "bob");
        world.pass(8 * SECOND);
        assert_eq!(told(&world, carol), Some(200), "{seed}");
        assert!(world.phones[carol.0].ua.calls().is_empty(), "{seed}");
        world.phones[alice.0].must_hear(1000.0);
        world.phones[bob.0].must_hear(440.0);
        // And the other way, once more.
        transfer(&mut world, alice, "carol");
        world.pass(8 * SECOND);
        assert!(world.phones[alice.0].ua.calls().is_empty(), "{seed}");
        world.phones[bob.0].must_hear(600.0);
        world.phones[carol.0].must_hear(1000.0);
        let call = world.phones[bob.0].first_call();
        world.command(bob, Command::Hangup { call });
        world.pass(SECOND);
        assert!(world.phones[carol.0].ua.calls().is_empty(), "{seed}: who is left alone is let go");
        nothing_is_left(&mut world);
    }
}

#[test]
fn such_a_transfer_that_fails_changes_nothing() {
    for seed in SEEDS {
        let (mut world, [alice, bob, carol, _]) = halves(seed);
        world.phones[bob.0].habit = Habit::Refuse(486);
        transfer(&mut world, carol, "bob");
        world.pass(8 * SECOND);
        assert_eq!(told(&world, carol), Some(486), "{seed}");
        world.phones[alice.0].must_hear(600.0);
        world.phones[carol.0].must_hear(440.0);
        // A number of a service takes calls of its own shard.
        transfer(&mut world, carol, "nobody");
        world.pass(3 * SECOND);
        assert_eq!(told(&world, carol), Some(404), "{seed}");
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_transfers_may_go_before_anybody_has_answered() {
    for (seed, answers) in SEEDS.flat_map(|seed| [(seed, true), (seed, false)]) {
        let (mut world, [alice, bob, carol, _]) = halves(seed);
        world.phones[bob.0].habit = if answers { Habit::Answer(10 * SECOND) } else { Habit::Ignore };
        transfer(&mut world, carol, "bob");
        world.pass(SECOND);
        let call = world.phones[carol.0].first_call();
        world.command(carol, Command::Hangup { call });
        world.pass(SECOND / 2);
        let heard = world.phones[alice.0].heard_hz(0.2);
        assert!((heard - 425.0).abs() < 10.0, "{seed}: {heard}");
        world.pass(45 * SECOND);
        if answers {
            world.phones[alice.0].must_hear(1000.0);
            world.phones[bob.0].must_hear(440.0);
        } else {
            assert_eq!(world.phones[alice.0].ends().len(), 1, "{seed}");
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn an_attended_transfer_of_a_partner_in_another_shard_connects_the_two_others() {
    for seed in SEEDS {
        let (mut world, [alice, _, carol, dave]) = halves(seed);
        attended(&mut world, carol, "dave");
        assert_eq!(told(&world, carol), Some(200), "{seed}");
        assert!(world.phones[carol.0].ua.calls().is_empty(), "{seed}");
        world.phones[alice.0].must_hear(1500.0);
        world.phones[dave.0].must_hear(440.0);
        let ends = [alice, dave][(seed % 2) as usize];
        let call = world.phones[ends.0].first_call();
        world.command(ends, Command::Hangup { call });
        world.pass(SECOND);
        assert!(world.phones.iter().all(|phone| phone.ua.calls().is_empty()), "{seed}");
        nothing_is_left(&mut world);
    }
}

fn replacing(world: &mut World, by: PhoneId, replaces: &str, referred_by: &str, to: &str) {
    let mut headers = vec![("Replaces".to_owned(), replaces.to_owned())];
    headers.push(("Require".to_owned(), "replaces".to_owned()));
    headers.extend((!referred_by.is_empty()).then(|| ("Referred-By".to_owned(), referred_by.to_owned())));
    world.call_with(by, to, CallOptions { headers, ..CallOptions::default() });
}

#[test]
fn an_invite_takes_the_place_of_a_phone_whatever_shard_it_comes_to() {
    for (seed, by, status) in
        SEEDS.flat_map(|seed| [(seed, "<sip:bob@example.com>", 200), (seed, "<sip:alice@example.com>", 403)])
    {
        let (mut world, [alice, bob, _, dave]) = four(seed);
        world.private_call(alice, "bob");
        world.pass(6 * SECOND);
        let call = world.phones[bob.0].first_call();
        let replaces = world.phones[bob.0].ua.replaces(call).unwrap();
        replacing(&mut world, dave, &replaces, by, "alice");
        world.pass(6 * SECOND);
        if status == 200 {
            world.phones[alice.0].must_hear(1500.0);
            world.phones[dave.0].must_hear(440.0);
            assert!(world.phones[bob.0].ua.calls().is_empty(), "{seed}");
        } else {
            assert_eq!(world.phones[dave.0].ends()[0].0, status, "{seed}");
            world.phones[alice.0].must_hear(1000.0);
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn an_invite_takes_the_place_of_a_half_whose_partner_is_of_another_shard() {
    for seed in SEEDS {
        let (mut world, [alice, _, carol, dave]) = halves(seed);
        let call = world.phones[carol.0].first_call();
        let replaces = world.phones[carol.0].ua.replaces(call).unwrap();
        replacing(&mut world, dave, &replaces, "<sip:carol@example.com>", "alice");
        world.pass(6 * SECOND);
        world.phones[alice.0].must_hear(1500.0);
        world.phones[dave.0].must_hear(440.0);
        assert!(world.phones[carol.0].ua.calls().is_empty(), "{seed}");
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_dialog_of_phones_or_of_nobody_leads_to_whom_it_is_addressed() {
    for seed in SEEDS {
        let (mut world, [alice, bob, carol, dave]) = four(seed);
        world.call(alice, "bob");
        world.pass(6 * SECOND);
        // Bob's phone knows the dialog; that of Carol does not.
        for (to, phone) in [("carol", carol), ("bob", bob)] {
            replacing(&mut world, dave, "made-up@nowhere;to-tag=1;from-tag=2", "", to);
            world.pass(SECOND);
            let ends = world.phones[dave.0].ends();
            assert!([420, 481].contains(&ends.last().unwrap().0), "{seed} {ends:?}");
            assert!(!world.phones[phone.0].was_answered() || phone == bob, "{seed}");
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_service_gives_its_call_to_nobody_of_another_shard_and_says_so() {
    let mut refused = 0;
    for seed in SEEDS {
        let (mut world, [_, bob, _, dave]) = four(seed);
        let call = world.call(bob, "*43");
        world.pass(4 * SECOND);
        let replaces = world.phones[bob.0].ua.replaces(call).unwrap();
        replacing(&mut world, dave, &replaces, "<sip:bob@example.com>", "*43");
        world.pass(4 * SECOND);
        let (status, why) = world.phones[dave.0].ends()[0].clone();
        if status == 481 && why.starts_with("A service has this call") {
            refused += 1;
            // The call that was meant goes on.
            world.phones[bob.0].must_hear(1000.0);
        }
        nothing_is_left(&mut world);
    }
    assert!(refused > 0, "of some seeds they are of different shards");
}

#[test]
fn what_rings_is_taken_by_another_phone_of_the_account_or_of_its_pickup_group() {
    for (seed, grouped) in SEEDS.flat_map(|seed| [(seed, true), (seed, false)]) {
        let (mut world, [alice, bob, _, dave]) = four(seed);
        if grouped {
            for name in ["bob", "dave"] {
                let (now, pickup_group) = (world.now(), Some("sales".to_owned()));
                world.office.answering(now, name, Answering { pickup_group, ..Answering::default() });
            }
        }
        world.phones[bob.0].habit = Habit::Ignore;
        world.private_call(alice, "bob");
        world.pass(2 * SECOND);
        let ringing = world.phones[bob.0].first_call();
        let replaces = world.phones[bob.0].ua.replaces(ringing).unwrap();
        replacing(&mut world, dave, &replaces, "", "alice");
        world.pass(6 * SECOND);
        if grouped {
            world.phones[alice.0].must_hear(1500.0);
            world.phones[dave.0].must_hear(440.0);
            assert_eq!(world.phones[bob.0].ends()[0].0, 487, "{seed}");
        } else {
            assert_eq!(world.phones[dave.0].ends()[0].0, 403, "{seed}");
        }
        nothing_is_left(&mut world);
    }
}
