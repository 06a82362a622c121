//! A received request to the request that is sent on (RFC 3261 §16.6).

use offhook_sip::{Edit, Name, Request};
use offhook_sip_stack::{Flow, Transport};

use super::routes::loop_mark;
use super::signed_route::{PARAMETER, SignedRoute};
use super::target::Target;
use crate::config::Config;
use crate::context::Context;
use crate::identity::{self, Caller};

/// What changes in a request that starts something on its way to one target.
pub(crate) struct Changes<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) target: &'a Target,
    /// The route to put into the dialog, for the way in and the way out.
    pub(crate) record: Option<(&'a SignedRoute, &'a Flow)>,
    /// The body with the relay's addresses, if media goes through us.
    pub(crate) body: Option<Vec<u8>>,
    /// On how many ways at once it may be from there on.
    pub(crate) max_breadth: u32,
}

/// The request as it goes to a target.
pub(crate) fn to_target(
    request: &Request,
    changes: Changes<'_>,
    config: &Config,
    cx: &mut Context<'_>,
) -> Request {
    let mut edit = request.edit();
    edit.set_uri(&changes.target.uri);
    forget_credentials(&mut edit, request, config);
    identity::assert(&mut edit, request, changes.caller, changes.target.asserted.as_deref());
    if let Some(member) = &changes.target.member {
        identity::show_group(&mut edit, request, &member.shown);
    }
    // RFC 5393 §5.3.3.1: every request that is sent on has one.
    edit.set(Name::MaxBreadth, changes.max_breadth);
    for route in changes.target.path.iter().rev() {
        edit.push_route(route);
    }
    if let Some((signed, way_in)) = changes.record {
        record_route(&mut edit, request, signed, way_in, &changes.target.flow, config);
    }
    onward(edit, request, &changes.target.flow, changes.body, config, cx)
}

/// What every forwarded request gets: one hop less, our Via, perhaps another body.
pub(crate) fn onward(
    mut edit: Edit<Request>,
    request: &Request,
    way: &Flow,
    body: Option<Vec<u8>>,
    config: &Config,
    cx: &mut Context<'_>,
) -> Request {
    let hops = request.max_forwards().ok().flatten();
    edit.set_max_forwards(hops.map_or(MAX_FORWARDS, |hops| hops.saturating_sub(1)));
    let branch = cx.sip().branch() + &loop_mark(request, config);
    let (transport, sent_by) = (way.transport.via_name(), config.sent_by(way));
    edit.push_via(format_args!("SIP/2.0/{transport} {sent_by};branch={branch};rport"));
    match body {
        Some(body) => edit.set_body(None, &body),
        None => edit.ensure_content_length(),
    };
    edit.finish()
}

/// Two routes where the ways differ, so that each party sees an address and transport that it can reach
/// (RFC 5658).
fn record_route(
    edit: &mut Edit<Request>,
    request: &Request,
    signed: &SignedRoute,
    way_in: &Flow,
    way_out: &Flow,
    config: &Config,
) {
    let sealed = signed.seal(request.call_id().unwrap_or_default(), &config.key);
    let secure = request.uri().is_ok_and(|uri| uri.as_sip().is_some_and(|uri| uri.secure()));
    let scheme = if secure { "sips" } else { "sip" };
    // In a sips URI it is what TLS runs over (RFC 5630 §3.1.4, RFC 7118 §5.2.2).
    let name = |transport: Transport| match transport {
        Transport::Tls if secure => Transport::Tcp.uri_name(),
        Transport::Wss if secure => Transport::Ws.uri_name(),
        other => other.uri_name(),
    };
    let place = |flow: &Flow| (config.sent_by(flow), name(flow.transport));
    let mut push = |(sent_by, transport)| {
        edit.push_record_route(format_args!(
            "<{scheme}:{sent_by};transport={transport};lr;{PARAMETER}={sealed}>"
        ));
    };
    let (inner, outer) = (place(way_in), place(way_out));
    if inner != outer {
        push(inner);
    }
    push(outer);
}

/// Takes out the credentials for us, and only those (§22.3): they are nobody else's business.
pub(super) fn forget_credentials(edit: &mut Edit<Request>, request: &Request, config: &Config) {
    // A phone may answer its registrar's last challenge in any request, so Authorization too.
    for name in [Name::ProxyAuthorization, Name::Authorization] {
        let ours = |realm: Option<&str>| realm == Some(config.realm.as_str());
        if !request.credentials(name).flatten().any(|one| ours(one.realm().as_deref())) {
            continue;
        }
        edit.remove(name);
        for one in request.credentials(name).flatten().filter(|one| !ours(one.realm().as_deref())) {
            edit.add(name, one);
        }
    }
}

/// Where a request has none (§16.6 step 3).
const MAX_FORWARDS: u8 = 70;
