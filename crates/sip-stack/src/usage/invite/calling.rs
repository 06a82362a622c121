//! Placing a call: the first INVITE as client (RFC 3261 §13.2), with every fork that answers it.

use std::sync::Arc;

use offhook_sip::{CSeq, Method, Name, NameAddr, RequestBuilder, Response, Status, Uri};

use super::event::{Ending, InviteEvent, Party};
use super::reliable::reliable_number;
use super::session::{Owed, Session};
use super::{Invite, Phase};
use crate::Flow;
use crate::dialog::{Dialog, DialogId, first_hop};
use crate::transaction::ClientId;
use crate::usage::{Attempt, Body, SessionTimer, Settings, Stack, UsageId};

/// What a call needs to be placed.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The Call-ID; left out, one is made.
    pub call_id: Option<String>,
    /// Max-Forwards: what is left to a call that came from elsewhere (RFC 7332).
    pub max_forwards: u8,
    /// The Request-URI, as long as no strict router takes its place.
    pub target: Uri,
    /// From, without a tag.
    pub from: NameAddr,
    /// To, without a tag.
    pub to: NameAddr,
    /// Routes known beforehand: an outbound proxy, a Service-Route.
    pub routes: Vec<NameAddr>,
    /// More header fields, as name and value.
    pub headers: Vec<(String, String)>,
    /// The offer; without one the callee makes it.
    pub body: Option<Body>,
    /// The ways to the first hop, best first.
    pub flows: Vec<Flow>,
}

/// The state before any final response.
#[derive(Debug, Default)]
pub(super) struct Calling {
    /// The early dialogs, oldest first.
    pub(super) forks: Vec<Session>,
}

/// Our INVITE.
#[derive(Debug)]
pub(super) struct Initial {
    pub(super) attempt: Attempt,
    body: Option<Body>,
    /// The early dialogs of a call that was given up, or was answered in another: a 2xx may be of one, that has crossed our CANCEL or
    /// somebody else's 2xx.
    forsaken: Vec<Session>,
}

impl Initial {
    /// These are not the call's any more.
    pub(super) fn forsake(&mut self, forks: Vec<Session>) {
        self.forsaken = forks;
        // Nobody waits for what becomes of a PRACK any more.
        self.forsaken.iter_mut().for_each(|session| session.sent.clear());
    }
}

impl Invite {
    /// Sends an INVITE. `None` if there is no flow to send it on.
    pub fn call(
        id: UsageId,
        outgoing: Outgoing,
        settings: Arc<Settings>,
        stack: &mut Stack<'_, '_>,
    ) -> Option<Self> {
        let flow = *outgoing.flows.first()?;
        let call_id = outgoing.call_id.unwrap_or_else(|| stack.cx.call_id());
        let tag = stack.cx.tag();
        let via = stack.via(&flow, &settings.sent_by);
        let hop = first_hop(&outgoing.target, &outgoing.routes);
        let mut builder = RequestBuilder::new(Method::Invite, &hop.request_uri).header(Name::Via, via);
        for route in &hop.routes {
            builder = builder.header(Name::Route, route);
        }
        let cseq = CSeq { number: 1, method: Method::Invite };
        builder = settings.describe_request(
            builder
                .header(Name::MaxForwards, outgoing.max_forwards)
                .header(Name::From, outgoing.from.with_tag(&tag))
                .header(Name::To, &outgoing.to)
                .header(Name::CallId, &call_id)
                .header(Name::CSeq, cseq),
        );
        if let Some(expires) = settings.session_timers.offer(None, 0) {
            builder = builder.header(Name::SessionExpires, expires);
            builder = builder.header(Name::MinSe, settings.session_timers.minimum);
        }
        for (name, value) in &outgoing.headers {
            builder = builder.header_other(name, value);
        }
        let request = Body::in_request(outgoing.body.as_ref(), builder).finish();
        let attempt = Attempt::send(id, request, &outgoing.flows, &settings, stack)?;
        Some(Self {
            id,
            settings,
            call_id: call_id.into(),
            local_tag: tag.into(),
            phase: Phase::Calling(Calling::default()),
            initial: Some(Initial { attempt, body: outgoing.body, forsaken: Vec::new() }),
            losers: Vec::new(),
        })
    }

    pub(super) fn initial_response(&mut self, response: Response, stack: &mut Stack<'_, '_>) {
        let status = response.status();
        if status.is_success() {
            self.initial_success(&response, stack);
        } else if status.is_provisional() {
            self.initial_progress(&response, stack);
        } else if matches!(self.phase, Phase::Calling(_)) && !self.try_again(&response, stack) {
            self.end(Ending::of_response(response), stack);
        }
    }

    /// Sends the INVITE again where the response asks for something that we can give.
    fn try_again(&mut self, response: &Response, stack: &mut Stack<'_, '_>) -> bool {
        let Some(initial) = &mut self.initial else { return false };
        let request = initial.attempt.request();
        let number = request.cseq().map(|cseq| cseq.number.saturating_add(1)).unwrap_or(1);
        if Attempt::is_challenge(response) {
            return initial.attempt.challenged(self.id, response, || number, stack);
        }
        match (response.status(), response.min_se().ok().flatten()) {
            (Status::SESSION_INTERVAL_TOO_SMALL, Some(minimum)) => {
                let Some(expires) = self.settings.session_timers.offer(None, minimum) else { return false };
                let request =
                    request.edit().set(Name::SessionExpires, expires).set(Name::MinSe, minimum).finish();
                initial.attempt.again(self.id, request, number, stack)
            }
            (Status::SERVICE_UNAVAILABLE, _) => initial.attempt.elsewhere(self.id, stack),
            _ => false,
        }
    }

    fn initial_progress(&mut self, response: &Response, stack: &mut Stack<'_, '_>) {
        if response.status() == Status::TRYING {
            return;
        }
        let Phase::Calling(calling) = &mut self.phase else { return };
        let Some(initial) = &self.initial else { return };
        let tag = response.to_tag().unwrap_or_default().to_owned();
        let known = calling.forks.iter().position(|session| session.dialog.id().remote_tag == tag.as_str());
        let at = match known {
            Some(at) => Some(at),
            None if calling.forks.len() < MAX_FORKS => {
                let session = fork(self.id, &self.settings, initial, response);
                session.map(|session| {
                    calling.forks.push(session);
                    calling.forks.len() - 1
                })
            }
            None => None,
        };
        let session = at.and_then(|at| calling.forks.get_mut(at));
        let body = match session {
            Some(session) => match session.progress(response, stack) {
                Some(body) => body,
                None => return,
            },
            // Without a dialog of its own it is but news.
            None => None,
        };
        let reason = String::from_utf8_lossy(response.reason()).into_owned();
        let event = InviteEvent::Progress { status: response.status(), reason, body, tag: tag.into() };
        stack.event(self.id, event);
    }

    fn initial_success(&mut self, response: &Response, stack: &mut Stack<'_, '_>) {
        let Some(id) = DialogId::of_response(response) else { return };
        let number = response.cseq().map(|cseq| cseq.number).unwrap_or_default();
        if let Some(session) = self.dialog_of(&id) {
            return session.acknowledge_again(number, stack);
        }
        let Some(initial) = &mut self.initial else { return };
        let early = match &mut self.phase {
            Phase::Calling(calling) => &mut calling.forks,
            Phase::Answering(_) | Phase::Established(_) | Phase::Ended(_) => &mut initial.forsaken,
        };
        let at = early.iter().position(|session| *session.dialog.id() == id);
        let session = at.map(|at| early.swap_remove(at));
        let session = session.or_else(|| fork(self.id, &self.settings, initial, response));
        let Some(mut session) = session else { return };
        session.dialog.update(response);
        let request = initial.attempt.request().clone();
        if let Phase::Calling(calling) = &mut self.phase {
            initial.forsake(std::mem::take(&mut calling.forks));
        } else {
            // The 2xx crossed our CANCEL (RFC 5407 §3.1.2), or is from a fork that lost (§13.2.2.4).
            session.acknowledge(number, Some(&request), None, stack);
            session.hangup(stack);
            if self.losers.len() < MAX_FORKS {
                self.losers.push(session);
            }
            return;
        }
        self.win(session, number, &request, response, stack);
    }

    /// This dialog is the call.
    fn win(
        &mut self,
        mut session: Session,
        number: u32,
        request: &offhook_sip::Request,
        response: &Response,
        stack: &mut Stack<'_, '_>,
    ) {
        let body = Body::of(response);
        let asked = session.latest.is_none();
        let granted = SessionTimer::granted(response.session_expires().ok().flatten(), stack.cx.now);
        session.run(granted, stack);
        if asked && body.is_some() && session.answer.is_none() {
            session.owed = Some(Owed::Ack { number });
            self.phase = Phase::Established(Box::new(session));
            return stack.event(self.id, InviteEvent::Answered { body, offer: true });
        }
        session.acknowledge(number, Some(request), None, stack);
        let unanswered = session.offered && body.is_none() && session.answer.is_none();
        session.offered = false;
        let answer = body.or_else(|| session.answer.take());
        self.phase = Phase::Established(Box::new(session));
        if unanswered {
            // §13.2.1: the 2xx had to have the answer. There is no session to speak of.
            if let Phase::Established(session) = &mut self.phase {
                session.hangup(stack);
            }
            return self.end(Ending::new(Party::Network, Status::NOT_ACCEPTABLE_HERE), stack);
        }
        stack.event(self.id, InviteEvent::Answered { body: answer, offer: false });
        self.go_on(stack);
    }

    /// A client transaction is over without a final response.
    pub(super) fn unanswered(&mut self, client: ClientId, status: Status, stack: &mut Stack<'_, '_>) {
        let ours = self.initial.as_ref().is_some_and(|initial| initial.attempt.client() == client);
        if !ours {
            return self.each_session(stack, |session, stack| {
                let at = session.sent.iter().position(|sent| sent.attempt.client() == client)?;
                let sent = session.sent.remove(at);
                session.settled(sent, status, None, stack)
            });
        }
        let calling = matches!(self.phase, Phase::Calling(_));
        if calling
            && let Some(initial) = &mut self.initial
            && initial.attempt.elsewhere(self.id, stack)
        {
            return;
        }
        self.initial = None;
        if calling {
            self.end(Ending::new(Party::Network, status), stack);
        }
    }

    fn dialog_of(&self, id: &DialogId) -> Option<&Session> {
        let used = match &self.phase {
            Phase::Established(session) | Phase::Ended(Some(session)) => Some(session.as_ref()),
            Phase::Calling(_) | Phase::Answering(_) | Phase::Ended(None) => None,
        };
        used.into_iter().chain(&self.losers).find(|session| session.dialog.id() == id)
    }
}

impl Session {
    /// Takes a provisional response to the first INVITE. `None` if it is to be ignored, else what it says of the
    /// session.
    fn progress(&mut self, response: &Response, stack: &mut Stack<'_, '_>) -> Option<Option<Body>> {
        if !self.is_in_order(response) {
            return None;
        }
        self.dialog.update(response);
        let body = Body::of(response);
        let reliable = reliable_number(response).is_some();
        if reliable && body.is_some() && self.latest.is_none() {
            // It is the offer that we asked for; the PRACK takes the answer (RFC 3262 §5).
            self.owed = Some(Owed::Prack { response: response.clone() });
            stack.event(self.usage, InviteEvent::Offer { body });
            return Some(None);
        }
        if reliable {
            self.acknowledge_provisional(response, None, stack);
            self.offered &= body.is_none();
        }
        if body.is_some() {
            self.answer.clone_from(&body);
        }
        Some(body)
    }
}

fn fork(id: UsageId, settings: &Arc<Settings>, initial: &Initial, response: &Response) -> Option<Session> {
    let dialog = Dialog::uac(initial.attempt.request(), response)?;
    let flow = initial.attempt.flow()?;
    let mut session = Session::new(id, Arc::clone(settings), dialog, flow, true, response);
    session.offered = initial.body.is_some();
    session.latest.clone_from(&initial.body);
    Some(session)
}

/// The most dialogs that one INVITE of ours may make.
const MAX_FORKS: usize = 16;
