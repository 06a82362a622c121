//! What stands in a certificate.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use offhook_net::{PemError, read_certificates};
use offhook_web::Certificate;
use offhook_web::calendar::rfc3339;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// A certificate as far as we have to know it. Times are seconds since 1970.
pub(super) struct Parsed {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) names: Vec<String>,
    not_before: i64,
    not_after: i64,
}

impl Parsed {
    pub(super) fn ends_within(&self, margin: Duration, now: Duration) -> bool {
        self.not_after <= seconds(now + margin)
    }
}

pub(super) fn parse(der: &[u8]) -> Result<Parsed, String> {
    let (_, parsed) = parse_x509_certificate(der).map_err(|error| format!("no certificate: {error}"))?;
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.iter().filter_map(name).collect());
    Ok(Parsed {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        names: names.unwrap_or_default(),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
    })
}

/// The first certificate of a file, in words.
pub(super) fn describe(
    purpose: &'static str,
    file: &Path,
    own: bool,
    now: Duration,
) -> Result<Certificate, PemError> {
    let certificates = read_certificates(file)?;
    let wrong = |reason: String| PemError { file: file.to_owned(), reason };
    let first = certificates.first().ok_or_else(|| wrong("no certificate".into()))?;
    let parsed = parse(first).map_err(wrong)?;
    let moment = |seconds: i64| rfc3339(Duration::from_secs(seconds.max(0).unsigned_abs()));
    Ok(Certificate {
        purpose,
        file: file.display().to_string(),
        subject: parsed.subject,
        issuer: parsed.issuer,
        names: parsed.names,
        not_before: moment(parsed.not_before),
        not_after: moment(parsed.not_after),
        days_left: (parsed.not_after - seconds(now)).div_euclid(86_400),
        sha256: fingerprint(first),
        own,
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => {
            let ip = match (<[u8; 4]>::try_from(*octets), <[u8; 16]>::try_from(*octets)) {
                (Ok(four), _) => IpAddr::from(four),
                (_, Ok(sixteen)) => IpAddr::from(sixteen),
                _ => return None,
            };
            Some(ip.to_string())
        }
        _ => None,
    }
}

fn fingerprint(der: &[u8]) -> String {
    let mut text = String::with_capacity(95);
    for byte in Sha256::digest(der) {
        let colon = if text.is_empty() { "" } else { ":" };
        // Writing into a String cannot fail.
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
