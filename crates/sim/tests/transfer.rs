//! Transfers in calls that have legs of ours (RFC 5589): who is transferred need not know what a transfer is.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{Command, Event};

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

/// What a phone was told of its transfer.
fn told(world: &World, phone: PhoneId) -> Vec<u16> {
    let code = |event: &Event| if let Event::Transfer { code, .. } = event { Some(*code) } else { None };
    world.phones[phone.0].events.iter().filter_map(code).collect()
}

fn nothing_is_left(world: &mut World) {
    world.hang_up_all();
    world.nothing_is_left_after(240 * SECOND);
}

#[test]
fn either_party_transfers_the_other_blind() {
    for by in [0, 1] {
        let (mut world, phones) = three(1);
        let [alice, bob, carol] = phones;
        world.private_call(alice, "bob");
        world.pass(6 * SECOND);
        let (goes, stays, hz) = [(alice, bob, 1000.0), (bob, alice, 440.0)][by];
        world.transfer(goes, "carol");
        world.pass(8 * SECOND);
        compare_with_saved(["transfer-by-caller", "transfer-by-callee"][by], &world.ladder.draw(&ALL));
        assert_eq!(told(&world, goes), [202, 100, 180, 200]);
        assert!(world.phones[goes.0].ua.calls().is_empty());
        world.phones[stays.0].must_hear(600.0);
        world.phones[carol.0].must_hear(hz);
        // And once more, in a call that has no other legs.
        world.transfer(carol, ["alice", "bob"][by]);
        world.pass(8 * SECOND);
        world.phones[stays.0].must_hear([440.0, 1000.0][by]);
        world.phones[goes.0].must_hear(hz);
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
        world.transfer(goes, "carol");
        world.pass(SECOND);
        let call = world.phones[goes.0].first_call();
        world.command(goes, Command::Hangup { call });
        world.pass(SECOND / 2);
        let heard = world.phones[stays.0].heard_hz(0.2);
        assert!((heard - 425.0).abs() < 10.0, "{heard}");
        world.pass(15 * SECOND);
        world.phones[stays.0].must_hear(600.0);
        world.phones[carol.0].must_hear(hz);
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
        world.transfer(bob, to);
        world.pass(40 * SECOND);
        assert_eq!(told(&world, bob).last(), Some(&code), "{to}");
        world.phones[alice.0].must_hear(1000.0);
        world.phones[bob.0].must_hear(440.0);
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
    world.transfer(bob, "carol");
    world.pass(SECOND);
    let call = world.phones[bob.0].first_call();
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
    world.transfer(bob, "carol");
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
        let call = world.phones[goes.0].first_call();
        world.command(goes, Command::Hold { call });
        world.pass(SECOND);
        let second = world.private_call(goes, "carol");
        world.pass(6 * SECOND);
        world.phones[carol.0].must_hear([440.0, 1000.0][by]);
        world.begin_ladder();
        world.refer_to_partner(goes, call, second, "carol");
        world.pass(5 * SECOND);
        let name = ["attended-transfer-by-caller", "attended-transfer-by-callee"][by];
        compare_with_saved(name, &world.ladder.draw(&ALL));
        assert_eq!(told(&world, goes), [202, 100, 200]);
        assert!(world.phones[goes.0].ua.calls().is_empty(), "{by}");
        world.phones[stays.0].must_hear(600.0);
        world.phones[carol.0].must_hear(hz);
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_transfer_to_the_echo_test_or_to_oneself_ends_in_a_defined_state() {
    let (mut world, phones) = three(7);
    let [alice, bob, _] = phones;
    world.private_call(alice, "bob");
    world.pass(6 * SECOND);
    world.transfer(bob, "bob");
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
        let call = world.phones[goes.0].first_call();
        // A name has no keys: Carol's number is dialled.
        let now = world.now();
        world.office.number(now, "carol", "1003");
        let digits = format!("*2{}#", if to == "carol" { "1003" } else { "*43" });
        world.command(goes, Command::Dtmf { call, digits });
        world.pass(14 * SECOND);
        match to {
            "carol" => {
                assert!(world.phones[goes.0].ua.calls().is_empty(), "who transfers is let go");
                world.phones[stays.0].must_hear(600.0);
                world.phones[carol.0].must_hear(hz);
            }
            _ => {
                // The echo test is no place to be transferred to: it comes back.
                world.phones[stays.0].must_hear([440.0, 1000.0][by]);
            }
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn what_is_no_transfer_stays_a_key() {
    let (mut world, [alice, bob, _]) = connected(9);
    let call = world.phones[alice.0].first_call();
    world.command(alice, Command::Dtmf { call, digits: "*1*2#*244".into() });
    world.pass(10 * SECOND);
    world.phones[alice.0].must_hear(1000.0);
    world.phones[bob.0].must_hear(440.0);
    nothing_is_left(&mut world);
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn attended_transfers_connect_calls_of_different_shards() {
    for seed in 30..38 {
        let mut world = World::new(seed, |config| config.shards = 3);
        let [alice, bob, carol] = [("alice", 440.0), ("bob", 1000.0), ("carol", 600.0)].map(|(name, hz)| {
            let phone = world.phone(name, None);
            world.phones[phone.0].sings = Some(hz);
            world.register(phone);
            phone
        });
        world.private_call(alice, "bob");
        world.pass(6 * SECOND);
        let call = world.phones[bob.0].first_call();
        let second = world.private_call(bob, "carol");
        world.pass(6 * SECOND);
        let replaces = escaped(&world.phones[bob.0].ua.replaces(second).unwrap());
        let target = format!("sip:carol@example.com?Replaces={replaces}").parse().unwrap();
        world.command(bob, Command::Transfer { call, target });
        world.pass(5 * SECOND);
        assert_eq!(told(&world, bob), [202, 100, 200], "{seed}");
        assert!(world.phones[bob.0].ua.calls().is_empty(), "{seed}");
        world.phones[alice.0].must_hear(600.0);
        world.phones[carol.0].must_hear(440.0);
        let (ends, stays) = if seed % 2 == 0 { (alice, carol) } else { (carol, alice) };
        let call = world.phones[ends.0].first_call();
        world.command(ends, Command::Hangup { call });
        world.pass(SECOND);
        assert!(world.phones[stays.0].ua.calls().is_empty(), "{seed}");
        nothing_is_left(&mut world);
    }
}

#[test]
fn an_invite_takes_the_place_of_a_phone_on_whose_behalf_it_comes() {
    // Alice's call with Bob is forwarded, so she follows his REFER herself; his call with Carol has legs of ours.
    for (by, status) in [("<sip:bob@example.com>", 200), ("<sip:carol@example.com>", 403), ("", 403)] {
        let (mut world, [alice, bob, carol]) = three(10);
        world.call(alice, "bob");
        world.pass(6 * SECOND);
        let second = world.private_call(bob, "carol");
        world.pass(6 * SECOND);
        let replaces = world.phones[bob.0].ua.replaces(second).unwrap();
        let mut headers =
            vec![("Replaces".to_owned(), replaces), ("Require".to_owned(), "replaces".to_owned())];
        headers.extend((!by.is_empty()).then(|| ("Referred-By".to_owned(), by.to_owned())));
        world.call_with(alice, "carol", offhook_ua::CallOptions { headers, ..Default::default() });
        world.pass(5 * SECOND);
        if status == 200 {
            world.phones[carol.0].must_hear(440.0);
            assert!(!world.phones[bob.0].ua.calls().contains(&second), "his leg is over");
        } else {
            assert_eq!(world.phones[alice.0].ends()[0].0, status, "{by}");
            world.phones[carol.0].must_hear(1000.0);
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_dialog_that_is_made_up_is_nobodys() {
    let (mut world, [alice, bob, _]) = three(11);
    world.private_call(alice, "bob");
    world.pass(6 * SECOND);
    let call = world.phones[bob.0].first_call();
    let target = format!("sip:carol@example.com?Replaces={}", escaped("x@y;to-tag=1;from-tag=2"));
    world.command(bob, Command::Transfer { call, target: target.parse().unwrap() });
    world.pass(8 * SECOND);
    // Whom it has named is called all the same.
    assert_eq!(told(&world, bob).last(), Some(&200));
    world.phones[alice.0].must_hear(600.0);
    nothing_is_left(&mut world);
}
