//! Changing and refreshing a session: re-INVITE (RFC 3261 §14) and UPDATE (RFC 3311), both ways.

use std::time::{Duration, Instant};

use offhook_sip::{Method, Name, Request, Response, ResponseBuilder, Status};
use rand::RngExt as _;

use super::event::{Ending, InviteEvent, Party};
use super::session::{Owed, Purpose, Sent, Session};
use crate::dialog::Phase;
use crate::transaction::ServerId;
use crate::usage::{Ask, Body, Grant, SessionTimer, Stack, UsageTimer, ends_usage, short_wait};

/// What we want changed, as long as it has not been.
#[derive(Debug, Default)]
pub(super) struct Change {
    wanted: Option<Body>,
    refresh: bool,
    /// An offer of the peer is wanted.
    ask: bool,
    /// Whether it is tried again when the peer has something under way itself.
    patient: bool,
    /// What is being offered now.
    tried: Option<Body>,
    /// No try before this moment.
    wait: Option<Instant>,
    refusals: u8,
}

impl Change {
    pub(super) fn refresh_wanted(&mut self) {
        self.refresh = true;
    }

    pub(super) fn wait_over(&mut self, deadline: Instant) {
        self.wait.take_if(|wait| *wait == deadline);
    }
}

impl Session {
    pub(super) fn change(&mut self, body: Body, patient: bool, stack: &mut Stack<'_, '_>) {
        self.change.wanted = Some(body);
        self.change.patient = patient;
        self.go_on(stack);
    }

    pub(super) fn ask(&mut self, stack: &mut Stack<'_, '_>) {
        self.change.ask = true;
        self.change.patient = false;
        self.go_on(stack);
    }

    /// Sends the change or refresh that waits, if its turn has come.
    pub(super) fn go_on(&mut self, stack: &mut Stack<'_, '_>) {
        if !self.may_offer() {
            return;
        }
        let confirmed = self.dialog.phase() == Phase::Confirmed;
        if let Some(body) = self.change.wanted.take() {
            let method = if confirmed { Method::Invite } else { Method::Update };
            self.start(method, Some(body), stack);
        } else if self.change.ask {
            self.start(Method::Invite, None, stack);
        } else if self.change.refresh {
            self.change.refresh = false;
            // Nobody else will try again.
            self.change.patient = true;
            // RFC 4028 §7.4: UPDATE needs no session description.
            if self.peer_updates {
                self.start(Method::Update, None, stack);
            } else {
                let body = self.latest.clone();
                self.start(Method::Invite, body, stack);
            }
        }
    }

    /// Cancels re-INVITEs of a call that has ended: one that was answered with 1xx only would wait for ever (§9.1).
    pub(super) fn withdraw_offers(&self, stack: &mut Stack<'_, '_>) {
        for sent in &self.sent {
            stack.cancel(sent.attempt.client(), None);
        }
    }

    /// Whether neither side has an offer or an INVITE under way (RFC 3261 §14.1, RFC 3311 §5.1).
    fn may_offer(&self) -> bool {
        let changing = self.sent.iter().any(|sent| matches!(sent.purpose, Purpose::Change { .. }));
        let early_without_update = self.dialog.phase() == Phase::Early && !self.peer_updates;
        !(self.is_ended()
            || self.offered
            || self.owed.is_some()
            || changing
            || self.is_describing()
            || !self.unacked.is_empty()
            || self.change.wait.is_some()
            || early_without_update)
    }

    fn start(&mut self, method: Method, body: Option<Body>, stack: &mut Stack<'_, '_>) {
        let offer = body.is_some();
        let timers = self.settings.session_timers;
        let expires = timers.offer(self.timer.as_ref(), self.minimum_interval);
        let minimum = self.minimum_interval.max(timers.minimum);
        let purpose = Purpose::Change { offer };
        let sent = self.request(method, purpose, stack, |mut builder| {
            if let Some(expires) = expires {
                builder = builder.header(Name::SessionExpires, expires).header(Name::MinSe, minimum);
            }
            Body::in_request(body.as_ref(), builder)
        });
        if sent {
            self.offered = offer;
            self.change.tried = body;
        }
    }

    /// Takes the outcome of our re-INVITE or UPDATE.
    pub(super) fn changed(
        &mut self,
        sent: &Sent,
        offer: bool,
        status: Status,
        response: Option<&Response>,
        stack: &mut Stack<'_, '_>,
    ) -> Option<Ending> {
        let request = sent.attempt.request();
        if offer {
            self.offered = false;
        }
        match response {
            Some(response) if status.is_success() => {
                self.change_accepted(request, offer, response, stack);
                return None;
            }
            Some(response) if !ends_usage(status) => self.change_refused(request, status, response, stack),
            // No answer at all counts as 408 (§12.2.1.2).
            Some(_) | None => return (!self.is_ended()).then(|| self.lost(status, stack)),
        }
        self.go_on(stack);
        None
    }

    fn change_accepted(
        &mut self,
        request: &Request,
        offer: bool,
        response: &Response,
        stack: &mut Stack<'_, '_>,
    ) {
        self.dialog.refresh_target(response);
        let body = Body::of(response);
        let invite = *request.method() == Method::Invite;
        let number = request.cseq().map(|cseq| cseq.number).unwrap_or_default();
        if invite && !offer && body.is_some() && !self.is_ended() {
            self.owed = Some(Owed::Ack { number });
        } else if invite {
            self.acknowledge(number, Some(request), None, stack);
        }
        // A BYE may have crossed it (RFC 5407 §3.2): then the ACK was all.
        if self.is_ended() {
            return;
        }
        self.change.refusals = 0;
        self.change.ask &= !invite || offer;
        if let Some(tried) = self.change.tried.take() {
            self.latest = Some(tried);
        }
        let granted = SessionTimer::granted(response.session_expires().ok().flatten(), stack.cx.now);
        self.run(granted, stack);
        match body {
            Some(body) if offer => stack.event(self.usage, InviteEvent::Settled { body }),
            body @ Some(_) if invite => stack.event(self.usage, InviteEvent::Offer { body }),
            Some(_) | None => self.go_on(stack),
        }
    }

    fn change_refused(
        &mut self,
        request: &Request,
        status: Status,
        response: &Response,
        stack: &mut Stack<'_, '_>,
    ) {
        let tried = self.change.tried.take();
        let asked = self.change.ask && tried.is_none() && *request.method() == Method::Invite;
        let refresh = tried.is_none() && !asked;
        self.change.refusals = self.change.refusals.saturating_add(1);
        let retry_after = response.retry_after().ok().flatten();
        let again = match status {
            Status::REQUEST_PENDING | Status::SERVER_INTERNAL_ERROR if !refresh && !self.change.patient => {
                false
            }
            Status::REQUEST_PENDING => {
                self.wait(glare_wait(self.we_called, stack), stack);
                true
            }
            Status::SERVER_INTERNAL_ERROR if retry_after.is_some_and(|seconds| seconds <= LONGEST_WAIT) => {
                self.wait(Duration::from_secs(u64::from(retry_after.unwrap_or_default())), stack);
                true
            }
            Status::SESSION_INTERVAL_TOO_SMALL => {
                let minimum = response.min_se().ok().flatten();
                self.minimum_interval = self.minimum_interval.max(minimum.unwrap_or_default());
                minimum.is_some()
            }
            Status::METHOD_NOT_ALLOWED | Status::NOT_IMPLEMENTED if *request.method() == Method::Update => {
                self.peer_updates = false;
                true
            }
            _ => false,
        };
        if again && self.change.refusals < MAX_REFUSALS {
            self.change.refresh |= refresh;
            self.change.wanted = self.change.wanted.take().or(tried);
        } else {
            self.change.refusals = 0;
            self.change.ask &= !asked;
            if !refresh && !self.is_ended() {
                stack.event(self.usage, InviteEvent::ChangeFailed { status });
            }
        }
    }

    fn wait(&mut self, time: Duration, stack: &mut Stack<'_, '_>) {
        self.change.wait = Some(stack.arm(self.usage, UsageTimer::Glare, stack.cx.now + time));
    }

    /// Takes a request in the dialog, other than ACK and CANCEL.
    pub(super) fn receive(
        &mut self,
        server: ServerId,
        request: Request,
        stack: &mut Stack<'_, '_>,
    ) -> Option<Ending> {
        let method = request.method().clone();
        if self.is_ended() {
            // RFC 5407 §3.2.3, §3.2.4: two BYEs may cross; anything else came too late.
            let bye = method == Method::Bye;
            let status = if bye { Status::OK } else { Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST };
            self.refuse_request(server, &request, status, &[], stack);
            return None;
        }
        if let Err(status) = self.dialog.receive(&request) {
            self.refuse_request(server, &request, status, &[], stack);
            return None;
        }
        match method {
            Method::Bye => {
                self.refuse_request(server, &request, Status::OK, &[], stack);
                self.ended_by_peer(stack);
                return Some(Ending::new(Party::Peer, Status::OK).because(&request));
            }
            Method::Invite | Method::Update => self.peer_changes(server, request, stack),
            Method::Prack => self.provisionally_acknowledged(server, request, stack),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Options
            | Method::Info
            | Method::Message
            | Method::Refer
            | Method::Subscribe
            | Method::Notify
            | Method::Publish
            | Method::Other(_) => stack.event(self.usage, InviteEvent::Requested { server, request }),
        }
        None
    }

    fn peer_changes(&mut self, server: ServerId, request: Request, stack: &mut Stack<'_, '_>) {
        let invite = *request.method() == Method::Invite;
        let body = Body::of(&request);
        let ours =
            self.offered || self.sent.iter().any(|sent| matches!(sent.purpose, Purpose::Change { .. }));
        if (invite || body.is_some()) && (self.owed.is_some() || self.is_describing()) {
            // §14.2, RFC 3311 §5.2
            let wait = [(Name::RetryAfter.as_str().to_owned(), short_wait(stack.cx).to_string())];
            return self.refuse_request(server, &request, Status::SERVER_INTERNAL_ERROR, &wait, stack);
        }
        if (invite || body.is_some()) && ours {
            return self.refuse_request(server, &request, Status::REQUEST_PENDING, &[], stack);
        }
        let grant = match self.settings.session_timers.answer(Ask::of(&request), stack.cx.now) {
            Ok(Some((grant, timer))) => {
                self.run(Some(timer), stack);
                Some(grant)
            }
            Ok(None) => None,
            Err(minimum) => {
                let minimum = [(Name::MinSe.as_str().to_owned(), minimum.to_string())];
                let status = Status::SESSION_INTERVAL_TOO_SMALL;
                return self.refuse_request(server, &request, status, &minimum, stack);
            }
        };
        if invite || body.is_some() {
            self.owed = Some(Owed::Response { server, request, grant, offers: body.is_none() });
            stack.event(self.usage, InviteEvent::Offer { body });
        } else {
            let response = self.describe(&request, grant).finish();
            stack.respond(server, response);
        }
    }

    /// The 2xx to a request that changes or refreshes the session, up to its body.
    fn describe(&self, request: &Request, grant: Option<Grant>) -> ResponseBuilder {
        let builder = self.settings.describe_response(self.reply(request, Status::OK));
        grant_headers(builder.header(Name::Supported, self.settings.supported()), grant)
    }

    pub(super) fn answer(&mut self, body: Body, stack: &mut Stack<'_, '_>) {
        match self.owed.take() {
            Some(Owed::Response { server, request, grant, offers }) => {
                let builder = self.describe(&request, grant);
                let response = Body::in_response(Some(&body), builder).finish();
                self.offered = offers;
                self.latest = Some(body);
                if *request.method() == Method::Invite {
                    self.answer_invite(server, &request, response, stack);
                } else {
                    stack.respond(server, response);
                }
            }
            Some(Owed::Prack { response }) => {
                self.latest = Some(body.clone());
                self.acknowledge_provisional(&response, Some(&body), stack);
            }
            Some(Owed::Ack { number }) => {
                self.acknowledge(number, None, Some(&body), stack);
                self.latest = Some(body);
            }
            initial @ Some(Owed::Initial) => self.owed = initial,
            None => {}
        }
    }

    pub(super) fn refuse(
        &mut self,
        status: Status,
        headers: &[(String, String)],
        stack: &mut Stack<'_, '_>,
    ) -> Option<Ending> {
        match self.owed.take() {
            Some(Owed::Response { server, request, .. }) => {
                self.refuse_request(server, &request, status, headers, stack);
                None
            }
            Some(Owed::Prack { response }) => {
                self.acknowledge_provisional(&response, None, stack);
                None
            }
            Some(Owed::Ack { number }) => {
                self.acknowledge(number, None, None, stack);
                self.hangup(stack);
                Some(Ending::new(Party::Us, status))
            }
            initial @ Some(Owed::Initial) => {
                self.owed = initial;
                None
            }
            None => None,
        }
    }

    /// The peer has cancelled its re-INVITE.
    pub(super) fn withdrawn(&mut self, invite: ServerId, stack: &mut Stack<'_, '_>) {
        if !matches!(&self.owed, Some(Owed::Response { server, .. }) if *server == invite) {
            return;
        }
        if let Some(Owed::Response { server, request, .. }) = self.owed.take() {
            self.refuse_request(server, &request, Status::REQUEST_TERMINATED, &[], stack);
            stack.event(self.usage, InviteEvent::OfferWithdrawn);
        }
    }
}

/// Session-Expires in a 2xx, with `Require: timer` where the peer is to refresh (RFC 4028 §9).
pub(super) fn grant_headers(builder: ResponseBuilder, grant: Option<Grant>) -> ResponseBuilder {
    match grant {
        Some(Grant { expires, require: true }) => {
            builder.header(Name::SessionExpires, expires).header(Name::Require, "timer")
        }
        Some(Grant { expires, require: false }) => builder.header(Name::SessionExpires, expires),
        None => builder,
    }
}

/// §14.1: whoever made the Call-ID waits longer, so that the second try does not collide again.
fn glare_wait(we_called: bool, stack: &mut Stack<'_, '_>) -> Duration {
    let hundredths = if we_called { 210..=400 } else { 0..=200 };
    Duration::from_millis(10 * stack.cx.rng.random_range(hundredths))
}

/// The longest Retry-After, in seconds, that a change of the session waits for.
const LONGEST_WAIT: u32 = 30;

/// How often in a row one change is tried.
const MAX_REFUSALS: u8 = 6;
