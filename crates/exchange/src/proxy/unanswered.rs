//! Calls that nobody has taken, and that may go on to somebody else.

use std::time::{Duration, Instant};

use offhook_sip::{Contacts, Method, Request, Response, Status};
use offhook_sip_stack::Flow;
use offhook_sip_stack::transaction::{ServerId, Transactions};

use super::response_context::{Kind, ResponseContext};
use super::{Asking, Proxy, cancel_pending, is_due};
use crate::config::Config;
use crate::context::Context;
use crate::directory::AddressOfRecord;
use crate::services::{Hunt, Why};

/// Whose call it is that may go on.
#[derive(Clone, Debug)]
pub(crate) struct Attended {
    pub(crate) account: AddressOfRecord,
    /// For how long its phones ring; `None`: as long as they may.
    pub(crate) rings_for: Option<Duration>,
    /// What is left of the group whose members ring.
    pub(crate) hunt: Option<Box<Hunt>>,
}

/// A call that nobody has taken.
pub(crate) struct Unanswered {
    /// Its context, which waits for [`Proxy::give_up`] or [`Proxy::hand_over`].
    pub(crate) number: u64,
    pub(crate) server: ServerId,
    pub(crate) asking: Asking,
    /// Whose it is; `None`: that of the Request-URI.
    pub(crate) account: Option<AddressOfRecord>,
    pub(crate) why: Why,
    /// Where a phone sends it.
    pub(crate) deflection: Option<String>,
}

impl ResponseContext {
    /// Why nobody has taken it, when somebody else may.
    pub(super) fn unanswered(&self) -> Option<Why> {
        if *self.request.method() == Method::Message {
            return self.unheard().then_some(Why::Unavailable);
        }
        if self.settled || self.cancelled || self.hung_up || !self.is_new_call() {
            return None;
        }
        if self.deflection().is_some() {
            return Some(Why::Deflected);
        }
        self.attended.as_ref()?;
        let given_up = self.branches.iter().any(|branch| branch.given_up.is_some());
        why_unanswered(self.best.as_ref()?.status(), given_up, self.rang)
    }
}

/// Why nobody takes a call of which this is the best answer. `given_up`: we have ended the ringing.
pub(crate) fn why_unanswered(best: Status, given_up: bool, rang: bool) -> Option<Why> {
    match best {
        Status::BUSY_HERE | Status::BUSY_EVERYWHERE | Status::DECLINE => Some(Why::Busy),
        _ if given_up => Some(Why::NoAnswer),
        Status::REQUEST_TIMEOUT | Status::TEMPORARILY_UNAVAILABLE | Status::REQUEST_TERMINATED if rang => {
            Some(Why::NoAnswer)
        }
        Status::REQUEST_TIMEOUT
        | Status::TEMPORARILY_UNAVAILABLE
        | Status::REQUEST_TERMINATED
        | Status::FLOW_FAILED => Some(Why::Unavailable),
        status if status.class() == 5 => Some(Why::Unavailable),
        _ => None,
    }
}

/// Where a phone sends a call by a 3xx.
pub(crate) fn deflection(response: &Response) -> Option<String> {
    if !response.status().is_redirection() || response.status() == Status::USE_PROXY {
        return None;
    }
    let Ok(Contacts::List(contacts)) = response.contacts() else { return None };
    let best = contacts.iter().min_by_key(|one| std::cmp::Reverse(one.q().unwrap_or(1_000)))?;
    Some(best.uri().to_string())
}

impl ResponseContext {
    /// Whether it is a message that no phone has taken, and that may be kept: nobody has declined it for all phones.
    fn unheard(&self) -> bool {
        let open = !self.settled && !self.cancelled && !self.final_sent && self.attended.is_some();
        open && self.best.as_ref().is_none_or(|best| {
            let bad = [Status::BAD_REQUEST, Status::REQUEST_ENTITY_TOO_LARGE];
            best.status().class() != 6 && !bad.contains(&best.status())
        })
    }

    /// Where a phone of ours sends the call by a 3xx, as if its account had said so.
    fn deflection(&self) -> Option<String> {
        let ours = self.branches.iter().all(|one| one.target.as_ref().is_some_and(|it| it.domain.is_none()));
        self.best.as_ref().filter(|_| ours).and_then(deflection)
    }
}

impl Proxy {
    /// The next call that nobody has taken. It no longer counts as one of its caller.
    pub(crate) fn next_unanswered(&mut self) -> Option<Unanswered> {
        while let Some(number) = self.unanswered.pop() {
            let Some(context) = self.contexts.get_mut(&number) else { continue };
            let Some(why) = context.unanswered() else { continue };
            let account = context.attended.as_ref().map(|attended| attended.account.clone());
            let deflection = context.deflection();
            let Kind::Initial { caller, from, counted } = &mut context.kind else { continue };
            let counted = caller.account().cloned().filter(|_| std::mem::take(counted));
            let hunt = context.attended.as_mut().and_then(|attended| attended.hunt.take());
            let asking = Asking { hunt, ..asking(&context.request, from.flow, caller, context.started) };
            let unanswered = Unanswered { number, server: context.server, asking, account, why, deflection };
            self.release(counted.as_ref());
            return Some(unanswered);
        }
        None
    }

    /// The calls that ring, or are about to, by their contexts.
    pub(crate) fn ringing_numbers(&self) -> impl Iterator<Item = u64> {
        let rings =
            |one: &ResponseContext| one.is_new_call() && !one.final_sent && !one.cancelled && !one.hung_up;
        let mut all: Vec<_> =
            self.contexts.iter().filter(|(_, one)| rings(one)).map(|(number, _)| *number).collect();
        // The one that has waited longest first.
        all.sort_unstable();
        all.into_iter()
    }

    /// Whom a call is for: its account, if that is known, and what was asked.
    pub(crate) fn called(&self, number: u64) -> Option<(Option<AddressOfRecord>, &Request)> {
        let context = self.contexts.get(&number)?;
        Some((context.attended.as_ref().map(|attended| attended.account.clone()), &context.request))
    }

    /// Takes a call that rings away from its phones, which are told that somebody else has it; its context waits for
    /// [`Proxy::hand_over`].
    pub(crate) fn take_away(
        &mut self,
        number: u64,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) -> Option<(ServerId, Asking)> {
        let context = self.contexts.get_mut(&number)?;
        context.groups.clear();
        cancel_pending(context, Some(ELSEWHERE), transactions, cx);
        let Kind::Initial { caller, from, counted } = &mut context.kind else { return None };
        let counted = caller.account().cloned().filter(|_| std::mem::take(counted));
        let asking = asking(&context.request, from.flow, caller, context.started);
        let server = context.server;
        self.release(counted.as_ref());
        Some((server, asking))
    }

    /// Nothing becomes of it: the caller is told why nobody has taken it.
    pub(crate) fn give_up(
        &mut self,
        number: u64,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(mut context) = self.contexts.remove(&number) else { return };
        context.settled = true;
        self.settle(number, context, config, transactions, cx);
    }

    /// Somebody else has it from here on.
    pub(crate) fn hand_over(&mut self, number: u64) {
        let Some(mut context) = self.contexts.remove(&number) else { return };
        self.forget_server(context.server, number);
        context.final_sent = true;
        if !context.is_over() {
            self.contexts.insert(number, context);
        }
    }

    /// The time has come for those who ring as well, after so many seconds.
    pub(crate) fn also_rings(
        &mut self,
        number: u64,
        after: u16,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(mut context) = self.contexts.remove(&number) else { return };
        if context.is_new_call() && !context.cancelled && !context.settled {
            while context.groups.front().is_some_and(|group| is_due(group, after)) {
                self.next_group(number, &mut context, config, transactions, cx);
            }
        }
        self.settle(number, context, config, transactions, cx);
    }

    /// Its phones have rung for as long as they were to.
    pub(crate) fn rung_out(
        &mut self,
        number: u64,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(mut context) = self.contexts.remove(&number) else { return };
        if context.is_new_call() && !context.cancelled {
            context.groups.clear();
            for branch in context.branches.iter_mut().filter(|branch| !branch.done) {
                branch.given_up.get_or_insert((Status::REQUEST_TIMEOUT, "Nobody answered"));
            }
            cancel_pending(&mut context, None, transactions, cx);
        }
        if *context.request.method() == Method::Message && !context.final_sent {
            context.groups.clear();
            context.branches.iter_mut().for_each(|branch| branch.done = true);
        }
        self.settle(number, context, config, transactions, cx);
    }
}

const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

fn asking(request: &Request, from: Flow, caller: &crate::identity::Caller, begun: Instant) -> Asking {
    Asking {
        request: request.clone(),
        from,
        caller: caller.clone(),
        trunk: None,
        bridged: None,
        begun: Some(begun),
        diverted_by: None,
        speaker: None,
        hunt: None,
    }
}
