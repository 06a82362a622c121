//! What an invite usage tells its owner.

use offhook_sip::{Method, Name, Request, Response, Status, Text};

use crate::transaction::ServerId;
use crate::usage::Body;

/// What happened to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum InviteEvent {
    /// A provisional response came.
    Progress {
        /// 101 to 199.
        status: Status,
        /// Its reason phrase.
        reason: String,
        /// Its session description: an answer, or what the answer will be (§13.2.1).
        body: Option<Body>,
        /// The tag of the early dialog: forks have different ones.
        tag: Text,
    },
    /// Our INVITE was answered with a 2xx.
    Answered {
        /// The peer's answer; where `offer` is set, its offer, which [`Invite::answer`](super::Invite::answer) answers.
        body: Option<Body>,
        /// Whether the body is an offer.
        offer: bool,
    },
    /// Our 2xx was acknowledged.
    Confirmed,
    /// The peer offers a session, or, without a body, asks us to. It waits for
    /// [`Invite::answer`](super::Invite::answer) or [`Invite::refuse`](super::Invite::refuse).
    Offer {
        /// The offer.
        body: Option<Body>,
    },
    /// The peer took its offer back.
    OfferWithdrawn,
    /// The peer answered our offer.
    Settled {
        /// The answer.
        body: Body,
    },
    /// The peer refused [`Invite::change`](super::Invite::change); the session is as it was.
    ChangeFailed {
        /// Why.
        status: Status,
    },
    /// A request in the dialog that is not about the session; it waits for
    /// [`Invite::respond`](super::Invite::respond).
    Requested {
        /// Its transaction.
        server: ServerId,
        /// The request: INFO, REFER, MESSAGE, NOTIFY, OPTIONS, or anything else.
        request: Request,
    },
    /// The outcome of [`Invite::send`](super::Invite::send).
    Response {
        /// The number of our request.
        number: u32,
        /// The method of our request.
        method: Method,
        /// The final status; 408 also stands for no answer, 503 for a broken way.
        status: Status,
        /// The response, where one came.
        response: Option<Response>,
    },
    /// The call is over.
    Ended {
        /// Who ended it.
        by: Party,
        /// The final status; 200 after a BYE.
        status: Status,
        /// The reason phrase, or the text of a Reason header.
        reason: String,
        /// The response that ended it, where one did.
        response: Option<Response>,
    },
}

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// We did.
    Us,
    /// The peer did.
    Peer,
    /// Nobody did: no answer, a session that nobody refreshed, a broken way.
    Network,
}

/// Why a session is over.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) by: Party,
    pub(super) status: Status,
    reason: String,
    response: Option<Response>,
}

impl Ending {
    pub(super) fn new(by: Party, status: Status) -> Self {
        Self { by, status, reason: status.reason().to_owned(), response: None }
    }

    pub(super) fn of_response(response: Response) -> Self {
        let reason = String::from_utf8_lossy(response.reason()).into_owned();
        Self { by: Party::Peer, status: response.status(), reason, response: Some(response) }
    }

    /// Takes the words of a BYE's or CANCEL's Reason header (RFC 3326), if it has any.
    pub(super) fn because(mut self, request: &Request) -> Self {
        let Some(value) = request.raw(Name::Reason) else { return self };
        let value = String::from_utf8_lossy(value);
        let text = value.split(';').find_map(|param| param.trim().strip_prefix("text=").map(str::to_owned));
        self.reason =
            text.map_or_else(|| value.clone().into_owned(), |text| text.trim_matches('"').to_owned());
        self
    }

    pub(super) fn into_event(self) -> InviteEvent {
        InviteEvent::Ended { by: self.by, status: self.status, reason: self.reason, response: self.response }
    }
}
