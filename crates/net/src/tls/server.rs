//! The server's side of TLS.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Identity, provider};

/// How TLS connections are accepted. All clones change together: connections that stand are left alone.
#[derive(Clone)]
pub struct TlsServer {
    config: Arc<RwLock<Arc<ServerConfig>>>,
    alpn: &'static [&'static str],
}

impl TlsServer {
    /// Shows this certificate; where there is a `client_ca`, a client must have a certificate of one of these. Of the
    /// protocols in `alpn` (RFC 7301), a client that names any must know one.
    ///
    /// # Errors
    /// When rustls cannot use the key, or no certificate of `client_ca`.
    pub fn new(
        identity: Identity,
        client_ca: &[CertificateDer<'static>],
        alpn: &'static [&'static str],
    ) -> Result<Self, rustls::Error> {
        let config = Arc::new(RwLock::new(configure(identity, client_ca, alpn)?));
        Ok(Self { config, alpn })
    }

    /// Shows another certificate from now on.
    ///
    /// # Errors
    /// As [`Self::new`]; then nothing changes.
    pub fn renew(
        &self,
        identity: Identity,
        client_ca: &[CertificateDer<'static>],
    ) -> Result<(), rustls::Error> {
        let config = configure(identity, client_ca, self.alpn)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// The handshake on an accepted connection. Takes as long as the peer wants; the caller sets a limit.
    ///
    /// # Errors
    /// When the peer speaks no TLS, or we cannot agree.
    pub async fn accept<IO>(&self, stream: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

fn configure(
    identity: Identity,
    client_ca: &[CertificateDer<'static>],
    alpn: &[&str],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = if client_ca.is_empty() {
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        for one in client_ca {
            roots.add(one.clone())?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        builder.with_client_cert_verifier(verifier)
    };
    let mut config = builder.with_single_cert(identity.chain, identity.key)?;
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}
