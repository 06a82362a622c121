//! Deadlines of a load: a queue for each delay, so that the first of a queue is always the next.

use std::collections::VecDeque;

/// What a deadline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A registration, by its number.
    Registrant(u32),
    /// A caller's side of a call.
    Caller(u32),
    /// A callee's side.
    Callee(u32),
}

/// A deadline that has come. It is void when the owner has moved on to another `generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: u64,
    pub(super) owner: Owner,
    pub(super) generation: u32,
    pub(super) why: Why,
}

/// Why somebody wanted to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// To send again; how often that was done.
    Again(u8),
    /// Nobody waits any longer.
    Patience,
    /// The call has been held long enough.
    Hold,
}

/// All deadlines, in nanoseconds of the load's clock.
#[derive(Debug, Default)]
pub(super) struct Timers {
    again: [VecDeque<Due>; DELAYS.len()],
    patience: VecDeque<Due>,
    hold: VecDeque<Due>,
}

impl Timers {
    /// Wants to send for the time after the `sent`-th (from 0): Timer A for an INVITE, else Timer E and the like, which
    /// wait T2 at most (RFC 3261 §17.1).
    pub(super) fn again(&mut self, now: u64, owner: Owner, generation: u32, sent: u8) {
        let level = usize::from(sent).min(DELAYS.len() - 1);
        let at = now + DELAYS[level];
        self.again[level].push_back(Due { at, owner, generation, why: Why::Again(sent) });
    }

    /// As [`Timers::again`], for what waits T2 at most.
    pub(super) fn again_within_t2(&mut self, now: u64, owner: Owner, generation: u32, sent: u8) {
        let level = usize::from(sent).min(T2);
        let at = now + DELAYS[level];
        self.again[level].push_back(Due { at, owner, generation, why: Why::Again(sent) });
    }

    /// The same `delay` must be given every time.
    pub(super) fn patience(&mut self, now: u64, delay: u64, owner: Owner, generation: u32) {
        self.patience.push_back(Due { at: now + delay, owner, generation, why: Why::Patience });
    }

    /// The same `delay` must be given every time.
    pub(super) fn hold(&mut self, now: u64, delay: u64, owner: Owner, generation: u32) {
        self.hold.push_back(Due { at: now + delay, owner, generation, why: Why::Hold });
    }

    /// The next that has come.
    pub(super) fn pop(&mut self, now: u64) -> Option<Due> {
        let queues = self.again.iter_mut().chain([&mut self.patience, &mut self.hold]);
        queues.into_iter().find_map(|queue| queue.pop_front_if(|due| due.at <= now))
    }
}

const SECOND: u64 = 1_000_000_000;
/// T1 and its doublings.
const DELAYS: [u64; 6] = [SECOND / 2, SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 16 * SECOND];
/// Which of them is T2.
const T2: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_doubles_its_wait_and_others_stop_at_four_seconds() {
        let mut timers = Timers::default();
        for sent in 0..6 {
            timers.again(0, Owner::Caller(0), 0, sent);
            timers.again_within_t2(0, Owner::Registrant(0), 0, sent);
        }
        let waits = |owner| {
            let mut found = Vec::new();
            let mut queues: Vec<_> = timers.again.iter().flatten().filter(|due| due.owner == owner).collect();
            queues.sort_by_key(|due| due.at);
            found.extend(queues.iter().map(|due| due.at / 1_000_000));
            found
        };
        assert_eq!(waits(Owner::Caller(0)), [500, 1000, 2000, 4000, 8000, 16_000]);
        assert_eq!(waits(Owner::Registrant(0)), [500, 1000, 2000, 4000, 4000, 4000]);
    }

    #[test]
    fn nothing_comes_before_its_time() {
        let mut timers = Timers::default();
        timers.patience(0, 5, Owner::Caller(1), 0);
        timers.hold(0, 3, Owner::Caller(2), 0);
        assert_eq!(timers.pop(2), None);
        assert_eq!(timers.pop(5).map(|due| due.owner), Some(Owner::Caller(1)));
        assert_eq!(timers.pop(5).map(|due| due.owner), Some(Owner::Caller(2)));
        assert_eq!(timers.pop(5), None);
    }
}
