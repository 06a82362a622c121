//! Frames: bytes to messages and back (RFC 6455 §5). No sockets.

use bytes::{Buf as _, Bytes, BytesMut};

/// One end's view of a connection.
#[derive(Debug)]
pub(crate) struct WebSocket {
    side: Side,
    /// Octets of a message, whatever the number of its fragments.
    limit: usize,
    buffer: BytesMut,
    /// What came so far of a message in fragments.
    fragments: Option<Fragments>,
    failed: Option<u16>,
}

/// Which end we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Sends masked frames and gets plain ones (§5.1).
    Client,
    /// The other way round.
    Server,
}

#[derive(Debug)]
struct Fragments {
    is_text: bool,
    bytes: BytesMut,
}

/// What the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A message, whole.
    Message(Bytes),
    /// To be answered with a pong of the same.
    Ping(Bytes),
    /// The answer to a ping of ours.
    Pong,
    /// The peer closes.
    Close,
}

impl WebSocket {
    /// With `early`, what came already.
    pub(crate) fn new(side: Side, limit: usize, early: &[u8]) -> Self {
        Self { side, limit, buffer: early.into(), fragments: None, failed: None }
    }

    pub(crate) fn side(&self) -> Side {
        self.side
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether part of a message is waiting for the rest.
    pub(crate) fn is_partial(&self) -> bool {
        self.fragments.is_some() || !self.buffer.is_empty()
    }

    /// The next frame that means something; `None` until more bytes come.
    ///
    /// # Errors
    /// The status with which to close (§7.4.1); from then on always.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, u16> {
        if let Some(status) = self.failed {
            return Err(status);
        }
        self.cut().inspect_err(|status| {
            self.failed = Some(*status);
            self.buffer = BytesMut::new();
            self.fragments = None;
        })
    }

    fn cut(&mut self) -> Result<Option<Frame>, u16> {
        loop {
            let Some(head) = self.head()? else { return Ok(None) };
            if self.buffer.len() < head.length + head.payload {
                return Ok(None);
            }
            self.buffer.advance(head.length);
            let mut payload = self.buffer.split_to(head.payload);
            if let Some(mask) = head.mask {
                apply(mask, &mut payload);
            }
            if self.buffer.is_empty() {
                // What is idle keeps no room.
                self.buffer = BytesMut::new();
            }
            match head.opcode {
                PING => return Ok(Some(Frame::Ping(payload.freeze()))),
                PONG => return Ok(Some(Frame::Pong)),
                CLOSE => return Ok(Some(Frame::Close)),
                _ => {
                    if let Some(message) = self.data(&head, payload)? {
                        return Ok(Some(Frame::Message(message)));
                    }
                }
            }
        }
    }

    /// The head of the frame in front, checked against everything that is known without its payload.
    fn head(&self) -> Result<Option<Head>, u16> {
        let Some(head) = Head::read(&self.buffer)? else { return Ok(None) };
        if head.mask.is_some() != (self.side == Side::Server) {
            return Err(PROTOCOL_ERROR);
        }
        let so_far = match (head.opcode, &self.fragments) {
            (CLOSE | PING | PONG, _) => return Ok(Some(head)),
            (CONTINUATION, Some(fragments)) => fragments.bytes.len(),
            (TEXT | BINARY, None) => 0,
            _ => return Err(PROTOCOL_ERROR),
        };
        if head.payload > self.limit - so_far.min(self.limit) {
            return Err(TOO_BIG);
        }
        Ok(Some(head))
    }

    /// A data frame: the message that it completes.
    fn data(&mut self, head: &Head, payload: BytesMut) -> Result<Option<Bytes>, u16> {
        let (is_text, message) = match self.fragments.take() {
            Some(mut fragments) => {
                fragments.bytes.extend_from_slice(&payload);
                (fragments.is_text, fragments.bytes)
            }
            None => (head.opcode == TEXT, payload),
        };
        if !head.is_final {
            self.fragments = Some(Fragments { is_text, bytes: message });
            return Ok(None);
        }
        // §8.1
        if is_text && std::str::from_utf8(&message).is_err() {
            return Err(NOT_TEXT);
        }
        Ok(Some(message.freeze()))
    }
}

/// The head of a frame (§5.2).
struct Head {
    is_final: bool,
    opcode: u8,
    mask: Option<[u8; 4]>,
    /// Octets of the head itself.
    length: usize,
    /// Octets after it.
    payload: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Option<Self>, u16> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let (is_final, opcode) = (first & 0x80 != 0, first & 0x0f);
        // No extension was agreed on that could mean something by the reserved bits.
        if first & 0x70 != 0 || !matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(PROTOCOL_ERROR);
        }
        let (wide, payload) = match second & 0x7f {
            126 => match rest.first_chunk() {
                Some(two) => (2, u64::from(u16::from_be_bytes(*two))),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(eight) => (8, u64::from_be_bytes(*eight)),
                None => return Ok(None),
            },
            short => (0, u64::from(short)),
        };
        // §5.5
        if opcode >= CLOSE && (!is_final || payload > MOST_IN_CONTROL) {
            return Err(PROTOCOL_ERROR);
        }
        let payload = usize::try_from(payload).map_err(|_| TOO_BIG)?;
        let mask = if second & 0x80 == 0 {
            None
        } else {
            match rest.get(wide..).and_then(|rest| rest.first_chunk()) {
                Some(mask) => Some(*mask),
                // Its size is enough to refuse it.
                None if payload > LARGEST_EVER => return Err(TOO_BIG),
                None => return Ok(None),
            }
        };
        let length = 2 + wide + if mask.is_some() { 4 } else { 0 };
        Ok(Some(Self { is_final, opcode, mask, length, payload }))
    }
}

/// A message as a frame: as text where it is text, as browsers' libraries expect it.
pub(crate) fn message_frame(message: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let opcode = if std::str::from_utf8(message).is_ok() { TEXT } else { BINARY };
    frame(opcode, message, mask)
}

/// A pong for this ping, or a ping.
pub(crate) fn ping_frame(pong_for: Option<&[u8]>, mask: Option<[u8; 4]>) -> Vec<u8> {
    match pong_for {
        Some(ping) => frame(PONG, ping, mask),
        None => frame(PING, &[], mask),
    }
}

/// The end, with this status (§7.4.1).
pub(crate) fn close_frame(status: u16, mask: Option<[u8; 4]>) -> Vec<u8> {
    frame(CLOSE, &status.to_be_bytes(), mask)
}

fn frame(opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 14);
    bytes.push(0x80 | opcode);
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..126), _) => bytes.push(masked | length),
        (_, Ok(length)) => {
            bytes.push(masked | 126);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            bytes.push(masked | 127);
            bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&mask.unwrap_or_default()[..if mask.is_some() { 4 } else { 0 }]);
    let begin = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(mask) = mask {
        apply(mask, &mut bytes[begin..]);
    }
    bytes
}

fn apply(mask: [u8; 4], payload: &mut [u8]) {
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const MOST_IN_CONTROL: u64 = 125;
const LARGEST_EVER: usize = 1 << 30;
const PROTOCOL_ERROR: u16 = 1002;
const NOT_TEXT: u16 = 1007;
const TOO_BIG: u16 = 1009;

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

    fn server(bytes: &[u8]) -> WebSocket {
        WebSocket::new(Side::Server, 1_000, bytes)
    }

    fn all(socket: &mut WebSocket) -> Vec<Frame> {
        std::iter::from_fn(|| socket.next().unwrap()).collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(all(&mut server(&masked)), [Frame::Message("Hello".into())]);
        let fragments = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
        let mut client = WebSocket::new(Side::Client, 1_000, &fragments);
        assert_eq!(all(&mut client), [Frame::Message("Hello".into())]);
        assert!(!client.is_partial());
    }

    #[test]
    fn what_one_side_writes_the_other_reads_at_any_cut() {
        for size in [0, 1, 125, 126, 1_000] {
            let payload = vec![b'x'; size];
            let mut bytes = message_frame(&payload, MASK);
            bytes.extend(ping_frame(None, MASK));
            for cut in 0..bytes.len() {
                let mut socket = server(&bytes[..cut]);
                let mut frames = all(&mut socket);
                socket.push(&bytes[cut..]);
                frames.extend(all(&mut socket));
                assert_eq!(frames, [Frame::Message(payload.clone().into()), Frame::Ping(Bytes::new())]);
            }
        }
        let large = vec![0xff; 70_000];
        let mut client = WebSocket::new(Side::Client, 70_000, &message_frame(&large, None));
        assert_eq!(all(&mut client), [Frame::Message(large.into())]);
    }

    #[test]
    fn a_ping_between_fragments_is_seen_at_once() {
        let mut bytes = frame(TEXT, b"He", MASK);
        bytes[0] &= 0x7f;
        bytes.extend(frame(PING, b"there?", MASK));
        let mut socket = server(&bytes);
        assert_eq!(all(&mut socket), [Frame::Ping("there?".into())]);
        assert!(socket.is_partial());
        socket.push(&frame(CONTINUATION, b"llo", MASK));
        assert_eq!(all(&mut socket), [Frame::Message("Hello".into())]);
    }

    #[test]
    fn a_frame_that_announces_more_than_the_limit_is_refused_before_it_comes() {
        let mut announced = vec![0x82, 0xff];
        announced.extend_from_slice(&(1_u64 << 30).to_be_bytes());
        announced.extend_from_slice(&[0; 4]);
        assert_eq!(server(&announced).next(), Err(TOO_BIG));
        assert_eq!(server(&message_frame(&[b'x'; 1_001], MASK)).next(), Err(TOO_BIG));
    }

    #[test]
    fn fragments_count_together_against_the_limit() {
        let mut socket = server(&[]);
        let mut opcode = TEXT;
        for _ in 0..10 {
            let mut bytes = frame(opcode, &[b'x'; 100], MASK);
            bytes[0] &= 0x7f;
            socket.push(&bytes);
            assert_eq!(socket.next(), Ok(None));
            opcode = CONTINUATION;
        }
        socket.push(&frame(CONTINUATION, b"x", MASK));
        assert_eq!(socket.next(), Err(TOO_BIG));
        socket.push(b"more");
        assert_eq!(socket.next(), Err(TOO_BIG));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_a_surprise_and_none_are_hoarded(
            pieces in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..300), 0..20),
            is_client in proptest::bool::ANY,
        ) {
            let side = if is_client { Side::Client } else { Side::Server };
            let mut socket = WebSocket::new(side, 100, &[]);
            for piece in pieces {
                socket.push(&piece);
                while let Ok(Some(frame)) = socket.next() {
                    if let Frame::Message(message) = frame {
                        assert!(message.len() <= 100);
                    }
                }
                let fragments = socket.fragments.as_ref().map_or(0, |fragments| fragments.bytes.len());
                // Less than one frame: at most a head, a control frame or what the limit leaves.
                assert!(fragments <= 100 && socket.buffer.len() < 14 + 125);
            }
        }
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        for bytes in [
            &message_frame(b"plain", None)[..], // A client masks.
            &[0xc1, 0x80, 0, 0, 0, 0],          // A reserved bit.
            &[0x83, 0x80, 0, 0, 0, 0],          // An unknown opcode.
            &[0x80, 0x80, 0, 0, 0, 0],          // Nothing to continue.
            &[0x09, 0x80, 0, 0, 0, 0],          // A ping in fragments.
            &[0x89, 0xfe, 0, 126, 0, 0, 0, 0],  // A ping that is too long.
        ] {
            assert_eq!(server(bytes).next(), Err(PROTOCOL_ERROR), "{bytes:?}");
        }
        let mut begun_twice = frame(TEXT, b"a", MASK);
        begun_twice[0] &= 0x7f;
        begun_twice.extend(frame(TEXT, b"b", MASK));
        assert_eq!(server(&begun_twice).next(), Err(PROTOCOL_ERROR));
        assert_eq!(server(&frame(TEXT, &[0xff], MASK)).next(), Err(NOT_TEXT));
        let mut masked = WebSocket::new(Side::Client, 1_000, &frame(TEXT, b"a", MASK));
        assert_eq!(masked.next(), Err(PROTOCOL_ERROR));
    }
}
