//! `Call`: one call of the phone, placed or received.

mod event;
mod moved;
mod paths;
mod protection;
mod sound;

use std::time::{Duration, Instant};

use offhook_media::session;
use offhook_sip::{Method, NameAddr, Request, Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::dialog::MAX_FORWARDS;
use offhook_sip_stack::transaction::{ServerId, TransactionEvent};
use offhook_sip_stack::usage::invite::{Invite, Outgoing};
use offhook_sip_stack::usage::{Body, UsageId, UsageTimer};

pub(crate) use self::event::Followup;
pub(crate) use self::sound::{Sound, Unacceptable};
use crate::env::{Env, Way};
use crate::{
    CallId, CallOptions, Component, DropReason, Event, MediaReport, MediaTransmit, QuestionId, Side,
};

/// One call, from its first message until nothing of it is left.
#[derive(Debug)]
pub(crate) struct Call {
    id: CallId,
    sound: Sound,
    /// What placed it; none for a call that came in.
    placing: Option<Placing>,
    /// The question that its INVITE waits for.
    pub(crate) question: Option<QuestionId>,
    pub(crate) invite: Option<Invite>,
    /// The offer of an INVITE that came in, until it is answered.
    offer: Option<Body>,
    /// What waits until our addresses are known.
    waiting: Option<Waiting>,
    answered: bool,
    ended: bool,
    ring_end: Option<Instant>,
    /// Whether our addresses have changed since the INVITE that is not answered yet.
    moved_early: bool,
    changing: Changing,
    /// Why we end it, when that is not the user's wish.
    failure: Option<Unacceptable>,
    /// The call whose peer asked for this one (RFC 3515).
    referrer: Option<CallId>,
}

#[derive(Debug)]
struct Placing {
    target: Uri,
    headers: Vec<(String, String)>,
    ring_timeout: Option<Duration>,
    redirects: u8,
}

/// What a description of ours is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Call,
    Answer,
    /// The peer has to learn where we are now.
    Move,
}

/// Whether a hold or resume of ours is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changing {
    No,
    Yes,
    /// And the user has changed his mind since.
    Outdated,
}

impl Call {
    /// Places a call. `None` if that failed at once; the user is told.
    pub(crate) fn place(
        id: CallId,
        target: Uri,
        options: CallOptions,
        referrer: Option<CallId>,
        env: &mut Env<'_, '_>,
    ) -> Option<Self> {
        let now = env.now();
        let sound = env.ports.lend(id).and_then(|port| Sound::new(port, env.config, now, env.stack.cx.rng));
        let Some(sound) = sound else {
            refused(id, Status::TEMPORARILY_UNAVAILABLE, "No media port is free", env);
            return None;
        };
        let CallOptions { headers, ring_timeout } = options;
        let mut call = Self::new(id, sound);
        call.placing = Some(Placing { target, headers, ring_timeout, redirects: 0 });
        call.referrer = referrer;
        call.seek(env).then_some(call)
    }

    /// Takes an INVITE that came in. Without a usage it has been answered already.
    pub(crate) fn receive_invite(
        id: CallId,
        server: ServerId,
        request: Request,
        flow: Flow,
        env: &mut Env<'_, '_>,
    ) -> Option<Self> {
        let now = env.now();
        let settings = env.settings(&flow)?;
        let (from, to) = (request.from().ok()?, request.to().ok()?);
        let port = env.ports.lend(id)?;
        let sound = Sound::new(port, env.config, now, env.stack.cx.rng)?;
        let offer = Body::of(&request);
        let invite = Invite::incoming(UsageId(id.0), server, request, flow, settings, &mut env.stack);
        let Some(invite) = invite else {
            env.ports.take_back(id);
            return None;
        };
        let name = String::from_utf8_lossy(&from.display_name()).into_owned();
        env.event(Event::Incoming {
            call: id,
            call_id: invite.call_id().to_owned(),
            from: from.uri.detach(),
            display_name: (!name.is_empty()).then_some(name),
            to: to.uri.detach(),
        });
        let mut call = Self::new(id, sound);
        call.invite = Some(invite);
        call.offer = offer;
        Some(call)
    }

    fn new(id: CallId, sound: Sound) -> Self {
        Self {
            id,
            sound,
            placing: None,
            question: None,
            invite: None,
            offer: None,
            waiting: None,
            answered: false,
            ended: false,
            ring_end: None,
            moved_early: false,
            changing: Changing::No,
            failure: None,
            referrer: None,
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether nothing is left to be done or waited for.
    pub(crate) fn is_over(&self) -> bool {
        self.ended && self.invite.as_ref().is_none_or(Invite::is_over)
    }

    pub(crate) fn owns(&self, call_id: &str, local_tag: &str) -> bool {
        self.invite.as_ref().is_some_and(|invite| invite.owns(call_id, local_tag))
    }

    /// Whether it came in by this INVITE, which has reached us on another way before (RFC 3261 §8.2.2.2).
    pub(crate) fn is_merged_with(&self, request: &Request) -> bool {
        let Some(invite) = self.invite.as_ref().filter(|_| self.placing.is_none()) else { return false };
        let remote_tag = invite.remote().and_then(NameAddr::tag);
        request.call_id().is_ok_and(|call_id| call_id == invite.call_id()) && remote_tag == request.from_tag()
    }

    /// Finds the way for the INVITE; false if there is none, and the call is over.
    fn seek(&mut self, env: &mut Env<'_, '_>) -> bool {
        let Some(placing) = &self.placing else { return false };
        if !self.sound.is_gathered() {
            self.waiting = Some(Waiting::Call);
            return true;
        }
        let routes = env.routes();
        match env.way(&placing.target, &routes) {
            Ok(Way::Flows(flows)) => self.start(flows, env),
            Ok(Way::Asked(question)) => {
                self.question = Some(question);
                true
            }
            Err(status) => {
                self.finish(Side::Network, status, status.reason().to_owned(), env);
                false
            }
        }
    }

    /// Sends the INVITE on the first of these flows.
    pub(crate) fn start(&mut self, flows: Vec<Flow>, env: &mut Env<'_, '_>) -> bool {
        self.question = None;
        let Some(placing) = &self.placing else { return false };
        let settings = flows.first().and_then(|flow| env.settings(flow));
        let secret = flows.first().is_some_and(|flow| flow.transport.is_secure());
        self.sound.begin(true, secret, env.stack.cx.rng);
        let mut headers = env.config.headers.clone();
        headers.extend_from_slice(&placing.headers);
        let outgoing = Outgoing {
            call_id: None,
            max_forwards: MAX_FORWARDS,
            target: placing.target.clone(),
            from: env.identity(),
            to: NameAddr::new(to_address(&placing.target)),
            routes: env.routes(),
            headers,
            body: Some(self.sound.offer()),
            flows,
        };
        let invite = settings
            .and_then(|settings| Invite::call(UsageId(self.id.0), outgoing, settings, &mut env.stack));
        let Some(invite) = invite else {
            let status = Status::SERVICE_UNAVAILABLE;
            self.finish(Side::Network, status, "No address".to_owned(), env);
            return false;
        };
        self.ring_end = placing.ring_timeout.map(|timeout| env.now() + timeout);
        env.event(Event::Calling { call: self.id, call_id: invite.call_id().to_owned() });
        self.invite = Some(invite);
        true
    }

    pub(crate) fn receive(&mut self, event: TransactionEvent, env: &mut Env<'_, '_>) {
        if let Some(invite) = &mut self.invite {
            invite.receive(event, &mut env.stack);
        }
    }

    pub(crate) fn timeout(&mut self, timer: UsageTimer, deadline: Instant, env: &mut Env<'_, '_>) {
        if let Some(invite) = &mut self.invite {
            invite.timeout(timer, deadline, &mut env.stack);
        }
    }

    pub(crate) fn ring(&mut self, env: &mut Env<'_, '_>) {
        if let Some(invite) = &mut self.invite {
            invite.provisional(Status::RINGING, None, &mut env.stack);
        }
    }

    pub(crate) fn answer(&mut self, env: &mut Env<'_, '_>) {
        let now = env.now();
        let Some(invite) = &mut self.invite else { return };
        if self.placing.is_some() || self.answered {
            return env.event(Event::Dropped(DropReason::WrongState));
        }
        if !self.sound.is_gathered() {
            self.waiting = Some(Waiting::Answer);
            return;
        }
        let body = match (&self.offer, invite.flow()) {
            (Some(offer), Some(flow)) => self.sound.answer(offer, flow.remote.ip(), now, env.stack.cx.rng),
            (Some(_) | None, flow) => {
                let secret = flow.is_some_and(|flow| flow.transport.is_secure());
                self.sound.begin(false, secret, env.stack.cx.rng);
                Ok(self.sound.offer())
            }
        };
        match body {
            Ok(body) => {
                invite.accept(body, &mut env.stack);
                self.answered = true;
                env.event(Event::Answered { call: self.id, codec: self.sound.codec() });
            }
            // It was checked when the INVITE came.
            Err(_) => invite.reject(Status::NOT_ACCEPTABLE_HERE, &mut env.stack),
        }
    }

    pub(crate) fn reject(&mut self, code: u16, env: &mut Env<'_, '_>) {
        let status = Status::new(code).filter(|status| status.code() >= 300).unwrap_or(Status::DECLINE);
        if let Some(invite) = &mut self.invite {
            invite.reject(status, &mut env.stack);
        }
    }

    pub(crate) fn hangup(&mut self, env: &mut Env<'_, '_>) {
        match &mut self.invite {
            Some(invite) => invite.hangup(&mut env.stack),
            None => {
                self.question = None;
                let status = Status::REQUEST_TERMINATED;
                self.finish(Side::Us, status, status.reason().to_owned(), env);
            }
        }
    }

    /// Puts the peer on hold, or takes it off again.
    pub(crate) fn hold(&mut self, held: bool, env: &mut Env<'_, '_>) {
        if !self.answered || self.sound.held_by_us == held {
            return env.event(Event::Dropped(DropReason::WrongState));
        }
        self.sound.held_by_us = held;
        if self.changing == Changing::No {
            self.change(env);
        } else {
            self.changing = Changing::Outdated;
        }
    }

    fn change(&mut self, env: &mut Env<'_, '_>) {
        let Some(invite) = &mut self.invite else { return };
        self.changing = Changing::Yes;
        invite.change(self.sound.offer(), &mut env.stack);
    }

    pub(crate) fn dtmf(&mut self, digits: &str) {
        self.sound.dial(digits);
        self.sound.dial_end();
    }

    /// Asks the peer to call someone else (RFC 3515).
    pub(crate) fn transfer(&mut self, target: &Uri, env: &mut Env<'_, '_>) {
        let headers = [
            ("Refer-To".to_owned(), NameAddr::new(target.clone()).to_string()),
            ("Referred-By".to_owned(), NameAddr::new(env.config.identity.clone()).to_string()),
        ];
        self.send(Method::Refer, &headers, None, env);
    }

    pub(crate) fn send(
        &mut self,
        method: Method,
        headers: &[(String, String)],
        body: Option<&Body>,
        env: &mut Env<'_, '_>,
    ) {
        let sent = self.invite.as_mut().is_some_and(|invite| {
            invite.is_established() && invite.send(method, headers, body, &mut env.stack).is_some()
        });
        if !sent {
            env.event(Event::Dropped(DropReason::WrongState));
        }
    }

    pub(crate) fn receive_media(
        &mut self,
        component: Component,
        from: std::net::SocketAddr,
        bytes: &[u8],
        env: &mut Env<'_, '_>,
    ) {
        let mut out = session::Outbox::default();
        if !self.sound.receive(component, from, bytes, env.now(), &mut out) {
            env.event(Event::Dropped(DropReason::StrayMedia));
        }
        self.flush(out, env);
        self.go_on(env);
    }

    /// Does what has waited for our addresses, once they are known.
    fn go_on(&mut self, env: &mut Env<'_, '_>) {
        if self.ended || !self.sound.is_gathered() {
            return;
        }
        match self.waiting.take() {
            Some(Waiting::Call) => {
                self.seek(env);
            }
            Some(Waiting::Answer) => self.answer(env),
            Some(Waiting::Move) => self.tell_moved(env),
            None => {}
        }
    }

    pub(crate) fn audio(&mut self, microphone: &[i16], loudspeaker: &mut [i16], env: &mut Env<'_, '_>) {
        let mut out = session::Outbox::default();
        let digits_sent = self.sound.frame(microphone, loudspeaker, env.now(), &mut out);
        self.flush(out, env);
        if digits_sent {
            env.event(Event::DigitsSent { call: self.id });
        }
    }

    pub(crate) fn sample_rate(&self) -> u32 {
        self.sound.sample_rate()
    }

    pub(crate) fn media_report(&self) -> Option<MediaReport> {
        self.sound.statistics()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        [self.ring_end, self.sound.next_deadline()].into_iter().flatten().min()
    }

    /// Does what is due in the call itself.
    pub(crate) fn deadline(&mut self, env: &mut Env<'_, '_>) {
        let now = env.now();
        if self.ring_end.is_some_and(|end| end <= now) {
            self.ring_end = None;
            if !self.answered {
                self.hangup(env);
            }
        }
        let mut out = session::Outbox::default();
        self.sound.deadline(now, &mut out);
        self.flush(out, env);
        self.go_on(env);
    }

    /// Passes on what the media session wants.
    fn flush(&mut self, out: session::Outbox, env: &mut Env<'_, '_>) {
        for packet in out.packets {
            env.media.push(MediaTransmit {
                call: self.id,
                port: self.sound.port,
                component: packet.from,
                to: packet.to,
                bytes: packet.bytes.into(),
            });
        }
        for event in out.events {
            match event {
                session::Event::Digit { digit, duration } => {
                    env.event(Event::Digit { call: self.id, digit, duration });
                }
                // While others may answer, one that cannot be heard is no reason to give up.
                session::Event::Insecure { reason } if self.answered && self.failure.is_none() => {
                    self.failure = Some(Unacceptable::Insecure(reason));
                    self.hangup(env);
                }
                session::Event::Insecure { .. }
                | session::Event::Secured
                | session::Event::Latched { .. }
                | session::Event::DigitStarted { .. }
                | session::Event::Left => {}
            }
        }
    }

    /// The end of the call for the user.
    fn finish(&mut self, by: Side, status: Status, reason: String, env: &mut Env<'_, '_>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let mut out = session::Outbox::default();
        let media = self.sound.end(env.now(), &mut out);
        self.flush(out, env);
        env.ports.take_back(self.id);
        env.event(Event::Ended { call: self.id, by, code: status.code(), reason, media });
    }
}

/// A call that never began.
fn refused(call: CallId, status: Status, reason: &str, env: &mut Env<'_, '_>) {
    env.ports.take_back(call);
    let reason = reason.to_owned();
    env.event(Event::Ended { call, by: Side::Us, code: status.code(), reason, media: None });
}

/// The target as an address: what only matters for getting there does not belong into To (RFC 3261 §8.1.1.2).
pub(crate) fn to_address(target: &Uri) -> Uri {
    match target {
        Uri::Sip(uri) => Uri::Sip(uri.clone().without_headers().without_param("transport")),
        Uri::Tel(_) | Uri::Other(_) => target.clone(),
    }
}
