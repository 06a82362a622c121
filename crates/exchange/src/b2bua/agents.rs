//! What a service may know of accounts that it calls.

use std::time::Instant;

use offhook_sip::NameAddr;

use super::CallId;
use super::verb::Calls;
use crate::directory::AddressOfRecord;
use crate::dispatch;
use crate::identity;
use crate::io::ShardMessage;
use crate::services::QueueShare;

impl Calls<'_, '_, '_> {
    /// The moment.
    pub(crate) fn now(&self) -> Instant {
        self.env.cx.now
    }

    /// The account that the configuration means by a number, a user or an address.
    pub(crate) fn named(&self, name: &str) -> Option<AddressOfRecord> {
        let address =
            AddressOfRecord::parse(name).ok().filter(|one| self.env.directory.account(one).is_some());
        address.or_else(|| self.account_of(name))
    }

    /// Whether a call has been answered and is not over.
    pub(crate) fn is_up(&self, call: CallId) -> bool {
        self.table.calls.get(&call).is_some_and(|one| one.answered.is_some() && !one.has_ended())
    }

    /// Calls of an account are followed from now on, so that it is known when it is free; or no more.
    pub(crate) fn follow_calls(&mut self, account: &AddressOfRecord, follow: bool) {
        self.env.active.members.follow(account, follow);
    }

    /// Whether an account is in a call, if it is a member of a group or an agent.
    pub(crate) fn is_in_call(&self, account: &AddressOfRecord) -> bool {
        self.env.active.members.calls(account) > 0
    }

    /// Whether an account has a phone that may ring now.
    pub(crate) fn can_be_called(&self, account: &AddressOfRecord) -> bool {
        let now = self.env.cx.unix();
        let directory = self.env.directory;
        let is_there = directory.bindings(account).0.iter().any(|one| one.expires_at > now);
        let is_quiet = directory.answering(account).is_some_and(|one| one.do_not_disturb);
        is_there && !is_quiet && !self.is_in_call(account)
    }

    /// Whether an account is looked after by this shard.
    pub(crate) fn is_home(&self, account: &AddressOfRecord) -> bool {
        dispatch::home(account, self.env.config.shards) == self.env.cx.shard
    }

    /// Tells the other shards what this one has of a queue.
    pub(crate) fn tell_queue(&mut self, number: &str, share: &QueueShare) {
        let shard = self.env.cx.shard;
        let fact = ShardMessage::Queue { shard, number: number.to_owned(), share: Box::new(share.clone()) };
        self.env.cx.tell_others(self.env.config.shards, &fact);
    }

    /// An account is in this call from now on.
    pub(crate) fn occupy(&mut self, call: CallId, account: &AddressOfRecord) {
        if let Some(one) = self.table.calls.get(&call) {
            self.env.active.members.begin(&one.about.call_id, account, self.env.cx.now);
        }
    }

    /// The party of a call with the name of a group before its own.
    pub(crate) fn shown_in_group(&self, call: CallId, group: &str) -> Option<NameAddr> {
        Some(identity::of_group(&self.table.calls.get(&call)?.shown()?, group))
    }
}
