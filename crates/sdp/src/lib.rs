//! Offer and answer rules (RFC 3264) over SDP (RFC 8866).
//!
//! Layer 0. A description is read once into [`Sdp`], which keeps the received text beside its meaning: an
//! exchange that relays media edits the text ([`mod@rewrite`]), an endpoint makes descriptions of its own
//! ([`offer_answer`]). Identifiers and versions of sessions come from the caller.

pub mod codec;
mod direction;
mod line;
mod media;
pub mod offer_answer;
pub mod rewrite;
mod sdp;
pub mod video;

pub use codec::Codec;
pub use direction::Direction;
pub use media::{Host, Media, MediaKind, Profile};
pub use offer_answer::{
    AnswerError, Attributes, Capabilities, Format, Negotiated, Refusal, Side, Stream, agreed, answer,
    answer_protected, apply_answer, offer, reoffer,
};
pub use rewrite::{Face, Formats, Options, Relay, Remote, RewriteError, remotes, rewrite};
pub use sdp::{ErrorKind, Origin, ParseError, Sdp};
