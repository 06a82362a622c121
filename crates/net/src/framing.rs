//! How messages are cut out of a connection's bytes, and put into them: by Content-Length (RFC 3261 §18.3), or one in a
//! WebSocket message (RFC 7118 §5).

use bytes::Bytes;
use offhook_sip::{Frame, FrameError, Framer, Limits};
use offhook_sip_stack::Transmit;

use crate::websocket::{self, Side, WebSocket, close_frame, message_frame, ping_frame};

/// What cuts one connection's bytes.
pub(crate) enum Framing {
    Stream(Framer),
    WebSocket(Box<WebSocket>),
}

/// What came.
pub(crate) enum Incoming {
    /// A message, whole.
    Message(Bytes),
    /// These bytes are to be written in answer.
    Answer(Vec<u8>),
    /// The peer is alive.
    Alive,
    /// The peer sends nothing more.
    Close,
}

/// The bytes cannot be cut any further.
pub(crate) enum Broken {
    /// A stream's head may still be answered.
    Stream(FrameError),
    /// The status to close a WebSocket with.
    WebSocket(u16),
}

/// How messages are put into the bytes of a connection; known to who writes.
#[derive(Clone, Copy)]
pub(crate) enum Wrapping {
    Plain,
    WebSocket(Side),
}

impl Framing {
    pub(crate) fn stream(limits: Limits) -> Self {
        Self::Stream(Framer::new(limits))
    }

    pub(crate) fn web_socket(side: Side, limits: Limits, early: &[u8]) -> Self {
        Self::WebSocket(Box::new(WebSocket::new(side, limits.message, early)))
    }

    pub(crate) fn wrapping(&self) -> Wrapping {
        match self {
            Self::Stream(_) => Wrapping::Plain,
            Self::WebSocket(socket) => Wrapping::WebSocket(socket.side()),
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Stream(framer) => framer.push(bytes),
            Self::WebSocket(socket) => socket.push(bytes),
        }
    }

    /// Whether part of a message is waiting for the rest.
    pub(crate) fn is_partial(&self) -> bool {
        match self {
            Self::Stream(framer) => framer.is_partial(),
            Self::WebSocket(socket) => socket.is_partial(),
        }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Incoming>, Broken> {
        match self {
            Self::Stream(framer) => {
                let frame = framer.next_frame().map_err(Broken::Stream)?;
                Ok(frame.map(|frame| match frame {
                    Frame::Message(bytes) => Incoming::Message(bytes),
                    // RFC 5626 §4.4.1
                    Frame::Ping => Incoming::Answer(CRLF.into()),
                    Frame::Pong => Incoming::Alive,
                }))
            }
            Self::WebSocket(socket) => {
                let frame = socket.next().map_err(Broken::WebSocket)?;
                let wrapping = Wrapping::WebSocket(socket.side());
                Ok(frame.map(|frame| of_web_socket(frame, wrapping)))
            }
        }
    }
}

fn of_web_socket(frame: websocket::Frame, wrapping: Wrapping) -> Incoming {
    match frame {
        websocket::Frame::Message(bytes) => match &bytes[..] {
            // The keep-alive of RFC 5626 §4.4.1, as some clients send it here too.
            b"\r\n\r\n" => Incoming::Answer(message_frame(CRLF, wrapping.mask())),
            b"\r\n" | b"" => Incoming::Alive,
            _ => Incoming::Message(bytes),
        },
        websocket::Frame::Ping(payload) => Incoming::Answer(ping_frame(Some(&payload), wrapping.mask())),
        websocket::Frame::Pong => Incoming::Alive,
        websocket::Frame::Close => Incoming::Close,
    }
}

impl Wrapping {
    /// The message as it is written; `None` for its own bytes.
    pub(crate) fn wrap(self, transmit: &Transmit) -> Option<Vec<u8>> {
        match self {
            Self::Plain => None,
            Self::WebSocket(_) => Some(message_frame(&transmit.bytes, self.mask())),
        }
    }

    /// Whether a silent peer is asked whether it is there.
    pub(crate) fn pings(self) -> bool {
        matches!(self, Self::WebSocket(_))
    }

    /// What asks the peer whether it is there; `None` where nobody is asked.
    pub(crate) fn ping(self) -> Option<Vec<u8>> {
        match self {
            Self::Plain => None,
            Self::WebSocket(_) => Some(ping_frame(None, self.mask())),
        }
    }

    /// The last words on a connection.
    pub(crate) fn farewell(self, status: u16) -> Option<Vec<u8>> {
        match self {
            Self::Plain => None,
            Self::WebSocket(_) => Some(close_frame(status, self.mask())),
        }
    }

    fn mask(self) -> Option<[u8; 4]> {
        let Self::WebSocket(Side::Client) = self else { return None };
        let mut mask = [0; 4];
        // It keeps old proxies from mistaking what is sent for HTTP; without it the frame is still correct.
        let _ = getrandom::fill(&mut mask);
        Some(mask)
    }
}

const CRLF: &[u8] = b"\r\n";
