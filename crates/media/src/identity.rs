//! The certificate that the relay shows in DTLS handshakes.

use crate::command::{Fingerprint, FingerprintHash};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};
use dimpl::DtlsCertificate;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A self-signed certificate with its key. Whoever reads its fingerprint in our SDP knows that it is ours
/// (RFC 5763 §5); nobody else vouches for it.
#[derive(Clone)]
pub struct Identity {
    shown: DtlsCertificate,
    config: Arc<dimpl::Config>,
}

impl Identity {
    /// From a certificate (X.509, DER) and its private key (PKCS #8, DER).
    ///
    /// # Errors
    /// A key that is not one for ECDSA with P-256 or P-384.
    pub fn new(certificate: Vec<u8>, key: Vec<u8>) -> Result<Identity, IdentityError> {
        let algorithms = [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING];
        if !algorithms.into_iter().any(|algorithm| EcdsaKeyPair::from_pkcs8(algorithm, &key).is_ok()) {
            return Err(IdentityError);
        }
        let config = dimpl::Config::builder()
            .mtu(MTU)
            .flight_start_rto(FIRST_RETRANSMISSION)
            .flight_retries(RETRANSMISSIONS)
            .build();
        let shown = DtlsCertificate { certificate, private_key: key };
        Ok(Identity { shown, config: Arc::new(config.map_err(|_| IdentityError)?) })
    }

    /// The SHA-256 of the certificate, for `a=fingerprint`.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let hash = digest::digest(&digest::SHA256, &self.shown.certificate);
        Fingerprint::of(FingerprintHash::Sha256, hash.as_ref())
    }

    pub(crate) fn shown(&self) -> DtlsCertificate {
        self.shown.clone()
    }

    pub(crate) fn config(&self) -> Arc<dimpl::Config> {
        self.config.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}

/// The key is not one that DTLS can sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityError;

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a key for ECDSA with P-256 or P-384, in PKCS #8")
    }
}

impl std::error::Error for IdentityError {}

/// Of a datagram: fits whatever tunnel lies on the way.
const MTU: usize = 1_200;
/// A call waits for its sound, so what is lost is sent again sooner than RFC 6347 §4.2.4.1 proposes.
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(400);
/// Doubling each time: as many as fit into the time that a handshake has.
const RETRANSMISSIONS: usize = 7;
