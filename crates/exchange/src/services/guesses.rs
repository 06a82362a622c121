//! Wrong PINs: whoever enters too many is not asked for a while, and for longer each time.
//!
//! Who has no account is counted by where it comes from, of which others may have any number. So all of them together are held
//! up as well, but never kept out: else one could keep out all.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::directory::AddressOfRecord;

/// Whose guesses these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Guesser {
    Account(AddressOfRecord),
    /// Where it comes from.
    Outside(String),
}

/// All wrong ones. Those from outside cannot push those of accounts out.
#[derive(Default)]
pub(super) struct Guesses {
    accounts: Counts,
    outside: Counts,
    /// How many too many there were from outside, of which one is forgotten every [`LEAK`] seconds, and when that was last done.
    level: u64,
    leaked: u64,
}

impl Guesses {
    /// One more, at `now` (Unix seconds); with so many a pause begins.
    pub(super) fn wrong(&mut self, who: &Guesser, most: u32, now: u64) {
        match who {
            Guesser::Account(account) => self.accounts.wrong(account.as_str(), most, now),
            Guesser::Outside(from) => {
                self.outside.wrong(from, most, now);
                self.level = (self.level_at(now) + 1).min(HIGHEST);
                self.leaked = now;
            }
        }
    }

    /// For how long it is not asked from now on.
    pub(super) fn pause(&self, who: &Guesser, now: u64) -> Option<Duration> {
        match who {
            Guesser::Account(account) => self.accounts.pause(account.as_str(), now),
            Guesser::Outside(from) => self.outside.pause(from, now),
        }
    }

    /// For how long what it enters is not looked at, because there were many wrong ones from outside.
    pub(super) fn delay(&self, who: &Guesser, now: u64) -> Option<Duration> {
        let over = match who {
            Guesser::Account(_) => return None,
            Guesser::Outside(_) => self.level_at(now).checked_sub(CALM)?,
        };
        Some(Duration::from_secs((FIRST_DELAY << (over / CALM).min(8)).min(LONGEST_DELAY)))
    }

    /// It knows the PIN.
    pub(super) fn right(&mut self, who: &Guesser) {
        match who {
            Guesser::Account(account) => self.accounts.right(account.as_str()),
            Guesser::Outside(from) => self.outside.right(from),
        }
    }

    fn level_at(&self, now: u64) -> u64 {
        self.level.saturating_sub(now.saturating_sub(self.leaked) / LEAK)
    }
}

/// Who has entered wrong ones.
#[derive(Default)]
struct Counts(BTreeMap<String, Wrong>);

struct Wrong {
    /// So many since the last pause, or since the first of them.
    tries: u32,
    /// So many pauses before.
    pauses: u32,
    /// Unix seconds of the last one.
    last: u64,
    /// Unix seconds before which it is not asked.
    until: u64,
}

impl Counts {
    fn wrong(&mut self, who: &str, most: u32, now: u64) {
        self.0.retain(|_, one| now.saturating_sub(one.last.max(one.until)) < FORGOTTEN);
        if self.0.len() >= MOST && !self.0.contains_key(who) {
            let oldest = self.0.iter().min_by_key(|(_, one)| one.last).map(|(who, _)| who.clone());
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        let one = self.0.entry(who.to_owned()).or_insert(Wrong { tries: 0, pauses: 0, last: now, until: 0 });
        one.tries += 1;
        one.last = now;
        if one.tries >= most {
            let pause = SHORTEST.saturating_mul(1 << one.pauses.min(16)).min(FORGOTTEN);
            one.until = now + pause;
            one.tries = 0;
            one.pauses += 1;
        }
    }

    fn pause(&self, who: &str, now: u64) -> Option<Duration> {
        let until = self.0.get(who)?.until;
        (until > now).then(|| Duration::from_secs(until - now))
    }

    fn right(&mut self, who: &str) {
        self.0.remove(who);
    }
}

/// Seconds of the first pause; each later one is twice as long.
const SHORTEST: u64 = 600;
/// Seconds of peace after which nobody remembers, and the longest pause.
const FORGOTTEN: u64 = 24 * 3600;
const MOST: usize = 10_000;
/// Wrong ones from outside that hold nobody up, and seconds after which one of them is forgotten.
const CALM: u64 = 60;
const LEAK: u64 = 60;
const HIGHEST: u64 = 10 * CALM;
/// Seconds.
const FIRST_DELAY: u64 = 5;
const LONGEST_DELAY: u64 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_gets_fewer_tries_the_longer_it_goes_on() {
        let (mut guesses, mut now, mut tries) = (Counts::default(), 1_800_000_000, 0);
        let end = now + 30 * 24 * 3600;
        while now < end {
            match guesses.pause("eve", now) {
                Some(pause) => now += pause.as_secs(),
                None => {
                    guesses.wrong("eve", 9, now);
                    tries += 1;
                    now += 5;
                }
            }
        }
        assert!((9 * 30..9 * 45).contains(&tries), "{tries} in a month");
        assert_eq!(guesses.pause("bob", now), None, "others are asked");
    }

    #[test]
    fn who_errs_now_and_then_is_asked_and_a_table_has_an_end() {
        let mut guesses = Counts::default();
        for day in 0..30 {
            for _ in 0..8 {
                guesses.wrong("alice", 9, day * FORGOTTEN);
            }
            assert_eq!(guesses.pause("alice", day * FORGOTTEN), None);
        }
        for _ in 0..9 {
            guesses.wrong("bob", 9, 0);
            guesses.right("bob");
        }
        assert_eq!(guesses.pause("bob", 0), None);
        for n in 0..MOST + 10 {
            guesses.wrong(&n.to_string(), 9, n as u64 / 1000);
        }
        assert_eq!(guesses.0.len(), MOST);
    }
    #[test]
    fn one_from_outside_keeps_itself_out_and_holds_others_up() {
        let (mut guesses, now) = (Guesses::default(), 1_800_000_000);
        let outside = |from: &str| Guesser::Outside(from.to_owned());
        let alice = Guesser::Account(AddressOfRecord::new("alice", "example.com"));
        for _ in 0..9 {
            guesses.wrong(&outside("trunk 1"), 9, now);
        }
        assert_eq!(guesses.pause(&outside("trunk 1"), now), Some(Duration::from_secs(SHORTEST)));
        assert_eq!(guesses.pause(&outside("trunk 2"), now), None);
        assert_eq!(guesses.delay(&outside("trunk 2"), now), None, "a few change nothing for others");
        for number in 0..1000 {
            guesses.wrong(&outside(&format!("trunk {number}")), 9, now);
        }
        let delay = |after| guesses.delay(&outside("trunk 5000"), now + after);
        assert_eq!(guesses.pause(&outside("trunk 5000"), now), None, "nobody else is kept out");
        assert_eq!(delay(0), Some(Duration::from_secs(LONGEST_DELAY)));
        assert_eq!(delay(LEAK * (HIGHEST - CALM)), Some(Duration::from_secs(FIRST_DELAY)));
        assert_eq!(delay(LEAK * HIGHEST), None, "it is forgotten");
        assert_eq!((guesses.pause(&alice, now), guesses.delay(&alice, now)), (None, None));
    }

    #[test]
    fn those_from_outside_do_not_push_an_account_out_of_the_table() {
        let (mut guesses, now) = (Guesses::default(), 1_800_000_000);
        let alice = Guesser::Account(AddressOfRecord::new("alice", "example.com"));
        for _ in 0..9 {
            guesses.wrong(&alice, 9, now);
        }
        for number in 0..MOST + 10 {
            guesses.wrong(&Guesser::Outside(number.to_string()), 9, now + 1);
        }
        assert_eq!(guesses.outside.0.len(), MOST);
        assert!(guesses.pause(&alice, now + 1).is_some());
    }
}
