//! The bridge between two legs: what one side says goes to the other, in dialogs that know nothing of each other.
//!
//! Each leg keeps its own offers, PRACKs, session timers and retransmissions; what passes is the sessions that are
//! offered and answered, requests such as INFO, and the end.

use offhook_sip::{Method, Name, Request, Response, Status};
use offhook_sip_stack::transaction::ServerId;
use offhook_sip_stack::usage::invite::InviteEvent;
use offhook_sip_stack::usage::{Body, UsageId};

use super::Env;
use super::call::{CALLER, Call, NO_MEDIA, With};
use crate::proxy::anchor::{MEDIA_CONTROL, PICTURE_FAST_UPDATE, Role, Snapshot, asks_for_picture};
use crate::proxy::signed_route::PartyName;
use crate::refusal::Refusal;

/// What is on its way from one side to the other.
#[derive(Default)]
pub(super) struct Passing {
    offer: Option<Offering>,
    requests: Vec<Passed>,
}

/// How one who stays when the other goes comes to a session with an end of ours.
pub(super) enum Change {
    /// It is offered one.
    Offers,
    /// It has offered this, and is answered.
    Answers(Body),
    /// It has asked for an offer.
    IsAsked,
}

/// A session that one side offers, until the other has answered.
struct Offering {
    /// The leg that offers it, or asks the other for an offer.
    from: u8,
    /// What it had said before, to come back to if it is refused.
    before: Option<Snapshot>,
    stage: Stage,
    /// As it was offered.
    body: Option<Body>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Offered,
    /// The other side is asked to make the offer.
    Asked,
    /// The side that offers it has taken it back.
    Withdrawn,
}

/// A request that one side sent and the other has not answered.
struct Passed {
    from: u8,
    server: ServerId,
    request: Request,
    to: u8,
    number: u32,
}

impl Passing {
    /// Whether a leg, when the other goes, still answers what that has offered.
    pub(super) fn awaits(&self, leg: UsageId) -> bool {
        let from_other = |offer: &Offering| UsageId(leg.0 & !0xff | u64::from(offer.from)) != leg;
        self.offer.as_ref().is_some_and(|offer| from_other(offer) && offer.stage != Stage::Asked)
    }

    /// How it comes to a session with an end of ours then.
    pub(super) fn change(&self, leg: UsageId) -> Change {
        let is_its = |offer: &Offering| UsageId(leg.0 & !0xff | u64::from(offer.from)) == leg;
        match self.offer.as_ref().filter(|offer| is_its(offer)) {
            Some(Offering { stage: Stage::Offered, body: Some(body), .. }) => Change::Answers(body.clone()),
            Some(Offering { stage: Stage::Asked, .. }) => Change::IsAsked,
            Some(_) | None => Change::Offers,
        }
    }

    /// What was passed on and has not been answered: the leg that it came from, and the request.
    pub(super) fn into_requests(self) -> impl Iterator<Item = (u8, ServerId, Request)> {
        self.requests.into_iter().map(|one| (one.from, one.server, one.request))
    }
}

impl Call {
    /// What a leg of a call between phones says.
    pub(super) fn bridged(&mut self, leg: u8, event: InviteEvent, env: &mut Env<'_, '_>) {
        let branch = usize::from(leg).checked_sub(1);
        match event {
            InviteEvent::Progress { status, body, .. } => {
                if let Some(at) = branch {
                    self.progress(at, status, body.as_ref(), env);
                }
            }
            InviteEvent::Answered { body, offer } => {
                if let Some(at) = branch {
                    self.won(at, body, offer, env);
                }
            }
            InviteEvent::Ended { by, status, reason, response } => {
                if let Some(at) = branch {
                    self.branch_ended(at, by, (status, &reason), response.as_ref(), env);
                }
            }
            InviteEvent::Offer { body } => self.pass_offer(leg, body, env),
            InviteEvent::Settled { body } => self.pass_answer(leg, &body, env),
            InviteEvent::ChangeFailed { status } => self.offer_refused(leg, status, env),
            InviteEvent::OfferWithdrawn => {
                if let Some(offer) = self.offering().filter(|offer| offer.from == leg) {
                    offer.stage = Stage::Withdrawn;
                }
            }
            InviteEvent::Requested { server, request } => self.pass_request(leg, server, request, env),
            InviteEvent::Response { number, status, response, .. } => {
                self.pass_response((leg, number), status, response.as_ref(), env);
            }
            InviteEvent::Confirmed => {}
        }
    }

    /// The leg on the other side, if there is only one.
    fn other(&self, leg: u8) -> Option<u8> {
        let With::Phones(ring) = &self.with else { return None };
        let only = ring.only()? as u8 + 1;
        match leg {
            CALLER => Some(only),
            _ => (leg == only).then_some(CALLER),
        }
    }

    fn passing(&mut self) -> Option<&mut Passing> {
        match &mut self.with {
            With::Phones(ring) => Some(&mut ring.passing),
            With::End(_) => None,
        }
    }

    fn offering(&mut self) -> Option<&mut Offering> {
        self.passing()?.offer.as_mut()
    }

    /// The offer of a callee is on its way in our 2xx to the caller.
    pub(super) fn offer_under_way(&mut self, from: u8) {
        if let Some(passing) = self.passing() {
            passing.offer = Some(Offering { from, before: None, stage: Stage::Offered, body: None });
        }
    }

    /// A description of a leg as the other side shall see it.
    pub(super) fn pass(
        &mut self,
        leg: u8,
        role: Role,
        body: &Body,
        env: &mut Env<'_, '_>,
    ) -> Result<Body, Refusal> {
        if !body.is_sdp() {
            return Err(Status::UNSUPPORTED_MEDIA_TYPE.into());
        }
        let Some(anchor) = self.anchor(leg) else { return Ok(body.clone()) };
        let said = (side(leg), role);
        let passed = env.anchors.pass(anchor, &self.about.call_id, said, &body.bytes, env.config, env.cx)?;
        self.ask_for_pictures(anchor, env);
        Ok(Body::sdp(passed))
    }

    /// Asks phones that know no feedback for a key frame as they know it, because somebody new sees them.
    fn ask_for_pictures(&mut self, anchor: u64, env: &mut Env<'_, '_>) {
        for party in env.anchors.take_unasked(anchor) {
            let callee = self.other(CALLER);
            let leg = if party == PartyName::Caller { Some(CALLER) } else { callee };
            let Some(leg) = leg.and_then(|leg| self.leg_mut(leg)) else { continue };
            let body = Body { content_type: MEDIA_CONTROL.to_owned(), bytes: PICTURE_FAST_UPDATE.into() };
            leg.enter(env, |invite, stack| {
                // One that is about to begin begins with a key frame.
                invite.is_established().then(|| invite.send(Method::Info, &[], Some(&body), stack))
            });
        }
    }

    /// The anchor of two phones, once one has answered.
    pub(super) fn anchor_of_phones(&self) -> Option<u64> {
        self.anchor(CALLER).filter(|_| self.answered.is_some())
    }

    fn anchor(&self, leg: u8) -> Option<u64> {
        let branch = if leg == CALLER { self.other(leg)? } else { leg };
        let With::Phones(ring) = &self.with else { return None };
        ring.branches.get(usize::from(branch).checked_sub(1)?)?.anchor
    }

    /// A leg offers another session, or asks for an offer.
    fn pass_offer(&mut self, leg: u8, body: Option<Body>, env: &mut Env<'_, '_>) {
        let other = self.other(leg);
        let asked = self.offering().is_some_and(|one| one.stage == Stage::Asked && one.from != leg);
        let (Some(other), true) = (other, asked || self.offering().is_none()) else {
            // §14.2: somebody else's turn.
            return self.refuse(leg, Status::REQUEST_PENDING, env);
        };
        let able = self.leg(other).is_some_and(|leg| match &body {
            Some(_) => leg.invite.can_change(),
            None => leg.invite.is_established(),
        });
        if !asked && !able {
            // A phone without UPDATE cannot be told before it answers (RFC 3311 §5.1), and only a re-INVITE asks.
            return self.refuse(leg, Status::REQUEST_PENDING, env);
        }
        let anchor = self.anchor(leg);
        let before = anchor.and_then(|anchor| env.anchors.snapshot(anchor, side(leg)));
        let stage = if body.is_some() { Stage::Offered } else { Stage::Asked };
        let offered = body.clone();
        let passed = match body.map(|body| self.pass(leg, Role::Offer, &body, env)).transpose() {
            Ok(passed) => passed,
            Err(refusal) => {
                self.restore(anchor, before.as_ref(), env);
                return self.refuse(leg, refusal.status, env);
            }
        };
        if let Some(passing) = self.passing() {
            passing.offer = Some(Offering { from: leg, before, stage, body: offered });
        }
        let Some(other) = self.leg_mut(other) else { return };
        other.enter(env, |invite, stack| match passed {
            // It was asked for, in a re-INVITE without an offer.
            Some(body) if asked => invite.answer(body, stack),
            Some(body) => invite.pass_change(body, stack),
            None => invite.ask(stack),
        });
    }

    /// A leg has answered what was offered to it.
    fn pass_answer(&mut self, leg: u8, body: &Body, env: &mut Env<'_, '_>) {
        let Some(offer) = self.passing().and_then(|passing| passing.offer.take_if(|one| one.from != leg))
        else {
            return;
        };
        let passed = self.pass(leg, Role::Answer, body, env);
        let Some(from) = self.leg_mut(offer.from) else { return };
        match passed {
            // Both sides have to agree again: the one that took its offer back says what it has now.
            Ok(_) if offer.stage == Stage::Withdrawn => from.enter(env, |invite, stack| invite.ask(stack)),
            Ok(body) => from.enter(env, |invite, stack| invite.answer(body, stack)),
            Err(refusal) => self.hang_up(NO_MEDIA, (refusal.status, &refusal.reason), env),
        }
    }

    /// A leg refuses what was offered to it, or to make an offer.
    fn offer_refused(&mut self, leg: u8, status: Status, env: &mut Env<'_, '_>) {
        let Some(offer) = self.passing().and_then(|passing| passing.offer.take_if(|one| one.from != leg))
        else {
            return;
        };
        self.restore(self.anchor(leg), offer.before.as_ref(), env);
        self.refuse(offer.from, status, env);
    }

    fn restore(&mut self, anchor: Option<u64>, before: Option<&Snapshot>, env: &mut Env<'_, '_>) {
        if let (Some(anchor), Some(before)) = (anchor, before) {
            env.anchors.restore(anchor, before, env.cx);
        }
    }

    fn refuse(&mut self, leg: u8, status: Status, env: &mut Env<'_, '_>) {
        if let Some(leg) = self.leg_mut(leg) {
            leg.enter(env, |invite, stack| invite.refuse(status, &[], stack));
        }
    }

    /// A request that is not about the session.
    fn pass_request(&mut self, leg: u8, server: ServerId, request: Request, env: &mut Env<'_, '_>) {
        if asks_for_picture(&request)
            && let Some(anchor) = self.anchor(leg)
        {
            env.anchors.ask_for_picture(anchor, side(leg).other(), env.cx);
        }
        let passes = *request.method() == Method::Info;
        let room = self.passing().is_some_and(|passing| passing.requests.len() < MOST_REQUESTS);
        let other = self.other(leg).filter(|_| passes && room);
        let headers = headers(&request, &["Info-Package", "Content-Disposition"]);
        let sent = other.and_then(|other| {
            let body = Body::of(&request);
            let number = self.leg_mut(other)?.enter(env, |invite, stack| {
                invite.is_established().then(|| invite.send(Method::Info, &headers, body.as_ref(), stack))?
            })?;
            Some(Passed { from: leg, server, request: request.clone(), to: other, number })
        });
        match (sent, self.passing()) {
            (Some(sent), Some(passing)) => passing.requests.push(sent),
            _ => self.requested(leg, server, &request, env),
        }
    }

    fn pass_response(
        &mut self,
        (leg, number): (u8, u32),
        status: Status,
        response: Option<&Response>,
        env: &mut Env<'_, '_>,
    ) {
        let Some(passing) = self.passing() else { return };
        let at = passing.requests.iter().position(|one| one.to == leg && one.number == number);
        let Some(Passed { from, server, request, .. }) = at.map(|at| passing.requests.remove(at)) else {
            return;
        };
        let headers =
            response.map(|response| headers(response, &["Accept", "Recv-Info"])).unwrap_or_default();
        // A challenge is for us alone, and nobody here can answer it.
        let is_challenge = matches!(status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED);
        let status = if is_challenge { Status::BAD_GATEWAY } else { status };
        if let Some(leg) = self.leg_mut(from) {
            leg.enter(env, |invite, stack| invite.respond(server, &request, status, &headers, stack));
        }
    }
}

/// The side of an anchor that a leg is.
fn side(leg: u8) -> PartyName {
    if leg == CALLER { PartyName::Caller } else { PartyName::Callee }
}

/// The fields of these names, as name and value.
fn headers(message: &offhook_sip::Headers, names: &[&str]) -> Vec<(String, String)> {
    let value = |name: &&str| {
        let value = match Name::parse(name.as_bytes()) {
            Name::Other => message.raw_other(name),
            known => message.raw(known),
        };
        Some(((*name).to_owned(), String::from_utf8_lossy(value?).into_owned()))
    };
    names.iter().filter_map(value).collect()
}

/// What one side said of the end, for the other (RFC 3326); nothing if it said nothing of its own.
pub(super) fn reason_value(status: Status, reason: &str) -> Option<String> {
    let said = reason != status.reason() && !reason.contains(['"', '\\', '\r', '\n']);
    said.then(|| format!("SIP;cause={};text=\"{reason}\"", status.code()))
}

/// Requests of both sides that await their answers.
const MOST_REQUESTS: usize = 16;
