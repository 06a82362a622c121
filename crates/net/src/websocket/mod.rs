//! WebSocket (RFC 6455) as far as SIP needs it (RFC 7118): frames, and how a client begins.
//!
//! The other beginning, the server's, is HTTP and belongs to whoever serves that.

mod frame;
mod upgrade;

pub(crate) use frame::{Frame, Side, WebSocket, close_frame, message_frame, ping_frame};
pub(crate) use upgrade::upgrade;
