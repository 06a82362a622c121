//! How late packets are: transit times of the recent past, their least (the base) and their spread.

use std::collections::VecDeque;

/// Transit times over a sliding window, in samples. A transit time is arrival minus timestamp, from an
/// arbitrary zero.
#[derive(Debug)]
pub(super) struct Timing {
    recent: VecDeque<i64>,
    /// The same, by size.
    sorted: Vec<i64>,
    target: i64,
}

impl Timing {
    pub(super) fn new() -> Timing {
        let (recent, sorted) = (VecDeque::with_capacity(WINDOW), Vec::with_capacity(WINDOW));
        Timing { recent, sorted, target: MIN_TARGET }
    }

    /// Whether a transit time is so far off that the sender's clock must have leapt.
    pub(super) fn is_leap(&self, transit: i64) -> bool {
        !self.recent.is_empty() && (transit - self.base()).abs() > LEAP
    }

    pub(super) fn measure(&mut self, transit: i64) {
        if self.recent.len() == WINDOW
            && let Some(oldest) = self.recent.pop_front()
            && let Ok(place) = self.sorted.binary_search(&oldest)
        {
            self.sorted.remove(place);
        }
        self.recent.push_back(transit);
        self.sorted.insert(self.sorted.partition_point(|other| *other < transit), transit);
        let nearly_all = self.sorted[(self.sorted.len() - 1) * COVERED / 1000];
        self.target = (nearly_all - self.base() + MARGIN).clamp(MIN_TARGET, MAX_TARGET);
    }

    /// The transit time of a packet that suffered no delay.
    pub(super) fn base(&self) -> i64 {
        self.sorted.first().copied().unwrap_or(0)
    }

    /// How long such a packet should wait, in samples.
    pub(super) fn target(&self) -> i64 {
        self.target
    }
}

/// Ten seconds of packets of 20 ms.
const WINDOW: usize = 500;
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
