//! A certificate with its key, from PEM files.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::parse_x509_certificate;

use super::provider;

/// Who we are towards a TLS peer: a chain of certificates, ours first, and the key of the first. Prints without the key.
pub struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// A file that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, in words.
    pub reason: String,
}

impl Identity {
    /// Reads a chain and a key. `now` is the time since 1970, at which the certificate must be valid.
    ///
    /// # Errors
    /// When a file cannot be read, is not PEM, or lacks what it should hold; when the key is not the certificate's; when
    /// the certificate is not valid yet or no longer.
    pub fn read(certificate: &Path, key: &Path, now: Duration) -> Result<Self, PemError> {
        let wrong = |file: &Path, reason: String| PemError { file: file.to_owned(), reason };
        let chain = read_certificates(certificate)?;
        let text = fs::read(key).map_err(|error| wrong(key, error.to_string()))?;
        let read = PrivateKeyDer::from_pem_slice(&text);
        let read = read.map_err(|error| wrong(key, format!("no private key in PEM: {error}")))?;
        let certified = CertifiedKey::from_der(chain.clone(), read.clone_key(), &provider());
        certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                wrong(key, format!("is not the key of the certificate in {}", certificate.display()))
            }
            other => wrong(key, format!("cannot be used: {other}")),
        })?;
        in_time(&chain, now).map_err(|reason| wrong(certificate, reason))?;
        Ok(Self { chain, key: read })
    }

    /// The certificates, ours first, in DER.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.chain.iter().map(AsRef::as_ref)
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("chain", &self.chain.len()).field("key", &"…").finish()
    }
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

impl std::error::Error for PemError {}

/// Reads all certificates of a PEM file; at least one.
///
/// # Errors
/// When the file cannot be read, is not PEM, or holds no certificate.
pub fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let wrong = |reason: String| PemError { file: file.to_owned(), reason };
    let text = fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| wrong(format!("is not PEM: {error}")))?;
    if found.is_empty() {
        return Err(wrong("no certificate in PEM (-----BEGIN CERTIFICATE-----)".into()));
    }
    Ok(found)
}

fn in_time(chain: &[CertificateDer<'_>], now: Duration) -> Result<(), String> {
    let first = chain.first().ok_or("no certificate")?;
    let (_, parsed) = parse_x509_certificate(first).map_err(|error| format!("no certificate: {error}"))?;
    let validity = parsed.validity();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < validity.not_before.timestamp() {
        return Err(format!("the certificate is not valid before {}", validity.not_before));
    }
    if now > validity.not_after.timestamp() {
        return Err(format!("the certificate expired on {}", validity.not_after));
    }
    Ok(())
}
