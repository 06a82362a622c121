//! The certificate of DTLS handshakes for media: made anew at each start, known by its fingerprint in our SDP alone.

use std::sync::Arc;

use offhook_media::identity::Identity;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};

/// Makes a self-signed certificate, as DTLS-SRTP uses them (RFC 5763 §5).
///
/// # Errors
/// When no key can be made, for want of randomness.
pub fn media_identity() -> Result<Arc<Identity>, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut parameters = CertificateParams::default();
    // The name says nothing about the machine: every phone that is called gets to see it.
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "offhook");
    let certificate = parameters.self_signed(&key)?;
    let identity = Identity::new(certificate.der().to_vec(), key.serialize_der());
    identity.map(Arc::new).map_err(|_| rcgen::Error::CouldNotParseKeyPair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_has_a_certificate_of_its_own() {
        let (one, other) = (media_identity().unwrap(), media_identity().unwrap());
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert!(one.fingerprint().to_string().starts_with("sha-256 "));
    }
}
