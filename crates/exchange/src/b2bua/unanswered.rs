//! Bridged calls that nobody has taken, and that may go on to somebody else, or to an end of ours.

use std::time::Duration;

use offhook_sip::{Name, Request, Status};
use offhook_sip_stack::transaction::ServerId;
use offhook_sip_stack::usage::Body;

use super::call::{Call, With};
use super::end::End;
use super::ring::Ring;
use super::verb::Endpoint;
use super::{CallId, Env, Table};
use crate::context::Alarm;
use crate::directory::AddressOfRecord;
use crate::proxy::signed_route::Party;
use crate::proxy::{Asking, Target, by_preference, is_behind_nat, is_due, why_unanswered};
use crate::refusal::Refusal;
use crate::services::Why;

/// What a ring keeps for the case that nobody takes the call.
pub(super) struct Kept {
    pub(super) server: ServerId,
    pub(super) asking: Asking,
    /// Whose call it is.
    pub(super) account: Option<AddressOfRecord>,
    /// Whether a service wants to know when nobody takes it.
    pub(super) attended: bool,
    /// Where a phone sends it by itself.
    pub(super) deflection: Option<String>,
    /// Whether a phone has said more than 100.
    pub(super) rang: bool,
    /// Whether the caller hears one of those who are called, so that nobody else can take the place.
    pub(super) early: bool,
    /// Counts those to whom it has gone.
    pub(super) round: u32,
}

/// A call that nobody has taken.
pub(crate) struct Unanswered {
    pub(crate) call: CallId,
    pub(crate) server: ServerId,
    pub(crate) asking: Asking,
    pub(crate) account: Option<AddressOfRecord>,
    pub(crate) why: Why,
    /// Where a phone sends it.
    pub(crate) deflection: Option<String>,
}

/// To whom a call goes on.
pub(crate) struct Onward {
    pub(crate) server: ServerId,
    pub(crate) asking: Asking,
    pub(crate) account: Option<AddressOfRecord>,
    pub(crate) targets: Vec<Target>,
    /// Whether and for how long one waits for an answer.
    pub(crate) rings_for: Option<Option<Duration>>,
}

impl Kept {
    pub(super) fn new(
        server: ServerId,
        asking: Asking,
        account: Option<AddressOfRecord>,
        attended: bool,
    ) -> Box<Self> {
        let (deflection, rang, early, round) = (None, false, false, 0);
        Box::new(Self { server, asking, account, attended, deflection, rang, early, round })
    }
}

impl Ring {
    /// Why nobody has taken the call, if it may go on.
    fn why(&self) -> Option<Why> {
        let kept = self.kept.as_ref().filter(|kept| !kept.early)?;
        if kept.deflection.is_some() {
            return Some(Why::Deflected);
        }
        let given_up = self.branches.iter().any(|branch| branch.given_up.is_some());
        why_unanswered(self.failure()?, given_up, kept.rang).filter(|_| kept.attended)
    }
}

impl Call {
    /// Whether the call waits for somebody to say what becomes of it.
    pub(super) fn goes_on(&mut self, env: &mut Env<'_, '_>) -> bool {
        let With::Phones(ring) = &self.with else { return false };
        let goes_on = !self.ended && !self.by_operator && ring.why().is_some();
        if goes_on && !env.usages.unanswered.contains(&self.id) {
            env.usages.unanswered.push(self.id);
        }
        goes_on
    }

    /// Arms the alarm for when its phones have rung long enough.
    pub(super) fn wait_for_answer(&self, rings_for: Option<Duration>, env: &mut Env<'_, '_>) {
        let With::Phones(ring) = &self.with else { return };
        let Some(kept) = &ring.kept else { return };
        for after in ring.groups.iter().filter_map(|group| group.first()?.after) {
            let alarm = Alarm::AlsoBridged(self.id, kept.round, after);
            env.cx.timers.arm(env.cx.now + Duration::from_secs(after.into()), alarm);
        }
        if let Some(rings_for) = rings_for {
            env.cx.timers.arm(env.cx.now + rings_for, Alarm::RungOut(self.id, kept.round));
        }
    }

    /// Its phones have rung for as long as they were to.
    fn rung_out(&mut self, round: u32, env: &mut Env<'_, '_>) {
        let With::Phones(ring) = &mut self.with else { return };
        let (is_ours, kept) = (ring.asked.party.is_none(), ring.kept.as_ref());
        if ring.winner.is_some() || kept.map_or(!is_ours, |kept| kept.round != round) {
            return;
        }
        ring.groups.clear();
        for branch in ring.branches.iter_mut().filter(|one| !one.done) {
            branch.given_up.get_or_insert((Status::REQUEST_TIMEOUT, "Nobody answered"));
            branch.leg.enter(env, |invite, stack| invite.hangup(stack));
        }
    }

    /// The time has come for those who ring as well, after so many seconds.
    fn also_rings(&mut self, (round, after): (u32, u16), env: &mut Env<'_, '_>) {
        let With::Phones(ring) = &mut self.with else { return };
        let is_current = ring.kept.as_ref().is_some_and(|kept| kept.round == round);
        if !is_current || ring.winner.is_some() || self.ended {
            return;
        }
        while let With::Phones(ring) = &mut self.with
            && ring.groups.front().is_some_and(|group| is_due(group, after))
            && let Some(group) = ring.groups.pop_front()
        {
            group.into_iter().for_each(|target| self.launch(target, env));
        }
    }

    fn go_on(&mut self, onward: Onward, env: &mut Env<'_, '_>) {
        let With::Phones(ring) = &mut self.with else { return };
        let Onward { server, asking, account, targets, rings_for } = onward;
        ring.divert(&asking.request);
        let round = ring.kept.as_ref().map_or(0, |kept| kept.round + 1);
        let mut kept = Kept::new(server, asking, account, rings_for.is_some());
        kept.round = round;
        ring.kept = Some(kept);
        ring.groups = by_preference(targets);
        self.wait_for_answer(rings_for.flatten(), env);
        self.ring(env);
    }

    /// An end of ours takes it.
    fn taken_by(
        &mut self,
        request: &Request,
        party: Party,
        (endpoint, service): (Endpoint, usize),
        env: &mut Env<'_, '_>,
    ) -> Result<(), Refusal> {
        let mut end = End::new(&self.about.call_id, (party, self.about.trunk), endpoint, env);
        let anchor = end.anchor;
        if let Some(anchor) = env.anchors.get_mut(anchor, &self.about.call_id) {
            anchor.bridged = Some(self.id);
        }
        let body = match Body::of(request) {
            Some(offer) => end.answer(&offer, env),
            None => end.offer(env),
        };
        let body = body.inspect_err(|_| {
            env.anchors.close(anchor, env.cx);
        })?;
        if let With::Phones(ring) = std::mem::replace(&mut self.with, With::End(Box::new(end))) {
            // Their transactions may not be over yet.
            self.former.extend(ring.branches.into_iter().map(|branch| branch.leg));
        }
        self.service = Some(service);
        self.answer(body, Some(anchor), env);
        Ok(())
    }
}

impl Table {
    /// The next call that nobody has taken.
    pub(crate) fn next_unanswered(&mut self, env: &mut Env<'_, '_>) -> Option<Unanswered> {
        while let Some(id) = env.usages.unanswered.pop() {
            let Some(call) = self.calls.get_mut(&id).filter(|call| !call.has_ended()) else { continue };
            let With::Phones(ring) = &mut call.with else { continue };
            let Some(why) = ring.why() else { continue };
            let Some(kept) = &mut ring.kept else { continue };
            let asking = Asking { begun: Some(call.about.started), bridged: Some(id), ..kept.asking.clone() };
            let (server, account) = (kept.server, kept.account.clone());
            // What nothing becomes of now nothing becomes of later.
            kept.attended = false;
            let deflection = kept.deflection.take();
            return Some(Unanswered { call: id, server, asking, account, why, deflection });
        }
        None
    }

    /// A call that nobody has taken goes on to others.
    pub(crate) fn go_on(&mut self, call: CallId, onward: Onward, env: &mut Env<'_, '_>) {
        if let Some(call) = self.calls.get_mut(&call) {
            call.go_on(onward, env);
        }
        self.settle(call, env);
    }

    /// Nothing becomes of it: the caller is told why nobody has taken it, or this.
    pub(crate) fn give_up(&mut self, call: CallId, refusal: Option<&Refusal>, env: &mut Env<'_, '_>) {
        if let Some(one) = self.calls.get_mut(&call) {
            match refusal {
                Some(refusal) => one.refuse_caller((refusal.status, &refusal.reason), Vec::new(), env),
                None => one.unanswered(env),
            }
        }
        self.settle(call, env);
    }

    /// See [`Alarm::AlsoBridged`].
    pub(crate) fn also_rings(&mut self, call: CallId, which: (u32, u16), env: &mut Env<'_, '_>) {
        if let Some(one) = self.calls.get_mut(&call) {
            one.also_rings(which, env);
        }
        self.settle(call, env);
    }

    /// See [`Alarm::RungOut`].
    pub(crate) fn rung_out(&mut self, call: CallId, round: u32, env: &mut Env<'_, '_>) {
        if let Some(one) = self.calls.get_mut(&call) {
            one.rung_out(round, env);
        }
        self.settle(call, env);
    }

    /// An end of ours takes a call that nobody has taken.
    ///
    /// # Errors
    /// What the caller is told when that cannot be; the call is as it was.
    pub(super) fn take_over(
        &mut self,
        call: CallId,
        asking: &Asking,
        by: (Endpoint, usize),
        env: &mut Env<'_, '_>,
    ) -> Result<(), Refusal> {
        let party = Party { flow: asking.from, behind_nat: is_behind_nat(&asking.request, &asking.from) };
        let taken = match self.calls.get_mut(&call) {
            Some(one) => one.taken_by(&asking.request, party, by, env),
            None => Err(Status::SERVER_INTERNAL_ERROR.into()),
        };
        self.settle(call, env);
        taken
    }
}

/// Who has sent a call on, for those who are called next.
pub(super) fn diversions(request: &Request) -> impl Iterator<Item = (String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    request.values(Name::Diversion).map(move |value| (Name::Diversion.as_str().to_owned(), text(value)))
}
