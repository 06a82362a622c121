//! What services want kept in the store. The store does so, tells every shard what has changed by a
//! [`Delta`](crate::directory::Delta), and after that the one who asked.

use crate::bans::Ban;
use crate::directory::{AddressOfRecord, AgentState, Answering};

/// Something that is to outlive a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// An account changes how its calls are answered.
    Answering(AddressOfRecord, AnsweringChange),
    /// An agent logs in or out of a queue, by the queue's number, or pauses.
    Agent(String, AddressOfRecord, AgentState),
    /// An account is to be woken at this moment in Unix seconds, or no more.
    WakeUp(AddressOfRecord, Option<u64>),
    /// The first account is to be called back when the second is free, until this moment in Unix seconds, or no more.
    CallBack(AddressOfRecord, AddressOfRecord, Option<u64>),
    /// An address is not listened to.
    Ban(Ban),
}

/// A change of one thing in [`Answering`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnsweringChange {
    /// Where all calls go.
    Always(Option<String>),
    /// Where calls go when the user is busy.
    Busy(Option<String>),
    /// Where calls go when nobody answers.
    NoAnswer(Option<String>),
    /// Where calls go when no phone can be reached.
    Unreachable(Option<String>),
    /// Whether the phones ring at all.
    DoNotDisturb(bool),
}

impl AnsweringChange {
    /// Where calls are to go.
    pub fn to(&self) -> Option<&str> {
        match self {
            Self::Always(to) | Self::Busy(to) | Self::NoAnswer(to) | Self::Unreachable(to) => to.as_deref(),
            Self::DoNotDisturb(_) => None,
        }
    }

    /// Changes it.
    pub fn apply(self, answering: &mut Answering) {
        let forward = &mut answering.forward;
        match self {
            Self::Always(to) => forward.always = to,
            Self::Busy(to) => forward.busy = to,
            Self::NoAnswer(to) => forward.no_answer = to,
            Self::Unreachable(to) => forward.unreachable = to,
            Self::DoNotDisturb(on) => answering.do_not_disturb = on,
        }
    }
}
