//! Who of a group is in a call, and since when the others are free: here, as this shard sees it, and at the other shards, as
//! they say. Accounts that are in no group cost nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use offhook_sip::Status;

use crate::directory::{Account, AddressOfRecord};

/// The calls of members of groups.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// Numbers, users and addresses, as the configuration names members.
    named: HashSet<String>,
    /// The members that are in a call of this shard, by its Call-ID.
    calls: HashMap<String, (Vec<AddressOfRecord>, Instant)>,
    /// Of those who have been in a call.
    known: HashMap<AddressOfRecord, Known>,
    /// Accounts that somebody waits for to be free.
    followed: HashSet<AddressOfRecord>,
    /// From and To of calls that are over, while somebody waits for an account to be free; or one of whom a phone has come.
    pub(crate) over: Vec<[String; 2]>,
    /// Who has called in vain, and To, while that may be of use.
    pub(crate) missed: Vec<(AddressOfRecord, String)>,
    /// Whether it may.
    minds_missed: bool,
    /// Whose number of calls here has changed since the others were told.
    untold: Vec<AddressOfRecord>,
}

#[derive(Debug, Default)]
struct Known {
    here: u32,
    /// By shard; none of them is zero.
    elsewhere: BTreeMap<u8, u32>,
    free_since: Option<Instant>,
}

impl Known {
    fn calls(&self) -> u32 {
        self.elsewhere.values().fold(self.here, |all, one| all.saturating_add(*one))
    }
}

impl Members {
    /// For members with these names: a number, a user, or an address.
    pub(crate) fn new(named: impl Iterator<Item = String>) -> Self {
        Self { named: named.collect(), ..Self::default() }
    }

    /// Whether note is taken of calls in vain from now on.
    pub(crate) fn mind_missed(&mut self, minds: bool) {
        self.minds_missed = minds;
    }

    /// Members have these names from now on.
    pub(crate) fn rename(&mut self, named: impl Iterator<Item = String>) {
        self.named = named.collect();
    }

    /// Whether there is nobody whose calls would have to be followed.
    pub(crate) fn is_unused(&self) -> bool {
        self.named.is_empty() && self.followed.is_empty() && self.calls.is_empty()
    }

    /// Somebody waits for an account to be free, or nobody does any more.
    pub(crate) fn follow(&mut self, account: &AddressOfRecord, follow: bool) {
        match follow {
            true => _ = self.followed.insert(account.clone()),
            false => _ = self.followed.remove(account),
        }
    }

    /// Whether somebody waits for an account to be free.
    pub(crate) fn is_followed(&self, account: &AddressOfRecord) -> bool {
        self.followed.contains(account)
    }

    /// A call between two is over, which were From and To.
    pub(crate) fn call_over<'t>(&mut self, parties: impl FnOnce() -> [&'t [u8]; 2]) {
        if !self.followed.is_empty() {
            self.over.push(parties().map(|one| String::from_utf8_lossy(one).into_owned()));
        }
    }

    /// A phone of an account has come, so that somebody is there.
    pub(crate) fn came(&mut self, account: &AddressOfRecord) {
        self.over.push([account.to_string(), String::new()]);
    }

    /// An account has called in vain whom To names.
    pub(crate) fn called_in_vain(&mut self, account: Option<&AddressOfRecord>, to: &[u8], status: Status) {
        let Some(account) = account.filter(|_| self.minds_missed && IN_VAIN.contains(&status)) else {
            return;
        };
        self.missed.push((account.clone(), String::from_utf8_lossy(to).into_owned()));
    }

    /// Whether an account is in a group.
    pub(crate) fn has(&self, account: &Account) -> bool {
        let address = &account.address;
        if self.followed.contains(address) {
            return true;
        }
        [account.number.as_deref(), Some(address.user()), Some(address.as_str())]
            .into_iter()
            .flatten()
            .any(|name| self.named.contains(name))
    }

    /// A member is in a call from now on.
    pub(crate) fn begin(&mut self, call: &str, member: &AddressOfRecord, now: Instant) {
        if !self.calls.contains_key(call) && self.calls.len() >= MOST_CALLS {
            return;
        }
        let (members, _) = self.calls.entry(call.to_owned()).or_insert_with(|| (Vec::new(), now));
        if members.contains(member) {
            return;
        }
        members.push(member.clone());
        self.known.entry(member.clone()).or_default().here += 1;
        self.untold.push(member.clone());
    }

    /// A call is over.
    pub(crate) fn end(&mut self, call: &str, now: Instant) {
        let Some((members, _)) = self.calls.remove(call) else { return };
        for member in members {
            if let Some(known) = self.known.get_mut(&member) {
                known.here = known.here.saturating_sub(1);
                known.free_since = Some(now);
            }
            self.untold.push(member);
        }
    }

    /// Takes over what another shard says of a member's calls there.
    pub(crate) fn note(&mut self, shard: u8, member: AddressOfRecord, calls: u32, now: Instant) {
        let known = self.known.entry(member).or_default();
        let before =
            if calls > 0 { known.elsewhere.insert(shard, calls) } else { known.elsewhere.remove(&shard) };
        if before.unwrap_or(0) > calls {
            known.free_since = Some(now);
        }
    }

    /// The next member whose number of calls here has changed, with that number.
    pub(crate) fn changed(&mut self) -> Option<(AddressOfRecord, u32)> {
        let member = self.untold.pop()?;
        let calls = self.known.get(&member).map_or(0, |known| known.here);
        Some((member, calls))
    }

    /// How many calls a member is in.
    pub(crate) fn calls(&self, member: &AddressOfRecord) -> u32 {
        self.known.get(member).map_or(0, Known::calls)
    }

    /// When its last call ended; `None`: it has had none, or is in one. Only to be compared.
    pub(crate) fn free_since(&self, member: &AddressOfRecord) -> Option<Instant> {
        self.known.get(member)?.free_since
    }

    /// Calls of which nothing was heard for very long: their phones have died, and with direct media nobody noticed.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        let old = |(call, (_, since)): (&String, &(_, Instant))| {
            (now.duration_since(*since) > LONGEST).then(|| call.clone())
        };
        let old: Vec<_> = self.calls.iter().filter_map(old).collect();
        old.iter().for_each(|call| self.end(call, now));
    }

    /// Whether no member is in a call here.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }
}

/// Somebody is busy, or does not answer.
const IN_VAIN: [Status; 5] = [
    Status::REQUEST_TIMEOUT,
    Status::TEMPORARILY_UNAVAILABLE,
    Status::BUSY_HERE,
    Status::REQUEST_TERMINATED,
    Status::BUSY_EVERYWHERE,
];
/// Calls of members that a shard follows.
const MOST_CALLS: usize = 100_000;
const LONGEST: Duration = Duration::from_secs(12 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str) -> AddressOfRecord {
        AddressOfRecord::new(user, "example.com")
    }

    #[test]
    fn calls_are_counted_once_here_and_at_other_shards() {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on which")]
        let now = Instant::now();
        let bob = of("bob");
        let mut members = Members::new(["bob".to_owned()].into_iter());
        members.begin("1", &bob, now);
        members.begin("1", &bob, now);
        members.note(2, bob.clone(), 3, now);
        assert_eq!(members.calls(&bob), 4);
        assert_eq!((members.changed(), members.changed()), (Some((bob.clone(), 1)), None));
        assert_eq!(members.free_since(&bob), None);
        members.note(2, bob.clone(), 0, now);
        members.end("1", now + Duration::from_secs(9));
        members.end("1", now);
        assert_eq!((members.calls(&bob), members.is_idle()), (0, true));
        assert_eq!(members.free_since(&bob), Some(now + Duration::from_secs(9)));
    }

    #[test]
    fn a_call_whose_end_nobody_saw_is_forgotten() {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on which")]
        let now = Instant::now();
        let mut members = Members::new(["bob".to_owned()].into_iter());
        members.begin("1", &of("bob"), now);
        members.forget_old(now + LONGEST);
        assert!(!members.is_idle());
        members.forget_old(now + LONGEST + Duration::from_secs(1));
        assert!(members.is_idle() && members.calls(&of("bob")) == 0);
    }
}
