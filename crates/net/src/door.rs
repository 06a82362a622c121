//! Where connections come in.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::task::{Context, Poll};
use std::time::Duration;

use offhook_sip_stack::Transport;
use offhook_udp_batch::canonical;
use tokio::net::TcpStream;
use tokio::time::Instant;

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
        let watch = Watch::Each(tokio::net::TcpListener::from_std(self.listener)?);
        Ok(OpenDoor { watch: Some(watch), since: Instant::now(), came: 0, local, tls: self.tls })
    }
}

/// A door at which peers knock.
pub(crate) struct OpenDoor {
    /// None after a fault of the system only.
    watch: Option<Watch>,
    /// How many came since a moment that is not long ago.
    since: Instant,
    came: usize,
    /// Our address on every connection, where the listener has just one.
    local: Option<SocketAddr>,
    pub(crate) tls: Option<TlsServer>,
}

/// How it is noticed that somebody knocks.
enum Watch {
    /// The system wakes a thread for each one.
    Each(tokio::net::TcpListener),
    /// A crowd comes: one looks from time to time, which costs each of them less, and so the last waits less long.
    Crowd(TcpListener),
}

impl OpenDoor {
    pub(crate) fn transport(&self) -> Transport {
        if self.tls.is_some() { Transport::Tls } else { Transport::Tcp }
    }

    /// Our address on a connection that came in here.
    pub(crate) fn local(&self, stream: &TcpStream) -> io::Result<SocketAddr> {
        self.local.map_or_else(|| stream.local_addr().map(canonical), Ok)
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        match &self.watch {
            Some(Watch::Each(listener)) => listener.poll_accept(cx),
            Some(Watch::Crowd(_)) | None => Poll::Pending,
        }
    }

    /// The next that waits, if one does.
    pub(crate) async fn at_once(&self) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        match &self.watch {
            Some(Watch::Crowd(listener)) => match listener.accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
                knocked => Poll::Ready(knocked.and_then(|(stream, remote)| {
                    stream.set_nonblocking(true)?;
                    Ok((TcpStream::from_std(stream)?, remote))
                })),
            },
            Some(Watch::Each(_)) | None => poll_fn(|cx| Poll::Ready(self.poll(cx))).await,
        }
    }

    /// Whether somebody has to look from time to time.
    pub(crate) fn is_crowded(&self) -> bool {
        matches!(self.watch, Some(Watch::Crowd(_)))
    }

    /// So many were let in at once; from this it is seen whether it is a crowd.
    ///
    /// # Errors
    /// When the system does not watch the listener any more.
    pub(crate) fn note(&mut self, came: usize) -> io::Result<()> {
        let now = Instant::now();
        if now.duration_since(self.since) > SHORT {
            (self.since, self.came) = (now, 0);
        }
        self.came += came;
        self.watch = match self.watch.take() {
            Some(Watch::Each(listener)) if self.came >= MANY => Some(Watch::Crowd(listener.into_std()?)),
            // Whoever knocks in between is noticed: a listener that has somebody waiting is ready from the start.
            Some(Watch::Crowd(listener)) if came == 0 => {
                Some(Watch::Each(tokio::net::TcpListener::from_std(listener)?))
            }
            watch => watch,
        };
        Ok(())
    }
}

/// So many …
const MANY: usize = 16;
/// … in this time are a crowd.
const SHORT: Duration = Duration::from_millis(10);

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
        let mut doors = [Door::tcp(listener).open(&StreamLimits::default()).unwrap()];
        let peer = TcpStream::connect(address).await.unwrap();
        let (at, knocked) = next(&doors, 0).await;
        let (stream, remote) = knocked.unwrap();
        assert_eq!((at, remote), (0, peer.local_addr().unwrap()));
        assert!(stream.nodelay().unwrap());
        let timeout = socket2::SockRef::from(&stream).tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(crate::connection::unacknowledged(StreamLimits::default().write)));
        assert_eq!(doors[0].local(&stream).unwrap(), address);
        assert!(doors[0].at_once().await.is_pending());

        doors[0].note(MANY).unwrap();
        assert!(doors[0].is_crowded());
        let peer = TcpStream::connect(address).await.unwrap();
        let Poll::Ready(Ok((stream, remote))) = doors[0].at_once().await else { panic!("nobody knocked") };
        assert_eq!(remote, peer.local_addr().unwrap());
        assert!(stream.nodelay().unwrap());
        assert!(doors[0].at_once().await.is_pending());
        // Who knocks before it is watched again is not overlooked.
        let peer = TcpStream::connect(address).await.unwrap();
        doors[0].note(0).unwrap();
        assert!(!doors[0].is_crowded());
        assert_eq!(next(&doors, 0).await.1.unwrap().1, peer.local_addr().unwrap());
    }
}
