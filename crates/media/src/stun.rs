//! STUN (RFC 8489): messages as they come and as they leave, and what proves who made them. TURN and ICE speak it.

pub(crate) mod attribute;
pub(crate) mod binding;
pub(crate) mod key;
pub(crate) mod message;
pub(crate) mod writer;

pub use binding::{Answer, Binding};
pub use key::{Integrity, Key, PasswordAlgorithm};
pub use message::{Class, HEADER, Malformed, Message, Method};
pub use writer::Writer;
