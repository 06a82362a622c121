//! How late packets are: transit times of the recent past, their least (the base) and their spread.

use std::collections::VecDeque;

/// Transit times over a sliding window, in samples. A transit time is arrival minus timestamp, from an
/// arbitrary zero.
#[derive(Debug)]
pub(super) struct Timing {
    recent: VecDeque<i64>,
    sorted: Vec<i64>,
    since_sorted: usize,
    base: i64,
    target: i64,
}

impl Timing {
    pub(super) fn new() -> Timing {
        let recent = VecDeque::with_capacity(WINDOW);
        Timing { recent, sorted: Vec::with_capacity(WINDOW), since_sorted: 0, base: 0, target: MIN_TARGET }
    }

    /// Whether a transit time is so far off that the sender's clock must have leapt.
    pub(super) fn is_leap(&self, transit: i64) -> bool {
        !self.recent.is_empty() && (transit - self.base).abs() > LEAP
    }

    pub(super) fn measure(&mut self, transit: i64) {
        if self.recent.is_empty() {
            self.base = transit;
        }
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(transit);
        self.base = self.base.min(transit);
        self.since_sorted += 1;
        if self.since_sorted >= SORT_EVERY || self.recent.len() <= SORT_EVERY {
            self.sort();
        }
    }

    /// The transit time of a packet that suffered no delay.
    pub(super) fn base(&self) -> i64 {
        self.base
    }

    /// How long such a packet should wait, in samples.
    pub(super) fn target(&self) -> i64 {
        self.target
    }

    fn sort(&mut self) {
        self.since_sorted = 0;
        self.sorted.clear();
        self.sorted.extend(&self.recent);
        self.sorted.sort_unstable();
        let nearly_all = (self.sorted.len() - 1) * COVERED / 1000;
        self.base = self.sorted[0];
        self.target = (self.sorted[nearly_all] - self.base + MARGIN).clamp(MIN_TARGET, MAX_TARGET);
    }
}

/// Ten seconds of packets of 20 ms.
const WINDOW: usize = 500;
const SORT_EVERY: usize = 10;
/// Thousandths of the packets that are to come in time.
const COVERED: usize = 975;
/// 5 ms.
const MARGIN: i64 = 40;
/// 20 ms.
const MIN_TARGET: i64 = 160;
/// 400 ms.
const MAX_TARGET: i64 = 3200;
/// 2 s.
const LEAP: i64 = 16_000;
