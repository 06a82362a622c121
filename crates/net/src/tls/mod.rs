//! TLS (RFC 5246, RFC 8446) with rustls and aws-lc-rs: both sides of it, and the files it reads.

mod client;
mod fault;
mod identity;
mod name;
mod server;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use client::{Roots, TlsClient};
pub use fault::TlsFault;
pub use identity::{Identity, PemError, read_certificates};
pub(crate) use server::proven;
pub use server::{ClientAuth, TlsServer};

/// Named explicitly, so that it does not matter what else in the program brings a provider along.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
