//! The part of STUN that a lite ICE agent speaks: binding requests in, answers out (RFC 8445 §7.1, §7.3).

use std::net::SocketAddr;

use super::attribute as kind;
use super::key::{Integrity, Key};
use super::message::{Class, Message, Method};
use super::writer::Writer;

/// A binding request or indication over received bytes. Total on any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    message: Message<'a>,
    /// Whether no answer is wanted: a mere sign of life.
    pub indication: bool,
    /// To be repeated in the answer.
    pub transaction: [u8; 12],
    /// `USERNAME`: the names of both ends, with a colon between them.
    pub username: Option<&'a [u8]>,
    /// The sender chooses this pair of addresses (RFC 8445 §7.1.2).
    pub use_candidate: bool,
    /// The sender thinks that the other end chooses (RFC 8445 §7.1.3).
    pub controlled: bool,
    /// The first attribute that had to be understood and was not.
    pub unknown: Option<u16>,
}

impl<'a> Binding<'a> {
    /// Reads a request or indication. `None`: it is something else, or broken, or its `FINGERPRINT` is wrong.
    #[must_use]
    pub fn parse(data: &'a [u8]) -> Option<Binding<'a>> {
        let message = Message::parse(data)?;
        let indication = match (message.method(), message.class()) {
            (Method::Binding, Class::Request) => false,
            (Method::Binding, Class::Indication) => true,
            _ => return None,
        };
        let mut binding = Binding {
            message,
            indication,
            transaction: message.transaction(),
            username: None,
            use_candidate: false,
            controlled: false,
            unknown: None,
        };
        for (kind, value) in message.attributes() {
            match kind {
                kind::USERNAME => binding.username = binding.username.or(Some(value)),
                kind::USE_CANDIDATE => binding.use_candidate = true,
                kind::CONTROLLED => binding.controlled = true,
                kind::PRIORITY | kind::OPTIONAL.. => {}
                _ => binding.unknown = binding.unknown.or(Some(kind)),
            }
        }
        Some(binding)
    }

    /// Whether it was made with this key (RFC 8489 §14.5), in constant time.
    #[must_use]
    pub fn is_from(&self, key: &Key) -> bool {
        self.message.signed_with(key).is_some()
    }

    /// Whether it says who made it, rightly or wrongly.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.username.is_some() && self.message.is_signed()
    }
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The address that the request came from.
    Success(SocketAddr),
    /// A code (RFC 8489 §14.8) and, for 420, what was not understood.
    Error(u16, Option<u16>),
}

impl Answer {
    /// Writes the answer to the request of this transaction; signed with the key where the request was authentic.
    #[must_use]
    pub fn write(self, transaction: [u8; 12], key: Option<&Key>) -> Vec<u8> {
        let begin = |class| Writer::new(class, Method::Binding, transaction);
        let answer = match self {
            Answer::Success(from) => begin(Class::Success).address(kind::XOR_MAPPED_ADDRESS, from),
            Answer::Error(code, None) => begin(Class::Error).error(code, ""),
            Answer::Error(code, Some(unknown)) => begin(Class::Error)
                .error(code, "")
                .attribute(kind::UNKNOWN_ATTRIBUTES, &unknown.to_be_bytes()),
        };
        match key {
            Some(key) => answer.signed(Integrity::Sha1, key),
            None => answer,
        }
        .marked()
        .finish()
    }
}

#[cfg(test)]
pub(crate) mod tests;
