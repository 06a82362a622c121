//! Transfers in calls that have legs of ours (RFC 5589): who is transferred need not know what a transfer is.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, Command, Event};

const SECOND: Duration = Duration::from_secs(1);
const ALL: [&str; 4] = ["alice", "exchange", "bob", "carol"];

/// Alice, Bob and Carol sing 440, 1,000 and 600 Hz. Alice's calls are bridged: she hides where she is.
fn three(seed: u64) -> (World, [PhoneId; 3]) {
    let mut world = World::new(seed, |_| {});
    let phones = [("alice", 440.0), ("bob", 1000.0), ("carol", 600.0)].map(|(name, hz)| {
        let phone = world.phone(name, None);
        world.phones[phone.0].sings = Some(hz);
        world.register(phone);
        phone
    });
    world.begin_ladder();
    (world, phones)
}

fn hears(world: &World, who: PhoneId, hz: f32) {
    let heard = world.phones[who.0].heard_hz(2.0);
    assert!((heard - hz).abs() < 10.0, "{} hears {heard} Hz, not {hz}", world.phones[who.0].name);
}

fn theirs(world: &World, phone: PhoneId) -> CallId {
    world.phones[phone.0].ua.calls()[0]
}

fn transfer(world: &mut World, by: PhoneId, to: &str) {
    let (call, target) = (theirs(world, by), format!("sip:{to}@example.com").parse().unwrap());
    world.command(by, Command::Transfer { call, target });
}

/// What a phone was told of its transfer.
fn told(world: &World, phone: PhoneId) -> Vec<u16> {
    let code = |event: &Event| if let Event::Transfer { code, .. } = event { Some(*code) } else { None };
    world.phones[phone.0].events.iter().filter_map(code).collect()
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

#[test]
fn either_party_transfers_the_other_blind() {
    for by in [0, 1] {
        let (mut world, phones) = three(1);
        let [alice, bob, carol] = phones;
        world.private_call(alice, "bob");
        world.pass(6 * SECOND);
        let (goes, stays, hz) = [(alice, bob, 1000.0), (bob, alice, 440.0)][by];
        transfer(&mut world, goes, "carol");
        world.pass(8 * SECOND);
        compare_with_saved(["transfer-by-caller", "transfer-by-callee"][by], &world.ladder.draw(&ALL));
        assert_eq!(told(&world, goes), [202, 100, 180, 200]);
        assert!(world.phones[goes.0].ua.calls().is_empty());
        hears(&world, stays, 600.0);
        hears(&world, carol, hz);
        // And once more, in a call that has no other legs.
        transfer(&mut world, carol, ["alice", "bob"][by]);
        world.pass(8 * SECOND);
        hears(&world, stays, [440.0, 1000.0][by]);
        hears(&world, goes, hz);
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_hangs_up_at_once_leaves_the_other_with_a_tone_until_somebody_answers() {
    for by in [0, 1] {
        let (mut world, phones) = three(2);
        let [alice, bob, carol] = phones;
        world.phones[carol.0].habit = Habit::Answer(10 * SECOND);
        world.private_call(alice, "bob");
        world.pass(6 * SECOND);
        let (goes, stays, hz) = [(alice, bob, 1000.0), (bob, alice, 440.0)][by];
        transfer(&mut world, goes, "carol");
        world.pass(SECOND);
        let call = theirs(&world, goes);
        world.command(goes, Command::Hangup { call });
        world.pass(SECOND / 2);
        let heard = world.phones[stays.0].heard_hz(0.2);
        assert!((heard - 425.0).abs() < 10.0, "{heard}");
        world.pass(15 * SECOND);
        hears(&world, stays, 600.0);
        hears(&world, carol, hz);
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_transfer_that_fails_leaves_the_call_as_it_was() {
    for (habit, to, code) in
        [(Habit::Refuse(486), "carol", 486), (Habit::Ignore, "carol", 408), (Habit::Ignore, "nobody", 404)]
    {
        let (mut world, phones) = three(3);
        let [alice, bob, carol] = phones;
        world.phones[carol.0].habit = habit;
        world.private_call(alice, "bob");
        world.pass(6 * SECOND);
        transfer(&mut world, bob, to);
        world.pass(40 * SECOND);
        assert_eq!(told(&world, bob).last(), Some(&code), "{to}");
        hears(&world, alice, 1000.0);
        hears(&world, bob, 440.0);
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_transfer_that_fails_when_the_phone_has_gone_ends_the_call() {
    let (mut world, phones) = three(4);
    let [alice, bob, carol] = phones;
    world.phones[carol.0].habit = Habit::Ignore;
    world.private_call(alice, "bob");
    world.pass(6 * SECOND);
    transfer(&mut world, bob, "carol");
    world.pass(SECOND);
    let call = theirs(&world, bob);
    world.command(bob, Command::Hangup { call });
    world.pass(45 * SECOND);
    assert_eq!(world.phones[alice.0].ends(), [(200, "The transfer has failed".to_owned())]);
    nothing_is_left(&mut world);
}

#[test]
fn the_one_who_is_transferred_may_hang_up_meanwhile() {
    let (mut world, phones) = three(5);
    let [alice, bob, carol] = phones;
    world.phones[carol.0].habit = Habit::Ignore;
    let placed = world.private_call(alice, "bob");
    world.pass(6 * SECOND);
    transfer(&mut world, bob, "carol");
    world.pass(SECOND);
    world.command(alice, Command::Hangup { call: placed });
    world.pass(5 * SECOND);
    assert!(world.phones.iter().all(|phone| phone.ua.calls().is_empty()));
    assert_eq!(world.phones[carol.0].ends()[0].0, 487);
    nothing_is_left(&mut world);
}

#[test]
fn an_attended_transfer_connects_the_two_others() {
    for by in [0, 1] {
        let (mut world, phones) = three(6);
        let [alice, bob, carol] = phones;
        world.private_call(alice, "bob");
        world.pass(6 * SECOND);
        let (goes, stays, hz) = [(alice, bob, 1000.0), (bob, alice, 440.0)][by];
        let call = theirs(&world, goes);
        world.command(goes, Command::Hold { call });
        world.pass(SECOND);
        let second = world.private_call(goes, "carol");
        world.pass(6 * SECOND);
        hears(&world, carol, [440.0, 1000.0][by]);
        let replaces = world.phones[goes.0].ua.replaces(second).unwrap();
        let replaces: String = replaces.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let target = format!("sip:carol@example.com?Replaces={replaces}").parse().unwrap();
        world.command(goes, Command::Transfer { call, target });
        world.pass(5 * SECOND);
        assert_eq!(told(&world, goes), [202, 100, 200]);
        assert!(world.phones[goes.0].ua.calls().is_empty(), "{by}");
        hears(&world, stays, 600.0);
        hears(&world, carol, hz);
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_transfer_to_the_echo_test_or_to_oneself_ends_in_a_defined_state() {
    let (mut world, phones) = three(7);
    let [alice, bob, _] = phones;
    world.private_call(alice, "bob");
    world.pass(6 * SECOND);
    transfer(&mut world, bob, "bob");
    world.pass(8 * SECOND);
    assert!(!told(&world, bob).is_empty());
    nothing_is_left(&mut world);
    assert!(world.phones[alice.0].was_answered());
}

/// Calls made here are heard by the exchange: Alice and Bob, connected by a click.
fn connected(seed: u64) -> (World, [PhoneId; 3]) {
    let (mut world, phones) = three(seed);
    let alice = offhook_exchange::directory::AddressOfRecord::new("alice", "example.com");
    world.ask_exchange(&offhook_exchange::command::Command::Connect(alice, "bob".into()));
    world.pass(8 * SECOND);
    (world, phones)
}

#[test]
fn keys_transfer_the_other_where_a_phone_has_no_key_for_it() {
    for (by, to) in [(0, "carol"), (1, "carol"), (0, "*43")] {
        let (mut world, phones) = connected(8);
        let [alice, bob, carol] = phones;
        let (goes, stays, hz) = [(alice, bob, 1000.0), (bob, alice, 440.0)][by];
        let call = theirs(&world, goes);
        // A name has no keys: Carol's number is dialled.
        let now = world.now();
        world.office.number(now, "carol", "1003");
        let digits = format!("*2{}#", if to == "carol" { "1003" } else { "*43" });
        world.command(goes, Command::Dtmf { call, digits });
        world.pass(14 * SECOND);
        match to {
            "carol" => {
                assert!(world.phones[goes.0].ua.calls().is_empty(), "who transfers is let go");
                hears(&world, stays, 600.0);
                hears(&world, carol, hz);
            }
            _ => {
                // The echo test is no place to be transferred to: it comes back.
                hears(&world, stays, [440.0, 1000.0][by]);
            }
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn what_is_no_transfer_stays_a_key() {
    let (mut world, [alice, bob, _]) = connected(9);
    let call = theirs(&world, alice);
    world.command(alice, Command::Dtmf { call, digits: "*1*2#*244".into() });
    world.pass(10 * SECOND);
    hears(&world, alice, 1000.0);
    hears(&world, bob, 440.0);
    nothing_is_left(&mut world);
}
