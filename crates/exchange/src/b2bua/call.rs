//! A bridged call: its legs, and what is made of what they say.

use std::time::Instant;

use offhook_sip::{Method, Name, Request, Status};
use offhook_sip_stack::ladder::first_codec;
use offhook_sip_stack::transaction::ServerId;
use offhook_sip_stack::usage::Body;
use offhook_sip_stack::usage::invite::{InviteEvent, Party as Ender};

use super::end::End;
use super::leg::{ALLOW, Leg};
use super::ring::Ring;
use super::voice::Point;
use super::{CallId, Env};
use crate::command::LiveCall;
use crate::config::Epoch;
use crate::directory::AddressOfRecord;
use crate::event::{EndedBy, Event};

/// One call, from its INVITE until nothing of it is left.
pub(super) struct Call {
    pub(super) id: CallId,
    /// The leg of the one who called.
    pub(super) caller: Leg,
    pub(super) with: With,
    pub(super) about: About,
    pub(super) answered: Option<Instant>,
    pub(super) ended: bool,
    /// Whether it is an operator who ends it.
    pub(super) by_operator: bool,
    /// The number of the service that has it and is told of what happens.
    pub(super) service: Option<usize>,
    /// Legs with those who did not answer before an end of ours did.
    pub(super) former: Vec<Leg>,
}

/// Whom the caller talks with, or waits for.
pub(super) enum With {
    /// An end of ours.
    End(Box<End>),
    /// Phones, of which one may have answered.
    Phones(Box<Ring>),
}

/// What the outside knows a call by.
pub(super) struct About {
    /// The Call-ID of the one who called.
    pub(super) call_id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) started: Instant,
    /// The account of which it is counted.
    pub(super) account: Option<AddressOfRecord>,
    /// The trunk by which it came, of which it is counted.
    pub(super) trunk: Option<usize>,
}

impl Call {
    pub(super) fn legs(&self) -> impl Iterator<Item = &Leg> {
        let branches = match &self.with {
            With::Phones(ring) => ring.branches.as_slice(),
            With::End(_) => &[],
        };
        let branches = branches.iter().map(|branch| &branch.leg);
        std::iter::once(&self.caller).chain(branches).chain(&self.former)
    }

    pub(super) fn leg(&self, number: u8) -> Option<&Leg> {
        self.legs().nth(number.into())
    }

    pub(super) fn leg_mut(&mut self, number: u8) -> Option<&mut Leg> {
        match (number.checked_sub(1), &mut self.with) {
            (None, _) => Some(&mut self.caller),
            (Some(at), With::Phones(ring)) => Some(&mut ring.branches.get_mut(usize::from(at))?.leg),
            (Some(at), With::End(_)) => self.former.get_mut(usize::from(at)),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether nothing is left to be done or waited for.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.legs().all(|leg| leg.invite.is_over())
    }

    pub(super) fn live(&self, epoch: Epoch) -> LiveCall {
        LiveCall {
            id: self.about.call_id.clone(),
            from: self.about.from.clone(),
            to: self.about.to.clone(),
            started_at: epoch.unix_seconds(self.about.started),
            answered_at: self.answered.map(|at| epoch.unix_seconds(at)),
        }
    }

    /// The caller is answered with this description.
    pub(super) fn answer(&mut self, body: Body, anchor: Option<u64>, env: &mut Env<'_, '_>) {
        let codec = first_codec(&body.bytes);
        self.caller.enter(env, |invite, stack| invite.accept(body, stack));
        let now = env.cx.now;
        self.answered = Some(now);
        let (spending, unix) = (&mut env.active.spending, env.cx.epoch.unix(now));
        match &self.with {
            With::Phones(ring) if ring.is_by_trunk() => spending.call_answered(self.id, unix),
            // Somebody else has taken it than the trunk that it was to leave by.
            With::Phones(_) | With::End(_) => spending.call_over(self.id, unix),
        }
        let has_stayed = match &self.with {
            With::Phones(ring) => !ring.is_by_trunk() && ring.has_tried_trunks(),
            With::End(_) => !self.former.is_empty(),
        };
        if has_stayed {
            env.cx.event(Event::CallStayed { call: self.about.call_id.clone() });
        }
        if let Some(anchor) = anchor {
            env.anchors.answered_by_us(anchor, now);
        }
        env.cx.event(Event::CallAnswered {
            call: self.about.call_id.clone(),
            after: now.duration_since(self.about.started),
            anchored: anchor.is_some(),
            by: self.answered_by().to_owned(),
            codec,
        });
    }

    fn answered_by(&self) -> &str {
        match &self.with {
            With::Phones(ring) => ring.answered_by().unwrap_or_default(),
            With::End(_) => "exchange",
        }
    }

    /// Ends the call for a reason of ours: a Reason value for who was answered, a status and words for who was not.
    pub(super) fn hang_up(&mut self, reason: &str, refusal: (Status, &str), env: &mut Env<'_, '_>) {
        if self.answered.is_none() {
            let (status, words) = refusal;
            self.finish(None, refusal, env);
            self.caller.enter(env, |invite, stack| invite.reject_with(status, words, &[], stack));
        }
        for number in 0..=u8::MAX {
            let Some(leg) = self.leg_mut(number) else { break };
            leg.enter(env, |invite, stack| invite.hangup_because(Some(reason), stack));
        }
    }

    pub(super) fn event(&mut self, leg: u8, event: InviteEvent, env: &mut Env<'_, '_>) {
        match (event, &mut self.with) {
            (InviteEvent::Ended { by, status, reason, .. }, _) if leg == CALLER => {
                self.caller_ended(by, status, &reason, env);
            }
            (InviteEvent::Offer { body }, With::End(_)) => self.offered(body.as_ref(), env),
            (InviteEvent::Settled { body }, With::End(_)) => self.settled(&body, env),
            (InviteEvent::Requested { server, request }, With::End(_)) => {
                self.requested(leg, server, &request, env);
            }
            // An end of ours asks for nothing by itself, so nothing is answered.
            (_, With::End(_)) => {}
            (event, With::Phones(_)) => self.bridged(leg, event, env),
        }
    }

    /// The party offers another session, or asks us to.
    fn offered(&mut self, body: Option<&Body>, env: &mut Env<'_, '_>) {
        let With::End(end) = &mut self.with else { return };
        let answer = match body {
            Some(body) => end.answer(body, env),
            None => end.offer(env),
        };
        self.caller.enter(env, |invite, stack| match answer {
            Ok(answer) => invite.answer(answer, stack),
            Err(refusal) => invite.refuse(refusal.status, &[], stack),
        });
    }

    fn settled(&mut self, body: &Body, env: &mut Env<'_, '_>) {
        let With::End(end) = &mut self.with else { return };
        if end.settle(body, env).is_err() {
            self.hang_up(NO_MEDIA, (Status::NOT_ACCEPTABLE_HERE, Status::NOT_ACCEPTABLE_HERE.reason()), env);
        }
    }

    /// Answers a request in a dialog that is not about the session and is passed on to nobody.
    pub(super) fn requested(&mut self, leg: u8, server: ServerId, request: &Request, env: &mut Env<'_, '_>) {
        let header = |name: Name, value: &str| (name.as_str().to_owned(), value.to_owned());
        let (status, headers) = match request.method() {
            Method::Options => {
                (Status::OK, vec![header(Name::Allow, ALLOW), header(Name::Accept, "application/sdp")])
            }
            // A key by INFO is a key all the same, even if nothing is made of it.
            Method::Info => (Status::OK, Vec::new()),
            Method::Other(_) => (Status::NOT_IMPLEMENTED, vec![header(Name::Allow, ALLOW)]),
            _ => (Status::METHOD_NOT_ALLOWED, vec![header(Name::Allow, ALLOW)]),
        };
        if let Some(leg) = self.leg_mut(leg) {
            leg.enter(env, |invite, stack| invite.respond(server, request, status, &headers, stack));
        }
    }

    /// The one who called is gone, or was refused.
    fn caller_ended(&mut self, by: Ender, status: Status, reason: &str, env: &mut Env<'_, '_>) {
        let by = match (by, self.answered) {
            (Ender::Peer, _) => Some(EndedBy::Caller),
            (Ender::Us, None) => None,
            (Ender::Us | Ender::Network, _) => Some(EndedBy::Exchange),
        };
        let words = super::bridge::reason_value(status, reason);
        self.finish(by, (status, reason), env);
        for number in 1..=u8::MAX {
            let Some(leg) = self.leg_mut(number) else { break };
            leg.enter(env, |invite, stack| invite.hangup_because(words.as_deref(), stack));
        }
    }

    /// The end of the call for everyone; only the first one counts.
    pub(super) fn finish(
        &mut self,
        by: Option<EndedBy>,
        (status, reason): (Status, &str),
        env: &mut Env<'_, '_>,
    ) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        env.usages.points.extend(self.service.map(|service| (self.id, service, Point::Ended)));
        let anchors: Vec<u64> = match &mut self.with {
            With::End(end) => vec![end.anchor],
            With::Phones(ring) => {
                ring.branches.iter_mut().filter_map(|branch| branch.anchor.take()).collect()
            }
        };
        for anchor in anchors {
            env.anchors.close(anchor, env.cx);
        }
        if let Some(trunk) = self.about.trunk.take() {
            env.trunks.load.end(trunk);
        }
        if let With::Phones(ring) = &mut self.with {
            ring.branches.iter_mut().for_each(|branch| branch.release(env.trunks));
        }
        if let Some(account) = self.about.account.take() {
            env.active.end(&account);
        }
        env.active.spending.call_over(self.id, env.cx.epoch.unix(env.cx.now));
        let call = self.about.call_id.clone();
        let operator = self.by_operator.then_some(EndedBy::Operator);
        env.cx.event(match self.answered {
            Some(_) => Event::CallEnded { call, by: operator.or(by).unwrap_or(EndedBy::Exchange) },
            None => Event::CallFailed { call, status, reason: reason.to_owned(), by: operator },
        });
    }
}

/// The leg of the one who called.
pub(super) const CALLER: u8 = 0;
pub(super) const NO_MEDIA: &str = "SIP;cause=488;text=\"There is no media that both can\"";
