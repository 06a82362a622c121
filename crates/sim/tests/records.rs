//! What is told of a call for its record: who was called and what became of each, and how both sides came to be heard.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::AnchorPolicy;
use offhook_exchange::event::{CalledLeg, Event, Reception};
use offhook_sim::{Habit, PhoneId, World};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);

/// Alice and Bob, who sing, and a second phone of Bob's, which does what its user is used to.
fn office(seed: u64, desk: Habit) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(seed, |config| config.anchor = AnchorPolicy::Always);
    let (alice, bob) = (world.phone("alice", Some("1001")), world.phone("bob", Some("1002")));
    let other = world.another_phone_of(bob, "desk");
    world.phones[other.0].habit = desk;
    for phone in [alice, bob, other] {
        world.phones[phone.0].sings = Some(440.0);
        world.register(phone);
    }
    (world, alice, bob)
}

fn legs(world: &World) -> Vec<CalledLeg> {
    let leg = |event: &Event| if let Event::LegEnded { leg, .. } = event { Some(*leg.clone()) } else { None };
    world.office.events.iter().filter_map(leg).collect()
}

fn heard(world: &World) -> Vec<(Option<String>, [Option<Reception>; 2])> {
    let ended = |event: &Event| match event {
        Event::MediaEnded { leg, heard, .. } => Some((leg.clone(), *heard)),
        _ => None,
    };
    world.office.events.iter().filter_map(ended).collect()
}

#[test]
fn who_does_not_answer_is_told_of_in_forwarded_and_in_bridged_calls() {
    for bridged in [false, true] {
        for (habit, code) in [(Habit::Refuse(486), 486), (Habit::Ignore, 487)] {
            let (mut world, alice, bob) = office(1, habit);
            let call = match bridged {
                true => world.private_call(alice, "bob"),
                false => world.call(alice, "bob"),
            };
            world.pass(6 * SECOND);
            world.command(alice, Command::Hangup { call });
            world.pass(SECOND);
            let all = legs(&world);
            let [leg] = &all[..] else { panic!("bridged {bridged}: {all:?}") };
            assert_eq!((leg.code, leg.answered), (code, None));
            assert_eq!(leg.call_id.is_some(), bridged);
            let at = world.office.events.iter().find_map(|event| match event {
                Event::CallAnswered { at, by, .. } => Some((at.unwrap().0, by.clone())),
                _ => None,
            });
            let bobs = world.phones[bob.0].address;
            assert_eq!(at.map(|(at, by)| (at, by.contains(&bobs.ip().to_string()))), Some((bobs, true)));
            let [(None, [Some(caller), Some(callee)])] = heard(&world)[..] else { panic!() };
            assert!(caller.packets > 100 && callee.packets > 100, "{caller:?} {callee:?}");
            assert_eq!((caller.lost, callee.lost), (0, 0));
        }
    }
}

#[test]
fn a_caller_that_gives_up_leaves_a_record_of_those_who_rang() {
    for bridged in [false, true] {
        let (mut world, alice, bob) = office(2, Habit::Ignore);
        world.phones[bob.0].habit = Habit::Ignore;
        let call = if bridged { world.private_call(alice, "bob") } else { world.call(alice, "bob") };
        world.pass(3 * SECOND);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
        let codes: Vec<_> = legs(&world).iter().map(|leg| leg.code).collect();
        assert_eq!(codes, [487, 487], "bridged {bridged}");
        let place = |wanted: fn(&Event) -> bool| world.office.events.iter().rposition(wanted).unwrap();
        let told = place(|event| matches!(event, Event::LegEnded { .. }));
        assert!(
            told < place(|event| matches!(event, Event::CallFailed { .. })),
            "before the record is written"
        );
    }
}

#[test]
fn who_is_called_by_a_service_is_a_leg_with_its_own_sound() {
    use offhook_exchange::command::Command as Operator;
    use offhook_exchange::directory::AddressOfRecord;
    let (mut world, alice, _) = office(3, Habit::Ignore);
    let address = AddressOfRecord::new("alice", "example.com");
    world.ask_exchange(&Operator::Connect(address, "1002".into()));
    world.pass(9 * SECOND);
    let call = world.phones[alice.0].first_call();
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    let all = legs(&world);
    let answered: Vec<_> = all.iter().filter(|leg| leg.answered.is_some()).collect();
    let [leg] = &answered[..] else { panic!("{all:?}") };
    assert_eq!((leg.code, all.len()), (200, 2));
    let heard = heard(&world);
    assert_eq!(heard.len(), 2, "{heard:?}");
    let (_, of_leg) = heard.iter().find(|(of, _)| *of == leg.call_id).unwrap();
    assert!(of_leg[0].unwrap().packets > 100 && of_leg[1].is_none(), "{of_leg:?}");
}

#[test]
fn a_bad_network_shows_in_what_was_heard() {
    let (mut world, alice, _) = office(4, Habit::Ignore);
    let call = world.call(alice, "bob");
    world.pass(3 * SECOND);
    let delay = Duration::from_millis(40);
    world.link = offhook_sim::Link { loss: 0.1, delay, jitter: Duration::from_millis(40) };
    world.pass(20 * SECOND);
    world.link = offhook_sim::Link::GOOD;
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    let [(None, [Some(caller), Some(callee)])] = heard(&world)[..] else { panic!() };
    for side in [caller, callee] {
        let share = side.lost as f64 / (side.packets + side.lost) as f64;
        assert!((0.05..0.15).contains(&share), "{side:?}");
        assert!((Duration::from_millis(3)..Duration::from_millis(40)).contains(&side.jitter), "{side:?}");
    }
}
