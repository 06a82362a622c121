//! UDP, TCP, TLS and WebSocket, sockets of the TURN server: moves bytes, decides nothing.
//!
//! What comes in leaves as [`NetInput`] through an [`Inlet`]; what goes out comes as the stack's `Transmit`.
//! [`Streams`] holds the connections, as tasks of the tokio runtime. Datagrams are received by the thread
//! that handles them: directly ([`UdpSockets`]), or through a task where there is no such thread
//! ([`UdpEndpoint`]).

mod bind;
mod connection;
mod dial;
mod door;
mod fetch;
mod framing;
mod input;
mod media_identity;
mod port_owner;
mod replies;
mod resolver;
mod streams;
mod switchboard;
mod tls;
#[cfg(target_os = "linux")]
mod turn;
mod udp;
mod udp_endpoint;
mod websocket;

pub use bind::{BindError, bind_tcp, bind_udp, bind_udp_group};
pub use door::Door;
pub use fetch::Fetcher;
pub use input::{Gone, Inlet, NetInput, Owner, SendFailed, SendFailure, Wake};
pub use media_identity::media_identity;
pub use offhook_udp_batch as udp_batch;
pub use port_owner::PortOwner;
pub use resolver::{Resolver, resolve};
pub use streams::{StreamCounts, StreamLimits, Streams};
pub use tls::{ClientAuth, Identity, PemError, Roots, TlsClient, TlsFault, TlsServer, read_certificates};
#[cfg(target_os = "linux")]
pub use turn::{TurnHandle, TurnSockets, TurnStream, TurnStreams};
pub use udp::{UdpSockets, flow_of, source_towards};
pub use udp_endpoint::UdpEndpoint;
