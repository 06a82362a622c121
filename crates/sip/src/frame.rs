//! Cuts a byte stream into messages by Content-Length (RFC 3261 §18.3).

use crate::line::{Line, Lines, first_line};
use crate::{Limits, Name, ParseError, ParseErrorKind, lex};
use bytes::{Buf, Bytes, BytesMut};
use std::fmt;

#[cfg(test)]
mod tests;

/// A stream's buffer. Feed it with [`push`](Framer::push), then take frames until there are none; it then
/// holds less than one message.
#[derive(Debug, Default)]
pub struct Framer {
    limits: Limits,
    buffer: BytesMut,
    /// How far the end of the header has been looked for.
    scanned: usize,
    /// The size of the message at the front, once its header is complete.
    message: Option<usize>,
    /// Whether the last thing taken was a single CRLF, which may have been half a ping.
    after_crlf: bool,
    failed: Option<FrameError>,
}

/// What a stream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One message, whole, not yet parsed.
    Message(Bytes),
    /// CRLF CRLF: to be answered with CRLF (RFC 5626 §4.4.1).
    Ping,
    /// CRLF: the answer to a ping. A ping that comes in two pieces reads as a pong and then a ping.
    Pong,
}

/// The stream has lost its framing: answer the head if it can be answered, then close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// What is wrong.
    pub kind: FrameErrorKind,
    /// The offending header section, or as much of it as there is. For
    /// [`RejectedRequest`](crate::RejectedRequest).
    pub head: Bytes,
}

/// The kinds of [`FrameError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameErrorKind {
    /// The bytes cannot be the start of a SIP message.
    NotSip,
    /// No end of the header within the limit.
    HeadTooLarge,
    /// Header and announced body exceed the limit.
    MessageTooLarge,
    /// No Content-Length.
    MissingContentLength,
    /// Several Content-Length fields.
    ConflictingContentLength,
    /// Content-Length is not a number.
    BadContentLength,
}

impl Framer {
    /// A framer for messages up to this size.
    pub fn new(limits: Limits) -> Framer {
        Framer { limits, ..Framer::default() }
    }

    /// Appends received bytes. After an error they are dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next frame; `None` until more bytes come. After an error it returns that error again.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.cut().map_err(|kind| {
            let head = self.buffer.split_to(self.buffer.len().min(self.limits.message)).freeze();
            self.buffer = BytesMut::new();
            let error = FrameError { kind, head };
            self.failed = Some(error.clone());
            error
        })
    }

    /// Whether part of a message is waiting for the rest.
    pub fn is_partial(&self) -> bool {
        self.buffer.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// How many bytes are waiting.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    fn cut(&mut self) -> Result<Option<Frame>, FrameErrorKind> {
        if self.message.is_none() {
            if let Some(frame) = self.keep_alive() {
                return Ok(frame);
            }
            self.message = self.measure()?;
        }
        match self.message {
            Some(size) if size <= self.buffer.len() => {
                let message = self.buffer.split_to(size).freeze();
                (self.message, self.scanned) = (None, 0);
                Ok(Some(Frame::Message(message)))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// What stands between messages. `None` if a message starts here, else the frame or the wish for more
    /// bytes.
    fn keep_alive(&mut self) -> Option<Option<Frame>> {
        loop {
            let (length, frame) = match self.buffer[..] {
                [b'\r', b'\n', b'\r', b'\n', ..] => (4, Some(Frame::Ping)),
                [b'\r', b'\n', ..] if self.after_crlf => (2, Some(Frame::Ping)),
                [] | [b'\r'] | [b'\r', b'\n', b'\r'] => return Some(None),
                [b'\r', b'\n', ..] => (2, Some(Frame::Pong)),
                // Stray line ends are nothing to stop at.
                [b'\r' | b'\n', ..] => (1, None),
                _ => {
                    self.after_crlf = false;
                    return None;
                }
            };
            self.buffer.advance(length);
            self.after_crlf = frame == Some(Frame::Pong);
            if frame.is_some() {
                return Some(frame);
            }
        }
    }

    /// The size of the message at the front, if its header is complete.
    fn measure(&mut self) -> Result<Option<usize>, FrameErrorKind> {
        if self.buffer.first().is_some_and(|byte| !lex::is_token(&[*byte])) {
            return Err(FrameErrorKind::NotSip);
        }
        let head = self.head_end();
        if head.map_or(self.buffer.len() >= self.limits.message, |head| head > self.limits.message) {
            return Err(FrameErrorKind::HeadTooLarge);
        }
        let Some(head) = head else { return Ok(None) };
        let length = content_length(&self.buffer[..head])?;
        match usize::try_from(length).ok().and_then(|length| head.checked_add(length)) {
            Some(size) if size <= self.limits.message => Ok(Some(size)),
            _ => Err(FrameErrorKind::MessageTooLarge),
        }
    }

    /// Looks for the empty line, going on where the last look stopped.
    fn head_end(&mut self) -> Option<usize> {
        while let Some(step) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
            let newline = self.scanned + step;
            match self.buffer[newline + 1..] {
                [b'\n', ..] => return Some(newline + 2),
                [b'\r', b'\n', ..] => return Some(newline + 3),
                // Not enough to tell: look at this line end again.
                [] | [b'\r'] => {
                    self.scanned = newline;
                    return None;
                }
                _ => self.scanned = newline + 1,
            }
        }
        self.scanned = self.buffer.len();
        None
    }
}

fn content_length(head: &[u8]) -> Result<u64, FrameErrorKind> {
    let (_, fields_at) = first_line(head, 0).ok_or(FrameErrorKind::NotSip)?;
    let mut lines = Lines::new(head, fields_at);
    let mut length = None;
    loop {
        match lines.next() {
            Line::Field(field) if field.name == Name::ContentLength => {
                if length.is_some() {
                    return Err(FrameErrorKind::ConflictingContentLength);
                }
                length = Some(lex::number(field.value(head)).ok_or(FrameErrorKind::BadContentLength)?);
            }
            // A bad line costs this message its acceptance later, not the stream its framing.
            Line::Field(_) | Line::Bad(_) => {}
            Line::End(_) | Line::Truncated => return length.ok_or(FrameErrorKind::MissingContentLength),
        }
    }
}

impl FrameError {
    /// The same as an error of the message, to answer and to name it by.
    pub fn parse_error(&self) -> ParseError {
        let kind = match self.kind {
            FrameErrorKind::NotSip => ParseErrorKind::NotSip,
            FrameErrorKind::HeadTooLarge | FrameErrorKind::MessageTooLarge => ParseErrorKind::TooLarge,
            FrameErrorKind::MissingContentLength => ParseErrorKind::Missing(Name::ContentLength),
            FrameErrorKind::ConflictingContentLength => ParseErrorKind::Duplicate(Name::ContentLength),
            FrameErrorKind::BadContentLength => ParseErrorKind::Malformed(Name::ContentLength),
        };
        ParseError::new(kind, 0)
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parse_error().fmt(f)
    }
}

impl std::error::Error for FrameError {}
