//! One party takes the place of another in a call (RFC 3891), whatever shard that is of.

use offhook_sip::{Replaces, Status};

use super::call::{Call, With};
use super::far::Halves;
use super::halves::OURS;
use super::leg::Leg;
use super::refer::NOBODY;
use super::verb::Calls;
use super::{CallId, Env, Table, place};
use crate::directory::AddressOfRecord;

/// The party of a call is to take the place of a phone of one of these accounts in the call that the dialog is of.
pub(crate) struct Replacing {
    pub(crate) by: CallId,
    /// `None`: any call that a phone of these has with somebody.
    pub(crate) replaces: Option<Replaces>,
    pub(crate) accounts: Vec<AddressOfRecord>,
}

impl Calls<'_, '_, '_> {
    /// The party of a call that the service has takes the place of a phone of this account in its call with somebody, the last
    /// that was answered; if there is none, [`super::Point::Dialled`] says so.
    pub(crate) fn fetch(&mut self, by: CallId, account: AddressOfRecord) {
        self.hears_why(by);
        self.env.usages.replacing.push(Replacing { by, replaces: None, accounts: vec![account] });
    }
}

impl Calls<'_, '_, '_> {
    pub(super) fn hears_why(&mut self, call: CallId) {
        if let Some(one) = self.table.calls.get_mut(&call) {
            one.hears_why = true;
        }
    }
}

impl Table {
    /// Whether a dialog is an established one of ours with a phone of one of these accounts.
    pub(crate) fn is_replaceable(&self, replaces: &Replaces, accounts: &[AddressOfRecord]) -> bool {
        self.replaced(replaces, accounts).is_some()
    }

    /// Whether such a dialog is of a call with a service, which hands it to those of its own shard only.
    pub(crate) fn is_services(&self, replaces: &Replaces, accounts: &[AddressOfRecord]) -> bool {
        self.replaced(replaces, accounts).is_some_and(|at| self.is_with_service(at))
    }

    /// Whether a dialog is of a leg of ours.
    pub(crate) fn has_dialog(&self, replaces: &Replaces) -> bool {
        self.tags.contains_key(&*replaces.to_tag)
    }

    /// The call and leg that is meant by a dialog, or by none.
    fn meant(&self, replaces: Option<&Replaces>, accounts: &[AddressOfRecord]) -> Option<(CallId, u8)> {
        let Some(replaces) = replaces else {
            let up = self.calls.values().filter(|one| !one.has_ended());
            let leg = |one: &Call| {
                let is_its = |leg: &&Leg| {
                    let account = leg.account.as_ref();
                    account.is_some_and(|account| accounts.contains(account)) && leg.invite.is_established()
                };
                one.legs().filter(is_its).map(|leg| place(leg.usage).1).find(|leg| {
                    one.other_call(*leg).is_some() || one.talks_far().is_some() && one.is_first(*leg)
                })
            };
            let found = up.filter_map(|one| Some((one.answered?, one.id, leg(one)?)));
            return found.max_by_key(|(answered, id, _)| (*answered, id.0)).map(|(_, id, leg)| (id, leg));
        };
        self.replaced(replaces, accounts)
    }

    /// The established call and leg that a phone of one of these accounts means by this dialog.
    fn replaced(&self, replaces: &Replaces, accounts: &[AddressOfRecord]) -> Option<(CallId, u8)> {
        let (call, number) = place(*self.tags.get(&*replaces.to_tag)?);
        let one = self.calls.get(&call)?;
        let leg = one.leg(number)?;
        let is_meant = leg.invite.owns(&replaces.call_id, &replaces.to_tag)
            && leg.invite.is_established()
            && leg.invite.dialog().is_some_and(|dialog| dialog.id().remote_tag == *replaces.from_tag);
        let has_other = one.other_call(number).is_some()
            || one.talks_far().is_some()
            || self.is_with_service((call, number));
        let is_its = leg.account.as_ref().is_some_and(|account| accounts.contains(account)) && has_other;
        (is_meant && is_its).then_some((call, number))
    }

    /// The call that rings at a phone of one of these accounts, by the dialog that this phone means.
    pub(crate) fn rings_at(&self, replaces: &Replaces, accounts: &[AddressOfRecord]) -> Option<CallId> {
        let (call, number) = place(*self.tags.get(&*replaces.to_tag)?);
        let one = self.calls.get(&call).filter(|one| !one.has_ended())?;
        let With::Phones(ring) = &one.with else { return None };
        let branch = ring.branches.get(usize::from(number).checked_sub(1)?)?;
        // What the caller has heard of the phone is not taken from it, as in a call pickup.
        let is_free =
            ring.winner.is_none() && !branch.done && ring.kept.as_ref().is_none_or(|kept| !kept.early);
        let is_meant = branch.leg.invite.owns(&replaces.call_id, &replaces.to_tag)
            && branch.leg.invite.dialog().is_some_and(|dialog| dialog.id().remote_tag == *replaces.from_tag);
        let is_its = branch.leg.account.as_ref().is_some_and(|account| accounts.contains(account));
        (is_free && is_meant && is_its).then_some(call)
    }

    /// Does so if the call is here.
    pub(crate) fn replace(&mut self, wanted: &Replacing, env: &mut Env<'_, '_>) -> bool {
        let by = wanted.by;
        let rings = wanted.replaces.as_ref().and_then(|replaces| self.rings_at(replaces, &wanted.accounts));
        if let Some(found) = rings {
            let found = self.take_away(found, NOBODY, env);
            return found.is_some_and(|found| self.connect_now(by, found, env));
        }
        let Some((call, leg)) = self.meant(wanted.replaces.as_ref(), &wanted.accounts) else { return false };
        if self.calls.get(&call).is_none_or(|one| one.id == by || one.refers == Some(by)) {
            return false;
        }
        if self.is_with_service((call, leg)) {
            env.usages.given.push((by, call));
            return true;
        }
        if self.calls.get(&call).is_some_and(|one| one.far.is_some()) {
            self.take_far_place((call, leg), (env.cx.shard, by.0), env);
            return true;
        }
        let other = self.release((call, leg), env);
        if let Some(goes) = self.calls.get_mut(&call) {
            goes.leave(leg, env);
        }
        self.take_referred(by, env);
        let joined = |other: &CallId| self.take_place(by, *other, env) || self.connect(by, *other, env);
        match other.filter(joined) {
            Some(_) => self.transferred(by, env),
            None => self.not_replaced(by, env),
        }
        self.settle(call, env);
        self.settle(by, env);
        true
    }

    /// The same for one of another shard, if the call is here.
    pub(crate) fn replace_for(
        &mut self,
        by: (u8, u64),
        (replaces, accounts): (Option<&Replaces>, &[AddressOfRecord]),
        env: &mut Env<'_, '_>,
    ) -> bool {
        if let Some(found) = replaces.and_then(|replaces| self.rings_at(replaces, accounts)) {
            let found = self.take_away(found, NOBODY, env);
            return found.map(|found| self.meet_from_far(by, found, env)).is_some();
        }
        let Some((call, leg)) = self.meant(replaces, accounts) else { return false };
        if self.is_with_service((call, leg)) {
            return false;
        }
        if self.calls.get(&call).is_some_and(|one| one.far.is_some()) {
            self.take_far_place((call, leg), by, env);
            return true;
        }
        let Some(other) = self.release((call, leg), env) else { return false };
        if let Some(goes) = self.calls.get_mut(&call) {
            goes.leave(leg, env);
        }
        self.meet(by, other, OURS | u64::from(by.0) << 48 | by.1, env);
        self.settle(call, env);
        true
    }

    /// The one that takes a place learns of whom it meets there, or that nobody is there, from the shard of that.
    fn take_far_place(&mut self, (call, leg): (CallId, u8), by: (u8, u64), env: &mut Env<'_, '_>) {
        self.hand_over_place(call, by, env);
        if let Some(goes) = self.calls.get_mut(&call) {
            goes.leave(leg, env);
        }
        self.settle(call, env);
    }

    /// Nothing comes of it: whom a phone has named is called instead, and who has asked for no one else goes.
    pub(crate) fn not_replaced(&mut self, by: CallId, env: &mut Env<'_, '_>) {
        let Some(one) = self.calls.get(&by) else { return };
        if one.referral.is_some() {
            self.call_instead(by, env);
        } else {
            let status = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
            let reason = format!("SIP;cause={};text=\"{}\"", status.code(), status.reason());
            env.usages.let_go.push((by, Some(reason)));
        }
    }
}

impl Halves {
    /// The shards that have not been asked, and who asks.
    pub(crate) fn asked(&mut self) -> Option<(&mut Vec<u8>, (u8, u64))> {
        match self {
            Self::PickUp { left, by, .. } | Self::Replace { left, by, .. } => Some((left, *by)),
            Self::Parked { .. }
            | Self::Meet { .. }
            | Self::Swap { .. }
            | Self::Bereaved { .. }
            | Self::MayReplace { .. }
            | Self::Replaceable { .. }
            | Self::HandOver { .. }
            | Self::HandedBack { .. }
            | Self::Met { .. }
            | Self::Key { .. }
            | Self::Wish { .. }
            | Self::Lend { .. }
            | Self::Order { .. }
            | Self::Heard { .. }
            | Self::Announce { .. }
            | Self::Over { .. } => None,
        }
    }
}
