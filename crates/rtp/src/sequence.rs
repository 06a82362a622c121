//! What the numbers of received packets say: extended sequence numbers, loss and jitter (RFC 3550 A.1, A.3, A.8).

mod statistics;

pub use statistics::ReceiveStatistics;

#[cfg(test)]
mod tests;

/// Follows the 16-bit sequence numbers of one source (RFC 3550 A.1).
///
/// A new source is on probation until two packets follow each other; they count from the first of them.
#[derive(Debug, Clone, Default)]
pub struct Sequence {
    state: State,
    /// Bit n: the packet n before the highest was received.
    seen: u128,
    received: u64,
    duplicates: u64,
    reordered: u64,
    /// Runs of missing packets, as seen when the next packet came.
    gaps: u64,
}

#[derive(Debug, Clone, Default)]
enum State {
    #[default]
    Empty,
    Probation {
        last: u16,
    },
    Valid {
        base: u64,
        /// Highest extended number.
        highest: u64,
        /// The number that would confirm a jump.
        after_jump: Option<u16>,
    },
}

/// What a packet turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// The source is not yet believed; play it or not as you like.
    Probation,
    /// Newer than all before it; the extended sequence number.
    New(u64),
    /// Late but not seen before; the extended sequence number.
    Reordered(u64),
    /// Seen before.
    Duplicate,
    /// Far off the others; believed only when the next one follows it.
    Jump,
    /// The source started anew here, and so did all counts; earlier extended numbers mean nothing any more.
    Restarted(u64),
}

impl Sequence {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the number of a received packet.
    pub fn receive(&mut self, number: u16) -> Arrival {
        match self.state {
            State::Empty => {
                self.state = State::Probation { last: number };
                Arrival::Probation
            }
            State::Probation { last } if last.wrapping_add(1) == number => Arrival::New(self.begin(last)),
            State::Probation { .. } => {
                self.state = State::Probation { last: number };
                Arrival::Probation
            }
            State::Valid { base, highest, after_jump } => self.follow(number, base, highest, after_jump),
        }
    }

    /// The highest extended sequence number: cycles in the upper bits. 0 before anything was believed.
    #[must_use]
    pub fn highest(&self) -> u64 {
        match self.state {
            State::Valid { highest, .. } => highest,
            State::Empty | State::Probation { .. } => 0,
        }
    }

    /// Packets that should have come.
    #[must_use]
    pub fn expected(&self) -> u64 {
        match self.state {
            State::Valid { base, highest, .. } => highest - base + 1,
            State::Empty | State::Probation { .. } => 0,
        }
    }

    /// Packets that came, without duplicates.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets that never came.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    /// Packets that came again.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Packets that came after a newer one.
    #[must_use]
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Runs of missing packets.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Believes the source from `first` on, of which the next packet has come too.
    fn begin(&mut self, first: u16) -> u64 {
        // One cycle ahead, so that a packet from before the first has a number too.
        let base = u64::from(first) + CYCLE;
        self.state = State::Valid { base, highest: base + 1, after_jump: None };
        self.seen = 0b11;
        self.received += 2;
        base + 1
    }

    fn follow(&mut self, number: u16, base: u64, highest: u64, after_jump: Option<u16>) -> Arrival {
        let ahead = number.wrapping_sub(highest as u16);
        if (1..MAX_DROPOUT).contains(&ahead) {
            let step = u32::from(ahead);
            self.seen = self.seen.checked_shl(step).unwrap_or(0) | 1;
            self.received += 1;
            self.gaps += u64::from(ahead > 1);
            let highest = highest + u64::from(ahead);
            self.state = State::Valid { base, highest, after_jump: None };
            return Arrival::New(highest);
        }
        let behind = ahead.wrapping_neg();
        if behind < MAX_MISORDER {
            return self.late(base, highest, u64::from(behind));
        }
        if after_jump == Some(number) {
            let extended = self.restart(number.wrapping_sub(1));
            return Arrival::Restarted(extended);
        }
        self.state = State::Valid { base, highest, after_jump: Some(number.wrapping_add(1)) };
        Arrival::Jump
    }

    fn late(&mut self, base: u64, highest: u64, behind: u64) -> Arrival {
        if self.seen >> behind & 1 == 1 {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        self.seen |= 1 << behind;
        self.received += 1;
        self.reordered += 1;
        let extended = highest - behind;
        // The first packets of a stream may come in the wrong order.
        self.state = State::Valid { base: base.min(extended), highest, after_jump: None };
        Arrival::Reordered(extended)
    }

    fn restart(&mut self, first: u16) -> u64 {
        *self = Self::default();
        self.begin(first)
    }
}

/// RFC 3550 A.1: a larger step forward is a jump.
const MAX_DROPOUT: u16 = 3000;
/// RFC 3550 A.1: a larger step back is a jump. Below 128, so that all in between are remembered.
const MAX_MISORDER: u16 = 100;
const CYCLE: u64 = 1 << 16;
