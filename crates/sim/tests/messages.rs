//! Text messages (RFC 3428): at once to who is there, kept for who is not.
//!
//! `SAVE_FLOWS=1 cargo test -p offhook-sim --test messages` saves the ladders anew: look at the difference before you do.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::Config;
use offhook_exchange::message::TextState;
use offhook_sim::{Link, PhoneId, World, compare_with_saved};
use offhook_ua::{Command, Event, RequestId};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Alice is registered, Bob is not yet.
fn two(change: impl FnOnce(&mut Config)) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(1, change);
    let (alice, bob) = (world.phone("alice", Some("1001")), world.phone("bob", Some("1002")));
    world.register(alice);
    (world, alice, bob)
}

fn write(world: &mut World, phone: PhoneId, target: &str, text: &str) -> RequestId {
    let request = world.phones[phone.0].ua.next_request();
    let target = format!("sip:{target}@example.com").parse().unwrap();
    world.command(phone, Command::Message { request, target, text: text.into() });
    request
}

fn answer(world: &World, phone: PhoneId, of: RequestId) -> Option<u16> {
    world.phones[phone.0].events.iter().find_map(|event| match event {
        Event::Response { request, code, .. } if *request == of => Some(*code),
        _ => None,
    })
}

/// The texts that a phone has shown.
fn read(world: &World, phone: PhoneId) -> Vec<&str> {
    let texts = world.phones[phone.0].events.iter().filter_map(|event| match event {
        Event::MessageReceived { text, from, .. } => {
            assert_eq!(from.to_string(), "sip:alice@example.com");
            Some(text.as_str())
        }
        _ => None,
    });
    texts.collect()
}

fn states(world: &World) -> Vec<TextState> {
    world.office.texts.all().map(|(_, state)| state).collect()
}

#[test]
fn a_message_to_who_is_there_is_delivered_at_once_to_all_its_phones() {
    let (mut world, alice, bob) = two(|_| {});
    world.register(bob);
    let second = world.another_phone_of(bob, "bob at home");
    world.register(second);
    let sent = write(&mut world, alice, "1002", "hello");
    world.pass(SECOND);
    assert_eq!(answer(&world, alice, sent), Some(200));
    assert_eq!((read(&world, bob), read(&world, second)), (vec!["hello"], vec!["hello"]));
    assert_eq!(states(&world), [TextState::Delivered]);
    world.pass(60 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn messages_to_who_is_away_are_kept_and_delivered_in_order_once() {
    let (mut world, alice, bob) = two(|config| config.shards = 3);
    world.begin_ladder();
    let sent = ["one", "two", "three"].map(|text| {
        let request = write(&mut world, alice, "bob", text);
        world.pass(SECOND);
        request
    });
    assert_eq!(sent.map(|one| answer(&world, alice, one)), [Some(202); 3]);
    world.register(bob);
    world.pass(SECOND);
    compare_with_saved("message-kept", &world.ladder.draw(&["alice", "exchange", "bob"]));
    assert_eq!(read(&world, bob), ["one", "two", "three"]);
    assert_eq!(states(&world), [TextState::Delivered; 3]);
    // A refresh brings nothing twice, and what is written now goes at once.
    world.register(bob);
    let now = write(&mut world, alice, "bob", "four");
    world.pass(SECOND);
    assert_eq!(answer(&world, alice, now), Some(200));
    assert_eq!(read(&world, bob), ["one", "two", "three", "four"]);
    world.pass(60 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn a_phone_that_registers_while_a_dead_one_is_tried_gets_everything_in_order() {
    let (mut world, alice, bob) = two(|_| {});
    let second = world.another_phone_of(bob, "bob at home");
    // What is heard of the second phone comes late: the next message is under way by then.
    world.link = Link { delay: Duration::from_millis(20), jitter: Duration::from_millis(60), loss: 0.0 };
    world.register(second);
    world.unplug(second);
    for text in ["one", "two", "three"] {
        write(&mut world, alice, "bob", text);
        world.pass(12 * SECOND);
    }
    // It registers while the dead one is being tried.
    world.register(bob);
    world.pass(40 * SECOND);
    assert_eq!(read(&world, bob), ["one", "two", "three"]);
    assert_eq!(states(&world), [TextState::Delivered; 3]);
    world.pass(60 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn a_phone_that_died_while_registered_loses_no_message() {
    let (mut world, alice, bob) = two(|_| {});
    world.register(bob);
    world.unplug(bob);
    let sent = write(&mut world, alice, "bob", "are you there?");
    world.pass(10 * SECOND);
    assert_eq!(answer(&world, alice, sent), Some(202), "before the sender gives up");
    assert!(read(&world, bob).is_empty());
    world.phones[bob.0].dead = false;
    world.register(bob);
    world.pass(40 * SECOND);
    assert_eq!(read(&world, bob).last(), Some(&"are you there?"));
    assert_eq!(states(&world), [TextState::Delivered]);
}

#[test]
fn what_is_kept_outlives_the_exchange() {
    let (mut world, alice, bob) = two(|_| {});
    let sent = write(&mut world, alice, "bob", "before the crash");
    world.pass(SECOND);
    assert_eq!(answer(&world, alice, sent), Some(202));
    world.kill_and_restart_exchange();
    world.register(bob);
    world.pass(SECOND);
    assert_eq!(read(&world, bob), ["before the crash"]);
}

#[test]
fn a_message_that_nobody_reads_in_a_week_expires() {
    let (mut world, alice, bob) = two(|_| {});
    write(&mut world, alice, "bob", "old");
    world.pass(8 * DAY);
    write(&mut world, alice, "bob", "new");
    world.pass(SECOND);
    world.register(bob);
    world.pass(SECOND);
    assert_eq!(read(&world, bob), ["new"]);
    assert_eq!(states(&world), [TextState::Expired, TextState::Delivered]);
}

#[test]
fn too_many_too_large_and_unwanted_messages_are_refused_in_words() {
    let (mut world, alice, bob) = two(|config| config.messages.per_minute = 5);
    world.office.texts.most = Some(2);
    let codes = ["a", "b", "c"].map(|text| {
        let request = write(&mut world, alice, "bob", text);
        world.pass(SECOND);
        answer(&world, alice, request)
    });
    assert_eq!(codes, [Some(202), Some(202), Some(480)]);
    let codes = ["d", "e"].map(|text| {
        let request = write(&mut world, alice, "nobody", text);
        world.pass(SECOND);
        answer(&world, alice, request)
    });
    assert_eq!(codes, [Some(404); 2]);
    world.pass(60 * SECOND);
    let codes: Vec<_> = (0..6)
        .map(|_| {
            let request = write(&mut world, alice, "alice", "to myself");
            world.pass(SECOND);
            answer(&world, alice, request)
        })
        .collect();
    assert_eq!(codes, [Some(200), Some(200), Some(200), Some(200), Some(200), Some(503)]);
    world.register(bob);
    world.pass(SECOND);
    assert_eq!(read(&world, bob), ["a", "b"]);
}

#[test]
fn with_no_time_to_keep_there_is_nothing_kept() {
    let (mut world, alice, _) = two(|config| config.messages.keep = Duration::ZERO);
    let sent = write(&mut world, alice, "bob", "hello");
    world.pass(SECOND);
    assert_eq!(answer(&world, alice, sent), Some(480));
    assert_eq!(world.office.texts.all().count(), 0);
}
