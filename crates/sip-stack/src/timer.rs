//! One ordered queue of deadlines per shard.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines of `O`, earliest first; equal deadlines keep the order in which they were armed.
///
/// There is no way to cancel: a machine remembers the deadline it armed and ignores any other.
#[derive(Debug)]
pub struct Timers<O> {
    queue: BinaryHeap<Reverse<(Instant, u64, O)>>,
    armed: u64,
}

impl<O: Ord> Timers<O> {
    /// A queue with nothing armed.
    pub fn new() -> Self {
        Self { queue: BinaryHeap::new(), armed: 0 }
    }

    /// Asks for `owner` to be woken at `deadline`.
    pub fn arm(&mut self, deadline: Instant, owner: O) {
        self.armed += 1;
        self.queue.push(Reverse((deadline, self.armed, owner)));
    }

    /// The next deadline, if any is armed.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((deadline, ..))| *deadline)
    }

    /// The next owner whose deadline is not after `now`, with that deadline.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, O)> {
        if self.next_deadline()? > now {
            return None;
        }
        self.queue.pop().map(|Reverse((deadline, _, owner))| (deadline, owner))
    }

    /// How many deadlines are armed, also those whose owner no longer cares.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is armed.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl<O: Ord> Default for Timers<O> {
    fn default() -> Self {
        Self::new()
    }
}
