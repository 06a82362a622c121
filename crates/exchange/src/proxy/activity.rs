//! How many calls each account has: here, as we count them, and at the other shards, as they say.

use std::collections::{BTreeMap, HashMap};

use offhook_sip::Status;

use super::members::Members;
use crate::config::Config;
use crate::directory::AddressOfRecord;
use crate::identity::Caller;
use crate::refusal::Refusal;
use crate::spending::Spending;

/// Calls that are being set up, or whose media goes through us.
pub(crate) struct Activity {
    shards: u8,
    here: HashMap<AddressOfRecord, u32>,
    /// By shard; none of them is zero.
    elsewhere: HashMap<AddressOfRecord, BTreeMap<u8, u32>>,
    /// Accounts whose number here may have changed since the others were told.
    untold: Vec<AddressOfRecord>,
    /// What those that leave by trunks cost.
    pub(crate) spending: Spending,
    /// Who of groups is in a call.
    pub(crate) members: Members,
}

impl Activity {
    /// For a shard.
    pub(crate) fn new(shard: u8, config: &Config) -> Self {
        let mut members = Members::new(config.services.members());
        members.mind_missed(config.services.call_back.code.is_some());
        Self {
            shards: config.shards,
            here: HashMap::new(),
            elsewhere: HashMap::new(),
            untold: Vec::new(),
            spending: Spending::new(shard, config),
            members,
        }
    }

    /// Takes over other settings.
    pub(crate) fn configure(&mut self, config: &Config) {
        self.spending.configure(config);
        self.members.rename(config.services.members());
        self.members.mind_missed(config.services.call_back.code.is_some());
    }

    /// Counts one more call of the caller's account and returns that; a caller without one is not counted.
    ///
    /// # Errors
    /// If the account has as many calls as it may have.
    pub(crate) fn admit(&mut self, caller: &Caller, most: usize) -> Result<Option<AddressOfRecord>, Refusal> {
        let Some(account) = caller.account() else { return Ok(None) };
        let own = self.spending.limits(account).calls.filter(|_| most != usize::MAX);
        let most = own.map_or(most, |own| own as usize);
        if !self.begin(account, most) {
            return Err(Refusal::new(Status::FORBIDDEN, "This account has as many calls as it may have"));
        }
        Ok(Some(account.clone()))
    }

    /// Counts one more call, unless the account has as many as it may have.
    fn begin(&mut self, account: &AddressOfRecord, limit: usize) -> bool {
        let here = self.here.get(account).copied().unwrap_or(0);
        let elsewhere = self.elsewhere.get(account).map_or(0, |shards| shards.values().sum());
        if here.saturating_add(elsewhere) as usize >= limit {
            return false;
        }
        self.here.insert(account.clone(), here + 1);
        self.is_to_be_told(account);
        true
    }

    /// One call less.
    pub(crate) fn end(&mut self, account: &AddressOfRecord) {
        let Some(calls) = self.here.get_mut(account) else { return };
        *calls -= 1;
        if *calls == 0 {
            self.here.remove(account);
        }
        self.is_to_be_told(account);
    }

    /// Takes over what another shard counted.
    pub(crate) fn note(&mut self, shard: u8, account: AddressOfRecord, calls: u32) {
        let shards = self.elsewhere.entry(account.clone()).or_default();
        if calls > 0 {
            shards.insert(shard, calls);
        } else {
            shards.remove(&shard);
        }
        if shards.is_empty() {
            self.elsewhere.remove(&account);
        }
    }

    /// The next account whose number may have changed here, with that number.
    pub(crate) fn changed(&mut self) -> Option<(AddressOfRecord, u32)> {
        let account = self.untold.pop()?;
        let calls = self.here.get(&account).copied().unwrap_or(0);
        Some((account, calls))
    }

    /// Whether no call is counted here.
    pub(crate) fn is_empty(&self) -> bool {
        self.here.is_empty() && self.spending.is_idle() && self.members.is_idle()
    }

    fn is_to_be_told(&mut self, account: &AddressOfRecord) {
        if self.shards > 1 && !self.untold.contains(account) {
            self.untold.push(account.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Key;

    fn config(shards: u8) -> Config {
        Config { shards, ..Config::new(Vec::new(), Key([0; 32])) }
    }

    #[test]
    fn calls_at_other_shards_count_as_well() {
        let alice = AddressOfRecord::new("alice", "example.com");
        let mut activity = Activity::new(0, &config(3));
        activity.note(1, alice.clone(), 2);
        activity.note(2, alice.clone(), 1);
        assert!(activity.begin(&alice, 4));
        assert!(!activity.begin(&alice, 4));
        // What a shard says replaces what it said before.
        activity.note(1, alice.clone(), 0);
        assert!(activity.begin(&alice, 4));
        assert_eq!(activity.changed(), Some((alice.clone(), 2)));
        assert_eq!(activity.changed(), None);
        activity.end(&alice);
        activity.end(&alice);
        assert_eq!(activity.changed(), Some((alice.clone(), 0)));
        activity.note(2, alice, 0);
        assert!(activity.is_empty() && activity.elsewhere.is_empty());
    }

    #[test]
    fn a_single_shard_tells_nobody() {
        let alice = AddressOfRecord::new("alice", "example.com");
        let mut activity = Activity::new(0, &config(1));
        assert!(activity.begin(&alice, 1));
        assert_eq!(activity.changed(), None);
    }
}
