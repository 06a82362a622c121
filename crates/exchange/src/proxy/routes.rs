//! Routes on the way in: ours are taken off, hops are counted, loops are found (RFC 3261 §16.3, §16.4).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use offhook_sip::digest::push_hex;
use offhook_sip::{Edit, Name, NameAddr, ParseError, Request, Status, Uri};
use offhook_sip_stack::Flow;

use super::signed_route::{PARAMETER, SignedRoute};
use crate::config::Config;
use crate::refusal::Refusal;

/// A request and the routes that led it here.
pub(crate) struct Routed {
    /// Still with the routes to take off, for it will be changed further.
    request: Request,
    /// How many routes on top are ours.
    pub(crate) ours: usize,
    /// What our own Record-Route says, if the request came along one.
    pub(crate) signed: Option<SignedRoute>,
    /// Whether another route is left that is not ours.
    pub(crate) foreign_route: bool,
}

impl Routed {
    /// The request as it came, but for what a strict router did to it.
    pub(crate) fn as_it_came(&self) -> &Request {
        &self.request
    }

    /// The request without the routes that are ours.
    pub(crate) fn stripped(&self) -> Request {
        if self.ours == 0 {
            return self.request.clone();
        }
        let mut edit = self.request.edit();
        take_off(&mut edit, self.ours);
        edit.finish()
    }
}

/// Takes the topmost routes off.
pub(crate) fn take_off(edit: &mut Edit<Request>, routes: usize) {
    for _ in 0..routes {
        edit.pop_route();
    }
}

/// Finds the routes that name us (§16.4), also for a strict router before us.
///
/// # Errors
/// 400 for a Route that cannot be read; 403 for one that looks like ours but is not signed by us for this call.
pub(crate) fn strip(request: &Request, flow: &Flow, config: &Config) -> Result<Routed, Refusal> {
    let mut routes: Vec<NameAddr> = request
        .routes()
        .collect::<Result<_, ParseError>>()
        .map_err(|error| Refusal::new(Status::BAD_REQUEST, error.to_string()))?;
    let (mut signed, mut ours) = (None, 0);
    let mut mended = None;
    let uri = request.uri().map_err(|error| Refusal::new(error.status(), error.to_string()))?;
    // A phone's own URI may have a parameter of the same name, so one that does not open is none of ours.
    if let Ok(Some(opened)) = open(&uri, request, config)
        && let Some(target) = routes.pop()
    {
        // A strict router put our Record-Route into the Request-URI and the target at the end (§16.4).
        signed = Some(opened);
        let mut edit = request.edit();
        edit.set_uri(&target.uri).remove(Name::Route);
        for route in &routes {
            edit.add(Name::Route, route);
        }
        mended = Some(edit.finish());
    }
    let mut left = routes.into_iter().peekable();
    while let Some(top) = left.peek() {
        match open(&top.uri, request, config) {
            // The last one counts: those before it led here in a spiral.
            Ok(Some(opened)) => signed = Some(opened),
            Ok(None) if matches!(&top.uri, Uri::Sip(uri) if config.is_here(uri, flow)) => {}
            Ok(None) => break,
            // It belongs to another exchange, further on.
            Err(_) if signed.is_some() => break,
            Err(refusal) => return Err(refusal),
        }
        ours += 1;
        left.next();
    }
    let foreign_route = left.peek().is_some();
    Ok(Routed { request: mended.unwrap_or_else(|| request.clone()), ours, signed, foreign_route })
}

/// What a URI of ours says; `None` if it does not even claim to be one.
fn open(uri: &Uri, request: &Request, config: &Config) -> Result<Option<SignedRoute>, Refusal> {
    let Some(sealed) = uri.as_sip().and_then(|uri| uri.param(PARAMETER)) else { return Ok(None) };
    let call_id = request.call_id().map_err(|error| Refusal::new(error.status(), error.to_string()))?;
    match SignedRoute::open(sealed, call_id, &config.key) {
        Some(signed) => Ok(Some(signed)),
        None => Err(Refusal::new(Status::FORBIDDEN, "This route was not made here for this call")),
    }
}

/// Refuses a request that has come too far (§16.3 step 3) or came by before (step 4).
pub(crate) fn check_hops(request: &Request, config: &Config) -> Result<(), Refusal> {
    let bad = |error: ParseError| Refusal::new(Status::BAD_REQUEST, error.to_string());
    if request.max_forwards().map_err(bad)? == Some(0) {
        return Err(Status::TOO_MANY_HOPS.into());
    }
    let mark = loop_mark(request, config);
    let came_by = request.vias().flatten().any(|via| via.branch().is_some_and(|one| one.ends_with(&mark)));
    if came_by { Err(Status::LOOP_DETECTED.into()) } else { Ok(()) }
}

/// The part of our branches that stays the same when a request comes by again unchanged, and differs when it
/// spirals (§16.6 step 8).
pub(crate) fn loop_mark(request: &Request, config: &Config) -> String {
    let mut hasher = DefaultHasher::new();
    config.key.0.hash(&mut hasher);
    request.uri_bytes().hash(&mut hasher);
    for name in [Name::From, Name::To, Name::CallId, Name::ProxyRequire, Name::Route] {
        request.raw(name).hash(&mut hasher);
    }
    request.cseq().map(|cseq| cseq.number).unwrap_or_default().hash(&mut hasher);
    let mut mark = String::with_capacity(17);
    mark.push('.');
    push_hex(&mut mark, &hasher.finish().to_be_bytes());
    mark
}
