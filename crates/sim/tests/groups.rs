//! Ring groups: one number for several accounts (RFC 5359 §2.12 has the case of two).
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use offhook_exchange::config::{AnchorPolicy, Config};
use offhook_exchange::directory::{Also, Answering, Forward, HoursOf};
use offhook_exchange::event::Event;
use offhook_exchange::route::{Plan, Window};
use offhook_exchange::schedule::{Days, Schedule};
use offhook_exchange::services::{Group, Hours, Strategy};
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);
const ALL: [&str; 5] = ["alice", "exchange", "bob", "carol", "dave"];

fn sales(strategy: Strategy) -> Group {
    Group {
        number: "600".into(),
        name: "Sales".into(),
        members: ["1002", "carol", "sip:dave@example.com"].map(str::to_owned).to_vec(),
        strategy,
        rings_for: 8 * SECOND,
        then: None,
        skip_busy: true,
        follow_forwards: false,
        hours: None,
    }
}

/// The moment at which a world begins is 2027-01-15 08:00 UTC, a Friday.
fn schedule(open: &[&str], closed: &[&str]) -> Arc<Schedule> {
    Arc::new(Schedule {
        name: "office".into(),
        time_zone: Plan::empty().time_zone,
        open: open.iter().map(|one| Window::parse(one).unwrap()).collect(),
        closed: closed.iter().map(|one| Days::parse(one).unwrap()).collect(),
    })
}

/// Alice, who calls, and Bob, Carol and Dave, who are the group. Alice sings 440 Hz, they 1,000, 1,200 and 1,400 Hz.
fn office(group: Group, change: impl FnOnce(&mut Config)) -> (World, [PhoneId; 4]) {
    let mut world = World::new(7, |config| {
        config.anchor = AnchorPolicy::Always;
        config.services.groups.push(group);
        change(config);
    });
    let numbers = [None, Some("1002"), None, None];
    let phones = ["alice", "bob", "carol", "dave"];
    let phones: Vec<_> = phones.iter().zip(numbers).map(|(name, number)| world.phone(name, number)).collect();
    for (phone, hz) in phones.iter().zip([440.0, 1000.0, 1200.0, 1400.0]) {
        world.phones[phone.0].sings = Some(hz);
        // Nobody answers at the very moment at which another does.
        world.phones[phone.0].habit = Habit::Answer(2 * SECOND + Duration::from_millis(100 * phone.0 as u64));
        world.register(*phone);
    }
    world.begin_ladder();
    (world, phones.try_into().unwrap())
}

fn talks_with(world: &World, alice: PhoneId, other: PhoneId) {
    let hz = world.phones[other.0].sings.unwrap();
    let (to_alice, to_other) = (world.phones[alice.0].heard_hz(1.0), world.phones[other.0].heard_hz(1.0));
    assert!((to_alice - hz).abs() < 10.0, "alice hears {to_alice} Hz");
    assert!((to_other - 440.0).abs() < 10.0, "the other hears {to_other} Hz");
}

fn nothing_is_left(world: &mut World) {
    world.nothing_is_left_after(240 * SECOND);
    let ended = |one: &&Event| matches!(one, Event::CallEnded { .. } | Event::CallFailed { .. });
    let started = world.office.events.iter().filter(|one| matches!(one, Event::CallStarted { .. })).count();
    assert_eq!(started, world.office.events.iter().filter(ended).count(), "calls are counted once");
}

fn rang(world: &World, phone: PhoneId) -> usize {
    let rings = |event: &&offhook_ua::Event| matches!(event, offhook_ua::Event::Incoming { .. });
    world.phones[phone.0].events.iter().filter(rings).count()
}

fn ignore(world: &mut World, phones: &[PhoneId]) {
    phones.iter().for_each(|phone| world.phones[phone.0].habit = Habit::Ignore);
}

#[test]
fn all_ring_and_the_first_to_answer_has_the_call() {
    let (mut world, [alice, bob, carol, dave]) = office(sales(Strategy::All), |_| {});
    ignore(&mut world, &[bob, dave]);
    let call = world.call(alice, "600");
    world.pass(6 * SECOND);
    talks_with(&world, alice, carol);
    assert_eq!([bob, carol, dave].map(|one| rang(&world, one)), [1, 1, 1]);
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    compare_with_saved("group-all", &world.ladder.draw(&ALL));
    nothing_is_left(&mut world);
}

#[test]
fn members_ring_one_after_the_other() {
    let (mut world, [alice, bob, carol, dave]) = office(sales(Strategy::Sequential), |_| {});
    ignore(&mut world, &[bob]);
    world.phones[carol.0].habit = Habit::Refuse(603);
    let call = world.call(alice, "600");
    world.pass(7 * SECOND);
    assert_eq!([bob, carol, dave].map(|one| rang(&world, one)), [1, 0, 0]);
    // Eight seconds for Bob; Carol declines at once, which is her own affair.
    world.pass(8 * SECOND);
    talks_with(&world, alice, dave);
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    compare_with_saved("group-sequential", &world.ladder.draw(&ALL));
    nothing_is_left(&mut world);
}

/// A caller that hides where it is has a bridged call, which goes the same way.
#[test]
fn a_bridged_call_hunts_as_well() {
    for strategy in [Strategy::All, Strategy::Sequential] {
        let (mut world, [alice, bob, carol, dave]) = office(sales(strategy), |_| {});
        ignore(&mut world, &[bob]);
        world.phones[carol.0].habit = Habit::Refuse(603);
        let call = world.private_call(alice, "600");
        world.pass(15 * SECOND);
        talks_with(&world, alice, dave);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
        nothing_is_left(&mut world);
    }
}

#[test]
fn nobody_takes_the_call_and_it_goes_where_the_group_says() {
    for strategy in [Strategy::All, Strategy::Sequential] {
        let group = Group { then: Some("alice2".into()), ..sales(strategy) };
        let (mut world, [alice, bob, carol, dave]) = office(group, |_| {});
        let other = world.phone("alice2", None);
        world.phones[other.0].sings = Some(1600.0);
        world.register(other);
        ignore(&mut world, &[bob, carol, dave]);
        let call = world.call(alice, "600");
        world.pass(32 * SECOND);
        talks_with(&world, alice, other);
        world.command(alice, Command::Hangup { call });
        nothing_is_left(&mut world);
    }
}

#[test]
fn without_anywhere_to_go_the_caller_is_told() {
    let (mut world, [alice, bob, carol, dave]) = office(sales(Strategy::All), |_| {});
    ignore(&mut world, &[bob, carol, dave]);
    world.call(alice, "600");
    world.pass(30 * SECOND);
    assert_eq!(world.phones[alice.0].ends().last().unwrap().0, 408);
    [bob, carol, dave].iter().for_each(|phone| world.unplug(*phone));
    nothing_is_left(&mut world);
    // Their registrations are over, so that nobody can be reached.
    world.pass(Duration::from_secs(3600));
    world.call(alice, "600");
    world.pass(SECOND);
    let (code, reason) = world.phones[alice.0].ends().last().unwrap().clone();
    assert_eq!((code, reason.as_str()), (480, "Nobody of Sales can be reached now"));
}

#[test]
fn who_is_in_a_call_or_wants_none_does_not_ring() {
    let (mut world, [alice, bob, carol, dave]) = office(sales(Strategy::All), |_| {});
    let now = world.now();
    let quiet = Answering { do_not_disturb: true, ..Answering::default() };
    world.office.answering(now, "carol", quiet);
    ignore(&mut world, &[dave]);
    // Bob talks with Carol's phone, whose own calls are not meant.
    let eve = world.phone("eve", None);
    world.register(eve);
    let first = world.call(eve, "bob");
    world.pass(4 * SECOND);
    world.phones[dave.0].habit = Habit::Answer(2 * SECOND);
    let call = world.call(alice, "600");
    world.pass(4 * SECOND);
    assert_eq!([bob, carol, dave].map(|one| rang(&world, one)), [1, 0, 1]);
    world.command(alice, Command::Hangup { call });
    world.command(eve, Command::Hangup { call: first });
    world.pass(2 * SECOND);
    // A member that has answered a call of the group is in a call, too; afterwards it is free.
    let call = world.call(alice, "600");
    world.pass(4 * SECOND);
    assert_eq!([bob, carol, dave].map(|one| rang(&world, one)), [2, 0, 2]);
    let second = world.call(eve, "600");
    world.pass(4 * SECOND);
    assert_eq!([bob, carol, dave].map(|one| rang(&world, one)).iter().sum::<usize>(), 5);
    world.command(alice, Command::Hangup { call });
    world.command(eve, Command::Hangup { call: second });
    nothing_is_left(&mut world);
}

#[test]
fn turns_go_round() {
    let (mut world, [alice, bob, carol, dave]) = office(sales(Strategy::RoundRobin), |_| {});
    for round in [[1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 1, 1]] {
        let call = world.call(alice, "600");
        world.pass(4 * SECOND);
        assert_eq!([bob, carol, dave].map(|one| rang(&world, one)), round);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
    }
    nothing_is_left(&mut world);
}

#[test]
fn the_one_who_has_been_free_for_longest_is_first() {
    let (mut world, [alice, bob, carol, dave]) = office(sales(Strategy::LongestIdle), |_| {});
    // Bob and then Carol have had a call; Dave never.
    for member in ["carol", "bob"] {
        let call = world.call(alice, member);
        world.pass(4 * SECOND);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
    }
    for round in [[1, 1, 1], [1, 2, 1], [2, 2, 1]] {
        let call = world.call(alice, "600");
        world.pass(4 * SECOND);
        assert_eq!([bob, carol, dave].map(|one| rang(&world, one)), round);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
    }
    nothing_is_left(&mut world);
}

#[test]
fn a_group_is_closed_at_night_and_on_days_off() {
    for (open, closed, is_open) in [
        (vec!["fri 08:00-09:00"], vec![], true),
        (vec!["fri 09:00-17:00"], vec![], false),
        (vec![], vec!["2027-01-15"], false),
    ] {
        let hours = Hours { when: schedule(&open, &closed), otherwise: "eve".into() };
        let group = Group { hours: Some(hours), ..sales(Strategy::All) };
        let (mut world, [alice, bob, ..]) = office(group, |_| {});
        let eve = world.phone("eve", None);
        world.register(eve);
        let call = world.call(alice, "600");
        world.pass(4 * SECOND);
        assert_eq!((rang(&world, bob) == 1, rang(&world, eve) == 1), (is_open, !is_open));
        world.command(alice, Command::Hangup { call });
        nothing_is_left(&mut world);
    }
}

#[test]
fn groups_that_send_calls_to_each_other_end_them() {
    let other = Group { number: "601".into(), then: Some("600".into()), ..sales(Strategy::All) };
    let group = Group { then: Some("601".into()), ..sales(Strategy::All) };
    let (mut world, [alice, bob, carol, dave]) = office(group, |config| config.services.groups.push(other));
    ignore(&mut world, &[bob, carol, dave]);
    world.call(alice, "600");
    world.pass(60 * SECOND);
    let (code, reason) = world.phones[alice.0].ends().last().unwrap().clone();
    assert_eq!((code, reason.as_str()), (482, "This call is forwarded in a circle"));
    nothing_is_left(&mut world);
}

#[test]
fn a_caller_that_gives_up_ends_the_hunt() {
    let (mut world, [alice, bob, carol, dave]) = office(sales(Strategy::Sequential), |_| {});
    ignore(&mut world, &[bob, carol, dave]);
    let call = world.call(alice, "600");
    world.pass(10 * SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(20 * SECOND);
    assert_eq!([bob, carol, dave].map(|one| rang(&world, one)), [1, 1, 0]);
    nothing_is_left(&mut world);
}

#[test]
fn forwards_of_members_are_followed_only_if_the_group_wants_it() {
    for follow_forwards in [false, true] {
        let members = vec!["1002".into()];
        let group = Group { follow_forwards, members, ..sales(Strategy::All) };
        let (mut world, [alice, bob, _, dave]) = office(group, |_| {});
        let forward = Forward { always: Some("dave".into()), ..Forward::default() };
        let now = world.now();
        world.office.answering(now, "bob", Answering { forward, ..Answering::default() });
        let call = world.call(alice, "600");
        world.pass(4 * SECOND);
        assert_eq!([bob, dave].map(|one| rang(&world, one)), if follow_forwards { [0, 1] } else { [1, 0] });
        world.command(alice, Command::Hangup { call });
        nothing_is_left(&mut world);
    }
}

#[test]
fn messages_on_the_way_may_be_lost() {
    for seed in 0..20 {
        let strategy = if seed % 2 == 0 { Strategy::All } else { Strategy::Sequential };
        let mut world = World::new(seed, |config| config.services.groups.push(sales(strategy)));
        let phones = [("alice", None), ("bob", Some("1002")), ("carol", None), ("dave", None)];
        let phones = phones.map(|(name, number)| world.phone(name, number));
        phones.into_iter().for_each(|one| world.register(one));
        ignore(&mut world, &[phones[1], phones[2]]);
        world.link.loss = 0.2;
        let call = world.call(phones[0], "600");
        world.pass(60 * SECOND);
        world.link.loss = 0.0;
        world.command(phones[0], Command::Hangup { call });
        world.pass(300 * SECOND);
        let now = world.now();
        assert!(world.office.is_idle(), "seed {seed}: {:?}", world.office.status(now));
    }
}

/// Others ring as well, after some time, while the first go on ringing.
#[test]
fn others_ring_as_well() {
    for bridged in [false, true] {
        let (mut world, [alice, bob, carol, dave]) = office(sales(Strategy::All), |_| {});
        let also = [("carol", 5), ("dave", 10)].map(|(to, after)| Also { to: to.into(), after }).to_vec();
        let now = world.now();
        world.office.answering(now, "bob", Answering { also, ..Answering::default() });
        ignore(&mut world, &[bob, carol]);
        let call = if bridged { world.private_call(alice, "bob") } else { world.call(alice, "bob") };
        world.pass(4 * SECOND);
        assert_eq!([bob, carol, dave].map(|one| rang(&world, one)), [1, 0, 0]);
        world.pass(5 * SECOND);
        assert_eq!([bob, carol, dave].map(|one| rang(&world, one)), [1, 1, 0]);
        assert!(world.phones[bob.0].ends().is_empty(), "the first goes on ringing");
        world.pass(5 * SECOND);
        talks_with(&world, alice, dave);
        world.command(alice, Command::Hangup { call });
        nothing_is_left(&mut world);
    }
}

#[test]
fn others_ring_at_once_where_the_first_cannot() {
    let (mut world, [alice, bob, carol, _]) = office(sales(Strategy::All), |_| {});
    let also = vec![Also { to: "carol".into(), after: 30 }];
    let now = world.now();
    world.office.answering(now, "bob", Answering { also, ..Answering::default() });
    world.phones[bob.0].habit = Habit::Refuse(486);
    let call = world.call(alice, "bob");
    world.pass(4 * SECOND);
    talks_with(&world, alice, carol);
    world.command(alice, Command::Hangup { call });
    nothing_is_left(&mut world);
}

#[test]
fn an_account_has_hours_too() {
    for (open, is_open) in [("fri 08:00-09:00", true), ("sat", false)] {
        let hours = schedule(&[open], &[]);
        let (mut world, [alice, bob, carol, _]) =
            office(sales(Strategy::All), |config| config.services.schedules.push(hours));
        let hours = HoursOf { schedule: "office".into(), otherwise: "carol".into() };
        let now = world.now();
        world.office.answering(now, "bob", Answering { hours: Some(hours), ..Answering::default() });
        let call = world.call(alice, "bob");
        world.pass(4 * SECOND);
        assert_eq!((rang(&world, bob) == 1, rang(&world, carol) == 1), (is_open, !is_open));
        world.command(alice, Command::Hangup { call });
        nothing_is_left(&mut world);
    }
}

#[test]
fn only_those_who_are_allowed_get_through() {
    let (mut world, [alice, bob, carol, _]) = office(sales(Strategy::All), |_| {});
    let now = world.now();
    let allowed = vec!["carol".into(), "+49*".into()];
    world.office.answering(now, "bob", Answering { allowed, ..Answering::default() });
    world.call(alice, "bob");
    world.pass(4 * SECOND);
    assert_eq!((rang(&world, bob), world.phones[alice.0].ends().last().unwrap().0), (0, 603));
    let call = world.call(carol, "bob");
    world.pass(4 * SECOND);
    assert_eq!(rang(&world, bob), 1);
    world.command(carol, Command::Hangup { call });
    nothing_is_left(&mut world);
}

#[test]
fn what_an_account_says_of_its_calls_has_its_ladders() {
    let usual = Answering::default;
    let hours = HoursOf { schedule: "office".into(), otherwise: "carol".into() };
    for (name, answering, rings) in [
        ("do-not-disturb", Answering { do_not_disturb: true, ..usual() }, [0, 0]),
        ("blocked", Answering { blocked: vec!["1001".into(), "alice".into()], ..usual() }, [0, 0]),
        ("not-allowed", Answering { allowed: vec!["carol".into()], ..usual() }, [0, 0]),
        ("rings-as-well", Answering { also: vec![Also { to: "carol".into(), after: 0 }], ..usual() }, [1, 1]),
        ("out-of-hours", Answering { hours: Some(hours), ..usual() }, [0, 1]),
    ] {
        let closed = schedule(&["sat"], &[]);
        let (mut world, [alice, bob, carol, _]) =
            office(sales(Strategy::All), |config| config.services.schedules.push(closed));
        let now = world.now();
        world.office.answering(now, "bob", answering);
        world.begin_ladder();
        let call = world.call(alice, "bob");
        world.pass(4 * SECOND);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
        compare_with_saved(name, &world.ladder.draw(&["alice", "exchange", "bob", "carol"]));
        assert_eq!([bob, carol].map(|phone| rang(&world, phone)), rings, "{name}");
        nothing_is_left(&mut world);
    }
}
