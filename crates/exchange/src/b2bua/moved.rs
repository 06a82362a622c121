//! Phones that have registered from elsewhere: their legs follow them.

use super::call::{Call, With};
use super::leg::{self, Leg};
use super::{CallId, Env, Table};
use crate::core::Removal;
use crate::directory::AddressOfRecord;
use crate::proxy::Target;
use crate::proxy::moved::MOVED;
use crate::proxy::signed_route::Party;

impl Table {
    /// Phones of an account are elsewhere. One that has not heard of its call is called there; what else is under way to it, and all
    /// that follows, goes there.
    pub(crate) fn phones_moved(
        &mut self,
        account: &AddressOfRecord,
        removal: &Removal,
        env: &mut Env<'_, '_>,
    ) {
        let Some(came) = &removal.came else { return };
        let concerned = |call: &Call| call.legs().any(|leg| has_moved(leg, account, removal));
        let calls = self.calls.iter().filter(|(_, call)| concerned(call));
        let calls: Vec<CallId> = calls.map(|(id, _)| *id).collect();
        for id in calls {
            if let Some(call) = self.calls.get_mut(&id) {
                call.phones_moved((account, removal), came, env);
            }
            self.settle(id, env);
        }
    }
}

impl Call {
    fn phones_moved(
        &mut self,
        (account, removal): (&AddressOfRecord, &Removal),
        came: &Target,
        env: &mut Env<'_, '_>,
    ) {
        let unheard: Vec<usize> = match &self.with {
            With::Phones(ring) if ring.winner.is_none() && !self.ended => {
                let branches = ring.branches.iter().enumerate();
                let unheard = branches
                    .filter(|(_, one)| !one.done && !one.heard && has_moved(&one.leg, account, removal));
                unheard.map(|(at, _)| at).collect()
            }
            With::Phones(_) | With::End(_) => Vec::new(),
        };
        for at in unheard {
            self.call_there(at, came, env);
        }
        let party = Party { flow: came.flow, behind_nat: true };
        for leg in self.legs_mut().filter(|leg| has_moved(leg, account, removal)) {
            leg.party = party;
            let is_secure = leg::is_sips(leg.invite.settings().contact.uri());
            let settings = leg::settings(&party, is_secure, env.config);
            leg.enter(env, |invite, stack| invite.peer_moved(&settings, party.flow, stack));
        }
    }

    /// Calls a phone where it is now, in place of where it was.
    fn call_there(&mut self, at: usize, came: &Target, env: &mut Env<'_, '_>) {
        let With::Phones(ring) = &mut self.with else { return };
        let Some(branch) = ring.branches.get_mut(at) else { return };
        let Target { uri, path, alternatives, flow, behind_nat, media, .. } = came.clone();
        let target = Target { uri, path, alternatives, flow, behind_nat, media, ..branch.target.clone() };
        branch.leave_for(&self.about.call_id, MOVED, env);
        // What it is sent from now on is only that it is not wanted any more.
        branch.leg.account = None;
        self.launch(target, env);
    }
}

fn has_moved(leg: &Leg, account: &AddressOfRecord, removal: &Removal) -> bool {
    leg.account.as_ref() == Some(account) && removal.left.contains(&leg.party.flow)
}
