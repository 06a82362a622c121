//! The certificate that the relay shows in DTLS handshakes.

use crate::command::{Fingerprint, FingerprintHash};
use aws_lc_rs::digest;
use std::fmt;
use zeroize::Zeroizing;

/// A self-signed certificate with its key. Whoever reads its fingerprint in our SDP knows that it is ours
/// (RFC 5763 §5); nobody else vouches for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Identity {
    /// From a certificate (X.509, DER) and its private key (PKCS #8, DER).
    #[must_use]
    pub fn new(certificate: Vec<u8>, key: Vec<u8>) -> Identity {
        Identity { certificate, key: Zeroizing::new(key) }
    }

    /// The SHA-256 of the certificate, for `a=fingerprint`.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let hash = digest::digest(&digest::SHA256, &self.certificate);
        Fingerprint::of(FingerprintHash::Sha256, hash.as_ref())
    }

    /// The certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The key in DER, a secret.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}
