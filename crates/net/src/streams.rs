//! Connections: the handle by which messages are sent on them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use offhook_sip::Limits;
use offhook_sip_stack::{ConnectionId, Flow, Transmit, Transport};
use offhook_udp_batch::canonical;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use crate::connection::ByteStream;
use crate::switchboard::Switchboard;
use crate::{Door, Inlet, SendFailed, SendFailure, TlsClient};

/// What connections may take of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections open at a time.
    pub connections: usize,
    /// Connections that one address (IPv6: one /64 network) may open.
    pub per_address: usize,
    /// Of a message.
    pub message: Limits,
    /// Bytes that wait for one peer. One that reads so slowly that more would wait is cut off.
    pub waiting_bytes: usize,
    /// For a connection to be accepted by a peer.
    pub connect: Duration,
    /// For TLS, and for the beginning of a WebSocket.
    pub handshake: Duration,
    /// Handshakes of peers under way at a time …
    pub handshakes: usize,
    /// … and of those, from one address (IPv6: one /64 network): whoever never finishes must not keep others out.
    pub handshakes_per_address: usize,
    /// For a message to arrive whole, from its first byte.
    pub partial: Duration,
    /// For a peer to take a message that is being written.
    pub write: Duration,
    /// Without anything received, after which a connection is closed. Long, since a registered phone may be
    /// reachable by nothing else.
    pub idle: Duration,
    /// Silence after which a WebSocket peer is asked whether it is there …
    pub ping: Duration,
    /// … and how long it may take to say so.
    pub pong: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_address: 1_000,
            message: Limits::default(),
            waiting_bytes: 512 * 1024,
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            handshakes: 1_000,
            handshakes_per_address: 100,
            partial: Duration::from_secs(30),
            write: Duration::from_secs(10),
            idle: Duration::from_secs(3_600),
            ping: Duration::from_secs(30),
            pong: Duration::from_secs(60),
        }
    }
}

/// How many connections there are and were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Open now, or being opened.
    pub open: u64,
    /// Accepted since the start.
    pub accepted: u64,
    /// Turned away since the start because of a limit.
    pub refused: u64,
    /// TLS handshakes of peers that failed since the start.
    pub handshakes_failed: u64,
}

/// All connections of one program. Cheap to clone; when the last clone is dropped, listening ends and the
/// connections are closed once they have sent what waits.
#[derive(Clone, Debug)]
pub struct Streams {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
}

/// What the handle asks of the switchboard.
pub(crate) enum Command {
    Send(Transmit),
    /// Who answers at an address must be this one.
    Expect(SocketAddr, Arc<str>),
    /// A WebSocket that a peer opened by HTTP, and what came with its request.
    Adopt(Box<dyn ByteStream>, Vec<u8>, Flow),
    Close(ConnectionId),
    Shutdown(oneshot::Sender<()>),
}

/// What handle and switchboard both see.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Sends that the switchboard has not seen yet.
    pub(crate) waiting: AtomicUsize,
    pub(crate) open: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
}

impl Streams {
    /// Begins to accept connections at the doors (none for a mere client), within a tokio runtime. Without a `tls`, no
    /// TLS connections are opened.
    ///
    /// # Errors
    /// When the runtime cannot watch a listener.
    pub fn start(
        doors: Vec<Door>,
        tls: Option<TlsClient>,
        limits: StreamLimits,
        inlet: Inlet,
    ) -> io::Result<Self> {
        let doors = doors.into_iter().map(|door| door.open(&limits)).collect::<io::Result<Vec<_>>>()?;
        let (commands, asked) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        tokio::spawn(Switchboard::new(limits, tls, inlet, Arc::clone(&shared)).run(doors, asked));
        Ok(Self { commands, shared })
    }

    /// Sends a message without waiting: by the connection that its flow names; or, if the flow names none, by
    /// one that is open to the same address (RFC 3261 §18, RFC 5923), or by a new one. Messages of one
    /// connection keep their order. What fails later is reported as [`crate::NetInput::SendFailed`].
    ///
    /// # Errors
    /// The message, when too many wait already or the runtime has ended.
    pub fn send(&self, transmit: Transmit) -> Result<(), Box<SendFailed>> {
        if self.shared.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Box::new(SendFailed { transmit, failure: SendFailure::Full }));
        }
        self.commands.send(Command::Send(transmit)).map_err(|error| {
            let Command::Send(transmit) = error.0 else { unreachable!("what was sent comes back") };
            Box::new(SendFailed { transmit, failure: SendFailure::ConnectionLost })
        })
    }

    /// Says who has to answer at an address: a domain, the name of a host, or an address. Connections over TLS and WebSocket
    /// are opened to addresses of which that is known, and to no others: a phone that registered over one is reached by
    /// that or not at all. Of the addresses, some thousands are remembered.
    pub fn expect(&self, remote: SocketAddr, name: &str) {
        // After its end, nothing is opened any more.
        let _ = self.commands.send(Command::Expect(remote, name.into()));
    }

    /// Takes over a connection that a peer made a WebSocket of, by HTTP; `early` is what came after its request. Its
    /// transport is [`Transport::Ws`] or [`Transport::Wss`]. Beyond the limits it is closed.
    pub fn adopt(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        early: Vec<u8>,
        transport: Transport,
        addresses: (SocketAddr, SocketAddr),
    ) {
        let (local, remote) = (canonical(addresses.0), canonical(addresses.1));
        let flow = Flow { transport, local, remote, connection: None };
        let _ = self.commands.send(Command::Adopt(Box::new(stream), early, flow));
    }

    /// Closes a connection after what was sent on it before. Its loss is reported as any other.
    pub fn close(&self, connection: ConnectionId) {
        // Not bounded: there are no more of them than connections.
        let _ = self.commands.send(Command::Close(connection));
    }

    /// Stops listening, closes all connections after what was sent on them before, and returns when that is
    /// done, at the latest after the write limit.
    pub async fn shutdown(self) {
        let (done, finished) = oneshot::channel();
        if self.commands.send(Command::Shutdown(done)).is_ok() {
            let _ = finished.await;
        }
    }

    /// How many connections there are and were.
    pub fn counts(&self) -> StreamCounts {
        StreamCounts {
            open: self.shared.open.load(Ordering::Relaxed),
            accepted: self.shared.accepted.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
            handshakes_failed: self.shared.handshakes_failed.load(Ordering::Relaxed),
        }
    }
}

/// Messages between the handle and the switchboard, which normally takes them at once.
const WAITING: usize = 16_384;
