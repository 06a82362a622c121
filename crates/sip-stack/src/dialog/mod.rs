//! Dialogs (RFC 3261 §12): what both ends remember of each other.

mod request;
#[cfg(test)]
mod tests;

use offhook_sip::{Contacts, Headers, Method, Name, NameAddr, Request, Response, Status, Text, Uri};

pub use request::{Hop, MAX_FORWARDS, first_hop};

/// What a dialog is found by (§12): seen from our side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: Text,
    /// Our tag.
    pub local_tag: Text,
    /// The peer's tag; empty for a peer of RFC 2543 that has none.
    pub remote_tag: Text,
}

/// Whether a dialog was made by a provisional response or by a 2xx (§12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Made by a provisional response.
    Early,
    /// Made or confirmed by a 2xx.
    Confirmed,
}

/// One dialog, as plain data in memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    id: DialogId,
    phase: Phase,
    local: NameAddr,
    remote: NameAddr,
    local_sequence: u32,
    remote_sequence: Option<u32>,
    remote_target: Uri,
    route_set: Vec<NameAddr>,
    secure: bool,
}

impl DialogId {
    /// The id of the dialog that a received request belongs to; our tag is in To.
    pub fn of_request(request: &Headers) -> Option<Self> {
        Some(Self {
            call_id: request.call_id().ok()?.into(),
            local_tag: request.to_tag()?.into(),
            remote_tag: request.from_tag().unwrap_or_default().into(),
        })
    }

    /// The id of the dialog that a received response belongs to or makes; our tag is in From.
    pub fn of_response(response: &Headers) -> Option<Self> {
        Some(Self {
            call_id: response.call_id().ok()?.into(),
            local_tag: response.from_tag()?.into(),
            remote_tag: response.to_tag().unwrap_or_default().into(),
        })
    }
}

impl Dialog {
    /// The dialog that a response to our request makes (§12.1.2); `None` for a response that makes none: a
    /// 100, a failure, one without a readable To or with more routes than a message may reasonably have.
    ///
    /// A response without Contact is taken to be reached where the request went: many a 180 has none.
    pub fn uac(request: &Request, response: &Response) -> Option<Self> {
        let status = response.status();
        if status == Status::TRYING || !(status.is_provisional() || status.is_success()) {
            return None;
        }
        let id = DialogId::of_response(response)?;
        if status.is_provisional() && id.remote_tag.is_empty() {
            return None;
        }
        let secure = is_secure(&request.uri().ok()?);
        Some(Self {
            id,
            phase: phase_of(status),
            local: request.from().ok()?.detach(),
            remote: response.to().ok()?.detach(),
            local_sequence: request.cseq().ok()?.number,
            remote_sequence: None,
            remote_target: contact_of(response).or_else(|| request.uri().ok())?.detach(),
            route_set: route_set(response)?.into_iter().rev().collect(),
            secure,
        })
    }

    /// The dialog that our response, with this tag, to a received request makes (§12.1.1). It is early until
    /// [`Dialog::confirm`].
    ///
    /// # Errors
    /// The status to answer with when the request cannot make a dialog.
    pub fn uas(request: &Request, local_tag: &str) -> Result<Self, Status> {
        let bad = Status::BAD_REQUEST;
        let id = DialogId {
            call_id: request.call_id().map_err(|_| bad)?.into(),
            local_tag: local_tag.into(),
            remote_tag: request.from_tag().unwrap_or_default().into(),
        };
        Ok(Self {
            id,
            phase: Phase::Early,
            local: request.to().map_err(|_| bad)?.detach().with_tag(local_tag),
            remote: request.from().map_err(|_| bad)?.detach(),
            local_sequence: 0,
            remote_sequence: Some(request.cseq().map_err(|_| bad)?.number),
            remote_target: contact_of(request).ok_or(bad)?.detach(),
            route_set: route_set(request).ok_or(bad)?,
            secure: is_secure(&request.uri().map_err(|_| bad)?),
        })
    }

    /// Confirms an early dialog as UAS: our 2xx is sent.
    pub fn confirm(&mut self) {
        self.phase = Phase::Confirmed;
    }

    /// Takes over what a later response to the request that made the dialog says: a 2xx confirms it and names the
    /// route set anew (§13.2.2.4), a Contact is the remote target.
    pub fn update(&mut self, response: &Response) {
        if response.status().is_success() {
            self.phase = Phase::Confirmed;
            if let Some(routes) = route_set(response) {
                self.route_set = routes.into_iter().rev().collect();
            }
        }
        self.refresh_target(response);
    }

    /// Takes over the remote target of a target refresh request or of a 2xx to one (§12.2): INVITE, UPDATE,
    /// SUBSCRIBE, NOTIFY, REFER.
    pub fn refresh_target(&mut self, message: &Headers) {
        if let Some(target) = contact_of(message) {
            self.remote_target = target.detach();
        }
    }

    /// Checks the order of a received request, other than ACK and CANCEL, and remembers its number (§12.2.2).
    ///
    /// # Errors
    /// 500 for a request older than one already seen.
    pub fn receive(&mut self, request: &Request) -> Result<(), Status> {
        let number = request.cseq().map_err(|_| Status::BAD_REQUEST)?.number;
        if self.remote_sequence.is_some_and(|last| number <= last) {
            return Err(Status::SERVER_INTERNAL_ERROR);
        }
        self.remote_sequence = Some(number);
        if refreshes_target(request.method()) {
            self.refresh_target(request);
        }
        Ok(())
    }

    /// Our next request has the number after this one.
    pub(crate) fn continue_after(&mut self, sequence: u32) {
        self.local_sequence = sequence;
    }

    /// What it is found by.
    pub fn id(&self) -> &DialogId {
        &self.id
    }

    /// Early or confirmed.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Our address with our tag: From of our requests.
    pub fn local(&self) -> &NameAddr {
        &self.local
    }

    /// The peer's address with its tag: To of our requests.
    pub fn remote(&self) -> &NameAddr {
        &self.remote
    }

    /// The peer's Contact.
    pub fn remote_target(&self) -> &Uri {
        &self.remote_target
    }

    /// The proxies between, ours first.
    pub fn route_set(&self) -> &[NameAddr] {
        &self.route_set
    }

    /// The number of our last request.
    pub fn local_sequence(&self) -> u32 {
        self.local_sequence
    }

    /// Whether the dialog is bound to TLS by a sips URI (§12.1.1).
    pub fn is_secure(&self) -> bool {
        self.secure
    }
}

/// The most routes that a dialog keeps: a message may name more, but no real path has them.
pub const MAX_ROUTES: usize = 32;

fn phase_of(status: Status) -> Phase {
    if status.is_success() { Phase::Confirmed } else { Phase::Early }
}

fn is_secure(uri: &Uri) -> bool {
    uri.as_sip().is_some_and(offhook_sip::SipUri::secure)
}

fn refreshes_target(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer)
}

fn contact_of(message: &Headers) -> Option<Uri> {
    if !message.has(Name::Contact) {
        return None;
    }
    match message.contacts().ok()? {
        Contacts::Star => None,
        Contacts::List(list) => list.first().map(|contact| contact.uri().clone()),
    }
}

/// The Record-Routes in message order; `None` when one is malformed or there are too many.
fn route_set(message: &Headers) -> Option<Vec<NameAddr>> {
    let routes: Vec<NameAddr> = message
        .record_routes()
        .take(MAX_ROUTES + 1)
        .map(|route| route.map(|route| route.detach()))
        .collect::<Result<_, _>>()
        .ok()?;
    (routes.len() <= MAX_ROUTES).then_some(routes)
}
