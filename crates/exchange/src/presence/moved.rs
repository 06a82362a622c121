//! Watchers whose phones have registered from elsewhere.

use offhook_sip::{Contact, Uri};
use offhook_sip_stack::transaction::Transactions;
use offhook_sip_stack::usage::UsageId;

use std::sync::Arc;

use super::{Presence, Watch};
use crate::b2bua::settings;
use crate::config::Config;
use crate::context::Context;
use crate::core::Removal;
use crate::directory::AddressOfRecord;
use crate::proxy::signed_route::Party;

impl Presence {
    /// Phones of an account are elsewhere: what they watch they are told there, also what they have not answered yet.
    pub(crate) fn watcher_moved(
        &mut self,
        watcher: &AddressOfRecord,
        Removal { left, came }: &Removal,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(came) = came else { return };
        if !self.watchers.contains_key(&Some(watcher.clone())) {
            return;
        }
        let is_there = |watch: &Watch| left.contains(watch.notifier.flow());
        let moved = |watch: &Watch| watch.watcher.as_ref() == Some(watcher) && is_there(watch);
        let all: Vec<UsageId> =
            self.watches.iter().filter(|(_, watch)| moved(watch)).map(|(usage, _)| *usage).collect();
        let party = Party { flow: came.flow, behind_nat: true };
        for usage in all {
            self.with(usage, transactions, cx, |watch, stack| {
                let secure = watch.notifier.settings().contact.uri().as_sip().is_some_and(|uri| uri.secure());
                let mut settings = settings(&party, secure, config);
                let described = Arc::make_mut(&mut settings);
                if let Uri::Sip(contact) = described.contact.uri().clone() {
                    described.contact = Contact::new(contact.with_user(watch.account.user()));
                }
                watch.notifier.peer_moved(settings, party.flow, stack);
            });
        }
    }
}
