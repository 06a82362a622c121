//! Transactions, dialogs and what dialogs are used for (RFC 3261 §12, §17); sans-IO.
//!
//! Everything a machine gets from outside is in [`Context`]; everything it wants done is pushed into
//! [`Outbox`]. Nothing here reads a clock, a socket or the system's randomness.

pub mod auth;
mod context;
pub mod dialog;
mod fetch;
pub mod fuzz;
mod id_map;
pub mod ladder;
pub mod locate;
mod outbox;
mod timer;
pub mod transaction;
pub mod transport;
pub mod usage;

pub use context::{Context, Rng};
pub use fetch::FetchFailure;
pub use id_map::{IdHasher, IdMap, shrink};
pub use outbox::{CloseConnection, Outbox, Transmit};
pub use timer::Timers;
pub use transport::{ConnectionId, Flow, Transport};
