//! A bridged call: its legs, and what is made of what they say.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_sip::{Method, Name, Request, Status};
use offhook_sip_stack::ladder::first_codec;
use offhook_sip_stack::transaction::ServerId;
use offhook_sip_stack::usage::invite::{Invite, InviteEvent, Party as Ender};
use offhook_sip_stack::usage::{Body, Stack};

use super::end::End;
use super::leg::{ALLOW, Leg};
use super::record::Other;
use super::refer::{Refer, Referral};
use super::ring::Ring;
use super::voice::{Dialled, Point};
use super::{CallId, Env};
use crate::command::LiveCall;
use crate::config::Epoch;
use crate::directory::AddressOfRecord;
use crate::event::{CalledLeg, EndedBy, Event};
use crate::speech::Language;

/// One call, from its INVITE until nothing of it is left.
pub(super) struct Call {
    pub(super) id: CallId,
    /// The leg of the one who called, or who has answered a call of ours.
    pub(super) first: Option<Leg>,
    pub(super) with: With,
    pub(super) about: About,
    pub(super) answered: Option<Instant>,
    pub(super) ended: bool,
    /// Whether it is an operator who ends it.
    pub(super) by_operator: bool,
    /// The number of the service that has it and is told of what happens.
    pub(super) service: Option<usize>,
    /// Legs with those who are no longer of it, or never were, and may not be over yet.
    pub(super) former: Vec<Leg>,
    /// The other half, with whose party this one talks: see [`super::halves`].
    pub(super) partner: Option<CallId>,
    /// The same in another shard: that, and the number of the call there.
    pub(super) far: Option<(u8, u64)>,
    /// Whether that one stands in for it: see [`super::lend`].
    pub(super) lent: bool,
    /// What is known of that one.
    pub(super) other: Option<Box<Other>>,
    /// The room in which it meets several others.
    pub(super) several: Option<u64>,
    /// Who is being called for it.
    pub(super) dials: Vec<CallId>,
    /// For whom it calls somebody, as long as nobody has answered.
    pub(super) dialled_for: Option<CallId>,
    /// The transfer of its party that is under way.
    pub(super) referral: Option<Box<Referral>>,
    /// The call of the one whom a phone of this one transfers.
    pub(super) refers: Option<CallId>,
    /// A leg that goes as soon as this request of ours in it is answered.
    pub(super) leaves: Option<(u8, u32)>,
    /// Whether the service knows that somebody rings.
    pub(super) rang: bool,
    /// Whether the service tells its party that nobody was found for it.
    pub(super) hears_why: bool,
    /// How its party is spoken to, if it has no language of its own.
    pub(super) language: Option<Language>,
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
    /// The trunk by which it came or goes, of which it is counted.
    pub(super) trunk: Option<usize>,
    /// Whether it is but a leg of another call, for those who look at calls from outside.
    pub(super) is_leg: bool,
    /// Whether its caller wants not to be known to those it is connected with.
    pub(super) is_hidden: bool,
    /// Who has answered, where it is but a leg.
    pub(super) called: Option<Box<CalledLeg>>,
}

impl Call {
    /// A call of which nothing has happened yet, of no service.
    pub(super) fn new(id: CallId, first: Option<Leg>, with: With, about: About) -> Self {
        Self {
            id,
            first,
            with,
            about,
            answered: None,
            ended: false,
            by_operator: false,
            service: None,
            former: Vec::new(),
            partner: None,
            far: None,
            lent: false,
            other: None,
            several: None,
            dials: Vec::new(),
            dialled_for: None,
            referral: None,
            refers: None,
            leaves: None,
            rang: false,
            language: None,
            hears_why: false,
        }
    }

    pub(super) fn legs(&self) -> impl Iterator<Item = &Leg> {
        let branches = match &self.with {
            With::Phones(ring) => ring.branches.as_slice(),
            With::End(_) => &[],
        };
        let branches = branches.iter().map(|branch| &branch.leg);
        self.first.iter().chain(branches).chain(&self.former)
    }

    pub(super) fn legs_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        let branches = match &mut self.with {
            With::Phones(ring) => ring.branches.as_mut_slice(),
            With::End(_) => &mut [],
        };
        let branches = branches.iter_mut().map(|branch| &mut branch.leg);
        self.first.iter_mut().chain(branches).chain(&mut self.former)
    }

    pub(super) fn leg(&self, number: u8) -> Option<&Leg> {
        let usage = super::usage(self.id, number);
        self.legs().find(|leg| leg.usage == usage)
    }

    pub(super) fn leg_mut(&mut self, number: u8) -> Option<&mut Leg> {
        let usage = super::usage(self.id, number);
        self.legs_mut().find(|leg| leg.usage == usage)
    }

    /// The account whose phone its party is.
    pub(super) fn account(&self) -> Option<&AddressOfRecord> {
        match &self.first {
            Some(first) => first.account.as_ref(),
            None => self.other.as_ref().filter(|_| self.is_stand_in())?.account.as_ref(),
        }
    }

    /// Whether a leg is the first.
    pub(super) fn is_first(&self, number: u8) -> bool {
        self.first.as_ref().is_some_and(|leg| leg.usage == super::usage(self.id, number))
    }

    /// Lends the first leg, if there is one.
    pub(super) fn enter_first(
        &mut self,
        env: &mut Env<'_, '_>,
        work: impl FnOnce(&mut Invite, &mut Stack<'_, '_>),
    ) {
        if let Some(leg) = &mut self.first {
            leg.enter(env, work);
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
        self.enter_first(env, |invite, stack| invite.accept(body, stack));
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
            env.anchors.attend(anchor, env.config, env.cx);
        }
        self.tell_answered(anchor.is_some(), codec, env);
    }

    pub(super) fn tell_answered(&self, anchored: bool, codec: Option<String>, env: &mut Env<'_, '_>) {
        if self.about.is_leg {
            return;
        }
        env.cx.event(Event::CallAnswered {
            call: self.about.call_id.clone(),
            after: env.cx.now.duration_since(self.about.started),
            anchored,
            by: self.answered_by().to_owned(),
            at: self.answered_at(),
            codec,
        });
    }

    fn answered_by(&self) -> &str {
        match &self.with {
            With::Phones(ring) => ring.answered_by().unwrap_or_default(),
            With::End(_) => "exchange",
        }
    }

    /// Where the one is that has answered, and how long after the call began it was called.
    fn answered_at(&self) -> Option<(SocketAddr, Duration)> {
        let With::Phones(ring) = &self.with else { return None };
        let branch = ring.branches.get(ring.winner?)?;
        Some((branch.leg.party.flow.remote, branch.began.saturating_duration_since(self.about.started)))
    }

    /// Ends the call for a reason of ours: a Reason value for who was answered, a status and words for who was not.
    pub(super) fn hang_up(&mut self, reason: &str, refusal: (Status, &str), env: &mut Env<'_, '_>) {
        if self.answered.is_none() {
            let (status, words) = refusal;
            self.finish(None, refusal, env);
            self.enter_first(env, |invite, stack| invite.reject_with(status, words, &[], stack));
        }
        for leg in self.legs_mut() {
            leg.enter(env, |invite, stack| invite.hangup_because(Some(reason), stack));
        }
    }

    pub(super) fn event(&mut self, leg: u8, event: InviteEvent, env: &mut Env<'_, '_>) {
        if let InviteEvent::Response { number, .. } = &event
            && self.leaves == Some((leg, *number))
        {
            self.leaves = None;
            return self.leave(leg, env);
        }
        let is_first = self.is_first(leg);
        if matches!(event, InviteEvent::Ended { .. }) && self.outlives(leg, env) {
            return;
        }
        match (event, &mut self.with) {
            (InviteEvent::Ended { by, status, reason, .. }, _) if is_first => {
                self.first_ended(by, status, &reason, env);
            }
            (InviteEvent::Offer { body }, With::End(_)) if is_first => self.offered(body.as_ref(), env),
            (InviteEvent::Settled { body }, With::End(_)) if is_first => self.settled(&body, env),
            (InviteEvent::ChangeFailed { .. }, With::End(end)) if is_first => end.refused(),
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
        let holds = end.is_held();
        let before = std::mem::replace(&mut end.holds, holds);
        if self.partner.is_some() && before != holds {
            env.usages.held.push((self.id, holds));
        }
        self.enter_first(env, |invite, stack| match answer {
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
        if *request.method() == Method::Refer {
            let (call, request) = (self.id, request.clone());
            return env.usages.refers.push(Refer { call, leg, server, request });
        }
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

    /// The one who called, or whom we have called, is gone, or was refused.
    fn first_ended(&mut self, by: Ender, status: Status, reason: &str, env: &mut Env<'_, '_>) {
        let by = match (by, self.answered) {
            (Ender::Peer, _) => Some(EndedBy::Caller),
            (Ender::Us, None) => None,
            (Ender::Us | Ender::Network, _) => Some(EndedBy::Exchange),
        };
        let words = super::bridge::reason_value(status, reason);
        self.let_go(words.as_deref(), env);
        self.finish(by, (status, reason), env);
        for leg in self.legs_mut() {
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
        if self.answered.is_none() && (self.dialled_for.is_some() || self.first.is_none()) {
            self.tell_dialled(Dialled::Failed(status), env);
        } else if let Some(service) = self.service {
            env.usages.points.push((self.id, service, Point::Ended));
        }
        self.let_go(None, env);
        self.tell_called(env);
        let anchors: Vec<u64> = match &mut self.with {
            With::End(end) => vec![end.anchor],
            With::Phones(ring) => {
                ring.branches.iter_mut().filter_map(|branch| branch.anchor.take()).collect()
            }
        };
        for anchor in anchors {
            env.anchors.close(anchor, env.cx);
        }
        // As whom a call of ours appears may be anybody.
        let from = if self.is_first(CALLER) { self.about.from.as_str() } else { "" };
        let to = self.about.to.as_bytes();
        match self.answered {
            Some(_) => env.active.members.call_over(|| [from.as_bytes(), to]),
            None => {
                env.active.members.called_in_vain(self.account(), to, status);
            }
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
        if self.about.is_leg {
            let has_tried = matches!(&self.with, With::Phones(ring) if ring.has_tried_trunks());
            if has_tried && self.answered.is_none() {
                env.cx.event(Event::CallStayed { call });
            }
            return;
        }
        env.cx.event(match self.answered {
            Some(_) => Event::CallEnded { call, by: operator.or(by).unwrap_or(EndedBy::Exchange) },
            None => Event::CallFailed { call, status, reason: reason.to_owned(), by: operator },
        });
    }
}

/// The leg of the one who called.
pub(super) const CALLER: u8 = 0;
pub(super) const NO_MEDIA: &str = "SIP;cause=488;text=\"There is no media that both can\"";
