//! What the network reports, and the way by which it arrives.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use offhook_sip::FrameError;
use offhook_sip_stack::{Flow, Transmit};
use tokio::sync::mpsc;

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
    /// The system's reason: no route, too long for a datagram, not allowed, …
    System(io::ErrorKind),
}

impl From<&io::Error> for SendFailure {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::ConnectionLost,
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
            Self::System(kind) => kind.fmt(f),
        }
    }
}

/// The sending end of the bounded queue to whoever handles inputs. While it is full, streams are not read.
#[derive(Clone)]
pub struct Inlet {
    sender: mpsc::Sender<NetInput>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// The receiver of an [`Inlet`] was dropped: nobody handles inputs any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Inlet {
    /// A queue of this many inputs. `wake` is called after each input that was put in, by the task that put it:
    /// it tells a thread that sleeps on something else, and must not block. A task that awaits the receiver
    /// needs none.
    pub fn new(capacity: usize, wake: impl Fn() + Send + Sync + 'static) -> (Self, mpsc::Receiver<NetInput>) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        (Self { sender, wake: Arc::new(wake) }, receiver)
    }

    /// Puts an input in as soon as there is room.
    ///
    /// # Errors
    /// When the receiver is gone.
    pub async fn deliver(&self, input: NetInput) -> Result<(), Gone> {
        self.sender.send(input).await.map_err(|_| Gone)?;
        (self.wake)();
        Ok(())
    }

    /// Waits for room for one input.
    pub(crate) async fn room(&self) -> Result<Room<'_>, Gone> {
        let permit = self.sender.reserve().await.map_err(|_| Gone)?;
        Ok(Room { permit, inlet: self })
    }
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet").field("sender", &self.sender).finish_non_exhaustive()
    }
}

/// Room for one input.
pub(crate) struct Room<'a> {
    permit: mpsc::Permit<'a, NetInput>,
    inlet: &'a Inlet,
}

impl Room<'_> {
    pub(crate) fn fill(self, input: NetInput) {
        self.permit.send(input);
        (self.inlet.wake)();
    }
}
