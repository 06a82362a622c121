//! Queues: callers who wait for agents.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::command::QueueReport;
use offhook_exchange::config::{AnchorPolicy, Config};
use offhook_exchange::directory::AgentState;
use offhook_exchange::services::{Queue, Strategy};
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, Command, Event};

const SECOND: Duration = Duration::from_secs(1);
const ALL: [&str; 4] = ["alice", "exchange", "bob", "carol"];

fn support() -> Queue {
    Queue {
        number: "610".into(),
        name: "Support".into(),
        agents: ["1002", "carol"].map(str::to_owned).to_vec(),
        log_in: false,
        strategy: Strategy::Sequential,
        rings_for: 8 * SECOND,
        wrap_up: 5 * SECOND,
        pause_after: 2,
        max_waiting: 3,
        max_wait: 120 * SECOND,
        announce: 30 * SECOND,
        then: None,
        hours: None,
        say_refusal: false,
    }
}

/// Alice and Eve, who call, and Bob and Carol, the agents. Each sings a tone of its own.
fn office(queue: Queue, change: impl FnOnce(&mut Config)) -> (World, [PhoneId; 4]) {
    let mut world = World::new(3, |config| {
        config.anchor = AnchorPolicy::Always;
        config.services.queues.push(queue);
        change(config);
    });
    let numbers = [None, Some("1002"), None, None];
    let names = ["alice", "bob", "carol", "eve"];
    let phones: Vec<_> = names.iter().zip(numbers).map(|(name, number)| world.phone(name, number)).collect();
    for (phone, hz) in phones.iter().zip([440.0, 1000.0, 1200.0, 700.0]) {
        world.phones[phone.0].sings = Some(hz);
        world.register(*phone);
    }
    world.begin_ladder();
    (world, phones.try_into().unwrap())
}

fn talk(world: &World, one: PhoneId, other: PhoneId) {
    for (hears, sings) in [(one, other), (other, one)] {
        let (hz, heard) = (world.phones[sings.0].sings.unwrap(), world.phones[hears.0].heard_hz(1.0));
        assert!((heard - hz).abs() < 10.0, "{} hears {heard} Hz", world.phones[hears.0].name);
    }
}

fn rang(world: &World, phone: PhoneId) -> usize {
    world.phones[phone.0].events.iter().filter(|one| matches!(one, Event::Incoming { .. })).count()
}

fn hang_up(world: &mut World, phone: PhoneId, call: CallId) {
    world.command(phone, Command::Hangup { call });
}

/// The number of the only queue, as an operator sees it.
fn report(world: &mut World) -> QueueReport {
    let now = world.now();
    world.office.queues(now).remove(0)
}

fn nothing_is_left(world: &mut World) {
    world.nothing_is_left_after(240 * SECOND);
    assert_eq!(report(world).waiting, 0);
}

#[test]
fn a_caller_is_connected_with_an_agent() {
    let (mut world, [alice, bob, carol, _]) = office(support(), |_| {});
    let call = world.call(alice, "610");
    world.pass(6 * SECOND);
    talk(&world, alice, bob);
    assert_eq!(rang(&world, carol), 0);
    hang_up(&mut world, alice, call);
    world.pass(SECOND);
    compare_with_saved("queue", &world.ladder.draw(&ALL));
    let report = report(&mut world);
    assert_eq!((report.answered, report.abandoned, report.waiting), (1, 0, 0));
    nothing_is_left(&mut world);
}

#[test]
fn callers_wait_for_their_turn_and_agents_for_a_moment_after_a_call() {
    let (mut world, [alice, bob, carol, eve]) = office(support(), |_| {});
    world.phones[carol.0].habit = Habit::Refuse(486);
    let first = world.call(alice, "610");
    world.pass(6 * SECOND);
    let second = world.call(eve, "610");
    world.pass(20 * SECOND);
    talk(&world, alice, bob);
    assert!(report(&mut world).waiting == 1 && report(&mut world).longest_wait >= 18);
    let loudest = world.phones[eve.0].heard.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    assert!(loudest > 1000, "who waits hears something");
    hang_up(&mut world, alice, first);
    world.pass(4 * SECOND);
    assert_eq!(rang(&world, bob), 1, "not within the time after a call");
    world.pass(8 * SECOND);
    talk(&world, eve, bob);
    hang_up(&mut world, eve, second);
    nothing_is_left(&mut world);
}

#[test]
fn an_agent_that_does_not_answer_is_passed_over_and_pauses() {
    let queue = Queue { log_in: true, ..support() };
    let (mut world, [alice, bob, carol, _]) = office(queue, |_| {});
    for user in ["bob", "carol"] {
        world.agent("610", user, AgentState::LoggedIn);
    }
    world.phones[bob.0].habit = Habit::Ignore;
    for round in 1..=2 {
        let call = world.call(alice, "610");
        world.pass(14 * SECOND);
        talk(&world, alice, carol);
        hang_up(&mut world, alice, call);
        world.pass(10 * SECOND);
        assert_eq!(rang(&world, bob), round);
    }
    let states: Vec<_> = report(&mut world).agents.iter().map(|one| one.state).collect();
    assert_eq!(states, [AgentState::Paused, AgentState::LoggedIn]);
    let call = world.call(alice, "610");
    world.pass(6 * SECOND);
    assert_eq!(rang(&world, bob), 2, "who pauses is not rung");
    hang_up(&mut world, alice, call);
    world.kill_and_restart_exchange();
    let states: Vec<_> = report(&mut world).agents.iter().map(|one| one.state).collect();
    assert_eq!(states, [AgentState::Paused, AgentState::LoggedIn], "as before the restart");
}

#[test]
fn agents_log_in_and_out_by_telephone() {
    let queue = Queue { log_in: true, ..support() };
    let (mut world, [alice, bob, ..]) = office(queue, |_| {});
    world.call(alice, "610");
    world.pass(SECOND);
    let (code, reason) = world.phones[alice.0].ends().last().unwrap().clone();
    assert_eq!((code, reason.as_str()), (480, "Nobody takes calls of Support"));
    world.call(alice, "*45");
    world.pass(SECOND);
    assert_eq!(world.phones[alice.0].ends().last().unwrap().0, 404, "who is no agent has no code");
    for state in [AgentState::LoggedIn, AgentState::LoggedOut, AgentState::LoggedIn] {
        world.call(bob, "*45");
        world.pass(8 * SECOND);
        assert_eq!(report(&mut world).agents[0].state, state);
    }
    for (code, state) in [("*46*610", AgentState::Paused), ("*46", AgentState::LoggedIn)] {
        world.call(bob, code);
        world.pass(8 * SECOND);
        assert_eq!(report(&mut world).agents[0].state, state);
    }
    assert!(world.phones[bob.0].ua.calls().is_empty());
    let call = world.call(alice, "610");
    world.pass(6 * SECOND);
    talk(&world, alice, bob);
    hang_up(&mut world, alice, call);
    nothing_is_left(&mut world);
}

#[test]
fn a_caller_that_gives_up_takes_its_ring_along() {
    let (mut world, [alice, bob, carol, _]) = office(support(), |_| {});
    [bob, carol].iter().for_each(|phone| world.phones[phone.0].habit = Habit::Ignore);
    let call = world.call(alice, "610");
    world.pass(4 * SECOND);
    hang_up(&mut world, alice, call);
    world.pass(30 * SECOND);
    assert_eq!((rang(&world, bob), rang(&world, carol)), (1, 0));
    assert_eq!(report(&mut world).abandoned, 1);
    nothing_is_left(&mut world);
}

#[test]
fn who_has_waited_for_too_long_is_sent_on_or_told_so() {
    for then in [Some("eve"), None] {
        let queue = Queue { then: then.map(str::to_owned), max_wait: 20 * SECOND, ..support() };
        let (mut world, [alice, bob, carol, eve]) = office(queue, |_| {});
        [bob, carol].iter().for_each(|phone| world.phones[phone.0].habit = Habit::Ignore);
        let call = world.call(alice, "610");
        world.pass(36 * SECOND);
        match then {
            Some(_) => {
                talk(&world, alice, eve);
                hang_up(&mut world, alice, call);
            }
            None => assert!(world.phones[alice.0].ua.calls().is_empty(), "it has ended"),
        }
        assert_eq!((report(&mut world).overflowed, report(&mut world).abandoned), (1, 0));
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_queue_without_agents_sends_its_callers_on() {
    let queue = Queue { log_in: true, then: Some("eve".into()), ..support() };
    let (mut world, [alice, bob, carol, eve]) = office(queue, |_| {});
    let call = world.call(alice, "610");
    world.pass(5 * SECOND);
    talk(&world, alice, eve);
    hang_up(&mut world, alice, call);
    // And those who wait when the last agent leaves.
    world.agent("610", "bob", AgentState::LoggedIn);
    [bob, carol].iter().for_each(|phone| world.phones[phone.0].habit = Habit::Ignore);
    let call = world.call(alice, "610");
    world.pass(4 * SECOND);
    world.agent("610", "bob", AgentState::LoggedOut);
    world.pass(6 * SECOND);
    talk(&world, alice, eve);
    hang_up(&mut world, alice, call);
    nothing_is_left(&mut world);
}

#[test]
fn no_more_wait_than_may() {
    let (mut world, [alice, bob, carol, eve]) = office(Queue { max_waiting: 1, ..support() }, |_| {});
    [bob, carol].iter().for_each(|phone| world.phones[phone.0].habit = Habit::Ignore);
    let call = world.call(alice, "610");
    world.pass(2 * SECOND);
    world.call(eve, "610");
    world.pass(SECOND);
    let (code, reason) = world.phones[eve.0].ends().last().unwrap().clone();
    assert_eq!((code, reason.as_str()), (480, "Too many wait for Support"));
    hang_up(&mut world, alice, call);
    nothing_is_left(&mut world);
}

#[test]
fn agents_that_all_refuse_are_not_rung_without_end() {
    let (mut world, [alice, bob, carol, _]) = office(support(), |_| {});
    [bob, carol].iter().for_each(|phone| world.phones[phone.0].habit = Habit::Refuse(486));
    let call = world.call(alice, "610");
    world.pass(30 * SECOND);
    let rings = rang(&world, bob) + rang(&world, carol);
    assert!((6..=16).contains(&rings), "{rings} times in half a minute");
    hang_up(&mut world, alice, call);
    nothing_is_left(&mut world);
}

#[test]
fn messages_on_the_way_may_be_lost() {
    for seed in 0..8 {
        let mut world = World::new(seed, |config| config.services.queues.push(support()));
        let phones = [("alice", None), ("bob", Some("1002")), ("carol", None)];
        let phones = phones.map(|(name, number)| world.phone(name, number));
        phones.into_iter().for_each(|one| world.register(one));
        world.phones[phones[1].0].habit = Habit::Ignore;
        world.link.loss = 0.2;
        let call = world.call(phones[0], "610");
        world.pass(60 * SECOND);
        world.link.loss = 0.0;
        hang_up(&mut world, phones[0], call);
        world.pass(300 * SECOND);
        let now = world.now();
        assert!(world.office.is_idle(), "seed {seed}: {:?}", world.office.status(now));
    }
}

#[test]
fn an_agent_whose_other_call_ends_is_called() {
    let queue = Queue { agents: vec!["1002".into()], ..support() };
    let (mut world, [alice, bob, _, eve]) = office(queue, |_| {});
    let other = world.call(bob, "eve");
    world.pass(4 * SECOND);
    talk(&world, bob, eve);
    let call = world.call(alice, "610");
    world.pass(20 * SECOND);
    assert_eq!((rang(&world, bob), report(&mut world).waiting), (0, 1));
    hang_up(&mut world, bob, other);
    world.pass(6 * SECOND);
    talk(&world, alice, bob);
    hang_up(&mut world, alice, call);
    nothing_is_left(&mut world);
}

#[test]
fn callers_of_several_shards_wait_in_one_line() {
    let queue = Queue { agents: vec!["1002".into()], max_waiting: 5, wrap_up: SECOND, ..support() };
    let (mut world, [alice, bob, carol, eve]) = office(queue, |config| config.shards = 3);
    let more = ["dora", "fay", "gina"].map(|name| {
        let phone = world.phone(name, None);
        world.register(phone);
        phone
    });
    let callers = [alice, carol, eve, more[0], more[1], more[2]];
    let calls: Vec<_> = callers
        .iter()
        .map(|phone| {
            let call = world.call(*phone, "610");
            world.pass(3 * SECOND);
            call
        })
        .collect();
    let now = world.now();
    let shards = world.office.each_status(now).iter().filter(|one| one.anchored > 0).count();
    assert!(shards > 1, "all calls are of one shard");
    assert_eq!(report(&mut world).waiting, 5);
    // One more would be too many, whichever shard it comes to.
    let late = world.phone("hal", None);
    world.register(late);
    for _ in 0..4 {
        world.call(late, "610");
        world.pass(SECOND);
        let (code, reason) = world.phones[late.0].ends().last().unwrap().clone();
        assert_eq!((code, reason.as_str()), (480, "Too many wait for Support"));
    }
    for (at, call) in calls.into_iter().enumerate() {
        assert_eq!((rang(&world, bob), report(&mut world).waiting), (at + 1, 5 - at), "one after the other");
        assert!(
            world.phones[callers[at].0].ua.calls().contains(&call),
            "the one who has waited for the longest"
        );
        if world.phones[callers[at].0].sings.is_some() {
            talk(&world, callers[at], bob);
        }
        hang_up(&mut world, callers[at], call);
        world.pass(8 * SECOND);
    }
    assert_eq!((report(&mut world).answered, report(&mut world).abandoned), (6, 0));
    nothing_is_left(&mut world);
}

#[test]
fn the_figures_of_a_queue_are_those_of_all_shards() {
    let queue = Queue { agents: vec!["1002".into()], max_waiting: 5, wrap_up: SECOND, ..support() };
    let (mut world, [alice, bob, carol, eve]) = office(queue, |config| config.shards = 3);
    let more = ["dora", "fay", "gina"].map(|name| {
        let phone = world.phone(name, None);
        world.register(phone);
        phone
    });
    let callers = [alice, carol, eve, more[0], more[1], more[2]];
    let calls = callers.map(|phone| {
        let call = world.call(phone, "610");
        world.pass(3 * SECOND);
        call
    });
    // All but two of those who wait give up, at whatever shard they are.
    for at in 2..5 {
        hang_up(&mut world, callers[at], calls[at]);
        world.pass(SECOND);
    }
    let now = report(&mut world);
    assert_eq!((now.answered, now.abandoned, now.waiting), (1, 3, 2));
    assert!((15..=25).contains(&now.longest_wait), "{now:?}");
    hang_up(&mut world, alice, calls[0]);
    world.pass(8 * SECOND);
    let then = report(&mut world);
    assert_eq!((then.answered, then.abandoned, then.waiting, then.agents.len()), (2, 3, 1, 1));
    assert!((20..=40).contains(&then.waited) && then.agents[0].in_call, "{then:?}");
    for at in [1, 5] {
        hang_up(&mut world, callers[at], calls[at]);
        world.pass(8 * SECOND);
    }
    assert_eq!((report(&mut world).answered, report(&mut world).abandoned), (3, 3));
    assert!(rang(&world, bob) >= 3);
    nothing_is_left(&mut world);
}

#[test]
fn two_agents_and_callers_of_several_shards_find_each_other() {
    for seed in 0..6 {
        let mut world = World::new(100 + seed, |config| {
            config.shards = 3;
            config.anchor = AnchorPolicy::Always;
            config.services.queues.push(Queue {
                wrap_up: SECOND,
                strategy: Strategy::LongestIdle,
                max_waiting: 9,
                ..support()
            });
        });
        let names = ["bob", "carol", "ada", "ben", "cleo", "dan"];
        let phones = names.map(|name| world.phone(name, (name == "bob").then_some("1002")));
        phones.into_iter().for_each(|phone| world.register(phone));
        // All at the same moment, at all shards.
        let calls: Vec<_> = phones[2..].iter().map(|phone| (*phone, world.call(*phone, "610"))).collect();
        for round in 1..=2 {
            world.pass(8 * SECOND);
            let talking = |world: &World, agent: usize| world.phones[phones[agent].0].ua.calls().len();
            assert_eq!(
                (talking(&world, 0), talking(&world, 1)),
                (1, 1),
                "seed {seed}, round {round}: {:?}",
                report(&mut world)
            );
            assert_eq!(report(&mut world).answered, 2 * round, "seed {seed}");
            for agent in &phones[..2] {
                let call = world.phones[agent.0].first_call();
                hang_up(&mut world, *agent, call);
            }
            world.pass(SECOND);
        }
        drop(calls);
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_voice_says_that_nobody_is_there_before_the_call_is_refused() {
    let (mut world, [alice, bob, ..]) =
        office(Queue { log_in: true, say_refusal: true, ..support() }, |_| {});
    world.call(alice, "610");
    world.pass(2 * SECOND);
    let loudest = world.phones[alice.0].heard.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    assert!(loudest > 1_000, "nothing was said: {loudest}");
    assert!(!world.phones[alice.0].was_answered());
    world.pass(10 * SECOND);
    let (code, reason) = world.phones[alice.0].ends().last().unwrap().clone();
    assert_eq!((code, reason.as_str()), (480, "Nobody takes calls of Support"));
    // Who gives up before is gone.
    let call = world.call(alice, "610");
    world.pass(SECOND);
    hang_up(&mut world, alice, call);
    world.pass(SECOND);
    assert_eq!(rang(&world, bob), 0);
    nothing_is_left(&mut world);
}
