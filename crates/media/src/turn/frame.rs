//! Where a message ends in a stream (RFC 8656 §3.1, §12.5).

use super::channel;
use super::message::HEADER;

/// What stands at the beginning of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Nothing whole yet.
    Incomplete,
    /// A message of `message` bytes; the next begins after `all` of them.
    Whole {
        /// What to read.
        message: usize,
        /// The same with its padding.
        all: usize,
    },
    /// Nothing that could be here: the stream is of no use any more.
    Broken,
}

impl Frame {
    /// Looks at the bytes received so far.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Frame {
        let [first, _, high, low, ..] = *bytes else {
            return if bytes.first().is_some_and(|first| !begins(*first)) {
                Frame::Broken
            } else {
                Frame::Incomplete
            };
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (message, all) = match first {
            0..=3 if length % 4 == 0 => (HEADER + length, HEADER + length),
            // Over a stream it is padded (RFC 8656 §12.5).
            _ if channel::begins(first) => {
                (channel::HEADER + length, channel::HEADER + length.next_multiple_of(4))
            }
            _ => return Frame::Broken,
        };
        if all > LONGEST {
            Frame::Broken
        } else if bytes.len() < all {
            Frame::Incomplete
        } else {
            Frame::Whole { message, all }
        }
    }
}

fn begins(first: u8) -> bool {
    first <= 3 || channel::begins(first)
}

/// The longest message of a stream, in bytes; a datagram that is relayed fits.
pub const LONGEST: usize = 4096;
