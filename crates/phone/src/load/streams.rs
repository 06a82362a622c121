//! The connections of a load over TCP, TLS or WebSocket. Each is a door as a socket of datagrams is; a thread of their own moves
//! the bytes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use offhook_net::{Door, Inlet, NetInput, StreamLimits, Streams, TlsClient};
use offhook_sip_stack::{Flow, Transmit, Transport};
use offhook_udp_batch::Waker;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// How connections are opened.
pub(super) struct Dialling {
    runtime: Runtime,
    transport: Transport,
    exchange: SocketAddr,
    /// The name that the exchange has to have over TLS.
    name: String,
    tls: Option<TlsClient>,
}

/// One connection to the exchange, opened with the first message, and again after its end.
#[derive(Debug)]
pub(super) struct Connection {
    streams: Streams,
    inputs: mpsc::Receiver<NetInput>,
    flow: Flow,
}

impl Dialling {
    pub(super) fn new(
        transport: Transport,
        exchange: SocketAddr,
        name: &str,
        tls: Option<TlsClient>,
    ) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { runtime, transport, exchange, name: name.to_owned(), tls })
    }

    /// A connection that wakes who waits for it.
    pub(super) fn open(&self, local: SocketAddr, waker: Waker) -> io::Result<Connection> {
        let _entered = self.runtime.enter();
        let waker = Arc::new(waker);
        let (inlet, inputs) = Inlet::new(QUEUE, move || waker.wake());
        let streams = Streams::start(Vec::<Door>::new(), self.tls.clone(), StreamLimits::default(), inlet)?;
        streams.expect(self.exchange, &self.name);
        let flow = Flow { transport: self.transport, local, remote: self.exchange, connection: None };
        Ok(Connection { streams, inputs, flow })
    }
}

impl std::fmt::Debug for Dialling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dialling({} {})", self.transport, self.exchange)
    }
}

impl Connection {
    /// Whether it could be given to the thread of connections.
    pub(super) fn send(&self, bytes: &[u8]) -> bool {
        self.streams.send(Transmit { flow: self.flow, bytes: Bytes::copy_from_slice(bytes) }).is_ok()
    }

    /// The next message that came; an error: the connection, or a message, was lost.
    pub(super) fn next(&mut self) -> Option<Result<Bytes, ()>> {
        loop {
            match self.inputs.try_recv().ok()? {
                NetInput::Message { bytes, .. } => return Some(Ok(bytes)),
                NetInput::ConnectionLost(_) | NetInput::SendFailed(_) | NetInput::BadFrame { .. } => {
                    return Some(Err(()));
                }
                NetInput::ConnectionOpened(_) | NetInput::ConnectionProven(..) => {}
            }
        }
    }
}

/// Messages that may wait for the loop.
const QUEUE: usize = 16_384;
