//! Sends and receives many datagrams per system call, and waits for many sockets at once.
//!
//! Layer 0, and the only crate that may use `unsafe` (system calls in `linux`, `io_uring` in `socket_set`).
//! Addresses above this crate are canonical: an IPv4 peer of a dual-stack socket has an IPv4 address, in both directions.

#[cfg(target_os = "linux")]
mod control;
#[cfg(target_os = "linux")]
mod kernel_address;
#[cfg(target_os = "linux")]
mod limit;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod linux;
#[cfg(target_os = "linux")]
mod poll;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
mod receive;
mod send;
mod socket;
#[cfg(target_os = "linux")]
mod socket_set;

#[cfg(target_os = "linux")]
pub use limit::raise_open_files;
#[cfg(target_os = "linux")]
pub use poll::{Interest, Poller, Ready, Waker};
pub use receive::{Datagram, OwnedDatagram, ReceiveBatch};
pub use send::{Outgoing, SendFailure};
pub use socket::{BatchSocket, BufferSizes, SocketOptions, canonical};
#[cfg(target_os = "linux")]
pub use socket_set::{Arrival, LONGEST, Method, SetOptions, SocketSet};

/// The most datagrams that one system call moves.
pub const BATCH: usize = 64;
