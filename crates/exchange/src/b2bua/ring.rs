//! Calling: one target or many, group after group, until one answers or none is left (RFC 3261 §16.7 by analogy).

use std::collections::VecDeque;
use std::time::Instant;

use offhook_sip::{Name, NameAddr, Request, Response, Status, Uri};
use offhook_sip_stack::usage::Body;
use offhook_sip_stack::usage::invite::{Invite, Outgoing, Party as Ender};
use rand::RngExt as _;

use super::bridge::Passing;
use super::call::{Call, NO_MEDIA, With};
use super::end::End;
use super::leg::{self, Leg};
use super::lines;
use super::unanswered::{Kept, diversions};
use super::verb::Endpoint;
use super::{CallId, Env, usage};
use crate::config::AnchorPolicy;
use crate::context::Alarm;
use crate::dispatch;
use crate::event::{EndedBy, Event};
use crate::identity;
use crate::proxy::Target;
use crate::proxy::anchor::Role;
use crate::proxy::protection::Manner;
use crate::proxy::signed_route::{Party, PartyName};
use crate::proxy::{MOST_SENT_ON, SILENCE, by_preference, deflection, rank};
use crate::refusal::Refusal;
use crate::trunks::Trunks;

/// Who is called for a caller, and how far that is.
pub(super) struct Ring {
    pub(super) asked: Asked,
    /// In the order of their legs, of which the first has the number 1.
    pub(super) branches: Vec<Branch>,
    pub(super) groups: VecDeque<Vec<Target>>,
    /// The place of the branch that has answered.
    pub(super) winner: Option<usize>,
    best: Option<Failure>,
    pub(super) passing: Passing,
    /// Until somebody has answered.
    pub(super) kept: Option<Box<Kept>>,
}

/// What everyone who is called is told.
pub(super) struct Asked {
    /// The way to the caller; `None`: an end of ours calls.
    pub(super) party: Option<Party>,
    pub(super) from: NameAddr,
    pub(super) to: NameAddr,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Body>,
    /// What calls, if an end of ours does.
    pub(super) endpoint: Endpoint,
    pub(super) max_forwards: u8,
}

/// One who is called.
pub(super) struct Branch {
    pub(super) leg: Leg,
    pub(super) began: Instant,
    pub(super) target: Target,
    pub(super) anchor: Option<u64>,
    /// The end of ours that calls, if one does.
    pub(super) end: Option<Box<End>>,
    /// Whether it has failed, or is no longer wanted.
    pub(super) done: bool,
    /// Why we have given it up, when that is not the caller's wish.
    pub(super) given_up: Option<(Status, &'static str)>,
    /// Whether any response came.
    pub(super) heard: bool,
    /// The trunk of which it is counted.
    pub(super) counted: Option<usize>,
    /// Whether its trunk has sent the call on to another server of its own, where it goes on.
    pub(super) sent_on: bool,
}

/// Why nobody has answered.
struct Failure {
    status: Status,
    reason: String,
    retry_after: Option<u32>,
}

impl Ring {
    pub(super) fn new(asked: Asked, targets: Vec<Target>, kept: Option<Box<Kept>>) -> Self {
        Self {
            asked,
            branches: Vec::new(),
            groups: by_preference(targets),
            winner: None,
            best: None,
            passing: Passing::default(),
            kept,
        }
    }

    /// The best failure so far.
    pub(super) fn failure(&self) -> Option<Status> {
        self.best.as_ref().map(|best| best.status)
    }

    /// The call goes on: those who are called from now on learn by whom.
    pub(super) fn divert(&mut self, request: &Request) {
        self.best = None;
        self.branches.iter_mut().for_each(|branch| branch.given_up = None);
        self.asked.headers.retain(|(name, _)| name != Name::Diversion.as_str());
        self.asked.headers.extend(diversions(request));
    }

    /// The only one who may still answer, or has.
    pub(super) fn only(&self) -> Option<usize> {
        if self.winner.is_some() {
            return self.winner;
        }
        let mut ringing = self.branches.iter().enumerate().filter(|(_, one)| !one.done);
        let (at, _) = ringing.next()?;
        (ringing.next().is_none() && self.groups.is_empty()).then_some(at)
    }

    /// Whether the one who has answered is reached by a trunk.
    pub(super) fn is_by_trunk(&self) -> bool {
        self.winner.is_some_and(|at| self.is_trunk(at))
    }

    /// Whether a branch leads to a trunk.
    pub(super) fn is_trunk(&self, at: usize) -> bool {
        self.branches.get(at).is_some_and(|branch| branch.target.line.is_some())
    }

    /// Whether the call was to leave by a trunk.
    pub(super) fn has_tried_trunks(&self) -> bool {
        self.branches.iter().any(|branch| branch.target.line.is_some())
    }

    /// The URI of the one who has answered.
    pub(super) fn answered_by(&self) -> Option<&str> {
        self.branches.get(self.winner?).map(|branch| branch.target.uri.as_str())
    }

    fn fails(&mut self, status: Status, reason: &str, retry_after: Option<u32>) {
        if self.best.as_ref().is_none_or(|best| rank(status) < rank(best.status)) {
            self.best = Some(Failure { status, reason: reason.to_owned(), retry_after });
        }
    }
}

impl Call {
    /// Calls the next targets until somebody rings; refuses the caller when nobody is left.
    pub(super) fn ring(&mut self, env: &mut Env<'_, '_>) {
        loop {
            let With::Phones(ring) = &mut self.with else { return };
            if ring.winner.is_some() || ring.branches.iter().any(|branch| !branch.done) {
                return;
            }
            let Some(group) = ring.groups.pop_front() else {
                if !self.goes_on(env) {
                    self.unanswered(env);
                }
                return;
            };
            for target in group {
                self.launch(target, env);
            }
        }
    }

    pub(super) fn launch(&mut self, target: Target, env: &mut Env<'_, '_>) {
        let Err(refusal) = self.try_launch(target, env) else { return };
        if let With::Phones(ring) = &mut self.with {
            ring.fails(refusal.status, &refusal.reason, None);
        }
    }

    fn try_launch(&mut self, target: Target, env: &mut Env<'_, '_>) -> Result<(), Refusal> {
        let With::Phones(ring) = &mut self.with else { return Ok(()) };
        let number = u8::try_from(ring.branches.len() + 1).map_err(|_| Status::MAX_BREADTH_EXCEEDED)?;
        let asked = &ring.asked;
        let uri: Uri = target.uri.parse().map_err(|_| Status::TEMPORARILY_UNAVAILABLE)?;
        let route = |one: &String| NameAddr::parse(one.clone().into());
        let routes = target.path.iter().map(route).collect::<Result<_, _>>();
        let routes = routes.map_err(|_| Status::TEMPORARILY_UNAVAILABLE)?;
        let line = target.line.clone();
        let counted = line.as_ref().map(|line| line.begin(env)).transpose()?;
        let made = match asked.party {
            Some(party) => {
                let trunks = [self.about.trunk, line.as_ref().map(|line| line.trunk)];
                offer((asked, party), (&target, trunks), (self.id, &self.about.call_id), env)
            }
            None => offer_of_ours((&target, asked.endpoint), (self.id, &self.about.call_id), env),
        };
        let Made { anchor, body, end } = match made {
            Ok(offer) => offer,
            Err(refusal) => {
                counted.into_iter().for_each(|trunk| env.trunks.load.end(trunk));
                return Err(refusal);
            }
        };
        let random = format!("{:024x}", env.cx.rng.random::<u128>() >> 32);
        let settings = match &line {
            Some(line) => leg::settings_as(&line.contact, &target.party(), env.config),
            None => leg::settings(&target.party(), leg::is_sips(&uri), env.config),
        };
        let mut authorizer =
            line.as_ref().and_then(|line| line.authorizer(env.config, env.trunks.state(line.trunk)));
        let (from, to, headers) = match &line {
            Some(line) => (&line.from, &line.to, line.headers(env.config, env.cx.unix())),
            None => (&asked.from, &asked.to, asked.headers.clone()),
        };
        let from = match &target.member {
            Some(member) => identity::of_group(from, &member.shown),
            None => from.clone(),
        };
        let call_id = dispatch::call_id(env.cx.shard, &random);
        env.cx.event(Event::LegStarted { call: self.about.call_id.clone(), leg: call_id.clone() });
        env.cx.out.events.extend(line.as_ref().map(|line| line.sent(&self.about.call_id, env.config)));
        let outgoing = Outgoing {
            call_id: Some(call_id),
            max_forwards: asked.max_forwards,
            target: uri,
            from,
            to: to.clone(),
            routes,
            headers,
            body,
            flows: vec![target.flow],
        };
        let usage = usage(self.id, number);
        if let Some(domain) = &target.domain {
            env.cx.out.expected.push((target.flow.remote, domain.clone()));
        }
        let invite = leg::enter_with(authorizer.as_deref_mut(), env, |stack| {
            Invite::call(usage, outgoing, settings, stack)
        });
        // With a way to go it is always sent.
        let Some(invite) = invite else { return Err(Status::TEMPORARILY_UNAVAILABLE.into()) };
        env.cx.timers.arm(env.cx.now + env.config.timer_c, Alarm::Ring(self.id, number));
        if target.domain.is_some() {
            env.cx.timers.arm(env.cx.now + SILENCE, Alarm::Line(self.id, number));
        }
        let (account, party) = (target.account.clone(), target.party());
        let leg = Leg { usage, invite, authorizer, account, party };
        ring.branches.push(Branch::new((leg, env.cx.now), target, (anchor, end), counted));
        Ok(())
    }

    /// It has been ringing for too long (RFC 3261 §16.8 by analogy).
    pub(super) fn ring_over(&mut self, number: u8, env: &mut Env<'_, '_>) {
        let With::Phones(ring) = &mut self.with else { return };
        let winner = ring.winner;
        let at = usize::from(number).wrapping_sub(1);
        let Some(branch) = ring.branches.get_mut(at).filter(|one| !one.done && winner.is_none()) else {
            return;
        };
        branch.given_up = Some((Status::REQUEST_TIMEOUT, "Nobody answered"));
        branch.leg.enter(env, |invite, stack| invite.hangup(stack));
    }

    /// One who is called cannot have the media that it was offered; false if it is not ringing.
    pub(super) fn give_up(
        &mut self,
        anchor: u64,
        refusal: (Status, &'static str),
        env: &mut Env<'_, '_>,
    ) -> bool {
        let With::Phones(ring) = &mut self.with else { return false };
        if ring.winner.is_some() {
            return false;
        }
        let Some(branch) = ring.branches.iter_mut().find(|one| one.anchor == Some(anchor)) else {
            return false;
        };
        branch.given_up = Some(refusal);
        branch.leg.enter(env, |invite, stack| invite.hangup(stack));
        true
    }

    /// A provisional response of one who is called.
    pub(super) fn progress(&mut self, at: usize, status: Status, body: Option<&Body>, env: &mut Env<'_, '_>) {
        let With::Phones(ring) = &mut self.with else { return };
        if ring.asked.party.is_none() {
            return self.dialled_rings(status, env);
        }
        // What is heard before the answer must come from the one who answers: there is one session with the caller.
        if body.is_some() {
            ring.commit(at);
        }
        let mut alone = ring.only() == Some(at);
        if let Some(kept) = &mut ring.kept {
            kept.rang |= status != Status::TRYING;
            // Somebody else may yet take the call, and then the session.
            alone &= !kept.attended;
            kept.early |= alone && body.is_some();
        }
        let number = at as u8 + 1;
        let body = body.filter(|_| alone).and_then(|body| self.pass(number, Role::Answer, body, env).ok());
        self.enter_first(env, |invite, stack| invite.provisional(status, body, stack));
        env.cx.event(Event::CallRinging { call: self.about.call_id.clone() });
    }

    /// One who is called has answered: nobody else needs to ring.
    pub(super) fn won(&mut self, at: usize, body: Option<Body>, offer: bool, env: &mut Env<'_, '_>) {
        let With::Phones(ring) = &mut self.with else { return };
        ring.winner = Some(at);
        let is_ours = ring.asked.party.is_none();
        ring.kept = None;
        ring.groups.clear();
        for (_, branch) in ring.branches.iter_mut().enumerate().filter(|(one, _)| *one != at) {
            branch.leave(&self.about.call_id, env);
        }
        let won = ring.branches.get(at);
        if let Some(member) = won.and_then(|branch| branch.target.member.as_ref()) {
            env.active.members.begin(&self.about.call_id, &member.account, env.cx.now);
        }
        if let Some(line) = won.and_then(|branch| branch.target.line.as_ref()) {
            env.trunks.forgive(line.trunk);
        }
        if is_ours {
            return self.dialled_answers(at, body, env);
        }
        let anchor = won.and_then(|branch| branch.anchor);
        let number = at as u8 + 1;
        let role = if offer { Role::Offer } else { Role::Answer };
        let passed = body.ok_or(Status::NOT_ACCEPTABLE_HERE.into());
        match passed.and_then(|body: Body| self.pass(number, role, &body, env)) {
            Ok(body) => {
                if offer {
                    self.offer_under_way(number);
                }
                self.answer(body, anchor, env);
            }
            Err(refusal) => self.hang_up(NO_MEDIA, (refusal.status, &refusal.reason), env),
        }
    }

    /// A branch is over.
    pub(super) fn branch_ended(
        &mut self,
        at: usize,
        by: Ender,
        (status, reason): (Status, &str),
        response: Option<&Response>,
        env: &mut Env<'_, '_>,
    ) {
        let With::Phones(ring) = &mut self.with else { return };
        let may_follow = ring.branches.iter().filter(|one| one.sent_on).count() < MOST_SENT_ON;
        if ring.winner == Some(at) {
            let ended_by = if by == Ender::Peer { EndedBy::Callee } else { EndedBy::Exchange };
            let words = super::bridge::reason_value(status, reason);
            self.finish(Some(ended_by), (status, reason), env);
            return self.enter_first(env, |invite, stack| invite.hangup_because(words.as_deref(), stack));
        }
        let Some(branch) = ring.branches.get_mut(at).filter(|branch| !branch.done) else { return };
        branch.done = true;
        if let Some(anchor) = branch.anchor.take() {
            env.anchors.close(anchor, env.cx);
        }
        branch.release(env.trunks);
        if self.ended {
            return;
        }
        branch.tell_ended(&self.about.call_id, branch.given_up.unwrap_or((status, reason)), env);
        let retry_after = response.and_then(|response| response.retry_after().ok().flatten());
        if let (Some(kept), None, true) = (&mut ring.kept, &branch.target.line, status.is_redirection()) {
            kept.deflection = response.and_then(deflection);
        }
        let is_of_line = branch.target.line.is_some();
        let again = match branch.target.domain.is_some() {
            true if is_of_line && may_follow && status.is_redirection() => branch.elsewhere(response, env),
            true => branch.next_server(by, status),
            false => branch.again(by, status, env),
        };
        let failed = branch.is_trunks_failure((by, status), retry_after, again.is_none(), env);
        let refuses_media = failed == Some(false) && by == Ender::Peer && lines::is_of_media(status);
        let (status, reason) = match (branch.given_up, failed) {
            (Some((status, reason)), _) => (status, reason.to_owned()),
            (None, Some(_)) => lines::told(by, status, reason),
            (None, None) => told(by, status, reason),
        };
        let reason = branch.refused_media(status, env).unwrap_or(reason);
        let has_other_terms = refuses_media && ring.keep_other_terms(at, env);
        if failed == Some(false) && !has_other_terms {
            // It is about the one who is called, to whom no other trunk leads any better.
            ring.groups.clear();
        }
        // What one trunk thinks of the media is no news while another is asked.
        if again.is_none() && !has_other_terms {
            ring.fails(status, &reason, retry_after);
        }
        // Who declines speaks for itself, not for its group.
        let hunts = ring.kept.as_ref().is_some_and(|kept| kept.asking.hunt.is_some());
        if status.class() == 6 && !hunts && !has_other_terms {
            ring.groups.clear();
            for branch in &mut ring.branches {
                branch.leave(&self.about.call_id, env);
            }
        }
        if let Some(target) = again {
            self.launch(target, env);
        }
        self.ring(env);
    }

    /// Nobody is left who could answer.
    pub(super) fn unanswered(&mut self, env: &mut Env<'_, '_>) {
        let With::Phones(ring) = &mut self.with else { return };
        let best = ring.best.take();
        let (status, reason, retry_after) = match best {
            Some(Failure { status, reason, retry_after }) => (status, reason, retry_after),
            None => (Status::TEMPORARILY_UNAVAILABLE, "Nobody answered".to_owned(), None),
        };
        let retry_after = retry_after.map(|seconds| ("Retry-After".to_owned(), seconds.to_string()));
        self.refuse_caller((status, &reason), retry_after.into_iter().collect(), env);
    }

    /// The caller is told that nobody takes its call.
    pub(super) fn refuse_caller(
        &mut self,
        (status, reason): (Status, &str),
        headers: Vec<(String, String)>,
        env: &mut Env<'_, '_>,
    ) {
        self.finish(None, (status, reason), env);
        self.enter_first(env, |invite, stack| invite.reject_with(status, reason, &headers, stack));
    }
}

impl Branch {
    fn new(
        (leg, began): (Leg, Instant),
        target: Target,
        (anchor, end): (Option<u64>, Option<Box<End>>),
        counted: Option<usize>,
    ) -> Self {
        Self {
            leg,
            began,
            target,
            anchor,
            end,
            done: false,
            given_up: None,
            heard: false,
            counted,
            sent_on: false,
        }
    }

    /// It is no longer wanted for the call with this Call-ID: somebody else has it.
    pub(super) fn leave(&mut self, call_id: &str, env: &mut Env<'_, '_>) {
        let why = (Status::REQUEST_TERMINATED, "Call completed elsewhere");
        self.leave_for(call_id, why, env);
    }

    /// The same for this reason.
    pub(super) fn leave_for(&mut self, call_id: &str, why: (Status, &str), env: &mut Env<'_, '_>) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        self.tell_ended(call_id, why, env);
        if let Some(anchor) = self.anchor.take() {
            env.anchors.close(anchor, env.cx);
        }
        self.release(env.trunks);
        self.leg.enter(env, |invite, stack| invite.hangup_because(Some(COMPLETED_ELSEWHERE), stack));
    }

    /// It no longer counts as a call of its trunk.
    pub(super) fn release(&mut self, trunks: &mut Trunks) {
        if let Some(trunk) = self.counted.take() {
            trunks.load.end(trunk);
        }
    }

    /// Whether it was given up because nothing at all came from it.
    pub(super) fn is_silent(&self) -> bool {
        self.given_up.is_some() && !self.heard
    }

    /// Another server of the same trunk or domain, where this one has not answered or cannot serve (RFC 3263 §4.3).
    fn next_server(&mut self, by: Ender, status: Status) -> Option<Target> {
        let unserved = by == Ender::Network || self.is_silent() || status == Status::SERVICE_UNAVAILABLE;
        if unserved { self.target.take_alternative() } else { None }
    }

    /// What to try instead of it: another offer (see [`Manner::after`]), or another flow of the device (RFC 5626
    /// §5.3).
    fn again(&mut self, by: Ender, status: Status, env: &Env<'_, '_>) -> Option<Target> {
        if self.given_up.is_some() {
            return None;
        }
        if status == Status::NOT_ACCEPTABLE_HERE {
            return self.target.with_other_offer(env.config);
        }
        let broken =
            status == Status::FLOW_FAILED || by == Ender::Network && status == Status::SERVICE_UNAVAILABLE;
        if broken { self.target.take_alternative() } else { None }
    }
}

/// What a caller is told of a failure: nothing that only means something beyond us (RFC 7092 §3.1).
fn told(by: Ender, status: Status, reason: &str) -> (Status, String) {
    match (by, status) {
        (Ender::Network, Status::REQUEST_TIMEOUT) => (status, "The phone does not respond".to_owned()),
        (Ender::Network, _) | (_, Status::FLOW_FAILED) => {
            (Status::TEMPORARILY_UNAVAILABLE, "The phone cannot be reached".to_owned())
        }
        // Our credentials were not enough; those of the caller are nobody else's business.
        (_, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED) => {
            (Status::BAD_GATEWAY, "The other side wants other credentials".to_owned())
        }
        // What a phone cannot do now says nothing about us (RFC 3261 §16.7 step 6).
        (_, Status::SERVICE_UNAVAILABLE) => (Status::SERVER_INTERNAL_ERROR, reason.to_owned()),
        (_, status) if status.is_redirection() => {
            (Status::TEMPORARILY_UNAVAILABLE, "The other side is somewhere else".to_owned())
        }
        (_, status) => (status, reason.to_owned()),
    }
}

/// The offer to one who is called, and the anchor of its media.
struct Made {
    anchor: Option<u64>,
    body: Option<Body>,
    end: Option<Box<End>>,
}

fn offer_of_ours(
    (target, endpoint): (&Target, Endpoint),
    (call, call_id): (CallId, &str),
    env: &mut Env<'_, '_>,
) -> Result<Made, Refusal> {
    let mut end = Box::new(End::calling(call_id, (target, endpoint), env));
    if let Some(anchor) = env.anchors.get_mut(end.anchor, call_id) {
        anchor.bridged = Some(call);
    }
    match end.offer(env) {
        Ok(body) => Ok(Made { anchor: Some(end.anchor), body: Some(body), end: Some(end) }),
        Err(refusal) => {
            env.anchors.close(end.anchor, env.cx);
            Err(refusal)
        }
    }
}

fn offer(
    (asked, party): (&Asked, Party),
    (target, trunks): (&Target, [Option<usize>; 2]),
    (call, call_id): (CallId, &str),
    env: &mut Env<'_, '_>,
) -> Result<Made, Refusal> {
    let anchor = open_anchor(party, (target, trunks), call_id, env);
    anchor.into_iter().for_each(|number| env.anchors.concerns(number, target.concern.as_ref()));
    if let Some(anchor) = anchor.and_then(|one| env.anchors.get_mut(one, call_id)) {
        anchor.bridged = Some(call);
    }
    let made = |body| Made { anchor, body, end: None };
    let (Some(body), Some(number)) = (&asked.body, anchor) else { return Ok(made(asked.body.clone())) };
    if !body.is_sdp() {
        return Ok(made(Some(body.clone())));
    }
    let said = (PartyName::Caller, Role::Offer);
    match env.anchors.pass(number, call_id, said, &body.bytes, env.config, env.cx) {
        Ok(body) => Ok(made(Some(Body::sdp(body)))),
        Err(refusal) => {
            env.anchors.close(number, env.cx);
            Err(refusal)
        }
    }
}

/// Media goes through us unless that is forbidden: a session that is direct shows each side where the other is. On the
/// terms of one of the `trunks`, by which the two sides are reached, it always does.
fn open_anchor(
    caller: Party,
    (target, trunks): (&Target, [Option<usize>; 2]),
    call_id: &str,
    env: &mut Env<'_, '_>,
) -> Option<u64> {
    let recorded = target.concern.as_ref().is_some_and(|concern| concern.wants_anchor() || concern.codes);
    let terms = trunks.map(|trunk| env.terms(trunk));
    if env.config.anchor == AnchorPolicy::Never && !recorded && terms == [None, None] {
        return None;
    }
    let manner = |(party, terms): (&Party, &Option<_>), refused, said| {
        let policy = env.config.srtp_on(terms.as_ref());
        Manner::after(refused, party.flow.transport, said, policy).unwrap_or(Manner::Plain)
    };
    let callee = target.party();
    let manners =
        [manner((&caller, &terms[0]), 0, None), manner((&callee, &terms[1]), target.refused, target.media)];
    let parties = [caller, callee];
    let number = env.anchors.open(call_id, parties, (manners, target.refused > 0), env.config, env.cx);
    env.anchors.hold_to(number, terms);
    Some(number)
}

const COMPLETED_ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
