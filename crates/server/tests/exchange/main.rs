//! A whole exchange in this process, on loopback ports of the system's choice, with clients that speak plain bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod api;
mod client;
mod lines;
mod reload;
mod secure;
mod sip;
mod start;
mod threads;
mod turn;
