//! Calls to other domains: found in the DNS, one server after the other (RFC 3263).
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::AnchorPolicy;
use offhook_sim::{Habit, PhoneId, World};
use offhook_sip_stack::locate::{DnsFailure, Question};
use offhook_ua::{Command, Event};

const SECOND: Duration = Duration::from_secs(1);
const BOB: &str = "sip:bob@other.example";

/// Alice is registered; two phones stand for the servers of other.example, whose SRV records name first one, then the other.
fn world(seed: u64, anchor: AnchorPolicy) -> (World, PhoneId, [PhoneId; 2]) {
    let mut world = World::new(seed, |config| config.anchor = anchor);
    let alice = world.phone("alice", None);
    let servers = [world.phone("one", None), world.phone("two", None)];
    world.phones[alice.0].sings = Some(440.0);
    world.register(alice);
    world.office.dns.naptr("other.example", 1, "SIP+D2U", "_sip._udp.other.example");
    for (at, server) in servers.iter().enumerate() {
        let name = format!("sip{at}.other.example");
        world.phones[server.0].sings = Some(1000.0 + 500.0 * at as f32);
        let ip = world.phones[server.0].address.ip();
        world.office.dns.srv("_sip._udp.other.example", at as u16, 5060, &name);
        world.office.dns.address(&name, ip);
    }
    (world, alice, servers)
}

fn hears(world: &World, phone: PhoneId, hz: f32) {
    let heard = world.phones[phone.0].heard_hz(1.5);
    assert!((heard - hz).abs() < 10.0, "{} hears {heard} Hz", world.phones[phone.0].name);
}

fn rang(world: &World, phone: PhoneId) -> bool {
    world.phones[phone.0].events.iter().any(|event| matches!(event, Event::Incoming { .. }))
}

/// Nothing is left once everybody has hung up.
fn is_over(mut world: World) {
    world.pass(130 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn the_preferred_server_answers_and_either_hangs_up() {
    for (anchor, callee_ends) in [(AnchorPolicy::Always, false), (AnchorPolicy::Never, true)] {
        let (mut world, alice, [one, two]) = world(31, anchor);
        let call = world.call(alice, BOB);
        world.pass(6 * SECOND);
        hears(&world, alice, 1000.0);
        hears(&world, one, 440.0);
        assert!(!rang(&world, two));
        if callee_ends {
            let call = world.phones[one.0].ua.calls()[0];
            world.command(one, Command::Hangup { call });
        } else {
            world.command(alice, Command::Hangup { call });
        }
        world.pass(SECOND);
        assert_eq!(world.phones[alice.0].ends()[0].0, 200);
        assert_eq!(world.phones[one.0].ends()[0].0, 200);
        is_over(world);
    }
}

#[test]
fn a_dead_server_is_passed_over_within_seconds() {
    let (mut world, alice, [one, two]) = world(32, AnchorPolicy::Always);
    world.unplug(one);
    let call = world.call(alice, BOB);
    world.pass(10 * SECOND);
    hears(&world, alice, 1500.0);
    hears(&world, two, 440.0);
    world.command(alice, Command::Hangup { call });
    is_over(world);
}

#[test]
fn a_server_that_failed_is_tried_last_for_a_minute() {
    let (mut world, alice, [one, two]) = world(40, AnchorPolicy::Always);
    world.unplug(one);
    let call = world.call(alice, BOB);
    world.pass(7 * SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    let answered = |world: &World| {
        world.phones[two.0].events.iter().filter(|event| matches!(event, Event::Answered { .. })).count()
    };
    assert_eq!(answered(&world), 1);
    let call = world.call(alice, BOB);
    // The user takes two of them.
    world.pass(3 * SECOND);
    assert_eq!(answered(&world), 2);
    world.command(alice, Command::Hangup { call });
    is_over(world);
}

#[test]
fn a_server_that_is_out_of_service_sends_us_to_the_next() {
    let (mut world, alice, [one, two]) = world(33, AnchorPolicy::Auto);
    world.phones[one.0].habit = Habit::Refuse(503);
    let call = world.call(alice, BOB);
    world.pass(5 * SECOND);
    hears(&world, alice, 1500.0);
    hears(&world, two, 440.0);
    world.command(alice, Command::Hangup { call });
    is_over(world);
}

#[test]
fn a_refusal_is_the_callees_word_and_no_reason_to_ask_elsewhere() {
    let (mut world, alice, [one, two]) = world(34, AnchorPolicy::Auto);
    world.phones[one.0].habit = Habit::Refuse(486);
    world.call(alice, BOB);
    world.pass(8 * SECOND);
    assert_eq!(world.phones[alice.0].ends()[0].0, 486);
    assert!(!rang(&world, two));
    is_over(world);
}

#[test]
fn all_servers_dead_is_said_in_words() {
    let (mut world, alice, servers) = world(35, AnchorPolicy::Auto);
    servers.iter().for_each(|server| world.unplug(*server));
    world.call(alice, BOB);
    world.pass(45 * SECOND);
    let (code, reason) = world.phones[alice.0].ends()[0].clone();
    assert_eq!((code, reason.as_str()), (408, "The other domain does not respond"));
    is_over(world);
}

#[test]
fn a_dns_that_does_not_answer_delays_nobody_else() {
    let (mut world, alice, [one, _]) = world(36, AnchorPolicy::Auto);
    world.register(one);
    let carol = world.phone("carol", None);
    world.phones[carol.0].sings = Some(700.0);
    world.register(carol);
    world.office.dns.silent = true;
    for _ in 0..3 {
        world.call(alice, BOB);
    }
    world.pass(Duration::from_millis(100));
    world.call(carol, "one");
    world.pass(3 * SECOND);
    assert!(world.phones[carol.0].was_answered(), "a local call waits for no DNS");
    assert!(world.phones[alice.0].ends().is_empty(), "still looking");
    world.pass(5 * SECOND);
    let ends = world.phones[alice.0].ends();
    assert_eq!(ends.len(), 3);
    assert_eq!(ends[0], (503, "other.example cannot be reached: the DNS server does not answer".into()));
}

#[test]
fn what_the_dns_says_is_told() {
    let (mut world, alice, _) = world(37, AnchorPolicy::Auto);
    let address = |name: &str| Question::Addresses(name.into());
    world.office.dns.fails(address("empty.example"), DnsFailure::NoRecords);
    world.office.dns.fails(address("broken.example"), DnsFailure::ServerFailure);
    world.office.dns.srv("_sip._udp.none.example", 0, 0, ".");
    world.office.dns.srv("_sip._udp.us.example", 0, 5060, "sip.us.example");
    let own = world.office.address.ip();
    world.office.dns.address("sip.us.example", own);
    let rows = [
        ("nowhere.example", 404, "nowhere.example cannot be reached: the DNS knows no such name"),
        ("empty.example", 480, "empty.example cannot be reached: the DNS has no address for it"),
        ("none.example", 480, "none.example cannot be reached: it says in the DNS that it has no SIP"),
        ("broken.example", 503, "broken.example cannot be reached: the DNS server reports a failure"),
        ("us.example", 482, "us.example leads back here, but is not served here"),
    ];
    for (at, (domain, code, reason)) in rows.into_iter().enumerate() {
        world.call(alice, &format!("sip:bob@{domain}"));
        world.pass(SECOND);
        assert_eq!(world.phones[alice.0].ends()[at], (code, reason.to_owned()));
    }
    is_over(world);
}

#[test]
fn a_call_that_is_given_up_while_the_dns_is_asked_rings_nowhere() {
    let (mut world, alice, [one, two]) = world(38, AnchorPolicy::Always);
    world.office.dns.delay = 2 * SECOND;
    let call = world.call(alice, BOB);
    world.pass(SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND / 2);
    assert_eq!(world.phones[alice.0].ends()[0].0, 487);
    world.pass(20 * SECOND);
    assert!(!rang(&world, one) && !rang(&world, two));
    is_over(world);
}

#[test]
fn a_message_goes_to_another_domain_too() {
    let (mut world, alice, [one, two]) = world(39, AnchorPolicy::Auto);
    world.unplug(one);
    let request = world.phones[alice.0].ua.next_request();
    let target = BOB.parse().unwrap();
    world.command(alice, Command::Message { request, target, text: "hello".into() });
    world.pass(8 * SECOND);
    let got = |event: &Event| matches!(event, Event::MessageReceived { text, .. } if text == "hello");
    assert!(world.phones[two.0].events.iter().any(got));
    is_over(world);
}

/// Somebody wants Alice to talk with Bob, who is elsewhere.
fn click(world: &mut World) {
    use offhook_exchange::command::Command as Operator;
    use offhook_exchange::directory::AddressOfRecord;
    world.ask_exchange(&Operator::Connect(AddressOfRecord::new("alice", "example.com"), BOB.into()));
}

#[test]
fn services_call_other_domains_and_their_next_server_when_the_first_is_dead() {
    for dead in [false, true] {
        let (mut world, alice, [one, two]) = world(41, AnchorPolicy::Auto);
        let (answers, hz) = if dead { (two, 1500.0) } else { (one, 1000.0) };
        if dead {
            world.unplug(one);
        }
        click(&mut world);
        world.pass(12 * SECOND);
        hears(&world, alice, hz);
        hears(&world, answers, 440.0);
        let call = world.phones[answers.0].ua.calls()[0];
        world.command(answers, Command::Hangup { call });
        world.pass(SECOND);
        assert!(world.phones[alice.0].ua.calls().is_empty());
        is_over(world);
    }
}

#[test]
fn a_transfer_leads_to_another_domain() {
    let (mut world, alice, [one, _]) = world(42, AnchorPolicy::Auto);
    let carol = world.phone("carol", None);
    world.phones[carol.0].sings = Some(700.0);
    world.register(carol);
    world.private_call(alice, "carol");
    world.pass(6 * SECOND);
    let call = world.phones[carol.0].first_call();
    world.command(carol, Command::Transfer { call, target: BOB.parse().unwrap() });
    world.pass(8 * SECOND);
    hears(&world, alice, 1000.0);
    hears(&world, one, 440.0);
    assert!(world.phones[carol.0].ua.calls().is_empty());
    let call = world.phones[alice.0].first_call();
    world.command(alice, Command::Hangup { call });
    is_over(world);
}

#[test]
fn a_transfer_to_a_domain_that_cannot_be_found_fails_with_the_reason() {
    let (mut world, alice, _) = world(43, AnchorPolicy::Auto);
    let carol = world.phone("carol", None);
    world.register(carol);
    world.private_call(alice, "carol");
    world.pass(6 * SECOND);
    let call = world.phones[carol.0].first_call();
    for (target, code) in [("sip:bob@nowhere.example", 404), ("sip:bob@127.0.0.1:5070", 403)] {
        world.command(carol, Command::Transfer { call, target: target.parse().unwrap() });
        world.pass(3 * SECOND);
        let told = world.phones[carol.0].events.iter().rev().find_map(|event| match event {
            Event::Transfer { code, .. } => Some(*code),
            _ => None,
        });
        assert_eq!(told, Some(code), "{target}");
        assert_eq!(world.phones[alice.0].ua.calls().len(), 1, "{target}: the call goes on");
    }
    world.office.dns.silent = true;
    world.command(carol, Command::Transfer { call, target: BOB.parse().unwrap() });
    world.pass(40 * SECOND);
    world.command(carol, Command::Hangup { call });
    is_over(world);
}

#[test]
fn who_hangs_up_while_the_dns_is_asked_for_its_service_rings_nowhere() {
    let (mut world, alice, [one, two]) = world(44, AnchorPolicy::Auto);
    world.office.dns.delay = 3 * SECOND;
    click(&mut world);
    world.pass(3 * SECOND);
    let call = world.phones[alice.0].first_call();
    world.command(alice, Command::Hangup { call });
    world.pass(20 * SECOND);
    assert!(!rang(&world, one) && !rang(&world, two));
    is_over(world);
}
