//! One connection: a task that reads and writes it.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::ready;
use std::time::Duration;

use offhook_sip_stack::{ConnectionId, Flow, Transmit};
use offhook_udp_batch::canonical;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

use crate::dial::{Dial, Opened};
use crate::framing::{Broken as BrokenFraming, Framing, Incoming, Wrapping};
use crate::replies::Replies;
use crate::switchboard::Notice;
use crate::tls::proven;
use crate::websocket::Side;
use crate::{Gone, Inlet, NetInput, SendFailed, SendFailure, StreamLimits, TlsClient, TlsFault, TlsServer};

/// The bytes of a connection, whatever lies below.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// What a connection's task works on.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) limits: Arc<StreamLimits>,
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
        let mut framing = Framing::stream(self.limits.message);
        let (mut from, mut to) = stream.into_split();
        self.serve(&mut from, &mut to, &mut framing, flow).await;
        let _ = self.notices.send(Notice::Ended(self.id)).await;
    }

    /// The same after a TLS handshake, which the permit is for.
    pub(crate) async fn accepted_tls(
        mut self,
        stream: TcpStream,
        tls: TlsServer,
        flow: Flow,
        permit: OwnedSemaphorePermit,
    ) {
        // In a box of its own, lest its room stay for as long as the connection.
        let shaken = Box::pin(shake(stream, tls, self.limits.handshake)).await;
        drop(permit);
        let _ = self.notices.send(Notice::Shaken(flow.remote.ip(), shaken.is_ok())).await;
        match shaken {
            Ok((stream, names)) => self.serve_proven(stream, flow, names).await,
            Err(error) => {
                let reason = match TlsFault::of(&error) {
                    Some(fault) => fault.to_string(),
                    None => error.to_string(),
                };
                tracing::debug!(remote = %flow.remote, reason, %error, "TLS handshake failed");
                self.fail_waiting(SendFailure::ConnectionLost).await;
            }
        }
        let _ = self.notices.send(Notice::Ended(self.id)).await;
    }

    /// Serves a WebSocket that a peer opened by HTTP; `early` is what came with the request.
    pub(crate) async fn adopted(mut self, stream: Box<dyn ByteStream>, early: Vec<u8>, flow: Flow) {
        let framing = Framing::web_socket(Side::Server, self.limits.message, &early);
        drop(early);
        self.serve_split(stream, framing, flow).await;
        let _ = self.notices.send(Notice::Ended(self.id)).await;
    }

    /// Opens a connection, from the given address of ours if one is given, and serves it.
    pub(crate) async fn connecting(mut self, remote: SocketAddr, local: Option<IpAddr>, dial: Dial) {
        let transport = dial.transport;
        let name = dial.name.clone().filter(|_| dial.tls.as_ref().is_some_and(TlsClient::checks));
        let opened = tokio::select! {
            opened = Box::pin(self.open(remote, local, dial)) => opened,
            () = self.cut.notified() => Err(io::ErrorKind::ConnectionReset.into()),
        };
        match opened {
            Ok((opened, local)) => {
                let _ = self.notices.send(Notice::Opened(self.id, local)).await;
                let flow = Flow { transport, local, remote, connection: Some(self.id) };
                match opened {
                    Opened::Plain(stream) => {
                        let mut framing = Framing::stream(self.limits.message);
                        let (mut from, mut to) = stream.into_split();
                        self.serve(&mut from, &mut to, &mut framing, flow).await;
                    }
                    Opened::Tls(stream) => {
                        // What comes back on it is its server's, who had to prove the name (RFC 5923 §9.1).
                        let names = name.map(|name| name.to_ascii_lowercase()).into_iter().collect();
                        self.serve_proven(stream, flow, names).await;
                    }
                    Opened::WebSocket(stream, early) => {
                        let framing = Framing::web_socket(Side::Client, self.limits.message, &early);
                        self.serve_split(stream, framing, flow).await;
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%remote, %transport, %error, "no connection");
                self.fail_waiting((&error).into()).await;
            }
        }
        let _ = self.notices.send(Notice::Ended(self.id)).await;
    }

    async fn open(
        &self,
        remote: SocketAddr,
        local: Option<IpAddr>,
        dial: Dial,
    ) -> io::Result<(Opened, SocketAddr)> {
        let connected = timeout(self.limits.connect, connect(remote, local)).await;
        let (stream, local) = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        prepare(&stream, self.limits.write);
        let opened = timeout(self.limits.handshake, dial.over(stream)).await;
        Ok((opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?, local))
    }

    /// The same as [`Self::serve_split`] with a peer that has proven to be these domains.
    async fn serve_proven(&mut self, stream: Box<dyn ByteStream>, flow: Flow, names: Vec<String>) {
        let is_proven = !names.is_empty();
        if is_proven {
            let _ = self.inlet.deliver(NetInput::ConnectionProven(flow, names.into())).await;
        }
        self.serve_split(stream, Framing::stream(self.limits.message), flow).await;
        if is_proven {
            let _ = self.inlet.deliver(NetInput::ConnectionProven(flow, Arc::new([]))).await;
        }
    }

    async fn serve_split(&mut self, stream: Box<dyn ByteStream>, mut framing: Framing, flow: Flow) {
        let (mut from, mut to) = tokio::io::split(stream);
        self.serve(&mut from, &mut to, &mut framing, flow).await;
    }

    async fn serve<R, W>(&mut self, from: &mut R, to: &mut W, framing: &mut Framing, flow: Flow)
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if self.inlet.deliver(NetInput::ConnectionOpened(flow)).await == Err(Gone) {
            return;
        }
        let wrapping = framing.wrapping();
        let failure = match self.exchange(from, to, framing, flow).await {
            Ok(status) => {
                let _ = timeout(ANSWER, close(from, to, wrapping.farewell(status))).await;
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

    /// Reads and writes until the end, and reports it. Returns the status to close a WebSocket with.
    async fn exchange<R, W>(
        &mut self,
        from: &mut R,
        to: &mut W,
        framing: &mut Framing,
        flow: Flow,
    ) -> Result<u16, Broken>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let replies = Replies::default();
        let wrapping = framing.wrapping();
        let reader = Reader {
            stream: from,
            flow,
            framing,
            limits: &self.limits,
            inlet: &self.inlet,
            replies: &replies,
        };
        let limit = self.limits.write;
        let writer = Writer {
            stream: to,
            wrapping,
            queue: &mut self.queue,
            queued: &self.queued,
            limit,
            replies: &replies,
        };
        let mut writing = pin!(writer.run());
        let ended = tokio::select! {
            end = reader.run() => Err(end),
            result = &mut writing => Ok(result),
            () = self.cut.notified() => Ok(Err(Broken::by(SendFailure::Full))),
        };
        let _ = self.notices.send(Notice::Ending(self.id)).await;
        let _ = self.inlet.deliver(NetInput::ConnectionLost(flow)).await;
        match ended {
            Ok(result) => result.map(|()| GOING_AWAY),
            Err(ReadEnd::Dead) => Err(Broken::by(SendFailure::ConnectionLost)),
            Err(ReadEnd::Stopped { answers_until, status }) => tokio::select! {
                result = timeout_at(answers_until, &mut writing) => result.unwrap_or(Ok(())).map(|()| status),
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
    Stopped { answers_until: Instant, status: u16 },
    /// Nothing works any more.
    Dead,
}

/// What reads a connection.
struct Reader<'a, R> {
    stream: &'a mut R,
    flow: Flow,
    framing: &'a mut Framing,
    limits: &'a StreamLimits,
    inlet: &'a Inlet,
    replies: &'a Replies,
}

/// What a reader has delivered.
struct Delivered {
    /// Whether there was a message.
    any: bool,
    /// Whether the peer sends nothing more.
    closed: bool,
}

impl<R: AsyncRead + Unpin> Reader<'_, R> {
    async fn run(mut self) -> ReadEnd {
        let mut answers_until = Instant::now();
        let mut silence = Silence::new(self.limits, self.framing.wrapping());
        loop {
            let delivered = match self.deliver_frames(&mut answers_until).await {
                Ok(delivered) => delivered,
                Err(end) => return end,
            };
            if delivered.closed {
                return ReadEnd::Stopped { answers_until, status: NORMAL };
            }
            silence.broken(delivered.any, self.framing.is_partial(), self.limits);
            loop {
                match timeout_at(silence.wake(), self.fill()).await {
                    Ok(Ok(0)) => return ReadEnd::Stopped { answers_until, status: NORMAL },
                    Ok(Ok(_)) => break,
                    Ok(Err(_)) => return ReadEnd::Dead,
                    Err(_) => match silence.ping(self.limits, self.framing.wrapping()) {
                        Some(ping) => self.replies.put(&ping),
                        None => return ReadEnd::Stopped { answers_until, status: GOING_AWAY },
                    },
                }
            }
            // Pings alone never wait for anything.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Reads once. The room lies on the stack while it is read into, and not in every idle connection.
    async fn fill(&mut self) -> io::Result<usize> {
        let (stream, framing) = (&mut *self.stream, &mut *self.framing);
        poll_fn(|cx| {
            let mut room = [const { MaybeUninit::uninit() }; 8_192];
            let mut read = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
            framing.push(read.filled());
            io::Result::Ok(read.filled().len()).into()
        })
        .await
    }

    async fn deliver_frames(&mut self, answers_until: &mut Instant) -> Result<Delivered, ReadEnd> {
        let mut any = false;
        loop {
            let bytes = match self.framing.next() {
                Ok(None) => return Ok(Delivered { any, closed: false }),
                Ok(Some(Incoming::Close)) => return Ok(Delivered { any, closed: true }),
                Ok(Some(Incoming::Message(bytes))) => bytes,
                Ok(Some(Incoming::Answer(reply))) => {
                    self.replies.put(&reply);
                    continue;
                }
                Ok(Some(Incoming::Alive)) => continue,
                Err(broken) => return Err(end_of(broken, self.flow, self.inlet).await),
            };
            let input = NetInput::Message { bytes, flow: self.flow };
            self.inlet.deliver(input).await.map_err(|Gone| ReadEnd::Dead)?;
            *answers_until = Instant::now() + ANSWER;
            any = true;
        }
    }
}

/// How a connection ends that cannot be cut into messages any further.
async fn end_of(broken: BrokenFraming, flow: Flow, inlet: &Inlet) -> ReadEnd {
    match broken {
        BrokenFraming::Stream(error) => {
            let _ = inlet.deliver(NetInput::BadFrame { error, flow }).await;
            ReadEnd::Stopped { answers_until: Instant::now() + ANSWER, status: NORMAL }
        }
        BrokenFraming::WebSocket(status) => {
            tracing::debug!(remote = %flow.remote, status, "WebSocket peer broke the rules");
            ReadEnd::Stopped { answers_until: Instant::now(), status }
        }
    }
}

/// How long a connection may be silent.
struct Silence {
    deadline: Instant,
    was_partial: bool,
    /// When a peer that is silent is asked whether it is there.
    ping_at: Option<Instant>,
}

impl Silence {
    fn new(limits: &StreamLimits, wrapping: Wrapping) -> Self {
        let now = Instant::now();
        let ping_at = wrapping.pings().then(|| now + limits.ping);
        Self { deadline: now + limits.idle, was_partial: false, ping_at }
    }

    fn wake(&self) -> Instant {
        self.ping_at.map_or(self.deadline, |at| at.min(self.deadline))
    }

    /// Something came. `framed` if it held a whole message; `is_partial` if a message has begun that is not whole.
    fn broken(&mut self, framed: bool, is_partial: bool, limits: &StreamLimits) {
        let now = Instant::now();
        if !is_partial {
            self.deadline = now + limits.idle;
        } else if framed || !self.was_partial {
            self.deadline = now + limits.partial;
        }
        self.was_partial = is_partial;
        self.ping_at = self.ping_at.map(|_| now + limits.ping);
    }

    /// The time has come: what to ask the peer with, or `None` if it had time enough.
    fn ping(&mut self, limits: &StreamLimits, wrapping: Wrapping) -> Option<Vec<u8>> {
        let now = Instant::now();
        if self.deadline <= now {
            return None;
        }
        self.deadline = self.deadline.min(now + limits.pong);
        self.ping_at = Some(self.deadline);
        wrapping.ping()
    }
}

/// What writes a connection.
struct Writer<'a, W> {
    stream: &'a mut W,
    wrapping: Wrapping,
    queue: &'a mut mpsc::UnboundedReceiver<Box<Transmit>>,
    queued: &'a AtomicUsize,
    limit: Duration,
    replies: &'a Replies,
}

impl<W: AsyncWrite + Unpin> Writer<'_, W> {
    /// Until the queue is closed and empty.
    async fn run(mut self) -> Result<(), Broken> {
        loop {
            let next = tokio::select! {
                next = self.queue.recv() => next,
                replies = self.replies.wait() => {
                    within(self.limit, write(self.stream, &replies)).await.map_err(Broken::by)?;
                    continue;
                }
            };
            let Some(transmit) = next else { return Ok(()) };
            let written = self.send(&transmit).await;
            self.queued.fetch_sub(cost(&transmit), Ordering::Relaxed);
            if let Err(failure) = written {
                return Err(Broken { unsent: Some(*transmit), failure });
            }
        }
    }

    async fn send(&mut self, transmit: &Transmit) -> Result<(), SendFailure> {
        match self.wrapping.wrap(transmit) {
            Some(wrapped) => within(self.limit, write(self.stream, &wrapped)).await,
            None => within(self.limit, write(self.stream, &transmit.bytes)).await,
        }
    }
}

/// The handshake of a peer that came in, and the domains that it has proven in it.
async fn shake(
    stream: TcpStream,
    tls: TlsServer,
    limit: Duration,
) -> io::Result<(Box<dyn ByteStream>, Vec<String>)> {
    match timeout(limit, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            let names = proven(&stream);
            Ok((Box::new(stream), names))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    // What TLS has taken need not have left.
    stream.flush().await
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

/// Sets what connections need; those that a listener accepts have it from the listener.
fn prepare(stream: &TcpStream, limit: Duration) {
    // Both only improve matters; a connection works without.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(unacknowledged(limit)));
    #[cfg(not(target_os = "linux"))]
    let _ = limit;
}

/// How long a peer's machine may leave bytes unacknowledged where a write may take so long.
#[cfg(target_os = "linux")]
pub(crate) fn unacknowledged(write: Duration) -> Duration {
    write.max(UNACKNOWLEDGED)
}

/// Says that no more comes, then lets the peer finish: closing while bytes are unread would make the system
/// throw away what the peer has not read yet.
async fn close(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    farewell: Option<Vec<u8>>,
) -> io::Result<()> {
    if let Some(farewell) = farewell {
        to.write_all(&farewell).await?;
    }
    to.shutdown().await?;
    let mut room = [0; 512];
    while from.read(&mut room).await? > 0 {}
    Ok(())
}

/// For the answer to a peer's last message to be sent, and for the peer to read it.
const ANSWER: Duration = Duration::from_secs(1);
/// How long the peer's machine may leave written bytes unacknowledged; long enough for a change of network.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// Status codes of RFC 6455 §7.4.1.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
