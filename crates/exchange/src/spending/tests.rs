use std::sync::Arc;

use super::*;
use crate::config::{Config, Key};

const START: Duration = Duration::from_secs(1_800_000_000);

fn at(seconds: u64) -> Duration {
    START + Duration::from_secs(seconds)
}

fn alice() -> AddressOfRecord {
    AddressOfRecord::new("alice", "example.com")
}

/// Shards of an exchange where a minute to Germany costs 0.60, and an account may spend 1.00 a day.
fn shards(count: u8) -> Vec<Spending> {
    let mut config = Config::new(vec!["example.com".into()], Key([1; 32]));
    let table = "prefix,per_minute,connection,increments,currency\n+49,0.60,0,1/1,EUR\n";
    config.rates = Arc::new(Rates::parse(table).unwrap());
    config.limits = Limits { money_per_day: Some(Money(1_000_000)), ..Limits::default() };
    config.shards = count;
    (0..count).map(|shard| Spending::new(shard, &config)).collect()
}

/// The others learn what one knows.
fn tell(shards: &mut [Spending], from: usize, now: Duration) {
    while let Some(ShardMessage::Spending { shard, account, day, share }) = shards[from].changed() {
        for (to, other) in shards.iter_mut().enumerate() {
            if to != from {
                other.note(shard, account.clone(), day, (*share).clone(), now);
            }
        }
    }
}

#[test]
fn a_call_that_would_pass_the_limit_does_not_leave_and_one_that_reaches_it_ends() {
    let mut one = shards(1).remove(0);
    let charge = one.admit(&alice(), "+4930123", at(0)).unwrap();
    assert!(charge.has_ends);
    one.answered(charge.id, at(10));
    assert_eq!(one.next_look(), Some(at(110)));
    assert!(one.reached(at(109)).is_empty());
    let reached: Vec<u64> = one.reached(at(110)).into_iter().map(|one| one.id).collect();
    assert_eq!(reached, [charge.id]);
    one.over(charge.id, at(110) + Duration::from_millis(4));
    assert_eq!(one.reports(None, at(111))[0].spent, Spent { seconds: 100, money: Money(1_000_000) });
    let barred = one.admit(&alice(), "+4930123", at(111)).unwrap_err().to_string();
    assert!(barred.contains("spent 1.00 of its 1.00 EUR"), "{barred}");
    // The next day is another.
    one.admit(&alice(), "+4930123", at(86_400)).unwrap();
    assert!(!one.is_idle());
}

#[test]
fn what_has_no_price_is_not_called_where_money_is_limited() {
    let mut one = shards(1).remove(0);
    let barred = one.admit(&alice(), "+1202", at(0)).unwrap_err();
    assert_eq!(barred, Barred::NoPrice { number: "+1202".into() });
    one.limit(alice(), Limits { money_per_day: Some(Money(0)), ..Limits::default() }, at(0));
    assert!(matches!(one.admit(&alice(), "+4930", at(0)), Err(Barred::Money { .. })));
}

#[test]
fn calls_at_other_shards_count_and_rings_are_kept_free() {
    let mut both = shards(2);
    let first = both[0].admit(&alice(), "+4930", at(0)).unwrap();
    both[0].answered(first.id, at(0));
    tell(&mut both, 0, at(0));
    let second = both[1].admit(&alice(), "+4930", at(40)).unwrap();
    both[1].answered(second.id, at(40));
    tell(&mut both, 1, at(40));
    // 0.40 are spent by then, and two calls spend the rest in half the time.
    assert_eq!((both[0].next_look(), both[1].next_look()), (Some(at(70)), Some(at(70))));
    assert!(both[0].reached(at(69)).is_empty() && both[1].reached(at(69)).is_empty());
    for at_shard in 0..2 {
        for one in both[at_shard].reached(at(70)) {
            both[at_shard].over(one.id, at(70));
        }
        tell(&mut both, at_shard, at(70));
    }
    assert!(both.iter().all(Spending::is_idle));
    for one in &both {
        assert_eq!(one.reports(None, at(71))[0].spent, Spent { seconds: 100, money: Money(1_000_000) });
    }
}

#[test]
fn a_call_that_did_not_come_to_be_costs_nothing_and_nothing_is_left_of_it() {
    let mut one = shards(1).remove(0);
    let charge = one.admit(&alice(), "+4930", at(0)).unwrap();
    one.of_call(charge.id, CallId(7), at(0));
    // It goes on to another number, on the same account.
    let other = one.admit(&alice(), "+4931", at(1)).unwrap();
    one.of_call(other.id, CallId(7), at(1));
    one.call_over(CallId(7), at(2));
    assert!(one.is_idle() && one.days.is_empty() && one.due.is_empty());
}

#[test]
fn minutes_end_calls_without_a_price_too() {
    let mut one = shards(1).remove(0);
    let limits = Limits { minutes_per_day: Some(1), money_per_day: Some(Money(u64::MAX)), calls: None };
    one.limit(alice(), limits, at(0));
    let charge = one.admit(&alice(), "+4930", at(0)).unwrap();
    one.of_call(charge.id, CallId(1), at(0));
    one.call_answered(CallId(1), at(5));
    assert_eq!(one.next_look(), Some(at(65)));
    assert_eq!(one.reached(at(65)).len(), 1);
    one.call_over(CallId(1), at(65));
    assert_eq!(one.admit(&alice(), "+4930", at(66)), Err(Barred::Minutes { most: 1 }));
}

#[test]
fn the_day_is_that_of_the_time_zone() {
    let zone = TimeZone::fixed(jiff::tz::offset(2));
    let evening = Duration::from_secs(86_400 - 3_600);
    assert_eq!((day(evening, &TimeZone::UTC), day(evening, &zone)), (0, 1));
}
