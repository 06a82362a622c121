//! What is here, what is elsewhere, and how we name ourselves to a peer.

use std::net::{IpAddr, SocketAddr};

use offhook_sip::{Host, HostPort, Request, SipUri, Uri};
use offhook_sip_stack::Flow;

use crate::config::Config;

impl Config {
    /// Whether a URI's host and port mean this exchange. `flow` is the way on which the request came.
    ///
    /// A name is served with any port; an address only with a port of ours, since a phone on the same machine
    /// has the same address.
    pub(crate) fn is_here(&self, uri: &SipUri, flow: &Flow) -> bool {
        let port = uri.host().ip().and(uri.port());
        port.is_none_or(|port| self.is_our_port(port, flow)) && self.is_ours(uri.host(), flow)
    }

    /// Whether a host is a domain or an address of ours.
    pub(crate) fn is_ours(&self, host: &Host, flow: &Flow) -> bool {
        match host.ip() {
            None => self.serves(&host.to_string()),
            Some(ip) => self.is_our_address(ip.to_canonical(), flow),
        }
    }

    /// Whether what is sent to an address comes back to us.
    pub(crate) fn is_us(&self, address: SocketAddr, flow: &Flow) -> bool {
        self.is_our_port(address.port(), flow) && self.is_our_address(address.ip(), flow)
    }

    /// Whether a URI names us by any address, and no other user than the Request-URI: SIPp puts the address that it
    /// sends to into its credentials, whatever it asks for.
    pub(crate) fn means_the_same(&self, uri: &Uri, request: &Request, flow: &Flow) -> bool {
        let user = user_of(uri);
        uri.as_sip().is_some_and(|uri| self.is_ours(uri.host(), flow))
            && (user.is_none() || request.uri().is_ok_and(|asked| user == user_of(&asked)))
    }

    fn is_our_port(&self, port: u16, flow: &Flow) -> bool {
        port == flow.local.port() || self.listeners.iter().any(|one| one.address.port() == port)
    }

    fn is_our_address(&self, ip: IpAddr, flow: &Flow) -> bool {
        ip == flow.local.ip()
            || self.external_address == Some(ip)
            || self.listeners.iter().any(|listener| listener.address.ip() == ip)
            || self.serves(&Host::from(ip).to_string())
            || self.serves(&ip.to_string())
    }

    /// Whether two addresses see each other without a NAT between them.
    pub(crate) fn same_network(&self, a: IpAddr, b: IpAddr) -> bool {
        if a.is_ipv4() != b.is_ipv4() {
            return false;
        }
        if a == b || (a.is_loopback() && b.is_loopback()) {
            return true;
        }
        let local = |ip| self.local_networks.iter().position(|network| network.contains(&ip));
        !a.is_loopback() && !b.is_loopback() && local(a) == local(b)
    }

    /// The address by which the peer of a flow reaches us: for Via, Record-Route and media.
    pub(crate) fn address_told(&self, flow: &Flow) -> IpAddr {
        let remote = flow.remote.ip();
        match self.external_address {
            Some(external)
                if external.is_ipv4() == remote.is_ipv4()
                    && !remote.is_loopback()
                    && !self.local_networks.iter().any(|one| one.contains(&remote)) =>
            {
                external
            }
            _ => flow.local.ip(),
        }
    }

    /// The sent-by of a Via, and the host of a Record-Route, on a flow. A connection that we opened has a port
    /// of its own, on which nobody listens: then it is the listener's.
    pub(crate) fn sent_by(&self, flow: &Flow) -> HostPort {
        let mut ports =
            self.listeners.iter().filter(|one| one.transport == flow.transport).map(|one| one.address.port());
        let port = match ports.next() {
            Some(first) if first != flow.local.port() && !ports.any(|port| port == flow.local.port()) => {
                first
            }
            _ => flow.local.port(),
        };
        SocketAddr::new(self.address_told(flow), port).into()
    }
}

/// The user of a URI, unescaped: the user part of a sip URI, the number of a tel URI.
pub(crate) fn user_of(uri: &Uri) -> Option<String> {
    match uri {
        Uri::Sip(uri) => uri.user_unescaped().map(|user| user.into_owned()),
        Uri::Tel(uri) => Some(uri.digits()),
        Uri::Other(_) => None,
    }
}

/// The address that a sip URI names, when its host is one.
pub(crate) fn address_of(uri: &SipUri, default_port: u16) -> Option<SocketAddr> {
    Some(SocketAddr::new(uri.host().ip()?.to_canonical(), uri.port().unwrap_or(default_port)))
}
