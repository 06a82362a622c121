//! Who really calls: signed telephone numbers (STIR: RFC 8224, 8225, 8226; SHAKEN: RFC 8588).
//!
//! Signs and checks without sockets or clocks. A certificate that is not known is asked for in the outbox, and the call waits
//! for it in `core/attest.rs`.

mod certificate;
mod known;
mod passport;
mod verify;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use offhook_sip::Status;
use offhook_sip_stack::FetchFailure;

pub use certificate::Authorities;
pub(crate) use known::Known;
pub use passport::Passport;
pub(crate) use verify::{Claim, claims, number_of};

/// What is done about the signatures of calls that come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nobody looks at them.
    #[default]
    Off,
    /// They are checked and noted in the record of the call.
    Note,
    /// Without a good one there is no call.
    Require,
}

/// How signatures of calls that come in are checked.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// For calls of trunks that have no policy of their own, and of strangers.
    pub policy: Policy,
    /// Whom certificates must lead to.
    pub authorities: Arc<Authorities>,
    /// Whether phones are told of the outcome, as `verstat` of P-Asserted-Identity (3GPP TS 24.229 §7.2A.20).
    pub verstat: bool,
}

/// How far a signer vouches for a caller's number (RFC 8588 §4, ATIS-1000074).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attestation {
    /// A: we know the caller, and that it may use the number.
    Full,
    /// B: we know the caller.
    Partial,
    /// C: we know only where the call came in.
    Gateway,
}

impl Attestation {
    /// The letter.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Full => "A",
            Self::Partial => "B",
            Self::Gateway => "C",
        }
    }

    fn of(letter: &str) -> Option<Self> {
        [Self::Full, Self::Partial, Self::Gateway].into_iter().find(|one| one.letter() == letter)
    }
}

/// With what the calls of a trunk are signed.
#[derive(Clone)]
pub struct Signer {
    key: Arc<EcdsaKeyPair>,
    certificate: String,
}

impl Signer {
    /// With this private key on P-256 (PKCS #8 or RFC 5915, DER), whose certificate is to be had at this address.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn new(key: &[u8], certificate: &str) -> Result<Self, String> {
        let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, key)
            .map_err(|_| "it is no private key on the curve P-256".to_owned())?;
        if verify::address(certificate).is_none() {
            return Err(format!("{certificate:?} is no address such as \"https://certs.example/sp.pem\""));
        }
        Ok(Self { key: Arc::new(key), certificate: certificate.to_owned() })
    }

    /// The value of an Identity header field (RFC 8224 §4), or `None` if it cannot be signed.
    pub fn identity(&self, passport: &Passport) -> Option<String> {
        let signed = passport.signed_part(&self.certificate);
        // AWS-LC takes its own randomness for a signature and nothing of this.
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        let signature = passport::base64url(signature.as_ref());
        Some(format!("{signed}.{signature};info=<{}>;alg=ES256;ppt=\"shaken\"", self.certificate))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// What is known of a caller's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody whom our authorities know has signed it.
    Passed {
        /// The number, with a `+` in front.
        number: String,
        /// How far the signer vouches for it, if it says so.
        attestation: Option<Attestation>,
        /// What the signer calls the way by which the call came to it (RFC 8588 §5).
        origin: Option<String>,
    },
    /// What came with the call proves nothing.
    Failed(Fault),
    /// Nothing came with it.
    Unsigned,
}

impl Verdict {
    /// What the caller is told where a good signature is required (RFC 8224 §6.2.2).
    pub const fn status(&self) -> Option<Status> {
        match self {
            Self::Passed { .. } => None,
            Self::Failed(fault) => Some(fault.status()),
            Self::Unsigned => Some(Status::USE_IDENTITY_HEADER),
        }
    }

    /// The word for it that phones are told (3GPP TS 24.229 §7.2A.20).
    pub const fn verstat(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "TN-Validation-Passed",
            Self::Failed(_) => "TN-Validation-Failed",
            Self::Unsigned => "No-TN-Validation",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { number, attestation, origin } => {
                f.write_str("passed")?;
                attestation.iter().try_for_each(|one| write!(f, " {}", one.letter()))?;
                write!(f, " {number}")?;
                origin.iter().try_for_each(|one| write!(f, " origid={one}"))
            }
            Self::Failed(fault) => write!(f, "failed: {fault}"),
            Self::Unsigned => f.write_str("unsigned"),
        }
    }
}

/// Why a signature proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The header field cannot be read, or lacks something.
    Malformed,
    /// It has the compact form, which SHAKEN does not allow (RFC 8588 §3).
    Compact,
    /// It has the compact form, and the call no Date that it could be of (RFC 8224 §6.2 step 3).
    NoDate,
    /// It is too old, or from the future.
    Stale,
    /// It is for another caller's number.
    OtherCaller,
    /// It is for another number that is called.
    OtherCalled,
    /// The caller says no number.
    NoNumber,
    /// The signature is not that of the certificate.
    Signature,
    /// The certificate could not be had, for this reason.
    Unavailable(FetchFailure),
    /// What was fetched is no certificate.
    NotACertificate,
    /// The certificate does not lead to one of our authorities.
    Untrusted,
    /// The certificate is not valid now.
    Expired,
    /// The certificate, or one on its way to an authority, is for other numbers.
    OtherNumbers,
    /// The certificate says what signatures by it have to claim (RFC 8226 §8, RFC 9118), which is not understood here.
    Constrained,
}

impl Fault {
    /// RFC 8224 §6.2.2
    const fn status(self) -> Status {
        match self {
            Self::Stale => Status::FORBIDDEN,
            Self::Unavailable(_) => Status::BAD_IDENTITY_INFO,
            Self::NotACertificate
            | Self::Untrusted
            | Self::Expired
            | Self::OtherNumbers
            | Self::Constrained => Status::UNSUPPORTED_CREDENTIAL,
            Self::Malformed
            | Self::Compact
            | Self::NoDate
            | Self::OtherCaller
            | Self::OtherCalled
            | Self::NoNumber
            | Self::Signature => Status::INVALID_IDENTITY_HEADER,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the Identity header cannot be read",
            Self::Compact => "the Identity header has the compact form, which SHAKEN does not allow",
            Self::NoDate => "the Identity header has the compact form, and there is no Date",
            Self::Stale => "the signature is not of the last minute",
            Self::OtherCaller => "the signature is for another number of the caller",
            Self::OtherCalled => "the signature is for another called number",
            Self::NoNumber => "the caller says no telephone number",
            Self::Signature => "the signature is wrong",
            Self::Unavailable(failure) => return write!(f, "the certificate cannot be had: {failure}"),
            Self::NotACertificate => "the certificate cannot be read",
            Self::Untrusted => "the certificate leads to no authority of ours",
            Self::Expired => "the certificate is not valid now",
            Self::OtherNumbers => "the certificate is for other numbers",
            Self::Constrained => "the certificate sets conditions for claims that are not understood here",
        })
    }
}

#[cfg(test)]
mod tests;
