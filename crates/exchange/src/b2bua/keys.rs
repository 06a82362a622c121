//! Keys that are pressed in calls between phones, and what they may lead to: one party leaves the other to us, or both come to
//! have ends of ours.

use offhook_media::command::SideName;
use offhook_sip::Request;
use offhook_sip_stack::usage::UsageId;

use super::call::{CALLER, With};
use super::verb::Calls;
use super::{CallId, Env, Table, place};
use crate::directory::AddressOfRecord;
use crate::proxy::keys;

/// One leg of a call: who presses keys in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LegId {
    pub(crate) call: CallId,
    /// Its number within the call.
    pub(crate) leg: u8,
}

impl Calls<'_, '_, '_> {
    /// The leg of a call that has an end of ours.
    pub(crate) fn first_leg(&self, call: CallId) -> Option<LegId> {
        let one = self.table.calls.get(&call)?;
        let (call, leg) = match &one.first {
            Some(first) => place(first.usage),
            None => (call, CALLER),
        };
        (one.first.is_some() || one.is_stand_in()).then_some(LegId { call, leg })
    }

    /// The account whose phone a leg is with.
    pub(crate) fn account_of_leg(&self, at: LegId) -> Option<AddressOfRecord> {
        let one = self.table.calls.get(&at.call)?;
        match one.leg(at.leg) {
            Some(leg) => leg.account.clone(),
            None => one.account().filter(|_| one.is_stand_in()).cloned(),
        }
    }

    /// Whether a leg is with somebody who talks with another party, and no phone has begun to transfer either.
    pub(crate) fn talks(&self, at: LegId) -> bool {
        let one = self.table.calls.get(&at.call).filter(|one| !one.has_ended());
        let other = one.and_then(|one| {
            // Of one of another shard has to be known who it is.
            let far = one.talks_far().filter(|_| one.other.is_some() && one.is_first(at.leg));
            one.other_call(at.leg).or(far.map(|_| at.call))
        });
        let is_free = |call: &CallId| {
            self.table.calls.get(call).is_some_and(|one| one.refers.is_none() && one.referral.is_none())
        };
        other.is_some_and(|other| [at.call, other].iter().all(is_free))
    }

    /// A leg goes, and leaves the party that it talks with in a call that has an end of ours, which is returned.
    pub(crate) fn leave_other(&mut self, at: LegId) -> Option<CallId> {
        let LegId { call, leg } = at;
        if !self.talks(at) {
            return None;
        }
        let far = self.table.borrow(call, self.env);
        let other = far.or_else(|| self.table.release((call, leg), self.env));
        let one = self.table.calls.get_mut(&call).filter(|_| other.is_some())?;
        one.leave(leg, self.env);
        self.table.settle(call, self.env);
        other
    }

    /// Parts a leg from the party that it talks with; returns the calls of both, which have ends of ours.
    pub(crate) fn halve(&mut self, at: LegId) -> Option<[CallId; 2]> {
        if !self.talks(at) {
            return None;
        }
        if let Some(other) = self.part(at.call) {
            return Some([at.call, other]);
        }
        if let Some(stand_in) = self.table.borrow(at.call, self.env) {
            return Some([at.call, stand_in]);
        }
        let other = self.table.next();
        let (before, half) = self.table.calls.get_mut(&at.call)?.split(other, self.env)?;
        let first = half.first.as_ref()?;
        let now = first.usage;
        self.table.tags.insert(first.invite.local_tag().into(), now);
        self.table.moved.insert(before, now);
        self.table.insert(half, self.env);
        self.table.settle(at.call, self.env);
        Some([at.call, other])
    }
}

impl Table {
    /// Somebody between two phones has heard a key in the sound of one of them.
    pub(crate) fn key_between(&mut self, call: CallId, side: SideName, key: char, env: &mut Env<'_, '_>) {
        let Some(With::Phones(ring)) = self.calls.get(&call).map(|one| &one.with) else { return };
        let Some(at) = ring.winner else { return };
        let leg = if side == SideName::BOTH[0] { CALLER } else { at as u8 + 1 };
        env.usages.keyed.push((LegId { call, leg }, key));
    }

    /// A key that signalling brought.
    pub(super) fn pressed(&mut self, usage: UsageId, request: &Request, env: &mut Env<'_, '_>) {
        let press = keys::pressed(request).and_then(|press| KEYS.chars().nth(press.event.into()));
        let Some(key) = press else { return };
        let (call, leg) = place(usage);
        let Some(one) = self.calls.get(&call).filter(|one| !one.has_ended()) else { return };
        match &one.with {
            With::End(_) => self.pressed_to_us(call, key, env),
            With::Phones(_) => {
                let (side, anchor) = (usize::from(leg != CALLER), one.anchor_of_phones());
                let Some(anchor) = anchor.filter(|_| one.other_call(leg).is_some()) else { return };
                if env.anchors.pressed(anchor, SideName::BOTH[side], key, env.config, env.cx) {
                    env.usages.keyed.push((LegId { call, leg }, key));
                }
            }
        }
    }
}

/// Keys by their event codes (RFC 4733 §3.2).
const KEYS: &str = "0123456789*#ABCD";
