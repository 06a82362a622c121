//! What the network reports, and the way by which it arrives.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use offhook_sip::FrameError;
use offhook_sip_stack::{Flow, Transmit};
use tokio::sync::mpsc;

use crate::TlsFault;

/// Something that happened on the network.
#[derive(Clone, Debug)]
pub enum NetInput {
    /// A message came, whole and not yet parsed.
    Message {
        /// As received.
        bytes: Bytes,
        /// The way it came, which is the way for the answer.
        flow: Flow,
    },
    /// A connection is open, whoever opened it.
    ConnectionOpened(Flow),
    /// The SIP domains that the peer of a connection has proven by its certificate (RFC 5922), in small letters. Comes before
    /// the first message of the connection, and again without any after its last; not at all where none are proven.
    ConnectionProven(Flow, Arc<[String]>),
    /// A connection that was open sends nothing more. Reported once, after its last message. If the peer merely
    /// stopped sending, answers to its last messages may still be sent on it for a second.
    ConnectionLost(Flow),
    /// A message was not sent.
    SendFailed(SendFailed),
    /// A stream lost its framing (RFC 3261 §18.3). A [`NetInput::ConnectionLost`] follows; an answer to the head
    /// may be sent within a second.
    BadFrame {
        /// What is wrong, with the offending head.
        error: FrameError,
        /// The connection.
        flow: Flow,
    },
}

/// A message that was not sent.
#[derive(Clone, Debug)]
pub struct SendFailed {
    /// The message and its way.
    pub transmit: Transmit,
    /// Why not.
    pub failure: SendFailure,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// The peer refuses connections.
    Refused,
    /// The peer did not accept the connection, or nothing of the message, in time.
    TimedOut,
    /// The named connection is not open, or ended before the message's turn.
    ConnectionLost,
    /// More is waiting to be sent than the limits allow.
    Full,
    /// Too many connections are open to open another.
    TooManyConnections,
    /// Nothing here speaks this transport, or reaches this family of addresses.
    Unsupported,
    /// There is no TLS with the peer.
    Tls(TlsFault),
    /// The peer speaks no SIP over WebSocket.
    NoWebSocket,
    /// The system's reason: no route, too long for a datagram, not allowed, …
    System(io::ErrorKind),
}

impl From<&io::Error> for SendFailure {
    fn from(error: &io::Error) -> Self {
        if let Some(fault) = TlsFault::of(error) {
            return Self::Tls(fault);
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::ConnectionLost,
            io::ErrorKind::InvalidData => Self::NoWebSocket,
            io::ErrorKind::Unsupported => Self::Unsupported,
            kind => Self::System(kind),
        }
    }
}

impl fmt::Display for SendFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::TimedOut => f.write_str("timed out"),
            Self::ConnectionLost => f.write_str("connection lost"),
            Self::Full => f.write_str("too much is waiting to be sent"),
            Self::TooManyConnections => f.write_str("too many connections"),
            Self::Unsupported => f.write_str("no socket for this transport and address family"),
            Self::Tls(fault) => fault.fmt(f),
            Self::NoWebSocket => f.write_str("the peer speaks no SIP over WebSocket"),
            Self::System(kind) => kind.fmt(f),
        }
    }
}

/// The sending end of the bounded queues to those who handle inputs. While the one that an input must go into is full,
/// its stream is not read.
#[derive(Clone)]
pub struct Inlet {
    queues: Arc<[Queue]>,
    owner: Owner,
}

/// Tells who, of several, handles a message that is not yet parsed.
pub type Owner = Arc<dyn Fn(&[u8]) -> usize + Send + Sync>;

/// Called after each input that was put into a queue, by the task that put it (but for news of an opened connection, as
/// long as there is room for many more): it tells a thread that sleeps on something
/// else, and must not block. A task that awaits the receiver needs none.
pub type Wake = Box<dyn Fn() + Send + Sync>;

struct Queue {
    sender: mpsc::Sender<NetInput>,
    wake: Wake,
}

/// A receiver of an [`Inlet`] was dropped: nobody handles inputs any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Inlet {
    /// A single queue of this many inputs.
    pub fn new(capacity: usize, wake: impl Fn() + Send + Sync + 'static) -> (Self, mpsc::Receiver<NetInput>) {
        let (queue, receiver) = Queue::new(capacity, Box::new(wake));
        (Self { queues: Arc::new([queue]), owner: Arc::new(|_| 0) }, receiver)
    }

    /// A queue of this many inputs for each of several who handle them; `owner` chooses by the message. That
    /// something was not sent, that a connection is lost, or whose it is, all of them learn: any may wait for something on it. That
    /// one was opened, only the first.
    pub fn for_each(
        capacity: usize,
        wakes: Vec<Wake>,
        owner: Owner,
    ) -> (Self, Vec<mpsc::Receiver<NetInput>>) {
        let (queues, receivers): (Vec<_>, Vec<_>) =
            wakes.into_iter().map(|wake| Queue::new(capacity, wake)).unzip();
        (Self { queues: queues.into(), owner }, receivers)
    }

    /// Puts an input in as soon as there is room.
    ///
    /// # Errors
    /// When a receiver is gone.
    pub async fn deliver(&self, input: NetInput) -> Result<(), Gone> {
        let (last, others) = self.of(&input).split_last().ok_or(Gone)?;
        for queue in others {
            queue.put(input.clone()).await?;
        }
        last.put(input).await
    }

    /// Waits for room for one input in every queue.
    pub(crate) async fn room(&self) -> Result<Room<'_>, Gone> {
        let mut permits = Vec::with_capacity(self.queues.len());
        for queue in self.queues.iter() {
            permits.push(queue.sender.reserve().await.map_err(|_| Gone)?);
        }
        Ok(Room { permits, inlet: self })
    }

    /// The queues that an input goes into.
    fn of(&self, input: &NetInput) -> &[Queue] {
        let one = match input {
            NetInput::Message { bytes, .. } => (self.owner)(bytes),
            NetInput::BadFrame { error, .. } => (self.owner)(&error.head),
            NetInput::ConnectionOpened(_) => 0,
            NetInput::ConnectionProven(..) | NetInput::ConnectionLost(_) | NetInput::SendFailed(_) => {
                return &self.queues;
            }
        };
        self.queues.get(one..=one).or(self.queues.get(..1)).unwrap_or_default()
    }
}

impl Queue {
    fn new(capacity: usize, wake: Wake) -> (Self, mpsc::Receiver<NetInput>) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        (Self { sender, wake }, receiver)
    }

    async fn put(&self, input: NetInput) -> Result<(), Gone> {
        // Nobody has to do anything about an opened connection: of two thousand, all but one wait for another input.
        let can_wait = matches!(input, NetInput::ConnectionOpened(_))
            && self.sender.capacity() > self.sender.max_capacity() / 2;
        self.sender.send(input).await.map_err(|_| Gone)?;
        if !can_wait {
            (self.wake)();
        }
        Ok(())
    }
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet").field("queues", &self.queues.len()).finish_non_exhaustive()
    }
}

/// Room for one input.
pub(crate) struct Room<'a> {
    permits: Vec<mpsc::Permit<'a, NetInput>>,
    inlet: &'a Inlet,
}

impl Room<'_> {
    /// Puts in what everyone must know.
    pub(crate) fn fill(self, failed: SendFailed) {
        for (permit, queue) in self.permits.into_iter().zip(self.inlet.queues.iter()) {
            permit.send(NetInput::SendFailed(failed.clone()));
            (queue.wake)();
        }
    }
}
