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

use super::{Identity, Roots, name, provider};

/// Which certificates a server asks its clients for.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// None.
    Off,
    /// Whoever has one may show it; it must lead to one of these roots then.
    Asked(Roots),
    /// Everybody must have one of these authorities'.
    Demanded(Vec<CertificateDer<'static>>),
}

/// How TLS connections are accepted. All clones change together: connections that stand are left alone.
#[derive(Clone)]
pub struct TlsServer {
    config: Arc<RwLock<Arc<ServerConfig>>>,
    alpn: &'static [&'static str],
}

impl TlsServer {
    /// Shows this certificate. Of the protocols in `alpn` (RFC 7301), a client that names any must know one.
    ///
    /// # Errors
    /// When rustls cannot use the key, or an authority of clients.
    pub fn new(
        identity: Identity,
        clients: &ClientAuth,
        alpn: &'static [&'static str],
    ) -> Result<Self, rustls::Error> {
        let config = Arc::new(RwLock::new(configure(identity, clients, alpn)?));
        Ok(Self { config, alpn })
    }

    /// Shows another certificate from now on.
    ///
    /// # Errors
    /// As [`Self::new`]; then nothing changes.
    pub fn renew(&self, identity: Identity, clients: &ClientAuth) -> Result<(), rustls::Error> {
        let config = configure(identity, clients, self.alpn)?;
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

/// The SIP domains that a client has proven, after the handshake; its certificate has been checked in that.
pub(crate) fn proven<IO>(stream: &TlsStream<IO>) -> Vec<String> {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    shown.map(|certificate| name::domains(certificate)).unwrap_or_default()
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

fn configure(
    identity: Identity,
    clients: &ClientAuth,
    alpn: &[&str],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let verifier =
        |roots: RootCertStore| WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
    let verifier = match clients {
        ClientAuth::Off => None,
        // Who trusts nobody need not ask.
        ClientAuth::Asked(roots) if roots.0.is_empty() => None,
        // The names of all the system's authorities would make each handshake long.
        ClientAuth::Asked(roots) => {
            Some(verifier(roots.0.clone()).allow_unauthenticated().clear_root_hint_subjects())
        }
        ClientAuth::Demanded(authorities) => Some(verifier(Roots::none().and(authorities.clone())?.0)),
    };
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => {
            let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(identity.chain, identity.key)?;
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}
