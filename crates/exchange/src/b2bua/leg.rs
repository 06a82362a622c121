//! A leg: one dialog of ours with a phone or a trunk, caller's or callee's alike.

use std::sync::Arc;

use offhook_sip::{Contact, Request, SipUri, Uri};
use offhook_sip_stack::Transport;
use offhook_sip_stack::auth::Authorizer;
use offhook_sip_stack::usage::{Invite, SessionTimers, Settings, Stack, UsageId};

use super::Env;
use crate::config::Config;
use crate::directory::AddressOfRecord;
use crate::proxy::signed_route::Party;

/// One leg of a call.
pub(super) struct Leg {
    pub(super) usage: UsageId,
    pub(super) invite: Invite,
    /// What answers the challenges of a trunk.
    pub(super) authorizer: Option<Box<Authorizer>>,
    /// The account whose phone it is with.
    pub(super) account: Option<AddressOfRecord>,
    /// The way to its party.
    pub(super) party: Party,
}

impl Leg {
    /// Lends the layers below to its dialog.
    pub(super) fn enter<R>(
        &mut self,
        env: &mut Env<'_, '_>,
        work: impl FnOnce(&mut Invite, &mut Stack<'_, '_>) -> R,
    ) -> R {
        enter_with(self.authorizer.as_deref_mut(), env, |stack| work(&mut self.invite, stack))
    }
}

/// Lends the layers below to a dialog that may be about to begin.
pub(super) fn enter<R>(env: &mut Env<'_, '_>, work: impl FnOnce(&mut Stack<'_, '_>) -> R) -> R {
    enter_with(None, env, work)
}

/// The same to one whose challenges are answered.
pub(super) fn enter_with<R>(
    authorizer: Option<&mut Authorizer>,
    env: &mut Env<'_, '_>,
    work: impl FnOnce(&mut Stack<'_, '_>) -> R,
) -> R {
    let mut cx = env.cx.sip();
    let mut stack = Stack {
        cx: &mut cx,
        transactions: env.transactions,
        timers: &mut env.usages.timers,
        claims: &mut env.usages.claims,
        authorizer,
        events: &mut env.usages.events,
    };
    work(&mut stack)
}

/// What our messages to a party say about us. `secure` asks for a sips Contact, as whoever called a sips URI must get
/// (RFC 3261 §12.1.1).
pub(crate) fn settings(party: &Party, secure: bool, config: &Config) -> Arc<Settings> {
    let flow = &party.flow;
    let sent_by = config.sent_by(flow);
    let mut uri = SipUri::new(None, sent_by.host.clone());
    if let Some(port) = sent_by.port {
        uri = uri.with_port(port);
    }
    let transport = match flow.transport {
        Transport::Udp => None,
        // In a sips URI it is what TLS runs over (RFC 5630 §3.1.4, RFC 7118 §5.2.2).
        Transport::Tls if secure => None,
        Transport::Wss if secure => Some(Transport::Ws.uri_name()),
        other => Some(other.uri_name()),
    };
    if let Some(transport) = transport {
        uri = uri.with_param("transport", Some(transport));
    }
    if secure {
        uri = uri.with_secure();
    }
    Arc::new(Settings {
        sent_by,
        contact: Contact::new(uri),
        agent: AGENT.to_owned(),
        allow: ALLOW.to_owned(),
        reliable_provisional: true,
        session_timers: SessionTimers::default(),
        pinned: party.behind_nat,
    })
}

/// The same with this user in our Contact.
pub(crate) fn settings_as(user: &str, party: &Party, config: &Config) -> Arc<Settings> {
    let plain = settings(party, false, config);
    let contact = match plain.contact.uri() {
        Uri::Sip(uri) => Contact::new(uri.clone().with_user(user)),
        Uri::Tel(_) | Uri::Other(_) => plain.contact.clone(),
    };
    Arc::new(Settings { contact, ..plain.as_ref().clone() })
}

/// Whether a request is for a sips URI.
pub(super) fn is_secure(request: &Request) -> bool {
    request.uri().is_ok_and(|uri| is_sips(&uri))
}

/// Whether a URI wants TLS on every hop.
pub(super) fn is_sips(uri: &Uri) -> bool {
    uri.as_sip().is_some_and(|uri| uri.secure())
}

const AGENT: &str = concat!("Offhook/", env!("CARGO_PKG_VERSION"));
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS, REFER";
