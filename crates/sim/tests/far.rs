//! Calls of different shards that come to be one: transfers by phones whose partners are of another shard, and INVITEs that
//! take the place of a dialog of another shard.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::Config;
use offhook_exchange::directory::Answering;
use offhook_exchange::services::{Queue, Strategy};
use offhook_media::tone::analyse;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{CallOptions, Command, Event};

const SECOND: Duration = Duration::from_secs(1);

/// Alice, Bob, Carol and Dave sing 440, 1,000, 600 and 1,500 Hz. Calls that hide are bridged.
fn four(seed: u64) -> (World, [PhoneId; 4]) {
    four_with(seed, |_| {})
}

fn four_with(seed: u64, change: impl FnOnce(&mut Config)) -> (World, [PhoneId; 4]) {
    let mut world = World::new(seed, |config| {
        config.shards = 2;
        change(config);
    });
    let phones = [("alice", 440.0), ("bob", 1000.0), ("carol", 600.0), ("dave", 1500.0)].map(|(name, hz)| {
        let phone = world.phone(name, None);
        world.phones[phone.0].sings = Some(hz);
        world.register(phone);
        phone
    });
    (world, phones)
}

/// Alice and Carol talk, each in a half of her own; of some seeds these are of different shards.
fn halves(seed: u64) -> (World, [PhoneId; 4]) {
    let (mut world, phones) = four(seed);
    let [alice, bob, carol, _] = phones;
    world.private_call(alice, "bob");
    world.pass(6 * SECOND);
    world.attended_transfer(bob, "carol", true);
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
    world.hang_up_all();
    world.nothing_is_left_after(240 * SECOND);
}

const SEEDS: std::ops::Range<u64> = 0..8;

#[test]
fn whose_partner_is_of_another_shard_transfers_it_blind() {
    for seed in SEEDS {
        let (mut world, [alice, bob, carol, _]) = halves(seed);
        world.transfer(carol, "bob");
        world.pass(8 * SECOND);
        assert_eq!(told(&world, carol), Some(200), "{seed}");
        assert!(world.phones[carol.0].ua.calls().is_empty(), "{seed}");
        world.phones[alice.0].must_hear(1000.0);
        world.phones[bob.0].must_hear(440.0);
        // And the other way, once more.
        world.transfer(alice, "carol");
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
        world.transfer(carol, "bob");
        world.pass(8 * SECOND);
        assert_eq!(told(&world, carol), Some(486), "{seed}");
        world.phones[alice.0].must_hear(600.0);
        world.phones[carol.0].must_hear(440.0);
        // A number of a service takes calls of its own shard.
        world.transfer(carol, "nobody");
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
        world.transfer(carol, "bob");
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
        world.attended_transfer(carol, "dave", true);
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

/// Dave takes the place of Bob in his call with a service; of some seeds the INVITE comes to another shard than the call's.
fn takes_bobs_place(world: &mut World, bob: PhoneId, dave: PhoneId, dialled: &str) {
    let call = world.phones[bob.0].first_call();
    let replaces = world.phones[bob.0].ua.replaces(call).unwrap();
    replacing(world, dave, &replaces, "<sip:bob@example.com>", dialled);
    world.pass(6 * SECOND);
    assert!(world.phones[bob.0].ua.calls().is_empty(), "Bob still has his call");
    assert_eq!(world.phones[dave.0].ua.calls().len(), 1, "{:?}", world.phones[dave.0].ends());
}

/// The slot of which a phone was told by a call.
fn told_slot(world: &World, phone: PhoneId) -> String {
    let slot = |event: &Event| match event {
        Event::Incoming { from, .. } => Some(from.to_string().split_once(":7")?.1.get(..2)?.to_owned()),
        _ => None,
    };
    format!("7{}", world.phones[phone.0].events.iter().find_map(slot).unwrap())
}

#[test]
fn who_waits_in_a_slot_gives_its_place_to_a_phone_of_any_shard() {
    for seed in SEEDS {
        let (mut world, [alice, bob, carol, dave]) = four(seed);
        world.private_call(alice, "bob");
        world.pass(6 * SECOND);
        world.transfer(alice, "700");
        world.pass(8 * SECOND);
        let waits = world.phones[bob.0].ua.calls();
        assert_eq!(waits.len(), 1, "{seed}");
        // Each shard has slots of its own.
        let slot = told_slot(&world, alice);
        takes_bobs_place(&mut world, bob, dave, &slot);
        world.call(carol, &slot);
        world.pass(4 * SECOND);
        world.phones[carol.0].must_hear(1500.0);
        world.phones[dave.0].must_hear(600.0);
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_is_in_a_conference_gives_its_place_to_a_phone_of_any_shard() {
    for seed in SEEDS {
        let (mut world, [alice, bob, _, dave]) = four(seed);
        world.call(alice, "3000");
        world.call(bob, "3000");
        world.pass(8 * SECOND);
        world.phones[alice.0].must_hear(1000.0);
        if seed == SEEDS.start {
            world.begin_ladder();
        }
        takes_bobs_place(&mut world, bob, dave, "3000");
        if seed == SEEDS.start {
            compare_with_saved("replaced-in-conference", &world.ladder.draw(&["bob", "exchange", "dave"]));
        }
        world.pass(6 * SECOND);
        world.phones[alice.0].must_hear(1500.0);
        world.phones[dave.0].must_hear(440.0);
        let now = world.now();
        assert_eq!(world.office.conferences(now).len(), 2, "{seed}");
        // It may hold the call and go on, and hang up.
        let call = world.phones[dave.0].first_call();
        world.command(dave, Command::Hold { call });
        world.pass(2 * SECOND);
        world.command(dave, Command::Resume { call });
        world.pass(4 * SECOND);
        world.phones[dave.0].must_hear(440.0);
        world.command(dave, Command::Hangup { call });
        world.pass(2 * SECOND);
        let now = world.now();
        assert_eq!(world.office.conferences(now).len(), 1, "{seed}");
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_waits_in_a_queue_gives_its_place_to_a_phone_of_any_shard() {
    for seed in SEEDS {
        let (mut world, [_, bob, carol, dave]) = four_with(seed, |config| {
            let (number, name, agents) = ("610".to_owned(), "Support".to_owned(), vec!["carol".to_owned()]);
            config.services.queues.push(Queue {
                number,
                name,
                agents,
                log_in: false,
                strategy: Strategy::Sequential,
                rings_for: 8 * SECOND,
                wrap_up: 5 * SECOND,
                pause_after: 0,
                max_waiting: 3,
                max_wait: 120 * SECOND,
                announce: 30 * SECOND,
                then: None,
                hours: None,
                say_refusal: false,
            });
        });
        world.phones[carol.0].habit = Habit::Refuse(486);
        world.call(bob, "610");
        world.pass(6 * SECOND);
        takes_bobs_place(&mut world, bob, dave, "610");
        world.phones[carol.0].habit = Habit::Answer(SECOND);
        world.pass(15 * SECOND);
        world.phones[carol.0].must_hear(1500.0);
        world.phones[dave.0].must_hear(600.0);
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_leaves_a_message_gives_its_place_to_a_phone_of_any_shard() {
    for seed in SEEDS {
        let (mut world, [_, bob, _, dave]) = four(seed);
        world.call(bob, "*97alice");
        world.pass(3 * SECOND);
        takes_bobs_place(&mut world, bob, dave, "*97alice");
        world.pass(20 * SECOND);
        nothing_is_left(&mut world);
        let is_dave = |(sound, rate): &(Vec<i16>, u32)| {
            let heard = analyse(&sound[sound.len() / 2..][..4_000], *rate);
            (heard.dominant_hz - 1500.0).abs() < 10.0
        };
        assert!(world.office.recordings.files.values().any(is_dave), "{seed}");
    }
}

#[test]
fn a_service_that_gives_its_call_to_nobody_lets_the_one_go_who_wants_it() {
    for seed in SEEDS {
        let (mut world, [_, bob, _, dave]) = four(seed);
        let call = world.call(bob, "*43");
        world.pass(4 * SECOND);
        let replaces = world.phones[bob.0].ua.replaces(call).unwrap();
        replacing(&mut world, dave, &replaces, "<sip:bob@example.com>", "*43");
        world.pass(4 * SECOND);
        assert!(world.phones[dave.0].ua.calls().is_empty(), "{seed}");
        // The call that was meant goes on.
        world.phones[bob.0].must_hear(1000.0);
        nothing_is_left(&mut world);
    }
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
