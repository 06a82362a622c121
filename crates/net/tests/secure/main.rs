//! Real handshakes on the loopback interface: TLS and WebSocket.
#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are no tests to clippy.

mod authority;
mod fetch;
mod files;
mod peer;
mod tls;
mod web_socket;
