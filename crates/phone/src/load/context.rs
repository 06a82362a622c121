//! What every part of a load is lent.

use super::garbage::Garbage;
use super::plan::Plan;
use super::tally::Tally;
use super::timers::Timers;
use super::wire::Wire;

/// `cx`: the moment, the plan, and where things go.
#[derive(Debug)]
pub(super) struct Context {
    /// Nanoseconds since the load began; while a datagram is dealt with, when it came.
    pub(super) now: u64,
    /// When the datagrams that are dealt with were taken from their socket.
    pub(super) taken: u64,
    pub(super) plan: Plan,
    pub(super) wire: Wire,
    pub(super) timers: Timers,
    pub(super) tally: Tally,
    /// Sockets by number, with their ports: of callers and of callees.
    pub(super) callers: Vec<(usize, u16)>,
    pub(super) callees: Vec<(usize, u16)>,
    /// The RTP sockets of the two sides, if there is sound.
    pub(super) sound: Option<[(usize, u16); 2]>,
    pub(super) garbage: Garbage,
}

impl Context {
    /// The socket of a caller's or registrant's number.
    pub(super) fn caller_door(&self, number: u32) -> (usize, u16) {
        self.callers[number as usize % self.callers.len()]
    }

    pub(super) fn callee_door(&self, number: u32) -> (usize, u16) {
        self.callees[number as usize % self.callees.len()]
    }

    /// The port that a side names in its session description; 9 is the discard port: nobody sends sound.
    pub(super) fn sound_port(&self, side: usize) -> u16 {
        self.sound.map_or(9, |doors| doors[side].1)
    }

    pub(super) fn send(&mut self, door: usize, bytes: &[u8]) {
        self.wire.send(door, bytes, self.plan.exchange);
    }

    /// Whether a request is sent twice this time.
    pub(super) fn repeats(&mut self) -> bool {
        let twice = self.garbage.chance(self.plan.repeats);
        self.tally.repeated += u64::from(twice);
        twice
    }

    /// The present moment, also while a datagram is dealt with.
    pub(super) fn moment(&self) -> u64 {
        self.now.max(self.taken)
    }

    pub(super) fn patience(&self) -> u64 {
        u64::try_from(self.plan.patience.as_nanos()).unwrap_or(u64::MAX / 4)
    }
}
