//! Calls by trunks with a password: registration, the provider's challenges, and what happens when a provider fails.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::command::TrunkReport;
use offhook_exchange::config::Config;
use offhook_exchange::directory::{Answering, Record, Rights};
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Numbering, Trunk, TrunkAuth};
use offhook_exchange::trunks::TrunkRegistration;
use offhook_media::tone::analyse;
use offhook_sim::{Manners, PhoneId, Provider, World, compare_with_saved};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);
const NUMBER: &str = "sip:030-987654@example.com";

/// Lines of these providers, tried in this order.
fn lines(config: &mut Config, providers: &[&str]) {
    config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
    config.trunks.extend(providers.iter().map(|name| Provider::trunk(name)));
    config.plan.rules.push(Provider::outside(providers));
}

/// Alice is registered, and so are the exchange's lines, as far as these manners let it.
fn world(seed: u64, shards: u8, providers: &[(&str, Manners)]) -> (World, PhoneId) {
    let names: Vec<&str> = providers.iter().map(|(name, _)| *name).collect();
    let mut world = World::new(seed, |config| {
        config.shards = shards;
        lines(config, &names);
    });
    let alice = world.phone("alice", None);
    for (name, manners) in providers {
        let at = world.provider(name);
        world.providers[at].manners = *manners;
    }
    world.register(alice);
    (world, alice)
}

fn reports(world: &mut World) -> Vec<TrunkReport> {
    let now = world.now();
    world.office.trunks(now)
}

/// Everything is over: no call is left, and no trunk has one.
fn is_over(mut world: World) {
    world.pass(240 * SECOND);
    assert!(reports(&mut world).iter().all(|one| one.calls == 0));
    let now = world.now();
    let status = world.office.status(now);
    assert_eq!((status.ringing, status.anchored), (0, 0));
}

#[test]
fn a_line_is_registered_with_the_challenge_answered_and_refreshed() {
    let (mut world, _) = world(1, 1, &[("provider.test", Manners::Serves)]);
    compare_with_saved("trunk-registers", &world.ladder.draw(&["exchange", "provider.test"]));
    let contact = world.providers[0].registered.clone().unwrap();
    assert!(contact.starts_with("<sip:line-") && contact.contains("@192.0.2.1"), "{contact}");
    assert!(matches!(
        reports(&mut world)[0].state.as_ref().unwrap().registration,
        TrunkRegistration::Until(_)
    ));
    world.begin_ladder();
    world.pass(600 * SECOND);
    assert!(world.ladder.draw(&["exchange", "provider.test"]).contains("REGISTER"));
}

#[test]
fn a_call_answers_the_providers_challenge_and_the_caller_sees_nothing_of_it() {
    for shards in [1, 3] {
        let (mut world, alice) = world(2, shards, &[("provider.test", Manners::Serves)]);
        world.begin_ladder();
        let call = world.call(alice, NUMBER);
        world.pass(3 * SECOND);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
        if shards == 1 {
            compare_with_saved("trunk-call", &world.ladder.draw(&["alice", "exchange", "provider.test"]));
        }
        assert_eq!(world.phones[alice.0].ends()[0].0, 200);
        is_over(world);
    }
}

#[test]
fn a_password_that_is_refused_for_ever_ends_with_the_reason() {
    let (mut world, alice) = world(3, 1, &[("provider.test", Manners::NeverContent)]);
    compare_with_saved("trunk-refused", &world.ladder.draw(&["exchange", "provider.test"]));
    world.begin_ladder();
    world.pass(1_800 * SECOND);
    assert!(
        !world.ladder.draw(&["exchange", "provider.test"]).contains("REGISTER"),
        "not tried at once again"
    );
    let state = reports(&mut world)[0].state.clone().unwrap();
    assert!(state.usable().unwrap_err().contains("the user name or the password is wrong"));
    world.call(alice, NUMBER);
    world.pass(2 * SECOND);
    assert_eq!(world.phones[alice.0].ends()[0].0, 502);
    is_over(world);
}

#[test]
fn the_second_provider_carries_what_the_first_cannot() {
    let providers = [("one.test", Manners::Refuses(503)), ("two.test", Manners::Serves)];
    let (mut world, alice) = world(4, 1, &providers);
    world.begin_ladder();
    let call = world.call(alice, NUMBER);
    world.pass(3 * SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    compare_with_saved("trunk-failover", &world.ladder.draw(&["alice", "exchange", "one.test", "two.test"]));
    assert_eq!(world.phones[alice.0].ends()[0].0, 200);
    is_over(world);
}

#[test]
fn a_provider_that_falls_silent_is_passed_over_within_seconds() {
    let (mut world, alice) = world(5, 2, &[("one.test", Manners::Serves), ("two.test", Manners::Serves)]);
    world.providers[0].manners = Manners::Silent;
    let call = world.call(alice, NUMBER);
    world.pass(5 * SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    assert_eq!(world.phones[alice.0].ends()[0].0, 200);
    is_over(world);
}

/// How many recordings there are of a call of Alice's, in which she sings and presses these keys, by the second of two lines. Bob's
/// calls are sent on there, and may be recorded as said.
fn recorded(called: &str, [record, of_bob]: [Record; 2], keys: &str) -> usize {
    let names = ["one.test", "two.test"];
    let mut world = World::new(6, |config| {
        lines(config, &names);
        config.trunks[1].record = record;
    });
    let alice = world.phone("alice", None);
    for (name, manners) in names.iter().zip([Manners::Refuses(503), Manners::Serves]) {
        let at = world.provider(name);
        world.providers[at].manners = manners;
    }
    world.register(alice);
    world.phone("bob", None);
    let mut answering = Answering::default();
    answering.forward.always = Some("+4930987654".into());
    let now = world.now();
    world.office.answering(now, "bob", answering);
    world.office.rights(now, "bob", Rights { record: of_bob, ..Rights::default() });
    world.phones[alice.0].sings = Some(600.0);
    let call = world.call(alice, called);
    world.pass(5 * SECOND);
    world.command(alice, Command::Dtmf { call, digits: keys.into() });
    world.pass(8 * SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(2 * SECOND);
    for (samples, rate) in world.office.recordings.files.values() {
        let second = *rate as usize / 2;
        let side = |n| samples.iter().skip(n).step_by(2).copied().collect::<Vec<i16>>();
        let (left, right) = (side(0), side(1));
        let end = left.len() - 2 * second..left.len() - second;
        assert!(
            (analyse(&left[end.clone()], *rate / 2).dominant_hz - 600.0).abs() < 10.0,
            "the caller is left"
        );
        assert!(right[end].iter().all(|sample| *sample == 0), "the gateway says nothing");
    }
    let count = world.office.recordings.files.len();
    is_over(world);
    count
}

#[test]
fn a_line_has_its_calls_recorded_always_or_on_demand() {
    for (record, keys, count) in [
        (Record::Always, "5", 1),
        (Record::OnDemand, "*1", 1),
        (Record::OnDemand, "5", 0),
        (Record::Never, "*1", 0),
    ] {
        assert_eq!(recorded(NUMBER, [record, Record::Never], keys), count, "{record:?} {keys}");
    }
}

#[test]
fn who_has_a_call_sent_on_is_not_who_speaks() {
    const BOB: &str = "sip:bob@example.com";
    assert_eq!(recorded(BOB, [Record::Never, Record::Always], "5"), 1);
    assert_eq!(
        recorded(BOB, [Record::Never, Record::OnDemand], "*1"),
        0,
        "the keys are Bob's, and he is not there"
    );
    assert_eq!(recorded(BOB, [Record::OnDemand, Record::Never], "*1"), 1, "it is the line's wish");
}

#[test]
fn a_carrier_without_a_leg_of_ours_sends_a_call_on_to_its_own_servers_only() {
    for (to, told) in [
        ("<sip:+4930987654@198.51.100.2>", 200),
        ("<sip:+4930987654@198.51.100.3>", 502),
        ("<sip:+49900123456@198.51.100.2>", 502),
    ] {
        let mut world = World::new(8, |config| {
            lines(config, &["one.test"]);
            // The third has an address that is not the carrier's.
            let networks = ["198.51.100.1/32", "198.51.100.2/32"].map(|one| one.parse().unwrap()).to_vec();
            config.trunks[0] = Trunk { networks, auth: TrunkAuth::Address, ..Provider::trunk("one.test") };
        });
        let alice = world.phone("alice", None);
        for (name, manners) in [
            ("one.test", Manners::SendsOn(to)),
            ("two.test", Manners::Trusts),
            ("three.test", Manners::Trusts),
        ] {
            let at = world.provider(name);
            world.providers[at].manners = manners;
        }
        world.register(alice);
        world.begin_ladder();
        let call = world.call(alice, NUMBER);
        world.pass(3 * SECOND);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
        if told == 200 {
            let names = ["alice", "exchange", "one.test", "two.test"];
            compare_with_saved("trunk-sends-on", &world.ladder.draw(&names));
        }
        assert_eq!(world.phones[alice.0].ends()[0].0, told, "{to}");
        let asked = |at: usize| world.providers[at].offered.len();
        assert_eq!((asked(1), asked(2)), (usize::from(told == 200), 0), "{to}");
        is_over(world);
    }
}

#[test]
fn codes_work_in_a_call_that_has_left_by_a_line_which_it_keeps_until_its_end() {
    for (keys, alice_stays) in [("*21002#", false), ("*41002#", true)] {
        let mut world = World::new(9, |config| {
            lines(config, &["provider.test"]);
            config.services.codes_in_all_calls = true;
        });
        let alice = world.phone("alice", Some("1001"));
        let bob = world.phone("bob", Some("1002"));
        world.provider("provider.test");
        for (phone, hz) in [(alice, 440.0), (bob, 1000.0)] {
            world.phones[phone.0].sings = Some(hz);
            world.register(phone);
        }
        let call = world.call(alice, NUMBER);
        world.pass(5 * SECOND);
        world.command(alice, Command::Dtmf { call, digits: keys.into() });
        world.pass(9 * SECOND);
        let is_up = |world: &World, phone: PhoneId| !world.phones[phone.0].ua.calls().is_empty();
        assert_eq!((is_up(&world, alice), is_up(&world, bob)), (alice_stays, true), "{keys}");
        if alice_stays {
            world.phones[alice.0].must_hear(1000.0);
            world.command(alice, Command::Hangup { call });
            world.pass(SECOND);
        }
        // The line has the call as long as its party is in it, and gives it back then.
        assert_eq!(reports(&mut world)[0].calls, 1, "{keys}");
        let call = world.phones[bob.0].first_call();
        world.command(bob, Command::Hangup { call });
        is_over(world);
    }
}
