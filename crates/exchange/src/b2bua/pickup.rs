//! Calls that ring, taken away from the phones that they ring at.

use super::call::{Call, With};
use super::verb::{Calls, Endpoint};
use super::voice::{Dialled, Point};
use super::{CallId, Env, Table};
use crate::directory::AddressOfRecord;
use crate::proxy::Asking;

/// A call that rings at one of these accounts is to be connected with another.
pub(crate) struct PickUp {
    pub(crate) by: CallId,
    pub(crate) accounts: Vec<AddressOfRecord>,
    pub(crate) service: usize,
}

impl Calls<'_, '_, '_> {
    /// Connects a call that the service has with one that rings at one of these accounts; if there is none,
    /// [`super::Point::Dialled`] says so.
    pub(crate) fn pick_up(&mut self, by: CallId, accounts: Vec<AddressOfRecord>) {
        self.hears_why(by);
        self.env.usages.pickups.push(PickUp { by, accounts, service: self.service });
    }

    /// The group whose calls an account may take.
    pub(crate) fn pickup_group(&self, account: &AddressOfRecord) -> Option<String> {
        self.env.directory.answering(account)?.pickup_group.clone()
    }

    /// The accounts of a pickup group.
    pub(crate) fn members(&self, group: &str) -> Vec<AddressOfRecord> {
        self.env.directory.pickup_group(group)
    }
}

impl Table {
    /// Takes a call that rings at one of these accounts away from its phones; returns the half of a call that it is then.
    pub(crate) fn take_ringing(
        &mut self,
        accounts: &[AddressOfRecord],
        service: usize,
        env: &mut Env<'_, '_>,
    ) -> Option<CallId> {
        let is_one =
            |account: &Option<AddressOfRecord>| account.as_ref().is_some_and(|one| accounts.contains(one));
        let rings = |call: &Call| match &call.with {
            With::Phones(ring) if ring.winner.is_none() && !call.ended => {
                let kept = ring.kept.as_ref();
                let is_its = ring.branches.iter().any(|one| !one.done && is_one(&one.leg.account))
                    || kept.is_some_and(|kept| is_one(&kept.account));
                is_its && kept.is_none_or(|kept| !kept.early)
            }
            With::Phones(_) | With::End(_) => false,
        };
        let id = self.calls.values().find(|call| rings(call)).map(|call| call.id)?;
        self.take_away(id, service, env)
    }

    /// Takes a call that rings away from its phones; returns the half of a call that it is then.
    pub(super) fn take_away(&mut self, id: CallId, service: usize, env: &mut Env<'_, '_>) -> Option<CallId> {
        let call = self.calls.get_mut(&id)?;
        if let Some(waiting) = call.dialled_for {
            return Some(waiting);
        }
        let With::Phones(ring) = &mut call.with else { return None };
        let kept = ring.kept.as_ref()?;
        let asking = Asking { bridged: Some(id), ..kept.asking.clone() };
        ring.branches.iter_mut().for_each(|branch| branch.leave(&call.about.call_id, env));
        ring.groups.clear();
        self.take_over(id, &asking, (Endpoint::Voice, service), env).ok().map(|()| id)
    }

    /// Connects two, and tells the service of the second.
    pub(crate) fn connect_now(&mut self, by: CallId, found: CallId, env: &mut Env<'_, '_>) -> bool {
        let connected = self.connect(by, found, env);
        let service = self.calls.get(&found).and_then(|call| call.service).filter(|_| connected);
        let told = Point::Dialled(Dialled::Answered(by));
        env.usages.points.extend(service.map(|service| (found, service, told)));
        self.settle(found, env);
        connected
    }

    /// One that rang here meets one of another shard.
    pub(crate) fn meet_from_far(&mut self, by: (u8, u64), found: CallId, env: &mut Env<'_, '_>) {
        let room = super::halves::OURS | u64::from(by.0) << 48 | by.1;
        self.meet(by, found, room, env);
    }
}
