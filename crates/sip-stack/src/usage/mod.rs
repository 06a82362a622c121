//! What a dialog is used for (RFC 5057): calls, subscriptions and registrations, with their timers.
//!
//! A usage is driven by its owner, who gives it a [`UsageId`], lends it the layers below as a [`Stack`], and passes
//! on what [`Claims`] say is its own. Session descriptions are opaque bytes here.

mod attempt;
mod body;
mod claims;
pub mod invite;
mod registration;
mod session_timer;
pub mod subscription;
#[cfg(test)]
mod tests;

use std::time::Instant;

use offhook_sip::{Contact, HostPort, Name, RequestBuilder, Response, ResponseBuilder, Status, Via};

pub use attempt::{Attempt, MAX_ATTEMPTS};
pub use body::Body;
pub use claims::Claims;
pub use invite::{Invite, InviteEvent};
pub use registration::{Registration, RegistrationEvent, RegistrationSettings};
pub use session_timer::{Ask, Due, Grant, SMALLEST_INTERVAL, SessionTimer, SessionTimers};

use crate::auth::Authorizer;
use crate::transaction::{ClientId, ServerId, Transactions};
use crate::{Context, Flow, Timers};

/// The number of a usage, chosen by its owner and never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageId(pub u64);

/// Whose deadline it is: a usage and one of its timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageOwner {
    /// The usage.
    pub usage: UsageId,
    /// Its timer.
    pub timer: UsageTimer,
}

/// A timer of a usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UsageTimer {
    /// Our 2xx to an INVITE is due again, until its ACK comes (RFC 3261 §13.3.1.4).
    Answer,
    /// Our reliable provisional response is due again, until its PRACK comes (RFC 3262 §3).
    Reliable,
    /// Our provisional response is due again, lest a proxy gives up (RFC 3261 §13.3.1.1).
    Ringing,
    /// The session is to be refreshed, or is over (RFC 4028).
    Session,
    /// A refused change of the session may be asked for again (RFC 3261 §14.1).
    Glare,
    /// A registration is to be refreshed, or tried again.
    Register,
    /// A subscription is to be refreshed or tried again, or is over.
    Subscription,
}

/// The layers below, lent to a usage for the time of one input.
pub struct Stack<'a, 'b> {
    /// Time, chance and the way out.
    pub cx: &'a mut Context<'b>,
    /// The transactions.
    pub transactions: &'a mut Transactions,
    /// The timers of all usages.
    pub timers: &'a mut Timers<UsageOwner>,
    /// Which transaction belongs to which usage.
    pub claims: &'a mut Claims,
    /// What answers challenges, if there is a password.
    pub authorizer: Option<&'a mut Authorizer>,
    /// What the invite usages have to say, in order.
    pub events: &'a mut Vec<(UsageId, InviteEvent)>,
}

/// What our messages say about ourselves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our address in Via.
    pub sent_by: HostPort,
    /// Where we want requests of a dialog.
    pub contact: Contact,
    /// The value of User-Agent and Server.
    pub agent: String,
    /// The value of Allow.
    pub allow: String,
    /// Whether we send and ask for reliable provisional responses (RFC 3262). A caller who requires them gets them.
    pub reliable_provisional: bool,
    /// Session timers (RFC 4028).
    pub session_timers: SessionTimers,
    /// Whether only its flow leads to the peer, whatever it says its address is: it is behind a NAT.
    pub pinned: bool,
}

impl Stack<'_, '_> {
    /// The Via of a new request on this flow.
    pub fn via(&mut self, flow: &Flow, sent_by: &HostPort) -> Via {
        Via::new(flow.transport.into(), sent_by.clone(), &self.cx.branch()).with_rport()
    }

    /// Arms a timer of a usage and returns its deadline, to be remembered.
    pub fn arm(&mut self, usage: UsageId, timer: UsageTimer, deadline: Instant) -> Instant {
        self.timers.arm(deadline, UsageOwner { usage, timer });
        deadline
    }

    /// Sends a final response and forgets the transaction.
    pub fn respond_once(&mut self, server: ServerId, response: Response) {
        self.claims.drop_server(server);
        self.transactions.respond_once(server, response, self.cx);
    }

    fn respond(&mut self, server: ServerId, response: Response) {
        self.transactions.respond(server, response, self.cx);
    }

    /// Nobody waits for the answer to a CANCEL: what counts is the answer to the INVITE (§9.1).
    fn cancel(&mut self, invite: ClientId, reason: Option<&str>) {
        match reason {
            Some(reason) => self.transactions.cancel_because(invite, reason, self.cx),
            None => self.transactions.cancel(invite, self.cx),
        };
    }

    fn event(&mut self, usage: UsageId, event: InviteEvent) {
        self.events.push((usage, event));
    }
}

impl Settings {
    /// The option tags that we understand, as in Supported.
    pub fn supported(&self) -> &'static str {
        if self.reliable_provisional { "100rel, timer" } else { "timer" }
    }

    fn describe_request(&self, builder: RequestBuilder) -> RequestBuilder {
        builder
            .header(Name::Contact, &self.contact)
            .header(Name::UserAgent, &self.agent)
            .header(Name::Allow, &self.allow)
            .header(Name::Supported, self.supported())
    }

    fn describe_response(&self, builder: ResponseBuilder) -> ResponseBuilder {
        builder
            .header(Name::Contact, &self.contact)
            .header(Name::Server, &self.agent)
            .header(Name::Allow, &self.allow)
    }
}

/// The seconds of a Retry-After that asks for a short wait (RFC 3261 §14.2): between 0 and 10.
fn short_wait(cx: &mut Context<'_>) -> u32 {
    use rand::RngExt as _;
    cx.rng.random_range(0..=10)
}

/// Whether a response says that nothing is left of the dialog or at least of the usage (RFC 5057 §5.1).
fn ends_usage(status: Status) -> bool {
    matches!(
        status,
        Status::NOT_FOUND
            | Status::REQUEST_TIMEOUT
            | Status::GONE
            | Status::UNSUPPORTED_URI_SCHEME
            | Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST
            | Status::LOOP_DETECTED
            | Status::TOO_MANY_HOPS
            | Status::ADDRESS_INCOMPLETE
            | Status::AMBIGUOUS
            | Status::BAD_GATEWAY
            | Status::DOES_NOT_EXIST_ANYWHERE
    )
}
