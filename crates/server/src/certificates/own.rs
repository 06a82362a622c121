//! An authority of our own, and the certificate that it signs for us.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use offhook_net::{PemError, read_certificates};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};

use super::CertificateError;
use super::describe::{Parsed, parse};
use crate::machine;

/// The folder `tls` of the data directory.
pub(super) struct Own {
    folder: PathBuf,
}

impl Own {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("tls") }
    }

    /// The authority's certificate, which others have to trust.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    fn authority_key(&self) -> PathBuf {
        self.folder.join("ca.key")
    }

    /// Our certificate.
    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// Its key.
    pub(super) fn key(&self) -> PathBuf {
        self.folder.join("server.key")
    }

    /// Makes what is missing, is about to end, or lacks one of the names.
    pub(super) fn keep(&self, names: &[String], now: Duration) -> Result<(), CertificateError> {
        if !self.authority().exists() || !self.authority_key().exists() {
            self.make_authority(now)?;
            return self.renew(names, now);
        }
        let authority = first_of(&self.authority())?;
        if authority.ends_within(AUTHORITY_MARGIN, now) {
            tracing::warn!("a new certificate authority was made: whoever trusted the old one must trust it");
            self.make_authority(now)?;
            return self.renew(names, now);
        }
        if !self.certificate().exists() || !self.key().exists() {
            return self.renew(names, now);
        }
        let present = first_of(&self.certificate())?;
        let lacks = names.iter().any(|name| !present.names.contains(name));
        if lacks || present.ends_within(MARGIN, now) || present.issuer != authority.subject {
            tracing::info!(names = names.join(", "), "a new certificate is made");
            return self.renew(names, now);
        }
        Ok(())
    }

    /// Makes a new certificate for these names; where there is no authority, that first.
    pub(super) fn renew(&self, names: &[String], now: Duration) -> Result<(), CertificateError> {
        if !self.authority().exists() || !self.authority_key().exists() {
            self.make_authority(now)?;
        }
        let key_file = self.authority_key();
        let unusable = |file: &Path| {
            let file = file.to_owned();
            move |error: rcgen::Error| PemError { file, reason: format!("cannot be used: {error}") }
        };
        let read = |file: &Path| fs::read_to_string(file).map_err(cannot(file));
        let authority_key = KeyPair::from_pem(&read(&key_file)?).map_err(unusable(&key_file))?;
        let authority = read(&self.authority())?;
        let issuer =
            Issuer::from_ca_cert_pem(&authority, authority_key).map_err(unusable(&self.authority()))?;
        let mut params = params(names.first().map_or("offhook", String::as_str), now, LIFETIME);
        params.subject_alt_names = names.iter().filter_map(|name| alternative(name)).collect();
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Both ends: a server that calls another shows the same.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(unusable(&self.key()))?;
        let made = params.signed_by(&key, &issuer).map_err(unusable(&self.certificate()))?;
        // The key first: a certificate with another's key would be refused at the next start, a key alone is made again.
        write(&self.key(), &key.serialize_pem(), 0o600)?;
        write(&self.certificate(), &made.pem(), 0o644)
    }

    fn make_authority(&self, now: Duration) -> Result<(), CertificateError> {
        let folder = fs::DirBuilder::new().recursive(true).mode(0o755).create(&self.folder);
        folder.map_err(cannot(&self.folder))?;
        let failed = |error: rcgen::Error| PemError {
            file: self.authority(),
            reason: format!("cannot be made: {error}"),
        };
        let host = machine::name().unwrap_or_else(|| "this machine".into());
        let mut params = params(&format!("Offhook authority of {host}"), now, AUTHORITY_LIFETIME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        let made = params.self_signed(&key).map_err(failed)?;
        write(&self.authority_key(), &key.serialize_pem(), 0o600)?;
        write(&self.authority(), &made.pem(), 0o644)
    }
}

fn params(name: &str, now: Duration, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Offhook");
    // Clocks of phones are not always right.
    let begin = now.saturating_sub(Duration::from_secs(86_400));
    params.not_before = date_time_ymd(1970, 1, 1) + begin;
    params.not_after = date_time_ymd(1970, 1, 1) + begin + lifetime;
    let mut serial = [0; 16];
    // Without randomness rcgen makes one of the key, which is as unique.
    if getrandom::fill(&mut serial).is_ok() {
        serial[0] &= 0x7f;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
    }
    params
}

/// A name as a certificate has it; `None` if it cannot have it.
fn alternative(name: &str) -> Option<SanType> {
    match name.parse() {
        Ok(ip) => Some(SanType::IpAddress(ip)),
        Err(_) => Some(SanType::DnsName(name.try_into().ok()?)),
    }
}

fn first_of(file: &Path) -> Result<Parsed, CertificateError> {
    let certificates = read_certificates(file)?;
    let first = certificates.first().ok_or("no certificate".to_owned()).and_then(|one| parse(one));
    Ok(first.map_err(|reason| PemError { file: file.to_owned(), reason })?)
}

/// All of it or nothing.
fn write(file: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let beside = file.with_extension("new");
    // One that was left may have other rights.
    let _ = fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(&beside);
    let written = opened.and_then(|mut new| {
        new.write_all(text.as_bytes())?;
        new.sync_all()
    });
    written.and_then(|()| fs::rename(&beside, file)).map_err(cannot(file))
}

fn cannot(file: &Path) -> impl FnOnce(io::Error) -> CertificateError {
    let what = file.display().to_string();
    move |source| CertificateError::Making { what, source }
}

const DAY: Duration = Duration::from_secs(86_400);
/// What systems that are strict about such certificates allow is 825 days.
const LIFETIME: Duration = Duration::from_secs(DAY.as_secs() * 398);
/// So long before its end a certificate is renewed.
const MARGIN: Duration = Duration::from_secs(DAY.as_secs() * 60);
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(DAY.as_secs() * 3_650);
/// What an authority signs must not outlive it.
const AUTHORITY_MARGIN: Duration = Duration::from_secs(DAY.as_secs() * 400);
