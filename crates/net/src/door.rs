//! Where connections come in.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::task::{Context, Poll};

use offhook_sip_stack::Transport;
use offhook_udp_batch::canonical;
use tokio::net::TcpStream;

use crate::{StreamLimits, TlsServer};

/// A listener, and what is spoken there.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    tls: Option<TlsServer>,
}

impl Door {
    /// Plain TCP at a listener from [`crate::bind_tcp`].
    pub fn tcp(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }

    /// TLS at such a listener.
    pub fn tls(listener: TcpListener, tls: TlsServer) -> Self {
        Self { listener, tls: Some(tls) }
    }

    /// Has the runtime watch it.
    pub(crate) fn open(self, limits: &StreamLimits) -> io::Result<OpenDoor> {
        #[cfg(target_os = "linux")]
        {
            // What it accepts has from it what would cost two system calls for each. Connections work without.
            let socket = socket2::SockRef::from(&self.listener);
            let _ = socket.set_tcp_nodelay(true);
            let _ = socket.set_tcp_user_timeout(Some(crate::connection::unacknowledged(limits.write)));
        }
        #[cfg(not(target_os = "linux"))]
        let _ = limits;
        let address = canonical(self.listener.local_addr()?);
        let local = (!address.ip().is_unspecified()).then_some(address);
        Ok(OpenDoor { listener: tokio::net::TcpListener::from_std(self.listener)?, local, tls: self.tls })
    }
}

/// A door at which peers knock.
pub(crate) struct OpenDoor {
    listener: tokio::net::TcpListener,
    /// Our address on every connection, where the listener has just one.
    local: Option<SocketAddr>,
    pub(crate) tls: Option<TlsServer>,
}

impl OpenDoor {
    pub(crate) fn transport(&self) -> Transport {
        if self.tls.is_some() { Transport::Tls } else { Transport::Tcp }
    }

    /// Our address on a connection that came in here.
    pub(crate) fn local(&self, stream: &TcpStream) -> io::Result<SocketAddr> {
        self.local.map_or_else(|| stream.local_addr().map(canonical), Ok)
    }

    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.listener.poll_accept(cx)
    }

    /// The next that waits, if one does.
    pub(crate) async fn at_once(&self) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        poll_fn(|cx| Poll::Ready(self.poll(cx))).await
    }
}

/// The next who knocks, and at which of the doors; those after the last one that was opened are asked first.
pub(crate) async fn next(doors: &[OpenDoor], last: usize) -> (usize, io::Result<(TcpStream, SocketAddr)>) {
    poll_fn(|cx| {
        for step in 1..=doors.len() {
            let at = (last + step) % doors.len();
            if let Poll::Ready(knocked) = doors[at].poll(cx) {
                return Poll::Ready((at, knocked));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_in_has_the_options_of_its_door() {
        let listener = crate::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let doors = [Door::tcp(listener).open(&StreamLimits::default()).unwrap()];
        let peer = TcpStream::connect(address).await.unwrap();
        let (at, knocked) = next(&doors, 0).await;
        let (stream, remote) = knocked.unwrap();
        assert_eq!((at, remote), (0, peer.local_addr().unwrap()));
        assert!(stream.nodelay().unwrap());
        let timeout = socket2::SockRef::from(&stream).tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(crate::connection::unacknowledged(StreamLimits::default().write)));
        assert_eq!(doors[0].local(&stream).unwrap(), address);
        assert!(doors[0].at_once().await.is_pending());
    }
}
