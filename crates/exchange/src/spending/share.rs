//! What an account has spent on one day, and what its calls go on to spend.

use std::collections::BTreeMap;
use std::time::Duration;

use super::price::{Money, Price, seconds};

/// What calls that are over have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Seconds of talk.
    pub seconds: u64,
    /// Money.
    pub money: Money,
}

/// A call that is charged and goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its number at its shard.
    pub id: u64,
    /// The Unix time of its answer; `None`: it rings.
    pub since: Option<Duration>,
    /// What it costs, if that is known.
    pub price: Option<Price>,
}

/// What one shard knows of an account's day; complete in itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// By calls that are over.
    pub spent: Spent,
    /// Those that go on.
    pub running: Vec<Running>,
}

/// Until where an account may go on a day; `None`: without end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Seconds of talk.
    pub seconds: Option<u64>,
    /// Money.
    pub money: Option<Money>,
}

/// An account's day, as all shards see it.
#[derive(Clone, Debug, Default)]
pub(super) struct Day {
    pub(super) here: Share,
    /// By shard.
    pub(super) elsewhere: BTreeMap<u8, Share>,
    /// When one has to look at it again.
    pub(super) due: Option<Duration>,
}

/// What comes of the calls of an account.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outlook {
    /// Calls of this shard that have reached an end of the account.
    pub(super) over: Vec<u64>,
    /// The Unix time at which to look again.
    pub(super) next: Option<Duration>,
}

impl Running {
    fn seconds(&self, now: Duration) -> u64 {
        self.since.map_or(0, |since| seconds(now.saturating_sub(since)))
    }

    /// What it has cost until now; one that rings will cost no less than that.
    fn money(&self, now: Duration) -> Money {
        self.price.map_or(Money(0), |price| price.of(self.seconds(now)))
    }
}

impl Share {
    /// Nothing was spent, and nothing will be.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Day {
    /// Everything until now, calls that go on included.
    pub(super) fn spent(&self, now: Duration) -> Spent {
        let mut all = Spent::default();
        for share in self.shares() {
            all = all.and(share.spent);
            for one in &share.running {
                all = all.and(Spent { seconds: one.seconds(now), money: one.money(now) });
            }
        }
        all
    }

    /// Calls that go on.
    pub(super) fn calls(&self) -> usize {
        self.shares().map(|share| share.running.len()).sum()
    }

    fn shares(&self) -> impl Iterator<Item = &Share> {
        std::iter::once(&self.here).chain(self.elsewhere.values())
    }

    /// Which calls of this shard are over now, and when the next may be. All shards find the same, since they know the same.
    pub(super) fn outlook(&self, shard: u8, ends: Ends, now: Duration) -> Outlook {
        let mut all: Vec<(u8, Running)> = self.here.running.iter().map(|one| (shard, *one)).collect();
        for (other, share) in &self.elsewhere {
            all.extend(share.running.iter().map(|one| (*other, *one)));
        }
        all.retain(|(_, one)| one.since.is_some());
        let mut outlook = self.by_time(&all, own(&all, shard), ends, now);
        if let Some(most) = ends.money {
            self.by_money(shard, all, most, now, &mut outlook);
        }
        outlook
    }

    /// All calls end together when the seconds are used up.
    fn by_time(&self, all: &[(u8, Running)], own: Vec<u64>, ends: Ends, now: Duration) -> Outlook {
        let Some(left) = ends.seconds.map(|most| most.saturating_sub(self.spent(now).seconds)) else {
            return Outlook::default();
        };
        match (left, all.len() as u64) {
            (_, 0) => Outlook::default(),
            (0, _) => Outlook { over: own, next: None },
            (left, calls) => {
                let time = Duration::from_secs(left.div_ceil(calls).max(1));
                Outlook { over: Vec::new(), next: Some(now + time) }
            }
        }
    }

    /// A call ends at the moment from which it would have to pay more than there is.
    fn by_money(
        &self,
        shard: u8,
        all: Vec<(u8, Running)>,
        most: Money,
        now: Duration,
        outlook: &mut Outlook,
    ) {
        let mut spent = self.spent(now).money;
        if spent > most {
            outlook.over = own(&all, shard);
            return;
        }
        let mut paying: Vec<_> =
            all.into_iter().filter_map(|(shard, one)| Paying::new(shard, one, now)).collect();
        for _ in 0..STEPS {
            let Some(at) = (0..paying.len()).min_by_key(|at| paying[*at].moment()) else { return };
            let moment = paying[at].due();
            let more = paying[at].more();
            if spent.plus(more) <= most {
                spent = spent.plus(more);
                paying[at].pay();
            } else if moment <= now {
                let over = paying.swap_remove(at);
                if over.shard == shard && !outlook.over.contains(&over.id) {
                    outlook.over.push(over.id);
                }
            } else {
                return outlook.look_at(moment);
            }
        }
        if let Some(moment) = paying.iter().map(Paying::due).min() {
            outlook.look_at(moment.max(now + SHORTEST));
        }
    }
}

/// Those of one shard, whose numbers another shard may have too.
fn own(all: &[(u8, Running)], shard: u8) -> Vec<u64> {
    all.iter().filter(|(of, _)| *of == shard).map(|(_, one)| one.id).collect()
}

impl Outlook {
    fn look_at(&mut self, moment: Duration) {
        self.next = Some(self.next.map_or(moment, |next| next.min(moment)));
    }
}

/// A call, and until when it is paid.
struct Paying {
    shard: u8,
    id: u64,
    since: Duration,
    price: Price,
    paid: u64,
}

impl Paying {
    fn new(shard: u8, call: Running, now: Duration) -> Option<Self> {
        let (since, price) = (call.since?, call.price?);
        Some(Self { shard, id: call.id, since, price, paid: price.paid_until(call.seconds(now)) })
    }

    fn due(&self) -> Duration {
        self.since.saturating_add(Duration::from_secs(self.paid))
    }

    fn moment(&self) -> (Duration, u8, u64) {
        (self.due(), self.shard, self.id)
    }

    /// What it has to pay when that time is over.
    fn more(&self) -> Money {
        let next = self.price.of(self.paid.saturating_add(1));
        Money(next.0.saturating_sub(self.price.of(self.paid).0))
    }

    fn pay(&mut self) {
        self.paid = self.price.paid_until(self.paid.saturating_add(1));
    }
}

impl Spent {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let seconds = self.seconds.saturating_add(other.seconds);
        Self { seconds, money: self.money.plus(other.money) }
    }
}

/// Steps of paying that are looked ahead; after that one looks again.
const STEPS: usize = 256;
/// Looking again is never sooner than this.
const SHORTEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn at(seconds: u64) -> Duration {
        START + Duration::from_secs(seconds)
    }

    fn price(first: u32, then: u32) -> Price {
        Price { per_minute: Money(60), connection: Money(0), first, then }
    }

    fn running(id: u64, price: Price) -> Running {
        Running { id, since: Some(START), price: Some(price) }
    }

    fn money(most: u64) -> Ends {
        Ends { money: Some(Money(most)), seconds: None }
    }

    fn day(running: Vec<Running>) -> Day {
        Day { here: Share { running, ..Share::default() }, ..Day::default() }
    }

    #[test]
    fn a_call_ends_when_it_would_have_to_pay_more_than_there_is() {
        let one = day(vec![running(7, price(60, 60))]);
        // Three minutes, and a little that is not enough for a fourth.
        let outlook = one.outlook(0, money(190), at(5));
        assert_eq!(outlook, Outlook { over: vec![], next: Some(at(180)) });
        assert_eq!(one.outlook(0, money(190), at(180)).over, [7]);
        // A little late is no second.
        assert_eq!(one.outlook(0, money(190), at(180) + Duration::from_millis(300)).over, [7]);
        assert_eq!(one.spent(at(180) + Duration::from_millis(300)).money, Money(180));
        // It may go on for as long as it likes.
        assert_eq!(one.outlook(0, Ends::default(), at(180)), Outlook::default());
    }

    #[test]
    fn of_two_calls_the_one_ends_that_would_have_to_pay() {
        let mut two = day(vec![running(1, price(60, 60))]);
        let other = Running { since: Some(at(30)), ..running(1, price(60, 60)) };
        two.elsewhere.insert(1, Share { running: vec![other], ..Share::default() });
        // Each has paid a minute, and there is one more: it is for the first.
        let outlook = two.outlook(0, money(200), at(60));
        assert_eq!((outlook.over.len(), outlook.next), (0, Some(at(90))));
        let elsewhere = [(0, two.here.clone())].into();
        let elsewhere = Day { here: two.elsewhere[&1].clone(), elsewhere, due: None };
        assert_eq!(elsewhere.outlook(1, money(200), at(90)).over, [1]);
    }

    #[test]
    fn what_another_shard_has_spent_counts_and_what_rings_is_kept_free() {
        let mut one = day(vec![running(1, price(1, 1))]);
        let spent = Spent { seconds: 0, money: Money(50) };
        let rings = Running { id: 2, since: None, price: Some(price(20, 1)) };
        one.elsewhere.insert(3, Share { spent, running: vec![rings] });
        assert_eq!(one.outlook(0, money(100), at(0)).next, Some(at(30)));
        assert_eq!(one.outlook(0, money(100), at(30)).over, [1]);
    }

    #[test]
    fn calls_share_the_minutes() {
        let ends = Ends { seconds: Some(100), money: None };
        let two = day(vec![running(1, price(1, 1)), Running { price: None, ..running(2, price(1, 1)) }]);
        assert_eq!(two.outlook(0, ends, at(10)).next, Some(at(50)));
        assert_eq!(two.outlook(0, ends, at(50)).over, [1, 2]);
    }

    #[test]
    fn long_calls_paid_by_the_second_are_looked_at_again() {
        let one = day(vec![running(1, price(1, 1))]);
        let outlook = one.outlook(0, money(1_000_000), at(0));
        assert_eq!(outlook.over, Vec::<u64>::new());
        assert!(outlook.next.is_some_and(|next| next > at(200)));
    }
}
