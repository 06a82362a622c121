//! Phones that have registered from somewhere else since their dialog began.

use offhook_sip::{Name, SipUri, Uri};
use offhook_sip_stack::Flow;

use super::Core;
use crate::context::Context;
use crate::directory::{AddressOfRecord, Binding};
use crate::locality::address_of;
use crate::proxy::in_dialog::Forward;
use crate::proxy::signed_route::{Party, owner_digest};
use crate::proxy::{Target, of_bindings};
use crate::registrar::gruu::Gruu;

impl Core {
    /// A request of a dialog goes to where the phone that its URI names is registered now: by a GRUU of ours (RFC 5627 §5.3), at its
    /// Contact, or by the Contact itself. So a phone that lost its connection is found on the next, and one that has moved at
    /// its new address. To another host than the party's it goes only if the signed route says that the party is a phone
    /// of this account, lest somebody name a device that is not of this call.
    pub(super) fn follow_device(&self, forward: &mut Forward, now: u64) {
        if forward.foreign_route {
            return;
        }
        let Ok(Uri::Sip(uri)) = forward.request.uri() else { return };
        let device = Gruu::read(&uri, &self.config.key);
        let party = forward.to.flow;
        if device.is_none() {
            let says = address_of(&uri, party.transport.default_port());
            // Nearly all calls end here, and cost nothing more.
            if forward.owner.is_none() || says == Some(party.remote) {
                return;
            }
        }
        let Some(record) = self.owner_of(forward, &uri, device.as_ref()) else { return };
        let is_its_owner = Some(owner_digest(&record, &self.config.key)) == forward.owner;
        let bindings = self.directory.bindings(&record);
        let meant = |one: &&Binding| {
            let named = match &device {
                Some(device) => device.names(one),
                None => is_its_owner && is_contact(&uri, one),
            };
            let there = is_its_owner || one.flow.remote.ip() == party.remote.ip();
            one.expires_at > now && named && there && one.path.is_empty()
        };
        let same = |one: &&Binding| one.flow.transport == party.transport && one.flow.remote == party.remote;
        let all = || bindings.0.iter().rev().filter(meant);
        if let Some(found) = all().find(same).or_else(|| all().next()) {
            let target = Target::from(found);
            if device.is_some() {
                forward.request = forward.request.edit().set_uri(&target.uri).finish();
            }
            forward.to = Party { flow: target.flow, behind_nat: found.behind_nat };
        }
    }

    /// An account's phones were reached by these ways, and perhaps no longer are: calls that they have not heard of go to where they are now.
    pub(super) fn phones_moved(&mut self, account: &AddressOfRecord, before: &[Flow], cx: &mut Context<'_>) {
        if before.is_empty() || !self.proxy.has_contexts() {
            return;
        }
        let (now, bindings) = (cx.unix(), self.directory.bindings(account));
        let live = || bindings.0.iter().filter(|one| one.expires_at > now);
        if before.iter().all(|flow| live().any(|one| one.flow == *flow)) {
            return;
        }
        let phones = of_bindings(account, live());
        self.proxy.phones_moved(account, &phones, &self.config, &mut self.transactions, cx);
    }

    /// The account whose phone a request of a dialog is for, as far as the request tells.
    fn owner_of(&self, forward: &Forward, uri: &SipUri, device: Option<&Gruu>) -> Option<AddressOfRecord> {
        let domains = &self.config.domains;
        let user = uri.user_unescaped().unwrap_or_default();
        let known = |host: &str| self.directory.find(&user, host, domains).map(|one| one.address.clone());
        match device {
            Some(Gruu::Temporary(record, _)) => Some(record.clone()),
            Some(Gruu::Public(_)) => {
                Some(known(&uri.host().to_string()).unwrap_or_else(|| self.unproven(&user)))
            }
            None => {
                // To names who is meant, unless that one was called as somebody else: by a group, after a forwarding.
                let to = String::from_utf8_lossy(forward.request.raw(Name::To).unwrap_or_default());
                let named = self.directory.named_by(&to, domains).map(|one| one.address.clone());
                let is_its_owner =
                    |one: &AddressOfRecord| Some(owner_digest(one, &self.config.key)) == forward.owner;
                named
                    .filter(is_its_owner)
                    .or_else(|| known(&self.config.realm).filter(is_its_owner))
                    .or_else(|| Some(self.unproven(&user)).filter(is_its_owner))
            }
        }
    }
}

/// Whether a Request-URI is the contact of a binding.
fn is_contact(uri: &SipUri, binding: &Binding) -> bool {
    match binding.contact.parse() {
        Ok(Uri::Sip(contact)) => uri.equivalent(&contact.without_headers()),
        _ => false,
    }
}
