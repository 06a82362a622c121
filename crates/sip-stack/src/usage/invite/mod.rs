//! The invite usage (RFC 3261 §13–§15): one call seen from one end, with every dialog that it makes.

mod acknowledge;
mod answering;
mod calling;
mod event;
mod modify;
mod reliable;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use offhook_sip::{Method, NameAddr, Request, Status, Text};

pub use calling::Outgoing;
pub use event::{InviteEvent, Party};

use self::answering::Answering;
use self::calling::{Calling, Initial};
use self::event::Ending;
use self::session::Session;
use super::{Body, Settings, Stack, UsageId, UsageTimer};
use crate::Flow;
use crate::dialog::{Dialog, DialogId};
use crate::transaction::{ServerId, TransactionEvent};

/// One call of ours. What it has to say goes to [`Stack::events`].
#[derive(Debug)]
pub struct Invite {
    id: UsageId,
    settings: Arc<Settings>,
    call_id: Text,
    local_tag: Text,
    phase: Phase,
    /// The INVITE that we sent, as long as a response to it may come.
    initial: Option<Initial>,
    /// Dialogs of forks that lost: acknowledged, being ended.
    losers: Vec<Session>,
}

#[derive(Debug)]
enum Phase {
    /// We have sent an INVITE; no final response yet.
    Calling(Calling),
    /// We have received an INVITE; not yet answered.
    Answering(Box<Answering>),
    /// A 2xx was sent or received.
    Established(Box<Session>),
    /// Over for the user. The session still waits for the answer to its BYE, or for an ACK before it.
    Ended(Option<Box<Session>>),
}

impl Invite {
    /// Whether dialogs with this Call-ID and tag of ours are of this call.
    pub fn owns(&self, call_id: &str, local_tag: &str) -> bool {
        self.call_id == call_id && self.local_tag == local_tag
    }

    /// What our messages say about us.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Our tag, in every dialog of the call.
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// The way to the peer, or to the first proxy.
    pub fn flow(&self) -> Option<Flow> {
        let session = match &self.phase {
            Phase::Answering(answering) => Some(&answering.session),
            Phase::Established(session) | Phase::Ended(Some(session)) => Some(session.as_ref()),
            Phase::Calling(_) | Phase::Ended(None) => None,
        };
        session.map(|session| session.flow).or_else(|| self.initial.as_ref()?.attempt.flow())
    }

    /// Whether a 2xx was sent or received and nobody has hung up.
    pub fn is_established(&self) -> bool {
        matches!(self.phase, Phase::Established(_))
    }

    /// Whether nothing is left to be done or waited for, so that the usage can be forgotten.
    pub fn is_over(&self) -> bool {
        let session_done = match &self.phase {
            Phase::Ended(None) => true,
            Phase::Ended(Some(session)) => session.is_done(),
            Phase::Calling(_) | Phase::Answering(_) | Phase::Established(_) => false,
        };
        session_done && self.initial.is_none() && self.losers.iter().all(Session::is_done)
    }

    /// The dialog that is used now: of an established call, or of one being answered.
    pub fn dialog(&self) -> Option<&Dialog> {
        match &self.phase {
            Phase::Answering(answering) => Some(&answering.session.dialog),
            Phase::Established(session) | Phase::Ended(Some(session)) => Some(&session.dialog),
            Phase::Calling(calling) => calling.forks.last().map(|session| &session.dialog),
            Phase::Ended(None) => None,
        }
    }

    /// The peer's address as From or To has it.
    pub fn remote(&self) -> Option<&NameAddr> {
        self.dialog().map(Dialog::remote)
    }

    /// The last session description that we have sent to the peer.
    pub fn described(&self) -> Option<&Body> {
        match &self.phase {
            Phase::Established(session) => session.latest.as_ref(),
            Phase::Answering(answering) => answering.session.latest.as_ref(),
            Phase::Calling(_) | Phase::Ended(_) => None,
        }
    }

    /// Takes an event of a transaction, or a request in a dialog, of this call.
    pub fn receive(&mut self, event: TransactionEvent, stack: &mut Stack<'_, '_>) {
        match event {
            TransactionEvent::Request { server, request, flow } => self.request(server, request, flow, stack),
            TransactionEvent::Cancel { server, invite, request, .. } => {
                self.cancelled(server, invite, &request, stack);
            }
            TransactionEvent::Ack { request, .. } => self.acknowledged(&request, stack),
            TransactionEvent::Response { client, response, .. } => {
                if self.initial.as_ref().is_some_and(|initial| initial.attempt.client() == client) {
                    self.initial_response(response, stack);
                } else {
                    self.each_session(stack, |session, stack| session.response(client, &response, stack));
                }
            }
            TransactionEvent::Timeout { client } => self.unanswered(client, Status::REQUEST_TIMEOUT, stack),
            TransactionEvent::TransportFailed { client } => {
                self.unanswered(client, Status::SERVICE_UNAVAILABLE, stack);
            }
            TransactionEvent::ClientEnded { client } => {
                self.initial.take_if(|initial| initial.attempt.client() == client);
            }
            TransactionEvent::NoAck { .. }
            | TransactionEvent::ServerEnded { .. }
            | TransactionEvent::Stray { .. } => {}
        }
    }

    /// Takes a due deadline of [`Stack::timers`].
    pub fn timeout(&mut self, timer: UsageTimer, deadline: Instant, stack: &mut Stack<'_, '_>) {
        if let Phase::Answering(answering) = &mut self.phase {
            if let Some(ending) = answering.timeout(timer, deadline, stack) {
                self.end(ending, stack);
            }
            return;
        }
        self.each_session(stack, |session, stack| session.timeout(timer, deadline, stack));
    }

    /// Ends the call, whatever its state: CANCEL, a refusal, or BYE. The user is told at once.
    pub fn hangup(&mut self, stack: &mut Stack<'_, '_>) {
        self.hangup_because(None, stack);
    }

    /// The same with the value of a Reason header (RFC 3326) for the peer, who may tell its user. A refusal has none.
    pub fn hangup_because(&mut self, reason: Option<&str>, stack: &mut Stack<'_, '_>) {
        match &mut self.phase {
            Phase::Calling(_) => {
                if let Some(initial) = &self.initial {
                    stack.cancel(initial.attempt.client(), reason);
                }
                self.end(Ending::new(Party::Us, Status::REQUEST_TERMINATED), stack);
            }
            Phase::Answering(_) => self.reject(Status::DECLINE, stack),
            Phase::Established(session) => {
                session.reason = reason.map(str::to_owned);
                session.hangup(stack);
                self.end(Ending::new(Party::Us, Status::OK), stack);
            }
            Phase::Ended(_) => {}
        }
    }

    /// Answers the peer's [`InviteEvent::Offer`], or offers where it asked for one.
    pub fn answer(&mut self, body: Body, stack: &mut Stack<'_, '_>) {
        if let Some(session) = self.owing() {
            session.answer(body, stack);
        }
        self.go_on(stack);
    }

    /// Refuses the peer's [`InviteEvent::Offer`], which leaves the session as it was, with more header fields, as name and
    /// value. An offer that came in a 2xx cannot be refused: the call ends.
    pub fn refuse(&mut self, status: Status, headers: &[(String, String)], stack: &mut Stack<'_, '_>) {
        let ending = self.owing().and_then(|session| session.refuse(status, headers, stack));
        if let Some(ending) = ending {
            self.end(ending, stack);
        }
        self.go_on(stack);
    }

    /// Offers another session description (§14), by re-INVITE, or by UPDATE before the call is answered. Waits for
    /// its turn if an offer is under way; of several that wait the last counts.
    pub fn change(&mut self, body: Body, stack: &mut Stack<'_, '_>) {
        if let Some(session) = self.current() {
            session.change(body, true, stack);
        }
    }

    /// The same on behalf of somebody who will try again himself: an offer that meets one of the peer (491) has failed.
    pub fn pass_change(&mut self, body: Body, stack: &mut Stack<'_, '_>) {
        if let Some(session) = self.current() {
            session.change(body, false, stack);
        }
    }

    /// Asks the peer for an offer by a re-INVITE without one (§14.1); its outcome is an [`InviteEvent::Offer`], or an
    /// [`InviteEvent::ChangeFailed`]. Otherwise as [`Invite::pass_change`].
    pub fn ask(&mut self, stack: &mut Stack<'_, '_>) {
        if let Phase::Established(session) = &mut self.phase {
            session.ask(stack);
        }
    }

    /// Whether [`Invite::change`] can be carried out at all before the call is answered, or is answered.
    pub fn can_change(&self) -> bool {
        match &self.phase {
            Phase::Calling(calling) => calling.forks.last().is_some_and(|session| session.peer_updates),
            Phase::Answering(answering) => answering.session.peer_updates,
            Phase::Established(_) => true,
            Phase::Ended(_) => false,
        }
    }

    /// Our address is another: what is sent from now on says what `settings` say, and goes by the way that `way` makes of the
    /// former one. The peer learns of it by [`Invite::change`]; an INVITE that is not answered yet is sent again from there.
    pub fn moved(
        &mut self,
        settings: &Arc<Settings>,
        way: impl Fn(&Flow) -> Option<Flow>,
        stack: &mut Stack<'_, '_>,
    ) {
        if let Some(initial) = self.initial.as_mut() {
            initial.attempt.moved(settings, &way, stack);
        }
        self.turn(settings, way);
    }

    /// The peer is reached by another way, on which our messages say what `settings` say. What it has not answered goes there.
    pub fn peer_moved(&mut self, settings: &Arc<Settings>, flow: Flow, stack: &mut Stack<'_, '_>) {
        if let Some(initial) = &mut self.initial {
            initial.attempt.reroute(flow, stack);
        }
        self.turn(settings, |_| Some(flow));
        let session = match &mut self.phase {
            Phase::Established(session) | Phase::Ended(Some(session)) => Some(session),
            Phase::Calling(_) | Phase::Answering(_) | Phase::Ended(None) => None,
        };
        for sent in session.into_iter().flat_map(|session| &mut session.sent) {
            sent.attempt.reroute(flow, stack);
        }
    }

    fn turn(&mut self, settings: &Arc<Settings>, way: impl Fn(&Flow) -> Option<Flow>) {
        self.settings = Arc::clone(settings);
        let current = match &mut self.phase {
            Phase::Calling(calling) => calling.forks.iter_mut().collect(),
            Phase::Answering(answering) => vec![&mut answering.session],
            Phase::Established(session) | Phase::Ended(Some(session)) => vec![session.as_mut()],
            Phase::Ended(None) => Vec::new(),
        };
        for session in current.into_iter().chain(&mut self.losers) {
            session.settings = Arc::clone(settings);
            session.flow = way(&session.flow).unwrap_or(session.flow);
        }
    }

    /// Sends a request in the dialog: INFO, REFER, MESSAGE, NOTIFY. Its outcome is an
    /// [`InviteEvent::Response`] with the same number. None if there is no dialog, or too much under way in it.
    pub fn send(
        &mut self,
        method: Method,
        headers: &[(String, String)],
        body: Option<&Body>,
        stack: &mut Stack<'_, '_>,
    ) -> Option<u32> {
        self.current()?.send(method, headers, body, stack)
    }

    /// Answers an [`InviteEvent::Requested`].
    pub fn respond(
        &mut self,
        server: ServerId,
        request: &Request,
        status: Status,
        headers: &[(String, String)],
        stack: &mut Stack<'_, '_>,
    ) {
        session::respond(&self.settings, &self.local_tag, server, request, status, headers, stack);
    }

    fn current(&mut self) -> Option<&mut Session> {
        match &mut self.phase {
            Phase::Calling(calling) => calling.forks.last_mut(),
            Phase::Answering(answering) => Some(&mut answering.session),
            Phase::Established(session) => Some(session),
            Phase::Ended(_) => None,
        }
    }

    fn owing(&mut self) -> Option<&mut Session> {
        match &mut self.phase {
            Phase::Calling(calling) => calling.forks.iter_mut().find(|session| session.owed.is_some()),
            Phase::Answering(answering) => Some(&mut answering.session),
            Phase::Established(session) => Some(session),
            Phase::Ended(_) => None,
        }
    }

    fn request(&mut self, server: ServerId, request: Request, flow: Flow, stack: &mut Stack<'_, '_>) {
        let remote_tag = request.from_tag().unwrap_or_default();
        let session = match &mut self.phase {
            Phase::Calling(calling) => {
                calling.forks.iter_mut().find(|session| session.dialog.id().remote_tag == remote_tag)
            }
            Phase::Answering(answering) => Some(&mut answering.session),
            Phase::Established(session) | Phase::Ended(Some(session)) => Some(session.as_mut()),
            Phase::Ended(None) => None,
        };
        let session = match session.filter(|session| session.dialog.id().remote_tag == remote_tag) {
            Some(session) => Some(session),
            None => self.losers.iter_mut().find(|session| session.dialog.id().remote_tag == remote_tag),
        };
        let Some(session) = session else {
            let gone = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
            return session::respond(&self.settings, &self.local_tag, server, &request, gone, &[], stack);
        };
        stack.claims.server(server, self.id);
        session.follow(flow);
        let ending = session.receive(server, request, stack);
        let tag = session.dialog.id().remote_tag.clone();
        match (ending, &mut self.phase) {
            (None, _) => self.go_on(stack),
            // A callee may not end an early dialog so (§15); if one does, that fork is lost to us.
            (Some(_), Phase::Calling(calling)) => {
                calling.forks.retain(|session| session.dialog.id().remote_tag != tag);
            }
            (Some(ending), Phase::Answering(answering)) => {
                answering.finish(Status::REQUEST_TERMINATED, stack);
                self.end(ending, stack);
            }
            (Some(ending), Phase::Established(_)) => self.end(ending, stack),
            (Some(_), Phase::Ended(_)) => {}
        }
    }

    fn cancelled(
        &mut self,
        server: ServerId,
        invite: ServerId,
        request: &Request,
        stack: &mut Stack<'_, '_>,
    ) {
        session::respond(&self.settings, &self.local_tag, server, request, Status::OK, &[], stack);
        match &mut self.phase {
            Phase::Answering(answering) if answering.server == invite => {
                answering.finish(Status::REQUEST_TERMINATED, stack);
                let ending = Ending::new(Party::Peer, Status::REQUEST_TERMINATED).because(request);
                self.end(ending, stack);
            }
            // Otherwise the CANCEL came too late: the 2xx has crossed it and a BYE will follow (RFC 5407 §3.1.2).
            Phase::Established(session) => session.withdrawn(invite, stack),
            Phase::Answering(_) | Phase::Calling(_) | Phase::Ended(_) => {}
        }
    }

    fn acknowledged(&mut self, ack: &Request, stack: &mut Stack<'_, '_>) {
        let Some(id) = DialogId::of_request(ack) else { return };
        if let Phase::Established(session) | Phase::Ended(Some(session)) = &mut self.phase
            && *session.dialog.id() == id
        {
            session.acknowledged(ack, stack);
        }
    }

    /// Does something to every session; an ending of the one in use ends the call.
    fn each_session(
        &mut self,
        stack: &mut Stack<'_, '_>,
        mut step: impl FnMut(&mut Session, &mut Stack<'_, '_>) -> Option<Ending>,
    ) {
        for session in &mut self.losers {
            step(session, stack);
        }
        self.losers.retain(|session| !session.is_done());
        let ending = match &mut self.phase {
            Phase::Calling(calling) => {
                calling.forks.retain_mut(|session| step(session, stack).is_none());
                None
            }
            Phase::Answering(answering) => step(&mut answering.session, stack),
            Phase::Established(session) => step(session, stack),
            Phase::Ended(Some(session)) => {
                step(session, stack);
                None
            }
            Phase::Ended(None) => None,
        };
        match (ending, &mut self.phase) {
            (None, _) => self.go_on(stack),
            (Some(ending), Phase::Answering(answering)) => {
                answering.finish(ending.status, stack);
                self.end(ending, stack);
            }
            (Some(ending), _) => self.end(ending, stack),
        }
    }

    /// Does what could not be done before the last event.
    fn go_on(&mut self, stack: &mut Stack<'_, '_>) {
        if let Phase::Answering(answering) = &mut self.phase
            && answering.go_on(stack)
        {
            self.establish();
        }
        if let Some(session) = self.current() {
            session.go_on(stack);
        }
    }

    /// From answering to established: our 2xx is sent.
    fn establish(&mut self) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Ended(None)) {
            Phase::Answering(answering) => Phase::Established(Box::new(answering.session)),
            other => other,
        };
    }

    fn end(&mut self, ending: Ending, stack: &mut Stack<'_, '_>) {
        let session = match std::mem::replace(&mut self.phase, Phase::Ended(None)) {
            Phase::Established(session) | Phase::Ended(Some(session)) => Some(session),
            Phase::Calling(calling) => {
                if let Some(initial) = &mut self.initial {
                    initial.forsake(calling.forks);
                }
                None
            }
            Phase::Answering(_) | Phase::Ended(None) => None,
        };
        if let Some(session) = &session {
            session.withdraw_offers(stack);
        }
        self.phase = Phase::Ended(session);
        stack.event(self.id, ending.into_event());
    }
}
