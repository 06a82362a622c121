//! Halves of calls: a call with an end of ours is one half, and two of them are connected by their ends, which then sit in a
//! room of their own. Each party keeps the session that it has, whatever that of the other is: its formats, its
//! protection, its hold. So halves are connected and parted without a word to either.

use offhook_sip::{Request, Status};
use offhook_sip_stack::transaction::ServerId;
use offhook_sip_stack::usage::UsageId;

use super::bridge::Change;
use super::call::{About, CALLER, Call, NO_MEDIA, With};
use super::end::End;
use super::leg::Leg;
use super::verb::Calls;
use super::voice::Point;
use super::{CallId, Env, Table};
use crate::directory::AddressOfRecord;
use crate::event::EndedBy;
use crate::proxy::keys;

impl Calls<'_, '_, '_> {
    /// The parties of two calls that have ends of ours, and have been answered, talk with each other from now on, whatever they
    /// were doing; when one hangs up, both calls end. False if that cannot be.
    pub(crate) fn connect(&mut self, one: CallId, other: CallId) -> bool {
        self.table.connect(one, other, self.env)
    }

    /// Parts two that are connected: each has its end of ours again. Returns the other call.
    pub(crate) fn part(&mut self, call: CallId) -> Option<CallId> {
        self.table.part(call, self.env)
    }

    /// The service takes a call that is given to it, which has an end of ours from then on at the latest; false if that
    /// cannot be.
    pub(crate) fn take(&mut self, call: CallId) -> bool {
        self.table.take_referred(call, self.env);
        let Some(one) = self.table.calls.get_mut(&call).filter(|one| one.is_half()) else { return false };
        let before = one.service.replace(self.service).filter(|before| *before != self.service);
        one.leave_several(self.env);
        self.env.usages.points.extend(before.map(|before| (call, before, Point::Ended)));
        true
    }

    /// The account whose phone the party of a call is.
    pub(crate) fn account(&self, call: CallId) -> Option<AddressOfRecord> {
        self.table.calls.get(&call)?.account().cloned()
    }

    /// The call whose party talks with that of this one.
    pub(crate) fn partner(&self, call: CallId) -> Option<CallId> {
        self.table.calls.get(&call)?.partner
    }
}

impl Table {
    pub(super) fn connect(&mut self, one: CallId, other: CallId, env: &mut Env<'_, '_>) -> bool {
        let can = |id: &CallId| self.calls.get(id).is_some_and(|call| call.is_half());
        if one == other || ![one, other].iter().all(can) {
            return false;
        }
        self.part(one, env);
        self.part(other, env);
        for id in [one, other] {
            // Nobody else needs to answer.
            let dials =
                self.calls.get_mut(&id).map(|call| std::mem::take(&mut call.dials)).unwrap_or_default();
            let others = dials.into_iter().filter(|dial| ![one, other].contains(dial));
            env.usages.let_go.extend(others.map(|dial| (dial, Some(ELSEWHERE.to_owned()))));
        }
        for (id, partner) in [(one, other), (other, one)] {
            if let Some(call) = self.calls.get_mut(&id).filter(|call| call.is_stand_in()) {
                call.leave_several(env);
                return self.give_back(id, (env.cx.shard, partner.0), env);
            }
        }
        let room = OURS | u64::from(env.cx.shard) << 48 | one.0;
        for (id, partner) in [(one, other), (other, one)] {
            if let Some(call) = self.calls.get_mut(&id) {
                call.leave_several(env);
            }
            if let Some(call) = self.calls.get_mut(&id)
                && let With::End(end) = &mut call.with
            {
                call.partner = Some(partner);
                end.meet(room, env);
            }
        }
        self.record_connected([one, other], env);
        true
    }

    pub(super) fn part(&mut self, call: CallId, env: &mut Env<'_, '_>) -> Option<CallId> {
        let partner = self.calls.get(&call)?.partner?;
        for id in [call, partner] {
            if let Some(call) = self.calls.get_mut(&id) {
                call.partner = None;
                if let With::End(end) = &mut call.with {
                    end.part(env);
                }
            }
        }
        Some(partner)
    }

    /// Connects one who has answered with the one for whom it was called.
    pub(super) fn connect_answered(&mut self, (waiting, answered): (CallId, CallId), env: &mut Env<'_, '_>) {
        self.take_referred(waiting, env);
        if self.take_place(waiting, answered, env) || self.connect(waiting, answered, env) {
            return self.transferred(waiting, env);
        }
        env.usages.let_go.push((answered, None));
    }
}

impl Call {
    /// Whether its party has an end of ours and may be connected with another.
    pub(super) fn is_half(&self) -> bool {
        let is_here = self.far.is_none() || self.is_stand_in();
        !self.ended && self.answered.is_some() && is_here && matches!(self.with, With::End(_))
    }

    /// From two legs that talk with each other to one with an end of ours, to which it is invited; returns the other,
    /// which is no longer of the call and has not been told.
    pub(super) fn take_apart(&mut self, goes: u8, env: &mut Env<'_, '_>) -> Option<&mut Leg> {
        let With::Phones(ring) = &mut self.with else { return None };
        let at = ring.winner.filter(|_| self.answered.is_some() && !self.ended)?;
        let stays_first = goes != CALLER;
        let passing = std::mem::take(&mut ring.passing);
        let winner = ring.branches.get_mut(at)?;
        let stays = if stays_first { self.first.as_ref()? } else { &winner.leg };
        let usage = stays.usage;
        let trunk = if stays_first { self.about.trunk } else { winner.counted };
        let end = Box::new(End::after(&self.about.call_id, (stays, trunk), passing.awaits(usage), env));
        let before = winner.anchor.take();
        // What it counts as is what its party came or went by.
        if stays_first {
            winner.release(env.trunks);
            env.active.spending.call_over(self.id, env.cx.epoch.unix(env.cx.now));
        } else if let Some(trunk) = std::mem::replace(&mut self.about.trunk, winner.counted.take()) {
            env.trunks.load.end(trunk);
        }
        let change = passing.change(usage);
        let open = passing.into_requests();
        if let With::Phones(ring) = std::mem::replace(&mut self.with, With::End(end)) {
            for (number, branch) in ring.branches.into_iter().enumerate() {
                if number == at && !stays_first {
                    self.former.extend(self.first.replace(branch.leg));
                } else {
                    self.former.push(branch.leg);
                }
            }
        }
        before.map(|before| env.anchors.close(before, env.cx));
        for (leg, server, request) in open {
            self.respond_for_other(leg, server, &request, env);
        }
        self.come_to_end(change, env);
        let goes = super::usage(self.id, goes);
        self.former.iter_mut().find(|leg| leg.usage == goes)
    }

    /// From two legs that talk with each other to two halves, which hear nobody yet: this one, and another with this number, whose
    /// leg is the one that is returned.
    pub(super) fn split(&mut self, other: CallId, env: &mut Env<'_, '_>) -> Option<(UsageId, Self)> {
        let With::Phones(ring) = &self.with else { return None };
        let at = ring.winner?;
        // What it costs and counts as goes by who is at a trunk, and stays here.
        let goes = if ring.is_trunk(at) { CALLER } else { at as u8 + 1 };
        let before = super::usage(self.id, goes);
        let (stale, change) = (ring.passing.awaits(before), ring.passing.change(before));
        self.take_apart(goes, env)?;
        let at = self.former.iter().position(|leg| leg.usage == before)?;
        let mut leg = self.former.swap_remove(at);
        leg.usage = super::usage(other, goes);
        let end = Box::new(End::after(&self.about.call_id, (&leg, None), stale, env));
        if let Some(anchor) = env.anchors.get_mut(end.anchor, &self.about.call_id) {
            anchor.leg = Some(leg.invite.call_id().to_owned());
        }
        let about = About {
            call_id: self.about.call_id.clone(),
            from: self.about.from.clone(),
            to: self.about.to.clone(),
            started: self.about.started,
            account: None,
            trunk: None,
            is_leg: true,
            is_hidden: goes == CALLER && self.about.is_hidden,
            called: None,
        };
        let mut half = Self::new(other, Some(leg), With::End(end), about);
        (half.service, half.answered) = (self.service, self.answered);
        half.come_to_end(change, env);
        Some((before, half))
    }

    /// Its party comes to a session with the end of ours that it has from now on.
    fn come_to_end(&mut self, change: Change, env: &mut Env<'_, '_>) {
        let With::End(end) = &mut self.with else { return };
        if let Some(anchor) = env.anchors.get_mut(end.anchor, &self.about.call_id) {
            anchor.bridged = Some(self.id);
        }
        let body = match &change {
            Change::Answers(offer) => end.answer(offer, env),
            Change::Offers | Change::IsAsked => end.offer(env),
        };
        env.anchors.answered_by_us(end.anchor, env.cx.now);
        match body {
            Ok(body) => self.enter_first(env, |invite, stack| match change {
                Change::Offers => invite.change(body, stack),
                Change::Answers(_) | Change::IsAsked => invite.answer(body, stack),
            }),
            Err(refusal) => self.hang_up(NO_MEDIA, (refusal.status, &refusal.reason), env),
        }
    }

    /// Answers a request of a leg for the one to which it was passed, and with whom it no longer talks.
    fn respond_for_other(&mut self, leg: u8, server: ServerId, request: &Request, env: &mut Env<'_, '_>) {
        let is_key = keys::pressed(request).is_some();
        let status = if is_key { Status::OK } else { Status::TEMPORARILY_UNAVAILABLE };
        if let Some(leg) = self.leg_mut(leg) {
            leg.enter(env, |invite, stack| invite.respond(server, request, status, &[], stack));
        }
    }

    /// Lets go those with whom its party talks, and who are being called for it.
    pub(super) fn let_go(&mut self, reason: Option<&str>, env: &mut Env<'_, '_>) {
        self.let_far_go(reason, env);
        let others = self.partner.take().into_iter().chain(self.dials.drain(..));
        env.usages.let_go.extend(others.map(|one| (one, reason.map(str::to_owned))));
    }

    /// Ends, without anything to be told to the service that it was called for.
    pub(super) fn hang_up_with(&mut self, reason: Option<&str>, env: &mut Env<'_, '_>) {
        if self.answered.is_none() {
            self.service = None;
        }
        self.let_far_go(reason, env);
        self.finish(Some(EndedBy::Exchange), (Status::OK, "Done"), env);
        for leg in self.legs_mut() {
            leg.enter(env, |invite, stack| invite.hangup_because(reason, stack));
        }
    }
}

/// Rooms that nobody dials.
pub(super) const OURS: u64 = 1 << 63;
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
