//! INVITEs that are to take the place of a dialog of ours (RFC 3891), whichever shard that is of. Which shard it would be its
//! Call-ID tells; whether it is a dialog of ours, and not one between phones, only that shard knows. So it is asked, and the
//! INVITE waits here for the answer, which takes no longer than a message between two threads. Where a service has the call,
//! the INVITE goes to that shard, and so does all that belongs to it.

use std::collections::BTreeMap;
use std::fmt;

use offhook_sip::{Message, Name, Replaces, Request, Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::transaction::{ServerId, TransactionEvent};

use super::Core;
use super::refusing::refused;
use crate::b2bua::{Arriving, Called, Calls, Endpoint, Halves, Replacing};
use crate::context::Context;
use crate::directory::AddressOfRecord;
use crate::dispatch;
use crate::identity::Caller;
use crate::io::ShardMessage;
use crate::locality::user_of;
use crate::proxy::Asking;
use crate::refusal::Refusal;

/// INVITEs of which another shard is asked.
#[derive(Default)]
pub(super) struct Replacers {
    issued: u64,
    waiting: BTreeMap<u64, Waiting>,
    /// Where calls are, by Call-ID, that were handed over to other shards.
    handed: BTreeMap<String, u8>,
    /// Whose calls are here that were, by Call-ID.
    taken: BTreeMap<String, u8>,
}

/// An INVITE that another shard answers.
#[derive(Clone)]
pub struct HandedOver {
    shard: u8,
    /// As it came.
    request: Request,
    asking: Box<Asking>,
}

impl fmt::Debug for HandedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandedOver").field("shard", &self.shard).finish_non_exhaustive()
    }
}

struct Waiting {
    server: ServerId,
    asking: Asking,
    to: (Option<String>, String, Uri),
}

impl Replacers {
    /// One that no longer waits: it was cancelled, or its transaction is over.
    pub(super) fn forget(&mut self, server: ServerId) -> Option<Request> {
        let question =
            self.waiting.iter().find(|(_, one)| one.server == server).map(|(question, _)| *question)?;
        self.waiting.remove(&question).map(|one| one.asking.request)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.handed.is_empty() && self.taken.is_empty()
    }

    /// The shard that has the call of a request.
    pub(super) fn handed_to(&self, request: &Request) -> Option<u8> {
        if self.handed.is_empty() {
            return None;
        }
        self.handed.get(request.call_id().ok()?).copied()
    }

    /// A call is over that was handed over.
    pub(super) fn handed_back(&mut self, call_id: &str) {
        self.handed.remove(call_id);
    }
}

/// The accounts whose phones may be meant, or with what it is refused.
pub(crate) type MayReplace = Result<Vec<AddressOfRecord>, Status>;

impl Core {
    /// Takes an INVITE that is to take the place of a dialog of ours, or has another shard asked whether that is so.
    ///
    /// # Errors
    /// If it may not.
    pub(super) fn replace(
        &mut self,
        server: ServerId,
        asking: &Asking,
        (user, dialled, uri): (&Option<String>, &str, &Uri),
        cx: &mut Context<'_>,
    ) -> Result<bool, Refusal> {
        let Ok(Some(replaces)) = asking.request.replaces() else { return Ok(false) };
        let accounts = self.on_whose_behalf(asking);
        if let Some(may) = self.may_replace(&replaces, &accounts) {
            return self.take_place(server, asking, (replaces, may), cx).map(|()| true);
        }
        let home = dispatch::of_call(&replaces.call_id, self.config.shards);
        if home == cx.shard || asking.bridged.is_some() || self.replacers.waiting.len() >= MOST_WAITING {
            return Ok(false);
        }
        self.replacers.issued += 1;
        let question = self.replacers.issued;
        let to = (user.clone(), dialled.to_owned(), uri.clone());
        self.replacers.waiting.insert(question, Waiting { server, asking: asking.clone(), to });
        let asked = Halves::MayReplace { by: (cx.shard, question), replaces, accounts };
        cx.out.shards.push((home, ShardMessage::Halves(asked)));
        Ok(true)
    }

    /// The accounts of the caller and of the one on whose behalf it calls (RFC 3892); of a stranger none.
    fn on_whose_behalf(&self, asking: &Asking) -> Vec<AddressOfRecord> {
        match (&asking.caller, asking.request.referred_by()) {
            (Caller::Account(caller), Ok(by)) => {
                let by = by.and_then(|by| self.account_of(&user_of(&by.uri)?, &by.uri));
                std::iter::once(caller.address.clone()).chain(by).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether a phone of these accounts may take the place of a dialog of ours; `None`: it is none of this shard's.
    fn may_replace(&self, replaces: &Replaces, accounts: &[AddressOfRecord]) -> Option<MayReplace> {
        if !self.bridged.has_dialog(replaces) {
            return None;
        }
        if self.bridged.is_replaceable(replaces, accounts) {
            // RFC 3891 §3: it is no longer early.
            return Some(if replaces.early_only { Err(Status::BUSY_HERE) } else { Ok(accounts.to_vec()) });
        }
        // What rings may be taken by those who may pick it up.
        let group = |one: &AddressOfRecord| self.directory.answering(one)?.pickup_group.clone();
        let members = accounts.iter().filter_map(group).flat_map(|group| self.directory.pickup_group(&group));
        let all: Vec<_> = accounts.iter().cloned().chain(members).collect();
        Some(if self.bridged.rings_at(replaces, &all).is_some() { Ok(all) } else { Err(Status::FORBIDDEN) })
    }

    /// Answers an INVITE that may take the place of another, and lets it do so.
    fn take_place(
        &mut self,
        server: ServerId,
        asking: &Asking,
        (replaces, may): (Replaces, MayReplace),
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let accounts = may.map_err(|status| match status {
            Status::FORBIDDEN => Refusal::new(status, "This call is not yours to take"),
            status => status.into(),
        })?;
        let called = Called { replaces: true, ..Called::default() };
        let arriving = Arriving { server, asking, called: &called, targets: Vec::new() };
        let (bridged, mut env, _) = self.bridged(cx);
        let (by, mut calls) = Calls::new(bridged, &mut env, arriving);
        calls.service = usize::MAX;
        calls.answer(by, Endpoint::Voice)?;
        self.usages.replacing.push(Replacing { by, replaces: Some(replaces), accounts });
        Ok(())
    }

    /// Another shard asks about a dialog.
    pub(super) fn asked_to_replace(
        &self,
        (shard, question): (u8, u64),
        (replaces, accounts): (&Replaces, &[AddressOfRecord]),
        cx: &mut Context<'_>,
    ) {
        let answer = match self.may_replace(replaces, accounts) {
            Some(Ok(_)) if self.bridged.is_services(replaces, accounts) => {
                Halves::HandOver { question, to: cx.shard }
            }
            may => Halves::Replaceable { question, may },
        };
        cx.out.shards.push((shard, ShardMessage::Halves(answer)));
    }

    /// The other shard has answered: the INVITE goes on.
    pub(super) fn replaceable(&mut self, question: u64, may: Option<MayReplace>, cx: &mut Context<'_>) {
        let Some(Waiting { server, asking, to }) = self.replacers.waiting.remove(&question) else { return };
        let (request, flow) = (asking.request.clone(), asking.from);
        let gone_on = match (may, request.replaces()) {
            (Some(may), Ok(Some(replaces))) => self.take_place(server, &asking, (replaces, may), cx),
            _ => {
                let (user, dialled, uri) = to;
                self.reach_on(server, asking, (user, dialled, &uri), cx)
            }
        };
        self.refuse_unless(gone_on, server, (&request, flow), cx);
    }

    /// The shard that has the call of a service gets the INVITE that is to take the place of its party.
    pub(super) fn hand_over(&mut self, question: u64, to: u8, cx: &mut Context<'_>) {
        let Some(Waiting { server, asking, .. }) = self.replacers.waiting.remove(&question) else { return };
        if self.replacers.handed.len() >= MOST_HANDED {
            let (request, flow) = (asking.request.clone(), asking.from);
            let refusal = Refusal::new(Status::SERVICE_UNAVAILABLE, "Too many calls were handed over");
            return self.refuse_unless(Err(refusal.with(Name::RetryAfter, 60)), server, (&request, flow), cx);
        }
        let Some(request) = self.transactions.give_away(server) else { return };
        self.replacers.handed.insert(request.call_id().unwrap_or_default().to_owned(), to);
        let handed = HandedOver { shard: cx.shard, request, asking: Box::new(asking) };
        cx.out.shards.push((to, ShardMessage::Handed(handed)));
    }

    /// Takes an INVITE of another shard, which has looked at who sends it.
    pub(crate) fn handed(&mut self, HandedOver { shard, request, asking }: HandedOver, cx: &mut Context<'_>) {
        self.replacers.taken.insert(request.call_id().unwrap_or_default().to_owned(), shard);
        let begun = self.transactions.receive(Message::Request(request), asking.from, &mut cx.sip());
        let Some(TransactionEvent::Request { server, request, flow }) = begun else { return };
        let replaces = request.replaces().ok().flatten();
        let may = replaces.and_then(|replaces| {
            let may = self.may_replace(&replaces, &self.on_whose_behalf(&asking))?;
            Some((replaces, may))
        });
        let taken = match may {
            Some(may) => self.take_place(server, &asking, may, cx),
            // It has ended meanwhile.
            None => Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST.into()),
        };
        self.refuse_unless(taken, server, (&request, flow), cx);
    }

    /// Tells other shards which of the calls that they have handed over are over.
    pub(super) fn hand_back(&mut self, cx: &mut Context<'_>) {
        let Self { replacers, bridged, .. } = self;
        replacers.taken.retain(|call_id, shard| {
            let goes_on = bridged.has_call(call_id);
            if !goes_on {
                let said = Halves::HandedBack { call_id: call_id.clone() };
                cx.out.shards.push((*shard, ShardMessage::Halves(said)));
            }
            goes_on
        });
    }

    fn refuse_unless(
        &mut self,
        gone_on: Result<(), Refusal>,
        server: ServerId,
        (request, flow): (&Request, Flow),
        cx: &mut Context<'_>,
    ) {
        if let Err(refusal) = gone_on {
            let answer = refusal.response(request, &self.stateless_tag(request));
            cx.event(refused(request, &flow, &answer));
            cx.out.events.extend(self.call_refused(request, &flow, (&refusal, &answer)));
            self.transactions.respond(server, answer, &mut cx.sip());
        }
    }
}

/// More are taken for what they are to phones.
const MOST_WAITING: usize = 1_000;
/// Calls that were handed over, at a time.
const MOST_HANDED: usize = 1_000;
