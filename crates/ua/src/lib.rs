//! A user agent (RFC 3261 §6): registers, places and answers calls; sans-IO.
//!
//! A driver owns the sockets, the clock and the sound. It feeds [`UserAgent::handle`], empties the [`Outbox`], and
//! calls [`UserAgent::audio`] every 20 ms for each call that it has sound for.

mod call;
mod config;
mod env;
mod io;
mod lines;
mod message;
mod ports;
mod registration;
mod server;
mod subscription;
mod user_agent;

pub use config::{Config, Credentials, Listener, MediaPort, SrtpKeys, SrtpPolicy};
pub use io::{
    CallId, CallOptions, Command, DropReason, Event, Input, MediaTransmit, Outbox, Question, QuestionId,
    RequestId, Side,
};
/// Samples in 20 ms of sound at 8 kHz.
pub use offhook_media::FRAME;
/// Servers that an ICE agent asks.
pub use offhook_media::ice::{Servers as IceServers, TurnServer};
/// RTP or RTCP: which of a pair of ports (RFC 3550 §11).
pub use offhook_media::session::Component;
/// What the sound of a call was like, so far or at its end.
pub use offhook_media::session::Statistics as MediaReport;
/// Writes stars over the keys of SRTP in a message that is to be shown or kept.
pub use offhook_rtp::srtp::mask_keys;
pub use user_agent::UserAgent;
