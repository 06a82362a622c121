//! The side that subscribes (RFC 6665 §4.1): SUBSCRIBE, again before it expires, and what NOTIFY says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_sip::{
    CSeq, Method, Name, NameAddr, Request, RequestBuilder, Response, Status, SubscriptionState, Substate, Uri,
};

use super::super::{Attempt, Body, Settings, Stack, UsageId, UsageTimer};
use crate::Flow;
use crate::dialog::{Dialog, MAX_FORWARDS, first_hop};
use crate::transaction::{ServerId, T1_64, TransactionEvent};

/// What is subscribed to.
#[derive(Clone, Debug)]
pub struct SubscriptionSettings {
    /// About whom.
    pub target: Uri,
    /// Us.
    pub from: NameAddr,
    /// The value of To, without tag.
    pub to: NameAddr,
    /// The proxies that the first request passes.
    pub routes: Vec<NameAddr>,
    /// The value of Event.
    pub event: String,
    /// The value of Accept, if one is to be sent.
    pub accept: Option<String>,
    /// The seconds asked for; zero asks for the present state only.
    pub expires: u32,
    /// More header fields, as name and value.
    pub headers: Vec<(String, String)>,
}

/// A subscription, as its subscriber keeps it. It is refreshed until [`Subscriber::stop`], or until the notifier ends it
/// for good.
#[derive(Debug)]
pub struct Subscriber {
    id: UsageId,
    what: SubscriptionSettings,
    settings: Arc<Settings>,
    call_id: String,
    tag: String,
    /// The sequence number of the last request outside of the dialog.
    number: u32,
    flows: Vec<Flow>,
    dialog: Option<Box<Dialog>>,
    /// The notifier's tag: NOTIFYs of another are not ours.
    peer: Option<String>,
    last_notify: Option<u32>,
    attempt: Option<Asked>,
    state: State,
}

/// A SUBSCRIBE under way.
#[derive(Debug)]
struct Asked {
    attempt: Attempt,
    expires: u32,
}

#[derive(Debug)]
enum State {
    /// Nothing was granted yet.
    Pending,
    /// It lasts; `next` refreshes it.
    Active {
        next: Instant,
    },
    /// The last NOTIFY is awaited until then.
    Closing {
        until: Instant,
    },
    /// It was lost and is asked for again then.
    Waiting {
        next: Instant,
    },
    Over,
}

/// What happened to a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriberEvent {
    /// A SUBSCRIBE was answered with 2xx; again after each refresh.
    Accepted {
        /// The status.
        status: Status,
        /// Its reason phrase.
        reason: String,
        /// For how long.
        expires: Duration,
    },
    /// The notifier has refused, or nobody answered: it is over.
    Refused {
        /// The status; 408 also stands for no answer, 503 for a broken way.
        status: Status,
        /// Its reason phrase.
        reason: String,
    },
    /// A NOTIFY came.
    Notified {
        /// What the notifier says of the subscription.
        state: Option<SubscriptionState>,
        /// Its body.
        body: Option<Body>,
        /// Whether nothing more will come.
        over: bool,
    },
    /// It ended without a last NOTIFY.
    Over,
}

impl Subscriber {
    /// A subscription that does nothing yet.
    pub fn new(
        id: UsageId,
        what: SubscriptionSettings,
        settings: Arc<Settings>,
        stack: &mut Stack<'_, '_>,
    ) -> Self {
        let (call_id, tag) = (stack.cx.call_id(), stack.cx.tag());
        Self {
            id,
            what,
            settings,
            call_id,
            tag,
            number: 0,
            flows: Vec::new(),
            dialog: None,
            peer: None,
            last_notify: None,
            attempt: None,
            state: State::Pending,
        }
    }

    /// Subscribes. `flows` are the ways to the first hop, best first; false if there is none.
    pub fn start(&mut self, flows: Vec<Flow>, stack: &mut Stack<'_, '_>) -> bool {
        self.flows = flows;
        self.ask(self.what.expires, stack)
    }

    /// Ends it: the last NOTIFY follows (§4.1.2.3).
    pub fn stop(&mut self, stack: &mut Stack<'_, '_>) {
        self.what.expires = 0;
        match self.state {
            State::Active { .. } => {
                self.ask(0, stack);
            }
            State::Waiting { .. } => self.state = State::Over,
            State::Pending | State::Closing { .. } | State::Over => {}
        }
    }

    /// Our address is another, as `settings` say: the notifier is told by a SUBSCRIBE on one of these ways, best first, with
    /// our new Contact (RFC 6665 §4.1.2.2).
    pub fn moved(&mut self, settings: Arc<Settings>, flows: Vec<Flow>, stack: &mut Stack<'_, '_>) {
        (self.settings, self.flows) = (settings, flows);
        match self.state {
            State::Pending => {
                // An answer to the first one would look for us at the former address.
                self.forget_dialog(stack);
                self.ask(self.what.expires, stack);
            }
            State::Active { .. } => {
                self.ask(self.what.expires, stack);
            }
            State::Waiting { .. } | State::Closing { .. } | State::Over => {}
        }
    }

    /// The ways to the notifier, best first.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// Whether a request with this Call-ID and this tag of ours is about it.
    pub fn owns(&self, call_id: &str, local_tag: &str) -> bool {
        self.call_id == call_id && self.tag == local_tag
    }

    /// Whether nothing more is to come.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over) && self.attempt.is_none()
    }

    /// Takes an event of one of its transactions.
    pub fn receive(
        &mut self,
        event: &TransactionEvent,
        stack: &mut Stack<'_, '_>,
    ) -> Option<SubscriberEvent> {
        let asked = self.attempt.as_mut()?;
        let ours = asked.attempt.client();
        let status = match event {
            TransactionEvent::Response { client, response, .. } if *client == ours => {
                return self.response(response, stack);
            }
            TransactionEvent::Timeout { client } if *client == ours => Status::REQUEST_TIMEOUT,
            TransactionEvent::TransportFailed { client } if *client == ours => Status::SERVICE_UNAVAILABLE,
            _ => return None,
        };
        if asked.attempt.elsewhere(self.id, stack) {
            return None;
        }
        self.failed(status, status.reason().to_owned(), stack)
    }

    /// Takes a request that is [ours](Subscriber::owns), and answers it.
    pub fn notified(
        &mut self,
        server: ServerId,
        request: &Request,
        stack: &mut Stack<'_, '_>,
    ) -> Option<SubscriberEvent> {
        let number = request.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let sender = request.from_tag().unwrap_or_default();
        let stranger = self.peer.as_ref().is_some_and(|peer| peer != sender);
        let status = if *request.method() != Method::Notify || stranger || matches!(self.state, State::Over) {
            Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST
        } else if self.last_notify.is_some_and(|last| number <= last) {
            Status::SERVER_INTERNAL_ERROR
        } else if !self.is_about(request) {
            Status::BAD_EVENT
        } else {
            Status::OK
        };
        let answer = Response::to_request(request, status).header(Name::Contact, &self.settings.contact);
        stack.respond(server, answer.finish());
        if !status.is_success() {
            return None;
        }
        self.peer = Some(sender.to_owned());
        self.last_notify = Some(number);
        if let Some(dialog) = &mut self.dialog {
            dialog.refresh_target(request);
        }
        let state = request.subscription_state().ok().flatten();
        let terminated = state.as_ref().filter(|state| state.state == Substate::Terminated);
        let over = match terminated {
            Some(ended) => !self.again_after(ended, stack),
            None => false,
        };
        Some(SubscriberEvent::Notified { state, body: Body::of(request), over })
    }

    /// Takes a due deadline: refreshes, tries again, or gives up waiting.
    pub fn timeout(&mut self, deadline: Instant, stack: &mut Stack<'_, '_>) -> Option<SubscriberEvent> {
        match self.state {
            State::Active { next } if next == deadline && self.attempt.is_none() => {
                self.ask(self.what.expires, stack);
                None
            }
            State::Waiting { next } if next == deadline => {
                self.forget_dialog(stack);
                self.ask(self.what.expires, stack);
                None
            }
            State::Closing { until } if until == deadline => {
                self.state = State::Over;
                Some(SubscriberEvent::Over)
            }
            State::Pending
            | State::Active { .. }
            | State::Waiting { .. }
            | State::Closing { .. }
            | State::Over => None,
        }
    }

    fn is_about(&self, request: &Request) -> bool {
        let package = self.what.event.split(';').next().unwrap_or_default().trim();
        request.event().ok().flatten().is_some_and(|event| event.package.eq_ignore_ascii_case(package))
    }

    /// The notifier has ended it; whether it is asked for again (§4.1.3).
    fn again_after(&mut self, ended: &SubscriptionState, stack: &mut Stack<'_, '_>) -> bool {
        let closing = matches!(self.state, State::Closing { .. }) || self.what.expires == 0;
        let wait = match ended.reason() {
            Some("rejected" | "noresource" | "invariant") => None,
            Some("deactivated" | "timeout") => Some(ended.retry_after().unwrap_or(0)),
            _ => Some(ended.retry_after().unwrap_or(LATER)),
        };
        match wait.filter(|_| !closing) {
            Some(seconds) => {
                let next = stack.cx.now + Duration::from_secs(seconds.into());
                self.state = State::Waiting { next: stack.arm(self.id, UsageTimer::Subscription, next) };
                true
            }
            None => {
                self.state = State::Over;
                false
            }
        }
    }

    /// A new subscription is a new dialog.
    fn forget_dialog(&mut self, stack: &mut Stack<'_, '_>) {
        (self.call_id, self.tag) = (stack.cx.call_id(), stack.cx.tag());
        (self.dialog, self.peer, self.last_notify) = (None, None, None);
        self.state = State::Pending;
    }

    fn ask(&mut self, expires: u32, stack: &mut Stack<'_, '_>) -> bool {
        let Some(flow) = self.flows.first().copied() else { return false };
        let via = stack.via(&flow, &self.settings.sent_by);
        let builder = match &mut self.dialog {
            Some(dialog) => dialog.request(Method::Subscribe, &via),
            None => {
                self.number = self.number.saturating_add(1);
                let hop = first_hop(&self.what.target, &self.what.routes);
                let builder = RequestBuilder::new(Method::Subscribe, &hop.request_uri).header(Name::Via, via);
                let routed = |builder: RequestBuilder, route| builder.header(Name::Route, route);
                hop.routes
                    .iter()
                    .fold(builder, routed)
                    .header(Name::MaxForwards, MAX_FORWARDS)
                    .header(Name::From, self.what.from.clone().with_tag(&self.tag))
                    .header(Name::To, &self.what.to)
                    .header(Name::CallId, &self.call_id)
                    .header(Name::CSeq, CSeq { number: self.number, method: Method::Subscribe })
            }
        };
        let mut builder = builder
            .header(Name::Contact, &self.settings.contact)
            .header(Name::Event, &self.what.event)
            .header(Name::Expires, expires)
            .header(Name::UserAgent, &self.settings.agent);
        if let Some(accept) = &self.what.accept {
            builder = builder.header(Name::Accept, accept);
        }
        for (name, value) in &self.what.headers {
            builder = builder.header_other(name, value);
        }
        let attempt = Attempt::send(self.id, builder.finish(), &self.flows, &self.settings, stack);
        self.attempt = attempt.map(|attempt| Asked { attempt, expires });
        self.attempt.is_some()
    }

    fn response(&mut self, response: &Response, stack: &mut Stack<'_, '_>) -> Option<SubscriberEvent> {
        let status = response.status();
        let asked = self.attempt.as_mut().filter(|_| !status.is_provisional())?;
        let (dialog, number) = (&mut self.dialog, &mut self.number);
        let again = if Attempt::is_challenge(response) {
            let next = || match dialog {
                Some(dialog) => dialog.next_sequence(),
                None => {
                    *number = number.saturating_add(1);
                    *number
                }
            };
            asked.attempt.challenged(self.id, response, next, stack)
        } else if status == Status::INTERVAL_TOO_BRIEF && asked.expires > 0 {
            let minimum = response.min_expires().ok().flatten().filter(|least| *least > asked.expires);
            minimum.is_some_and(|minimum| {
                asked.expires = minimum;
                let request = asked.attempt.request().edit().set(Name::Expires, minimum).finish();
                let next = match dialog {
                    Some(dialog) => dialog.next_sequence(),
                    None => asked.attempt.request().cseq().map_or(1, |cseq| cseq.number.saturating_add(1)),
                };
                asked.attempt.again(self.id, request, next, stack)
            })
        } else {
            status == Status::SERVICE_UNAVAILABLE && asked.attempt.elsewhere(self.id, stack)
        };
        if again {
            return None;
        }
        let reason = String::from_utf8_lossy(response.reason()).into_owned();
        if status.is_success() {
            return Some(self.accepted(response, reason, stack));
        }
        self.failed(status, reason, stack)
    }

    fn accepted(
        &mut self,
        response: &Response,
        reason: String,
        stack: &mut Stack<'_, '_>,
    ) -> SubscriberEvent {
        let asked = self.attempt.take();
        let wanted = asked.as_ref().map_or(0, |asked| asked.expires);
        match (&mut self.dialog, &asked) {
            (Some(dialog), _) => dialog.refresh_target(response),
            (None, Some(asked)) => {
                self.dialog = Dialog::uac(asked.attempt.request(), response).map(Box::new);
                self.flows = asked.attempt.flow().into_iter().collect();
            }
            (None, None) => {}
        }
        self.peer = self.peer.take().or_else(|| response.to_tag().map(str::to_owned));
        let granted = response.expires().unwrap_or(wanted).min(wanted);
        let expires = Duration::from_secs(granted.into());
        if !matches!(self.state, State::Over) {
            let (now, ends) = (stack.cx.now, granted == 0 || self.what.expires == 0);
            // A NOTIFY comes at once, also to a subscription for no time (§4.2.1.2).
            let after = if ends { T1_64 } else { before(expires) };
            let at = stack.arm(self.id, UsageTimer::Subscription, now + after);
            self.state = if ends { State::Closing { until: at } } else { State::Active { next: at } };
        }
        SubscriberEvent::Accepted { status: response.status(), reason, expires }
    }

    /// A SUBSCRIBE has failed. One in a dialog that the notifier does not know is begun anew (§4.1.2.2).
    fn failed(
        &mut self,
        status: Status,
        reason: String,
        stack: &mut Stack<'_, '_>,
    ) -> Option<SubscriberEvent> {
        self.attempt = None;
        let lost = self.dialog.is_some() && self.what.expires > 0;
        if lost && status == Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST {
            self.forget_dialog(stack);
            if self.ask(self.what.expires, stack) {
                return None;
            }
        } else if lost {
            let next = stack.cx.now + Duration::from_secs(LATER.into());
            self.state = State::Waiting { next: stack.arm(self.id, UsageTimer::Subscription, next) };
            return None;
        }
        self.state = State::Over;
        Some(SubscriberEvent::Refused { status, reason })
    }
}

/// When a subscription for so long is refreshed.
fn before(expires: Duration) -> Duration {
    if expires > Duration::from_secs(120) { expires - Duration::from_secs(30) } else { expires / 2 }
}

/// Seconds after which a subscription that was lost is asked for again.
const LATER: u32 = 30;
