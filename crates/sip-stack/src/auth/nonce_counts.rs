//! Which nonce counts were used, so that credentials cannot be replayed (RFC 7616 §3.4, §5.5).

use std::collections::BTreeMap;

/// The nonces in use, each with a window over the counts seen. Bounded: the oldest nonce gives way, and from then on
/// it and all older ones are refused as stale.
#[derive(Debug)]
pub(super) struct NonceCounts {
    windows: BTreeMap<NonceId, Window>,
    limit: usize,
    /// The last nonce that gave way.
    floor: Option<NonceId>,
}

/// When a nonce was issued, in Unix seconds, and the random number in it.
pub(super) type NonceId = (u64, u64);

/// Why a count is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was used, or is too far behind to know.
    Replayed,
    /// The nonce was forgotten.
    Stale,
}

/// The highest count seen, and which of the 63 below it were: requests may overtake one another.
#[derive(Debug)]
struct Window {
    highest: u32,
    seen: u64,
}

impl NonceCounts {
    pub(super) fn new(limit: usize) -> Self {
        Self { windows: BTreeMap::new(), limit: limit.max(1), floor: None }
    }

    /// Notes that `count` is used with a nonce. `oldest`: nonces issued before this are no longer valid.
    pub(super) fn accept(&mut self, nonce: NonceId, count: u32, oldest: u64) -> Result<(), Refused> {
        while self.windows.first_key_value().is_some_and(|((issued, _), _)| *issued < oldest) {
            self.windows.pop_first();
        }
        if let Some(window) = self.windows.get_mut(&nonce) {
            return window.accept(count);
        }
        if self.floor.is_some_and(|floor| nonce <= floor) {
            return Err(Refused::Stale);
        }
        self.windows.insert(nonce, Window { highest: count, seen: 1 });
        if self.windows.len() > self.limit {
            self.floor = self.windows.pop_first().map(|(nonce, _)| nonce);
        }
        Ok(())
    }
}

impl Window {
    fn accept(&mut self, count: u32) -> Result<(), Refused> {
        if count > self.highest {
            let ahead = count - self.highest;
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return Ok(());
        }
        let bit = 1_u64.checked_shl(self.highest - count).ok_or(Refused::Replayed)?;
        if self.seen & bit != 0 {
            return Err(Refused::Replayed);
        }
        self.seen |= bit;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_good_once_and_may_come_out_of_order() {
        let mut counts = NonceCounts::new(10);
        for (count, expected) in [
            (1, Ok(())),
            (1, Err(Refused::Replayed)),
            (3, Ok(())),
            (2, Ok(())),
            (2, Err(Refused::Replayed)),
            (100, Ok(())),
            (37, Ok(())),
            (36, Err(Refused::Replayed)),
            (u32::MAX, Ok(())),
            (100, Err(Refused::Replayed)),
        ] {
            assert_eq!(counts.accept((5, 0), count, 0), expected, "{count}");
        }
    }

    #[test]
    fn a_full_table_forgets_the_oldest_nonce_and_then_calls_it_stale() {
        let mut counts = NonceCounts::new(2);
        for issued in 1..=3 {
            assert_eq!(counts.accept((issued, 7), 1, 0), Ok(()));
        }
        assert_eq!(counts.accept((1, 7), 1, 0), Err(Refused::Stale));
        assert_eq!(counts.accept((0, 9), 1, 0), Err(Refused::Stale));
        assert_eq!(counts.accept((2, 7), 1, 0), Err(Refused::Replayed));
        assert_eq!(counts.windows.len(), 2);
    }

    #[test]
    fn nonces_past_their_life_leave_the_table() {
        let mut counts = NonceCounts::new(10);
        for issued in 1..=5 {
            assert_eq!(counts.accept((issued, 7), 1, 0), Ok(()));
        }
        assert_eq!(counts.accept((9, 7), 1, 6), Ok(()));
        assert_eq!(counts.windows.len(), 1);
    }
}
