//! One end of connections, as the library's user has it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use offhook_net::{
    Door, Inlet, NetInput, SendFailure, StreamLimits, Streams, TlsClient, TlsServer, bind_tcp,
};
use offhook_sip_stack::{Flow, Transmit, Transport};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

pub(crate) struct Peer {
    pub(crate) streams: Streams,
    pub(crate) inputs: Receiver<NetInput>,
    pub(crate) address: SocketAddr,
}

impl Peer {
    /// Listens for TLS.
    pub(crate) fn server(tls: &TlsServer, limits: StreamLimits) -> Self {
        Self::start(Some(tls), None, limits)
    }

    /// Only calls.
    pub(crate) fn client(tls: Option<TlsClient>) -> Self {
        Self::start(None, tls, StreamLimits::default())
    }

    pub(crate) fn start(server: Option<&TlsServer>, client: Option<TlsClient>, limits: StreamLimits) -> Self {
        let listener = bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let doors = server.map(|tls| Door::tls(listener, tls.clone())).into_iter().collect();
        let (inlet, inputs) = Inlet::new(64, || {});
        Self { streams: Streams::start(doors, client, limits, inlet).unwrap(), inputs, address }
    }

    /// What is reported next, but for who a peer is.
    pub(crate) async fn next(&mut self) -> NetInput {
        loop {
            match self.report().await {
                NetInput::ConnectionProven(..) => {}
                other => return other,
            }
        }
    }

    async fn report(&mut self) -> NetInput {
        timeout(PATIENCE, self.inputs.recv()).await.expect("nothing was reported").unwrap()
    }

    /// The domains that a peer has proven; nothing else is reported before.
    pub(crate) async fn proven(&mut self) -> (Flow, Vec<String>) {
        match self.report().await {
            NetInput::ConnectionProven(flow, names) => (flow, names.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn opened(&mut self) -> Flow {
        match self.next().await {
            NetInput::ConnectionOpened(flow) => flow,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn message(&mut self) -> (Bytes, Flow) {
        match self.next().await {
            NetInput::Message { bytes, flow } => (bytes, flow),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn lost(&mut self) -> Flow {
        match self.next().await {
            NetInput::ConnectionLost(flow) => flow,
            other => panic!("{other:?}"),
        }
    }

    /// The failure of a message; the opening and loss of connections before it are passed over.
    pub(crate) async fn failure(&mut self) -> SendFailure {
        loop {
            match self.next().await {
                NetInput::SendFailed(failed) => return failed.failure,
                NetInput::ConnectionOpened(_) | NetInput::ConnectionLost(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Sends to whoever answers at an address.
    pub(crate) fn call(&self, transport: Transport, remote: SocketAddr, name: &str, number: usize) {
        self.streams.expect(remote, name);
        self.call_unknown(transport, remote, number);
    }

    pub(crate) fn call_unknown(&self, transport: Transport, remote: SocketAddr, number: usize) {
        let local = "0.0.0.0:5061".parse().unwrap();
        self.send(Flow { transport, local, remote, connection: None }, number);
    }

    pub(crate) fn send(&self, flow: Flow, number: usize) {
        self.streams.send(Transmit { flow, bytes: message(number).into() }).unwrap();
    }
}

pub(crate) fn message(number: usize) -> Vec<u8> {
    format!("OPTIONS sip:{number}@example.com SIP/2.0\r\nContent-Length: 0\r\n\r\n").into()
}

/// Reads to the end, which must come; a reset is an end as well.
pub(crate) async fn read_end(stream: &mut (impl AsyncRead + Unpin)) {
    let mut room = [0; 4096];
    while timeout(PATIENCE, stream.read(&mut room)).await.expect("still open").unwrap_or(0) > 0 {}
}

/// Waits until something is so that other tasks bring about.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    timeout(PATIENCE, async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("never so");
}

/// Far longer than anything takes on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// A limit that a test waits for.
pub(crate) const SHORT: Duration = Duration::from_millis(200);
