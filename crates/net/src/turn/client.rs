//! A client's stream to a TURN server, by TCP or TLS (RFC 8656 §3.1): for those whose firewall lets no datagrams out.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use offhook_media::turn::Frame;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::streams::write;
use crate::TlsClient;

/// A stream that carries what would otherwise be datagrams to and from the server. It is opened with the first of them; when it
/// ends, the next one opens another.
#[derive(Debug)]
pub struct TurnStream {
    server: SocketAddr,
    /// From which address of ours.
    local: SocketAddr,
    /// With it, the name that the server has to prove.
    tls: Option<(TlsClient, String)>,
    received: mpsc::Sender<Bytes>,
    outbox: Option<mpsc::Sender<Bytes>>,
}

impl TurnStream {
    /// A stream that is not open yet. `local` has the address to come from; what the server sends goes to `received`, a message
    /// at a time.
    pub fn new(
        server: SocketAddr,
        local: SocketAddr,
        tls: Option<(TlsClient, String)>,
        received: mpsc::Sender<Bytes>,
    ) -> Self {
        Self { server, local: SocketAddr::new(local.ip(), 0), tls, received, outbox: None }
    }

    /// Sends a message, within a tokio runtime. One for which there is no room is lost, as a datagram may be.
    pub fn send(&mut self, message: &[u8]) {
        // Data of a channel is filled up to whole words on a stream (§12.5).
        let mut padded = BytesMut::from(message);
        padded.resize(message.len().next_multiple_of(4), 0);
        let message = padded.freeze();
        let message = match &self.outbox {
            Some(outbox) => match outbox.try_send(message) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => return,
                Err(mpsc::error::TrySendError::Closed(message)) => message,
            },
            None => message,
        };
        let (outbox, messages) = mpsc::channel(OUTBOX);
        let _ = outbox.try_send(message);
        self.outbox = Some(outbox);
        let (server, local, tls) = (self.server, self.local, self.tls.clone());
        let received = self.received.clone();
        tokio::spawn(async move {
            if let Err(error) = run(server, local, tls, messages, received).await {
                tracing::warn!(%server, %error, "the stream to the TURN server has ended");
            }
        });
    }
}

async fn run(
    server: SocketAddr,
    local: SocketAddr,
    tls: Option<(TlsClient, String)>,
    messages: mpsc::Receiver<Bytes>,
    received: mpsc::Sender<Bytes>,
) -> io::Result<()> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let socket =
        if server.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    socket.bind(local)?;
    let stream: TcpStream = timeout(CONNECT, socket.connect(server)).await.map_err(late)??;
    // Sound waits for nothing.
    stream.set_nodelay(true)?;
    match tls {
        None => converse(stream, messages, received).await,
        Some((tls, name)) => {
            let name =
                ServerName::try_from(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            let stream = timeout(CONNECT, tls.connect_turn(stream, name)).await.map_err(late)??;
            converse(stream, messages, received).await
        }
    }
}

/// Until one of them has nothing more to say.
async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    mut messages: mpsc::Receiver<Bytes>,
    received: mpsc::Sender<Bytes>,
) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(LONGEST);
    loop {
        tokio::select! {
            read = stream.read_buf(&mut buffer) => {
                if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                loop {
                    match Frame::of(&buffer) {
                        Frame::Incomplete => break,
                        Frame::Broken => return Err(io::ErrorKind::InvalidData.into()),
                        Frame::Whole { message, all } => {
                            let whole = buffer.get(..message).map(Bytes::copy_from_slice).unwrap_or_default();
                            buffer.advance(all.min(buffer.len()));
                            // A reader that is too slow loses the message, as from a socket of datagrams.
                            let _ = received.try_send(whole);
                        }
                    }
                }
                buffer.reserve(LONGEST);
            }
            message = messages.recv() => {
                let Some(message) = message else { return Ok(()) };
                write(&mut stream, &message).await?;
            }
        }
    }
}

/// For a connection to be accepted, and for TLS.
const CONNECT: Duration = Duration::from_secs(5);
/// Messages that wait for the stream.
const OUTBOX: usize = 64;
/// Room for a message.
const LONGEST: usize = 4_096;
