//! From a URI to addresses (RFC 3263): at once where no DNS is needed, else by a [`Lookup`].

mod dns;
mod enumeration;
mod lookup;

use std::net::{IpAddr, SocketAddr};

use offhook_sip::{Host, SipUri, Text, Uri};

use crate::transport::is_unicast;
use crate::{Flow, Transport};

pub use dns::{DnsAnswer, DnsFailure, Naptr, Question, Reach, Records, Srv};
pub use enumeration::{Enumerated, Enumeration};
pub use lookup::{Hop, Lookup, Step};

/// One place to send a request to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Over what.
    pub transport: Transport,
    /// Where to.
    pub remote: SocketAddr,
}

impl Target {
    /// The way there from a local address, without a connection.
    pub fn flow(self, local: SocketAddr) -> Flow {
        Flow { transport: self.transport, local, remote: self.remote, connection: None }
    }
}

/// What a URI says about where to send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// Addresses, to be tried in this order.
    Targets(Vec<Target>),
    /// A name, which the caller resolves.
    Unresolved {
        /// The name.
        host: Text,
        /// The port, if the URI has one: then SRV is not asked (RFC 3263 §4.2).
        port: Option<u16>,
        /// The transport, if the URI names one: then NAPTR is not asked (RFC 3263 §4.1).
        transport: Option<Transport>,
        /// Whether only TLS will do.
        secure: bool,
    },
}

/// Why nothing can be sent to a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unreachable {
    /// The scheme is not sip or sips.
    Scheme,
    /// The transport is not supported, or not secure where it has to be.
    Transport,
    /// The address is unspecified, multicast or broadcast.
    Address,
}

/// Locates the next hop named by a Request-URI or by the topmost Route.
pub fn locate(uri: &Uri) -> Result<Located, Unreachable> {
    locate_sip(uri.as_sip().ok_or(Unreachable::Scheme)?)
}

/// [`locate`] for a sip or sips URI.
pub fn locate_sip(uri: &SipUri) -> Result<Located, Unreachable> {
    let transport = transport(uri)?;
    // RFC 3263 §4: where there is an maddr, it is the target.
    let host = match uri.param("maddr").filter(|maddr| !maddr.is_empty()) {
        Some(maddr) => Host::parse(maddr).ok_or(Unreachable::Address)?,
        None => uri.host().clone(),
    };
    match host {
        Host::Name(host) => {
            Ok(Located::Unresolved { host, port: uri.port(), transport, secure: uri.secure() })
        }
        Host::V4(ip) => targets(ip.into(), uri, transport),
        Host::V6(ip) => targets(ip.into(), uri, transport),
    }
}

/// An address needs no DNS, only defaults (RFC 3263 §4.1, §4.2).
fn targets(ip: IpAddr, uri: &SipUri, transport: Option<Transport>) -> Result<Located, Unreachable> {
    let default = if uri.secure() { Transport::Tls } else { Transport::Udp };
    let transport = transport.unwrap_or(default);
    let port = uri.port().unwrap_or(transport.default_port());
    if port == 0 || !is_unicast(ip) {
        return Err(Unreachable::Address);
    }
    Ok(Located::Targets(vec![Target { transport, remote: SocketAddr::new(ip, port) }]))
}

/// The transport that a URI names; of those, its secure form in a sips URI (RFC 3261 §26.2.2, RFC 7118 §7).
fn transport(uri: &SipUri) -> Result<Option<Transport>, Unreachable> {
    let Some(named) = uri.transport() else { return Ok(None) };
    match (Transport::from_sip(named), uri.secure()) {
        (Some(Transport::Tcp | Transport::Tls), true) => Ok(Some(Transport::Tls)),
        (Some(Transport::Ws | Transport::Wss), true) => Ok(Some(Transport::Wss)),
        (Some(Transport::Udp), true) | (None, _) => Err(Unreachable::Transport),
        (Some(transport), false) => Ok(Some(transport)),
    }
}

#[cfg(test)]
mod tests;
