//! The certificate that the relay shows in DTLS handshakes.

use crate::command::{Fingerprint, FingerprintHash};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};
use dimpl::DtlsCertificate;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::providers::AwsLcRsProvider;
use rtc_dtls::crypto_provider::{RTCCryptoProvider as _, SignatureScheme};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A self-signed certificate with its key. Whoever reads its fingerprint in our SDP knows that it is ours
/// (RFC 5763 §5); nobody else vouches for it.
#[derive(Clone)]
pub struct Identity {
    shown: DtlsCertificate,
    config: Arc<dimpl::Config>,
    tolerant: Arc<HandshakeConfig>,
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
        let tolerant = Arc::new(tolerant(&certificate, &key).ok_or(IdentityError)?);
        let shown = DtlsCertificate { certificate, private_key: key };
        Ok(Identity { shown, config: Arc::new(config.map_err(|_| IdentityError)?), tolerant })
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

    pub(crate) fn tolerant(&self) -> Arc<HandshakeConfig> {
        self.tolerant.clone()
    }
}

/// For phones whose certificates have RSA keys. Whether a certificate is the promised one is looked at afterwards.
fn tolerant(certificate: &[u8], key: &[u8]) -> Option<HandshakeConfig> {
    let provider = Arc::new(AwsLcRsProvider::new());
    let schemes = [SignatureScheme::EcdsaP256Sha256, SignatureScheme::EcdsaP384Sha384];
    let key = schemes.into_iter().find_map(|one| provider.crypto().import_signing_key(one, key).ok())?;
    let certificate = Certificate::from_signing_key(vec![certificate.to_vec().into()], key);
    ConfigBuilder::default()
        .with_crypto_provider(provider)
        .with_certificates(vec![certificate])
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        .with_insecure_skip_verify(true)
        .with_srtp_protection_profiles(vec![
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        ])
        .with_mtu(MTU)
        .with_flight_interval(FIRST_RETRANSMISSION)
        .build(false, None)
        .ok()
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
pub(crate) const FIRST_RETRANSMISSION: Duration = Duration::from_millis(400);
/// Doubling each time: as many as fit into the time that a handshake has.
const RETRANSMISSIONS: usize = 7;
