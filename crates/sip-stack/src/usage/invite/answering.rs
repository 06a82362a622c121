//! Answering a call: the first INVITE as server (RFC 3261 §13.3).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_sip::{Name, Request, Status};

use super::event::{Ending, Party};
use super::modify::grant_headers;
use super::session::{Owed, Session, respond};
use super::{Invite, Phase};
use crate::Flow;
use crate::dialog::Dialog;
use crate::transaction::ServerId;
use crate::usage::{Ask, Body, Settings, Stack, UsageId, UsageTimer};

/// The state before our final response.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) server: ServerId,
    pub(super) session: Session,
    request: Request,
    /// Whether the INVITE has an offer.
    offer: bool,
    reliably: bool,
    /// Provisional responses that wait for the PRACK of the one before.
    queue: VecDeque<(Status, Option<Body>)>,
    /// The user has accepted; the 2xx waits for a PRACK (RFC 3262 §3).
    accepted: Option<Body>,
    last: Option<Status>,
    repeat: Option<Instant>,
}

impl Invite {
    /// Takes a new INVITE, without a To tag, that the user may be asked about. Where it cannot make a call it is
    /// answered here, and there is no usage.
    pub fn incoming(
        id: UsageId,
        server: ServerId,
        request: Request,
        flow: Flow,
        settings: Arc<Settings>,
        stack: &mut Stack<'_, '_>,
    ) -> Option<Self> {
        let tag = stack.cx.tag();
        if let Err(minimum) = settings.session_timers.answer(Ask::of(&request), stack.cx.now) {
            let minimum = [(Name::MinSe.as_str().to_owned(), minimum.to_string())];
            let status = Status::SESSION_INTERVAL_TOO_SMALL;
            respond(&settings, &tag, server, &request, status, &minimum, stack);
            return None;
        }
        let dialog = match Dialog::uas(&request, &tag) {
            Ok(dialog) => dialog,
            Err(status) => {
                respond(&settings, &tag, server, &request, status, &[], stack);
                return None;
            }
        };
        stack.claims.server(server, id);
        let required = request.require().any(|option| option.eq_ignore_ascii_case("100rel"));
        let reliably = required || settings.reliable_provisional && request.supports("100rel");
        let call_id = dialog.id().call_id.clone();
        let mut session = Session::new(id, Arc::clone(&settings), dialog, flow, false, &request);
        let offer = Body::of(&request).is_some();
        session.owed = offer.then_some(Owed::Initial);
        let answering = Answering {
            server,
            session,
            request,
            offer,
            reliably,
            queue: VecDeque::new(),
            accepted: None,
            last: None,
            repeat: None,
        };
        let phase = Phase::Answering(Box::new(answering));
        Some(Self { id, settings, call_id, local_tag: tag.into(), phase, initial: None, losers: Vec::new() })
    }

    /// Sends a provisional response, 101 to 199, reliably if both sides can; a body is the answer or offer of the
    /// call, heard before it is answered.
    pub fn provisional(&mut self, status: Status, body: Option<Body>, stack: &mut Stack<'_, '_>) {
        if let Phase::Answering(answering) = &mut self.phase {
            answering.provisional(status, body, stack);
        }
    }

    /// Answers the call with 200. The body answers the offer, or is one if the caller made none.
    pub fn accept(&mut self, body: Body, stack: &mut Stack<'_, '_>) {
        let Phase::Answering(answering) = &mut self.phase else { return };
        answering.accepted = Some(body);
        self.go_on(stack);
    }

    /// Refuses the call.
    pub fn reject(&mut self, status: Status, stack: &mut Stack<'_, '_>) {
        self.reject_with(status, status.reason(), &[], stack);
    }

    /// Refuses the call in these words and with more header fields, as name and value: Retry-After, Warning, Contact.
    pub fn reject_with(
        &mut self,
        status: Status,
        reason: &str,
        headers: &[(String, String)],
        stack: &mut Stack<'_, '_>,
    ) {
        let Phase::Answering(answering) = &mut self.phase else { return };
        let agent = &self.settings.agent;
        let builder = answering.session.reply(&answering.request, status).reason(reason);
        let builder = headers
            .iter()
            .fold(builder.header(Name::Server, agent), |one, (name, value)| one.header_other(name, value));
        stack.respond(answering.server, builder.finish());
        self.end(Ending::new(Party::Us, status), stack);
    }
}

impl Answering {
    fn provisional(&mut self, status: Status, body: Option<Body>, stack: &mut Stack<'_, '_>) {
        let reliably = self.reliably && status != Status::TRYING;
        if reliably && self.session.reliable.is_some() {
            if self.queue.len() < MAX_QUEUE {
                self.queue.push_back((status, body));
            }
            return;
        }
        self.last = Some(status);
        self.repeat = Some(stack.arm(self.session.usage, UsageTimer::Ringing, stack.cx.now + REPEAT));
        if !reliably {
            let builder = self.session.reply(&self.request, status).copy_record_route(&self.request);
            let builder = self.session.settings.describe_response(builder);
            let response = Body::in_response(body.as_ref(), builder).finish();
            return stack.respond(self.server, response);
        }
        self.session.provide(self.server, &self.request, status, body.as_ref(), stack);
        if let Some(body) = body {
            self.session.owed = None;
            self.session.offered = !self.offer;
            self.session.latest = Some(body);
        }
    }

    /// Sends what waits for nothing any more; true if that was the 2xx.
    pub(super) fn go_on(&mut self, stack: &mut Stack<'_, '_>) -> bool {
        if self.accepted.is_some() {
            // RFC 3262 §3: a description that was sent reliably must have arrived before the 2xx goes.
            if self.session.is_describing() {
                return false;
            }
            if let Some(body) = self.accepted.take() {
                self.accept(body, stack);
                return true;
            }
        }
        if self.session.reliable.is_none()
            && let Some((status, body)) = self.queue.pop_front()
        {
            self.provisional(status, body, stack);
        }
        false
    }

    fn accept(&mut self, body: Body, stack: &mut Stack<'_, '_>) {
        let session = &mut self.session;
        // It was checked when the INVITE came that this is no error.
        let granted = session.settings.session_timers.answer(Ask::of(&self.request), stack.cx.now);
        let (grant, timer) = granted.ok().flatten().unzip();
        session.run(timer, stack);
        let builder = session.reply(&self.request, Status::OK).copy_record_route(&self.request);
        let builder = session.settings.describe_response(builder);
        let builder = grant_headers(builder.header(Name::Supported, session.settings.supported()), grant);
        // What a reliable provisional response has said is not said again (RFC 3261 §13.2.1).
        let said = session.latest.is_some();
        let response = Body::in_response((!said).then_some(&body), builder).finish();
        if !said {
            session.owed = None;
            session.offered = !self.offer;
            session.latest = Some(body);
        }
        session.dialog.confirm();
        session.answer_invite(self.server, &self.request, response, stack);
    }

    /// Refuses the INVITE because the call ended while it was not answered.
    pub(super) fn finish(&mut self, status: Status, stack: &mut Stack<'_, '_>) {
        self.session.refuse_request(self.server, &self.request, status, &[], stack);
    }

    pub(super) fn timeout(
        &mut self,
        timer: UsageTimer,
        deadline: Instant,
        stack: &mut Stack<'_, '_>,
    ) -> Option<Ending> {
        match timer {
            UsageTimer::Reliable => {
                let ending = self.session.provide_again(deadline, stack)?;
                self.finish(ending.status, stack);
                Some(ending)
            }
            // §13.3.1.1: a proxy forgets an INVITE that it hears nothing of.
            UsageTimer::Ringing if self.repeat == Some(deadline) => {
                if self.session.reliable.is_none()
                    && let Some(last) = self.last
                {
                    self.provisional(last, None, stack);
                }
                None
            }
            UsageTimer::Ringing | UsageTimer::Register | UsageTimer::Subscription => None,
            UsageTimer::Answer | UsageTimer::Session | UsageTimer::Glare => {
                let ending = self.session.timeout(timer, deadline, stack)?;
                self.finish(ending.status, stack);
                Some(ending)
            }
        }
    }
}

/// How often a provisional response is sent at least.
const REPEAT: Duration = Duration::from_secs(60);

/// The most provisional responses that wait for a PRACK.
const MAX_QUEUE: usize = 8;
