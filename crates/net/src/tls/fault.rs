//! What went wrong in a handshake, in words for people.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, Error, OtherError};
use x509_parser::parse_x509_certificate;

/// Why there is no TLS with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// Its certificate leads to nobody whom we trust.
    UnknownIssuer,
    /// Its certificate is signed by itself.
    SelfSigned,
    /// Its certificate is for other names.
    WrongName,
    /// Its certificate is no longer valid.
    Expired,
    /// Its certificate is not valid yet.
    NotYetValid,
    /// Something else is wrong with its certificate.
    BadCertificate,
    /// It wants a certificate of ours, and got none that it likes.
    WantsCertificate,
    /// It does not like our certificate.
    RefusesCertificate,
    /// It speaks something else.
    NotTls,
    /// It has no version or cipher in common with us.
    NothingInCommon,
    /// It went away during the handshake.
    Ended,
    /// It broke the rules.
    Protocol,
}

impl TlsFault {
    /// What a handshake's error says; `None` if it is not one of TLS.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Some(Self::Ended);
        }
        Some(match error.get_ref()?.downcast_ref::<Error>()? {
            Error::InvalidCertificate(why) => Self::of_certificate(why),
            Error::NoCertificatesPresented => Self::WantsCertificate,
            Error::InvalidMessage(_) => Self::NotTls,
            Error::PeerIncompatible(_) => Self::NothingInCommon,
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            _ => Self::Protocol,
        })
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
            // Two authorities may bear the same name, as those that programs make for themselves do.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            CertificateError::Other(other) if other.0.is::<SelfSigned>() => Self::SelfSigned,
            _ => Self::BadCertificate,
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::CertificateRequired => Self::WantsCertificate,
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA => Self::RefusesCertificate,
            AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => Self::NothingInCommon,
            _ => Self::Protocol,
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownIssuer => "the certificate is signed by nobody who is trusted here",
            Self::SelfSigned => "the certificate is signed by itself, not by anybody who is trusted here",
            Self::WrongName => "the certificate is for other names",
            Self::Expired => "the certificate has expired",
            Self::NotYetValid => "the certificate is not valid yet",
            Self::BadCertificate => "the certificate cannot be used",
            Self::WantsCertificate => "a client certificate is wanted",
            Self::RefusesCertificate => "the peer does not accept the certificate",
            Self::NotTls => "what came is not TLS",
            Self::NothingInCommon => "no common version or cipher of TLS",
            Self::Ended => "the peer went away during the handshake",
            Self::Protocol => "the peer broke the rules of TLS",
        })
    }
}

#[derive(Debug)]
struct SelfSigned;

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TlsFault::SelfSigned.fmt(f)
    }
}

impl std::error::Error for SelfSigned {}

/// The same error, but where a certificate names itself as its issuer it says so: it is what people meet first.
pub(super) fn or_self_signed(error: Error, certificate: &[u8]) -> Error {
    let unknown = match &error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        // A certificate that calls itself an authority, as most that are made by hand do.
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            other.to_string().contains("CaUsedAsEndEntity")
        }
        _ => false,
    };
    match parse_x509_certificate(certificate) {
        Ok((_, parsed)) if unknown && parsed.subject() == parsed.issuer() => {
            CertificateError::Other(OtherError(Arc::new(SelfSigned))).into()
        }
        _ => error,
    }
}
