//! Phones that have registered from elsewhere while a call, or a request of one, was on its way to them.

use offhook_sip::Status;
use offhook_sip_stack::transaction::{ClientId, Transactions};

use super::Proxy;
use super::response_context::{Branch, Kind, ResponseContext};
use super::signed_route::owner_digest;
use super::target::Target;
use crate::config::Config;
use crate::context::Context;
use crate::core::Removal;
use crate::directory::AddressOfRecord;

impl Proxy {
    /// The phones of an account are there now, and not where they were. A call that was sent to a way which is no more, and of
    /// which nothing was heard, is sent to the one that came instead. A phone that has answered anything knows of the call: a
    /// second INVITE would be a loop to it (RFC 3261 §8.2.2.2).
    pub(crate) fn phones_moved(
        &mut self,
        account: &AddressOfRecord,
        (phones, removal): (&[Target], &Removal),
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        if self.contexts.is_empty() {
            return;
        }
        self.reroute(account, removal, config, transactions, cx);
        let mut concerned: Vec<u64> = self
            .contexts
            .iter()
            .filter(|(_, context)| context.is_new_call() && !context.cancelled)
            .filter(|(_, context)| context.branches.iter().any(|branch| is_lost(branch, account, phones)))
            .map(|(number, _)| *number)
            .collect();
        concerned.sort_unstable();
        for number in concerned {
            let Some(mut context) = self.contexts.remove(&number) else { continue };
            for index in 0..context.branches.len() {
                self.send_after(number, &mut context, index, (account, phones), config, transactions, cx);
            }
            self.settle(number, context, config, transactions, cx);
        }
    }

    /// What is under way to a phone that has moved, and was heard of there, goes on to where it is now: a CANCEL finds it. So
    /// does a request of a dialog that it has not answered.
    fn reroute(
        &mut self,
        account: &AddressOfRecord,
        Removal { left, came }: &Removal,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(came) = came else { return };
        let owner = owner_digest(account, &config.key);
        let mut moved: Vec<ClientId> = Vec::new();
        for context in self.contexts.values_mut() {
            let is_its_own = match &context.kind {
                Kind::Initial { .. } => false,
                Kind::InDialog { to, .. } => to.0 == Some(owner) && left.contains(&to.1),
            };
            for branch in context.branches.iter_mut().filter(|branch| !branch.done) {
                let knows = branch.heard || context.cancelled;
                let target = branch.target.as_mut().filter(|target| {
                    knows && target.account.as_ref() == Some(account) && left.contains(&target.flow)
                });
                match target {
                    Some(target) => (target.flow, target.behind_nat) = (came.flow, came.behind_nat),
                    None if is_its_own => {}
                    None => continue,
                }
                moved.push(branch.client);
            }
        }
        moved.sort_unstable();
        moved.into_iter().for_each(|client| transactions.reroute(client, came.flow, &mut cx.sip()));
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a shard are lent one by one")]
    fn send_after(
        &mut self,
        number: u64,
        context: &mut ResponseContext,
        index: usize,
        (account, phones): (&AddressOfRecord, &[Target]),
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        if !is_lost(&context.branches[index], account, phones) {
            return;
        }
        let is_tried = |phone: &Target| {
            context.branches.iter().filter_map(|one| one.target.as_ref()).any(|one| one.flow == phone.flow)
        };
        let Some(phone) = phones.iter().find(|phone| !is_tried(phone)).cloned() else { return };
        let branch = &mut context.branches[index];
        let Some(lost) = branch.target.clone() else { return };
        let (uri, path, alternatives) = (phone.uri, phone.path, phone.alternatives);
        let (flow, behind_nat, media) = (phone.flow, phone.behind_nat, phone.media);
        let target = Target { uri, path, alternatives, flow, behind_nat, media, ..lost };
        if self.launch(number, context, target, 1, config, transactions, cx).is_ok() {
            let branch = &mut context.branches[index];
            branch.done = true;
            branch.given_up = Some(MOVED);
            transactions.cancel(branch.client, &mut cx.sip());
            super::legs::ended(context, index, MOVED, cx);
            self.drop_branch_media(context, index, cx);
        }
    }
}

/// Whether a branch waits for a phone of an account that is not there any more.
fn is_lost(branch: &Branch, account: &AddressOfRecord, phones: &[Target]) -> bool {
    let Some(target) = branch.target.as_ref().filter(|_| !branch.done && !branch.heard) else { return false };
    let is_there = |phone: &Target| {
        phone.flow == target.flow || phone.alternatives.iter().any(|other| other.flow == target.flow)
    };
    branch.given_up.is_none() && target.account.as_ref() == Some(account) && !phones.iter().any(is_there)
}

/// Why a phone is not called any more where it was.
pub(crate) const MOVED: (Status, &str) = (Status::TEMPORARILY_UNAVAILABLE, "The phone has moved");
