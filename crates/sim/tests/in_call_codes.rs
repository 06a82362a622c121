//! Codes that are pressed in calls between two phones, which the exchange hears where that is wanted.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::Config;
use offhook_exchange::directory::{Record, Rights};
use offhook_exchange::event::Event as Told;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{Command, Event};

const SECOND: Duration = Duration::from_secs(1);
const HZ: [f32; 4] = [440.0, 1000.0, 600.0, 800.0];

/// Alice, Bob, Carol and Dora sing; their numbers are 1001 to 1004. Alice talks with Bob.
fn talking(seed: u64, change: impl FnOnce(&mut Config)) -> (World, [PhoneId; 4]) {
    let mut world = World::new(seed, |config| {
        config.services.codes_in_all_calls = true;
        change(config);
    });
    let all = [("alice", "1001"), ("bob", "1002"), ("carol", "1003"), ("dora", "1004")];
    let phones = world.singers(all, HZ);
    world.begin_ladder();
    world.call(phones[0], "1002");
    world.pass(5 * SECOND);
    (world, phones)
}

/// A phone tells of a key by INFO, of which the user agent here knows only how to receive it.
fn press_by_info(world: &mut World, phone: PhoneId, key: char, number: u32) {
    let call = world.phones[phone.0].first_call();
    let dialog = world.phones[phone.0].ua.replaces(call).unwrap();
    let call_id = dialog.split(';').next().unwrap();
    let tag = |name: &str| dialog.split(';').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
    let (from, to) = (tag("from-tag="), tag("to-tag="));
    let body = format!("Signal={key}\r\nDuration=100\r\n");
    let at = world.phones[phone.0].address;
    let text = format!(
        "INFO sip:{} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKinfo{number};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:x@example.com>;tag={from}\r\nTo: <sip:y@example.com>;tag={to}\r\nCall-ID: {call_id}\r\n\
         CSeq: {number} INFO\r\nContent-Type: application/dtmf-relay\r\nContent-Length: {}\r\n\r\n{body}",
        world.office.address,
        body.len()
    );
    world.forge(phone, text.into());
}

fn keys(world: &World, phone: PhoneId) -> String {
    let key = |event: &Event| if let Event::Digit { digit, .. } = event { Some(*digit) } else { None };
    world.phones[phone.0].events.iter().filter_map(key).collect()
}

fn hears(world: &World, phone: PhoneId, other: PhoneId) {
    world.phones[phone.0].must_hear(HZ[other.0]);
}

fn nothing_is_left(world: &mut World) {
    world.hang_up_all();
    world.nothing_is_left_after(240 * SECOND);
}

#[test]
fn either_party_of_a_call_transfers_the_other_by_keys() {
    for by in [0, 1] {
        let (mut world, phones) = talking(1, |_| {});
        let (goes, stays, carol) = (phones[by], phones[1 - by], phones[2]);
        world.press(goes, "*21003#");
        world.pass(9 * SECOND);
        let name = ["key-transfer-by-caller", "key-transfer-by-callee"][by];
        compare_with_saved(name, &world.ladder.draw(&["alice", "exchange", "bob", "carol"]));
        assert!(world.phones[goes.0].ua.calls().is_empty(), "who transfers is let go");
        hears(&world, stays, carol);
        hears(&world, carol, stays);
        // In a call that has ends of ours now, once more.
        world.press(carol, "*21004#");
        world.pass(9 * SECOND);
        hears(&world, stays, phones[3]);
        hears(&world, phones[3], stays);
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_transfer_to_somebody_busy_comes_back() {
    for by in [0, 1] {
        let (mut world, phones) = talking(2, |_| {});
        let (goes, stays) = (phones[by], phones[1 - by]);
        world.phones[phones[2].0].habit = Habit::Refuse(486);
        world.press(goes, "*21003#");
        world.pass(12 * SECOND);
        if by == 0 {
            let ladder = world.ladder.draw(&["alice", "exchange", "bob", "carol"]);
            compare_with_saved("key-transfer-comes-back", &ladder);
        }
        hears(&world, stays, goes);
        hears(&world, goes, stays);
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_transfer_to_oneself_or_to_the_one_who_is_transferred_ends_in_a_defined_state() {
    for to in ["1001", "1002"] {
        let (mut world, [alice, bob, ..]) = talking(3, |_| {});
        world.press(alice, &format!("*2{to}#"));
        world.pass(12 * SECOND);
        let partner = if to == "1001" { alice } else { bob };
        let calls = world.phones[partner.0].ua.calls().len();
        assert_eq!(calls, if to == "1001" { 1 } else { 2 }, "{to}");
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_third_party_comes_to_a_call_and_any_two_go_on() {
    for by in [0, 1] {
        let (mut world, phones) = talking(4, |_| {});
        let [alice, bob, carol, dora] = phones;
        // Who is silent is not in the way of what is heard of others.
        world.phones[phones[1 - by].0].sings = Some(0.0);
        world.press(phones[by], "*41003#");
        world.pass(9 * SECOND);
        if by == 0 {
            let ladder = world.ladder.draw(&["alice", "exchange", "bob", "carol"]);
            compare_with_saved("key-third-party", &ladder);
        }
        hears(&world, phones[by], carol);
        hears(&world, carol, phones[by]);
        // The one who is called adds another, and each of the first two may go.
        world.press(phones[1 - by], "*41004#");
        world.pass(9 * SECOND);
        world.hang_up(carol);
        hears(&world, phones[by], dora);
        hears(&world, dora, phones[by]);
        world.hang_up(alice);
        world.hang_up(bob);
        assert!(world.phones[dora.0].ua.calls().is_empty(), "who is alone is done");
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_was_to_come_and_does_not_changes_nothing() {
    let (mut world, [alice, bob, carol, _]) = talking(5, |_| {});
    world.phones[carol.0].habit = Habit::Refuse(486);
    world.press(alice, "*41003#");
    world.pass(9 * SECOND);
    hears(&world, alice, bob);
    hears(&world, bob, alice);
    // Nor one who answers when the call is over.
    world.phones[carol.0].habit = Habit::Answer(10 * SECOND);
    world.press(bob, "*41003#");
    world.pass(4 * SECOND);
    world.hang_up(alice);
    world.pass(20 * SECOND);
    assert!(world.phones[carol.0].ua.calls().is_empty());
    nothing_is_left(&mut world);
}

#[test]
fn a_call_moves_to_the_phone_that_fetches_it() {
    let mut world = World::new(6, |config| config.services.codes_in_all_calls = true);
    let alice = world.phone("alice", Some("1001"));
    let bob = world.phone("bob", Some("1002"));
    let desk = world.another_phone_of(bob, "desk");
    for (phone, hz) in [(alice, 440.0), (bob, 1000.0), (desk, 600.0)] {
        world.phones[phone.0].sings = Some(hz);
    }
    world.register(alice);
    world.register(bob);
    world.call(alice, "1002");
    world.pass(5 * SECOND);
    world.register(desk);
    world.call(desk, "*71");
    world.pass(5 * SECOND);
    world.phones[alice.0].must_hear(600.0);
    world.phones[desk.0].must_hear(440.0);
    assert!(world.phones[bob.0].ua.calls().is_empty(), "the first phone is done");
    nothing_is_left(&mut world);
}

#[test]
fn the_keys_of_recordings_work_as_in_other_calls_also_by_info() {
    let (mut world, [alice, bob, ..]) = talking(7, |_| {});
    let now = world.now();
    world.office.rights(now, "bob", Rights { record: Record::OnDemand, ..Rights::default() });
    world.hang_up(alice);
    world.call(alice, "1002");
    world.pass(5 * SECOND);
    world.press(alice, "*1");
    world.pass(3 * SECOND);
    let told = |world: &World| {
        world.office.events.iter().filter(|event| matches!(event, Told::Recording { .. })).count()
    };
    assert_eq!(told(&world), 0, "Alice may not");
    world.press(bob, "*1");
    world.pass(4 * SECOND);
    assert_eq!(told(&world), 1);
    for (key, number) in [('*', 2001), ('1', 2002)] {
        press_by_info(&mut world, bob, key, number);
        world.pass(SECOND);
    }
    let files = world.office.recordings.files.values().map(|(samples, rate)| samples.len() as u32 / rate);
    let seconds: Vec<u32> = files.collect();
    assert!(matches!(seconds[..], [3..=6]), "{seconds:?}");
    world.hang_up(alice);
    nothing_is_left(&mut world);
}

#[test]
fn what_is_no_code_reaches_the_other_side_once_and_changes_nothing() {
    let (mut world, [alice, bob, ..]) = talking(8, |_| {});
    world.press(alice, "*5*2#*244*");
    world.pass(8 * SECOND);
    assert_eq!(keys(&world, bob), "*5*2#*244*");
    world.press(bob, "#7");
    for (key, number) in [('8', 2001), ('*', 2002)] {
        press_by_info(&mut world, alice, key, number);
        world.pass(SECOND);
    }
    world.pass(3 * SECOND);
    assert_eq!((keys(&world, alice), keys(&world, bob)), ("#7".into(), "*5*2#*244*8*".into()));
    hears(&world, alice, bob);
    hears(&world, bob, alice);
    nothing_is_left(&mut world);
}

#[test]
fn keys_of_a_machine_by_info_are_a_code_too() {
    let (mut world, [alice, bob, carol, _]) = talking(9, |_| {});
    for (number, key) in "*21003#".chars().enumerate() {
        press_by_info(&mut world, alice, key, 2000 + number as u32);
    }
    world.pass(9 * SECOND);
    hears(&world, bob, carol);
    hears(&world, carol, bob);
    assert!(world.phones[alice.0].ua.calls().is_empty());
    nothing_is_left(&mut world);
}

#[test]
fn both_may_press_at_once() {
    // Of two transfers the first counts: whom it has let go does not transfer.
    let (mut world, [alice, bob, carol, dora]) = talking(10, |_| {});
    world.press(alice, "*21003#");
    world.press(bob, "*21004#");
    world.pass(12 * SECOND);
    let up = [alice, bob, carol, dora].map(|phone| world.phones[phone.0].ua.calls().len());
    assert!(up == [0, 1, 1, 0] || up == [1, 0, 0, 1], "{up:?}");
    nothing_is_left(&mut world);
    // Of two who bring somebody, both do.
    let (mut world, [alice, bob, carol, dora]) = talking(11, |_| {});
    world.press(alice, "*41003#");
    world.press(bob, "*41004#");
    world.pass(12 * SECOND);
    for (one, silent) in [(carol, [alice, bob, dora]), (dora, [alice, bob, carol])] {
        silent.iter().for_each(|phone| world.phones[phone.0].sings = Some(0.0));
        world.phones[one.0].sings = Some(HZ[one.0]);
        world.pass(4 * SECOND);
        silent.iter().for_each(|phone| hears(&world, *phone, one));
    }
    nothing_is_left(&mut world);
}

#[test]
fn who_hangs_up_in_the_middle_of_a_code_leaves_nothing() {
    for by in [0, 1] {
        for code in ["*2100", "*410"] {
            let (mut world, phones) = talking(12, |_| {});
            world.press(phones[by], code);
            world.pass(SECOND);
            world.hang_up(phones[by]);
            world.pass(5 * SECOND);
            assert!(world.phones[phones[1 - by].0].ua.calls().is_empty(), "{code}");
            nothing_is_left(&mut world);
        }
    }
}

#[test]
fn without_the_setting_calls_stay_forwarded_and_keys_the_phones_own() {
    let (mut world, [alice, bob, carol, _]) =
        talking(13, |config| config.services.codes_in_all_calls = false);
    world.press(alice, "*21003#");
    world.pass(9 * SECOND);
    assert_eq!(keys(&world, bob), "*21003#");
    hears(&world, alice, bob);
    assert!(world.phones[carol.0].ua.calls().is_empty());
    nothing_is_left(&mut world);
}

#[test]
fn members_of_a_group_may_press_codes_too() {
    use offhook_exchange::services::{Group, Strategy};
    let group = Group {
        number: "600".into(),
        name: "Sales".into(),
        members: vec!["bob".into()],
        strategy: Strategy::All,
        rings_for: 20 * SECOND,
        then: None,
        skip_busy: true,
        follow_forwards: false,
        hours: None,
    };
    let (mut world, [alice, bob, carol, _]) = talking(14, |config| config.services.groups = vec![group]);
    world.hang_up(alice);
    world.call(alice, "600");
    world.pass(5 * SECOND);
    hears(&world, alice, bob);
    world.press(bob, "*21003#");
    world.pass(9 * SECOND);
    hears(&world, alice, carol);
    hears(&world, carol, alice);
    nothing_is_left(&mut world);
}

#[test]
fn a_leg_that_is_of_another_call_by_now_keeps_its_session_alive() {
    let (mut world, [alice, bob, carol, _]) = talking(15, |_| {});
    world.phones[alice.0].sings = Some(0.0);
    world.press(alice, "*41003#");
    world.pass(9 * SECOND);
    // On hold nothing is heard, and so nothing but its timer keeps a session up: it is refreshed after half of its interval (RFC 4028 §10).
    let all = [alice, bob, carol];
    let hold = |world: &mut World, command: fn(offhook_ua::CallId) -> Command| {
        for phone in all {
            let call = world.phones[phone.0].first_call();
            world.command(phone, command(call));
            world.pass(SECOND);
        }
    };
    hold(&mut world, |call| Command::Hold { call });
    world.begin_ladder();
    world.pass(950 * SECOND);
    let ladder = world.ladder.draw(&["exchange", "bob"]);
    assert!(ladder.contains("UPDATE") || ladder.contains("INVITE"), "{ladder}");
    hold(&mut world, |call| Command::Resume { call });
    world.pass(4 * SECOND);
    hears(&world, bob, carol);
    hears(&world, carol, bob);
    world.hang_up(alice);
    hears(&world, bob, carol);
    // Until registrations have been refreshed.
    world.pass(100 * SECOND);
    nothing_is_left(&mut world);
}

/// Alice or Bob asks Carol, whose habit this is, and the other one waits.
fn asking(seed: u64, by: usize, habit: Habit) -> (World, [PhoneId; 3]) {
    let (mut world, phones) = talking(seed, |_| {});
    world.phones[phones[2].0].habit = habit;
    world.press(phones[by], "*61003#");
    world.pass(9 * SECOND);
    (world, [phones[by], phones[1 - by], phones[2]])
}

#[test]
fn who_hangs_up_after_a_question_leaves_the_two_others_to_talk() {
    for by in [0, 1] {
        let (mut world, [asks, waits, carol]) = asking(16, by, Habit::Answer(SECOND));
        hears(&world, asks, carol);
        hears(&world, carol, asks);
        world.hang_up(asks);
        world.pass(3 * SECOND);
        if by == 0 {
            let ladder = world.ladder.draw(&["alice", "exchange", "bob", "carol"]);
            compare_with_saved("key-attended-transfer", &ladder);
        }
        assert!(world.phones[asks.0].ua.calls().is_empty());
        hears(&world, waits, carol);
        hears(&world, carol, waits);
        nothing_is_left(&mut world);
    }
}

#[test]
fn all_is_as_it_was_when_nobody_is_there_to_be_asked_or_the_question_is_over() {
    for by in [0, 1] {
        for end in ["refuses", "hangs up", "*6#"] {
            let habit = if end == "refuses" { Habit::Refuse(486) } else { Habit::Answer(SECOND) };
            let (mut world, [asks, waits, carol]) = asking(17, by, habit);
            match end {
                "hangs up" => world.hang_up(carol),
                "*6#" => world.press(asks, end),
                _ => {}
            }
            world.pass(6 * SECOND);
            assert!(world.phones[carol.0].ua.calls().is_empty(), "{end}");
            hears(&world, asks, waits);
            hears(&world, waits, asks);
            nothing_is_left(&mut world);
        }
    }
}

#[test]
fn who_asks_or_waits_may_go_before_an_answer() {
    // Who asks goes: it was a transfer, which comes back if it fails.
    let (mut world, [alice, bob, carol]) = asking(18, 0, Habit::Answer(20 * SECOND));
    world.hang_up(alice);
    assert!(!world.phones[bob.0].ua.calls().is_empty(), "who waits goes on waiting");
    world.pass(15 * SECOND);
    hears(&world, bob, carol);
    hears(&world, carol, bob);
    nothing_is_left(&mut world);
    let (mut world, [alice, bob, carol]) = asking(19, 0, Habit::Ignore);
    world.hang_up(alice);
    world.pass(40 * SECOND);
    assert!(world.phones[carol.0].ua.calls().is_empty());
    hears(&world, bob, alice);
    hears(&world, alice, bob);
    nothing_is_left(&mut world);
    // Who waits goes: the others talk, as soon as they can.
    for habit in [Habit::Answer(SECOND), Habit::Answer(20 * SECOND)] {
        let (mut world, [alice, bob, carol]) = asking(20, 0, habit);
        world.hang_up(bob);
        world.pass(15 * SECOND);
        hears(&world, alice, carol);
        hears(&world, carol, alice);
        world.hang_up(carol);
        assert!(world.phones[alice.0].ua.calls().is_empty(), "it is a call of two");
        nothing_is_left(&mut world);
    }
    // Both go.
    let (mut world, [alice, bob, carol]) = asking(21, 0, Habit::Answer(20 * SECOND));
    world.hang_up(bob);
    world.hang_up(alice);
    world.pass(20 * SECOND);
    assert!(world.phones[carol.0].ua.calls().is_empty());
    nothing_is_left(&mut world);
}
