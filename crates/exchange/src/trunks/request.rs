//! What looking after a trunk sends, and where to.

use std::sync::Arc;

use offhook_sip::{Method, Name, NameAddr, Request, RequestBuilder, SipUri, Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::auth::Authorizer;
use offhook_sip_stack::locate::Hop;
use offhook_sip_stack::usage::{Settings, Stack};

use super::{Desk, contact_user};
use crate::b2bua::settings_as;
use crate::config::Config;
use crate::context::Context;
use crate::proxy::signed_route::Party;
use crate::route::Trunk;

/// Lends the layers below.
pub(super) fn lend<R>(
    authorizer: &mut Option<Authorizer>,
    desk: &mut Desk<'_, '_>,
    work: impl FnOnce(&mut Stack<'_, '_>) -> R,
) -> R {
    let mut cx = desk.cx.sip();
    let mut stack = Stack {
        cx: &mut cx,
        transactions: desk.transactions,
        timers: &mut desk.usages.timers,
        claims: &mut desk.usages.claims,
        authorizer: authorizer.as_mut(),
        events: &mut desk.usages.events,
    };
    work(&mut stack)
}

/// Whoever answers at these addresses over TLS has to be the provider (RFC 5922 §4).
pub(super) fn expect(flows: &[Flow], trunk: &Trunk, cx: &mut Context<'_>) {
    let domain = trunk.domain();
    let secure = flows.iter().filter(|flow| flow.transport.is_secure());
    cx.out.expected.extend(secure.map(|flow| (flow.remote, domain.clone())));
}

/// What our messages to a trunk's server say about us.
pub(super) fn settings_towards(flow: &Flow, trunk: &Trunk, config: &Config) -> Arc<Settings> {
    let party = Party { flow: *flow, behind_nat: false };
    settings_as(&contact_user(trunk, &config.key), &party, config)
}

/// The ways to servers that one Via and one Contact of ours fit.
pub(super) fn flows(hops: &[Hop], config: &Config) -> Vec<Flow> {
    let is_us = |hop: &&Hop| {
        let remote = hop.target.remote;
        let own_port = config.listeners.iter().any(|one| one.address.port() == remote.port());
        own_port
            && (remote.ip() == hop.local
                || config.listeners.iter().any(|one| one.address.ip() == remote.ip()))
    };
    let ways = hops.iter().filter(|hop| !is_us(hop));
    let mut flows: Vec<Flow> =
        ways.filter_map(|hop| Some(hop.target.flow(config.local_towards(hop)?))).take(MOST_SERVERS).collect();
    if let Some(first) = flows.first().copied() {
        flows.retain(|flow| flow.transport == first.transport && flow.local == first.local);
    }
    flows
}

pub(super) fn options(trunk: &Trunk, flow: &Flow, settings: &Settings, cx: &mut Context<'_>) -> Request {
    let (branch, tag, call_id) = (cx.sip().branch(), cx.sip().tag(), cx.sip().call_id());
    let via = offhook_sip::Via::new(flow.transport.into(), settings.sent_by.clone(), &branch).with_rport();
    let target: SipUri = trunk.server.clone().without_params();
    let from = match trunk.account() {
        Some(account) => target.clone().without_port().with_user(&account.username),
        None => SipUri::new(None, settings.sent_by.host.clone()),
    };
    RequestBuilder::new(Method::Options, &Uri::from(target.clone()))
        .header(Name::Via, via)
        .header(Name::MaxForwards, 70)
        .header(Name::From, NameAddr::new(from).with_tag(&tag))
        .header(Name::To, NameAddr::new(target))
        .header(Name::CallId, call_id)
        .header(Name::CSeq, "1 OPTIONS")
        .header(Name::Contact, &settings.contact)
        .header(Name::Accept, "application/sdp")
        .header(Name::UserAgent, &settings.agent)
        .finish()
}

/// Why a registration is refused, in words that help.
pub(super) fn refusal(status: Status, reason: String) -> String {
    match status {
        Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => {
            format!(
                "{reason}: the user name or the password is wrong, or the realm is not the configured one"
            )
        }
        Status::REQUEST_TIMEOUT => "no answer".to_owned(),
        _ => reason,
    }
}

pub(super) fn no_way(trunk: &Trunk) -> String {
    format!("no address of ours reaches {}, or it is our own", trunk.next_hop().host())
}

const MOST_SERVERS: usize = 8;
