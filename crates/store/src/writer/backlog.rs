//! Entries on their way into the database: at most two for an account.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use offhook_exchange::directory::AddressOfRecord;

use crate::journal::record::Entry;

/// Shards with the number up to which all their entries are in the database.
pub(super) type Positions = Vec<(u8, u64)>;

#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// The newest entry of each account, from this moment on.
    pending: BTreeMap<AddressOfRecord, Entry>,
    /// What was pending when the queue was filled, in the order of the numbers, without `group`.
    queue: VecDeque<Entry>,
    /// What is being put into the database now.
    group: Arc<Vec<Entry>>,
    /// The last number that came from each shard.
    through: BTreeMap<u8, u64>,
    /// The same when the queue was filled.
    queued_through: BTreeMap<u8, u64>,
}

impl Backlog {
    /// Takes over all entries of a shard up to `through`.
    pub(super) fn add(&mut self, shard: u8, through: u64, entries: Vec<Entry>) {
        for entry in entries {
            self.pending.insert(entry.account.clone(), entry);
        }
        self.through.insert(shard, through);
    }

    /// The entries to put into the database next, and the positions that are reached with them. Ends with
    /// [`committed`](Self::committed) or [`failed`](Self::failed).
    pub(super) fn next_group(&mut self) -> Option<(Arc<Vec<Entry>>, Positions)> {
        if self.queue.is_empty() {
            if self.pending.is_empty() {
                return None;
            }
            let mut entries: Vec<Entry> = std::mem::take(&mut self.pending).into_values().collect();
            entries.sort_by_key(|entry| entry.sequence);
            self.queue = entries.into();
            self.queued_through = self.through.clone();
        }
        self.group = Arc::new(self.queue.drain(..GROUP.min(self.queue.len())).collect());
        let position = |(shard, through): (&u8, &u64)| {
            let next = self.queue.iter().find(|entry| entry.shard == *shard);
            (*shard, next.map_or(*through, |entry| entry.sequence - 1))
        };
        let positions = self.queued_through.iter().map(position).collect();
        Some((Arc::clone(&self.group), positions))
    }

    /// The group is in the database.
    pub(super) fn committed(&mut self) {
        self.group = Arc::default();
    }

    /// The group could not be put into the database: it waits with all others.
    pub(super) fn failed(&mut self) {
        let group = std::mem::take(&mut self.group);
        for entry in self.queue.drain(..).chain(group.iter().cloned()) {
            self.pending.entry(entry.account.clone()).or_insert(entry);
        }
    }

    /// Everything of a shard that is not known to be in the database, and the number up to which this is all.
    pub(super) fn of_shard(&self, shard: u8) -> (Vec<Entry>, u64) {
        let all = self.group.iter().chain(&self.queue).chain(self.pending.values());
        let entries = all.filter(|entry| entry.shard == shard).cloned().collect();
        (entries, self.through.get(&shard).copied().unwrap_or(0))
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len() + self.queue.len() + self.group.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a group is full.
    pub(super) fn is_large(&self) -> bool {
        self.pending.len() >= GROUP
    }

    /// Whether a group that was begun has a rest.
    pub(super) fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }
}

/// Entries put into the database together.
const GROUP: usize = 500;

#[cfg(test)]
mod tests {
    use offhook_exchange::directory::Bindings;

    use super::*;

    fn entry(sequence: u64, user: &str) -> Entry {
        let account = AddressOfRecord::new(user, "example.com");
        Entry { shard: 0, sequence, account, bindings: Bindings::default() }
    }

    fn sequences(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.sequence).collect()
    }

    #[test]
    fn of_two_entries_about_one_account_the_newer_is_put_into_the_database() {
        let mut backlog = Backlog::default();
        backlog.add(0, 3, vec![entry(1, "a"), entry(2, "b"), entry(3, "a")]);
        let (group, positions) = backlog.next_group().unwrap();
        assert_eq!(sequences(&group), [2, 3]);
        assert_eq!(positions, [(0, 3)]);
        backlog.committed();
        assert!(backlog.is_empty());
        assert!(backlog.next_group().is_none());
    }

    #[test]
    fn a_position_never_passes_an_entry_that_waits() {
        let mut backlog = Backlog::default();
        let many = (1..=GROUP as u64 + 1).map(|number| entry(number, &number.to_string())).collect();
        backlog.add(0, GROUP as u64 + 1, many);
        assert_eq!(backlog.next_group().unwrap().1, [(0, GROUP as u64)]);
        backlog.committed();
        assert!(backlog.has_queue());
        assert_eq!(backlog.next_group().unwrap().1, [(0, GROUP as u64 + 1)]);
    }

    #[test]
    fn what_failed_waits_again_unless_something_newer_came() {
        let mut backlog = Backlog::default();
        backlog.add(0, 2, vec![entry(1, "a"), entry(2, "b")]);
        backlog.next_group().unwrap();
        backlog.add(0, 3, vec![entry(3, "a")]);
        assert_eq!(sequences(&backlog.of_shard(0).0), [1, 2, 3]);
        backlog.failed();
        assert_eq!(backlog.len(), 2);
        let (group, positions) = backlog.next_group().unwrap();
        assert_eq!(sequences(&group), [2, 3]);
        assert_eq!(positions, [(0, 3)]);
    }

    #[test]
    fn each_shard_has_a_position_of_its_own() {
        let mut backlog = Backlog::default();
        backlog.add(0, 9, vec![entry(9, "a")]);
        backlog.add(1, 4, vec![Entry { shard: 1, ..entry(4, "b") }]);
        assert_eq!(backlog.next_group().unwrap().1, [(0, 9), (1, 4)]);
    }
}
