//! Certificates of signers (RFC 8226), and the authorities to which they have to lead.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage, aws_lc_rs as algorithms};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Fault;

/// Those who say who may sign. None of them: nobody may.
#[derive(Clone, Debug, Default)]
pub struct Authorities(Vec<TrustAnchor<'static>>);

impl Authorities {
    /// Those whose certificates stand in this PEM.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let all = all.map_err(|error| error.to_string())?;
        let anchor = |one: &CertificateDer<'static>| {
            webpki::anchor_from_trusted_cert(one).map(|one| one.to_owned()).map_err(|error| error.to_string())
        };
        match all.iter().map(anchor).collect::<Result<Vec<_>, _>>()? {
            none if none.is_empty() => Err("there is no certificate in it".into()),
            some => Ok(Self(some)),
        }
    }
}

/// The certificate of a signer, whose chain was good at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    key: Vec<u8>,
    /// Its numbers, and those of each certificate on its way to an authority that is for some: who signs by a delegate certificate may not have
    /// more than who issued it (RFC 9060 §4).
    numbers: Vec<Vec<Entry>>,
    /// Unix seconds of the first and the last moment at which it is valid.
    valid: [u64; 2],
}

/// For what a certificate is (RFC 8226 §9).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// For the numbers of a provider, whichever these are.
    Provider,
    /// For this number and as many as come after it, itself included.
    Numbers(u64, u64),
}

impl Certificate {
    /// The first certificate of what was fetched; the others may be on its way to an authority.
    pub(super) fn read(fetched: &[u8], authorities: &Authorities, now: u64) -> Result<Self, Fault> {
        let chain = chain(fetched)?;
        let (own, between) = chain.split_first().ok_or(Fault::NotACertificate)?;
        let end = EndEntityCert::try_from(own).map_err(|_| Fault::NotACertificate)?;
        let (_, x509) = X509Certificate::from_der(own).map_err(|_| Fault::NotACertificate)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let path = end.verify_for_usage(
            ALGORITHMS,
            &authorities.0,
            between,
            time,
            // SHAKEN's certificates have no extended key usage (ATIS-1000080 §6.4.1); webpki wants to be asked for one.
            KeyUsage::required_if_present(SHAKEN_USAGE),
            None,
            None,
        );
        let path = path.map_err(|error| match error {
            webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => Fault::Expired,
            _ => Fault::Untrusted,
        })?;
        let mut numbers: Vec<_> = numbers_of(&x509)?.into_iter().collect();
        for issuer in path.intermediate_certificates() {
            let der = issuer.der();
            let (_, issuer) = X509Certificate::from_der(&der).map_err(|_| Fault::NotACertificate)?;
            numbers.extend(numbers_of(&issuer)?);
        }
        let second = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
        let valid = [second(x509.validity().not_before), second(x509.validity().not_after)];
        Ok(Self { key: end.subject_public_key_info().as_ref().to_vec(), numbers, valid })
    }

    pub(super) fn is_valid(&self, now: u64) -> bool {
        let [from, until] = self.valid;
        (from..=until).contains(&now)
    }

    /// Whether it signs for a number, digits only.
    pub(super) fn is_for(&self, number: &str) -> bool {
        let is_in = |entry: &Entry| match entry {
            Entry::Provider => true,
            Entry::Numbers(first, count) => {
                let length = first.to_string().len();
                let number = number.parse::<u64>().ok().filter(|_| number.len() == length);
                number.is_some_and(|number| number >= *first && number - first < *count)
            }
        };
        self.numbers.iter().all(|entries| entries.iter().any(is_in))
    }

    /// Whether a signature (RFC 7518 §3.4) over a message is by its key.
    pub(super) fn signs(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.key).verify(message, signature).is_ok()
    }
}

/// PEM, as RFC 8226 and ATIS-1000080 have it, or a single certificate in DER.
fn chain(fetched: &[u8]) -> Result<Vec<CertificateDer<'_>>, Fault> {
    if fetched.first() == Some(&DER_SEQUENCE) {
        return Ok(vec![CertificateDer::from(fetched)]);
    }
    let all = CertificateDer::pem_slice_iter(fetched).take(LONGEST_CHAIN);
    all.collect::<Result<_, _>>().map_err(|_| Fault::NotACertificate)
}

/// The numbers that a certificate is for, if it is for certain ones.
fn numbers_of(x509: &X509Certificate<'_>) -> Result<Option<Vec<Entry>>, Fault> {
    let has = |oid: &str| x509.extensions().iter().find(|one| one.oid.to_id_string() == oid);
    if CLAIM_CONSTRAINTS.iter().any(|oid| has(oid).is_some()) {
        return Err(Fault::Constrained);
    }
    has(TN_AUTH_LIST).map(|list| numbers(list.value)).transpose()
}

/// TNAuthorizationList (RFC 8226 §9), in DER: a sequence of entries with explicit tags.
fn numbers(list: &[u8]) -> Result<Vec<Entry>, Fault> {
    let (DER_SEQUENCE, mut rest, []) = element(list)? else { return Err(Fault::NotACertificate) };
    let mut entries = Vec::new();
    while !rest.is_empty() && entries.len() < MOST_ENTRIES {
        let (tag, inner, after) = element(rest)?;
        rest = after;
        let (_, value, _) = element(inner)?;
        entries.push(match tag {
            0xa0 => Entry::Provider,
            0xa1 => {
                let (_, first, after) = element(value)?;
                let (_, count, _) = element(after)?;
                let count =
                    count.iter().try_fold(0_u64, |all, one| Some(all.checked_mul(256)? | u64::from(*one)));
                Entry::Numbers(number(first)?, count.ok_or(Fault::NotACertificate)?)
            }
            0xa2 => Entry::Numbers(number(value)?, 1),
            _ => return Err(Fault::NotACertificate),
        });
    }
    Ok(entries)
}

fn number(text: &[u8]) -> Result<u64, Fault> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::NotACertificate)?;
    text.parse().map_err(|_| Fault::NotACertificate)
}

/// The tag and the content of the first element, and what comes after it.
fn element(der: &[u8]) -> Result<(u8, &[u8], &[u8]), Fault> {
    let (&[tag, short], rest) = der.split_first_chunk::<2>().ok_or(Fault::NotACertificate)?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81 | 0x82 => {
            let (long, rest) = rest.split_at_checked(usize::from(short & 3)).ok_or(Fault::NotACertificate)?;
            (long.iter().fold(0, |all, one| all << 8 | usize::from(*one)), rest)
        }
        _ => return Err(Fault::NotACertificate),
    };
    let (content, after) = rest.split_at_checked(length).ok_or(Fault::NotACertificate)?;
    Ok((tag, content, after))
}

static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
];

/// id-pe-TNAuthList
const TN_AUTH_LIST: &str = "1.3.6.1.5.5.7.1.26";
/// id-pe-JWTClaimConstraints (RFC 8226 §8) and id-pe-eJWTClaimConstraints (RFC 9118 §4)
const CLAIM_CONSTRAINTS: [&str; 2] = ["1.3.6.1.5.5.7.1.27", "1.3.6.1.5.5.7.1.33"];
/// id-kp-clientAuth (1.3.6.1.5.5.7.3.2): a certificate that is restricted to something else does not sign calls.
const SHAKEN_USAGE: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 2];
const DER_SEQUENCE: u8 = 0x30;
const LONGEST_CHAIN: usize = 8;
const MOST_ENTRIES: usize = 1_000;
