//! How the delay is changed while sound plays.

use super::{FAR, Playing, Playout, stretch};

/// What is to be done to the length of the sound: at most so many samples, and whether even where it does not fit well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Shrink { most: i64 },
    Stretch { most: i64, force: bool },
}

impl Playout {
    /// How the delay should change. A frame takes all its sound at once, so what counts is how long the newest
    /// packet that it needs has been there; delay that only comes from frames that do not begin with a packet
    /// serves nothing.
    pub(super) fn change(&self, playing: &Playing, target: i64, frame: i64) -> Change {
        let queued = self.queue.len() as i64;
        let packet = self.timing.packet().max(1);
        if queued >= frame {
            return Change::None;
        }
        let offset = queued + (frame - queued - 1) / packet * packet;
        let slack = playing.lag as i64 - self.timing.base() - offset;
        let waste = if packet % frame == 0 { offset } else { 0 };
        let far = (slack - target).abs() > FAR * self.per_ms;
        let shortest = stretch::shortest(self.per_ms);
        let change = if slack < target - self.per_ms {
            // A rest too short to be added goes with a whole period, and the surplus later.
            let rest = frame - waste;
            Change::Stretch { most: if rest < shortest { frame } else { rest }, force: far }
        } else if slack >= target + frame + self.per_ms {
            // What is over is not worth a broken word: pauses and vowels take it away.
            Change::Shrink { most: i64::MAX }
        } else if waste >= shortest {
            Change::Shrink { most: waste }
        } else {
            Change::None
        };
        let soon = playing.since_change < if far { 1 } else { CHANGE_EVERY };
        if soon { Change::None } else { change }
    }

    /// Fills `out` from the queue, made longer or shorter.
    pub(super) fn take(&mut self, playing: &mut Playing, change: Change, out: &mut [i16]) {
        playing.since_change += 1;
        let most = |samples: i64| usize::try_from(samples).unwrap_or(usize::MAX);
        let mut used = out.len();
        match change {
            Change::Shrink { most: limit } => {
                if let Some(less) = stretch::shrink(&self.queue, self.per_ms, most(limit), out) {
                    used += less;
                    self.counts.shrunk += less as u64;
                    playing.lag -= less as f64;
                }
            }
            Change::Stretch { most: limit, force } => {
                if let Some(more) = stretch::stretch(&self.queue, self.per_ms, most(limit), force, out) {
                    used -= more;
                    self.counts.stretched += more as u64;
                    playing.lag += more as f64;
                }
            }
            Change::None => {}
        }
        if used == out.len() {
            out.copy_from_slice(&self.queue[..used]);
        } else {
            playing.since_change = 0;
        }
        self.queue.drain(..used);
    }
}

/// Frames between two changes of the length.
const CHANGE_EVERY: u32 = 5;
