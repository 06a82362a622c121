//! The clock: the subjects take turns, round by round, so that what else the machine does meets all of them.

use crate::allocations::{self, Allocations};
use crate::invite;
use crate::subject::{Subject, Task};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;

/// One task of one subject.
pub(crate) struct Outcome {
    /// Nanoseconds of processor time for one message, a figure for each round, smallest first.
    pub(crate) nanoseconds: Vec<f64>,
    pub(crate) allocations: Allocations,
}

impl Outcome {
    pub(crate) fn median(&self) -> f64 {
        let (low, high) = (
            self.nanoseconds[(self.nanoseconds.len() - 1) / 2],
            self.nanoseconds[self.nanoseconds.len() / 2],
        );
        (low + high) / 2.0
    }
}

/// Measures all tasks of all subjects: `[task][subject]`.
pub(crate) fn run(subjects: &[Subject], rounds: usize) -> Vec<Vec<Outcome>> {
    Task::ALL.map(|task| one_task(task, subjects, rounds)).into()
}

fn one_task(task: Task, subjects: &[Subject], rounds: usize) -> Vec<Outcome> {
    let message = invite::received();
    let repeats: Vec<u32> = subjects.iter().map(|subject| repeats(subject, task, &message)).collect();
    let mut outcomes: Vec<Outcome> = subjects
        .iter()
        .map(|subject| {
            let allocations = allocations::count(|| subject.perform(task, &message));
            Outcome { nanoseconds: Vec::new(), allocations }
        })
        .collect();
    for _ in 0..rounds {
        for ((subject, outcome), repeats) in subjects.iter().zip(&mut outcomes).zip(&repeats) {
            outcome.nanoseconds.push(nanoseconds(subject, task, &message, *repeats));
        }
    }
    outcomes.iter_mut().for_each(|outcome| outcome.nanoseconds.sort_by(f64::total_cmp));
    outcomes
}

/// How many messages fill a turn. Warms the caches and the allocator as well.
fn repeats(subject: &Subject, task: Task, message: &[u8]) -> u32 {
    let once = nanoseconds(subject, task, message, 20_000);
    (TURN / once).clamp(1_000.0, 1e8) as u32
}

/// Processor time of this thread, so that waiting for a core does not count.
fn nanoseconds(subject: &Subject, task: Task, message: &[u8], repeats: u32) -> f64 {
    let start = now();
    for _ in 0..repeats {
        subject.perform(task, black_box(message));
    }
    (now() - start) / f64::from(repeats)
}

fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Nanoseconds that a subject has before the next one.
const TURN: f64 = 60e6;
