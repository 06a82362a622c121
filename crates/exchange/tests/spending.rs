//! What accounts may spend by a trunk to which calls are forwarded.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::sync::Arc;
use std::time::Duration;

use bench::call::ALICE;
use bench::{Bench, in_dialog, reply, request, sdp};
use offhook_exchange::command::{Answer, Command, Ticket};
use offhook_exchange::config::{AnchorPolicy, Config};
use offhook_exchange::directory::{AddressOfRecord, Delta};
use offhook_exchange::event::{EndedBy, Event};
use offhook_exchange::io::Input;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Choice, Destination, Numbering, Rule, Trunk, TrunkAuth};
use offhook_exchange::spending::{Limits, Money, Rates, Spent};
use offhook_sip::{Name, Request, Response, Uri};

const CARRIER: &str = "198.51.100.9:5060";
const SECOND: Duration = Duration::from_secs(1);

/// A minute to Germany costs 0.60, paid by the second, and an account may spend 0.30 a day.
fn with_rates(config: &mut Config) {
    let Ok(Uri::Sip(server)) = "sip:198.51.100.9".parse() else { panic!("a URI") };
    config.trunks.push(Trunk::new("carrier", server, TrunkAuth::Address));
    config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
    config.plan.rules.push(Rule::new("all", Destination::Trunk(Choice::only("carrier"))));
    let table = "prefix,per_minute,connection,increments,currency\n+49,0.60,0,1/1,EUR\n";
    config.rates = Arc::new(Rates::parse(table).unwrap());
    config.limits.money_per_day = Some(Money(300_000));
}

fn dial(number: &str, call: &str) -> String {
    let sdp = sdp("192.0.2.10", 4000);
    request("INVITE", &format!("sip:{number}@example.com"), "alice", ALICE, "", &sdp)
        .replace("INVITEalice", call)
        .replace("call-alice", call)
}

/// The call as the carrier sees it, and its answer as Alice does.
fn answered(bench: &mut Bench, number: &str, call: &str) -> (Request, Response) {
    assert_eq!(bench.authenticated(ALICE, "alice", &dial(number, call)).status().code(), 100);
    bench.resolve("198.51.100.9");
    let invite = bench.request(CARRIER);
    let contact = "Contact: <sip:gateway@198.51.100.9>\n";
    bench.send(CARRIER, &reply(&invite, 200, "carrier", contact, &sdp("198.51.100.9", 6000)));
    (invite, bench.response(ALICE))
}

fn spent(bench: &mut Bench) -> Option<Spent> {
    bench.input(Input::Command(Ticket(0), Command::Spending(None)));
    match bench.answers.pop() {
        Some(Answer::Spending(reports)) => reports.first().map(|report| report.spent),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_forwarded_call_is_ended_at_the_limit_whether_its_media_goes_through_us_or_not() {
    for anchor in [AnchorPolicy::Never, AnchorPolicy::Auto, AnchorPolicy::Always] {
        let mut bench = Bench::with(|config| {
            with_rates(config);
            config.anchor = anchor;
        });
        let (_, ok) = answered(&mut bench, "030-1234567", "one");
        let is_theirs = String::from_utf8_lossy(ok.body()).contains("198.51.100.9");
        assert_eq!(is_theirs, anchor != AnchorPolicy::Always, "{anchor:?}");
        bench.pass(29 * SECOND);
        assert!(bench.take(ALICE).is_empty() && bench.take(CARRIER).is_empty());
        bench.pass(2 * SECOND);
        for party in [ALICE, CARRIER] {
            let bye = bench.request(party);
            assert!(bye.bytes().starts_with(b"BYE"));
            let reason = String::from_utf8_lossy(bye.raw(Name::Reason).unwrap()).into_owned();
            assert!(reason.contains("spent what it may"), "{reason}");
        }
        let ended = |one: &Event| matches!(one, Event::CallEnded { by: EndedBy::Exchange, .. });
        let stopped = |one: &Event| matches!(one, Event::SpendingStopped { ended: true, .. });
        let place = |what: &dyn Fn(&Event) -> bool| bench.events.iter().position(what).unwrap();
        // Whoever writes the record learns why before it learns that.
        assert!(place(&stopped) < place(&ended));
        assert_eq!(spent(&mut bench), Some(Spent { seconds: 30, money: Money(300_000) }));
        let answer = bench.authenticated(ALICE, "alice", &dial("030-1234567", "two"));
        assert_eq!(answer.status().code(), 403);
        let reason = String::from_utf8_lossy(answer.reason()).into_owned();
        assert!(reason.contains("0.30 of its 0.30 EUR"), "{reason}");
        assert!(bench.questions.is_empty());
        assert!(bench.events.iter().any(|one| matches!(one, Event::SpendingStopped { ended: false, .. })));
    }
}

#[test]
fn what_a_call_has_cost_is_known_when_a_phone_ends_it_and_nothing_is_left() {
    let mut bench = Bench::with(with_rates);
    let (invite, ok) = answered(&mut bench, "030-1234567", "one");
    bench.send(ALICE, &in_dialog("ACK", 2, &invite, &ok, true, ALICE));
    bench.pass(10 * SECOND);
    bench.send(ALICE, &in_dialog("BYE", 3, &invite, &ok, true, ALICE));
    let bye = bench.request(CARRIER);
    bench.send(CARRIER, &reply(&bye, 200, "", "", ""));
    assert_eq!(spent(&mut bench), Some(Spent { seconds: 10, money: Money(100_000) }));
    bench.pass(300 * SECOND);
    bench.relay();
    assert!(bench.shard.is_idle());
}

#[test]
fn a_call_that_nobody_takes_costs_nothing_and_help_costs_no_limit() {
    let mut bench = Bench::with(with_rates);
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("0301234567", "one")).status().code(), 100);
    bench.resolve("198.51.100.9");
    let invite = bench.request(CARRIER);
    bench.send(CARRIER, &reply(&invite, 486, "carrier", "", ""));
    assert_eq!(spent(&mut bench), None);
    bench.pass(40 * SECOND);
    assert!(bench.shard.is_idle());
    let none = Limits { money_per_day: Some(Money(0)), minutes_per_day: Some(0), calls: None };
    let delta = Delta::Limits(AddressOfRecord::new("alice", "example.com"), none);
    bench.input(Input::Command(Ticket(0), Command::Apply(Box::new(delta))));
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("0301234567", "two")).status().code(), 403);
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("112", "three")).status().code(), 100);
}

#[test]
fn an_account_has_its_own_limit_of_calls_and_new_rates_hold_at_once() {
    let mut bench = Bench::with(with_rates);
    let one = Limits { calls: Some(1), ..Limits::default() };
    let delta = Delta::Limits(AddressOfRecord::new("alice", "example.com"), one);
    bench.input(Input::Command(Ticket(0), Command::Apply(Box::new(delta))));
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("0301234567", "one")).status().code(), 100);
    let answer = bench.authenticated(ALICE, "alice", &dial("0301234567", "two"));
    assert_eq!(answer.status().code(), 403);
    assert!(String::from_utf8_lossy(answer.reason()).contains("as many calls as it may"));
    let table = "prefix,per_minute,connection,increments,currency\n+49,600,0,1/1,EUR\n";
    let rates = Arc::new(Rates::parse(table).unwrap());
    bench.input(Input::Command(Ticket(0), Command::Rates(rates)));
    let answer = bench.authenticated(ALICE, "alice", &dial("0301234567", "three"));
    assert!(String::from_utf8_lossy(answer.reason()).contains("costs more than is left"));
}

#[test]
fn an_unanswered_call_that_leaves_says_how_it_was_dialled_and_sent() {
    let mut bench = Bench::with(with_rates);
    assert_eq!(bench.authenticated(ALICE, "alice", &dial("030-1234567", "one")).status().code(), 100);
    let sent = bench.events.iter().find_map(|event| match event {
        Event::CallSent { trunk, dialled, sent, charged, .. } => {
            Some((trunk.as_str(), dialled.as_str(), sent.as_str(), charged.is_some()))
        }
        _ => None,
    });
    assert_eq!(sent, Some(("carrier", "030-1234567", "+49301234567", true)));
}
