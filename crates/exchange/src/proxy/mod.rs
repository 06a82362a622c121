//! The stateful proxy (RFC 3261 §16): a request goes to where the user is, the best answer comes back.
//!
//! The dialog belongs to the phones. What we keep of an answered call is its media, if that goes through us.

mod activity;
pub(crate) mod anchor;
mod carrier;
mod elsewhere;
mod forward;
mod hangup;
pub(crate) mod in_dialog;
pub(crate) mod keys;
mod launch;
mod legs;
mod members;
pub(crate) mod moved;
mod no_common_format;
mod over;
pub(crate) mod protection;
mod response_context;
pub(crate) mod routes;
mod shunned;
pub mod signed_route;
mod target;
pub(crate) mod transcoding;
mod unanswered;

use std::collections::VecDeque;
use std::time::Instant;

use offhook_media::lease::PortBlock;
use offhook_sip::{Headers, Method, Name, Request, Response, Status};
use offhook_sip_stack::ladder::first_codec;
use offhook_sip_stack::locate::Question;
use offhook_sip_stack::transaction::{ClientId, ServerId, Transactions};
use offhook_sip_stack::{IdMap, shrink};

use crate::command::LiveCall;
use crate::config::Config;
use crate::context::{Alarm, Context};
use crate::directory::AddressOfRecord;
use crate::event::{EndedBy, Event};
use crate::identity;
use crate::io::ShardMessage;
pub(crate) use activity::Activity;
use anchor::{Anchors, Answered, Role, Trouble, without_media};
pub(crate) use carrier::{MOST_SENT_ON, NOT_FOLLOWED};
pub(crate) use elsewhere::{
    LONGEST_SEARCH, Outward, SILENCE, targets as server_targets, unfound, unreachable,
};
use hangup::Dialog;
pub(crate) use hangup::{OPERATOR, OPERATOR_REASON};
pub(crate) use launch::{Asking, Forwarding, is_behind_nat};
use no_common_format::explained;
use over::{Early, Over};
pub(crate) use response_context::rank;
use response_context::{Branch, Kind, ResponseContext};
use shunned::Shunned;
use signed_route::{PartyName, tag_digest};
pub(crate) use target::{Member, Target, by_preference, is_due, of_bindings};
pub(crate) use unanswered::{Attended, Unanswered, deflection, why_unanswered};

/// Requests under way and calls whose media goes through us.
pub(crate) struct Proxy {
    shard: u8,
    issued: u64,
    contexts: IdMap<u64, Box<ResponseContext>>,
    clients: IdMap<ClientId, (u64, usize)>,
    servers: IdMap<ServerId, u64>,
    /// What the DNS was asked, and for which context.
    questions: IdMap<u64, (u64, Question)>,
    shunned: Shunned,
    over: Over,
    early: Early,
    /// Contexts of which nothing has come, and something may yet.
    unanswered: Vec<u64>,
    /// Messages that a phone has taken: for whom, from whom.
    pub(crate) taken: Vec<(AddressOfRecord, Option<AddressOfRecord>, Request)>,
    pub(crate) anchors: Anchors,
    pub(crate) active: Activity,
}

impl Proxy {
    pub(crate) fn new(shard: u8, config: &Config, ports: &[PortBlock]) -> Self {
        Self {
            shard,
            issued: 0,
            contexts: IdMap::default(),
            clients: IdMap::default(),
            servers: IdMap::default(),
            questions: IdMap::default(),
            shunned: Shunned::default(),
            over: Over::default(),
            early: Early::default(),
            unanswered: Vec::new(),
            taken: Vec::new(),
            anchors: Anchors::new(shard, ports),
            active: Activity::new(shard, config),
        }
    }

    /// A response to something that we forwarded (§16.7).
    pub(crate) fn response(
        &mut self,
        client: ClientId,
        response: &Response,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        // Nobody waits for the answers to our own CANCEL and BYE.
        let Some((number, index)) = self.clients.get(&client).copied() else { return };
        let Some(mut context) = self.contexts.remove(&number) else { return };
        let (passed, unprotected) = self.passed(&context, index, response, config, cx);
        let failover = response.status() == Status::SERVICE_UNAVAILABLE && context.has_alternative(index);
        let branch = &mut context.branches[index];
        branch.heard = true;
        if let Some(target) = branch.target.as_ref().filter(|target| target.domain.is_some()) {
            match response.status() {
                Status::SERVICE_UNAVAILABLE => self.shunned.mark(&target.flow, cx.now),
                _ => self.shunned.clear(&target.flow),
            }
        }
        match response.status() {
            Status::TRYING => {}
            status if status.is_provisional() => {
                branch.timer_c = branch.timer_c.map(|_| cx.now + config.timer_c);
                context.rang = true;
                // RFC 4320 §4.1: there is none but 100 for other methods.
                if !context.final_sent && context.is_invite() {
                    transactions.respond(context.server, passed, &mut cx.sip());
                    if context.is_new_call() && !std::mem::replace(&mut context.rings, true) {
                        self.early.note(context.call_id(), number, &config.key);
                        cx.event(Event::CallRinging { call: context.call_id().to_owned() });
                    }
                }
            }
            status if status.is_success() => {
                self.success(&mut context, index, (response, passed), config, transactions, cx);
                self.end_unwanted(&context, index, unprotected, config, transactions, cx);
            }
            status => {
                branch.done = true;
                let given_up = branch.given_up;
                let reason = String::from_utf8_lossy(response.reason());
                legs::ended(&context, index, given_up.unwrap_or((status, &reason)), cx);
                self.drop_branch_media(&context, index, cx);
                if status == Status::NOT_ACCEPTABLE_HERE && given_up.is_none() {
                    self.offer_again(number, &mut context, index, config, transactions, cx);
                }
                // RFC 3263 §4.3: a 503 of a domain's server sends us to its next.
                let flow_failed = (status == Status::FLOW_FAILED || failover) && given_up.is_none();
                let sent_on = context.sent_on(index, response, config).filter(|_| given_up.is_none());
                match (given_up, sent_on) {
                    _ if flow_failed => {
                        self.other_flow(number, &mut context, index, config, transactions, cx);
                    }
                    (Some((status, reason)), _) | (None, Some(Err((status, reason)))) => {
                        context.failed_with(status, reason, &cx.sip().tag());
                    }
                    (None, Some(Ok(target))) => {
                        self.go_on(number, &mut context, target, config, transactions, cx);
                    }
                    (None, None) => context.failed(explained(&context.request, passed, config)),
                }
                // Who declines speaks for itself, not for its group.
                if status.class() == 6 && !context.hunts() {
                    context.groups.clear();
                    cancel_pending(&mut context, None, transactions, cx);
                }
            }
        }
        self.settle(number, context, config, transactions, cx);
    }

    /// The response as it goes on: without our Via and without claims of identity, with the relay's addresses. Also
    /// the anchor whose media the answer leaves unprotected although it must not.
    fn passed(
        &mut self,
        context: &ResponseContext,
        index: usize,
        response: &Response,
        config: &Config,
        cx: &mut Context<'_>,
    ) -> (Response, Option<u64>) {
        let mut edit = response.edit();
        edit.pop_via();
        // §8.2.6.2: the others are the request's. Who returns something else does not decide where we answer.
        if !response.values(Name::Via).skip(1).eq(context.request.values(Name::Via)) {
            edit.remove(Name::Via);
            for via in context.request.raw_all(Name::Via).collect::<Vec<_>>().into_iter().rev() {
                edit.push_via(String::from_utf8_lossy(via));
            }
        }
        identity::forget_claims(&mut edit, response);
        let (responder, tag) = match &context.kind {
            Kind::Initial { .. } => (PartyName::Callee, response.to_tag()),
            Kind::InDialog { sender: PartyName::Caller, .. } => (PartyName::Callee, context.request.to_tag()),
            Kind::InDialog { sender: PartyName::Callee, .. } => {
                (PartyName::Caller, context.request.from_tag())
            }
        };
        let (call_id, tag) = (context.call_id(), tag.unwrap_or_default());
        // What a refusal describes is what would be possible, not what is (RFC 3261 §21.4.26).
        let described = is_sdp(response) && response.status().class() <= 2;
        let anchor =
            context.branches[index].anchor.filter(|one| described && self.anchors.holds(*one, call_id, tag));
        let role = if is_sdp(&context.request) { Role::Answer } else { Role::Offer };
        let mut unprotected = None;
        if let Some(anchor) = anchor {
            match self.anchors.pass(anchor, call_id, (responder, role), response.body(), config, cx) {
                Ok(body) => {
                    edit.set_body(None, &body);
                }
                Err(refusal) if refusal.status == Status::NOT_ACCEPTABLE_HERE => {
                    edit.set_body(None, &without_media(response.body()));
                    unprotected = Some(anchor);
                }
                // What cannot be read passes as it is: the caller will tell its user.
                Err(_) => {}
            }
        }
        (edit.finish(), unprotected)
    }

    /// A 2xx: it goes back at once, and the other phones stop ringing (§16.7 steps 5 and 10).
    fn success(
        &mut self,
        context: &mut ResponseContext,
        index: usize,
        (response, passed): (&Response, Response),
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        if !context.final_sent || context.is_invite() {
            transactions.respond(context.server, passed, &mut cx.sip());
        }
        let first_final = !std::mem::replace(&mut context.final_sent, true);
        let branch = &mut context.branches[index];
        branch.done = true;
        branch.timer_c = None;
        let tag = response.to_tag().unwrap_or_default();
        let again = branch.answered.is_some();
        // A proxy behind us may fork, so that another answer comes by the same way.
        let digest = tag_digest(tag);
        let is_another = *branch.answered.get_or_insert(digest) != digest || !again && !first_final;
        if first_final
            && let (Some(attended), Kind::Initial { caller, .. }) = (&context.attended, &context.kind)
            && *context.request.method() == Method::Message
        {
            let sender = caller.account().cloned();
            self.taken.push((attended.account.clone(), sender, context.request.clone()));
        }
        if is_another && context.is_invite() {
            // Its caller ends one of the two, and the call is not over for that.
            self.over.note(context.call_id(), tag, &config.key, cx.unix());
        }
        if again || !context.is_invite() {
            return;
        }
        self.answered(context, index, response, first_final, config, cx);
        if first_final && context.left && self.over.holds(context.call_id(), tag, &config.key, cx.unix()) {
            // The answer has crossed the BYE.
            cx.event(Event::CallEnded { call: context.call_id().to_owned(), by: EndedBy::Caller });
        }
        // It stays until its transactions are over, of which nothing more is expected than a copy of the answer.
        context.branches[index].target = None;
        context.groups = VecDeque::new();
        cancel_pending(context, Some(COMPLETED_ELSEWHERE), transactions, cx);
    }

    /// A new call was answered: from here on its media stands for it.
    fn answered(
        &mut self,
        context: &mut ResponseContext,
        index: usize,
        response: &Response,
        first: bool,
        config: &Config,
        cx: &mut Context<'_>,
    ) {
        let call = context.call_id().to_owned();
        let Kind::Initial { caller, from, counted } = &mut context.kind else { return };
        let account = caller.account().cloned().filter(|_| std::mem::take(counted));
        let charge = context.charge.take();
        let unix = cx.epoch.unix(cx.now);
        charge.into_iter().for_each(|charge| self.active.spending.answered(charge, unix));
        let branch = &context.branches[index];
        if let Some(member) = branch.target.as_ref().and_then(|target| target.member.as_ref()) {
            self.active.members.begin(&call, &member.account, cx.now);
        }
        let anchor = branch.anchor.and_then(|number| self.anchors.get_mut(number, &call));
        let anchored = anchor.as_ref().is_some_and(|anchor| !anchor.is_direct);
        match anchor {
            Some(anchor) => {
                let callee = branch.target.as_ref().map_or(*from, Target::party);
                anchor.answered = Some(Answered {
                    at: cx.now,
                    callee_tag: response.to_tag().unwrap_or_default().to_owned(),
                    dialog: Dialog::new(&context.request, response, [*from, callee], &config.key),
                });
                anchor.charge = charge;
                // What we do not carry does not count once it is answered.
                let released = if anchored { None } else { account.clone() };
                anchor.account = account.filter(|_| anchored);
                self.release(released.as_ref());
                branch.anchor.into_iter().for_each(|number| self.anchors.attend(number, config, cx));
            }
            None => {
                self.release(account.as_ref());
                charge.into_iter().for_each(|charge| self.active.spending.over(charge, unix));
            }
        }
        if first {
            let after = cx.now.duration_since(context.started);
            let Branch { began, target, .. } = &context.branches[index];
            let by = target.as_ref().map(|target| target.uri.clone()).unwrap_or_default();
            let began = began.saturating_duration_since(context.started);
            let at = target.as_ref().map(|target| (target.flow.remote, began));
            let codec = first_codec(response.body());
            cx.event(Event::CallAnswered { call, after, anchored, by, at, codec });
        }
    }

    /// No response came, or nothing can be sent there: as if 408 or 503 had come (§16.7 step 1, §16.9).
    pub(crate) fn no_answer(
        &mut self,
        client: ClientId,
        status: Status,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some((number, index)) = self.clients.remove(&client) else { return };
        let Some(mut context) = self.contexts.remove(&number) else { return };
        let branch = &mut context.branches[index];
        branch.ended = true;
        let server = branch.target.as_ref().filter(|target| target.domain.is_some());
        let elsewhere = server.is_some();
        if let Some(server) = server.filter(|_| !branch.heard) {
            self.shunned.mark(&server.flow, cx.now);
        }
        if (status == Status::SERVICE_UNAVAILABLE || elsewhere)
            && !branch.done
            && branch.given_up.is_none()
            && branch.target.as_ref().is_some_and(|target| !target.alternatives.is_empty())
        {
            branch.done = true;
            legs::ended(&context, index, (status, "It cannot be reached"), cx);
            self.drop_branch_media(&context, index, cx);
            self.other_flow(number, &mut context, index, config, transactions, cx);
        } else if !std::mem::replace(&mut branch.done, true) {
            let (status, reason) = match (branch.given_up, &context.kind, status) {
                (Some(given_up), _, _) => given_up,
                // The phone would have said so, had it heard of the INVITE or of the CANCEL.
                _ if context.cancelled => (Status::REQUEST_TERMINATED, Status::REQUEST_TERMINATED.reason()),
                (None, _, Status::SERVICE_UNAVAILABLE) if elsewhere => {
                    (Status::TEMPORARILY_UNAVAILABLE, "The other domain cannot be reached")
                }
                (None, _, Status::REQUEST_TIMEOUT) if elsewhere => {
                    (status, "The other domain does not respond")
                }
                (None, Kind::Initial { .. }, Status::SERVICE_UNAVAILABLE) => {
                    (Status::TEMPORARILY_UNAVAILABLE, "The phone cannot be reached")
                }
                (None, _, Status::REQUEST_TIMEOUT) => (status, "The phone does not respond"),
                (None, _, _) => (status, "The other phone cannot be reached"),
            };
            context.failed_with(status, reason, &cx.sip().tag());
            legs::ended(&context, index, (status, reason), cx);
            self.drop_branch_media(&context, index, cx);
        }
        self.settle(number, context, config, transactions, cx);
    }

    /// The caller gave up (§16.10), for the reason that it gives, if any.
    pub(crate) fn cancel(
        &mut self,
        invite: ServerId,
        why: Option<&str>,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(number) = self.servers.get(&invite).copied() else { return };
        let Some(mut context) = self.contexts.remove(&number) else { return };
        context.cancelled = true;
        context.groups.clear();
        context.locating = None;
        cancel_pending(&mut context, why, transactions, cx);
        self.settle(number, context, config, transactions, cx);
    }

    /// A phone has been ringing for too long (§16.8).
    pub(crate) fn timer_c(
        &mut self,
        number: u64,
        index: usize,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(branch) = self.contexts.get_mut(&number).and_then(|one| one.branches.get_mut(index)) else {
            return;
        };
        match branch.timer_c {
            // A provisional response moved the deadline since this timer was armed.
            Some(deadline) if deadline > cx.now => cx.timers.arm(deadline, Alarm::TimerC(number, index)),
            Some(_) if !branch.done => {
                branch.timer_c = None;
                branch.given_up.get_or_insert((Status::REQUEST_TIMEOUT, "Nobody answered"));
                transactions.cancel(branch.client, &mut cx.sip());
            }
            Some(_) | None => {}
        }
    }

    pub(crate) fn client_ended(&mut self, client: ClientId) {
        let Some((number, index)) = self.clients.remove(&client) else { return };
        let Some(context) = self.contexts.get_mut(&number) else { return };
        context.branches[index].ended = true;
        if context.is_over() {
            let server = context.server;
            self.forget_server(server, number);
            self.contexts.remove(&number);
            shrink(&mut self.servers);
            shrink(&mut self.contexts);
            shrink(&mut self.clients);
        }
    }

    /// A server transaction is over. If nothing was answered yet, its client cannot be reached any more, and nobody
    /// needs to ring for it.
    pub(crate) fn server_ended(
        &mut self,
        server: ServerId,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(number) = self.servers.remove(&server) else { return };
        let Some(mut context) = self.contexts.remove(&number) else { return };
        if !context.final_sent {
            context.cancelled = true;
            context.groups.clear();
            cancel_pending(&mut context, None, transactions, cx);
            if context.locating.take().is_some() {
                return self.settle(number, context, config, transactions, cx);
            }
        }
        self.contexts.insert(number, context);
    }

    /// After a change: the next targets, or the best failure, or nothing yet.
    fn settle(
        &mut self,
        number: u64,
        mut context: Box<ResponseContext>,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        while !context.final_sent && context.all_done() {
            if self.next_group(number, &mut context, config, transactions, cx) {
                continue;
            }
            if context.unanswered().is_some() {
                if !self.unanswered.contains(&number) {
                    self.unanswered.push(number);
                }
                break;
            }
            let tag = cx.sip().tag();
            let best = context.best(&tag);
            context.final_sent = true;
            self.failed(&mut context, &best, config, cx);
            // RFC 4320 §4.2: too late for any other method, whose client has given up by itself.
            if context.is_invite() || best.status() != Status::REQUEST_TIMEOUT {
                transactions.respond(context.server, best, &mut cx.sip());
            }
        }
        if context.is_over() {
            self.forget_server(context.server, number);
        } else {
            self.contexts.insert(number, context);
        }
    }

    /// A context no longer needs its server transaction. Another may, to which the call went on.
    fn forget_server(&mut self, server: ServerId, number: u64) {
        if self.servers.get(&server) == Some(&number) {
            self.servers.remove(&server);
        }
    }

    /// A branch failed: its media is closed, or goes back to what it was before a refused offer.
    fn drop_branch_media(&mut self, context: &ResponseContext, index: usize, cx: &mut Context<'_>) {
        let Some(anchor) = context.branches[index].anchor else { return };
        match &context.kind {
            Kind::Initial { .. } => {
                self.anchors.close(anchor, cx);
            }
            Kind::InDialog { before: Some(before), .. } => self.anchors.restore(anchor, before, cx),
            Kind::InDialog { before: None, .. } => {}
        }
    }

    /// One call less of an account.
    fn release(&mut self, account: Option<&AddressOfRecord>) {
        if let Some(account) = account {
            self.active.end(account);
        }
    }

    /// See [`ShardMessage::Activity`].
    pub(crate) fn active_elsewhere(&mut self, shard: u8, account: AddressOfRecord, calls: u32) {
        self.active.note(shard, account, calls);
    }

    /// Tells the other shards of the accounts whose number of calls has changed.
    pub(crate) fn tell_activity(&mut self, shards: u8, cx: &mut Context<'_>) {
        while let Some((account, calls)) = self.active.changed() {
            let shard = cx.shard;
            cx.tell_others(shards, &ShardMessage::Activity { shard, account, calls });
        }
    }

    /// The media of a call ended with its dialog.
    fn end_media(&mut self, anchor: u64, call_id: &str, cx: &mut Context<'_>) {
        if self.anchors.get_mut(anchor, call_id).is_none() {
            return;
        }
        if let Some(anchor) = self.anchors.close(anchor, cx) {
            self.let_go(&anchor, cx);
        }
    }

    /// The call of a closed anchor no longer counts.
    fn let_go(&mut self, anchor: &anchor::Anchor, cx: &Context<'_>) {
        self.release(anchor.account.as_ref());
        let unix = cx.epoch.unix(cx.now);
        anchor.charge.into_iter().for_each(|charge| self.active.spending.over(charge, unix));
    }

    /// A forwarded call cannot go on with the media that it has: it is ended.
    pub(crate) fn trouble(
        &mut self,
        number: u64,
        trouble: Trouble,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let (reason, status, words) = trouble.words();
        self.end_call(number, (&reason, EndedBy::Exchange), config, transactions, cx);
        // A call that still rings has been told of media that it cannot have.
        let ringing = self.contexts.values_mut().flat_map(|context| &mut context.branches);
        for branch in ringing.filter(|one| one.anchor == Some(number) && !one.done) {
            branch.given_up = Some((status, words));
            transactions.cancel(branch.client, &mut cx.sip());
        }
    }

    /// Ends calls that have been on hold for longer than configured.
    pub(crate) fn end_held(
        &mut self,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        for number in self.anchors.held_too_long(config, cx.now) {
            // A bridged call is for its table to end.
            if self.anchors.bridged(number).is_some() {
                continue;
            }
            let (reason, ..) = Trouble::Held.words();
            self.end_call(number, (&reason, EndedBy::Exchange), config, transactions, cx);
        }
    }

    /// Calls being set up.
    pub(crate) fn ringing(&self) -> usize {
        self.contexts.values().filter(|one| one.is_invite() && !one.final_sent).count()
    }

    /// Answered calls whose media goes through us.
    pub(crate) fn anchored(&self) -> usize {
        self.anchors.answered().count()
    }

    pub(crate) fn free_ports(&self, now: Instant) -> usize {
        self.anchors.free_ports(now)
    }

    /// The calls that we know of: ringing ones, then answered ones.
    pub(crate) fn calls(&self, cx: &Context<'_>) -> Vec<LiveCall> {
        let unix = |at: Instant| cx.epoch.unix_seconds(at);
        let uri = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        let mut ringing: Vec<_> = self.contexts.iter().filter(|(_, one)| one.is_new_call()).collect();
        ringing.sort_unstable_by_key(|(number, _)| **number);
        let ringing = ringing.into_iter().map(|(_, one)| LiveCall {
            id: one.call_id().to_owned(),
            from: uri(one.request.raw(Name::From)),
            to: uri(one.request.raw(Name::To)),
            started_at: unix(one.started),
            answered_at: None,
        });
        let answered = self.anchors.answered().filter(|one| one.bridged.is_none()).filter_map(|one| {
            let answered = one.answered.as_ref()?;
            let (from, to) = answered.dialog.as_ref().map_or(("", ""), Dialog::addresses);
            Some(LiveCall {
                id: one.call_id.clone(),
                from: from.to_owned(),
                to: to.to_owned(),
                started_at: unix(one.started),
                answered_at: Some(unix(answered.at)),
            })
        });
        ringing.chain(answered).collect()
    }

    /// Whether nothing is under way and every port is home.
    pub(crate) fn is_idle(&self) -> bool {
        self.contexts.is_empty()
            && self.clients.is_empty()
            && self.questions.is_empty()
            && self.anchors.is_idle()
            && self.active.is_empty()
    }
}

/// Cancels the branches that have no final response yet.
fn cancel_pending(
    context: &mut ResponseContext,
    reason: Option<&str>,
    transactions: &mut Transactions,
    cx: &mut Context<'_>,
) {
    if !context.is_invite() {
        return;
    }
    for Branch { client, .. } in context.branches.iter().filter(|branch| !branch.done) {
        match reason {
            Some(reason) => transactions.cancel_because(*client, reason, &mut cx.sip()),
            None => transactions.cancel(*client, &mut cx.sip()),
        };
    }
}

/// Whether a message has a session description, and nothing else, as its body.
fn is_sdp(headers: &Headers) -> bool {
    let kind = headers.raw(Name::ContentType).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/sdp") && !headers.body().is_empty()
}

const COMPLETED_ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
