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
    /// Whether the window before had a rate at which resting pays.
    pays: bool,
    /// Since the last rest was asked for.
    came: bool,
}

impl Pace {
    /// Begins at `now`, with nothing known.
    pub(crate) fn new(now: Instant) -> Self {
        Self { window: now, messages: 0, pays: false, came: false }
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
            self.pays = (SELDOM..OFTEN).contains(&messages);
            (self.window, self.messages) = (now, 0);
        }
        (std::mem::take(&mut self.came) && self.pays).then_some(REST)
    }
}

const WINDOW: Duration = Duration::from_millis(10);
/// Messages in a window below which nearly every one has a wake-up of its own anyway.
const SELDOM: u128 = 15;
/// Messages in a window from which on they come together by themselves.
const OFTEN: u128 = 150;
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
        assert_eq!(rests(4, millisecond), 91);
        assert_eq!(rests(14, millisecond), 91);
        assert_eq!(rests(16, millisecond), 0);
        assert_eq!(rests(0, millisecond), 0);
    }

    #[test]
    fn a_look_that_found_nothing_and_a_long_sleep_end_it() {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.note(40);
        assert_eq!(pace.rest(start + WINDOW), Some(REST));
        assert_eq!(pace.rest(start + WINDOW + REST), None);
        pace.note(40);
        assert_eq!(pace.rest(start + 2 * WINDOW), Some(REST));
        pace.note(40);
        assert_eq!(pace.rest(start + Duration::from_secs(1)), None);
    }
}
