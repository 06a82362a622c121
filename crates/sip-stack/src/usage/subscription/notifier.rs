//! The side that is subscribed to (RFC 6665 §4.2): answers SUBSCRIBE, sends NOTIFY, ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_sip::{Method, Name, Request, Response, Status};

use super::super::{Body, Settings, Stack, UsageId, UsageTimer};
use crate::Flow;
use crate::dialog::Dialog;
use crate::transaction::{ClientId, ServerId, TransactionEvent};

/// One subscription, as its notifier keeps it.
///
/// There is one NOTIFY under way at a time: what changes meanwhile is told by one more after its answer. So a peer is
/// told no faster than it answers, and one that does not answer costs a single transaction.
#[derive(Debug)]
pub struct Notifier {
    id: UsageId,
    settings: Arc<Settings>,
    dialog: Dialog,
    flow: Flow,
    /// The Event of the SUBSCRIBE, which every NOTIFY repeats (§8.2.1).
    event: String,
    ends: Instant,
    /// The deadline that wakes it, which is not after `ends`.
    armed: Option<Instant>,
    state: State,
    under_way: Option<ClientId>,
    /// Whether the peer has not been told of the present state.
    stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Active,
    /// The next NOTIFY is the last.
    Ending(Ended),
    Over,
}

/// Why a subscription ends (RFC 6665 §4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its time is over, or the peer has ended it.
    Timeout,
    /// It should be asked for again at once.
    Deactivated,
    /// It is no longer allowed.
    Rejected,
    /// What it is about is gone.
    NoResource,
}

impl Ended {
    /// The value of the `reason` parameter.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Deactivated => "deactivated",
            Self::Rejected => "rejected",
            Self::NoResource => "noresource",
        }
    }
}

/// What is granted to a SUBSCRIBE.
#[derive(Clone, Debug)]
pub struct Grant {
    /// For how long; zero asks for the present state, or ends the subscription.
    pub expires: Duration,
    /// The way on which the peer is told.
    pub flow: Flow,
    /// What our messages say about us.
    pub settings: Arc<Settings>,
}

impl Notifier {
    /// Accepts a SUBSCRIBE without To tag with 200. The first NOTIFY follows with [`Notifier::notify`], at once
    /// (§4.2.1.2).
    ///
    /// # Errors
    /// The status to answer with when the request cannot make a dialog: it has no Contact, for example.
    pub fn accept(
        id: UsageId,
        server: ServerId,
        request: &Request,
        grant: Grant,
        stack: &mut Stack<'_, '_>,
    ) -> Result<Self, Status> {
        let tag = stack.cx.tag();
        let mut dialog = Dialog::uas(request, &tag)?;
        dialog.confirm();
        let event = request.raw(Name::Event).map(String::from_utf8_lossy).ok_or(Status::BAD_EVENT)?;
        let mut notifier = Self {
            id,
            settings: Arc::clone(&grant.settings),
            dialog,
            flow: grant.flow,
            event: event.into_owned(),
            ends: stack.cx.now,
            armed: None,
            state: State::Active,
            under_way: None,
            stale: true,
        };
        notifier.grant(server, request, &grant, stack);
        Ok(notifier)
    }

    /// A subscription of a process that is no more: by the SUBSCRIBE that made it, perhaps the last that refreshed it, and
    /// our tag. `sequence` is more than the number of any NOTIFY before.
    ///
    /// # Errors
    /// When these make no dialog.
    pub fn restore(
        id: UsageId,
        (made, refreshed): (&Request, Option<&Request>),
        tag: &str,
        grant: Grant,
        sequence: u32,
        stack: &mut Stack<'_, '_>,
    ) -> Result<Self, Status> {
        let mut dialog = Dialog::uas(made, tag)?;
        dialog.confirm();
        dialog.continue_after(sequence);
        if let Some(refreshed) = refreshed {
            dialog.receive(refreshed)?;
        }
        let event = made.raw(Name::Event).map(String::from_utf8_lossy).ok_or(Status::BAD_EVENT)?;
        let mut notifier = Self {
            id,
            settings: grant.settings,
            dialog,
            flow: grant.flow,
            event: event.into_owned(),
            ends: stack.cx.now + grant.expires,
            armed: None,
            state: State::Active,
            under_way: None,
            stale: true,
        };
        notifier.arm(stack);
        Ok(notifier)
    }

    /// Wakes its owner at a moment before its end.
    pub fn wake_at(&self, moment: Instant, stack: &mut Stack<'_, '_>) {
        stack.arm(self.id, UsageTimer::Subscription, moment);
    }

    /// Whether a request is in this dialog.
    pub fn owns(&self, call_id: &str, local_tag: &str) -> bool {
        self.dialog.id().call_id == call_id && self.dialog.id().local_tag == local_tag
    }

    /// Our tag in the dialog.
    pub fn local_tag(&self) -> &str {
        &self.dialog.id().local_tag
    }

    /// The Event that was asked for, with its parameters.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// The way on which the peer is told.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// What our messages say about us.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The peer is reached by another way, on which our messages say what `settings` say. A NOTIFY that it has not answered
    /// goes there.
    pub fn peer_moved(&mut self, settings: Arc<Settings>, flow: Flow, stack: &mut Stack<'_, '_>) {
        (self.settings, self.flow) = (settings, flow);
        if let Some(client) = self.under_way {
            stack.transactions.reroute(client, flow, stack.cx);
        }
    }

    /// Takes a SUBSCRIBE in the dialog: it goes on, or ends with no more time (§4.2.1.4). What it grants is up to the
    /// owner.
    pub fn refresh(&mut self, server: ServerId, request: &Request, grant: &Grant, stack: &mut Stack<'_, '_>) {
        let refused = match self.dialog.receive(request) {
            Err(status) => Some(status),
            Ok(()) if self.state != State::Active => Some(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
            Ok(()) => None,
        };
        if let Some(status) = refused {
            return stack.respond(server, Response::to_request(request, status).finish());
        }
        self.flow = grant.flow;
        self.settings = Arc::clone(&grant.settings);
        self.stale = true;
        self.grant(server, request, grant, stack);
    }

    fn grant(&mut self, server: ServerId, request: &Request, grant: &Grant, stack: &mut Stack<'_, '_>) {
        let answer = Response::to_request(request, Status::OK)
            .to_tag(&self.dialog.id().local_tag)
            .copy_record_route(request)
            .header(Name::Contact, &self.settings.contact)
            .header(Name::Expires, grant.expires.as_secs())
            .header(Name::Server, &self.settings.agent);
        stack.respond(server, answer.finish());
        if grant.expires.is_zero() {
            self.state = State::Ending(Ended::Timeout);
        } else {
            self.ends = stack.cx.now + grant.expires;
            self.arm(stack);
        }
    }

    /// One deadline at a time, however often the peer refreshes.
    fn arm(&mut self, stack: &mut Stack<'_, '_>) {
        if self.armed.is_none_or(|armed| armed > self.ends) {
            self.armed = Some(stack.arm(self.id, UsageTimer::Subscription, self.ends));
        }
    }

    /// What it is about has changed.
    pub fn changed(&mut self) {
        self.stale = true;
    }

    /// It ends with its next NOTIFY.
    pub fn end(&mut self, why: Ended) {
        if self.state == State::Active {
            self.state = State::Ending(why);
            self.stale = true;
        }
    }

    /// Whether [`Notifier::notify`] is wanted.
    pub fn wants_state(&self) -> bool {
        self.stale && self.under_way.is_none() && self.state != State::Over
    }

    /// The peer knows the present state already.
    pub fn spare(&mut self) {
        self.stale = false;
    }

    /// Whether the next NOTIFY is the last.
    pub fn is_ending(&self) -> bool {
        matches!(self.state, State::Ending(_))
    }

    /// Whether nothing more is to come.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Tells the peer the present state, if it is wanted (§4.2.2).
    pub fn notify(&mut self, body: Option<&Body>, stack: &mut Stack<'_, '_>) {
        if !self.wants_state() {
            return;
        }
        let state = match self.state {
            State::Active => {
                let left = self.ends.saturating_duration_since(stack.cx.now).as_secs();
                format!("active;expires={left}")
            }
            State::Ending(why) => format!("terminated;reason={}", why.reason()),
            State::Over => return,
        };
        let via = stack.via(&self.flow, &self.settings.sent_by);
        let builder = self
            .dialog
            .request(Method::Notify, &via)
            .header(Name::Contact, &self.settings.contact)
            .header(Name::Event, &self.event)
            .header(Name::SubscriptionState, state)
            .header(Name::UserAgent, &self.settings.agent);
        let request = Body::in_request(body, builder).finish();
        let client = match self.settings.pinned {
            true => stack.transactions.send_request_on(request, self.flow, stack.cx),
            false => stack.transactions.send_request(request, self.flow, stack.cx),
        };
        stack.claims.client(client, self.id);
        self.stale = false;
        match self.state {
            State::Ending(_) | State::Over => self.state = State::Over,
            State::Active => self.under_way = Some(client),
        }
    }

    /// Takes an event of its transaction. A NOTIFY that is refused, or that nobody answers, ends the subscription
    /// (§4.2.2): a peer that wants it asks again.
    pub fn receive(&mut self, event: &TransactionEvent) {
        let ours = self.under_way;
        match event {
            TransactionEvent::Response { client, response, .. } if Some(*client) == ours => {
                let status = response.status();
                if status.is_provisional() {
                    return;
                }
                self.under_way = None;
                if !status.is_success() {
                    self.state = State::Over;
                }
            }
            TransactionEvent::Timeout { client } | TransactionEvent::TransportFailed { client }
                if Some(*client) == ours =>
            {
                self.under_way = None;
                self.state = State::Over;
            }
            _ => {}
        }
    }

    /// Takes a due deadline: its time may be over.
    pub fn timeout(&mut self, deadline: Instant, stack: &mut Stack<'_, '_>) {
        if self.armed != Some(deadline) || self.state != State::Active {
            return;
        }
        self.armed = None;
        if self.ends <= deadline {
            self.end(Ended::Timeout);
        } else {
            self.arm(stack);
        }
    }
}
