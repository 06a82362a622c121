//! The calls of accounts that somebody watches: what a shard sees of its own calls, and what the home of an account
//! hears from all shards.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use crate::directory::AddressOfRecord;

/// One call as one of its two accounts has it (RFC 4235 §3.7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What tells it from the account's other calls; of one call it stays the same.
    pub id: String,
    /// Whether the account calls or is called.
    pub direction: Direction,
    /// How far it is.
    pub state: LineState,
}

/// Who has called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The account.
    Initiator,
    /// The other side.
    Recipient,
}

/// How far a call is (RFC 4235 §3.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineState {
    /// Asked for.
    Trying,
    /// It rings.
    Early,
    /// It was answered.
    Confirmed,
    /// It is over.
    Terminated,
}

/// What happened to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Rings,
    Answered,
    Ended,
}

/// The calls of this shard in which somebody watched is. What nobody watches costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Tracked {
    /// Accounts that are watched somewhere.
    watched: HashSet<AddressOfRecord>,
    calls: HashMap<String, Sides>,
}

#[derive(Debug)]
struct Sides {
    accounts: Vec<(AddressOfRecord, Direction)>,
    state: LineState,
    since: Instant,
}

impl Tracked {
    /// Whether anybody is watched: if not, nothing here needs to be told.
    pub(crate) fn is_idle(&self) -> bool {
        self.watched.is_empty() && self.calls.is_empty()
    }

    pub(crate) fn is_watched(&self, account: &AddressOfRecord) -> bool {
        self.watched.contains(account)
    }

    /// An account is watched from now on, or no more.
    pub(crate) fn watch(&mut self, account: AddressOfRecord, watched: bool) {
        if watched {
            self.watched.insert(account);
            return;
        }
        self.watched.remove(&account);
        self.calls.retain(|_, call| {
            call.accounts.retain(|(one, _)| *one != account);
            !call.accounts.is_empty()
        });
    }

    /// A call begins between these accounts, of which only those that are watched count.
    pub(crate) fn begin(
        &mut self,
        call: &str,
        caller: Option<AddressOfRecord>,
        callee: Option<AddressOfRecord>,
        now: Instant,
    ) -> Vec<(AddressOfRecord, Line)> {
        let sides = [(caller, Direction::Initiator), (callee, Direction::Recipient)];
        let named = sides.into_iter().filter_map(|(account, side)| Some((account?, side)));
        let accounts: Vec<_> = named.filter(|(account, _)| self.watched.contains(account)).collect();
        if accounts.is_empty() || self.calls.len() >= MOST_CALLS {
            return Vec::new();
        }
        let sides = Sides { accounts, state: LineState::Trying, since: now };
        let told = sides.lines(call);
        self.calls.insert(call.to_owned(), sides);
        told
    }

    /// What has become of a call.
    pub(crate) fn step(&mut self, call: &str, step: Step) -> Vec<(AddressOfRecord, Line)> {
        let Some(sides) = self.calls.get_mut(call) else { return Vec::new() };
        let next = match (sides.state, step) {
            (LineState::Trying, Step::Rings) => LineState::Early,
            (LineState::Trying | LineState::Early, Step::Answered) => LineState::Confirmed,
            (_, Step::Ended) => LineState::Terminated,
            (
                LineState::Early | LineState::Confirmed | LineState::Terminated,
                Step::Rings | Step::Answered,
            ) => {
                return Vec::new();
            }
        };
        sides.state = next;
        let told = sides.lines(call);
        if next == LineState::Terminated {
            self.calls.remove(call);
        }
        told
    }

    /// Calls of which nothing was heard for very long: their phones have died, and with direct media nobody noticed.
    pub(crate) fn forget_old(&mut self, now: Instant) -> Vec<(AddressOfRecord, Line)> {
        let mut old: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, sides)| now.duration_since(sides.since) > LONGEST)
            .map(|(call, _)| call.clone())
            .collect();
        old.sort();
        old.iter().flat_map(|call| self.step(call, Step::Ended)).collect()
    }
}

impl Sides {
    fn lines(&self, call: &str) -> Vec<(AddressOfRecord, Line)> {
        let mut hasher = DefaultHasher::new();
        call.hash(&mut hasher);
        let id = format!("d{:016x}", hasher.finish());
        let line = |direction| Line { id: id.clone(), direction, state: self.state };
        self.accounts.iter().map(|(account, side)| (account.clone(), line(*side))).collect()
    }
}

/// The lines of the accounts that are at home here and watched.
#[derive(Debug, Default)]
pub(crate) struct Lines(HashMap<AddressOfRecord, BTreeMap<(u8, String, Direction), Line>>);

impl Lines {
    /// Takes over what a shard says of a call. One that has ended stays until [`Lines::forget_ended`].
    pub(crate) fn note(&mut self, shard: u8, account: &AddressOfRecord, line: Line) {
        let lines = self.0.entry(account.clone()).or_default();
        let key = (shard, line.id.clone(), line.direction);
        if lines.len() < MOST_LINES || lines.contains_key(&key) {
            lines.insert(key, line);
        }
    }

    /// The lines of an account.
    pub(crate) fn of(&self, account: &AddressOfRecord) -> impl Iterator<Item = &Line> {
        self.0.get(account).into_iter().flat_map(BTreeMap::values)
    }

    /// Calls that have ended were told.
    pub(crate) fn forget_ended(&mut self, account: &AddressOfRecord) {
        if let Some(lines) = self.0.get_mut(account) {
            lines.retain(|_, line| line.state != LineState::Terminated);
            if lines.is_empty() {
                self.0.remove(account);
            }
        }
    }

    /// Nobody watches an account any more.
    pub(crate) fn forget(&mut self, account: &AddressOfRecord) {
        self.0.remove(account);
    }
}

/// Calls of watched accounts that a shard follows.
const MOST_CALLS: usize = 100_000;
/// Calls of one account that a lamp shows.
const MOST_LINES: usize = 64;
const LONGEST: Duration = Duration::from_secs(12 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn states(told: Vec<(AddressOfRecord, Line)>) -> Vec<(String, Direction, LineState)> {
        told.into_iter()
            .map(|(account, line)| (account.user().to_owned(), line.direction, line.state))
            .collect()
    }

    #[test]
    fn only_what_is_watched_is_followed() {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on which")]
        let now = Instant::now();
        let of = |user| AddressOfRecord::new(user, "example.com");
        let mut tracked = Tracked::default();
        assert!(tracked.begin("1", Some(of("alice")), Some(of("bob")), now).is_empty());
        tracked.watch(of("bob"), true);
        let begun = tracked.begin("2", Some(of("alice")), Some(of("bob")), now);
        assert_eq!(states(begun), [("bob".to_owned(), Direction::Recipient, LineState::Trying)]);
        assert!(tracked.step("1", Step::Rings).is_empty());
        assert_eq!(states(tracked.step("2", Step::Rings)).len(), 1);
        assert!(tracked.step("2", Step::Rings).is_empty(), "a second 180 says nothing new");
        assert_eq!(states(tracked.step("2", Step::Answered))[0].2, LineState::Confirmed);
        assert!(tracked.forget_old(now + LONGEST).is_empty());
        let old = tracked.forget_old(now + LONGEST + Duration::from_secs(1));
        assert_eq!(states(old)[0].2, LineState::Terminated);
        tracked.watch(of("bob"), false);
        assert!(tracked.is_idle());
    }

    #[test]
    fn who_calls_itself_has_two_lines() {
        let alice = AddressOfRecord::new("alice", "example.com");
        let mut lines = Lines::default();
        for direction in [Direction::Initiator, Direction::Recipient] {
            let line = Line { id: "d1".into(), direction, state: LineState::Early };
            lines.note(0, &alice, line);
        }
        assert_eq!(lines.of(&alice).count(), 2);
        let line = Line { id: "d1".into(), direction: Direction::Initiator, state: LineState::Terminated };
        lines.note(0, &alice, line);
        lines.forget_ended(&alice);
        assert_eq!(lines.of(&alice).count(), 1);
        lines.forget(&alice);
        assert!(lines.0.is_empty());
    }
}
