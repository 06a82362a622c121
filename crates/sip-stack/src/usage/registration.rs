//! Keeping a contact registered (RFC 3261 §10.2, RFC 5626 §4.5).

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_sip::{
    CSeq, Contact, Contacts, Method, Name, NameAddr, Request, RequestBuilder, Response, Status, Uri,
};
use rand::RngExt as _;

use super::{Attempt, Settings, Stack, UsageId, UsageTimer};
use crate::Flow;
use crate::dialog::{MAX_FORWARDS, first_hop};
use crate::transaction::TransactionEvent;

/// What is registered where.
#[derive(Clone, Debug)]
pub struct RegistrationSettings {
    /// The registrar's domain: the Request-URI.
    pub registrar: Uri,
    /// The address-of-record.
    pub address: NameAddr,
    /// Routes to the registrar: an outbound proxy.
    pub routes: Vec<NameAddr>,
    /// The seconds asked for.
    pub expires: u32,
    /// More header fields, as name and value.
    pub headers: Vec<(String, String)>,
}

/// One contact of ours at one registrar, and the requests that keep it there.
#[derive(Debug)]
pub struct Registration {
    id: UsageId,
    what: RegistrationSettings,
    settings: Arc<Settings>,
    call_id: String,
    tag: String,
    number: u32,
    flows: Vec<Flow>,
    /// Our contact before we moved, which the next request takes back.
    former: Option<Contact>,
    state: State,
    failures: u32,
}

/// What happened to a registration.
#[derive(Clone, Debug, PartialEq)]
pub enum RegistrationEvent {
    /// The registrar has our contact.
    Registered {
        /// For how long.
        expires: Duration,
        /// The proxies that our requests are to pass (RFC 3608).
        service_route: Vec<NameAddr>,
    },
    /// The registrar has dropped our contact.
    Unregistered,
    /// The registrar has refused, or nobody answered.
    Failed {
        /// The status; 408 also stands for no answer, 503 for a broken way.
        status: Status,
        /// Its reason phrase.
        reason: String,
        /// When it is tried again; none: not by itself.
        retry_after: Option<Duration>,
    },
}

#[derive(Debug)]
enum State {
    /// Nothing is wanted.
    Idle,
    /// A REGISTER is under way; `removes` has Expires 0.
    Asking { attempt: Attempt, expires: u32, removes: bool },
    /// Our contact is there; `next` refreshes it.
    Registered { next: Instant },
    /// The last try failed; `next` is the next one.
    Waiting { next: Instant },
}

impl Registration {
    /// A registration that does nothing yet. All its requests share one Call-ID (§10.2).
    pub fn new(
        id: UsageId,
        what: RegistrationSettings,
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
            former: None,
            state: State::Idle,
            failures: 0,
        }
    }

    /// Whether the registrar has our contact, as far as we know.
    pub fn is_registered(&self) -> bool {
        matches!(self.state, State::Registered { .. })
    }

    /// Whether a request is under way.
    pub fn is_asking(&self) -> bool {
        matches!(self.state, State::Asking { .. })
    }

    /// The way to the registrar.
    pub fn flow(&self) -> Option<Flow> {
        match &self.state {
            State::Asking { attempt, .. } => attempt.flow(),
            State::Idle | State::Registered { .. } | State::Waiting { .. } => self.flows.first().copied(),
        }
    }

    /// Registers now, and from then on by itself. `flows` are the ways to the registrar, best first.
    pub fn register(&mut self, flows: Vec<Flow>, stack: &mut Stack<'_, '_>) {
        self.flows = flows;
        self.failures = 0;
        self.ask(self.what.expires, stack);
    }

    /// Other ways to the registrar, best first, from the next request on. The way that works now stays the first while it is
    /// among them.
    pub fn ways(&mut self, mut flows: Vec<Flow>) {
        let current = self.flow();
        flows.sort_by_key(|known| Some(*known) != current);
        self.flows = flows;
    }

    /// Our address is another, as `settings` say: registers from there at once on these ways, if it was wanted at all, and takes
    /// the contact of before back with the same request.
    pub fn moved(&mut self, settings: Arc<Settings>, flows: Vec<Flow>, stack: &mut Stack<'_, '_>) {
        let before = std::mem::replace(&mut self.settings, settings).contact.clone();
        if !before.uri().equivalent(self.settings.contact.uri()) {
            // Of several moves in a row without an answer, the one that was registered counts.
            self.former.get_or_insert(before);
        }
        match self.state {
            State::Idle | State::Asking { removes: true, .. } => self.flows = flows,
            State::Asking { .. } | State::Registered { .. } | State::Waiting { .. } => {
                self.register(flows, stack)
            }
        }
    }

    /// The ways to the registrar, best first.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// Takes our contact back (§10.2.2).
    pub fn unregister(&mut self, stack: &mut Stack<'_, '_>) {
        if !self.flows.is_empty() {
            self.ask(0, stack);
        }
    }

    /// The flow that is registered broke: tries again at once, for nobody can call us (RFC 5626 §4.5).
    pub fn flow_failed(&mut self, failed: &Flow, stack: &mut Stack<'_, '_>) {
        let concerns = self.flow().is_some_and(|flow| flow.fails_with(failed));
        if concerns && self.is_registered() {
            self.ask(self.what.expires, stack);
        }
    }

    /// Takes an event of one of its transactions.
    pub fn receive(
        &mut self,
        event: &TransactionEvent,
        stack: &mut Stack<'_, '_>,
    ) -> Option<RegistrationEvent> {
        let State::Asking { attempt, .. } = &mut self.state else { return None };
        let ours = attempt.client();
        match event {
            TransactionEvent::Response { client, response, .. } if *client == ours => {
                self.response(response, stack)
            }
            TransactionEvent::Timeout { client } if *client == ours => {
                self.unanswered(Status::REQUEST_TIMEOUT, stack)
            }
            TransactionEvent::TransportFailed { client } if *client == ours => {
                self.unanswered(Status::SERVICE_UNAVAILABLE, stack)
            }
            _ => None,
        }
    }

    /// Takes a due deadline: refreshes, or tries again.
    pub fn timeout(&mut self, deadline: Instant, stack: &mut Stack<'_, '_>) {
        match self.state {
            State::Registered { next } | State::Waiting { next } if next == deadline => {
                self.ask(self.what.expires, stack);
            }
            State::Idle | State::Asking { .. } | State::Registered { .. } | State::Waiting { .. } => {}
        }
    }

    fn ask(&mut self, expires: u32, stack: &mut Stack<'_, '_>) {
        let Some(flow) = self.flows.first().copied() else { return };
        self.number = self.number.saturating_add(1);
        let request = self.build(expires, flow, stack);
        let attempt = Attempt::send(self.id, request, &self.flows, &self.settings, stack);
        self.state = match attempt {
            Some(attempt) => State::Asking { attempt, expires, removes: expires == 0 },
            None => State::Idle,
        };
    }

    fn build(&self, expires: u32, flow: Flow, stack: &mut Stack<'_, '_>) -> Request {
        let via = stack.via(&flow, &self.settings.sent_by);
        let hop = first_hop(&self.what.registrar, &self.what.routes);
        let mut builder = RequestBuilder::new(Method::Register, &hop.request_uri).header(Name::Via, via);
        for route in &hop.routes {
            builder = builder.header(Name::Route, route);
        }
        builder = builder
            .header(Name::MaxForwards, MAX_FORWARDS)
            .header(Name::From, self.what.address.clone().with_tag(&self.tag))
            .header(Name::To, &self.what.address)
            .header(Name::CallId, &self.call_id)
            .header(Name::CSeq, CSeq { number: self.number, method: Method::Register })
            .header(Name::Contact, &self.settings.contact);
        if let Some(former) = &self.former {
            builder = builder.header(Name::Contact, former.clone().with_param("expires", Some("0")));
        }
        builder = builder
            .header(Name::Expires, expires)
            .header(Name::UserAgent, &self.settings.agent)
            .header(Name::Allow, &self.settings.allow)
            .header(Name::Supported, "path");
        for (name, value) in &self.what.headers {
            builder = builder.header_other(name, value);
        }
        builder.finish()
    }

    fn response(&mut self, response: &Response, stack: &mut Stack<'_, '_>) -> Option<RegistrationEvent> {
        let status = response.status();
        let State::Asking { attempt, expires, removes } = &mut self.state else { return None };
        if status.is_provisional() {
            return None;
        }
        let number = self.number.saturating_add(1);
        let again = if Attempt::is_challenge(response) {
            attempt.challenged(self.id, response, || number, stack)
        } else if status == Status::INTERVAL_TOO_BRIEF && !*removes {
            // §10.3 step 6: it names the least that it takes.
            let minimum = response.min_expires().ok().flatten().filter(|minimum| minimum > expires);
            minimum.is_some_and(|minimum| {
                *expires = minimum;
                let request = attempt.request().edit().set(Name::Expires, minimum).finish();
                attempt.again(self.id, request, number, stack)
            })
        } else {
            status == Status::SERVICE_UNAVAILABLE && attempt.elsewhere(self.id, stack)
        };
        if again {
            self.number = attempt.request().cseq().map_or(number, |cseq| cseq.number);
            return None;
        }
        // The way that worked is the way that is kept.
        let (asked, removes, flow) = (*expires, *removes, attempt.flow());
        if !status.is_success() {
            let retry_after = response.retry_after().ok().flatten();
            let reason = String::from_utf8_lossy(response.reason()).into_owned();
            return Some(self.failed(status, reason, retry_after, stack));
        }
        self.former = None;
        if removes {
            self.state = State::Idle;
            return Some(RegistrationEvent::Unregistered);
        }
        let granted = self.granted(response, asked);
        self.flows.sort_by_key(|known| Some(*known) != flow);
        self.failures = 0;
        let expires = Duration::from_secs(u64::from(granted));
        let margin = (expires / 10).max(SHORTEST_MARGIN).min(expires / 2);
        let spread = stack.cx.rng.random_range(0.95..=1.0);
        let next = stack.cx.now + (expires - margin).mul_f64(spread);
        self.state = State::Registered { next: stack.arm(self.id, UsageTimer::Register, next) };
        let service_route =
            response.service_routes().map_while(Result::ok).take(8).map(|route| route.detach());
        Some(RegistrationEvent::Registered { expires, service_route: service_route.collect() })
    }

    /// How long our contact stays: what its own parameter, else Expires, else our request says (§10.2.4).
    fn granted(&self, response: &Response, asked: u32) -> u32 {
        let ours = self.settings.contact.uri();
        let own = match response.contacts() {
            Ok(Contacts::List(list)) => list
                .iter()
                .find(|contact| contact.uri().equivalent(ours))
                .and_then(|contact| contact.expires()),
            Ok(Contacts::Star) | Err(_) => None,
        };
        own.or_else(|| response.expires()).unwrap_or(asked).clamp(1, LONGEST_EXPIRES)
    }

    fn unanswered(&mut self, status: Status, stack: &mut Stack<'_, '_>) -> Option<RegistrationEvent> {
        if let State::Asking { attempt, .. } = &mut self.state
            && attempt.elsewhere(self.id, stack)
        {
            return None;
        }
        Some(self.failed(status, status.reason().to_owned(), None, stack))
    }

    fn failed(
        &mut self,
        status: Status,
        reason: String,
        retry_after: Option<u32>,
        stack: &mut Stack<'_, '_>,
    ) -> RegistrationEvent {
        let removes = matches!(self.state, State::Asking { removes: true, .. });
        // Asking again would not help, and looks like an attack.
        let hopeless = matches!(
            status,
            Status::UNAUTHORIZED
                | Status::PROXY_AUTHENTICATION_REQUIRED
                | Status::FORBIDDEN
                | Status::NOT_FOUND
                | Status::METHOD_NOT_ALLOWED
        );
        if removes || hopeless {
            self.state = State::Idle;
            return RegistrationEvent::Failed { status, reason, retry_after: None };
        }
        self.failures = self.failures.saturating_add(1);
        let asked = Duration::from_secs(u64::from(retry_after.unwrap_or_default())).min(LONGEST_WAIT);
        let wait = back_off(self.failures).mul_f64(stack.cx.rng.random_range(0.5..=1.0)).max(asked);
        let next = stack.arm(self.id, UsageTimer::Register, stack.cx.now + wait);
        self.state = State::Waiting { next };
        RegistrationEvent::Failed { status, reason, retry_after: Some(wait) }
    }
}

/// RFC 5626 §4.5: doubling with every failure in a row.
fn back_off(failures: u32) -> Duration {
    (BASE_WAIT * 2u32.saturating_pow(failures.min(10))).min(LONGEST_WAIT)
}

/// `base-time` where all flows have failed (RFC 5626 §4.5).
const BASE_WAIT: Duration = Duration::from_secs(30);

/// `max-time` (RFC 5626 §4.5).
const LONGEST_WAIT: Duration = Duration::from_secs(1800);

/// The refresh has this time to arrive: as long as a transaction lasts.
const SHORTEST_MARGIN: Duration = Duration::from_secs(32);

/// A registrar that grants years is refreshed at least once a day.
const LONGEST_EXPIRES: u32 = 86_400;

#[cfg(test)]
mod tests;
