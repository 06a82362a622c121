//! When a thread that handles messages rests, so that one wake-up serves many (decision 15).

use std::time::{Duration, Instant};

use crate::clock;

/// How many messages a look brought.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Came {
    /// In all.
    pub(crate) messages: usize,
    /// Without those that register somebody: nobody waits for a tone meanwhile.
    pub(crate) of_calls: usize,
}

impl Came {
    /// Counts a message.
    pub(crate) fn count(&mut self, message: &[u8]) {
        self.messages += 1;
        self.of_calls += usize::from(!message.starts_with(b"REGISTER "));
    }
}

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
    came_in: Came,
    /// How many windows in a row had a rate at which resting pays.
    fitting: u32,
    /// Since the last rest was asked for.
    came: bool,
}

impl Pace {
    /// Begins at `now`, with nothing known.
    pub(crate) fn new(now: Instant) -> Self {
        Self { window: now, came_in: Came::default(), fitting: 0, came: false }
    }

    /// So many messages were fetched.
    pub(crate) fn note(&mut self, came: Came) {
        self.came_in.messages += came.messages;
        self.came_in.of_calls += came.of_calls;
        self.came |= came.messages > 0;
    }

    /// How long to rest at `now`, if at all: not if the last look found nothing, for then the thread sleeps until something
    /// comes.
    pub(crate) fn rest(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.window);
        if passed >= WINDOW {
            // A window may have lasted longer, when the thread slept.
            let in_a_window = |came: usize| came as u128 * WINDOW.as_micros() / passed.as_micros().max(1);
            let messages = in_a_window(self.came_in.messages);
            let fits = (SELDOM..OFTEN).contains(&messages) && in_a_window(self.came_in.of_calls) < BUSY;
            self.fitting = if fits { self.fitting + 1 } else { 0 };
            (self.window, self.came_in) = (now, Came::default());
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
/// Messages in a window from which on they come together by themselves.
const OFTEN: u128 = 150;
/// Those of calls from which on, some 1,600 calls a second, a call is not to wait for what its rests would save.
const BUSY: u128 = 110;
/// What a message may wait on its way through.
const REST: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages, all of calls or none.
    fn came(messages: usize, calls: bool) -> Came {
        Came { messages, of_calls: if calls { messages } else { 0 } }
    }

    /// How many of the looks within a tenth of a second, each of which finds so many messages, end in a rest.
    fn rests(messages: usize, calls: bool, every: Duration) -> usize {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let looks = Duration::from_millis(100).as_micros() / every.as_micros();
        (1..=looks as u32)
            .filter(|look| {
                pace.note(came(messages, calls));
                pace.rest(start + every * *look).is_some()
            })
            .count()
    }

    #[test]
    fn resting_is_for_rates_between_a_call_now_and_then_and_a_full_thread() {
        let millisecond = Duration::from_millis(1);
        for calls in [true, false] {
            assert_eq!(rests(0, calls, millisecond), 0);
            assert_eq!(rests(1, calls, millisecond), 0);
            assert_eq!(rests(4, calls, millisecond), 51);
            assert_eq!(rests(10, calls, millisecond), 51);
        }
        assert_eq!([11, 14, 16].map(|messages| rests(messages, true, millisecond)), [0, 0, 0]);
        assert_eq!([11, 14, 16].map(|messages| rests(messages, false, millisecond)), [51, 51, 0]);
    }

    #[test]
    fn a_look_that_found_nothing_and_a_long_sleep_end_it() {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut after = |windows: u32, messages| {
            pace.note(came(messages, true));
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
