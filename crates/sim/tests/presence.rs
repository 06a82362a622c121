//! Who watches whom: presence, lamps, registrations and message waiting (RFC 6665, 3856, 4235, 3680, 3842).
//!
//! `SAVE_FLOWS=1 cargo test -p offhook-sim --test presence` saves the ladders anew: look at the difference before you do.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::{AnchorPolicy, Authentication, Config};
use offhook_exchange::directory::{AddressOfRecord, Delta, Mailbox};
use offhook_exchange::presence::Watchers;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{Command, Event, RequestId};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn subscribe(world: &mut World, phone: PhoneId, target: &str, event: &str, expires: Duration) -> RequestId {
    let request = world.phones[phone.0].ua.next_request();
    let target = format!("sip:{target}@example.com").parse().unwrap();
    world.command(phone, Command::Subscribe { request, target, event: event.into(), expires });
    world.pass(SECOND);
    request
}

/// What a watcher was told, oldest first, and whether that was the last.
fn told(world: &World, phone: PhoneId, of: Option<RequestId>) -> Vec<(String, bool)> {
    let events = world.phones[phone.0].events.iter().filter_map(|event| match event {
        Event::Notified { request, body, terminated, .. } if *request == of => {
            Some((String::from_utf8(body.to_vec()).unwrap(), *terminated))
        }
        _ => None,
    });
    events.collect()
}

/// The code that a subscription was answered with last.
fn answer(world: &World, phone: PhoneId, of: RequestId) -> Option<u16> {
    world.phones[phone.0].events.iter().rev().find_map(|event| match event {
        Event::Response { request, code, .. } if *request == of => Some(*code),
        _ => None,
    })
}

/// The text between a tag and its end.
fn inside<'a>(document: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    document.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).collect()
}

/// The states of lamps, one for each NOTIFY.
fn lamps(world: &World, phone: PhoneId, of: RequestId) -> Vec<String> {
    told(world, phone, Some(of)).iter().map(|(body, _)| inside(body, "state").join(" ")).collect()
}

fn three(change: impl FnOnce(&mut Config)) -> (World, PhoneId, PhoneId, PhoneId) {
    let mut world = World::new(1, change);
    let alice = world.phone("alice", Some("1001"));
    let (bob, carol) = (world.phone("bob", Some("1002")), world.phone("carol", None));
    for phone in [alice, bob, carol] {
        world.register(phone);
    }
    (world, alice, bob, carol)
}

#[test]
fn a_lamp_blinks_lights_up_and_goes_out() {
    let (mut world, alice, _, carol) = three(|config| config.anchor = AnchorPolicy::Never);
    world.begin_ladder();
    let lamp = subscribe(&mut world, carol, "1002", "dialog", HOUR);
    let call = world.call(alice, "bob");
    world.pass(4 * SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    compare_with_saved("lamp", &world.ladder.draw(&["alice", "exchange", "bob", "carol"]));
    assert_eq!(lamps(&world, carol, lamp), ["", "trying", "early", "confirmed", "terminated"]);
    let all = told(&world, carol, Some(lamp));
    for (version, (body, _)) in all.iter().enumerate() {
        assert!(
            body.contains(&format!("version=\"{version}\" state=\"full\" entity=\"sip:bob@example.com\""))
        );
    }
    assert!(all[2].0.contains("direction=\"recipient\""), "{}", all[2].0);
    // Who calls is not said.
    assert!(all.iter().all(|(body, _)| !body.contains("alice")));
}

#[test]
fn a_call_that_nobody_answers_and_one_that_is_bridged_show_on_both_lamps() {
    let (mut world, alice, bob, carol) = three(|_| {});
    world.phones[bob.0].habit = Habit::Ignore;
    let lamps_of = ["alice", "bob"].map(|user| subscribe(&mut world, carol, user, "dialog", HOUR));
    let call = world.private_call(alice, "bob");
    world.pass(3 * SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(2 * SECOND);
    for lamp in lamps_of {
        assert_eq!(lamps(&world, carol, lamp), ["", "trying", "early", "terminated"]);
    }
    let of_alice = told(&world, carol, Some(lamps_of[0]));
    assert!(of_alice[1].0.contains("direction=\"initiator\""));
    // An end of ours: the echo test answers by itself.
    let call = world.call(alice, "*43");
    world.pass(2 * SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(2 * SECOND);
    assert_eq!(lamps(&world, carol, lamps_of[0]).last().unwrap(), "terminated");
    assert!(lamps(&world, carol, lamps_of[0]).contains(&"confirmed".to_owned()));
}

#[test]
fn lamps_show_calls_of_all_shards() {
    let (mut world, alice, bob, carol) = three(|config| config.shards = 3);
    world.phones[bob.0].habit = Habit::Answer(SECOND);
    let lamp = subscribe(&mut world, carol, "bob", "dialog", HOUR);
    for _ in 0..6 {
        let call = world.call(alice, "bob");
        world.pass(3 * SECOND);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
    }
    let states = lamps(&world, carol, lamp);
    for state in ["early", "confirmed", "terminated"] {
        assert_eq!(states.iter().filter(|one| *one == state).count(), 6, "{states:?}");
    }
    // Nobody watches any more: nothing is followed, nothing is told.
    world.command(carol, Command::Unsubscribe { request: lamp });
    world.pass(SECOND);
    assert_eq!(told(&world, carol, Some(lamp)).pop().map(|(_, last)| last), Some(true));
    let before = told(&world, carol, Some(lamp)).len();
    world.call(alice, "bob");
    world.pass(3 * SECOND);
    assert_eq!(told(&world, carol, Some(lamp)).len(), before);
}

#[test]
fn presence_is_open_while_a_phone_is_registered_and_says_when_it_is_on_the_phone() {
    let (mut world, alice, bob, carol) = three(|_| {});
    world.begin_ladder();
    let buddy = subscribe(&mut world, carol, "bob", "presence", HOUR);
    world.command(bob, Command::Unregister);
    world.pass(SECOND);
    world.register(bob);
    compare_with_saved("presence", &world.ladder.draw(&["exchange", "bob", "carol"]));
    let basic = |world: &World| {
        let all = told(world, carol, Some(buddy));
        all.iter().map(|(body, _)| inside(body, "basic").join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(basic(&world), ["open", "closed", "open"]);
    // A registration that is only refreshed is no news.
    world.register(bob);
    assert_eq!(basic(&world).len(), 3);
    let call = world.call(alice, "bob");
    world.pass(4 * SECOND);
    assert!(told(&world, carol, Some(buddy)).pop().unwrap().0.contains("<rpid:on-the-phone/>"));
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    assert!(!told(&world, carol, Some(buddy)).pop().unwrap().0.contains("on-the-phone"));
    // A phone that dies is closed when its registration has expired, within a minute.
    world.unplug(bob);
    world.pass(HOUR + 62 * SECOND);
    assert_eq!(basic(&world).pop().as_deref(), Some("closed"));
}

#[test]
fn the_contacts_of_an_account_are_its_own_business() {
    let (mut world, alice, bob, _) = three(|_| {});
    let own = subscribe(&mut world, bob, "bob", "reg", HOUR);
    let second = world.another_phone_of(bob, "bob at home");
    world.register(second);
    let all = told(&world, bob, Some(own));
    assert_eq!(all.len(), 2);
    assert_eq!(inside(&all[0].0, "uri").len(), 1);
    assert_eq!(inside(&all[1].0, "uri").len(), 2);
    assert!(all[1].0.contains("version=\"1\"") && all[1].0.contains("aor=\"sip:bob@example.com\""));
    for package in ["reg", "message-summary"] {
        let foreign = subscribe(&mut world, alice, "bob", package, HOUR);
        assert_eq!(answer(&world, alice, foreign), Some(403));
        assert!(told(&world, alice, Some(foreign)).is_empty());
    }
}

#[test]
fn waiting_messages_are_told_to_those_who_ask_and_to_phones_that_never_do() {
    let (mut world, _, bob, carol) = three(|config| config.shards = 3);
    let asked = subscribe(&mut world, bob, "bob", "message-summary", HOUR);
    let mailbox =
        |user: &str, new| Delta::Mailbox(AddressOfRecord::new(user, "example.com"), Mailbox { new, old: 8 });
    world.begin_ladder();
    for user in ["bob", "carol"] {
        world.tell_exchange(&mailbox(user, 2));
        world.pass(SECOND);
        // The same again is no news.
        world.tell_exchange(&mailbox(user, 2));
        world.pass(SECOND);
    }
    compare_with_saved("message-waiting", &world.ladder.draw(&["exchange", "bob", "carol"]));
    let of_bob = told(&world, bob, Some(asked));
    assert!(of_bob[0].0.contains("Messages-Waiting: no\r\n"), "{of_bob:?}");
    assert_eq!(
        of_bob[1].0,
        "Messages-Waiting: yes\r\nMessage-Account: sip:bob@example.com\r\nVoice-Message: 2/8 (0/0)\r\n"
    );
    assert_eq!(of_bob.len(), 2);
    assert!(told(&world, bob, None).is_empty(), "who asks is told once");
    let of_carol = told(&world, carol, None);
    assert_eq!(of_carol.len(), 1);
    assert!(of_carol[0].0.contains("Voice-Message: 2/8"));
    // A phone that comes is told, one that only refreshes is not.
    world.register(carol);
    assert_eq!(told(&world, carol, None).len(), 1);
    let second = world.another_phone_of(carol, "carol at home");
    world.register(second);
    assert_eq!((told(&world, second, None).len(), told(&world, carol, None).len()), (1, 1));
}

#[test]
fn a_subscription_is_refreshed_and_ends_with_its_phone() {
    let (mut world, _, bob, carol) = three(|_| {});
    let lamp = subscribe(&mut world, carol, "bob", "dialog", 600 * SECOND);
    world.pass(3 * HOUR);
    assert!(told(&world, carol, Some(lamp)).len() > 3, "each refresh is followed by the state");
    assert!(told(&world, carol, Some(lamp)).iter().all(|(_, last)| !last));
    world.unplug(carol);
    world.register(bob);
    world.pass(700 * SECOND);
    let now = world.now();
    assert_eq!(world.office.status(now).subscriptions, 0);
    assert!(world.office.is_idle());
}

#[test]
fn subscriptions_go_on_after_a_kill_and_their_watchers_are_told_the_state() {
    let (mut world, alice, bob, carol) = three(|config| config.shards = 3);
    let lamp = subscribe(&mut world, carol, "bob", "dialog", 600 * SECOND);
    let waiting = subscribe(&mut world, bob, "bob", "message-summary", 600 * SECOND);
    for round in 1..=3 {
        world.kill_and_restart_exchange();
        let before = [told(&world, carol, Some(lamp)).len(), told(&world, bob, Some(waiting)).len()];
        world.pass(SECOND);
        assert_eq!(told(&world, carol, Some(lamp)).len(), before[0] + 1, "told at once, round {round}");
        assert_eq!(told(&world, bob, Some(waiting)).len(), before[1] + 1);
        let call = world.call(alice, "bob");
        world.pass(4 * SECOND);
        assert_eq!(lamps(&world, carol, lamp).last().unwrap(), "confirmed");
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
        assert_eq!(lamps(&world, carol, lamp).last().unwrap(), "terminated");
        // It is refreshed in the same dialog, as if nothing had been.
        let refreshed = told(&world, carol, Some(lamp)).len();
        world.pass(600 * SECOND);
        assert!(told(&world, carol, Some(lamp)).len() > refreshed);
        let ended = |phone: PhoneId, of| told(&world, phone, Some(of)).iter().any(|(_, last)| *last);
        assert!(!ended(carol, lamp) && !ended(bob, waiting), "round {round}");
    }
    let versions = |body: &str| -> u32 {
        body.split("version=\"").nth(2).unwrap().split('"').next().unwrap().parse().unwrap()
    };
    let all: Vec<u32> = told(&world, carol, Some(lamp)).iter().map(|(body, _)| versions(body)).collect();
    assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
    world.command(carol, Command::Unsubscribe { request: lamp });
    world.command(bob, Command::Unsubscribe { request: waiting });
    world.pass(60 * SECOND);
    assert!(world.office.watches.is_empty(), "nothing is kept of what is over");
    let now = world.now();
    assert_eq!(world.office.status(now).subscriptions, 0);
}

#[test]
fn after_a_kill_watchers_are_told_one_after_the_other() {
    let (mut world, _, _, carol) = three(|_| {});
    let all: Vec<_> = (0..100).map(|_| subscribe(&mut world, carol, "bob", "dialog", HOUR)).collect();
    let told_of =
        |world: &World| -> usize { all.iter().map(|one| told(world, carol, Some(*one)).len()).sum() };
    let before = told_of(&world);
    world.kill_and_restart_exchange();
    world.pass(Duration::from_millis(250));
    let soon = told_of(&world) - before;
    assert!((20..=60).contains(&soon), "{soon}");
    world.pass(SECOND);
    assert_eq!(told_of(&world) - before, 100);
}

#[test]
fn a_subscription_that_ran_out_while_the_exchange_was_down_is_over() {
    let (mut world, _, _, carol) = three(|_| {});
    subscribe(&mut world, carol, "bob", "dialog", 60 * SECOND);
    world.unplug(carol);
    world.pass(50 * SECOND);
    for kept in world.office.watches.values_mut() {
        kept.expires_at -= 30;
    }
    world.kill_and_restart_exchange();
    let now = world.now();
    assert_eq!(world.office.status(now).subscriptions, 0);
}

#[test]
fn who_may_not_watch_or_asks_for_too_little_time_leaves_nothing_behind() {
    let (mut world, _, _, carol) = three(|config| config.presence.watch = Watchers::Nobody);
    for package in ["presence", "dialog"] {
        let foreign = subscribe(&mut world, carol, "bob", package, HOUR);
        assert_eq!(answer(&world, carol, foreign), Some(403));
        let own = subscribe(&mut world, carol, "carol", package, Duration::ZERO);
        assert_eq!(answer(&world, carol, own), Some(200));
        assert_eq!(told(&world, carol, Some(own)).pop().map(|(_, last)| last), Some(true));
    }
    // What is not served here goes to the phone, which knows nothing of it either.
    let other = subscribe(&mut world, carol, "bob", "refer", HOUR);
    assert_eq!(answer(&world, carol, other), Some(489));
    let now = world.now();
    assert_eq!(world.office.status(now).subscriptions, 0);
    world.pass(40 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn a_thousand_subscriptions_for_a_second_cost_nothing_lasting() {
    let (mut world, _, _, carol) = three(|_| {});
    let all: Vec<_> = (0..1000)
        .map(|_| {
            let request = world.phones[carol.0].ua.next_request();
            let target = "sip:bob@example.com".parse().unwrap();
            let command = Command::Subscribe {
                request,
                target,
                event: "dialog".into(),
                expires: Duration::from_secs(1),
            };
            world.command(carol, command);
            world.pass(Duration::from_millis(100));
            request
        })
        .collect();
    world.pass(SECOND);
    // Each is told that a minute is the least, and asks for that.
    assert!(all.iter().all(|one| answer(&world, carol, *one) == Some(200)));
    for request in all {
        world.command(carol, Command::Unsubscribe { request });
        world.pass(Duration::from_millis(100));
    }
    world.pass(40 * SECOND);
    let now = world.now();
    assert_eq!(world.office.status(now).subscriptions, 0);
    assert!(world.office.is_idle());
}

#[test]
fn an_account_that_is_removed_is_watched_no_more() {
    let (mut world, _, _, carol) = three(|_| {});
    let lamp = subscribe(&mut world, carol, "bob", "dialog", HOUR);
    world.tell_exchange(&Delta::AccountRemoved(AddressOfRecord::new("bob", "example.com")));
    world.pass(SECOND);
    assert_eq!(told(&world, carol, Some(lamp)).pop().map(|(_, last)| last), Some(true));
}

#[test]
fn without_passwords_everyone_watches_everyone() {
    let (mut world, _, bob, carol) = three(|config| config.authentication = Authentication::Off);
    let buddy = subscribe(&mut world, carol, "bob", "presence", HOUR);
    assert!(told(&world, carol, Some(buddy))[0].0.contains("<basic>open</basic>"));
    world.command(bob, Command::Unregister);
    world.pass(SECOND);
    assert!(told(&world, carol, Some(buddy))[1].0.contains("<basic>closed</basic>"));
}
