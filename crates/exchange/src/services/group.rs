//! Ring groups: one number for several accounts, whose phones ring together or one after the other until somebody
//! answers.
//!
//! The service says who is to ring in which order; whether they can is looked at when their turn comes
//! (`core/hunt.rs`).

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Kind, Service, Settings as All, Verdict};
use crate::b2bua::{CallId, Calls};
use crate::schedule::Schedule;

pub(super) const KIND: Kind = Kind {
    name: "group",
    summary: "rings several accounts under one number: [[group]]",
    number: |_| None,
    make: |settings| Box::new(Groups::new(settings)),
};

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What is dialled for it.
    pub number: String,
    /// What its members are shown before the caller's name.
    pub name: String,
    /// Accounts, by number, user or address.
    pub members: Vec<String>,
    /// Who rings, and when.
    pub strategy: Strategy,
    /// For how long: all of them together, or each.
    pub rings_for: Duration,
    /// Where a call goes that no member takes; `None`: the caller is told so.
    pub then: Option<String>,
    /// Members that are in a call do not ring.
    pub skip_busy: bool,
    /// A member whose calls all go on to another account rings there.
    pub follow_forwards: bool,
    /// When it takes calls; `None`: always.
    pub hours: Option<Hours>,
}

/// Hours of something that takes calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// When it does.
    pub when: Arc<Schedule>,
    /// Where calls go at other times.
    pub otherwise: String,
}

/// In which order the members of a group ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// All at once.
    All,
    /// One after the other, as they are listed.
    Sequential,
    /// One after the other, each call beginning with the next.
    RoundRobin,
    /// One after the other, beginning with the one that has been out of a call for the longest time.
    LongestIdle,
    /// One after the other, as chance will have it.
    Random,
}

impl Strategy {
    /// As the configuration writes it.
    pub const WORDS: &'static [&'static str] =
        &["all", "sequential", "round-robin", "longest-idle", "random"];

    /// The strategy of a word; `None`: it is none.
    pub fn of(word: &str) -> Option<Self> {
        const ALL: [Strategy; 5] = [
            Strategy::All,
            Strategy::Sequential,
            Strategy::RoundRobin,
            Strategy::LongestIdle,
            Strategy::Random,
        ];
        ALL.into_iter().find(|one| one.word() == word)
    }

    /// As the configuration writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Sequential => "sequential",
            Self::RoundRobin => "round-robin",
            Self::LongestIdle => "longest-idle",
            Self::Random => "random",
        }
    }
}

/// A call to a group: whom it rings next, and where it goes when nobody takes it.
#[derive(Clone, Debug)]
pub(crate) struct Hunt {
    pub(crate) group: Arc<Group>,
    /// Members that ring together, group after group.
    pub(crate) rounds: VecDeque<Vec<String>>,
    /// Where it goes after them.
    pub(crate) then: Option<String>,
    /// Whether the group takes no calls now.
    pub(crate) closed: bool,
}

struct Groups(Vec<Ours>);

struct Ours {
    group: Arc<Group>,
    /// The place of the member with whom the next call begins.
    next: usize,
}

impl Groups {
    fn new(settings: &All) -> Self {
        Self(settings.groups.iter().map(|group| Ours { group: Arc::new(group.clone()), next: 0 }).collect())
    }
}

impl Service for Groups {
    fn configure(&mut self, settings: &All) {
        let turns = std::mem::take(&mut self.0);
        *self = Self::new(settings);
        for ours in &mut self.0 {
            let before = turns.iter().find(|one| one.group.number == ours.group.number);
            ours.next = before.map_or(0, |before| before.next);
        }
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let dialled = calls.dialled(call);
        let Some(ours) = self.0.iter_mut().find(|one| dialled == Some(one.group.number.as_str())) else {
            return Verdict::Continue;
        };
        let group = Arc::clone(&ours.group);
        let (now, _) = calls.clock();
        if let Some(hours) = group.hours.as_ref().filter(|hours| !hours.when.is_open(now)) {
            let then = Some(hours.otherwise.clone());
            return Verdict::Hunt(Box::new(Hunt { rounds: VecDeque::new(), then, closed: true, group }));
        }
        let (rounds, then) = (ours.rounds(calls), group.then.clone());
        Verdict::Hunt(Box::new(Hunt { group, rounds, then, closed: false }))
    }
}

impl Ours {
    /// The members in the order in which they ring.
    fn rounds(&mut self, calls: &mut Calls<'_, '_, '_>) -> VecDeque<Vec<String>> {
        let mut members = self.group.members.clone();
        match self.group.strategy {
            Strategy::All => return [members].into(),
            Strategy::Sequential => {}
            Strategy::RoundRobin => {
                members.rotate_left(self.next);
                self.next = (self.next + 1) % members.len().max(1);
            }
            // Who has never been in a call has been free for the longest time.
            Strategy::LongestIdle => members.sort_by_cached_key(|one| calls.free_since(one)),
            Strategy::Random => members.sort_by_cached_key(|_| Reverse(calls.chance())),
        }
        members.into_iter().map(|one| vec![one]).collect()
    }
}
