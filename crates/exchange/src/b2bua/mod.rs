//! Calls in which we are an endpoint (RFC 7092): the table of calls, and what finds its way to them.
//!
//! A call is taken by a service, which then has its verbs; what nobody takes is forwarded by the proxy.

mod agents;
pub(crate) mod agreed;
mod bridge;
mod call;
mod called;
mod dial;
mod end;
mod far;
mod halves;
mod keys;
mod leg;
mod lend;
mod lines;
mod moved;
mod numbers;
mod pickup;
mod record;
mod refer;
mod replace;
mod ring;
mod unanswered;
mod verb;
mod voice;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use offhook_media::voice::Clip;
use offhook_sip::{Request, Status};
use offhook_sip_stack::transaction::{TransactionEvent, Transactions};
use offhook_sip_stack::usage::{Claims, InviteEvent, UsageId, UsageOwner};
use offhook_sip_stack::{Flow, Timers, shrink};

use crate::command::LiveCall;
use crate::config::Config;
use crate::context::Context;
use crate::directory::Directory;
use crate::proxy::Activity;
use crate::proxy::anchor::{Anchors, Trouble};
use crate::proxy::{OPERATOR, OPERATOR_REASON};
use crate::route::MediaTerms;
use crate::trunks::Trunks;
use call::Call;
pub(crate) use dial::{Dial, ShownAs, Wanted};
pub use far::Halves;
pub(crate) use keys::LegId;
pub(crate) use leg::{settings, settings_as};
pub(crate) use pickup::PickUp;
pub(crate) use refer::Refer;
pub(crate) use replace::Replacing;
pub(crate) use unanswered::{Onward, Unanswered};
pub(crate) use verb::{Arriving, Called, Calls, Endpoint, Shown};
pub(crate) use voice::{Dialled, Point};

/// The number of a bridged call, never used twice by one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId(pub(crate) u64);

/// The bridged calls of a shard.
#[derive(Default)]
pub(crate) struct Table {
    issued: u64,
    calls: BTreeMap<CallId, Box<Call>>,
    /// By our tag in it, the leg that a dialog is of.
    tags: HashMap<Box<str>, UsageId>,
    /// Legs that are of another call than the one that they began in, by what they were there.
    moved: HashMap<UsageId, UsageId>,
}

/// What the usages of all legs share.
#[derive(Default)]
pub(crate) struct Usages {
    pub(crate) timers: Timers<UsageOwner>,
    pub(crate) claims: Claims,
    pub(crate) events: Vec<(UsageId, InviteEvent)>,
    /// Calls that nobody has taken, and of which something may become.
    pub(crate) unanswered: Vec<CallId>,
    /// For the services of these numbers.
    pub(crate) points: Vec<(CallId, usize, Point)>,
    /// Keys that were pressed in calls between phones, for all services.
    pub(crate) keyed: Vec<(LegId, char)>,
    /// Whom services want called.
    pub(crate) wanted: Vec<Wanted>,
    /// Of those, the calls for which the DNS is asked.
    pub(crate) sought: BTreeSet<CallId>,
    /// Calls that wait, and those who have answered for them.
    pub(crate) to_connect: Vec<(CallId, CallId)>,
    /// Phones that want their calls transferred.
    pub(crate) refers: Vec<Refer>,
    /// Those who are transferred into the place of another at a service.
    pub(crate) given: Vec<(CallId, CallId)>,
    /// Those who are to take the place of others.
    pub(crate) replacing: Vec<Replacing>,
    /// Calls that ring and are to be taken.
    pub(crate) pickups: Vec<PickUp>,
    /// What has come of calling somebody for a transfer, by the call of the one who is transferred.
    pub(crate) referral_news: Vec<(CallId, Dialled)>,
    /// Calls whose phones have gone before those have answered to whom they are transferred.
    pub(crate) bereaved: Vec<CallId>,
    /// Calls that end because others have, with the value of a Reason header.
    pub(crate) let_go: Vec<(CallId, Option<String>)>,
    /// Slots of call park that have been taken or left.
    pub(crate) parked: Vec<(u32, bool)>,
    /// Those whose partner holds them, or no longer.
    pub(crate) held: Vec<(CallId, bool)>,
}

/// What is lent to the calls for the time of one input.
pub(crate) struct Env<'a, 'b> {
    pub(crate) config: &'a Config,
    pub(crate) directory: &'a Directory,
    pub(crate) transactions: &'a mut Transactions,
    pub(crate) anchors: &'a mut Anchors,
    pub(crate) active: &'a mut Activity,
    pub(crate) usages: &'a mut Usages,
    pub(crate) trunks: &'a mut Trunks,
    pub(crate) cx: &'a mut Context<'b>,
}

impl Env<'_, '_> {
    /// What the media of a trunk's calls has to be.
    fn terms(&self, trunk: Option<usize>) -> Option<Arc<MediaTerms>> {
        self.config.trunks.get(trunk?)?.media.clone()
    }
}

impl Usages {
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }
}

impl Table {
    /// The leg that an event is for, if it is for one of ours.
    pub(crate) fn owner(&self, event: &TransactionEvent, usages: &Usages) -> Option<UsageId> {
        usages.claims.owner(event).or_else(|| match event {
            TransactionEvent::Request { request, .. } | TransactionEvent::Ack { request, .. } => {
                self.dialog(request)
            }
            TransactionEvent::Cancel { .. }
            | TransactionEvent::Response { .. }
            | TransactionEvent::Stray { .. }
            | TransactionEvent::Timeout { .. }
            | TransactionEvent::TransportFailed { .. }
            | TransactionEvent::ClientEnded { .. }
            | TransactionEvent::NoAck { .. }
            | TransactionEvent::ServerEnded { .. } => None,
        })
    }

    /// The leg in whose dialog a request is.
    fn dialog(&self, request: &Request) -> Option<UsageId> {
        let (call_id, tag) = (request.call_id().ok()?, request.to_tag()?);
        let usage = *self.tags.get(tag)?;
        let (call, leg) = place(usage);
        self.calls.get(&call)?.leg(leg)?.invite.owns(call_id, tag).then_some(usage)
    }

    /// Takes what the transaction layer has for a leg.
    pub(crate) fn receive(&mut self, usage: UsageId, event: TransactionEvent, env: &mut Env<'_, '_>) {
        env.usages.claims.settle(&event);
        let usage = self.now(usage);
        let (call, leg) = place(usage);
        if let TransactionEvent::Request { request, .. } = &event {
            self.pressed(usage, request, env);
        }
        if let Some(call) = self.calls.get_mut(&call) {
            if matches!(event, TransactionEvent::Response { .. }) {
                call.heard(leg);
            }
            if let Some(leg) = call.leg_mut(leg) {
                leg.enter(env, |invite, stack| invite.receive(event, stack));
            }
        }
        self.settle(call, env);
    }

    /// Takes a due deadline of a leg.
    pub(crate) fn due(&mut self, owner: UsageOwner, deadline: Instant, env: &mut Env<'_, '_>) {
        let (call, leg) = place(self.now(owner.usage));
        if let Some(leg) = self.calls.get_mut(&call).and_then(|call| call.leg_mut(leg)) {
            leg.enter(env, |invite, stack| invite.timeout(owner.timer, deadline, stack));
        }
        self.settle(call, env);
    }

    /// A call, or one who is called, cannot go on with the media of this anchor.
    pub(crate) fn trouble(&mut self, call: CallId, anchor: u64, trouble: Trouble, env: &mut Env<'_, '_>) {
        let (reason, status, words) = trouble.words();
        if let Some(one) = self.calls.get_mut(&call)
            && !one.give_up(anchor, (status, words), env)
        {
            one.hang_up(&reason, (status, words), env);
        }
        self.settle(call, env);
    }

    /// One who is called may have been ringing for too long.
    pub(crate) fn ring_over(&mut self, call: CallId, leg: u8, env: &mut Env<'_, '_>) {
        if let Some(one) = self.calls.get_mut(&call) {
            one.ring_over(leg, env);
        }
        self.settle(call, env);
    }

    /// A trunk's server may have been silent for too long.
    pub(crate) fn line_silent(&mut self, call: CallId, leg: u8, env: &mut Env<'_, '_>) {
        if let Some(one) = self.calls.get_mut(&call) {
            one.line_silent(leg, env);
        }
        self.settle(call, env);
    }

    /// Ends calls that have been on hold for longer than configured.
    pub(crate) fn end_held(&mut self, env: &mut Env<'_, '_>) {
        for anchor in env.anchors.held_too_long(env.config, env.cx.now) {
            if let Some(call) = env.anchors.bridged(anchor) {
                self.trouble(call, anchor, Trouble::Held, env);
            }
        }
    }

    /// What a supervisor listened to is over.
    pub(crate) fn unsupervised(&mut self, call: CallId, env: &mut Env<'_, '_>) {
        Calls::at_point(self, env, 0).hang_up(call);
    }

    /// The way to the party of a call.
    pub(crate) fn party(&self, call: CallId) -> Option<Flow> {
        Some(self.calls.get(&call)?.first.as_ref()?.party.flow)
    }

    /// The Call-ID of a call that goes on.
    pub(crate) fn call_id(&self, call: CallId) -> Option<&str> {
        self.calls.get(&call).filter(|call| !call.has_ended()).map(|call| call.about.call_id.as_str())
    }

    /// Whether there is a call with this Call-ID still.
    pub(crate) fn has_call(&self, call_id: &str) -> bool {
        self.calls.values().any(|call| call.about.call_id == call_id)
    }

    /// Ends a call for a reason of ours.
    pub(crate) fn end(&mut self, call: CallId, reason: &str, refusal: (Status, &str), env: &mut Env<'_, '_>) {
        if let Some(one) = self.calls.get_mut(&call).filter(|call| !call.has_ended()) {
            one.hang_up(reason, refusal, env);
        }
        self.settle(call, env);
    }

    /// Ends the calls that the one who called knows by this Call-ID; returns how many there are.
    pub(crate) fn hang_up(&mut self, call_id: &str, env: &mut Env<'_, '_>) -> usize {
        let wanted = |call: &&mut Box<Call>| call.about.call_id == call_id && !call.has_ended();
        let mut ended = Vec::new();
        for call in self.calls.values_mut().filter(wanted) {
            call.by_operator = true;
            call.hang_up(OPERATOR_REASON, OPERATOR, env);
            ended.push(call.id);
        }
        ended.iter().for_each(|call| self.settle(*call, env));
        ended.len()
    }

    /// Lets legs say what they have to say until they are silent, and forgets the call if it is over; the same for those
    /// that end with it.
    fn settle(&mut self, touched: CallId, env: &mut Env<'_, '_>) {
        self.settle_one(touched, env);
        loop {
            if let Some(refer) = env.usages.refers.pop() {
                self.refer(&refer, env);
            } else if let Some(stays) = env.usages.bereaved.pop() {
                self.bereave(stays, env);
            } else if let Some((stays, news)) = env.usages.referral_news.pop() {
                self.referral_news(stays, news, env);
                self.settle_one(stays, env);
            } else if let Some((waiting, answered)) = env.usages.to_connect.pop() {
                self.connect_answered((waiting, answered), env);
            } else if let Some((call, reason)) = env.usages.let_go.pop() {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.hang_up_with(reason.as_deref(), env);
                }
                self.settle_one(call, env);
            } else {
                break;
            }
        }
        self.play_to_held(env);
    }

    /// Who is held by the one that it is connected with hears music meanwhile.
    fn play_to_held(&mut self, env: &mut Env<'_, '_>) {
        for (call, held) in std::mem::take(&mut env.usages.held) {
            let partner = self.calls.get(&call).and_then(|call| call.partner);
            let partner = partner.and_then(|partner| self.calls.get_mut(&partner));
            if let Some(call::With::End(end)) = partner.map(|partner| &mut partner.with) {
                end.play(if held { vec![Clip::Music] } else { Vec::new() }, env);
            }
        }
    }

    fn settle_one(&mut self, touched: CallId, env: &mut Env<'_, '_>) {
        while !env.usages.events.is_empty() {
            for (usage, event) in std::mem::take(&mut env.usages.events) {
                let (call, leg) = place(self.now(usage));
                if let Some(call) = self.calls.get_mut(&call) {
                    call.event(leg, event, env);
                }
            }
        }
        let Some(call) = self.calls.get(&touched) else { return };
        if !call.is_over() {
            for leg in call.legs() {
                if !self.tags.contains_key(leg.invite.local_tag()) {
                    self.tags.insert(leg.invite.local_tag().into(), leg.usage);
                }
            }
        } else {
            for leg in self.calls.remove(&touched).iter().flat_map(|call| call.legs()) {
                self.tags.remove(leg.invite.local_tag());
            }
            self.moved.retain(|_, now| place(*now).0 != touched);
            shrink(&mut self.tags);
            shrink(&mut self.moved);
        }
    }

    /// What a usage is by now: its leg may be of another call than the one that it began in.
    fn now(&self, usage: UsageId) -> UsageId {
        self.moved.get(&usage).copied().unwrap_or(usage)
    }

    fn insert(&mut self, call: Call, env: &mut Env<'_, '_>) {
        let id = call.id;
        self.calls.insert(id, Box::new(call));
        self.settle(id, env);
    }

    /// Calls that nobody has answered yet.
    pub(crate) fn ringing(&self) -> usize {
        self.calls.values().filter(|call| call.answered.is_none() && !call.has_ended()).count()
    }

    fn next(&mut self) -> CallId {
        self.issued += 1;
        CallId(self.issued)
    }

    /// The calls that have not ended, oldest first.
    pub(crate) fn live<'t>(&'t self, cx: &Context<'_>) -> impl Iterator<Item = LiveCall> + use<'t> {
        let epoch = cx.epoch;
        let calls = self.calls.values().filter(|call| !call.has_ended() && !call.about.is_leg);
        calls.map(move |call| call.live(epoch))
    }

    /// Whether there is no call, and nothing that is left of one.
    pub(crate) fn is_idle(&self, usages: &Usages) -> bool {
        let is_empty = self.calls.is_empty() && self.tags.is_empty() && self.moved.is_empty();
        is_empty && usages.claims.is_empty() && usages.points.is_empty()
    }
}

/// The usage of a leg: legs are counted within their call.
fn usage(call: CallId, leg: u8) -> UsageId {
    UsageId(call.0 << 8 | u64::from(leg))
}

/// The call and the leg of a usage.
fn place(usage: UsageId) -> (CallId, u8) {
    (CallId(usage.0 >> 8), usage.0 as u8)
}

/// More calls than this are refused.
const MOST_CALLS: usize = 100_000;
