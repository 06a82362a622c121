//! How late packets are: transit times of the recent past, their least (the base) and their spread.

use std::collections::VecDeque;

/// Transit times over a sliding window, in samples. A transit time is arrival minus timestamp, from an
/// arbitrary zero.
#[derive(Debug)]
pub(super) struct Timing {
    per_ms: i64,
    recent: VecDeque<i64>,
    /// The same, by size.
    sorted: Vec<i64>,
    /// When the last packet came, and whether it had been held up.
    last: Option<(i64, bool)>,
    /// Sound in a packet.
    packet: i64,
    /// How long nearly all packets have to wait.
    spread: i64,
    /// The last stall: when it ended, and how late its first packet was.
    stall: Option<(i64, i64)>,
}

impl Timing {
    pub(super) fn new(per_ms: i64) -> Timing {
        let (recent, sorted) = (VecDeque::with_capacity(WINDOW), Vec::with_capacity(WINDOW));
        Timing { per_ms, recent, sorted, last: None, packet: 20 * per_ms, spread: 0, stall: None }
    }

    /// Whether a transit time is so far off that the sender's clock must have leapt.
    pub(super) fn is_leap(&self, transit: i64) -> bool {
        !self.recent.is_empty() && (transit - self.base()).abs() > LEAP * self.per_ms
    }

    /// A packet of `samples` came at `arrival`.
    pub(super) fn measure(&mut self, arrival: i64, transit: i64, samples: i64) {
        if samples > 0 {
            self.packet = samples;
        }
        let late = transit - self.base();
        let held_up = !self.recent.is_empty() && late > self.spread.max(10 * self.per_ms);
        // Packets that were held up together are one event, or a single stall would be taken for jitter.
        let together = matches!(self.last, Some((before, true)) if arrival - before < self.per_ms * TOGETHER);
        self.last = Some((arrival, held_up));
        if together && held_up {
            return;
        }
        if held_up && (STALL..=LONGEST_STALL).contains(&(late / self.per_ms)) {
            self.stall = Some((arrival, late.max(self.after_stall(arrival))));
        }
        if self.recent.len() == WINDOW
            && let Some(oldest) = self.recent.pop_front()
            && let Ok(place) = self.sorted.binary_search(&oldest)
        {
            self.sorted.remove(place);
        }
        self.recent.push_back(transit);
        self.sorted.insert(self.sorted.partition_point(|other| *other < transit), transit);
        let nearly_all = self.sorted[(self.sorted.len() - 1) * COVERED / 1000];
        self.spread = nearly_all - self.base();
    }

    /// The transit time of a packet that suffered no delay.
    pub(super) fn base(&self) -> i64 {
        self.sorted.first().copied().unwrap_or(0)
    }

    /// Sound in a packet.
    pub(super) fn packet(&self) -> i64 {
        self.packet
    }

    /// How long such a packet should wait at `now`, in samples. `lossy`: until the next one is there too, so that a loss
    /// is known and its neighbour can help.
    pub(super) fn target(&self, now: i64, lossy: bool) -> i64 {
        let next = if lossy { self.packet.min(MAX_PACKET * self.per_ms) } else { 0 };
        let stall = self.after_stall(now);
        // A long one has brought the delay to what it took by itself: more would stretch the word that it broke.
        let margin = if stall > LONG_STALL * self.per_ms { 1 } else { MARGIN };
        ((self.spread + MARGIN * self.per_ms).max(stall + margin * self.per_ms) + next)
            .clamp(MIN_TARGET * self.per_ms, MAX_TARGET * self.per_ms)
    }

    /// What a stall like the last one takes, while another is to be expected: what makes one makes the next.
    fn after_stall(&self, now: i64) -> i64 {
        self.stall.filter(|(at, _)| now - at < STALL_REMEMBERED * self.per_ms).map_or(0, |(_, late)| late)
    }
}

/// Ten seconds of packets of 20 ms.
const WINDOW: usize = 500;
/// Thousandths of the packets that are to come in time.
const COVERED: usize = 975;
/// All below in ms.
const MARGIN: i64 = 4;
const MIN_TARGET: i64 = 10;
const MAX_TARGET: i64 = 400;
const MAX_PACKET: i64 = 60;
const LEAP: i64 = 2000;
/// Packets that come so close to each other were held up together.
const TOGETHER: i64 = 5;
/// So late is a stall, be it of one packet that others overtook, up to where waiting for the next would be worse than its gap.
const STALL: i64 = 15;
const LONGEST_STALL: i64 = 200;
/// Nothing is left to be played after it.
const LONG_STALL: i64 = 60;
const STALL_REMEMBERED: i64 = 8_000;
