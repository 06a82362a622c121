//! Calls in which the exchange is an endpoint of two dialogs: what passes, what is hidden, and what happens when messages
//! cross (RFC 5407). A caller that asks for privacy has its calls bridged.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::IpAddr;
use std::time::Duration;

use offhook_exchange::event::{EndedBy, Event};
use offhook_sim::{Habit, Link, Nat, PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, CallOptions, Command};

const SECOND: Duration = Duration::from_secs(1);
const ALL: [&str; 3] = ["alice", "exchange", "bob"];

/// Alice sings 440 Hz, Bob 1,000 Hz.
fn two(seed: u64) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(seed, |_| {});
    let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
    world.phones[alice.0].sings = Some(440.0);
    world.phones[bob.0].sings = Some(1000.0);
    world.register(alice);
    world.register(bob);
    world.begin_ladder();
    (world, alice, bob)
}

fn call(world: &mut World, from: PhoneId, target: &str) -> CallId {
    world.private_call(from, target)
}

fn both_hear(world: &World, alice: PhoneId, bob: PhoneId) {
    let (to_alice, to_bob) = (world.phones[alice.0].heard_hz(2.0), world.phones[bob.0].heard_hz(2.0));
    assert!((to_alice - 1000.0).abs() < 10.0, "alice hears {to_alice} Hz");
    assert!((to_bob - 440.0).abs() < 10.0, "bob hears {to_bob} Hz");
}

/// Everything is over and nothing is left, neither with us nor with them.
fn nothing_is_left(world: &mut World) {
    world.link = Link::GOOD;
    world.nothing_is_left_after(240 * SECOND);
}

fn ended_by(world: &World) -> Vec<EndedBy> {
    let by = |event: &Event| if let Event::CallEnded { by, .. } = event { Some(*by) } else { None };
    world.office.events.iter().filter_map(by).collect()
}

#[test]
fn a_bridged_call_connects_in_two_dialogs_and_ends_from_either_side() {
    for (hangs_up, by) in [(0, EndedBy::Caller), (1, EndedBy::Callee)] {
        let (mut world, alice, bob) = two(1);
        let placed = call(&mut world, alice, "bob");
        world.pass(8 * SECOND);
        both_hear(&world, alice, bob);
        let call_ids: Vec<String> = [alice, bob]
            .iter()
            .flat_map(|id| &world.phones[id.0].events)
            .filter_map(|event| match event {
                offhook_ua::Event::Calling { call_id, .. } | offhook_ua::Event::Incoming { call_id, .. } => {
                    Some(call_id.clone())
                }
                _ => None,
            })
            .collect();
        assert_ne!(call_ids[0], call_ids[1]);
        let answered = world.phones[bob.0].first_call();
        match hangs_up {
            0 => world.command(alice, Command::Hangup { call: placed }),
            _ => world.command(bob, Command::Hangup { call: answered }),
        }
        world.pass(SECOND);
        let name = if hangs_up == 0 { "bridged" } else { "bridged-ended-by-callee" };
        compare_with_saved(name, &world.ladder.draw(&ALL));
        assert_eq!((world.phones[alice.0].ends()[0].0, world.phones[bob.0].ends()[0].0), (200, 200));
        assert_eq!(ended_by(&world), [by]);
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_wants_to_be_nobody_is_shown_as_nobody() {
    let (mut world, alice, bob) = two(2);
    let headers = vec![("Privacy".to_owned(), "user;id".to_owned())];
    world.call_with(alice, "bob", CallOptions { headers, ..CallOptions::default() });
    world.pass(4 * SECOND);
    let from = world.phones[bob.0].events.iter().find_map(|event| match event {
        offhook_ua::Event::Incoming { from, .. } => Some(from.to_string()),
        _ => None,
    });
    assert_eq!(from.as_deref(), Some("sip:anonymous@anonymous.invalid"));
}

#[test]
fn two_phones_behind_nats_are_bridged_and_ended_from_both_sides() {
    let mut world = World::new(3, |_| {});
    let nat = |last: u8| Nat::new(IpAddr::from([203, 0, 113, last]), true);
    let alice = world.phone_behind(nat(1), "alice", None);
    let bob = world.phone_behind(nat(2), "bob", None);
    world.phones[alice.0].sings = Some(440.0);
    world.phones[bob.0].sings = Some(1000.0);
    world.register(alice);
    world.register(bob);
    for hangs_up in [alice, bob] {
        call(&mut world, alice, "bob");
        world.pass(8 * SECOND);
        both_hear(&world, alice, bob);
        let ending = world.phones[hangs_up.0].first_call();
        world.command(hangs_up, Command::Hangup { call: ending });
        world.pass(SECOND);
        assert!(world.phones.iter().all(|phone| phone.ua.calls().is_empty()));
    }
    nothing_is_left(&mut world);
}

#[test]
fn a_refusal_comes_back_with_its_reason() {
    for (code, told) in [(486, 486), (603, 603), (503, 500), (302, 480), (401, 502)] {
        let (mut world, alice, bob) = two(4);
        world.phones[bob.0].habit = Habit::Refuse(code);
        call(&mut world, alice, "bob");
        world.pass(SECOND);
        assert_eq!(world.phones[alice.0].ends()[0].0, told, "{code}");
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_caller_that_gives_up_stops_the_ringing() {
    let (mut world, alice, bob) = two(5);
    world.phones[bob.0].habit = Habit::Ignore;
    let placed = call(&mut world, alice, "bob");
    world.pass(5 * SECOND);
    assert_eq!(world.office.events.iter().filter(|one| matches!(one, Event::CallStarted { .. })).count(), 1);
    world.command(alice, Command::Hangup { call: placed });
    world.pass(SECOND);
    compare_with_saved("bridged-cancelled", &world.ladder.draw(&ALL));
    assert_eq!(world.phones[bob.0].ends()[0].0, 487);
    nothing_is_left(&mut world);
}

#[test]
fn nobody_rings_for_ever() {
    let (mut world, alice, bob) = two(6);
    world.phones[bob.0].habit = Habit::Ignore;
    call(&mut world, alice, "bob");
    world.pass(200 * SECOND);
    assert_eq!(world.phones[alice.0].ends()[0], (408, "Nobody answered".to_owned()));
    nothing_is_left(&mut world);
}

#[test]
fn a_phone_that_is_gone_is_reported() {
    let (mut world, alice, bob) = two(7);
    world.unplug(bob);
    call(&mut world, alice, "bob");
    world.pass(40 * SECOND);
    assert_eq!(world.phones[alice.0].ends()[0], (408, "The phone does not respond".to_owned()));
}

#[test]
fn of_several_phones_one_answers_and_the_others_stop_ringing() {
    let (mut world, alice, bob) = two(8);
    let desk = world.another_phone_of(bob, "desk");
    world.phones[desk.0].habit = Habit::Ignore;
    world.register(desk);
    world.begin_ladder();
    let placed = call(&mut world, alice, "bob");
    world.pass(8 * SECOND);
    both_hear(&world, alice, bob);
    assert_eq!(world.phones[desk.0].ends()[0].0, 487);
    world.command(alice, Command::Hangup { call: placed });
    world.pass(SECOND);
    compare_with_saved("bridged-forking", &world.ladder.draw(&["alice", "exchange", "bob", "desk"]));
    nothing_is_left(&mut world);
}

#[test]
fn hold_and_resume_pass_in_both_directions() {
    let (mut world, alice, bob) = two(9);
    let placed = call(&mut world, alice, "bob");
    world.pass(6 * SECOND);
    let answered = world.phones[bob.0].first_call();
    for (id, held) in [(alice, placed), (bob, answered)] {
        world.command(id, Command::Hold { call: held });
        world.pass(100 * SECOND);
        assert_eq!(world.phones[alice.0].ua.calls(), [placed], "a held call lasts");
        world.command(id, Command::Resume { call: held });
        world.pass(5 * SECOND);
        both_hear(&world, alice, bob);
    }
    let told = |id: PhoneId| {
        let held = |one: &&offhook_ua::Event| matches!(one, offhook_ua::Event::Held { by_peer: true, .. });
        world.phones[id.0].events.iter().filter(held).count()
    };
    assert_eq!((told(alice), told(bob)), (1, 1));
    world.command(alice, Command::Hangup { call: placed });
    nothing_is_left(&mut world);
}

#[test]
fn keys_pass_through_a_bridge() {
    let (mut world, alice, bob) = two(10);
    let placed = call(&mut world, alice, "bob");
    world.pass(4 * SECOND);
    world.command(alice, Command::Dtmf { call: placed, digits: "12#".into() });
    world.pass(5 * SECOND);
    let digit = |event: &offhook_ua::Event| match event {
        offhook_ua::Event::Digit { digit, .. } => Some(*digit),
        _ => None,
    };
    let keys: String = world.phones[bob.0].events.iter().filter_map(digit).collect();
    assert_eq!(keys, "12#");
}

#[test]
fn both_hold_at_the_same_moment_and_both_get_their_wish() {
    // RFC 5407 §3.3.1: two re-INVITEs cross; each side is told 491 and tries again.
    for seed in 0..8 {
        let (mut world, alice, bob) = two(20 + seed);
        let placed = call(&mut world, alice, "bob");
        world.pass(6 * SECOND);
        let answered = world.phones[bob.0].first_call();
        world.command(alice, Command::Hold { call: placed });
        world.command(bob, Command::Hold { call: answered });
        world.pass(20 * SECOND);
        for id in [alice, bob] {
            let both = |one: &offhook_ua::Event| {
                matches!(one, offhook_ua::Event::Held { by_us: true, by_peer: true, .. })
            };
            assert!(world.phones[id.0].events.iter().any(both), "seed {seed}: {}", world.ladder.draw(&ALL));
        }
        world.command(alice, Command::Resume { call: placed });
        world.pass(10 * SECOND);
        world.command(bob, Command::Resume { call: answered });
        world.pass(10 * SECOND);
        both_hear(&world, alice, bob);
        world.command(alice, Command::Hangup { call: placed });
        nothing_is_left(&mut world);
    }
}

#[test]
fn an_end_crosses_a_re_invite() {
    // RFC 5407 §3.2.2 and §3.1.4, and both BYEs of §3.2.3.
    for seed in 0..8 {
        for other in ["hold", "hangup"] {
            let (mut world, alice, bob) = two(40 + seed);
            let placed = call(&mut world, alice, "bob");
            world.pass(6 * SECOND);
            let answered = world.phones[bob.0].first_call();
            let wait = Duration::from_millis(seed / 2);
            world.command(alice, Command::Hangup { call: placed });
            match other {
                "hold" => world.later(wait, bob, Command::Hold { call: answered }),
                _ => world.later(wait, bob, Command::Hangup { call: answered }),
            }
            world.pass(2 * SECOND);
            nothing_is_left(&mut world);
            assert_eq!(ended_by(&world).len(), 1);
        }
    }
}

#[test]
fn a_cancel_crosses_the_answer() {
    // RFC 5407 §3.1.2: whoever comes first, nobody is left with half a call.
    for after in 1_990..2_012 {
        let (mut world, alice, bob) = two(60);
        let placed = call(&mut world, alice, "bob");
        world.pass(Duration::from_millis(after));
        world.command(alice, Command::Hangup { call: placed });
        world.pass(5 * SECOND);
        assert!(world.phones[bob.0].ua.calls().is_empty(), "{after} ms: {}", world.ladder.draw(&ALL));
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_lossy_network_only_delays_things() {
    let mut connected = 0;
    for seed in 0..24 {
        let (mut world, alice, bob) = two(100 + seed);
        world.link = Link { loss: 0.25, delay: Duration::from_millis(30), jitter: Duration::from_millis(20) };
        let placed = call(&mut world, alice, "bob");
        world.pass(30 * SECOND);
        // A challenge that is lost each time keeps a call from ever beginning.
        if world.phones[alice.0].was_answered() {
            connected += 1;
            both_hear(&world, alice, bob);
        }
        world.command(alice, Command::Hold { call: placed });
        world.pass(20 * SECOND);
        world.command(alice, Command::Hangup { call: placed });
        nothing_is_left(&mut world);
    }
    assert!(connected > 20, "{connected} of 24");
}

#[test]
fn an_ack_that_never_comes_ends_the_call_on_both_sides() {
    let (mut world, alice, bob) = two(11);
    call(&mut world, alice, "bob");
    world.pass(Duration::from_millis(1_500));
    // Gone in the moment of the answer: it neither acknowledges nor speaks.
    world.unplug(alice);
    world.pass(40 * SECOND);
    assert!(world.phones[bob.0].ua.calls().is_empty(), "{}", world.ladder.draw(&ALL));
    assert_eq!(ended_by(&world), [EndedBy::Exchange]);
    world.pass(60 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn shards_find_what_is_theirs() {
    for seed in 0..12 {
        let mut world = World::new(200 + seed, |config| config.shards = 5);
        let (alice, bob) = (world.phone("alice", None), world.phone("bob", None));
        world.phones[alice.0].sings = Some(440.0);
        world.phones[bob.0].sings = Some(1000.0);
        world.register(alice);
        world.register(bob);
        call(&mut world, alice, "bob");
        world.pass(6 * SECOND);
        both_hear(&world, alice, bob);
        let answered = world.phones[bob.0].first_call();
        world.command(bob, Command::Hold { call: answered });
        world.pass(2 * SECOND);
        world.command(bob, Command::Hangup { call: answered });
        world.pass(SECOND);
        assert_eq!(world.phones[alice.0].ends()[0].0, 200);
        nothing_is_left(&mut world);
    }
}
