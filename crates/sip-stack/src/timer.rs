//! One ordered queue of deadlines per shard.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Instant;

/// Deadlines of `O`, earliest first; equal deadlines keep the order in which they were armed.
///
/// There is no way to cancel: a machine remembers the deadline it armed and ignores any other. A call arms about ten
/// and nearly all come to nothing, so what is far off lies unordered, by the tick that it falls into, and is put in
/// order only when its tick is the next.
#[derive(Debug)]
pub struct Timers<O> {
    /// What falls into the ticks up to `tick`. It is empty only if nothing is armed.
    near: BinaryHeap<Reverse<(Instant, u64, O)>>,
    tick: u64,
    later: BTreeMap<u64, Vec<(Instant, O)>>,
    /// Where ticks are counted from: the first deadline that was armed.
    first: Option<Instant>,
    /// Numbers what is put into `near`, for the order of equal deadlines.
    ordered: u64,
    len: usize,
}

impl<O: Ord> Timers<O> {
    /// A queue with nothing armed.
    pub fn new() -> Self {
        let (near, later) = (BinaryHeap::new(), BTreeMap::new());
        Self { near, tick: 0, later, first: None, ordered: 0, len: 0 }
    }

    /// Asks for `owner` to be woken at `deadline`.
    pub fn arm(&mut self, deadline: Instant, owner: O) {
        self.len += 1;
        let first = *self.first.get_or_insert(deadline);
        let tick = deadline.saturating_duration_since(first).as_millis() as u64 / TICK;
        if self.near.is_empty() {
            self.tick = tick;
        }
        if tick <= self.tick {
            self.put_near(deadline, owner);
        } else {
            self.later.entry(tick).or_default().push((deadline, owner));
        }
    }

    /// The next deadline, if any is armed.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.near.peek().map(|Reverse((deadline, ..))| *deadline)
    }

    /// The next owner whose deadline is not after `now`, with that deadline.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, O)> {
        if self.next_deadline()? > now {
            return None;
        }
        let Reverse((deadline, _, owner)) = self.near.pop()?;
        self.len -= 1;
        if self.near.is_empty()
            && let Some((tick, due)) = self.later.pop_first()
        {
            self.tick = tick;
            // What a busy moment needed is not needed for ever.
            self.near.shrink_to(due.len());
            for (deadline, owner) in due {
                self.put_near(deadline, owner);
            }
        }
        Some((deadline, owner))
    }

    /// How many deadlines are armed, also those whose owner no longer cares.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is armed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn put_near(&mut self, deadline: Instant, owner: O) {
        self.ordered += 1;
        self.near.push(Reverse((deadline, self.ordered, owner)));
    }
}

impl<O: Ord> Default for Timers<O> {
    fn default() -> Self {
        Self::new()
    }
}

/// Milliseconds of a tick.
const TICK: u64 = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_come_in_order_and_equal_ones_as_armed() {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let start = Instant::now();
        let mut timers = Timers::new();
        let mut expected = Vec::new();
        // A fixed walk over near, far, equal and past deadlines, with pops in between.
        let mut step = 7_u64;
        let mut now = start;
        for owner in 0..5_000_u64 {
            step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let after = [0, 1, 15, 16, 17, 500, 4_000, 32_000, 180_000][(step >> 60) as usize % 9];
            let deadline = now + Duration::from_millis(after + (step >> 40) % 3);
            timers.arm(deadline, owner);
            expected.push((deadline, owner));
            if owner % 3 == 0 {
                now += Duration::from_millis((step >> 50) % 40);
                expected.sort();
                while let Some(popped) = timers.pop_due(now) {
                    assert_eq!(popped, expected.remove(0));
                }
                assert!(expected.first().is_none_or(|(deadline, _)| *deadline > now));
            }
            assert_eq!(timers.len(), expected.len());
            assert_eq!(timers.next_deadline(), expected.iter().map(|(deadline, _)| *deadline).min());
        }
        expected.sort();
        let end = now + Duration::from_secs(1_000);
        let rest: Vec<_> = std::iter::from_fn(|| timers.pop_due(end)).collect();
        assert_eq!(rest, expected);
        assert!(timers.is_empty() && timers.next_deadline().is_none());
    }
}
