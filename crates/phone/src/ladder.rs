//! Draws each SIP message as an arrow between the phone and the other side.

use std::time::Instant;

use bytes::Bytes;
use offhook_sip_stack::ladder;

pub use offhook_sip_stack::ladder::*;

/// The picture so far: what is needed to draw the next arrow.
#[derive(Debug)]
pub(crate) struct Ladder {
    reader: Reader,
    peer: String,
    begun: Option<Instant>,
}

impl Ladder {
    /// A picture of a phone and `peer`.
    pub(crate) fn new(peer: &str, language: Language) -> Self {
        Self { reader: Reader::new(language), peer: peer.to_owned(), begun: None }
    }

    /// The arrow of a message.
    pub(crate) fn draw(&mut self, at: Instant, way: Way, bytes: &Bytes) -> String {
        let begun = *self.begun.get_or_insert(at);
        let seconds = at.saturating_duration_since(begun).as_secs_f64();
        ladder::line(seconds, "phone", way, &self.peer, &self.reader.read(bytes))
    }
}
