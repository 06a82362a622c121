//! Intercom and paging: phones are asked to answer by themselves, and who may not ask for that is refused.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::Config;
use offhook_exchange::directory::Rights;
use offhook_exchange::services::Page;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);
const TONES: [f32; 3] = [600.0, 900.0, 1300.0];

/// Alice, who may make phones answer, Bob and Carol.
fn world(seed: u64, change: impl FnOnce(&mut Config)) -> (World, [PhoneId; 3]) {
    let mut world = World::new(seed, change);
    let phones = [("alice", "1001"), ("bob", "1002"), ("carol", "1003")].map(|(name, number)| {
        let phone = world.phone(name, Some(number));
        world.register(phone);
        phone
    });
    for (phone, hz) in phones.iter().zip(TONES) {
        world.phones[phone.0].sings = Some(hz);
        world.phones[phone.0].habit = Habit::Answer(Duration::from_millis(100));
    }
    let now = world.now();
    world.office.rights(now, "alice", Rights { intercom: true, ..Rights::default() });
    (world, phones)
}

fn hears(world: &World, phone: PhoneId, hz: f32) -> bool {
    !world.phones[phone.0].heard.is_empty() && (world.phones[phone.0].heard_hz(1.0) - hz).abs() < 10.0
}

fn page(config: &mut Config) {
    let members = ["1001", "1002", "1003", "1009"].map(str::to_owned).to_vec();
    config.services.pages = vec![Page { number: "*81".into(), members }];
}

fn nothing_is_left(world: &mut World) {
    world.pass(90 * SECOND);
    let now = world.now();
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
}

#[test]
fn a_phone_is_asked_to_answer_by_itself_and_both_talk() {
    let (mut world, [alice, bob, _]) = world(1, |_| {});
    world.begin_ladder();
    let call = world.call(alice, "*801002");
    world.pass(6 * SECOND);
    assert!(hears(&world, alice, TONES[1]) && hears(&world, bob, TONES[0]));
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    compare_with_saved("intercom", &world.ladder.draw(&["alice", "exchange", "bob"]));
    assert_eq!(world.phones[bob.0].ends().len(), 1);
    nothing_is_left(&mut world);
}

#[test]
fn all_phones_of_a_page_hear_the_one_who_speaks_and_not_each_other() {
    for (seed, shards) in [(2, 1), (3, 4)] {
        let (mut world, [alice, bob, carol]) = world(seed, |config| {
            config.shards = shards;
            page(config);
        });
        world.begin_ladder();
        let call = world.call(alice, "*81");
        world.pass(7 * SECOND);
        assert!(hears(&world, bob, TONES[0]) && hears(&world, carol, TONES[0]));
        assert!(!hears(&world, alice, TONES[1]) && !hears(&world, alice, TONES[2]), "nobody speaks back");
        world.command(alice, Command::Hangup { call });
        world.pass(2 * SECOND);
        assert_eq!((world.phones[bob.0].ends().len(), world.phones[carol.0].ends().len()), (1, 1));
        if shards == 1 {
            compare_with_saved("page", &world.ladder.draw(&["alice", "exchange", "bob", "carol"]));
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_phone_that_leaves_a_page_leaves_the_others_where_they_are() {
    let (mut world, [alice, bob, carol]) = world(4, page);
    world.call(alice, "*81");
    world.pass(6 * SECOND);
    let leaving = world.phones[bob.0].ua.calls()[0];
    world.command(bob, Command::Hangup { call: leaving });
    world.pass(3 * SECOND);
    assert!(hears(&world, carol, TONES[0]));
    assert!(world.phones[alice.0].ends().is_empty());
}

#[test]
fn who_may_not_make_phones_answer_is_refused_and_nobody_is_called() {
    let (mut world, [alice, bob, carol]) = world(5, page);
    world.call(bob, "*801003");
    world.call(bob, "*81");
    world.call(alice, "*801009");
    world.pass(5 * SECOND);
    let ends = |phone: PhoneId| world.phones[phone.0].ends().iter().map(|end| end.0).collect::<Vec<_>>();
    assert_eq!((ends(bob), ends(alice)), (vec![403, 403], vec![404]));
    assert!(world.phones[carol.0].heard.is_empty());
}
