//! What is known of a forwarded request until its transactions are over (RFC 3261 §16.2, §16.7).

use std::collections::VecDeque;
use std::time::Instant;

use offhook_sip::{Method, Name, Request, Response, Status};
use offhook_sip_stack::Flow;
use offhook_sip_stack::transaction::{ClientId, ServerId};

use super::anchor::Snapshot;
use super::carrier::Carrier;
use super::elsewhere::Locating;
use super::hangup::OPERATOR;
use super::signed_route::{Party, PartyName};
use super::target::Target;
use super::unanswered::Attended;
use crate::identity::Caller;

/// A request that was forwarded, and what came back so far.
pub(crate) struct ResponseContext {
    pub(crate) server: ServerId,
    /// As it was received, without the routes that led it here.
    pub(crate) request: Request,
    pub(crate) kind: Kind,
    pub(crate) branches: Vec<Branch>,
    /// Targets that are tried when those before have failed.
    pub(crate) groups: VecDeque<Vec<Target>>,
    /// Where these targets are being looked for, if they are.
    pub(crate) locating: Option<Box<Locating>>,
    /// The trunk by which it goes, if it goes by one.
    pub(crate) carrier: Option<Box<Carrier>>,
    /// The best failure so far (§16.7 step 6).
    pub(super) best: Option<Response>,
    /// Challenges of other branches than the best (§16.7 step 7).
    challenges: Vec<(Name, Vec<u8>)>,
    pub(crate) cancelled: bool,
    /// Whether it was an operator who cancelled it.
    pub(crate) hung_up: bool,
    /// Whether the caller has ended the dialog of a phone that rings, by a BYE.
    pub(crate) left: bool,
    pub(crate) final_sent: bool,
    /// Whether a phone rings.
    pub(crate) rings: bool,
    pub(crate) started: Instant,
    /// Whether a phone has said more than 100.
    pub(crate) rang: bool,
    /// Whether nothing will become of it but what its phones have said.
    pub(crate) settled: bool,
    /// Whose call it is, if something is to become of it when nobody answers.
    pub(crate) attended: Option<Box<Attended>>,
    /// The number of its charge, if it leaves on the costs of an account and is not answered.
    pub(crate) charge: Option<u64>,
}

/// Whether a request starts something or belongs to it.
pub(crate) enum Kind {
    /// Forwarded to where a user is.
    Initial {
        caller: Box<Caller>,
        from: Party,
        /// Whether it counts as a call of the caller's account.
        counted: bool,
    },
    /// Forwarded along our route.
    InDialog {
        sender: PartyName,
        /// Whose phone it goes to, by a digest, and the way there.
        to: (Option<u32>, Flow),
        /// The relay's addresses before the request's offer.
        before: Option<Snapshot>,
    },
}

/// One way that a request went (§16.6).
pub(crate) struct Branch {
    pub(crate) client: ClientId,
    pub(crate) began: Instant,
    pub(crate) target: Option<Target>,
    pub(crate) anchor: Option<u64>,
    /// Whether any response came.
    pub(crate) heard: bool,
    /// Whether a final response came, or never will.
    pub(crate) done: bool,
    /// What stands for the tag of the first 2xx.
    pub(crate) answered: Option<u32>,
    /// Whether its transaction is gone.
    pub(crate) ended: bool,
    /// When ringing has lasted too long (§16.8).
    pub(crate) timer_c: Option<Instant>,
    /// Why we cancelled it, when that is not the caller's wish: what its 487 stands for.
    pub(crate) given_up: Option<(Status, &'static str)>,
}

impl Branch {
    pub(crate) fn new(client: ClientId, began: Instant, target: Option<Target>, anchor: Option<u64>) -> Self {
        Self {
            client,
            began,
            target,
            anchor,
            heard: false,
            done: false,
            answered: None,
            ended: false,
            timer_c: None,
            given_up: None,
        }
    }
}

impl ResponseContext {
    pub(crate) fn new(server: ServerId, request: Request, kind: Kind, started: Instant) -> Self {
        Self {
            server,
            request,
            kind,
            branches: Vec::new(),
            groups: VecDeque::new(),
            locating: None,
            carrier: None,
            best: None,
            challenges: Vec::new(),
            cancelled: false,
            hung_up: false,
            left: false,
            final_sent: false,
            rings: false,
            started,
            rang: false,
            settled: false,
            attended: None,
            charge: None,
        }
    }

    pub(crate) fn is_invite(&self) -> bool {
        *self.request.method() == Method::Invite
    }

    /// Whether it is a call that is being set up.
    pub(crate) fn is_new_call(&self) -> bool {
        self.is_invite() && !self.final_sent && matches!(self.kind, Kind::Initial { .. })
    }

    pub(crate) fn call_id(&self) -> &str {
        self.request.call_id().unwrap_or_default()
    }

    /// Whether it is a call to a group.
    pub(crate) fn hunts(&self) -> bool {
        self.attended.as_ref().is_some_and(|attended| attended.hunt.is_some())
    }

    /// Whether nothing more can come of the branches tried so far.
    pub(crate) fn all_done(&self) -> bool {
        self.locating.is_none() && self.branches.iter().all(|branch| branch.done)
    }

    /// Whether a branch leads to a domain that has another server to try.
    pub(crate) fn has_alternative(&self, index: usize) -> bool {
        let target = self.branches.get(index).and_then(|branch| branch.target.as_ref());
        target.is_some_and(|target| target.domain.is_some() && !target.alternatives.is_empty())
    }

    /// Whether the context is no longer needed.
    pub(crate) fn is_over(&self) -> bool {
        self.final_sent && self.branches.iter().all(|branch| branch.ended)
    }

    /// Takes note of a failure, its Via already off.
    pub(crate) fn failed(&mut self, response: Response) {
        for name in [Name::WwwAuthenticate, Name::ProxyAuthenticate] {
            self.challenges.extend(response.raw_all(name).map(|value| (name, value.to_vec())));
        }
        if self.best.as_ref().is_none_or(|best| rank(response.status()) < rank(best.status())) {
            self.best = Some(response);
        }
    }

    /// A failure of our own making, as if a phone had sent it.
    pub(crate) fn failed_with(&mut self, status: Status, reason: &str, tag: &str) {
        self.failed(Response::to_request(&self.request, status).reason(reason).to_tag(tag).finish());
    }

    /// The failure to pass on (§16.7 steps 6 and 7).
    pub(crate) fn best(&mut self, tag: &str) -> Response {
        let answer = |status: Status| Response::to_request(&self.request, status).to_tag(tag);
        if self.hung_up {
            let (status, words) = OPERATOR;
            return answer(status).reason(words).finish();
        }
        let Some(best) = self.best.take() else {
            let status =
                if self.cancelled { Status::REQUEST_TERMINATED } else { Status::TEMPORARILY_UNAVAILABLE };
            return answer(status).finish();
        };
        match best.status() {
            // What a phone cannot do now says nothing about us (§16.7 step 6).
            Status::SERVICE_UNAVAILABLE if !self.branches.is_empty() => {
                let reason = String::from_utf8_lossy(best.reason()).into_owned();
                answer(Status::SERVER_INTERNAL_ERROR).reason(&reason).finish()
            }
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED if self.branches.len() > 1 => {
                let mut edit = best.edit();
                edit.remove(Name::WwwAuthenticate).remove(Name::ProxyAuthenticate);
                for (name, value) in &self.challenges {
                    edit.add(*name, String::from_utf8_lossy(value));
                }
                edit.finish()
            }
            _ => best,
        }
    }
}

/// Lower is better: 6xx, then the lowest class; within 4xx those that help the caller to try again (§16.7 step 6).
pub(crate) fn rank(status: Status) -> (u8, u8) {
    let class = if status.class() == 6 { 0 } else { status.class() };
    let within = match status {
        Status::UNAUTHORIZED
        | Status::PROXY_AUTHENTICATION_REQUIRED
        | Status::UNSUPPORTED_MEDIA_TYPE
        | Status::BAD_EXTENSION
        | Status::ADDRESS_INCOMPLETE => 0,
        Status::REQUEST_TIMEOUT | Status::REQUEST_TERMINATED | Status::TEMPORARILY_UNAVAILABLE => 2,
        _ => 1,
    };
    (class, within)
}
