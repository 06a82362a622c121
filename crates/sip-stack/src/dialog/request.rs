//! Requests inside a dialog (RFC 3261 §12.2.1.1), over strict and loose routers.

use offhook_sip::{CSeq, Method, Name, NameAddr, RequestBuilder, Uri, Via};

use super::Dialog;

/// Where a request is addressed and where it goes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The Request-URI.
    pub request_uri: Uri,
    /// The Route header fields.
    pub routes: Vec<NameAddr>,
    /// The URI whose host gets the request (§8.1.2): the topmost route's, or the Request-URI itself.
    pub next: Uri,
}

/// How a request for `target` passes the proxies of `routes` (§12.2.1.1, §16.12).
pub fn first_hop(target: &Uri, routes: &[NameAddr]) -> Hop {
    let Some((first, rest)) = routes.split_first() else {
        return Hop { request_uri: target.clone(), routes: Vec::new(), next: target.clone() };
    };
    let loose = first.uri.as_sip().is_some_and(offhook_sip::SipUri::has_lr);
    if loose {
        return Hop { request_uri: target.clone(), routes: routes.to_vec(), next: first.uri.clone() };
    }
    // A strict router: it takes the Request-URI, and the target waits at the end of the route. Neither headers
    // nor a method may stand in a Request-URI (§19.1.1).
    let request_uri = match &first.uri {
        Uri::Sip(uri) => Uri::Sip(uri.clone().without_headers().without_param("method")),
        other => other.clone(),
    };
    let mut routes = rest.to_vec();
    routes.push(NameAddr::new(target.clone()));
    Hop { next: request_uri.clone(), request_uri, routes }
}

impl Dialog {
    /// A request with the next sequence number; Contact, body and the rest are the caller's. `via` is ours.
    pub fn request(&mut self, method: Method, via: &Via) -> RequestBuilder {
        let number = self.next_sequence();
        self.build(method, number, via)
    }

    /// Takes the next sequence number: for a request of this dialog that is sent again with credentials.
    pub fn next_sequence(&mut self) -> u32 {
        self.local_sequence = self.local_sequence.saturating_add(1);
        self.local_sequence
    }

    /// An ACK to the 2xx of our INVITE with this number (§13.2.2.4).
    pub fn ack(&self, invite: u32, via: &Via) -> RequestBuilder {
        self.build(Method::Ack, invite, via)
    }

    /// The URI whose host gets our requests.
    pub fn next_hop(&self) -> Uri {
        first_hop(&self.remote_target, &self.route_set).next
    }

    fn build(&self, method: Method, number: u32, via: &Via) -> RequestBuilder {
        let hop = first_hop(&self.remote_target, &self.route_set);
        let cseq = CSeq { number, method: method.clone() };
        let mut builder = RequestBuilder::new(method, &hop.request_uri).header(Name::Via, via);
        for route in &hop.routes {
            builder = builder.header(Name::Route, route);
        }
        builder
            .header(Name::MaxForwards, MAX_FORWARDS)
            .header(Name::From, &self.local)
            .header(Name::To, &self.remote)
            .header(Name::CallId, &self.id.call_id)
            .header(Name::CSeq, cseq)
    }
}

/// The hops that a request may take (§8.1.1.6).
pub const MAX_FORWARDS: u8 = 70;
