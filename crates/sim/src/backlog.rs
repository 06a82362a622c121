//! What waits at an exchange that needs time for its work.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Datagrams in the order of their arrival, and what its signal thread knows of how long they wait.
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    /// What a message costs that comes, or goes.
    cost: Duration,
    /// How many there is room for; what comes then is lost, as in a full socket.
    room: usize,
    waiting: VecDeque<T>,
    /// When it is done with what it has in hand.
    free: Instant,
    /// How many it has taken since it last looked whether something is left.
    taken: usize,
    /// Since when something has always been left.
    behind: Option<Instant>,
}

/// After so many a signal thread looks whether something is left.
const ROUND: usize = 8;

impl<T> Backlog<T> {
    pub(crate) fn new(cost: Duration, room: usize, now: Instant) -> Self {
        Self { cost, room, waiting: VecDeque::new(), free: now, taken: 0, behind: None }
    }

    pub(crate) fn push(&mut self, one: T) {
        if self.waiting.len() < self.room {
            self.waiting.push_back(one);
        }
    }

    /// When the next is to be taken.
    pub(crate) fn next(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.free)
    }

    /// The next that waits, if there is time for it, and for how long something has always been left.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(T, Duration)> {
        let one = self.waiting.pop_front_if(|_| self.free <= now)?;
        Some((one, self.behind.map_or(Duration::ZERO, |since| now - since)))
    }

    /// It was dealt with, and so many messages went out.
    pub(crate) fn done(&mut self, now: Instant, sent: usize) {
        self.free = now + self.cost * (1 + sent as u32);
        self.taken += 1;
        if self.waiting.is_empty() {
            (self.taken, self.behind) = (0, None);
        } else if self.taken == ROUND {
            (self.taken, self.behind) = (0, self.behind.or(Some(now)));
        }
    }
}
