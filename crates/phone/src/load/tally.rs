//! What a load counts.

use std::collections::BTreeMap;

use super::latency::Latencies;

/// Counters and latencies of one phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Units begun, and how they ended.
    pub(super) started: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    /// Of the failed: nobody answered in time.
    pub(super) timed_out: u64,
    /// Units that could not begin because their account was still busy with the one before.
    pub(super) skipped: u64,
    /// Calls that were answered.
    pub(super) answered: u64,
    /// Of the units before `--after`: those that took no longer than is called in time and were completed.
    pub(super) in_time: u64,
    /// Requests sent again for want of an answer.
    pub(super) retransmitted: u64,
    /// 2xx sent again by callees for want of an ACK.
    pub(super) answers_retransmitted: u64,
    /// Requests that came to a callee a second time, and 2xx that came to a caller a second time.
    pub(super) duplicates: u64,
    pub(super) challenged: u64,
    /// Datagrams of nonsense sent, and requests sent twice on purpose.
    pub(super) garbage: u64,
    pub(super) repeated: u64,
    /// What came and was none of ours.
    pub(super) unknown: u64,
    /// Final and provisional responses by status.
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) register: Latencies,
    pub(super) challenge: Latencies,
    pub(super) trying: Latencies,
    pub(super) ringing: Latencies,
    pub(super) answer: Latencies,
    pub(super) bye: Latencies,
    /// When the last unit began that failed or was late; nanoseconds of the load's clock.
    pub(super) last_bad: Option<u64>,
}

impl Tally {
    /// How many units are under way.
    pub(super) fn in_flight(&self) -> u64 {
        self.started - self.completed - self.failed
    }

    pub(super) fn fail(&mut self, began: u64) {
        self.failed += 1;
        self.bad(began);
    }

    /// A unit that began at this moment failed or was late.
    pub(super) fn bad(&mut self, began: u64) {
        self.last_bad = self.last_bad.max(Some(began));
    }

    pub(super) fn status(&mut self, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
    }
}
