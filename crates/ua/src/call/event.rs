//! What the invite usage tells, and what the phone makes of it.

use std::net::IpAddr;
use std::time::Duration;

use offhook_sip::{Method, Name, Request, Response, Status, Uri};
use offhook_sip_stack::transaction::ServerId;
use offhook_sip_stack::usage::Body;
use offhook_sip_stack::usage::invite::{InviteEvent, Party};

use super::{Call, Changing, Unacceptable};
use crate::env::Env;
use crate::{CallId, Event, Side};

/// What an event of one call means for others.
#[derive(Debug)]
pub(crate) enum Followup {
    /// The peer wants us to call this target.
    Place { target: Uri, by: Option<String> },
    /// The call that was placed for the peer of another call has got this far.
    Report { to: CallId, status: Status },
}

impl Call {
    pub(crate) fn event(&mut self, event: InviteEvent, env: &mut Env<'_, '_>) -> Option<Followup> {
        match event {
            InviteEvent::Progress { status, reason, body, .. } => {
                return self.progress(status, reason, body.as_ref(), env);
            }
            InviteEvent::Answered { body, offer } => return self.established(body, offer, env),
            InviteEvent::Confirmed | InviteEvent::OfferWithdrawn => {}
            InviteEvent::Offer { body } => self.offered(body.as_ref(), env),
            InviteEvent::Settled { body } => self.settled(&body, env),
            InviteEvent::ChangeFailed { status } => self.change_failed(status, env),
            InviteEvent::Requested { server, request } => return self.requested(server, &request, env),
            InviteEvent::Response { method, status, .. } => {
                if method == Method::Refer {
                    let last = !status.is_success();
                    env.event(Event::Transfer { call: self.id, code: status.code(), last });
                }
            }
            InviteEvent::Ended { by, status, reason, response } => {
                return self.over(by, status, reason, response.as_ref(), env);
            }
        }
        None
    }

    /// Reports to the peer how the call goes that it asked for, as the body of a NOTIFY (RFC 3515 §2.4.5).
    pub(crate) fn report(&mut self, status: Status, env: &mut Env<'_, '_>) {
        let state = if status.is_final() { "terminated;reason=noresource" } else { "active;expires=180" };
        let headers =
            [("Event".to_owned(), "refer".to_owned()), ("Subscription-State".to_owned(), state.to_owned())];
        let body = Body {
            content_type: SIPFRAG.to_owned(),
            bytes: format!("SIP/2.0 {} {}\r\n", status, status.reason()).into(),
        };
        if !self.ended {
            self.send(Method::Notify, &headers, Some(&body), env);
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        Some(self.invite.as_ref()?.flow()?.remote.ip())
    }

    fn followup(&self, status: Status) -> Option<Followup> {
        self.referrer.map(|to| Followup::Report { to, status })
    }

    fn progress(
        &mut self,
        status: Status,
        reason: String,
        body: Option<&Body>,
        env: &mut Env<'_, '_>,
    ) -> Option<Followup> {
        let mut early_media = false;
        if let (Some(body), Some(peer)) = (body.filter(|body| body.is_sdp()), self.peer()) {
            // One that cannot be understood is the 2xx's problem.
            early_media = self.sound.answered(body, false, peer, env.now()).is_ok();
        }
        env.event(Event::Progress { call: self.id, code: status.code(), reason, early_media });
        self.followup(status)
    }

    fn established(&mut self, body: Option<Body>, offer: bool, env: &mut Env<'_, '_>) -> Option<Followup> {
        self.ring_end = None;
        let fits = match (&body, self.peer()) {
            (Some(body), Some(peer)) if !offer => self.sound.answered(body, true, peer, env.now()),
            _ => Err(Unacceptable::Malformed),
        };
        if let Err(failure) = fits {
            self.failure = Some(failure);
            self.hangup(env);
            return None;
        }
        self.answered = true;
        env.event(Event::Answered { call: self.id, codec: self.sound.codec() });
        if std::mem::take(&mut self.moved_early) {
            self.move_sound(env);
        }
        self.followup(Status::OK)
    }

    /// The peer offers another session.
    fn offered(&mut self, body: Option<&Body>, env: &mut Env<'_, '_>) {
        let (now, peer) = (env.now(), self.peer());
        let before = self.holds();
        let answer = match (body, peer) {
            (Some(body), Some(peer)) if body.is_sdp() => self.sound.answer(body, peer, now, env.stack.cx.rng),
            (Some(_), _) => Err(Unacceptable::Malformed),
            (None, _) => Ok(self.sound.offer()),
        };
        let Some(invite) = &mut self.invite else { return };
        match answer {
            Ok(answer) => invite.answer(answer, &mut env.stack),
            Err(reason) => {
                let warning: Vec<_> =
                    reason.warning().map(|text| ("Warning".to_owned(), text)).into_iter().collect();
                invite.refuse(Status::NOT_ACCEPTABLE_HERE, &warning, &mut env.stack);
            }
        }
        // What we were going to offer was made for the session before this.
        if self.changing != Changing::No && body.is_some() {
            self.change(env);
        }
        self.tell_holds(before, env);
    }

    fn settled(&mut self, body: &Body, env: &mut Env<'_, '_>) {
        let Some(peer) = self.peer() else { return };
        let before = self.holds();
        if let Err(failure) = self.sound.answered(body, true, peer, env.now()) {
            self.failure = Some(failure);
            return self.hangup(env);
        }
        match std::mem::replace(&mut self.changing, Changing::No) {
            Changing::Yes => self.tell_holds((!self.sound.held_by_us, before.1), env),
            Changing::Outdated => self.change(env),
            Changing::No => self.tell_holds(before, env),
        }
    }

    fn change_failed(&mut self, status: Status, env: &mut Env<'_, '_>) {
        self.sound.abandon();
        match std::mem::replace(&mut self.changing, Changing::No) {
            Changing::Yes => self.sound.held_by_us = !self.sound.held_by_us,
            // Twice changed is as it was.
            Changing::Outdated | Changing::No => {}
        }
        env.event(Event::ModifyFailed { call: self.id, code: status.code() });
    }

    fn holds(&self) -> (bool, bool) {
        (self.sound.held_by_us, self.sound.held_by_peer)
    }

    fn tell_holds(&self, before: (bool, bool), env: &mut Env<'_, '_>) {
        let (by_us, by_peer) = self.holds();
        if (by_us, by_peer) != before {
            env.event(Event::Held { call: self.id, by_us, by_peer });
        }
    }

    /// A request in the dialog that is not about the session.
    fn requested(&mut self, server: ServerId, request: &Request, env: &mut Env<'_, '_>) -> Option<Followup> {
        let mut headers = Vec::new();
        let mut followup = None;
        let status = match request.method() {
            Method::Info => self.info(request, env),
            Method::Message => crate::server::message(request, env),
            Method::Options => {
                headers = crate::server::options_headers(env);
                Status::OK
            }
            Method::Notify => self.notified(request, env),
            Method::Refer if env.config.accept_transfers => match refer_target(request) {
                Some(target) => {
                    let by = request.raw(Name::ReferredBy).map(|by| String::from_utf8_lossy(by).into_owned());
                    followup = Some(Followup::Place { target, by });
                    Status::ACCEPTED
                }
                None => Status::BAD_REQUEST,
            },
            Method::Refer => Status::DECLINE,
            Method::Subscribe => Status::BAD_EVENT,
            Method::Other(_) => Status::NOT_IMPLEMENTED,
            _ => Status::METHOD_NOT_ALLOWED,
        };
        match status {
            Status::METHOD_NOT_ALLOWED | Status::NOT_IMPLEMENTED => {
                headers.push((Name::Allow.as_str().to_owned(), crate::server::allow(env.config)));
            }
            Status::UNSUPPORTED_MEDIA_TYPE => {
                let accept = if *request.method() == Method::Info { DTMF_RELAY } else { "text/plain" };
                headers.push((Name::Accept.as_str().to_owned(), accept.to_owned()));
            }
            _ => {}
        }
        if let Some(invite) = &mut self.invite {
            invite.respond(server, request, status, &headers, &mut env.stack);
        }
        followup
    }

    /// A key by INFO, as older systems send it.
    fn info(&self, request: &Request, env: &mut Env<'_, '_>) -> Status {
        let Some(body) = Body::of(request) else { return Status::OK };
        let essence = body.content_type.split(';').next().unwrap_or_default().trim();
        let text = String::from_utf8_lossy(&body.bytes);
        let key = if essence.eq_ignore_ascii_case(DTMF_RELAY) {
            let field = |name: &str| {
                text.lines().find_map(|line| {
                    let (key, value) = line.split_once('=')?;
                    key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
                })
            };
            let duration = field("Duration").and_then(|value| value.parse().ok()).unwrap_or(KEY_MS);
            field("Signal").map(|signal| (signal, duration))
        } else if essence.eq_ignore_ascii_case("application/dtmf") {
            Some((text.trim().to_owned(), KEY_MS))
        } else {
            return Status::UNSUPPORTED_MEDIA_TYPE;
        };
        let digit =
            key.as_ref().and_then(|(signal, _)| signal.chars().next()).map(|key| key.to_ascii_uppercase());
        match (digit, key) {
            (Some(digit @ ('0'..='9' | '*' | '#' | 'A'..='D')), Some((_, milliseconds))) => {
                let duration = Duration::from_millis(u64::from(milliseconds));
                env.event(Event::Digit { call: self.id, digit, duration });
                Status::OK
            }
            _ => Status::BAD_REQUEST,
        }
    }

    /// News of a transfer that we asked for.
    fn notified(&self, request: &Request, env: &mut Env<'_, '_>) -> Status {
        let event = request.event().ok().flatten();
        if event.is_none_or(|event| !event.package.eq_ignore_ascii_case("refer")) {
            return Status::BAD_EVENT;
        }
        let state = request.subscription_state().ok().flatten();
        let last = state.is_some_and(|state| state.state == offhook_sip::Substate::Terminated);
        let text = String::from_utf8_lossy(request.body());
        let code = text.split_whitespace().nth(1).and_then(|code| code.parse().ok());
        if let Some(code) = code.filter(|_| text.starts_with("SIP/2.0 ")) {
            env.event(Event::Transfer { call: self.id, code, last });
        }
        Status::OK
    }

    fn over(
        &mut self,
        by: Party,
        status: Status,
        reason: String,
        response: Option<&Response>,
        env: &mut Env<'_, '_>,
    ) -> Option<Followup> {
        if let Some(response) = response.filter(|_| status.is_redirection() && !self.answered)
            && self.redirected(response, env)
        {
            return None;
        }
        if response.is_some() && is_refused_offer(status) && !self.answered && self.offered_otherwise(env) {
            return None;
        }
        let side = match by {
            Party::Us => Side::Us,
            Party::Peer => Side::Peer,
            Party::Network => Side::Network,
        };
        let (status, reason) = match self.failure.take() {
            Some(failure) => (Status::NOT_ACCEPTABLE_HERE, failure.reason().to_owned()),
            None => (status, reason),
        };
        let followup = if self.answered { None } else { self.followup(status) };
        self.finish(side, status, reason, env);
        followup
    }

    /// Places the call again, encrypted if it was not and the other way round; false if there is no other way.
    fn offered_otherwise(&mut self, env: &mut Env<'_, '_>) -> bool {
        if self.placing.is_none() || !self.sound.try_another() {
            return false;
        }
        self.place_again(env);
        true
    }

    /// Places the call anew, from where we are now.
    fn place_again(&mut self, env: &mut Env<'_, '_>) {
        self.invite = None;
        if std::mem::take(&mut self.moved_early) {
            self.move_sound(env);
        }
        self.seek(env);
    }

    /// Follows a redirection (RFC 3261 §8.1.3.4); false if there is nowhere to go.
    fn redirected(&mut self, response: &Response, env: &mut Env<'_, '_>) -> bool {
        let Ok(contacts) = response.contacts() else { return false };
        let target = contacts.list().iter().map(|contact| contact.uri()).find(|uri| uri.as_sip().is_some());
        let (Some(target), Some(placing)) = (target, &mut self.placing) else { return false };
        if placing.redirects >= MAX_REDIRECTS || placing.target == *target {
            return false;
        }
        placing.redirects += 1;
        placing.target = target.detach();
        self.place_again(env);
        true
    }
}

/// Whether a refusal is one of the session that was offered: some say so with 415, and who asked several phones with 606.
fn is_refused_offer(status: Status) -> bool {
    matches!(
        status,
        Status::NOT_ACCEPTABLE_HERE | Status::UNSUPPORTED_MEDIA_TYPE | Status::NOT_ACCEPTABLE_ANYWHERE
    )
}

/// Whom a REFER wants called: only a plain call to a sip address.
fn refer_target(request: &Request) -> Option<Uri> {
    let target = request.refer_to().ok().flatten()?.uri;
    let uri = target.as_sip()?;
    if uri.param("method").is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
        return None;
    }
    Some(Uri::Sip(uri.clone().without_headers().without_param("method").detach()))
}

const DTMF_RELAY: &str = "application/dtmf-relay";
const SIPFRAG: &str = "message/sipfrag;version=2.0";

/// How long a key was held when INFO does not say.
const KEY_MS: u32 = 160;

/// How often one call is redirected.
const MAX_REDIRECTS: u8 = 5;
