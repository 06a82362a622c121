//! Callers without an account: how many calls each source may begin.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// What strangers have begun lately, by source: an IPv4 address, or a /64 of IPv6, which one user has to choose from.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    sources: HashMap<IpAddr, Bucket>,
    /// Until then a full table is not looked through again.
    full_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Requests that may still come, in thousandths.
    left: u64,
    at: Instant,
}

impl Strangers {
    /// Whether a source may begin one more thing, of so many a minute; counts it. Not more than that at once either.
    pub(crate) fn admit(&mut self, source: IpAddr, per_minute: u32, now: Instant) -> bool {
        let source = network(source);
        if !self.sources.contains_key(&source) && !self.has_room(per_minute, now) {
            return false;
        }
        let most = u64::from(per_minute) * 1_000;
        let bucket = self.sources.entry(source).or_insert(Bucket { left: most, at: now });
        bucket.left = bucket.refilled(per_minute, now);
        bucket.at = now;
        let admitted = bucket.left >= 1_000;
        if admitted {
            bucket.left -= 1_000;
        }
        admitted
    }

    /// Who has been quiet for long enough is forgotten when the table is full; if nobody has, nobody new comes in.
    fn has_room(&mut self, per_minute: u32, now: Instant) -> bool {
        if self.sources.len() < MOST_SOURCES {
            return true;
        }
        if self.full_until.is_some_and(|until| now < until) {
            return false;
        }
        let most = u64::from(per_minute) * 1_000;
        self.sources.retain(|_, bucket| bucket.refilled(per_minute, now) < most);
        self.full_until = (self.sources.len() >= MOST_SOURCES).then(|| now + Duration::from_secs(1));
        self.full_until.is_none()
    }
}

impl Bucket {
    fn refilled(&self, per_minute: u32, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.at).as_millis().min(60_000) as u64;
        let most = u64::from(per_minute) * 1_000;
        (self.left + passed * u64::from(per_minute) / 60).min(most)
    }
}

fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

/// Sources that are remembered.
const MOST_SOURCES: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        Instant::now()
    }

    #[test]
    fn a_source_has_its_share_of_each_minute_and_no_more() {
        let (mut strangers, start) = (Strangers::default(), start());
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let admitted = |strangers: &mut Strangers, from: &str, now, tries: u32| {
            (0..tries).filter(|_| strangers.admit(ip(from), 6, now)).count()
        };
        assert_eq!(admitted(&mut strangers, "192.0.2.1", start, 20), 6);
        assert_eq!(admitted(&mut strangers, "192.0.2.2", start, 20), 6, "another source");
        assert_eq!(admitted(&mut strangers, "192.0.2.1", start + Duration::from_secs(20), 20), 2);
        assert_eq!(admitted(&mut strangers, "192.0.2.1", start + Duration::from_secs(600), 20), 6);
        assert_eq!(admitted(&mut strangers, "2001:db8::1", start, 4), 4);
        assert_eq!(admitted(&mut strangers, "2001:db8::ffff:2", start, 4), 2, "the same /64");
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_quiet() {
        let (mut strangers, start) = (Strangers::default(), start());
        for n in 0..MOST_SOURCES as u32 {
            assert!(strangers.admit(std::net::Ipv4Addr::from(0x0a00_0000 + n).into(), 60, start));
        }
        let late: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(!strangers.admit(late, 60, start));
        assert!(!strangers.admit(late, 60, start + Duration::from_millis(999)), "not looked through again");
        assert!(strangers.admit(late, 60, start + Duration::from_secs(2)));
        assert_eq!(strangers.sources.len(), 1);
    }
}
