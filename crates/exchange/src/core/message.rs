//! The door to text messages: MESSAGE to accounts of this exchange, and what is kept for them.

use std::time::Duration;

use offhook_sip::{Name, Request, Response, Status};
use offhook_sip_stack::transaction::{ServerId, TransactionEvent};

use super::Core;
use super::whereabouts::Found;
use crate::context::Context;
use crate::directory::{AddressOfRecord, Delta};
use crate::dispatch;
use crate::identity::Caller;
use crate::io::ShardMessage;
use crate::message::{
    Delivery, KeptText, PATIENCE, Text, TextAnswer, TextRequest, TextState, Waiting, request,
};
use crate::proxy::{Asking, Attended, Forwarding, of_bindings};
use crate::refusal::Refusal;

impl Core {
    /// A message for an account: to all its phones at once, or kept if there is none, or if others wait already.
    pub(super) fn text(
        &mut self,
        server: ServerId,
        asking: Asking,
        found: Found,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let sender = asking.caller.account();
        if sender.is_some_and(|one| !self.texts.admit(one, self.config.messages.per_minute, cx.unix())) {
            let refusal = Refusal::new(Status::SERVICE_UNAVAILABLE, "Too many messages in a minute");
            return Err(refusal.with(Name::RetryAfter, 60));
        }
        let keeps = !self.config.messages.keep.is_zero() && !matches!(asking.caller, Caller::Stranger);
        let account = found.account.clone().filter(|_| keeps);
        match (account, found.phones) {
            (Some(account), Err(_)) => {
                self.keep(server, &asking.request, asking.caller.account(), account, false, cx);
                Ok(())
            }
            // What came before is to be read before.
            (Some(account), Ok(_)) if self.directory.has_texts(&account) => {
                self.keep(server, &asking.request, asking.caller.account(), account, false, cx);
                Ok(())
            }
            (Some(account), Ok(targets)) => {
                let attended = Some(Attended { account, rings_for: Some(PATIENCE), hunt: None });
                let forwarding = Forwarding { asking, targets, attended };
                self.proxy.start(server, forwarding, &self.config, &mut self.transactions, cx)
            }
            (None, phones) => {
                let forwarding = Forwarding { asking, targets: phones?, attended: None };
                self.proxy.start(server, forwarding, &self.config, &mut self.transactions, cx)
            }
        }
    }

    /// A message that no phone has taken is kept.
    pub(super) fn unheard(
        &mut self,
        number: u64,
        (server, asking): (ServerId, Asking),
        account: AddressOfRecord,
        cx: &mut Context<'_>,
    ) {
        self.proxy.hand_over(number);
        self.keep(server, &asking.request, asking.caller.account(), account, true, cx);
    }

    /// Notes the messages that phones have taken.
    pub(super) fn note_texts(&mut self, cx: &mut Context<'_>) {
        for (account, sender, request) in std::mem::take(&mut self.proxy.taken) {
            if self.config.messages.history {
                let now = cx.unix();
                let text = Text::of(&request, account, sender, (now, now));
                self.texts.ask(TextRequest::Note(text), None, cx);
            }
        }
    }

    fn keep(
        &mut self,
        server: ServerId,
        request: &Request,
        sender: Option<&AddressOfRecord>,
        account: AddressOfRecord,
        tried: bool,
        cx: &mut Context<'_>,
    ) {
        let now = cx.unix();
        let asked =
            request.expires().filter(|seconds| *seconds > 0).map(|one| Duration::from_secs(one.into()));
        let time = asked.map_or(self.config.messages.keep, |asked| asked.min(self.config.messages.keep));
        let text = Text::of(request, account.clone(), sender.cloned(), (now, now + time.as_secs()));
        let waiting = Waiting::Keep { server, request: Box::new(request.clone()), account, tried };
        self.texts.ask(TextRequest::Keep(text), Some(waiting), cx);
    }

    /// The store has answered.
    pub(crate) fn stored(&mut self, ticket: u64, answer: TextAnswer, cx: &mut Context<'_>) {
        match (self.texts.answered(ticket), answer) {
            (Some(Waiting::Keep { server, request, account, tried }), answer) => {
                let told = |status: Status, reason: &str| {
                    Response::to_request(&request, status)
                        .reason(reason)
                        .to_tag(&self.stateless_tag(&request))
                };
                let answer = match answer {
                    TextAnswer::Kept => told(Status::ACCEPTED, "Kept until a phone is there"),
                    TextAnswer::Full => {
                        told(Status::TEMPORARILY_UNAVAILABLE, "No phone is there, and too many messages wait")
                    }
                    TextAnswer::Next(_) | TextAnswer::Failed => {
                        told(Status::SERVER_INTERNAL_ERROR, "The message cannot be kept")
                    }
                };
                let answer = answer.finish();
                let kept = answer.status().is_success();
                self.transactions.respond(server, answer, &mut cx.sip());
                if kept {
                    self.has_kept(account, tried, cx);
                }
            }
            (Some(Waiting::Next(account)), TextAnswer::Next(next)) => self.next_text(account, next, cx),
            (Some(Waiting::Next(account)), _) => _ = self.texts.deliveries.remove(&account),
            (None, _) => {}
        }
    }

    /// A message is kept for an account; its home delivers it, at once if no phone has refused it.
    fn has_kept(&mut self, account: AddressOfRecord, tried: bool, cx: &mut Context<'_>) {
        self.apply(Delta::Texts(account.clone(), true), cx);
        cx.tell_others(self.config.shards, &ShardMessage::Delta(Delta::Texts(account.clone(), true)));
        let home = dispatch::home(&account, self.config.shards);
        if home == cx.shard {
            self.text_kept(&account, tried, cx);
        } else {
            cx.out.shards.push((home, ShardMessage::TextKept { account, tried }));
        }
    }

    /// See [`ShardMessage::TextKept`].
    pub(crate) fn text_kept(&mut self, account: &AddressOfRecord, tried: bool, cx: &mut Context<'_>) {
        match self.texts.deliveries.get_mut(account) {
            Some(delivery) => delivery.more = true,
            None if tried => {}
            None => self.deliver(account, cx),
        }
    }

    /// Begins to deliver what is kept for an account of this home, if phones of it are there.
    pub(super) fn deliver(&mut self, account: &AddressOfRecord, cx: &mut Context<'_>) {
        let now = cx.unix();
        let is_there = || self.directory.bindings(account).0.iter().any(|one| one.expires_at > now);
        if !self.directory.has_texts(account) || !is_there() {
            return;
        }
        if let Some(delivery) = self.texts.deliveries.get_mut(account) {
            // The phones that are being tried may not be there, and this one is.
            delivery.more = true;
            return;
        }
        self.texts.deliveries.insert(account.clone(), Delivery::default());
        self.ask_next(account, 0, cx);
    }

    fn ask_next(&mut self, account: &AddressOfRecord, after: i64, cx: &mut Context<'_>) {
        let request = TextRequest::Next(account.clone(), after);
        self.texts.ask(request, Some(Waiting::Next(account.clone())), cx);
    }

    fn next_text(&mut self, account: AddressOfRecord, next: Option<Box<KeptText>>, cx: &mut Context<'_>) {
        let Some(delivery) = self.texts.deliveries.get_mut(&account) else { return };
        let Some(kept) = next else {
            if std::mem::take(&mut delivery.more) {
                return self.ask_next(&account, 0, cx);
            }
            let skipped = delivery.skipped;
            self.texts.deliveries.remove(&account);
            if !skipped {
                self.apply(Delta::Texts(account.clone(), false), cx);
                cx.tell_others(self.config.shards, &ShardMessage::Delta(Delta::Texts(account, false)));
            }
            return;
        };
        let (now, id) = (cx.unix(), kept.id);
        if kept.text.expires_at <= now {
            self.texts.ask(TextRequest::Settle(id, TextState::Expired), None, cx);
            return self.ask_next(&account, id, cx);
        }
        let bindings = self.directory.bindings(&account);
        let targets = of_bindings(&account, bindings.0.iter().filter(|one| one.expires_at > now));
        let sender = kept.text.sender.as_ref().and_then(|sender| self.directory.account(sender)).cloned();
        let mut sent = 0;
        for target in targets {
            let Some(message) = request(&kept, &target, sender.clone(), &self.config, cx) else { continue };
            let client = match target.behind_nat {
                true => self.transactions.send_request_on(message, target.flow, &mut cx.sip()),
                false => self.transactions.send_request(message, target.flow, &mut cx.sip()),
            };
            self.texts.clients.insert(client, (account.clone(), id));
            sent += 1;
        }
        if let Some(delivery) = self.texts.deliveries.get_mut(&account).filter(|_| sent > 0) {
            *delivery =
                Delivery { left: sent, under_way: Some(kept), absent: false, ..std::mem::take(delivery) };
        } else {
            self.texts.deliveries.remove(&account);
        }
    }

    /// Takes an event of a message that is being delivered; false if it is of none.
    pub(super) fn text_event(&mut self, event: &TransactionEvent, cx: &mut Context<'_>) -> bool {
        let (client, status) = match event {
            TransactionEvent::Response { client, response, .. } => (client, response.status()),
            TransactionEvent::Timeout { client } => (client, Status::REQUEST_TIMEOUT),
            TransactionEvent::TransportFailed { client } => (client, Status::SERVICE_UNAVAILABLE),
            TransactionEvent::ClientEnded { client } => {
                return self.texts.clients.remove(client).is_some();
            }
            _ => return false,
        };
        let Some((account, id)) = self.texts.clients.get(client).cloned() else { return false };
        if status.is_provisional() {
            return true;
        }
        if !matches!(event, TransactionEvent::Response { .. }) {
            self.texts.clients.remove(client);
        }
        self.text_answered(account, id, status, cx);
        true
    }

    /// A phone has answered. The first that takes a message has it; what nobody takes waits for the next registration.
    fn text_answered(&mut self, account: AddressOfRecord, id: i64, status: Status, cx: &mut Context<'_>) {
        let Some(delivery) = self.texts.deliveries.get_mut(&account) else { return };
        // Another phone may have been quicker, and the next message be under way.
        if delivery.under_way.as_ref().is_none_or(|kept| kept.id != id) {
            return;
        }
        if status.is_success() {
            delivery.under_way = None;
            self.texts.ask(TextRequest::Settle(id, TextState::Delivered), None, cx);
            return self.ask_next(&account, id, cx);
        }
        delivery.left = delivery.left.saturating_sub(1);
        delivery.absent |= is_absent(status);
        if delivery.left > 0 {
            return;
        }
        delivery.under_way = None;
        if delivery.absent && !delivery.more {
            self.texts.deliveries.remove(&account);
        } else if delivery.absent {
            *delivery = Delivery::default();
            self.ask_next(&account, 0, cx);
        } else {
            // Phones are there and do not take it: what comes after it should not wait for another phone.
            delivery.skipped = true;
            self.ask_next(&account, id, cx);
        }
    }
}

/// Whether an answer says that nobody is there now, rather than that such a message is not wanted.
fn is_absent(status: Status) -> bool {
    let gone = [
        Status::REQUEST_TIMEOUT,
        Status::TEMPORARILY_UNAVAILABLE,
        Status::BUSY_HERE,
        Status::NOT_FOUND,
        Status::FLOW_FAILED,
    ];
    gone.contains(&status) || (status.class() == 5 && status != Status::NOT_IMPLEMENTED)
}
