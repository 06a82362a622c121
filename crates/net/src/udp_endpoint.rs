//! UDP for a program without a thread of its own for it, such as the phone: one socket, received by a task.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use offhook_sip_stack::Transmit;
use offhook_udp_batch::{BatchSocket, ReceiveBatch};
use tokio::io::Interest;
use tokio::task::JoinHandle;

use crate::udp::outgoing;
use crate::{Gone, Inlet, NetInput, SendFailed, SendFailure, flow_of};

/// A UDP socket whose messages arrive through an [`Inlet`]. Receives until it is dropped.
#[derive(Debug)]
pub struct UdpEndpoint {
    socket: Arc<BatchSocket>,
    receiving: JoinHandle<()>,
}

impl UdpEndpoint {
    /// Begins to receive, within a tokio runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch the socket.
    pub fn start(socket: BatchSocket, inlet: Inlet) -> io::Result<Self> {
        let watched = tokio::net::UdpSocket::from_std(socket.try_clone_std()?)?;
        let socket = Arc::new(socket);
        let receiving = tokio::spawn(receive(Arc::clone(&socket), watched, inlet));
        Ok(Self { socket, receiving })
    }

    /// The address it is bound to, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    /// Sends a message at once. A socket that takes no more for now drops it, as any link on the way may.
    ///
    /// # Errors
    /// The message with the reason, when it can never be sent.
    pub fn send(&self, transmit: Transmit) -> Result<(), Box<SendFailed>> {
        let mut failures = Vec::new();
        self.socket.send(&[outgoing(&transmit)], &mut failures);
        match failures.first() {
            Some(failure) => {
                let failure = SendFailure::from(&failure.error);
                Err(Box::new(SendFailed { transmit, failure }))
            }
            None => Ok(()),
        }
    }
}

impl Drop for UdpEndpoint {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

async fn receive(socket: Arc<BatchSocket>, watched: tokio::net::UdpSocket, inlet: Inlet) {
    let mut batch = ReceiveBatch::new();
    loop {
        let received = watched
            .async_io(Interest::READABLE, || match socket.receive(&mut batch)? {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                count => Ok(count),
            })
            .await;
        if let Err(error) = received {
            // Of a single peer, by way of ICMP; the socket is as good as before.
            tracing::debug!(%error, "udp receive");
            tokio::task::yield_now().await;
            continue;
        }
        // Collected, since a batch that is being read cannot be kept over a wait.
        let datagrams: Vec<_> = batch.iter_owned().collect();
        for datagram in datagrams {
            let flow = flow_of(&datagram);
            if inlet.deliver(NetInput::Message { bytes: datagram.payload, flow }).await == Err(Gone) {
                return;
            }
        }
    }
}
