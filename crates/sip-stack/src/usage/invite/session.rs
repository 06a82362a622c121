//! `Session`: one dialog of a call, with what is under way in it.

use std::sync::Arc;
use std::time::Instant;

use offhook_sip::{Method, Name, Request, Response, ResponseBuilder, Status};

use super::acknowledge::{Acked, Unacked};
use super::event::{Ending, InviteEvent, Party};
use super::modify::Change;
use super::reliable::Reliable;
use crate::Flow;
use crate::dialog::Dialog;
use crate::locate::{Located, locate};
use crate::transaction::{ClientId, ServerId};
use crate::usage::{
    Attempt, Body, Due, Grant, SessionTimer, Settings, Stack, UsageId, UsageTimer, ends_usage,
};

/// A dialog and everything of the call that hangs on it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) usage: UsageId,
    pub(super) settings: Arc<Settings>,
    pub(super) dialog: Dialog,
    pub(super) flow: Flow,
    /// Whether the Call-ID is ours, which decides who waits longer after a glare (§14.1).
    pub(super) we_called: bool,
    /// Whether an offer of ours awaits its answer.
    pub(super) offered: bool,
    /// Where our answer to the peer's offer goes.
    pub(super) owed: Option<Owed>,
    /// Our requests under way.
    pub(super) sent: Vec<Sent>,
    /// Our 2xx to INVITEs whose ACK has not come.
    pub(super) unacked: Vec<Unacked>,
    /// Our last ACKs to a 2xx, for copies of that 2xx: one may come when the next INVITE is answered (RFC 5407 §3.1.4).
    pub(super) acked: Vec<Acked>,
    /// The last RSeq received, or sent if we are the callee (RFC 3262 §3, §4).
    pub(super) rseq_seen: Option<u32>,
    /// The CSeq number of the re-INVITE whose responses it counts; 0 for the first INVITE.
    pub(super) rseq_of: u32,
    /// Our reliable provisional response whose PRACK has not come.
    pub(super) reliable: Option<Reliable>,
    pub(super) timer: Option<SessionTimer>,
    pub(super) timer_deadline: Option<Instant>,
    /// The largest Min-SE that a 422 has named (RFC 4028 §7.3).
    pub(super) minimum_interval: u32,
    pub(super) peer_updates: bool,
    /// The last session description that we sent.
    pub(super) latest: Option<Body>,
    /// The peer's answer so far, for a 2xx that does not repeat it.
    pub(super) answer: Option<Body>,
    pub(super) change: Change,
    /// Why we end it, for the peer to know (RFC 3326).
    pub(super) reason: Option<String>,
    /// The number of the last request of the user.
    requests: u32,
    hangup: Hangup,
}

/// Where an answer of ours goes.
#[derive(Debug)]
pub(super) enum Owed {
    /// Into a response to the first INVITE, which the user accepts as a whole.
    Initial,
    /// Into the 2xx to a re-INVITE, UPDATE or PRACK.
    Response { server: ServerId, request: Request, grant: Option<Grant>, offers: bool },
    /// Into the PRACK for a reliable provisional response.
    Prack { response: Response },
    /// Into the ACK for a 2xx.
    Ack { number: u32 },
}

/// A request of ours under way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) attempt: Attempt,
    pub(super) purpose: Purpose,
}

/// What a request of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A re-INVITE or UPDATE.
    Change {
        offer: bool,
    },
    Prack,
    Bye,
    User {
        number: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hangup {
    No,
    /// BYE waits for the ACK of our first 2xx (§15).
    Wanted,
    Done,
}

impl Session {
    pub(super) fn new(
        usage: UsageId,
        settings: Arc<Settings>,
        dialog: Dialog,
        flow: Flow,
        we_called: bool,
        peer: &offhook_sip::Headers,
    ) -> Self {
        let peer_updates = peer.allow().any(|method| method == "UPDATE");
        Self {
            usage,
            settings,
            dialog,
            flow,
            we_called,
            offered: false,
            owed: None,
            sent: Vec::new(),
            unacked: Vec::new(),
            acked: Vec::new(),
            rseq_seen: None,
            rseq_of: 0,
            reliable: None,
            timer: None,
            timer_deadline: None,
            minimum_interval: 0,
            peer_updates,
            latest: None,
            answer: None,
            change: Change::default(),
            reason: None,
            requests: 0,
            hangup: Hangup::No,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.sent.is_empty() && self.unacked.is_empty()
    }

    /// Requests of the peer show the way back while its connection or its address is another.
    pub(super) fn follow(&mut self, flow: Flow) {
        let is_back = !self.we_called || !flow.transport.is_reliable();
        if is_back && flow.transport == self.flow.transport && flow.remote.ip() == self.flow.remote.ip() {
            self.flow = Flow { local: self.flow.local, ..flow };
        }
    }

    /// The way to the next hop. A name, or the host that we already talk to without another transport being asked
    /// for, is reached the way that the dialog was made.
    pub(super) fn way(&self) -> Flow {
        if self.settings.pinned {
            return self.flow;
        }
        let next = self.dialog.next_hop();
        let asks_transport = next.as_sip().is_some_and(|uri| uri.param("transport").is_some());
        let Ok(Located::Targets(targets)) = locate(&next) else { return self.flow };
        let Some(target) = targets.first() else { return self.flow };
        let same_host = target.remote.ip() == self.flow.remote.ip();
        let same_transport = target.transport == self.flow.transport || !asks_transport;
        // A caller's connection comes from a port that it does not listen on.
        let same_peer = target.remote == self.flow.remote
            || same_host && self.flow.transport.is_reliable() && !self.we_called;
        if same_peer && same_transport {
            return self.flow;
        }
        let transport = if same_transport { self.flow.transport } else { target.transport };
        Flow { transport, local: self.flow.local, remote: target.remote, connection: None }
    }

    /// Sends a request in the dialog.
    pub(super) fn request(
        &mut self,
        method: Method,
        purpose: Purpose,
        stack: &mut Stack<'_, '_>,
        fill: impl FnOnce(offhook_sip::RequestBuilder) -> offhook_sip::RequestBuilder,
    ) -> bool {
        if self.sent.len() >= MAX_SENT {
            return false;
        }
        let flow = self.way();
        let via = stack.via(&flow, &self.settings.sent_by);
        let builder = self.settings.describe_request(self.dialog.request(method, &via));
        let request = fill(builder).finish();
        let attempt = Attempt::send(self.usage, request, &[flow], &self.settings, stack);
        self.sent.extend(attempt.map(|attempt| Sent { attempt, purpose }));
        true
    }

    pub(super) fn send(
        &mut self,
        method: Method,
        headers: &[(String, String)],
        body: Option<&Body>,
        stack: &mut Stack<'_, '_>,
    ) -> Option<u32> {
        self.requests = self.requests.wrapping_add(1);
        let number = self.requests;
        let sent = self.request(method, Purpose::User { number }, stack, |mut builder| {
            for (name, value) in headers {
                builder = builder.header_other(name, value);
            }
            Body::in_request(body, builder)
        });
        sent.then_some(number)
    }

    /// The start of a response in the dialog.
    pub(super) fn reply(&self, request: &Request, status: Status) -> ResponseBuilder {
        Response::to_request(request, status).to_tag(&self.dialog.id().local_tag)
    }

    pub(super) fn refuse_request(
        &self,
        server: ServerId,
        request: &Request,
        status: Status,
        headers: &[(String, String)],
        stack: &mut Stack<'_, '_>,
    ) {
        respond(&self.settings, &self.dialog.id().local_tag, server, request, status, headers, stack);
    }

    /// Sends BYE, as soon as that is allowed.
    pub(super) fn hangup(&mut self, stack: &mut Stack<'_, '_>) {
        if self.hangup == Hangup::Done {
            return;
        }
        self.timer = None;
        self.change = Change::default();
        // §15: the callee waits for the ACK to its 2xx, or for its time to run out.
        if !self.we_called && !self.unacked.is_empty() {
            self.hangup = Hangup::Wanted;
            return;
        }
        self.hangup = Hangup::Done;
        self.unacked.clear();
        self.forsake(stack);
        let reason = self.reason.take();
        self.request(Method::Bye, Purpose::Bye, stack, |builder| match reason {
            Some(reason) => builder.header(Name::Reason, reason),
            None => builder,
        });
    }

    /// Leaves no request of the peer unanswered, and no 2xx unacknowledged, when the session ends.
    fn forsake(&mut self, stack: &mut Stack<'_, '_>) {
        match self.owed.take() {
            Some(Owed::Response { server, request, .. }) => {
                self.refuse_request(server, &request, Status::REQUEST_TERMINATED, &[], stack);
            }
            Some(Owed::Ack { number }) => self.acknowledge(number, None, None, stack),
            Some(Owed::Initial | Owed::Prack { .. }) | None => {}
        }
    }

    /// Takes a response to a request in the dialog.
    pub(super) fn response(
        &mut self,
        client: ClientId,
        response: &Response,
        stack: &mut Stack<'_, '_>,
    ) -> Option<Ending> {
        let Some(at) = self.sent.iter().position(|sent| sent.attempt.client() == client) else {
            if response.status().is_success()
                && let Ok(cseq) = response.cseq()
                && cseq.method == Method::Invite
            {
                self.acknowledge_again(cseq.number, stack);
            }
            return None;
        };
        if response.status().is_provisional() {
            self.provisional_to_change(at, response, stack);
            return None;
        }
        let mut sent = self.sent.remove(at);
        if Attempt::is_challenge(response) {
            let dialog = &mut self.dialog;
            if sent.attempt.challenged(self.usage, response, || dialog.next_sequence(), stack) {
                self.sent.push(sent);
                return None;
            }
        }
        self.settled(sent, response.status(), Some(response), stack)
    }

    /// Takes the final outcome of a request of ours.
    pub(super) fn settled(
        &mut self,
        sent: Sent,
        status: Status,
        response: Option<&Response>,
        stack: &mut Stack<'_, '_>,
    ) -> Option<Ending> {
        match sent.purpose {
            Purpose::Bye | Purpose::Prack => None,
            Purpose::Change { offer } => self.changed(&sent, offer, status, response, stack),
            Purpose::User { number } => {
                let method = sent.attempt.request().method().clone();
                let response = response.cloned();
                // RFC 5057: these say that the peer does not know the dialog any more.
                let over = ends_usage(status) && status != Status::NOT_FOUND;
                let event = InviteEvent::Response { number, method, status, response };
                stack.event(self.usage, event);
                over.then(|| self.lost(status, stack))
            }
        }
    }

    /// Ends the session because the peer no longer has it or cannot be reached (§12.2.1.2).
    pub(super) fn lost(&mut self, status: Status, stack: &mut Stack<'_, '_>) -> Ending {
        if status == Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST {
            self.hangup = Hangup::Done;
            self.unacked.clear();
            self.timer = None;
        } else {
            self.hangup(stack);
        }
        Ending::new(Party::Network, status)
    }

    pub(super) fn timeout(
        &mut self,
        timer: UsageTimer,
        deadline: Instant,
        stack: &mut Stack<'_, '_>,
    ) -> Option<Ending> {
        match timer {
            UsageTimer::Answer => self.answer_again(deadline, stack),
            UsageTimer::Session if self.timer_deadline == Some(deadline) => self.session_due(stack),
            UsageTimer::Glare => {
                self.change.wait_over(deadline);
                None
            }
            UsageTimer::Session
            | UsageTimer::Reliable
            | UsageTimer::Ringing
            | UsageTimer::Register
            | UsageTimer::Subscription => None,
        }
    }

    /// Lets a new or refreshed session timer run.
    pub(super) fn run(&mut self, timer: Option<SessionTimer>, stack: &mut Stack<'_, '_>) {
        self.timer = timer;
        self.timer_deadline = timer.map(|timer| stack.arm(self.usage, UsageTimer::Session, timer.deadline()));
    }

    fn session_due(&mut self, stack: &mut Stack<'_, '_>) -> Option<Ending> {
        let timer = self.timer?;
        match timer.due(stack.cx.now)? {
            Due::Refresh => {
                self.timer_deadline = Some(stack.arm(self.usage, UsageTimer::Session, timer.expiry()));
                self.change.refresh_wanted();
                None
            }
            Due::Expired => {
                self.hangup(stack);
                Some(Ending::new(Party::Network, Status::REQUEST_TIMEOUT))
            }
        }
    }

    /// Whether BYE waits for an ACK.
    pub(super) fn wants_hangup(&self) -> bool {
        self.hangup == Hangup::Wanted
    }

    /// Whether BYE was sent or received.
    pub(super) fn is_ended(&self) -> bool {
        self.hangup != Hangup::No
    }

    /// The peer has sent BYE.
    pub(super) fn ended_by_peer(&mut self, stack: &mut Stack<'_, '_>) {
        self.forsake(stack);
        self.hangup = Hangup::Done;
        self.unacked.clear();
        self.timer = None;
        self.change = Change::default();
    }
}

/// A final response without a body.
pub(super) fn respond(
    settings: &Settings,
    local_tag: &str,
    server: ServerId,
    request: &Request,
    status: Status,
    headers: &[(String, String)],
    stack: &mut Stack<'_, '_>,
) {
    let mut builder =
        Response::to_request(request, status).to_tag(local_tag).header(Name::Server, &settings.agent);
    for (name, value) in headers {
        builder = builder.header_other(name, value);
    }
    stack.respond(server, builder.finish());
}

/// The most requests of ours that may be under way in one dialog.
const MAX_SENT: usize = 16;
