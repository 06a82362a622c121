//! An exchange whose settings change while calls are under way.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use offhook_exchange::command::{Answer, Command as Ask};
use offhook_exchange::config::{AnchorPolicy, Config, Key};
use offhook_exchange::services::{Group, Strategy};
use offhook_sim::{PhoneId, World};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);

fn singer(world: &mut World, name: &str, number: &str, hz: f32) -> PhoneId {
    let phone = world.phone(name, Some(number));
    world.phones[phone.0].sings = Some(hz);
    world.register(phone);
    phone
}

/// The exchange is told of other settings than the usual ones.
fn configure(world: &mut World, change: impl FnOnce(&mut Config)) {
    let mut config = Config::new(vec!["elsewhere.example".into()], Key([0; 32]));
    change(&mut config);
    let answers = world.ask_exchange(&Ask::Configure(Arc::new(config)));
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Done)), "{answers:?}");
}

#[test]
fn calls_under_way_go_on_and_new_ones_find_the_new_settings() {
    let mut world = World::new(1, |config| config.anchor = AnchorPolicy::Always);
    let alice = singer(&mut world, "alice", "1001", 440.0);
    let bob = singer(&mut world, "bob", "1002", 600.0);
    let carol = singer(&mut world, "carol", "1003", 800.0);
    world.call(alice, "bob");
    world.call(carol, "*43");
    world.pass(4 * SECOND);
    configure(&mut world, |config| {
        config.anchor = AnchorPolicy::Never;
        config.services.echo_number = Some("*44".into());
    });
    world.pass(4 * SECOND);
    world.phones[alice.0].must_hear(600.0);
    world.phones[bob.0].must_hear(440.0);
    world.phones[carol.0].must_hear(800.0);
    for phone in [alice, carol] {
        let call = world.phones[phone.0].first_call();
        world.command(phone, Command::Hangup { call });
    }
    world.pass(SECOND);
    world.call(carol, "*43");
    world.pass(SECOND);
    assert_eq!(world.phones[carol.0].ends().last().unwrap().0, 404, "that number is no more");
    world.call(carol, "*44");
    // It is served under its own names still: alice and bob are of example.com.
    world.call(alice, "bob");
    world.pass(4 * SECOND);
    world.phones[carol.0].must_hear(800.0);
    world.phones[alice.0].must_hear(600.0);
    let now = world.now();
    assert_eq!(world.office.status(now).anchored, 1, "of the two, only the echo");
}

#[test]
fn a_group_that_is_new_rings() {
    let mut world = World::new(1, |_| {});
    let alice = singer(&mut world, "alice", "1001", 440.0);
    let bob = singer(&mut world, "bob", "1002", 600.0);
    configure(&mut world, |config| {
        config.services.groups.push(Group {
            number: "600".into(),
            name: "All".into(),
            members: vec!["1002".into()],
            strategy: Strategy::All,
            rings_for: 8 * SECOND,
            then: None,
            skip_busy: true,
            follow_forwards: false,
            hours: None,
        });
    });
    world.call(alice, "600");
    world.pass(6 * SECOND);
    world.phones[alice.0].must_hear(600.0);
    world.phones[bob.0].must_hear(440.0);
}
