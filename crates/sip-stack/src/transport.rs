//! Addresses and ways to a peer (RFC 3261 §18); no sockets.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use offhook_sip::{Name, Request, Response, Text, Via};

/// A SIP transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS.
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// WebSocket under TLS.
    Wss,
}

impl Transport {
    /// All of them; their places are their numbers where one is written down.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// Whether the transport delivers in order and without loss, so that nothing is sent again (§17).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether a peer that came by it can be called back by a connection of our own, or needs none. A phone that came by
    /// TLS has no certificate to show, and a browser listens nowhere (RFC 7118 §5): only their own connection leads back.
    pub const fn can_be_called_back(self) -> bool {
        matches!(self, Self::Udp | Self::Tcp)
    }

    /// Whether there is TLS below, as a sips URI wants it on every hop (§26.2.2).
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The word in a Via header (§20.42).
    pub const fn via_name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The word in a `transport` URI parameter (§19.1.1).
    pub const fn uri_name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// The transport named in a Via header or a URI parameter, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.uri_name().eq_ignore_ascii_case(name))
    }

    /// The transport named in a message, if it is one that is supported.
    pub const fn from_sip(transport: offhook_sip::Transport) -> Option<Self> {
        use offhook_sip::Transport as Sip;
        match transport {
            Sip::Udp => Some(Self::Udp),
            Sip::Tcp => Some(Self::Tcp),
            Sip::Tls => Some(Self::Tls),
            Sip::Ws => Some(Self::Ws),
            Sip::Wss => Some(Self::Wss),
            Sip::Sctp | Sip::TlsSctp | Sip::Other => None,
        }
    }

    /// The port when none is named (§19.1.2, RFC 7118 §5).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

impl From<Transport> for offhook_sip::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Tls => Self::Tls,
            Transport::Ws => Self::Ws,
            Transport::Wss => Self::Wss,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri_name())
    }
}

/// The number of an open connection, never used twice by one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A way to a peer (RFC 5626 §2): a datagram's addresses, or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// Our address: the listener's, or the one the datagram came to. An unspecified address (`0.0.0.0:5060`)
    /// leaves the choice to the routing table.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The open connection, where there is one.
    pub connection: Option<ConnectionId>,
}

impl Flow {
    /// Whether a failure of `failed` concerns what was sent on this flow: the same connection, or, where none was
    /// known yet, one to the same address.
    pub fn fails_with(&self, failed: &Flow) -> bool {
        self.transport == failed.transport
            && self.remote == failed.remote
            && (self.connection.is_none() || self.connection == failed.connection)
    }
}

/// The largest request that goes over UDP where the path's MTU is not known (§18.1.1).
pub const MAX_DATAGRAM_REQUEST: usize = 1300;

/// The transport for a request of `len` bytes: a large one does not go over UDP (§18.1.1).
pub const fn choose(transport: Transport, len: usize) -> Transport {
    match transport {
        Transport::Udp if len > MAX_DATAGRAM_REQUEST => Transport::Tcp,
        Transport::Udp | Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => transport,
    }
}

/// The request with another transport in its top Via, as it must be when the transport is changed after the Via
/// was made (§18.1.1).
pub fn switch(request: &Request, transport: Transport) -> Request {
    let Ok(mut via) = request.via() else { return request.clone() };
    via.transport = transport.into();
    via.transport_text = Text::from_static(transport.via_name());
    request.edit().pop_via().push_via(via).finish()
}

/// The bytes of a request for this flow: on a stream there must be a Content-Length (§18.3).
pub fn request_bytes(request: &Request, flow: &Flow) -> Bytes {
    if flow.transport.is_reliable() && !request.has(Name::ContentLength) {
        return request.edit().ensure_content_length().finish().bytes().clone();
    }
    request.bytes().clone()
}

/// The bytes of a response for this flow: on a stream there must be a Content-Length (§18.3).
pub fn response_bytes(response: &Response, flow: &Flow) -> Bytes {
    if flow.transport.is_reliable() && !response.has(Name::ContentLength) {
        return response.edit().ensure_content_length().finish().bytes().clone();
    }
    response.bytes().clone()
}

/// Writes into the top Via of a received request where it really came from: `received` if `sent-by` says
/// something else (§18.2.1), `received` and `rport` if the sender asked with `rport` (RFC 3581 §4). What the
/// sender wrote there itself is not believed.
pub fn stamp(request: Request, flow: &Flow) -> Request {
    let Ok(via) = request.via() else { return request };
    let source = flow.remote.ip().to_canonical();
    let same_host = via.sent_by.host.ip().map(|ip| ip.to_canonical()) == Some(source);
    let rport = via.has_rport();
    if same_host && !rport && via.received().is_none() {
        return request;
    }
    request.edit().amend_top_via(Some(source), rport.then_some(flow.remote.port())).finish()
}

/// The way of a response to a request that came on `flow` (§18.2.2, RFC 3581 §4): the same connection; else the
/// address the request came from, at the port it came from if the sender asked with `rport`, else at the port
/// in `sent-by`. `maddr` is not obeyed: it could name anyone.
pub fn response_flow(request: &Request, flow: &Flow) -> Flow {
    request.via().map_or(*flow, |via| response_flow_by(&via, flow))
}

/// [`response_flow`] of a request with this top Via.
pub(crate) fn response_flow_by(via: &Via, flow: &Flow) -> Flow {
    let reliable = flow.transport.is_reliable();
    if (reliable && flow.connection.is_some()) || (!reliable && via.has_rport()) {
        return *flow;
    }
    Flow { remote: SocketAddr::new(flow.remote.ip(), sent_by_port(via, flow)), connection: None, ..*flow }
}

/// The port that a client says it listens on.
pub(crate) fn sent_by_port(via: &Via, flow: &Flow) -> u16 {
    via.sent_by.port.filter(|port| *port != 0).unwrap_or(flow.transport.default_port())
}

/// Whether an address can be one peer's: not unspecified, multicast or broadcast.
pub fn is_unicast(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast()),
        IpAddr::V6(ip) => !(ip.is_unspecified() || ip.is_multicast()),
    }
}
