//! One connection: a task that reads and writes it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use offhook_sip::{Frame, Framer};
use offhook_sip_stack::{ConnectionId, Flow, Transmit, Transport};
use offhook_udp_batch::canonical;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

use crate::switchboard::Notice;
use crate::{Gone, Inlet, NetInput, SendFailed, SendFailure, StreamLimits};

/// What a connection's task works on.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) limits: StreamLimits,
    pub(crate) inlet: Inlet,
    /// Messages to write. When it closes, the connection is to be closed after what is in it. Boxed, because a queue keeps
    /// room for some dozens, which idle connections should not pay for.
    pub(crate) queue: mpsc::UnboundedReceiver<Box<Transmit>>,
    /// The sum of [`cost`] of what is in the queue.
    pub(crate) queued: Arc<AtomicUsize>,
    /// Asks for the end at once.
    pub(crate) cut: Arc<Notify>,
    pub(crate) notices: mpsc::Sender<Notice>,
}

/// What a message counts among the bytes that wait.
pub(crate) fn cost(transmit: &Transmit) -> usize {
    transmit.bytes.len() + size_of::<Transmit>()
}

impl Connection {
    /// Serves a connection that a peer opened.
    pub(crate) async fn accepted(mut self, stream: TcpStream, flow: Flow) {
        self.serve(stream, flow).await;
        let _ = self.notices.send(Notice::Ended(self.id)).await;
    }

    /// Opens a connection, from the given address of ours if one is given, and serves it.
    pub(crate) async fn connecting(mut self, remote: SocketAddr, local: Option<IpAddr>) {
        let opened = tokio::select! {
            opened = timeout(self.limits.connect, connect(remote, local)) => opened,
            () = self.cut.notified() => Ok(Err(io::ErrorKind::ConnectionReset.into())),
        };
        match opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok((stream, local)) => {
                let _ = self.notices.send(Notice::Opened(self.id, local)).await;
                let flow = Flow { transport: Transport::Tcp, local, remote, connection: Some(self.id) };
                self.serve(stream, flow).await;
            }
            Err(error) => self.fail_waiting((&error).into()).await,
        }
        let _ = self.notices.send(Notice::Ended(self.id)).await;
    }

    async fn serve(&mut self, stream: TcpStream, flow: Flow) {
        prepare(&stream, self.limits.write);
        if self.inlet.deliver(NetInput::ConnectionOpened(flow)).await == Err(Gone) {
            return;
        }
        let (mut from, mut to) = stream.into_split();
        let failure = match self.exchange(&from, &mut to, flow).await {
            Ok(()) => {
                let _ = timeout(ANSWER, close(&mut from, &mut to)).await;
                SendFailure::ConnectionLost
            }
            Err(Broken { unsent, failure }) => {
                if let Some(transmit) = unsent {
                    self.report(transmit, failure).await;
                }
                failure
            }
        };
        self.fail_waiting(failure).await;
    }

    /// Reads and writes until the end, and reports it.
    async fn exchange(
        &mut self,
        from: &OwnedReadHalf,
        to: &mut OwnedWriteHalf,
        flow: Flow,
    ) -> Result<(), Broken> {
        let ping = Notify::new();
        let reader = Reader { stream: from, flow, limits: &self.limits, inlet: &self.inlet, ping: &ping };
        let limit = self.limits.write;
        let writer = Writer { stream: to, queue: &mut self.queue, queued: &self.queued, limit, ping: &ping };
        let mut writing = pin!(writer.run());
        let ended = tokio::select! {
            end = reader.run() => Err(end),
            result = &mut writing => Ok(result),
            () = self.cut.notified() => Ok(Err(Broken::by(SendFailure::Full))),
        };
        let _ = self.notices.send(Notice::Ending(self.id)).await;
        let _ = self.inlet.deliver(NetInput::ConnectionLost(flow)).await;
        match ended {
            Ok(result) => result,
            Err(ReadEnd::Dead) => Err(Broken::by(SendFailure::ConnectionLost)),
            Err(ReadEnd::Stopped { answers_until }) => tokio::select! {
                result = timeout_at(answers_until, &mut writing) => result.unwrap_or(Ok(())),
                () = self.cut.notified() => Err(Broken::by(SendFailure::Full)),
            },
        }
    }

    /// Takes no more, and reports everything that waits as not sent.
    async fn fail_waiting(&mut self, failure: SendFailure) {
        self.queue.close();
        while let Some(transmit) = self.queue.recv().await {
            self.report(*transmit, failure).await;
        }
    }

    async fn report(&self, transmit: Transmit, failure: SendFailure) {
        let _ = self.inlet.deliver(NetInput::SendFailed(SendFailed { transmit, failure })).await;
    }
}

/// A connection that takes no more messages, with the one that it was taking.
struct Broken {
    unsent: Option<Transmit>,
    failure: SendFailure,
}

impl Broken {
    fn by(failure: SendFailure) -> Self {
        Self { unsent: None, failure }
    }
}

/// Why a connection is no longer read.
enum ReadEnd {
    /// The peer stopped sending or we stopped listening to it; it may still read the answers to what came last.
    Stopped { answers_until: Instant },
    /// Nothing works any more.
    Dead,
}

/// What reads a connection.
struct Reader<'a> {
    stream: &'a OwnedReadHalf,
    flow: Flow,
    limits: &'a StreamLimits,
    inlet: &'a Inlet,
    /// Asks the writer for an answer to a ping; several pings before it has time for them are one.
    ping: &'a Notify,
}

impl Reader<'_> {
    async fn run(self) -> ReadEnd {
        let mut framer = Framer::new(self.limits.message);
        let mut deadline = Instant::now() + self.limits.idle;
        let mut answers_until = Instant::now();
        let mut was_partial = false;
        loop {
            match timeout_at(deadline, self.stream.readable()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return ReadEnd::Dead,
                Err(_) => return ReadEnd::Stopped { answers_until },
            }
            match self.fill(&mut framer) {
                Ok(0) => return ReadEnd::Stopped { answers_until },
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => return ReadEnd::Dead,
            }
            let framed = match self.deliver_frames(&mut framer, &mut answers_until).await {
                Ok(framed) => framed,
                Err(end) => return end,
            };
            if !framer.is_partial() {
                deadline = Instant::now() + self.limits.idle;
            } else if framed || !was_partial {
                deadline = Instant::now() + self.limits.partial;
            }
            was_partial = framer.is_partial();
            // Pings alone never wait for anything.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Reads once. Not async, so that the room lies on the stack and not in every idle connection.
    fn fill(&self, framer: &mut Framer) -> io::Result<usize> {
        let mut room = [0; 8_192];
        let count = self.stream.try_read(&mut room)?;
        framer.push(&room[..count]);
        Ok(count)
    }

    /// Whether there were any.
    async fn deliver_frames(
        &self,
        framer: &mut Framer,
        answers_until: &mut Instant,
    ) -> Result<bool, ReadEnd> {
        let mut framed = false;
        loop {
            let input = match framer.next_frame() {
                Ok(None) => return Ok(framed),
                Ok(Some(Frame::Message(bytes))) => NetInput::Message { bytes, flow: self.flow },
                Ok(Some(Frame::Ping)) => {
                    self.ping.notify_one();
                    framed = true;
                    continue;
                }
                Ok(Some(Frame::Pong)) => {
                    framed = true;
                    continue;
                }
                Err(error) => {
                    let _ = self.inlet.deliver(NetInput::BadFrame { error, flow: self.flow }).await;
                    return Err(ReadEnd::Stopped { answers_until: Instant::now() + ANSWER });
                }
            };
            self.inlet.deliver(input).await.map_err(|Gone| ReadEnd::Dead)?;
            *answers_until = Instant::now() + ANSWER;
            framed = true;
        }
    }
}

/// What writes a connection.
struct Writer<'a> {
    stream: &'a mut OwnedWriteHalf,
    queue: &'a mut mpsc::UnboundedReceiver<Box<Transmit>>,
    queued: &'a AtomicUsize,
    limit: Duration,
    ping: &'a Notify,
}

impl Writer<'_> {
    /// Until the queue is closed and empty.
    async fn run(self) -> Result<(), Broken> {
        loop {
            let next = tokio::select! {
                next = self.queue.recv() => next,
                () = self.ping.notified() => {
                    // RFC 5626 §4.4.1
                    within(self.limit, self.stream.write_all(b"\r\n")).await.map_err(Broken::by)?;
                    continue;
                }
            };
            let Some(transmit) = next else { return Ok(()) };
            let written = within(self.limit, self.stream.write_all(&transmit.bytes)).await;
            self.queued.fetch_sub(cost(&transmit), Ordering::Relaxed);
            if let Err(failure) = written {
                return Err(Broken { unsent: Some(*transmit), failure });
            }
        }
    }
}

async fn within(limit: Duration, writing: impl Future<Output = io::Result<()>>) -> Result<(), SendFailure> {
    match timeout(limit, writing).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err((&error).into()),
        Err(_) => Err(SendFailure::TimedOut),
    }
}

async fn connect(remote: SocketAddr, local: Option<IpAddr>) -> io::Result<(TcpStream, SocketAddr)> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    let stream = socket.connect(remote).await?;
    let local = canonical(stream.local_addr()?);
    Ok((stream, local))
}

fn prepare(stream: &TcpStream, limit: Duration) {
    // Both only improve matters; a connection works without.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limit.max(UNACKNOWLEDGED)));
    #[cfg(not(target_os = "linux"))]
    let _ = limit;
}

/// Says that no more comes, then lets the peer finish: closing while bytes are unread would make the system
/// throw away what the peer has not read yet.
async fn close(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> io::Result<()> {
    to.shutdown().await?;
    let mut room = [0; 512];
    while from.read(&mut room).await? > 0 {}
    Ok(())
}

/// For the answer to a peer's last message to be sent, and for the peer to read it.
const ANSWER: Duration = Duration::from_secs(1);
/// How long the peer's machine may leave written bytes unacknowledged; long enough for a change of network.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
