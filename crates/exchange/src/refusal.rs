//! A request that goes no further, and the answer it gets.

use offhook_sip::{Name, Request, Response, ResponseBuilder, Status};

/// Why a request is refused: a status, the reason in words, and the headers that belong to it.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    pub(crate) reason: String,
    headers: Vec<(Name, String)>,
    /// Whether the sender had proven who it is. Proofs are good once, so a repetition of the request has to meet
    /// its transaction; of one without proof nothing is kept.
    pub(crate) proven: bool,
}

impl Refusal {
    /// 403 in these words.
    pub(crate) fn forbidden(reason: &'static str) -> Self {
        Self::new(Status::FORBIDDEN, reason)
    }

    /// There is nobody of that number or name.
    pub(crate) fn not_found() -> Self {
        Status::NOT_FOUND.into()
    }

    /// The same, in these words.
    pub(crate) fn nobody_there(reason: &str) -> Self {
        Self::new(Status::NOT_FOUND, reason)
    }

    /// A refusal whose reason phrase says what was wrong.
    pub(crate) fn new(status: Status, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), headers: Vec::new(), proven: false }
    }

    /// The one who is called does not want the call.
    pub(crate) fn declined(reason: &str) -> Self {
        Self::new(Status::DECLINE, reason)
    }

    /// The one who is called wants to know who calls (RFC 5079).
    pub(crate) fn anonymous() -> Self {
        Status::ANONYMITY_DISALLOWED.into()
    }

    /// Nobody is there who could take the call: 480.
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(Status::TEMPORARILY_UNAVAILABLE, reason)
    }

    /// Not before so long has passed: 403 in these words, as nobody else may be asked instead.
    pub(crate) fn not_now(reason: impl Into<String>, after: std::time::Duration) -> Self {
        Self::new(Status::FORBIDDEN, reason).with(Name::RetryAfter, after.as_secs())
    }

    /// The one who is called cannot take the call now.
    pub(crate) fn busy(reason: &str) -> Self {
        Self::new(Status::BUSY_HERE, reason)
    }

    /// The same for someone who has proven who it is.
    pub(crate) fn proven(self) -> Self {
        Self { proven: true, ..self }
    }

    /// The same with a header.
    pub(crate) fn with(mut self, name: Name, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// The answer to `request`.
    pub(crate) fn response(&self, request: &Request, tag: &str) -> Response {
        let start: ResponseBuilder =
            Response::to_request(request, self.status).reason(&self.reason).to_tag(tag);
        self.headers.iter().fold(start, |answer, (name, value)| answer.header(*name, value)).finish()
    }
}

/// A status with its usual reason phrase.
impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::new(status, status.reason())
    }
}
