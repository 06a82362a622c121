//! Wrong PINs: whoever enters too many is not asked for a while, and for longer each time.

use std::collections::BTreeMap;
use std::time::Duration;

/// Who has entered wrong ones, by a name that callers cannot choose.
#[derive(Default)]
pub(super) struct Guesses(BTreeMap<String, Wrong>);

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

impl Guesses {
    /// One more, at `now` (Unix seconds); with so many a pause begins.
    pub(super) fn wrong(&mut self, who: &str, most: u32, now: u64) {
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

    /// For how long it is not asked from now on.
    pub(super) fn pause(&self, who: &str, now: u64) -> Option<Duration> {
        let until = self.0.get(who)?.until;
        (until > now).then(|| Duration::from_secs(until - now))
    }

    /// It knows the PIN.
    pub(super) fn right(&mut self, who: &str) {
        self.0.remove(who);
    }
}

/// Seconds of the first pause; each later one is twice as long.
const SHORTEST: u64 = 600;
/// Seconds of peace after which nobody remembers, and the longest pause.
const FORGOTTEN: u64 = 24 * 3600;
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_gets_fewer_tries_the_longer_it_goes_on() {
        let (mut guesses, mut now, mut tries) = (Guesses::default(), 1_800_000_000, 0);
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
        let mut guesses = Guesses::default();
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
}
