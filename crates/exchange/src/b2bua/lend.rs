//! A half whose other half is of another shard, lent to that: as long as a service there does something with its party, a call stands
//! in for it. That has no leg: what its end is ordered, the end of the half does, which tells it in turn all that it hears. As soon as
//! the party talks with one alone again the half is back, connected with whomever that is.

use std::time::Duration;

use offhook_media::command::{Heard, Order};

use super::call::{About, Call, With};
use super::end::End;
use super::far::{GONE, Halves};
use super::record::Other;
use super::{CallId, Env, Table};
use crate::io::ShardMessage;

impl Table {
    /// Parts a half from one of another shard, for which a call stands in from now on, that is returned.
    pub(super) fn borrow(&mut self, call: CallId, env: &mut Env<'_, '_>) -> Option<CallId> {
        let one = self.calls.get_mut(&call)?;
        let (far, other, service) = (one.talks_far()?, one.other.clone()?, one.service);
        one.leave_far(env);
        let stand_in = self.next();
        let (from, to) = ((env.cx.shard, call.0), (env.cx.shard, stand_in.0));
        env.cx.out.shards.push((far.0, ShardMessage::Halves(Halves::Lend { call: far.1, from, to })));
        let mut new = Call::standing_in(stand_in, far, other, env);
        new.service = service;
        self.insert(new, env);
        Some(stand_in)
    }

    /// Lends a half to the shard of the one that it is connected with, unless that has changed: then it is not there for that.
    pub(super) fn lend(&mut self, call: CallId, from: (u8, u64), to: (u8, u64), env: &mut Env<'_, '_>) {
        let one = self.calls.get_mut(&call).filter(|one| one.far == Some(from));
        let is_free =
            |one: &Call| one.can_sit() && !one.lent && one.refers.is_none() && one.referral.is_none();
        match one {
            Some(one) if is_free(one) => {
                one.leave_far(env);
                (one.far, one.lent) = (Some(to), true);
                env.usages.let_go.extend(one.dials.drain(..).map(|dial| (dial, None)));
            }
            one => {
                if let Some(one) = one {
                    one.far = None;
                    env.usages.let_go.push((call, Some(GONE.to_owned())));
                }
                let over = Halves::Over { call: to.1, by: (env.cx.shard, call.0), reason: None };
                env.cx.out.shards.push((to.0, ShardMessage::Halves(over)));
            }
        }
        self.settle(call, env);
    }

    /// The end of a half that is lent does what the one that stands in for it is ordered.
    pub(super) fn ordered(&mut self, call: CallId, by: (u8, u64), order: Order, env: &mut Env<'_, '_>) {
        let one = self.calls.get_mut(&call).filter(|one| one.lent && one.far == Some(by));
        if let Some(With::End(end)) = one.map(|one| &mut one.with) {
            end.order(order, env);
        }
    }

    /// What is heard of a half that is lent is for the one that stands in for it.
    pub(super) fn heard_far(&mut self, call: CallId, by: (u8, u64), heard: Heard, env: &mut Env<'_, '_>) {
        if self.calls.get(&call).is_some_and(|one| one.is_stand_in() && one.far == Some(by)) {
            self.heard(call, heard, env);
        }
    }

    /// The half for which a call stands in is connected with this one; false if it stands in for none.
    pub(super) fn give_back(&mut self, call: CallId, with: (u8, u64), env: &mut Env<'_, '_>) -> bool {
        let is_lent = self.calls.get(&call).is_some_and(|one| one.is_stand_in());
        let is_back = is_lent && self.hand_over_place(call, with, env);
        env.usages.let_go.extend(is_back.then_some((call, None)));
        is_back
    }
}

impl Call {
    fn standing_in(id: CallId, far: (u8, u64), other: Box<Other>, env: &mut Env<'_, '_>) -> Self {
        let epoch = env.cx.epoch;
        let since = Duration::from_millis(u64::try_from(other.since).unwrap_or_default());
        let about = About {
            call_id: other.call_id.clone(),
            from: String::new(),
            to: String::new(),
            started: epoch.instant + since.saturating_sub(epoch.unix),
            account: None,
            trunk: None,
            is_leg: true,
            is_hidden: false,
            called: None,
        };
        let end = End::standing_in(far, (env.cx.shard, id.0), &about.call_id, env);
        let mut new = Self::new(id, None, With::End(Box::new(end)), about);
        (new.far, new.other, new.answered) = (Some(far), Some(other), Some(env.cx.now));
        new
    }

    /// Whether it stands in for a half of another shard.
    pub(super) fn is_stand_in(&self) -> bool {
        matches!(&self.with, With::End(end) if end.stands_for.is_some())
    }

    /// The half of another shard with whose party its own talks.
    pub(super) fn talks_far(&self) -> Option<(u8, u64)> {
        self.far.filter(|_| !self.lent && !self.is_stand_in())
    }

    /// Tells the one that stands in for it what is heard; false if there is none.
    pub(super) fn tell_stand_in(&self, heard: &Heard, env: &mut Env<'_, '_>) -> bool {
        let Some((shard, call)) = self.far.filter(|_| self.lent) else { return false };
        let by = (env.cx.shard, self.id.0);
        let heard = Halves::Heard { call, by, heard: heard.clone() };
        env.cx.out.shards.push((shard, ShardMessage::Halves(heard)));
        true
    }
}
