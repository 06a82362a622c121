//! One line of callers over several shards. Each shard has the callers whose calls it has, and tells the others of them and of the
//! agents that it calls; so all of them know who is before whom, and which agents are free.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::line::Line;
use crate::b2bua::Calls;
use crate::directory::AddressOfRecord;

/// What a shard has of a queue, complete in itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueShare {
    /// Since when its callers wait, and whether somebody is to be called for them.
    pub(super) waiting: Vec<(Instant, bool)>,
    /// Its agents.
    pub(super) busy: BTreeMap<AddressOfRecord, Busy>,
    /// Until when agents get no call.
    pub(super) wrap_up: BTreeMap<AddressOfRecord, Instant>,
    /// How many calls in a row agents have not answered.
    pub(super) missed: BTreeMap<AddressOfRecord, u32>,
    /// The place of the agent with whom round robin goes on.
    pub(super) next: usize,
    /// How long the last calls lasted, on average.
    pub(super) talk: Option<Duration>,
}

/// An agent who is called, or talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy {
    /// Since when the caller has waited for whom it is called.
    pub(super) since: Instant,
    /// Whether it has answered.
    pub(super) talks: bool,
}

/// The shares of the other shards.
#[derive(Default)]
pub(super) struct Others {
    shares: BTreeMap<u8, QueueShare>,
    /// What they know of this one.
    told: QueueShare,
}

impl Others {
    /// How many wait there.
    pub(super) fn waiting(&self) -> usize {
        self.shares.values().map(|share| share.waiting.len()).sum()
    }

    /// How many have waited there for longer than somebody of this shard; `wanting`: of those for whom somebody is to be called.
    pub(super) fn before(&self, since: Instant, own: u8, wanting: bool) -> usize {
        let earlier = |(shard, share): (&u8, &QueueShare)| {
            let is_meant =
                |(theirs, wants): &&(Instant, bool)| (*theirs, *shard) < (since, own) && (*wants || !wanting);
            share.waiting.iter().filter(is_meant).count()
        };
        self.shares.iter().map(earlier).sum()
    }

    /// Whether an agent is called there or talks, or has just talked.
    pub(super) fn have(&self, agent: &AddressOfRecord, now: Instant) -> bool {
        self.shares.values().any(|share| {
            share.busy.contains_key(agent) || share.wrap_up.get(agent).is_some_and(|until| *until > now)
        })
    }

    /// How many calls an agent has not answered there.
    pub(super) fn missed(&self, agent: &AddressOfRecord) -> u32 {
        self.shares.values().filter_map(|share| share.missed.get(agent)).sum()
    }
}

impl Line {
    /// Tells the other shards what has changed here.
    pub(super) fn tell_others(&mut self, calls: &mut Calls<'_, '_, '_>) {
        let (_, shards) = calls.shard();
        // A queue that is gone has no number.
        if shards < 2 || self.queue.number.is_empty() {
            return;
        }
        let share = self.share(calls.now());
        if share != self.others.told {
            calls.tell_queue(&self.queue.number, &share);
            self.others.told = share;
        }
    }

    /// Takes over what another shard has. Returns after which times somebody may be free.
    pub(super) fn note(
        &mut self,
        shard: u8,
        share: QueueShare,
        calls: &mut Calls<'_, '_, '_>,
    ) -> Vec<Duration> {
        let before = self.others.shares.get(&shard);
        if before.is_none_or(|before| before.next != share.next) {
            self.next = share.next;
        }
        if before.is_none_or(|before| before.talk != share.talk) && share.talk.is_some() {
            self.counts.talk = share.talk;
        }
        for (agent, busy) in &share.busy {
            if busy.talks {
                self.answers_again(agent);
            }
            self.withdraw(agent, (*busy, shard), calls);
        }
        let now = calls.now();
        let rests = share.wrap_up.values().map(|until| until.saturating_duration_since(now)).collect();
        self.others.shares.insert(shard, share);
        rests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_waited_longer_at_any_shard_is_before_and_agents_are_busy_everywhere() {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on which")]
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let [bob, carol, dora] =
            ["bob", "carol", "dora"].map(|user| AddressOfRecord::new(user, "example.com"));
        let share = QueueShare {
            waiting: vec![(at(1), false), (at(3), true), (at(5), true)],
            busy: [(bob.clone(), Busy { since: at(1), talks: false })].into(),
            wrap_up: [(carol.clone(), at(9))].into(),
            missed: [(dora.clone(), 2)].into(),
            ..QueueShare::default()
        };
        let mut others = Others::default();
        others.shares.insert(2, share.clone());
        others.shares.insert(4, QueueShare { waiting: vec![(at(3), true)], ..share });
        let places = |wanting| [0, 2, 3, 4, 6].map(|seconds| others.before(at(seconds), 3, wanting));
        // Of two who came at one moment the one of the lower shard is the first.
        assert_eq!(places(false), [0, 1, 2, 3, 4]);
        assert_eq!(places(true), [0, 0, 1, 2, 3]);
        assert_eq!((others.waiting(), others.missed(&dora)), (4, 4));
        assert!(others.have(&bob, at(20)) && others.have(&carol, at(8)));
        assert!(!others.have(&carol, at(9)) && !others.have(&dora, at(0)));
    }
}
