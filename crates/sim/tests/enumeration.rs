//! Calls to numbers that the DNS knows (ENUM, RFC 6116), and what comes of those that it does not know.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::{AnchorPolicy, Config};
use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Destination, Numbering, Rule};
use offhook_sim::{PhoneId, World};
use offhook_sip_stack::locate::Question;
use offhook_ua::{Command, Event};

const SECOND: Duration = Duration::from_secs(1);
const DIALLED: &str = "sip:030-1234567@example.com";
const NUMBER: &str = "+49301234567";

/// Numbers are looked for in two trees; what neither knows goes to Carol.
fn plan(config: &mut Config) {
    config.anchor = AnchorPolicy::Always;
    config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
    config.plan.rules.push(Rule::new("own", Destination::Enum("own.test".into())));
    config.plan.rules.push(Rule::new("world", Destination::Enum("e164.arpa".into())));
    config
        .plan
        .rules
        .push(Rule::new("rest", Destination::Account(AddressOfRecord::new("carol", "example.com"))));
}

/// Alice, Carol, and Bob, who stands for the server of other.example.
fn world(seed: u64) -> (World, [PhoneId; 3]) {
    let mut world = World::new(seed, plan);
    let phones = ["alice", "carol", "bob"].map(|name| world.phone(name, None));
    let [alice, carol, bob] = phones;
    for (phone, hz) in [(alice, 440.0), (carol, 700.0), (bob, 1000.0)] {
        world.phones[phone.0].sings = Some(hz);
    }
    world.register(alice);
    world.register(carol);
    let ip = world.phones[bob.0].address.ip();
    world.office.dns.address("other.example", ip);
    (world, phones)
}

fn hears(world: &World, phone: PhoneId, hz: f32) {
    let heard = world.phones[phone.0].heard_hz(1.5);
    assert!((heard - hz).abs() < 10.0, "{} hears {heard} Hz", world.phones[phone.0].name);
}

fn rang(world: &World, phone: PhoneId) -> bool {
    world.phones[phone.0].events.iter().any(|event| matches!(event, Event::Incoming { .. }))
}

fn trees_asked(world: &World) -> Vec<&str> {
    let tree = |question: &'_ Question| match question {
        Question::Naptr(name) => {
            name.strip_prefix("7.6.5.4.3.2.1.0.3.9.4.").map(|tree| tree.to_owned().leak() as &str)
        }
        Question::Srv(_) | Question::Addresses(_) => None,
    };
    world.office.dns.asked.iter().filter_map(tree).collect()
}

fn talk(world: &mut World, alice: PhoneId, other: PhoneId, hz: f32) {
    let call = world.call(alice, DIALLED);
    world.pass(6 * SECOND);
    hears(world, alice, hz);
    hears(world, other, 440.0);
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    assert_eq!(world.phones[alice.0].ends()[0].0, 200);
    assert_eq!(world.phones[other.0].ends()[0].0, 200);
}

fn is_over(mut world: World) {
    world.pass(130 * SECOND);
    assert!(world.office.is_idle());
}

#[test]
fn a_number_that_the_dns_knows_is_called_there_and_both_hear_each_other() {
    let (mut world, [alice, carol, bob]) = world(71);
    world.office.dns.number(NUMBER, "e164.arpa", "!^\\+49(.*)$!sip:\\1@other.example!");
    talk(&mut world, alice, bob, 1000.0);
    assert_eq!(trees_asked(&world), ["own.test", "e164.arpa"]);
    assert!(!rang(&world, carol));
    is_over(world);
}

#[test]
fn a_number_that_no_tree_knows_goes_by_the_next_rule() {
    let (mut world, [alice, carol, bob]) = world(72);
    talk(&mut world, alice, carol, 700.0);
    assert_eq!(trees_asked(&world), ["own.test", "e164.arpa"]);
    assert!(!rang(&world, bob));
    is_over(world);
}

#[test]
fn what_the_dns_says_may_be_rubbish_or_lead_in_a_circle() {
    for (seed, expression) in [
        (73, "!^.*$!mailto:bob@other.example!"),
        (74, "!^.*$!sip:bob@other.example\r\nX: y!"),
        (75, "!(.{1,1000}){1,1000}!sip:bob@other.example!"),
        // Somebody here who does not exist.
        (76, "!^(.*)$!sip:\\1@example.com!"),
        (77, "!^(.*)$!sip:030-1234567@example.com!"),
    ] {
        let (mut world, [alice, carol, _]) = world(seed);
        world.office.dns.number(NUMBER, "own.test", expression);
        talk(&mut world, alice, carol, 700.0);
        is_over(world);
    }
}

#[test]
fn a_number_may_be_an_accounts_of_ours() {
    let (mut world, [alice, carol, _]) = world(78);
    world.office.dns.number(NUMBER, "own.test", "!^.*$!sip:carol@example.com!");
    talk(&mut world, alice, carol, 700.0);
    assert_eq!(trees_asked(&world), ["own.test"]);
    is_over(world);
}

#[test]
fn a_silent_dns_delays_such_a_call_and_no_other() {
    let (mut world, [alice, carol, bob]) = world(79);
    world.register(bob);
    world.office.dns.silent = true;
    let call = world.call(alice, DIALLED);
    world.call(carol, "bob");
    world.pass(3 * SECOND);
    assert!(world.phones[carol.0].was_answered(), "a local call waits for no DNS");
    assert!(!world.phones[alice.0].was_answered());
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    assert_eq!(world.phones[alice.0].ends()[0].0, 487);
    world.pass(10 * SECOND);
    assert!(!rang(&world, carol));
}

/// Somebody wants Alice to talk with the number.
fn click(world: &mut World) {
    use offhook_exchange::command::Command as Operator;
    world
        .ask_exchange(&Operator::Connect(AddressOfRecord::new("alice", "example.com"), "030-1234567".into()));
}

#[test]
fn services_look_for_numbers_too_and_take_the_next_rule_where_the_dns_knows_none() {
    for (seed, expression, carols) in [
        (80, Some("!^\\+49(.*)$!sip:\\1@other.example!"), false),
        (81, Some("!^.*$!sip:carol@example.com!"), true),
        (82, Some("!^.*$!mailto:bob@other.example!"), true),
        // Our own address leads in a circle.
        (83, Some("!^(.*)$!sip:\\1@example.com!"), true),
        (84, None, true),
    ] {
        let (mut world, [alice, carol, bob]) = world(seed);
        if let Some(expression) = expression {
            world.office.dns.number(NUMBER, "e164.arpa", expression);
        }
        click(&mut world);
        world.pass(12 * SECOND);
        let (other, hz) = if carols { (carol, 700.0) } else { (bob, 1000.0) };
        hears(&world, alice, hz);
        hears(&world, other, 440.0);
        assert_eq!(trees_asked(&world), ["own.test", "e164.arpa"], "{seed}");
        let call = world.phones[other.0].ua.calls()[0];
        world.command(other, Command::Hangup { call });
        world.pass(SECOND);
        assert!(world.phones[alice.0].ua.calls().is_empty());
        is_over(world);
    }
}

#[test]
fn who_waits_for_a_service_does_not_wait_for_the_dns_for_ever() {
    let (mut world, [alice, carol, bob]) = world(85);
    world.office.dns.silent = true;
    click(&mut world);
    world.pass(100 * SECOND);
    assert!(rang(&world, alice) && rang(&world, carol) && !rang(&world, bob));
    let call = world.phones[alice.0].first_call();
    world.command(alice, Command::Hangup { call });
    is_over(world);
}

#[test]
fn who_hangs_up_while_a_service_looks_for_a_number_rings_nowhere() {
    let (mut world, [alice, carol, bob]) = world(86);
    world.office.dns.delay = 3 * SECOND;
    click(&mut world);
    world.pass(3 * SECOND);
    let call = world.phones[alice.0].first_call();
    world.command(alice, Command::Hangup { call });
    world.pass(20 * SECOND);
    assert!(!rang(&world, carol) && !rang(&world, bob));
    is_over(world);
}
