//! When a thread that handles messages rests, so that one wake-up serves many (decision 15).

use std::time::{Duration, Instant};

use crate::clock;

impl Default for Pace {
    fn default() -> Self {
        Self::new(clock::now())
    }
}

/// Counts messages and says how long to rest before the next are fetched.
#[derive(Debug)]
pub(crate) struct Pace {
    window: Instant,
    /// In this window so far.
    messages: usize,
    /// How many windows in a row had a rate at which resting pays.
    fitting: u32,
    /// Since the last rest was asked for.
    came: bool,
}

impl Pace {
    /// Begins at `now`, with nothing known.
    pub(crate) fn new(now: Instant) -> Self {
        Self { window: now, messages: 0, fitting: 0, came: false }
    }

    /// So many messages were fetched.
    pub(crate) fn note(&mut self, messages: usize) {
        self.messages += messages;
        self.came |= messages > 0;
    }

    /// How long to rest at `now`, if at all: not if the last look found nothing, for then the thread sleeps until something
    /// comes.
    pub(crate) fn rest(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.window);
        if passed >= WINDOW {
            // A window may have lasted longer, when the thread slept.
            let messages = self.messages as u128 * WINDOW.as_micros() / passed.as_micros().max(1);
            self.fitting = if (SELDOM..OFTEN).contains(&messages) { self.fitting + 1 } else { 0 };
            (self.window, self.messages) = (now, 0);
        }
        (std::mem::take(&mut self.came) && self.fitting >= STEADY).then_some(REST)
    }
}

const WINDOW: Duration = Duration::from_millis(10);
/// Windows in a row. Who is busy all the time sees one with few messages now and then, before those that were held up come all
/// at once: a rest is the last thing they need.
const STEADY: u32 = 5;
/// Messages in a window below which nearly every one has a wake-up of its own anyway.
const SELDOM: u128 = 15;
/// Messages in a window from which on a wake-up serves more than one by itself, and a rest is not worth what each would wait.
const OFTEN: u128 = 80;
/// What a message may wait on its way through.
const REST: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of the looks within a tenth of a second, each of which finds so many messages, end in a rest.
    fn rests(messages: usize, every: Duration) -> usize {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let looks = Duration::from_millis(100).as_micros() / every.as_micros();
        (1..=looks as u32)
            .filter(|look| {
                pace.note(messages);
                pace.rest(start + every * *look).is_some()
            })
            .count()
    }

    #[test]
    fn resting_is_for_rates_between_a_call_now_and_then_and_a_full_thread() {
        let millisecond = Duration::from_millis(1);
        assert_eq!(rests(1, millisecond), 0);
        assert_eq!(rests(4, millisecond), 51);
        assert_eq!(rests(7, millisecond), 51);
        assert_eq!(rests(8, millisecond), 0);
        assert_eq!(rests(0, millisecond), 0);
    }

    #[test]
    fn a_look_that_found_nothing_and_a_long_sleep_end_it() {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut after = |windows: u32, messages| {
            pace.note(messages);
            pace.rest(start + windows * WINDOW)
        };
        let steady = [1, 2, 3, 4, 5, 6].map(|windows| after(windows, 40).is_some());
        assert_eq!(steady, [false, false, false, false, true, true]);
        assert_eq!(after(6, 0), None);
        assert_eq!(after(7, 40), Some(REST));
        assert_eq!(after(100, 40), None, "a long sleep");
        let busy =
            [101, 102, 103, 104, 105].map(|windows| after(windows, if windows == 103 { 40 } else { 230 }));
        assert_eq!(busy, [None; 5], "one with few among many");
    }
}
