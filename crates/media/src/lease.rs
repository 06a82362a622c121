//! Ports lent to a shard, so that an answer never waits for media.

use crate::command::PortPair;
use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// A run of port pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortBlock {
    /// The first RTP port, even.
    pub first: u16,
    /// How many pairs.
    pub pairs: u16,
}

impl PortBlock {
    /// The whole pairs inside a range such as `20000..=20999`.
    pub fn within(range: RangeInclusive<u16>) -> PortBlock {
        let first = u32::from(*range.start()).max(2).next_multiple_of(2);
        let ports = (u32::from(*range.end()) + 1).saturating_sub(first);
        // An empty block when nothing fits; `first` is then of no meaning.
        PortBlock { first: u16::try_from(first).unwrap_or(0), pairs: (ports / 2) as u16 }
    }

    /// The pairs, in order.
    pub fn iter(self) -> impl Iterator<Item = PortPair> {
        let first = u32::from(self.first);
        (0..u32::from(self.pairs))
            .filter_map(move |n| PortPair::starting_at(u16::try_from(first + 2 * n).ok()?))
    }

    /// How many streams of two sides it has room for at a time.
    pub fn streams(self) -> u16 {
        self.pairs / 2
    }

    /// Cuts the block into `parts`, one a shard, whose room differs by at most one stream. No part but the last has a
    /// pair that is of no use without a second.
    pub fn split(self, parts: u16) -> Vec<PortBlock> {
        let parts = parts.max(1);
        let (each, rest, odd) = (self.streams() / parts, self.streams() % parts, self.pairs % 2);
        let mut first = self.first;
        (0..parts)
            .map(|n| {
                let streams = each + u16::from(n < rest);
                let pairs = 2 * streams + if n == parts - 1 { odd } else { 0 };
                let block = PortBlock { first, pairs };
                first = first.saturating_add(block.pairs.saturating_mul(2));
                block
            })
            .collect()
    }
}

/// The pairs that one shard may give to calls. Each is always in exactly one of three places: free, lent,
/// or resting after a call, so that late packets of the old call never reach a new one.
#[derive(Debug)]
pub struct Lease {
    free: VecDeque<PortPair>,
    lent: BTreeSet<PortPair>,
    resting: BTreeSet<(Instant, PortPair)>,
    quarantine: Duration,
}

impl Lease {
    /// A lease over `blocks`; a pair that comes back rests for `quarantine`. A pair named twice counts once.
    pub fn new(blocks: &[PortBlock], quarantine: Duration) -> Lease {
        let mut seen = BTreeSet::new();
        let free = blocks.iter().flat_map(|block| block.iter()).filter(|pair| seen.insert(*pair)).collect();
        Lease { free, lent: BTreeSet::new(), resting: BTreeSet::new(), quarantine }
    }

    /// Takes the pair that has been free the longest; `None` when all are lent or resting.
    pub fn take(&mut self, now: Instant) -> Option<PortPair> {
        self.wake(now);
        let pair = self.free.pop_front()?;
        self.lent.insert(pair);
        Some(pair)
    }

    /// Brings a pair home. `false` (and nothing changes) when it was not lent.
    pub fn give_back(&mut self, now: Instant, pair: PortPair) -> bool {
        self.rest(pair, now + self.quarantine)
    }

    /// Brings home a pair that could not be opened, to be tried again only after `rest`. `false` when it was
    /// not lent.
    pub fn set_aside(&mut self, now: Instant, pair: PortPair, rest: Duration) -> bool {
        self.rest(pair, now + rest)
    }

    /// How many pairs can be taken now.
    pub fn available(&self, now: Instant) -> usize {
        self.free.len() + self.resting.iter().take_while(|(until, _)| *until <= now).count()
    }

    /// How many pairs are with calls. Zero when every port is home.
    pub fn lent(&self) -> usize {
        self.lent.len()
    }

    /// How many pairs there are at all: free, lent and resting.
    pub fn total(&self) -> usize {
        self.free.len() + self.lent.len() + self.resting.len()
    }

    fn rest(&mut self, pair: PortPair, until: Instant) -> bool {
        self.lent.remove(&pair) && self.resting.insert((until, pair))
    }

    fn wake(&mut self, now: Instant) {
        while let Some(&(until, pair)) = self.resting.first()
            && until <= now
        {
            self.resting.pop_first();
            self.free.push_back(pair);
        }
    }
}

#[cfg(test)]
mod tests;
