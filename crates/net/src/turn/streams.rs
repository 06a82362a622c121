//! Clients of the TURN server that come by streams (RFC 8656 §3.1).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use offhook_media::turn::{FiveTuple, Frame, LONGEST_FRAME, Transport};
use offhook_udp_batch::{Waker, canonical};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::FromStream;
use crate::{TlsFault, TlsServer};

/// Serves streams within a tokio runtime. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TurnStreams {
    inlet: mpsc::Sender<FromStream>,
    waker: Waker,
    open: Arc<Mutex<Open>>,
}

/// How many streams there are.
#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A stream's place among them, given back when it is dropped.
struct Seat {
    open: Arc<Mutex<Open>>,
    ip: IpAddr,
}

impl TurnStreams {
    pub(super) fn new(inlet: mpsc::Sender<FromStream>, waker: Waker) -> TurnStreams {
        TurnStreams { inlet, waker, open: Arc::default() }
    }

    /// Accepts connections (on a listener from [`crate::bind_tcp`]) until the server ends: TLS, or plain TCP without.
    ///
    /// # Errors
    /// When the runtime cannot watch the listener.
    pub fn listen(&self, listener: TcpListener, tls: Option<TlsServer>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let streams = self.clone();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = streams.inlet.closed() => return,
                };
                match accepted {
                    Ok((stream, client)) => streams.welcome(stream, canonical(client), tls.clone()),
                    // Out of descriptors, mostly: accepting at once would fail at once.
                    Err(_) => sleep(RETRY).await,
                }
            }
        });
        Ok(())
    }

    /// Serves a client until either side ends it. A stream for which there is no room is closed at once.
    fn welcome(&self, stream: tokio::net::TcpStream, client: std::net::SocketAddr, tls: Option<TlsServer>) {
        let Ok(server) = stream.local_addr() else { return };
        let _ = stream.set_nodelay(true);
        let Some(seat) = Seat::take(&self.open, client.ip()) else { return };
        let from = move |transport| FiveTuple { transport, client, server: canonical(server) };
        let streams = self.clone();
        tokio::spawn(async move {
            let _seat = seat;
            match tls {
                None => streams.serve(stream, from(Transport::Tcp)).await,
                Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => streams.serve(stream, from(Transport::Tls)).await,
                    Ok(Err(error)) => {
                        let reason =
                            TlsFault::of(&error).map_or(error.to_string(), |fault| fault.to_string());
                        tracing::debug!(remote = %client, reason, "TLS handshake of a TURN client failed");
                    }
                    Err(_) => tracing::debug!(remote = %client, "TLS handshake of a TURN client did not end"),
                },
            }
        });
    }

    /// Serves a client on a stream that is ready for messages.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, from: FiveTuple) {
        let (sender, outbox) = mpsc::channel(OUTBOX);
        if self.tell(FromStream::Opened(from, sender)).await.is_none() {
            return;
        }
        self.converse(&mut stream, from, outbox).await;
        // Before the stream is closed, so that a new one from the same address comes after it.
        let _ = self.tell(FromStream::Closed(from)).await;
        let _ = timeout(WRITE, stream.shutdown()).await;
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        from: FiveTuple,
        mut outbox: mpsc::Receiver<Bytes>,
    ) -> Option<()> {
        let mut received = BytesMut::with_capacity(LONGEST_FRAME);
        let (patience, mut is_client) = (sleep(STRANGER), false);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                read = stream.read_buf(&mut received) => {
                    if read.ok()? == 0 {
                        return None;
                    }
                    self.cut(&mut received, from).await?;
                    received.reserve(LONGEST_FRAME);
                }
                message = outbox.recv() => {
                    let message = message?;
                    timeout(WRITE, write(stream, &message)).await.ok()?.ok()?;
                    is_client |= message.starts_with(&ALLOCATED);
                }
                () = &mut patience => return None,
            }
            // A stranger wins no time by talking.
            if is_client {
                patience.as_mut().reset(Instant::now() + CLIENT);
            }
        }
    }

    /// Tells the thread of every whole message.
    async fn cut(&self, received: &mut BytesMut, from: FiveTuple) -> Option<()> {
        loop {
            match Frame::of(received) {
                Frame::Incomplete => return Some(()),
                Frame::Broken => return None,
                Frame::Whole { message, all } => {
                    let bytes = Bytes::copy_from_slice(received.get(..message)?);
                    received.advance(all);
                    self.tell(FromStream::Message(from, bytes)).await?;
                }
            }
        }
    }

    async fn tell(&self, what: FromStream) -> Option<()> {
        self.inlet.send(what).await.ok()?;
        self.waker.wake();
        Some(())
    }
}

pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    stream.write_all(message).await?;
    // What TLS has taken need not have left.
    stream.flush().await
}

impl Seat {
    fn take(open: &Arc<Mutex<Open>>, ip: IpAddr) -> Option<Seat> {
        let mut places = open.lock().unwrap_or_else(PoisonError::into_inner);
        let same = places.by_address.get(&ip).copied().unwrap_or(0);
        if places.all >= MOST || same >= MOST_OF_ONE {
            return None;
        }
        places.all += 1;
        places.by_address.insert(ip, same + 1);
        Some(Seat { open: Arc::clone(open), ip })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut places = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        places.all = places.all.saturating_sub(1);
        let left = places.by_address.get(&self.ip).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            places.by_address.remove(&self.ip);
        } else {
            places.by_address.insert(self.ip, left);
        }
    }
}

/// How a good answer to Allocate begins.
const ALLOCATED: [u8; 2] = [0x01, 0x03];
/// Streams in all.
const MOST: usize = 4_000;
/// Streams of one address.
const MOST_OF_ONE: usize = 200;
/// Messages that wait for one stream.
const OUTBOX: usize = 256;
/// For a TLS handshake, from its beginning to its end.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For a stream to take a message.
const WRITE: Duration = Duration::from_secs(10);
/// How long a stream lives without allocation.
const STRANGER: Duration = Duration::from_secs(30);
/// Silence after which one with an allocation is closed: longer than any lifetime, for its client may only listen.
const CLIENT: Duration = Duration::from_secs(3_700);
/// Until accepting is tried again.
const RETRY: Duration = Duration::from_millis(100);
