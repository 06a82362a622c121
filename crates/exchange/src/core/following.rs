//! Phones that have registered from somewhere else since their dialog began.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use offhook_sip::{Name, SipUri, Uri};
use offhook_sip_stack::Flow;

use super::Core;
use crate::context::Context;
use crate::directory::{AddressOfRecord, Binding, Bindings, Delta};
use crate::locality::address_of;
use crate::proxy::in_dialog::Forward;
use crate::proxy::signed_route::{Party, owner_digest};
use crate::proxy::{Target, of_bindings};
use crate::registrar::gruu::Gruu;

/// Phones of an account that are not where they were: by one registration they took their contacts back and told us of others.
pub(crate) struct Removal {
    /// The ways that led to them.
    pub(crate) left: Vec<Flow>,
    /// Where they are now.
    pub(crate) came: Option<Target>,
}

/// Where phones have gone that were at an address: for requests along routes that still name it.
#[derive(Default)]
pub(super) struct Forwarding {
    /// By a digest of the account and its former address.
    to: HashMap<(u32, SocketAddr), Flow>,
    /// The oldest first.
    order: VecDeque<(u32, SocketAddr)>,
}

impl Forwarding {
    fn note(&mut self, owner: u32, left: &[Flow], came: Flow) {
        for from in left.iter().map(|flow| (owner, flow.remote)) {
            if self.to.insert(from, came).is_none() {
                self.order.push_back(from);
            }
        }
        while self.order.len() > MOST_FORWARDED {
            self.order.pop_front().and_then(|oldest| self.to.remove(&oldest));
        }
    }

    /// The last known way to a phone that was at this address, of those that a binding `lives` on.
    fn find(&self, owner: u32, from: SocketAddr, lives: impl Fn(&Flow) -> bool) -> Option<Flow> {
        let mut way = *self.to.get(&(owner, from))?;
        // One that goes back and forth does not lead us in a circle.
        for _ in 0..MOST_MOVES {
            if lives(&way) {
                return Some(way);
            }
            way = *self.to.get(&(owner, way.remote))?;
        }
        None
    }
}

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
            let Some(owner) = forward.owner else { return };
            // Nearly all calls end here, and cost nothing more.
            let is_left = self.forwarding.to.contains_key(&(owner, party.remote));
            if says == Some(party.remote) && !is_left {
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
        let live = || bindings.0.iter().filter(|one| one.expires_at > now && one.path.is_empty());
        let lives = |flow: &Flow| live().any(|one| one.flow == *flow);
        // Its peer has not been told, or does not listen: the way says which phone it was.
        let gone_to = || self.forwarding.find(forward.owner?, party.remote, lives);
        let successor = || gone_to().and_then(|flow| live().find(|one| one.flow == flow));
        if let Some(found) = all().find(same).or_else(|| all().next()).or_else(successor) {
            let target = Target::from(found);
            if device.is_some() {
                forward.request = forward.request.edit().set_uri(&target.uri).finish();
            }
            forward.to = Party { flow: target.flow, behind_nat: found.behind_nat };
        }
    }

    /// The ways that lead to an account's phones now.
    pub(super) fn ways(&self, account: &AddressOfRecord, now: u64) -> Vec<Flow> {
        let live = self.directory.bindings(account).0.into_iter().filter(|one| one.expires_at > now);
        live.map(|one| one.flow).collect()
    }

    /// Another shard has registered phones of an account.
    pub(super) fn rebound(&mut self, account: AddressOfRecord, bindings: Bindings, cx: &mut Context<'_>) {
        let before = self.ways(&account, cx.unix());
        self.directory.apply(Delta::Bindings(account.clone(), bindings));
        self.phones_moved(&account, &before, cx);
    }

    /// An account's phones were reached by these ways, and perhaps no longer are: calls, requests and subscriptions follow them to
    /// where they are now.
    pub(super) fn phones_moved(&mut self, account: &AddressOfRecord, before: &[Flow], cx: &mut Context<'_>) {
        if before.is_empty() {
            return;
        }
        let (now, bindings) = (cx.unix(), self.directory.bindings(account));
        let live = || bindings.0.iter().filter(|one| one.expires_at > now);
        let left: Vec<Flow> =
            before.iter().filter(|flow| !live().any(|one| one.flow == **flow)).copied().collect();
        if left.is_empty() {
            return;
        }
        let came = live().rev().find(|one| !before.contains(&one.flow));
        if let Some(came) = came.filter(|one| one.path.is_empty()) {
            self.forwarding.note(owner_digest(account, &self.config.key), &left, came.flow);
        }
        let removal = Removal { left, came: came.map(Target::from) };
        let phones = of_bindings(account, live());
        let (config, transactions) = (&self.config, &mut self.transactions);
        self.proxy.phones_moved(account, (&phones, &removal), config, transactions, cx);
        self.presence.watcher_moved(account, &removal, config, transactions, cx);
        let (bridged, mut env, _) = self.bridged(cx);
        bridged.phones_moved(account, &removal, &mut env);
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

/// The most addresses that phones have left and that are remembered.
const MOST_FORWARDED: usize = 4096;

/// The most moves in which a phone is followed.
const MOST_MOVES: usize = 16;

#[cfg(test)]
mod tests {
    use offhook_sip_stack::Transport;

    use super::*;

    fn at(port: u16) -> Flow {
        let local = "192.0.2.1:5060".parse().unwrap();
        let remote = SocketAddr::new("192.0.2.9".parse().unwrap(), port);
        Flow { transport: Transport::Udp, local, remote, connection: None }
    }

    #[test]
    fn a_phone_is_followed_from_move_to_move_and_never_to_where_no_binding_is() {
        let mut forwarding = Forwarding::default();
        forwarding.note(7, &[at(1)], at(2));
        forwarding.note(7, &[at(2)], at(3));
        assert_eq!(forwarding.find(7, at(1).remote, |flow| *flow == at(3)), Some(at(3)));
        assert_eq!(forwarding.find(7, at(1).remote, |_| false), None);
        assert_eq!(forwarding.find(8, at(1).remote, |_| true), None, "another account's phone was there");
        forwarding.note(7, &[at(3)], at(1));
        assert_eq!(forwarding.find(7, at(2).remote, |_| false), None, "a circle ends");
    }

    #[test]
    fn what_is_remembered_of_moves_is_bounded() {
        let mut forwarding = Forwarding::default();
        for port in 0..=MOST_FORWARDED as u16 {
            forwarding.note(7, &[at(port)], at(9));
        }
        assert_eq!((forwarding.to.len(), forwarding.order.len()), (MOST_FORWARDED, MOST_FORWARDED));
        assert_eq!(forwarding.find(7, at(0).remote, |_| true), None, "the oldest is forgotten");
    }
}
