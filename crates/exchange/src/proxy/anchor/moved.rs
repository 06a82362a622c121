//! Parties of an anchored call that change their network while it lasts.

use offhook_sip::Request;
use offhook_sip_stack::Flow;

use super::Anchors;
use crate::config::Config;
use crate::proxy::launch::is_behind_nat;
use crate::proxy::signed_route::{Party, PartyName};

impl Anchors {
    /// A party has sent a request of an answered call's dialog from there. If it is a new one, a phone that changed its
    /// network, or whose NAT forgot it, is reached there from now on: who knows the signed route is one of the parties.
    pub(crate) fn heard_from(
        &mut self,
        number: u64,
        sender: PartyName,
        request: &Request,
        from: &Flow,
        config: &Config,
    ) {
        let Some(anchor) = self.anchors.get_mut(&number) else { return };
        let dialog = anchor.answered.as_mut().and_then(|one| one.dialog.as_mut());
        let Some(dialog) = dialog.filter(|dialog| dialog.is_new(sender, request)) else { return };
        let Party { flow, behind_nat } = anchor.parties[sender.index()];
        let elsewhere = flow.remote.ip() != from.remote.ip();
        // Without a NAT its Contact says on which port it is.
        let other_port = behind_nat && flow.transport == from.transport && flow != *from;
        if elsewhere || other_port {
            let party = Party { flow: *from, behind_nat: is_behind_nat(request, from) };
            dialog.moved(sender, party);
            anchor.parties[sender.index()] = party;
            anchor.told[sender.index()] = config.address_told(from);
            anchor.moved[sender.index()] = true;
        }
    }

    /// Where a party is that has moved.
    pub(crate) fn moved(&self, number: u64, name: PartyName) -> Option<Party> {
        let anchor = self.anchors.get(&number)?;
        anchor.moved[name.index()].then(|| anchor.parties[name.index()])
    }
}
