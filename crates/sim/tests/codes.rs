//! Feature codes: what is dialled to forward one's calls.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::AnchorPolicy;
use offhook_sim::{PhoneId, World, compare_with_saved};
use offhook_ua::{Command, Event};

const SECOND: Duration = Duration::from_secs(1);

fn office() -> (World, [PhoneId; 3]) {
    let mut world = World::new(11, |config| config.anchor = AnchorPolicy::Always);
    let phones = [("alice", "1001"), ("bob", "1002"), ("carol", "1003")];
    let phones = phones.map(|(name, number)| world.phone(name, Some(number)));
    phones.into_iter().for_each(|one| world.register(one));
    world.phones[phones[1].0].sings = Some(200.0);
    world.begin_ladder();
    (world, phones)
}

fn rang(world: &World, phone: PhoneId) -> usize {
    world.phones[phone.0].events.iter().filter(|one| matches!(one, Event::Incoming { .. })).count()
}

/// Dials a code and hears it out; the exchange hangs up.
fn dial(world: &mut World, phone: PhoneId, code: &str) {
    let before = world.phones[phone.0].heard.len();
    world.call(phone, code);
    world.pass(20 * SECOND);
    assert!(world.phones[phone.0].ua.calls().is_empty(), "{code}: the call has not ended");
    assert!(world.phones[phone.0].was_answered(), "{code} was not answered");
    let heard = &world.phones[phone.0].heard[before..];
    let loudest = heard.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
    assert!(loudest > 1000, "{code}: nothing was said");
}

/// Alice calls Bob; returns how often the phones of Bob and Carol ring for that.
fn call_bob(world: &mut World, [alice, bob, carol]: [PhoneId; 3]) -> [usize; 2] {
    let before = [rang(world, bob), rang(world, carol)];
    let call = world.call(alice, "1002");
    world.pass(4 * SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(40 * SECOND);
    [rang(world, bob) - before[0], rang(world, carol) - before[1]]
}

#[test]
fn calls_are_forwarded_by_a_code_and_no_more_by_another() {
    let (mut world, phones) = office();
    dial(&mut world, phones[1], "*21*1003");
    compare_with_saved("feature-code", &world.ladder.draw(&["bob", "exchange"]));
    assert_eq!(call_bob(&mut world, phones), [0, 1]);
    world.kill_and_restart_exchange();
    assert_eq!(call_bob(&mut world, phones), [0, 1], "a restart changes nothing");
    // As a URI writes it.
    dial(&mut world, phones[1], "%2321");
    assert_eq!(call_bob(&mut world, phones), [1, 0]);
    world.pass(240 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn nobody_is_disturbed_after_a_code() {
    let (mut world, phones) = office();
    dial(&mut world, phones[1], "*26");
    assert_eq!(call_bob(&mut world, phones), [0, 0]);
    dial(&mut world, phones[1], "*67*1003%23");
    assert_eq!(call_bob(&mut world, phones), [0, 1], "who wants no calls is busy");
    dial(&mut world, phones[1], "%2326");
    assert_eq!(call_bob(&mut world, phones), [1, 0]);
}

#[test]
fn what_is_no_code_is_nobody() {
    let (mut world, phones) = office();
    for (nth, dialled) in ["*21", "*21*", "*2", "%23", "%2399", "*21*%23x"].into_iter().enumerate() {
        world.call(phones[1], dialled);
        world.pass(SECOND);
        let ends = world.phones[phones[1].0].ends();
        assert_eq!((ends.len(), ends.last().unwrap().0), (nth + 1, 404), "{dialled}");
    }
    assert_eq!(call_bob(&mut world, phones), [1, 0]);
}
