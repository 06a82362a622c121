use std::time::Duration;

use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::event::{CalledLeg, EndedBy, Event};
use offhook_exchange::spending::{Money, Price};
use offhook_sip::Status;
use serde_json::Value;

use super::super::{Records, call_records, fuzz};
use super::entry::decode;
use super::*;

fn started(call: &str) -> Event {
    Event::CallStarted { call: call.into(), from: "<sip:a@b>".into(), to: "<sip:c@d>".into(), targets: 1 }
}

fn answered(call: &str) -> Event {
    Event::CallAnswered {
        call: call.into(),
        after: Duration::from_millis(1_500),
        anchored: false,
        by: "sip:c@e".into(),
        at: Some((([192, 0, 2, 9], 5060).into(), Duration::from_millis(7))),
        codec: None,
    }
}

fn ended(call: &str) -> Event {
    Event::CallEnded { call: call.into(), by: EndedBy::Callee }
}

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(1_795_346_002_000 + milliseconds)
}

fn records(data_dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(call_records(data_dir)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn events_come_back_as_they_were_and_a_torn_end_is_left_out() {
    let failed =
        |by| Event::CallFailed { call: "f".into(), status: Status::BUSY_HERE, reason: "Busy 忙".into(), by };
    let leg = Event::LegStarted { call: "a".into(), leg: "offhook-00-1".into() };
    let alice = AddressOfRecord::new("alice", "example.com");
    let price = Price { per_minute: Money(60_000), connection: Money(7), first: 60, then: 1 };
    let sent = |charged: bool| Event::CallSent {
        call: "a".into(),
        trunk: "carrier".into(),
        dialled: "030-1".into(),
        sent: "+49301".into(),
        charged: charged.then(|| (alice.clone(), 20_785)),
        price: charged.then_some(price),
        currency: "EUR".into(),
    };
    let what = "It is spent".to_owned();
    let stopped = Event::SpendingStopped { call: "a".into(), account: alice.clone(), what, ended: true };
    let busy =
        CalledLeg { to: "sip:x@y".into(), code: 486, reason: "Busy Here".into(), ..CalledLeg::default() };
    let agent = CalledLeg {
        at: Some(([192, 0, 2, 7], 5060).into()),
        trunk: Some("carrier".into()),
        call_id: Some("offhook-00-2".into()),
        began: at(1),
        answered: Some(at(2)),
        codec: Some("opus".into()),
        ..busy.clone()
    };
    let all = [
        started("a"),
        leg,
        Event::CallCame { call: "a".into(), trunk: "carrier".into() },
        Event::CallVerified { call: "a".into(), verdict: "passed A +49301234567".into() },
        sent(true),
        sent(false),
        Event::CallStayed { call: "a".into() },
        answered("a"),
        Event::LegEnded { call: "a".into(), leg: Box::new(busy) },
        Event::LegEnded { call: "a".into(), leg: Box::new(agent) },
        stopped,
        ended("a"),
        failed(None),
        failed(Some(EndedBy::Operator)),
    ];
    let mut octets = Vec::new();
    for (number, event) in (0..).zip(&all) {
        encode(&mut octets, at(number), event);
    }
    encode(&mut octets, at(9), &Event::Overload { refused: 1 });
    let read: Vec<_> = decode(&octets).map(|(unix, event)| format!("{unix:?} {event:?}")).collect();
    let expected: Vec<_> =
        (0..).zip(&all).map(|(number, event)| format!("{:?} {event:?}", at(number))).collect();
    assert_eq!(read, expected);
    for length in 0..octets.len() {
        assert!(decode(&octets[..length]).count() < all.len());
    }
}

#[test]
fn octets_that_are_no_entries_do_no_harm() {
    let mut octets = Vec::new();
    encode(&mut octets, at(1), &started("a"));
    for place in 0..octets.len() {
        for octet in [0, 1, 0x7f, 0xff] {
            let mut broken = octets.clone();
            broken[place] = octet;
            assert!(decode(&broken).count() <= 1);
        }
    }
}

#[test]
fn after_a_crash_each_call_has_exactly_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(folder.path(), 0);
    let mut live = Records::new(folder.path());
    let mut happens = |milliseconds, event: Event, is_seen: bool| {
        ledger.take(at(milliseconds), &event);
        ledger.flush().unwrap();
        if is_seen {
            live.take(at(milliseconds), event);
            live.flush();
        }
    };
    // Over and written down; over, but not written down; answered; ringing.
    happens(1, started("done"), true);
    happens(2, answered("done"), true);
    happens(3, ended("done"), true);
    for call in ["unwritten", "talking", "ringing"] {
        happens(4, started(call), true);
    }
    happens(5, answered("unwritten"), true);
    happens(6, ended("unwritten"), false);
    happens(7, answered("talking"), false);
    drop(ledger);
    for round in 0..2 {
        let written = recover(folder.path(), at(60_000)).unwrap();
        assert_eq!(written, if round == 0 { 3 } else { 0 });
    }
    let records = records(folder.path());
    let of = |id: &str| {
        let all: Vec<_> = records.iter().filter(|record| record["id"] == id).collect();
        assert_eq!(all.len(), 1, "{id}: {records:?}");
        all[0].clone()
    };
    assert_eq!((&of("done")["ended_by"], &of("unwritten")["ended_by"]), (&"callee".into(), &"callee".into()));
    let talking = of("talking");
    assert_eq!((&talking["code"], &talking["ended_by"]), (&200.into(), &Value::Null));
    assert_eq!(talking["reason"], "The exchange stopped before the call ended");
    assert_eq!(talking["ended_at"], "2026-11-22T11:14:22.000Z");
    assert_eq!(of("ringing")["code"], 503);
    assert_eq!(fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 0);
}

#[test]
fn a_record_that_was_cut_off_is_written_again_on_a_line_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(folder.path(), 0);
    for event in [started("a"), answered("a")] {
        ledger.take(at(1), &event);
    }
    ledger.flush().unwrap();
    fs::write(call_records(folder.path()), "{\"id\":\"a\",\"from").unwrap();
    assert_eq!(recover(folder.path(), at(9)).unwrap(), 1);
    assert_eq!(records(folder.path()).len(), 1);
}

#[test]
fn a_full_file_is_left_and_the_calls_of_it_that_last_are_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(folder.path(), 3);
    let mut live = Records::new(folder.path());
    let mut calls = 0;
    let left = loop {
        let call = format!("{calls:0>300}");
        for event in [started(&call), answered(&call)] {
            ledger.take(at(1), &event);
            live.take(at(1), event);
        }
        if calls > 0 {
            ledger.take(at(2), &ended(&call));
            live.take(at(2), ended(&call));
        }
        calls += 1;
        ledger.flush().unwrap();
        if let Some(left) = ledger.left() {
            break left;
        }
    };
    live.leave(left.clone());
    assert!(!left.exists());
    assert_eq!(records(folder.path()).len(), calls - 1);
    // What comes later stands in the next file.
    ledger.take(at(3), &started("late"));
    ledger.take(at(3), &answered("late"));
    ledger.flush().unwrap();
    assert_eq!(recover(folder.path(), at(9)).unwrap(), 2);
    let lasted = format!("{:0>300}", 0);
    let all = records(folder.path());
    assert_eq!(all.len(), calls + 1);
    assert!(all.iter().any(|record| record["id"] == lasted.as_str() && record["answered_at"] != Value::Null));
}

#[test]
fn calls_that_nobody_answers_wait_until_the_next_second_or_until_there_are_many() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(folder.path(), 0);
    ledger.take(at(1), &started("a"));
    ledger.flush().unwrap();
    assert!(!folder.path().join(FOLDER).exists());
    ledger.write().unwrap();
    assert_eq!(fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 1);
}

#[test]
fn a_damaged_ledger_is_read_as_far_as_it_goes() {
    let (from, to) = ("<sip:a@b>".to_owned(), "<sip:c@d>".to_owned());
    let most = Event::CallStarted { call: "b".into(), from, to, targets: u32::MAX as usize };
    let leg = Event::LegEnded { call: "a".into(), leg: Box::new(CalledLeg::default()) };
    let mut whole = Vec::new();
    for event in [started("a"), most, leg, answered("a"), ended("a"), answered("b")] {
        encode(&mut whole, at(1), &event);
    }
    let mut seed = 1_u64;
    let mut dice = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for _ in 0..20_000 {
        let mut damaged = whole.clone();
        for _ in 0..dice(4) {
            let place = dice(damaged.len());
            damaged[place] = dice(256) as u8;
        }
        damaged.truncate(dice(4 * damaged.len()) + 1);
        fuzz::ledger(&damaged);
    }
}
