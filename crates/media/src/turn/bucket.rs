//! How much of something is allowed in a time, and who has had how much of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Allows `rate` a second, and at once as much as in `burst`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// When it is full again. Before `now`, it is full.
    full_at: Instant,
}

/// How a bucket fills.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Units a second; not 0.
    pub(super) per_second: u64,
    /// How long it takes an empty bucket to fill.
    pub(super) burst: Duration,
}

impl Bucket {
    pub(super) const fn full(now: Instant) -> Bucket {
        Bucket { full_at: now }
    }

    /// Takes so many units out, if they are in.
    pub(super) fn take(&mut self, now: Instant, units: u64, rate: Rate) -> bool {
        let cost = Duration::from_nanos(units.saturating_mul(1_000_000_000) / rate.per_second.max(1));
        let full_at = self.full_at.max(now) + cost;
        let fits = full_at.saturating_duration_since(now) <= rate.burst;
        if fits {
            self.full_at = full_at;
        }
        fits
    }

    fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

/// Answers to those who have not proven who they are, by source address. Bounded.
#[derive(Debug)]
pub(super) struct Sources {
    buckets: BTreeMap<IpAddr, Bucket>,
    /// For all that found no room of their own.
    others: Bucket,
    cleaned: Instant,
}

impl Sources {
    pub(super) fn new(now: Instant) -> Sources {
        Sources { buckets: BTreeMap::new(), others: Bucket::full(now), cleaned: now }
    }

    /// Whether this source may have one more answer.
    pub(super) fn admits(&mut self, now: Instant, ip: IpAddr) -> bool {
        let key = network(ip);
        if let Some(bucket) = self.buckets.get_mut(&key) {
            return bucket.take(now, 1, ANSWERS);
        }
        if self.buckets.len() >= MOST_SOURCES && now.saturating_duration_since(self.cleaned) >= CLEANING {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.cleaned = now;
        }
        if self.buckets.len() >= MOST_SOURCES {
            return self.others.take(now, 1, OTHERS);
        }
        self.buckets.entry(key).or_insert(Bucket::full(now)).take(now, 1, ANSWERS)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }
}

/// What one customer has of IPv6 is a /64.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

const ANSWERS: Rate = Rate { per_second: 20, burst: Duration::from_secs(3) };
const OTHERS: Rate = Rate { per_second: 200, burst: Duration::from_secs(1) };
pub(super) const MOST_SOURCES: usize = 8_192;
const CLEANING: Duration = Duration::from_secs(1);
