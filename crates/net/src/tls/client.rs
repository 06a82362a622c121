//! The client's side of TLS: who is trusted, and that a server is who it should be.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Identity, fault, name, provider};

/// Certificates that others' certificates must lead to.
#[derive(Clone, Debug)]
pub struct Roots(pub(super) RootCertStore);

impl Roots {
    /// Those that the system trusts. What of them cannot be read is left out.
    pub fn of_system() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self(roots)
    }

    /// None.
    pub fn none() -> Self {
        Self(RootCertStore::empty())
    }

    /// These too.
    ///
    /// # Errors
    /// When one is no certificate.
    pub fn and(mut self, certificates: Vec<CertificateDer<'static>>) -> Result<Self, rustls::Error> {
        for one in certificates {
            self.0.add(one)?;
        }
        Ok(self)
    }
}

/// How we open TLS connections. All clones change together: connections that stand are left alone.
#[derive(Clone)]
pub struct TlsClient(Arc<RwLock<Configs>>);

struct Configs {
    /// Whether those who answer have to prove who they are.
    checks: bool,
    /// The name is a SIP domain's (RFC 5922).
    sip: Arc<ClientConfig>,
    /// The name is a host's (RFC 6125), as for WebSocket.
    host: Arc<ClientConfig>,
    /// The same for a TURN server, which speaks no HTTP.
    turn: Arc<ClientConfig>,
}

impl TlsClient {
    /// Believes servers whose certificates lead to these roots and bear the right name. `identity` is shown to a server
    /// that asks for it.
    ///
    /// # Errors
    /// When rustls cannot use the identity.
    pub fn new(roots: Roots, identity: Option<Identity>) -> Result<Self, rustls::Error> {
        Ok(Self(Arc::new(RwLock::new(Configs::new(Some(&roots.0), identity)?))))
    }

    /// Believes and shows others from now on.
    ///
    /// # Errors
    /// As [`Self::new`]; then nothing changes.
    pub fn renew(&self, roots: Roots, identity: Option<Identity>) -> Result<(), rustls::Error> {
        let configs = Configs::new(Some(&roots.0), identity)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = configs;
        Ok(())
    }

    /// Believes anybody: for tests only.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn insecure(identity: Option<Identity>) -> Result<Self, rustls::Error> {
        Ok(Self(Arc::new(RwLock::new(Configs::new(None, identity)?))))
    }

    /// Whether those who answer have to prove who they are.
    pub(crate) fn checks(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).checks
    }

    fn connector(&self, which: impl FnOnce(&Configs) -> &Arc<ClientConfig>) -> TlsConnector {
        let configs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        TlsConnector::from(Arc::clone(which(&configs)))
    }

    /// The handshake with a server that must prove `name`, as a SIP domain.
    pub(crate) async fn connect<IO>(&self, stream: IO, name: ServerName<'static>) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector(|one| &one.sip).connect(name, stream).await
    }

    /// The same with a TURN server.
    pub(crate) async fn connect_turn<IO>(
        &self,
        stream: IO,
        name: ServerName<'static>,
    ) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector(|one| &one.turn).connect(name, stream).await
    }

    /// The same with a web server.
    pub(crate) async fn connect_host<IO>(
        &self,
        stream: IO,
        name: ServerName<'static>,
    ) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector(|one| &one.host).connect(name, stream).await
    }
}

impl Configs {
    fn new(roots: Option<&RootCertStore>, identity: Option<Identity>) -> Result<Self, rustls::Error> {
        let config = |names: Names, alpn: &[&[u8]]| {
            let verifier = Verifier { roots: roots.cloned(), names, provider: provider() };
            let builder = ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier));
            let mut config = match identity.clone() {
                Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
                None => builder.with_no_client_auth(),
            };
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            Ok::<_, rustls::Error>(Arc::new(config))
        };
        Ok(Self {
            checks: roots.is_some(),
            sip: config(Names::Sip, &[])?,
            host: config(Names::Host, &[b"http/1.1"])?,
            turn: config(Names::Host, &[])?,
        })
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
enum Names {
    Sip,
    Host,
}

/// Checks chain and name; without roots, neither.
#[derive(Debug)]
struct Verifier {
    roots: Option<RootCertStore>,
    names: Names,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        wanted: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(roots) = &self.roots else { return Ok(ServerCertVerified::assertion()) };
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)
            .map_err(|error| fault::or_self_signed(error, certificate))?;
        match self.names {
            Names::Host => verify_server_name(&parsed, wanted)?,
            Names::Sip if name::is_proven(certificate, wanted) => {}
            Names::Sip => return Err(CertificateError::NotValidForName.into()),
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
