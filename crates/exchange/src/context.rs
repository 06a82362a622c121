//! What the machines of a shard get from outside, lent for the time of one input.

use std::time::Instant;

use offhook_sip_stack::transaction::Owner;
use offhook_sip_stack::{Rng, Timers};

use crate::b2bua::CallId;
use crate::config::Epoch;
use crate::event::Event;
use crate::io::{Outbox, ShardMessage};

/// The time, chance, timers and outbox of a shard.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) shard: u8,
    pub(crate) epoch: Epoch,
    pub(crate) rng: &'a mut Rng,
    pub(crate) sip_timers: &'a mut Timers<Owner>,
    pub(crate) timers: &'a mut Timers<Alarm>,
    pub(crate) out: &'a mut Outbox,
}

/// Whose deadline it is, of those above the transaction layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// Timer C of a branch (RFC 3261 §16.8): context and branch.
    TimerC(u64, usize),
    /// A search in the DNS has lasted too long: context.
    Search(u64),
    /// A server of another domain has been silent: context and branch.
    Silence(u64, usize),
    /// Nobody has answered for as long as the one who is called wants to be rung: context.
    NoAnswer(u64),
    /// The same for a bridged call: to so many it had gone on before.
    RungOut(CallId, u32),
    /// A phone that is called by us may have been ringing for too long: call and leg.
    Ring(CallId, u8),
    /// A trunk's server, which may be silent: call and leg.
    Line(CallId, u8),
    /// Something is due for a trunk that this shard looks after.
    Trunk(usize),
    /// An account may have spent what it may.
    Spending,
    /// Bindings that have expired are forgotten.
    Sweep,
}

impl Context<'_> {
    /// The lower half, for the layers below.
    pub(crate) fn sip(&mut self) -> offhook_sip_stack::Context<'_> {
        offhook_sip_stack::Context {
            now: self.now,
            rng: self.rng,
            timers: self.sip_timers,
            out: &mut self.out.sip,
            shard: self.shard,
        }
    }

    /// The Unix time in seconds.
    pub(crate) fn unix(&self) -> u64 {
        self.epoch.unix_seconds(self.now)
    }

    /// Tells all other shards, of so many, of a fact.
    pub(crate) fn tell_others(&mut self, shards: u8, fact: &ShardMessage) {
        let others = (0..shards).filter(|one| *one != self.shard);
        self.out.shards.extend(others.map(|one| (one, fact.clone())));
    }

    /// Tells the outside what happened.
    pub(crate) fn event(&mut self, event: Event) {
        self.out.events.push(event);
    }
}
