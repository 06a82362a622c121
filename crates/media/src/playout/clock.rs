//! Our clock and the source's, in samples.

use std::time::Instant;

#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    rate: u32,
    ssrc: Option<u32>,
    /// The last timestamp as received, and without wrapping, in ticks.
    last: Option<(u32, i64)>,
}

impl Clock {
    pub(super) fn new(start: Instant, rate: u32) -> Clock {
        Clock { start, rate, ssrc: None, last: None }
    }

    pub(super) fn now(&self, now: Instant) -> i64 {
        let micros = now.saturating_duration_since(self.start).as_micros();
        i64::try_from(micros * u128::from(self.rate) / 1_000_000).unwrap_or(i64::MAX / 4)
    }

    /// Whether this is another source than before.
    pub(super) fn source(&mut self, ssrc: u32) -> bool {
        let other = self.ssrc.replace(ssrc).is_some_and(|before| before != ssrc);
        if other {
            self.last = None;
        }
        other
    }

    /// A timestamp in samples, without wrapping.
    pub(super) fn whole(&mut self, timestamp: u32, clock_rate: u32) -> i64 {
        let ticks = match self.last {
            Some((last, ticks)) => {
                ticks + i64::from(timestamp.wrapping_sub(last) as i32) * TICKS / i64::from(clock_rate.max(1))
            }
            None => 0,
        };
        self.last = Some((timestamp, ticks));
        ticks * i64::from(self.rate) / TICKS
    }
}

/// A multiple of every clock rate.
const TICKS: i64 = 48_000;
