//! `Env`: everything that the parts of a phone share, lent for one input.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use offhook_sip::{Contact, NameAddr, SipUri, Status, Uri};
use offhook_sip_stack::dialog::first_hop;
use offhook_sip_stack::locate::{Located, locate};
use offhook_sip_stack::usage::{Settings, Stack};
use offhook_sip_stack::{Flow, Transport};

use crate::ports::Ports;
use crate::{Config, Event, Listener, MediaTransmit, Question, QuestionId};

/// What a part of the phone works with.
pub(crate) struct Env<'a, 'b> {
    pub(crate) config: &'a Config,
    /// One for each listener.
    pub(crate) settings: &'a [Arc<Settings>],
    pub(crate) stack: Stack<'a, 'b>,
    pub(crate) ports: &'a mut Ports,
    /// The last number given to a call, request or question.
    pub(crate) numbers: &'a mut u64,
    /// The proxies that the registrar wants our requests to pass (RFC 3608).
    pub(crate) service_route: &'a mut Vec<NameAddr>,
    pub(crate) media: &'a mut Vec<MediaTransmit>,
    pub(crate) questions: &'a mut Vec<Question>,
    pub(crate) events: &'a mut Vec<Event>,
}

/// How a request gets to its first hop.
pub(crate) enum Way {
    /// On one of these, best first.
    Flows(Vec<Flow>),
    /// The driver is asked.
    Asked(QuestionId),
}

impl Env<'_, '_> {
    pub(crate) fn now(&self) -> Instant {
        self.stack.cx.now
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        *self.numbers += 1;
        *self.numbers
    }

    /// Us, as in From.
    pub(crate) fn identity(&self) -> NameAddr {
        let address = NameAddr::new(self.config.identity.clone());
        match &self.config.display_name {
            Some(name) => address.with_display_name(name),
            None => address,
        }
    }

    /// The proxies that a request outside of a dialog passes first.
    pub(crate) fn routes(&self) -> Vec<NameAddr> {
        self.proxy().into_iter().chain(self.service_route.iter().cloned()).collect()
    }

    /// The outbound proxy as a Route.
    pub(crate) fn proxy(&self) -> Option<NameAddr> {
        match self.config.outbound_proxy.as_ref()? {
            Uri::Sip(uri) => Some(NameAddr::new(uri.clone().with_param("lr", None))),
            Uri::Tel(_) | Uri::Other(_) => None,
        }
    }

    /// How a request for `target` over `routes` gets to its first hop.
    ///
    /// # Errors
    /// The status to report when there is no way.
    pub(crate) fn way(&mut self, target: &Uri, routes: &[NameAddr]) -> Result<Way, Status> {
        let unreachable = Status::SERVICE_UNAVAILABLE;
        match locate(&first_hop(target, routes).next).map_err(|_| Status::UNSUPPORTED_URI_SCHEME)? {
            Located::Targets(targets) => {
                let flows = self.flows(targets.into_iter().map(|target| (target.transport, target.remote)));
                if flows.is_empty() { Err(unreachable) } else { Ok(Way::Flows(flows)) }
            }
            Located::Unresolved { host, port, transport, .. } => {
                let id = QuestionId(self.next_number());
                self.questions.push(Question { id, host: host.to_string(), port, transport });
                Ok(Way::Asked(id))
            }
        }
    }

    /// The flows to these addresses, as far as we have sockets for them.
    pub(crate) fn flows(&self, addresses: impl IntoIterator<Item = (Transport, SocketAddr)>) -> Vec<Flow> {
        let addresses = addresses.into_iter();
        addresses.filter_map(|address| flow(self.config, address)).take(MAX_FLOWS).collect()
    }

    /// The way to the same peer from where we are now.
    pub(crate) fn moved(&self, flow: &Flow) -> Option<Flow> {
        moved(self.config, flow)
    }

    /// What our messages on this flow say about us.
    pub(crate) fn settings(&self, flow: &Flow) -> Option<Arc<Settings>> {
        let fits = |listener: &&Listener| listener.transport == flow.transport;
        let listeners = &self.config.listeners;
        let exact = listeners.iter().position(|listener| fits(&listener) && listener.local == flow.local);
        let family = |listener: &Listener| listener.local.is_ipv4() == flow.remote.is_ipv4();
        let at = exact
            .or_else(|| listeners.iter().position(|listener| fits(&listener) && family(listener)))
            .or_else(|| listeners.iter().position(family))
            .unwrap_or_default();
        self.settings.get(at).cloned()
    }
}

/// The way to an address, if we have a socket for it.
fn flow(config: &Config, (transport, remote): (Transport, SocketAddr)) -> Option<Flow> {
    let mut listeners = config.listeners.iter();
    let fits = |one: &&Listener| one.transport == transport && one.local.is_ipv4() == remote.is_ipv4();
    Some(Flow { transport, local: listeners.find(fits)?.local, remote, connection: None })
}

/// The way to the same peer from where we are now.
pub(crate) fn moved(config: &Config, before: &Flow) -> Option<Flow> {
    flow(config, (before.transport, before.remote))
}

/// What our messages say about us on each listener.
pub(crate) fn describe(config: &Config) -> Vec<Arc<Settings>> {
    config.listeners.iter().map(|listener| Arc::new(describe_one(config, listener))).collect()
}

fn describe_one(config: &Config, listener: &Listener) -> Settings {
    let user = config.identity.as_sip().and_then(SipUri::user_unescaped);
    let mut contact = SipUri::new(user.as_deref(), listener.advertised.ip().into());
    contact = contact.with_port(listener.advertised.port());
    if listener.transport != Transport::Udp {
        // RFC 7118 §5.2.2: both kinds of WebSocket have one name in URIs.
        let name = if listener.transport == Transport::Wss { Transport::Ws } else { listener.transport };
        contact = contact.with_param("transport", Some(name.uri_name()));
    }
    Settings {
        sent_by: listener.advertised.into(),
        contact: Contact::new(contact),
        agent: config.user_agent.clone(),
        allow: crate::server::allow(config),
        reliable_provisional: config.reliable_provisional,
        session_timers: config.session_timers,
        pinned: false,
    }
}

/// The most addresses of one target that are tried.
const MAX_FLOWS: usize = 8;
