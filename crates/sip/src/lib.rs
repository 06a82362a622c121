//! SIP messages: bytes to typed values and back (RFC 3261 §7, §19, §20, §25).
//!
//! [`Message::parse`] checks a message at the door and keeps the received bytes; headers stay raw until one
//! of the accessors of [`Headers`] is asked for them. Forwarding goes through [`Edit`], which changes only
//! what it is told to; new messages come from [`RequestBuilder`] and [`ResponseBuilder`]. Nothing here does
//! I/O, reads a clock or panics on received bytes.

pub mod digest;
mod edit;
mod error;
mod frame;
#[doc(hidden)]
pub mod fuzz;
pub mod header;
mod host;
mod lex;
mod line;
mod message;
mod method;
mod parse;
mod print;
mod rejected;
pub mod scan;
mod status;
mod text;
mod uri;

pub use digest::Algorithm;
pub use edit::Edit;
pub use error::{ParseError, ParseErrorKind};
pub use frame::{Frame, FrameError, FrameErrorKind, Framer};
pub use header::auth::{Challenge, Credentials};
pub use header::contact::{Contact, Contacts};
pub use header::cseq::CSeq;
pub use header::event::{Event, SubscriptionState, Substate};
pub use header::media_type::MediaType;
pub use header::name::Name;
pub use header::name_addr::NameAddr;
pub use header::params::Params;
pub use header::reliable::RAck;
pub use header::replaces::Replaces;
pub use header::session_timer::{Refresher, SessionExpires};
pub use header::via::Via;
pub use host::{Host, HostPort, Transport};
pub use message::{Field, Headers, Message, Request, Response};
pub use method::Method;
pub use parse::{Limits, MAX_FIELDS, MAX_MESSAGE};
pub use print::{RequestBuilder, ResponseBuilder};
pub use rejected::RejectedRequest;
pub use status::Status;
pub use text::Text;
pub use uri::{OtherUri, SipUri, TelUri, Uri};
