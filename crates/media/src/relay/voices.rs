//! The ends that speak and listen: all of them in step, so that those in one room hear each other.

use super::{Outbox, Relay};
use crate::command::{Report, StreamId};
use crate::voice::file::Answer;
use crate::voice::{Heard, Order, Rooms};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Which streams they are, and when their next 20 ms are.
#[derive(Debug, Default)]
pub(super) struct Voices {
    streams: BTreeSet<StreamId>,
    next: Option<Instant>,
}

impl Voices {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn forget(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
        if self.streams.is_empty() {
            self.next = None;
        }
    }
}

impl Relay {
    pub(super) fn order(&mut self, now: Instant, id: StreamId, order: Order, out: &mut Outbox) {
        let Some(stream) = self.stream_mut(id) else { return };
        stream.order(now, order, out);
        if stream.speaks() {
            self.voices.streams.insert(id);
            self.voices.next.get_or_insert(now);
        }
    }

    /// The driver has something to say of a file.
    pub(super) fn file(&mut self, answer: &Answer, out: &mut Outbox) {
        let id = answer.stream();
        if let Some(stream) = self.stream_mut(id) {
            stream.answered(answer);
        }
        if let Answer::Recorded { order, outcome, .. } = answer {
            let heard = Heard::Recorded { order: *order, outcome: *outcome };
            out.reports.push(Report::Heard { stream: id, heard });
        }
    }

    /// Lets time pass for them, 20 ms after 20 ms.
    pub(super) fn let_speak(&mut self, now: Instant, out: &mut Outbox) {
        let mut steps = 0;
        while let Some(due) = self.voices.next.filter(|due| *due <= now) {
            // After a stall of the thread the rest of the time is lost.
            steps += 1;
            self.voices.next = Some(if steps >= MOST_STEPS { now } else { due } + STEP);
            self.step(now, out);
        }
    }

    fn step(&mut self, now: Instant, out: &mut Outbox) {
        let mut rooms = Rooms::default();
        let Relay { voices, names, streams, scratch, .. } = self;
        let places: Vec<u32> = voices.streams.iter().filter_map(|id| names.get(id).copied()).collect();
        for place in &places {
            if let Some(stream) = streams.get_mut(*place as usize) {
                stream.listen(now, &mut rooms);
            }
        }
        for place in &places {
            if let Some(stream) = streams.get_mut(*place as usize) {
                stream.speak(now, &mut rooms, &mut scratch[..], out);
            }
        }
    }
}

const STEP: Duration = Duration::from_millis(20);
/// What is made up for at once.
const MOST_STEPS: u32 = 10;

#[cfg(test)]
mod tests;
