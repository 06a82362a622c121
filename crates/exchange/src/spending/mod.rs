//! What accounts may spend on calls that leave by trunks: looked at before an INVITE leaves, and while a call goes on.
//!
//! Each shard counts its own calls and tells the others of each change ([`ShardMessage::Spending`]), so that every shard finds
//! the same end by itself. A call belongs to the day on which it was placed.

mod price;
mod rates;
mod share;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::b2bua::CallId;
use crate::directory::AddressOfRecord;
use crate::event::Event;
use crate::io::ShardMessage;
pub use price::{Money, NoMoney, Price, seconds};
pub use rates::{RateMistake, Rates};
use share::Day;
pub use share::{Ends, Running, Share, Spent};

/// What an account may do; `None`: as the configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Calls at a time.
    pub calls: Option<u32>,
    /// Minutes of talk by trunks on a day.
    pub minutes_per_day: Option<u32>,
    /// Money on a day.
    pub money_per_day: Option<Money>,
}

impl Limits {
    /// Whether nothing is said, so that nothing has to be kept.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// These, and where they say nothing the others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            calls: self.calls.or(other.calls),
            minutes_per_day: self.minutes_per_day.or(other.minutes_per_day),
            money_per_day: self.money_per_day.or(other.money_per_day),
        }
    }

    fn ends(self) -> Ends {
        let seconds = self.minutes_per_day.map(|minutes| u64::from(minutes) * 60);
        Ends { seconds, money: self.money_per_day }
    }

    /// Whether calls have to be ended when an account has spent what it may.
    fn has_ends(self) -> bool {
        self.ends() != Ends::default()
    }
}

/// What an account has spent today, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendingReport {
    /// The account.
    pub account: String,
    /// Its calls by trunks now.
    pub calls: usize,
    /// What was spent.
    pub spent: Spent,
    /// What it may do.
    pub limits: Limits,
    /// The currency; empty without rates.
    pub currency: String,
}

/// A call that may leave, on the account of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) id: u64,
    pub(crate) account: AddressOfRecord,
    /// The day to which it belongs, in days since 1970-01-01 in the time zone of the plan.
    pub(crate) day: i32,
    pub(crate) price: Option<Price>,
    /// Whether it has to be ended by us when the account has spent what it may.
    pub(crate) has_ends: bool,
}

/// Why a call may not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    Minutes { most: u32 },
    Money { most: Money, spent: Money, currency: String },
    NoPrice { number: String },
}

impl fmt::Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minutes { most } => write!(f, "This account has used up its {most} minutes of today"),
            Self::Money { most, spent, currency } => write!(
                f,
                "This account has spent {spent} of its {most} {currency} of today, and this call costs more than is left"
            ),
            Self::NoPrice { number } => {
                write!(f, "There is no rate for {number}, and what this account may spend is limited")
            }
        }
    }
}

/// What is spent, at one shard.
pub(crate) struct Spending {
    shard: u8,
    shards: u8,
    time_zone: TimeZone,
    pub(crate) rates: std::sync::Arc<Rates>,
    usual: Limits,
    limits: HashMap<AddressOfRecord, Limits>,
    issued: u64,
    days: BTreeMap<(AddressOfRecord, i32), Day>,
    held: BTreeMap<u64, Held>,
    of_calls: HashMap<CallId, u64>,
    /// When to look at which day.
    due: BTreeSet<(Duration, AddressOfRecord, i32)>,
    /// For when an alarm is armed.
    armed: Option<Duration>,
    /// Days that have changed here since the others were told.
    untold: Vec<(AddressOfRecord, i32)>,
}

/// A call of this shard that is charged.
struct Held {
    account: AddressOfRecord,
    day: i32,
    call: Option<CallId>,
}

/// A call that has reached what its account may spend.
pub(crate) struct Reached {
    pub(crate) id: u64,
    /// The bridged call that it is; else it is forwarded.
    pub(crate) call: Option<CallId>,
    pub(crate) account: AddressOfRecord,
}

impl Spending {
    pub(crate) fn new(shard: u8, config: &crate::config::Config) -> Self {
        Self {
            shard,
            shards: config.shards,
            time_zone: config.plan.time_zone.clone(),
            rates: std::sync::Arc::clone(&config.rates),
            usual: config.limits,
            limits: HashMap::new(),
            issued: 0,
            days: BTreeMap::new(),
            held: BTreeMap::new(),
            of_calls: HashMap::new(),
            due: BTreeSet::new(),
            armed: None,
            untold: Vec::new(),
        }
    }

    /// Takes over other settings, but for the time zone: the days that are counted are days of that.
    pub(crate) fn configure(&mut self, config: &crate::config::Config) {
        self.rates = std::sync::Arc::clone(&config.rates);
        self.usual = config.limits;
    }

    /// What an account may do from now on.
    pub(crate) fn limit(&mut self, account: AddressOfRecord, limits: Limits, now: Duration) {
        if limits.is_usual() {
            self.limits.remove(&account);
        } else {
            self.limits.insert(account.clone(), limits);
        }
        let days: Vec<i32> =
            self.days.keys().filter(|(one, _)| *one == account).map(|(_, day)| *day).collect();
        days.into_iter().for_each(|day| self.look_at(&account, day, now));
    }

    /// What an account may do.
    pub(crate) fn limits(&self, account: &AddressOfRecord) -> Limits {
        // Most exchanges limit nobody by name.
        let own = if self.limits.is_empty() { None } else { self.limits.get(account).copied() };
        own.unwrap_or_default().or(self.usual)
    }

    /// Lets a call to a number leave on the account's costs, unless the account has spent what it may.
    ///
    /// # Errors
    /// Which limit is in the way.
    pub(crate) fn admit(
        &mut self,
        account: &AddressOfRecord,
        number: &str,
        now: Duration,
    ) -> Result<Charge, Barred> {
        let limits = self.limits(account);
        let price = self.rates.price(number);
        let day = self.day(now);
        let key = (account.clone(), day);
        let spent = self.days.get(&key).map(|day| day.spent(now)).unwrap_or_default();
        if let Some(most) = limits.minutes_per_day
            && spent.seconds >= u64::from(most) * 60
        {
            return Err(Barred::Minutes { most });
        }
        if let Some(most) = limits.money_per_day {
            let least = price.ok_or_else(|| Barred::NoPrice { number: number.to_owned() })?.of(0);
            if spent.money.plus(least) > most {
                let currency = self.rates.currency().to_owned();
                return Err(Barred::Money { most, spent: spent.money, currency });
            }
        }
        self.issued += 1;
        let id = self.issued;
        self.days.entry(key.clone()).or_default().here.running.push(Running { id, since: None, price });
        self.held.insert(id, Held { account: key.0.clone(), day, call: None });
        self.is_to_be_told(account, day);
        Ok(Charge { id, account: key.0, day, price, has_ends: limits.has_ends() })
    }

    /// A charge is that of a bridged call, in place of any that it had before.
    pub(crate) fn of_call(&mut self, id: u64, call: CallId, now: Duration) {
        if let Some(before) = self.of_calls.insert(call, id) {
            self.over(before, now);
        }
        if let Some(held) = self.held.get_mut(&id) {
            held.call = Some(call);
        }
    }

    /// A bridged call was answered.
    pub(crate) fn call_answered(&mut self, call: CallId, now: Duration) {
        if let Some(id) = self.of_calls.get(&call) {
            self.answered(*id, now);
        }
    }

    /// A bridged call is over, or goes elsewhere.
    pub(crate) fn call_over(&mut self, call: CallId, now: Duration) {
        if let Some(id) = self.of_calls.remove(&call) {
            self.over(id, now);
        }
    }

    /// A call was answered.
    pub(crate) fn answered(&mut self, id: u64, now: Duration) {
        let Some(Held { account, day, .. }) = self.held.get(&id) else { return };
        let (account, day) = (account.clone(), *day);
        if let Some(running) = self.running(&account, day, id) {
            running.since.get_or_insert(now);
        }
        self.is_to_be_told(&account, day);
        self.look_at(&account, day, now);
    }

    /// A call is over, or has not come to be.
    pub(crate) fn over(&mut self, id: u64, now: Duration) {
        let Some(Held { account, day, call }) = self.held.remove(&id) else { return };
        if let Some(call) = call.filter(|call| self.of_calls.get(call) == Some(&id)) {
            self.of_calls.remove(&call);
        }
        let Some(share) = self.days.get_mut(&(account.clone(), day)).map(|day| &mut day.here) else { return };
        if let Some(at) = share.running.iter().position(|one| one.id == id) {
            let call = share.running.swap_remove(at);
            if let Some(since) = call.since {
                let seconds = seconds(now.saturating_sub(since));
                let money = call.price.map_or(Money(0), |price| price.of(seconds));
                share.spent = share.spent.and(Spent { seconds, money });
            }
        }
        self.is_to_be_told(&account, day);
        self.look_at(&account, day, now);
    }

    fn running(&mut self, account: &AddressOfRecord, day: i32, id: u64) -> Option<&mut Running> {
        let day = self.days.get_mut(&(account.clone(), day))?;
        day.here.running.iter_mut().find(|one| one.id == id)
    }

    /// Another shard says what it knows of an account's day.
    pub(crate) fn note(
        &mut self,
        shard: u8,
        account: AddressOfRecord,
        day: i32,
        share: Share,
        now: Duration,
    ) {
        let known = self.days.entry((account.clone(), day)).or_default();
        if share.is_nothing() {
            known.elsewhere.remove(&shard);
        } else {
            known.elsewhere.insert(shard, share);
        }
        self.look_at(&account, day, now);
    }

    /// Arms what there is to be looked at, and forgets a day of which nothing is known.
    fn look_at(&mut self, account: &AddressOfRecord, day: i32, now: Duration) {
        let key = (account.clone(), day);
        let ends = self.limits(account).ends();
        let Some(known) = self.days.get_mut(&key) else { return };
        if let Some(before) = known.due.take() {
            self.due.remove(&(before, key.0.clone(), day));
        }
        if known.here.is_nothing() && known.elsewhere.is_empty() {
            self.days.remove(&key);
            return;
        }
        if known.here.running.iter().all(|one| one.since.is_none()) {
            return;
        }
        let outlook = known.outlook(self.shard, ends, now);
        known.due = if outlook.over.is_empty() { outlook.next } else { Some(now) };
        self.due.extend(known.due.map(|next| (next, key.0, day)));
    }

    /// The Unix time at which [`Spending::reached`] may have something, if no alarm is armed for it yet.
    pub(crate) fn next_look(&mut self) -> Option<Duration> {
        let next = self.due.first().map(|(at, ..)| *at)?;
        if self.armed.is_some_and(|armed| armed <= next) {
            return None;
        }
        self.armed = Some(next);
        Some(next)
    }

    /// The calls that are to be ended now.
    pub(crate) fn reached(&mut self, now: Duration) -> Vec<Reached> {
        let mut reached = Vec::new();
        if self.armed.is_some_and(|armed| armed <= now) {
            self.armed = None;
        }
        while let Some((at, ..)) = self.due.first()
            && *at <= now
        {
            let Some((_, account, day)) = self.due.pop_first() else { break };
            let ends = self.limits(&account).ends();
            let Some(known) = self.days.get_mut(&(account.clone(), day)) else { continue };
            let outlook = known.outlook(self.shard, ends, now);
            known.due = outlook.next.filter(|next| *next > now);
            self.due.extend(known.due.map(|next| (next, account.clone(), day)));
            for id in outlook.over {
                let Some(held) = self.held.get(&id) else { continue };
                reached.push(Reached { id, call: held.call, account: account.clone() });
            }
        }
        reached
    }

    /// Forgets days that are over, a day late.
    pub(crate) fn sweep(&mut self, now: Duration) {
        let today = self.day(now);
        self.days.retain(|(_, day), known| *day >= today - 1 || known.calls() > 0);
    }

    /// What changed here since it was asked last, for the others.
    pub(crate) fn changed(&mut self) -> Option<ShardMessage> {
        let (account, day) = self.untold.pop()?;
        let share = self.days.get(&(account.clone(), day)).map(|day| day.here.clone()).unwrap_or_default();
        Some(ShardMessage::Spending { shard: self.shard, account, day, share: Box::new(share) })
    }

    fn is_to_be_told(&mut self, account: &AddressOfRecord, day: i32) {
        let key = (account.clone(), day);
        if self.shards > 1 && !self.untold.contains(&key) {
            self.untold.push(key);
        }
    }

    /// Today's reports of all accounts that have spent something, or of this one; what others have spent is in it.
    pub(crate) fn reports(&self, account: Option<&AddressOfRecord>, now: Duration) -> Vec<SpendingReport> {
        let today = self.day(now);
        let report = |address: &AddressOfRecord, known: Option<&Day>| SpendingReport {
            account: address.to_string(),
            calls: known.map_or(0, Day::calls),
            spent: known.map(|day| day.spent(now)).unwrap_or_default(),
            limits: self.limits(address),
            currency: self.rates.currency().to_owned(),
        };
        match account {
            Some(account) => vec![report(account, self.days.get(&(account.clone(), today)))],
            None => {
                let of_today = self.days.iter().filter(|((_, day), _)| *day == today);
                of_today.map(|((account, _), known)| report(account, Some(known))).collect()
            }
        }
    }

    /// Whether no call is charged here.
    pub(crate) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.of_calls.is_empty()
    }

    /// The day of a Unix time.
    fn day(&self, unix: Duration) -> i32 {
        day(unix, &self.time_zone)
    }
}

impl Reached {
    /// What is told of it: to the phones, and to whoever looks after the exchange.
    pub(crate) const REASON: &'static str = "SIP;cause=403;text=\"The account has spent what it may\"";
    pub(crate) const WORDS: &'static str = "The account has spent what it may";
}

/// Somebody was kept from spending more.
pub(crate) fn alarm(call: &str, account: &AddressOfRecord, what: String, ended: bool) -> Event {
    Event::SpendingStopped { call: call.to_owned(), account: account.clone(), what, ended }
}

/// The day of a Unix time in a time zone, in days since 1970-01-01.
pub fn day(unix: Duration, time_zone: &TimeZone) -> i32 {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    let moment = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let offset = i64::from(time_zone.to_offset(moment).seconds());
    i32::try_from((moment.as_second() + offset).div_euclid(86_400)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
