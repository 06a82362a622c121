//! Addresses that are not listened to: those that have guessed passwords, and those that an operator has named.
//!
//! Nothing is answered to them. Those of our own machine and of local networks are never banned by themselves: behind one of them are
//! all phones of a house.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use ipnet::IpNet;

/// When an address is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanRules {
    /// So many wrong passwords …
    pub failures: u32,
    /// … within this time …
    pub window: Duration,
    /// … ban it for so long.
    pub duration: Duration,
}

impl Default for BanRules {
    fn default() -> Self {
        Self { failures: 8, window: Duration::from_secs(600), duration: Duration::from_secs(3600) }
    }
}

/// An address that is not listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// The address; of IPv6 the first of its /64, which one user has to choose from.
    pub address: IpAddr,
    /// Unix seconds from which on it is.
    pub since: u64,
    /// Unix seconds until which it is; `None`: until an operator ends it.
    pub until: Option<u64>,
    /// Why, in words.
    pub reason: String,
}

impl Ban {
    /// Whether it holds at this Unix time in seconds.
    pub fn holds(&self, unix: u64) -> bool {
        self.until.is_none_or(|until| unix < until)
    }
}

/// What stands for an address, and for all that its owner has besides.
pub fn banned_as(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

/// Whether guesses from an address can have it banned; never that of our own machine and of local networks.
pub(crate) fn may_ban(ip: IpAddr, local: &[IpNet]) -> bool {
    let ip = ip.to_canonical();
    !ip.is_loopback() && !local.iter().any(|network| network.contains(&ip))
}

/// What a shard knows of that.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    banned: HashMap<IpAddr, Ban>,
    failures: HashMap<IpAddr, Failures>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    since: Instant,
}

impl Bans {
    /// Whether nothing from there is listened to.
    pub(crate) fn holds(&self, from: IpAddr, unix: impl FnOnce() -> u64) -> bool {
        if self.banned.is_empty() {
            return false;
        }
        self.banned.get(&banned_as(from)).is_some_and(|ban| ban.holds(unix()))
    }

    /// A ban is known from now on, in place of one of the same address.
    pub(crate) fn set(&mut self, ban: Ban) {
        // An operator may add what is wanted; guessing alone does not fill it (see `failed`).
        self.failures.remove(&ban.address);
        self.banned.insert(ban.address, ban);
    }

    /// It is ended.
    pub(crate) fn lift(&mut self, address: IpAddr) {
        self.banned.remove(&address);
        self.failures.remove(&address);
    }

    /// Forgets what is over.
    pub(crate) fn sweep(&mut self, rules: &BanRules, now: Instant, unix: u64) {
        self.banned.retain(|_, ban| ban.holds(unix));
        self.failures.retain(|_, one| now.saturating_duration_since(one.since) < rules.window);
    }

    /// Somebody there has given wrong credentials, as this user; returns the ban that follows of it, which is not known yet.
    pub(crate) fn failed(
        &mut self,
        (from, username): (IpAddr, &str),
        rules: &BanRules,
        local: &[IpNet],
        (now, unix): (Instant, u64),
    ) -> Option<Ban> {
        if !may_ban(from, local) {
            return None;
        }
        let address = banned_as(from);
        if !self.failures.contains_key(&address) && self.failures.len() >= MOST_SOURCES {
            self.sweep(rules, now, unix);
            // Somebody guesses from very many addresses: who is counted already still is.
            if self.failures.len() >= MOST_SOURCES {
                return None;
            }
        }
        let one = self.failures.entry(address).or_insert(Failures { count: 0, since: now });
        if now.saturating_duration_since(one.since) >= rules.window {
            *one = Failures { count: 0, since: now };
        }
        one.count += 1;
        if one.count < rules.failures || self.banned.len() >= MOST_BANNED {
            return None;
        }
        let minutes = rules.window.as_secs().div_ceil(60);
        let shown: String = username.chars().filter(|c| !c.is_control()).take(64).collect();
        let reason = format!("{} wrong passwords within {minutes} min, the last as \"{shown}\"", one.count);
        let until = Some(unix.saturating_add(rules.duration.as_secs()));
        Some(Ban { address, since: unix, until, reason })
    }
}

/// Sources whose failures are counted.
const MOST_SOURCES: usize = 16_384;
/// Bans that follow of failures at a time.
const MOST_BANNED: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BanRules =
        BanRules { failures: 3, window: Duration::from_secs(60), duration: Duration::from_secs(600) };

    fn start() -> Instant {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        Instant::now()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// So many failures at once; the ban that follows.
    fn fail(bans: &mut Bans, from: &str, times: u32, now: Instant) -> Option<Ban> {
        let local = ["10.0.0.0/8".parse().unwrap()];
        (0..times).find_map(|_| bans.failed((ip(from), "admin"), &RULES, &local, (now, 1_000)))
    }

    #[test]
    fn who_guesses_often_enough_in_a_short_time_is_banned_and_not_for_ever() {
        let (mut bans, now) = (Bans::default(), start());
        assert_eq!(fail(&mut bans, "198.51.100.7", 2, now), None);
        assert_eq!(fail(&mut bans, "198.51.100.7", 2, now + Duration::from_secs(61)), None);
        let ban = fail(&mut bans, "198.51.100.7", 1, now + Duration::from_secs(62)).unwrap();
        assert_eq!((ban.address, ban.until), (ip("198.51.100.7"), Some(1_600)));
        assert!(ban.reason.contains("3 wrong passwords within 1 min") && ban.reason.contains("admin"));
        assert!(!bans.holds(ip("198.51.100.7"), || 1_000), "it has to be told of to be known");
        bans.set(ban);
        assert!(bans.holds(ip("::ffff:198.51.100.7"), || 1_599));
        assert!(!bans.holds(ip("198.51.100.7"), || 1_600) && !bans.holds(ip("198.51.100.8"), || 1_000));
        bans.sweep(&RULES, now + Duration::from_secs(700), 1_600);
        assert!(bans.banned.is_empty() && bans.failures.is_empty());
    }

    #[test]
    fn local_addresses_are_not_banned_by_themselves_and_a_user_of_ipv6_is_banned_with_all_its_addresses() {
        let (mut bans, now) = (Bans::default(), start());
        for local in ["127.0.0.1", "::1", "10.2.3.4", "::ffff:10.2.3.4"] {
            assert_eq!(fail(&mut bans, local, 100, now), None, "{local}");
        }
        assert_eq!(fail(&mut bans, "2001:db8::1", 2, now), None);
        let ban = fail(&mut bans, "2001:db8::2", 1, now).unwrap();
        bans.set(ban);
        assert!(bans.holds(ip("2001:db8::99"), || 1_000) && !bans.holds(ip("2001:db8:0:1::1"), || 1_000));
        bans.lift(banned_as(ip("2001:db8::7")));
        assert!(!bans.holds(ip("2001:db8::99"), || 1_000));
    }

    #[test]
    fn the_table_of_failures_is_bounded() {
        let (mut bans, now) = (Bans::default(), start());
        for n in 0..MOST_SOURCES as u32 + 10 {
            let from = IpAddr::from(std::net::Ipv4Addr::from(0xc000_0000 + n));
            bans.failed((from, ""), &RULES, &[], (now, 0));
        }
        assert_eq!(bans.failures.len(), MOST_SOURCES);
        assert!(fail(&mut bans, "192.0.0.1", 2, now).is_some(), "who is counted already still is");
        assert_eq!(fail(&mut bans, "198.51.100.7", 9, now), None);
        assert!(fail(&mut bans, "198.51.100.7", 3, now + Duration::from_secs(61)).is_some());
    }
}
