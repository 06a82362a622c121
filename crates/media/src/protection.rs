//! How one side's media is protected, and how its address is proven: what signalling negotiates.

use offhook_rtp::srtp::{MasterKey, Suite};
use std::fmt;

/// How one side's media is protected on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// RTP as it is.
    #[default]
    Plain,
    /// SRTP with keys from the signalling (RFC 4568).
    Sdes {
        /// Of both directions.
        suite: Suite,
        /// What we protect with.
        ours: MasterKey,
        /// What the phone protects with.
        theirs: MasterKey,
    },
    /// SRTP with keys from a DTLS handshake on the media path (RFC 5763, 5764).
    Dtls {
        /// Ours.
        role: DtlsRole,
        /// Of the phone's certificate.
        fingerprint: Fingerprint,
    },
}

/// Who begins the handshake (`a=setup`, RFC 4145 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// Begins: `active`.
    Client,
    /// Waits: `passive`.
    Server,
}

/// The hash of a certificate (`a=fingerprint`, RFC 8122 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    hash: FingerprintHash,
    bytes: Box<[u8]>,
}

impl Fingerprint {
    /// From the hash itself.
    ///
    /// # Errors
    /// When it is longer or shorter than its algorithm makes it.
    pub fn new(hash: FingerprintHash, bytes: &[u8]) -> Result<Fingerprint, FingerprintError> {
        if bytes.len() != hash.len() {
            return Err(FingerprintError::Length { expected: hash.len() });
        }
        Ok(Fingerprint::of(hash, bytes))
    }

    /// Reads the attribute's value: `sha-256 4A:AD:…`.
    ///
    /// # Errors
    /// An algorithm that is not known (or broken, as MD5), digits that are none, or too many or too few.
    pub fn from_attribute(value: &str) -> Result<Fingerprint, FingerprintError> {
        let (name, digits) = value.trim().split_once(' ').ok_or(FingerprintError::Digits)?;
        let hash = FingerprintHash::from_name(name).ok_or(FingerprintError::Hash)?;
        let mut bytes = Vec::with_capacity(hash.len());
        for pair in digits.trim().split(':').take(hash.len() + 1) {
            let two = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            let byte = u8::from_str_radix(pair, 16).ok().filter(|_| two).ok_or(FingerprintError::Digits)?;
            bytes.push(byte);
        }
        Fingerprint::new(hash, &bytes)
    }

    /// For a hash of the right length.
    pub(crate) fn of(hash: FingerprintHash, bytes: &[u8]) -> Fingerprint {
        debug_assert_eq!(bytes.len(), hash.len());
        Fingerprint { hash, bytes: bytes.into() }
    }

    /// Its algorithm.
    #[must_use]
    pub const fn hash(&self) -> FingerprintHash {
        self.hash
    }

    /// The hash itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Prints the attribute's value.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.name())?;
        for (at, byte) in self.bytes.iter().enumerate() {
            write!(f, "{}{byte:02X}", if at == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

/// The algorithms of fingerprints (RFC 8122 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintHash {
    /// Old phones know no other; a second certificate with the same one cannot be made.
    Sha1,
    /// What everybody uses.
    Sha256,
    /// Longer.
    Sha384,
    /// Longest.
    Sha512,
}

impl FingerprintHash {
    /// The algorithm that SDP calls so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<FingerprintHash> {
        use FingerprintHash::{Sha1, Sha256, Sha384, Sha512};
        [Sha1, Sha256, Sha384, Sha512].into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name))
    }

    /// Its name in SDP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FingerprintHash::Sha1 => "sha-1",
            FingerprintHash::Sha256 => "sha-256",
            FingerprintHash::Sha384 => "sha-384",
            FingerprintHash::Sha512 => "sha-512",
        }
    }

    /// Bytes of a hash.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "no hash is empty")]
    pub const fn len(self) -> usize {
        match self {
            FingerprintHash::Sha1 => 20,
            FingerprintHash::Sha256 => 32,
            FingerprintHash::Sha384 => 48,
            FingerprintHash::Sha512 => 64,
        }
    }
}

/// Why a fingerprint cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintError {
    /// Its algorithm is none of [`FingerprintHash`].
    Hash,
    /// It is not made of pairs of hexadecimal digits.
    Digits,
    /// It has another length than its algorithm gives.
    Length {
        /// In bytes.
        expected: usize,
    },
}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FingerprintError::Hash => f.write_str("expected sha-1, sha-256, sha-384 or sha-512"),
            FingerprintError::Digits => f.write_str("expected a hash and pairs of hexadecimal digits"),
            FingerprintError::Length { expected } => write!(f, "expected a hash of {expected} bytes"),
        }
    }
}

impl std::error::Error for FingerprintError {}

/// A name and a password with which connectivity checks prove who sends them (RFC 8445 §5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`: 4 to 256 characters.
    pub ufrag: String,
    /// `a=ice-pwd`: 22 to 256 characters. Prints as dots.
    pub pwd: String,
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceCredentials({}, …)", self.ufrag)
    }
}

/// Why a side's media could not be secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsecureReason {
    /// The certificate in the handshake is not the one that signalling promised.
    FingerprintMismatch,
    /// The two ends of the handshake did not agree.
    HandshakeFailed,
    /// The handshake did not end within 30 s of its beginning.
    HandshakeTimedOut,
    /// We have no certificate of our own.
    NoCertificate,
    /// The keys do not fit their suite.
    KeyLength,
    /// The stream carries something else than RTP, which cannot be secured.
    NotRtp,
    /// No pair of addresses works, or the one in use works no longer (ICE).
    NoPath,
}

impl InsecureReason {
    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            InsecureReason::FingerprintMismatch => "the certificate is not the one that was promised",
            InsecureReason::HandshakeFailed => "the DTLS handshake failed",
            InsecureReason::HandshakeTimedOut => "the DTLS handshake did not end in time",
            InsecureReason::NoCertificate => "there is no certificate for DTLS",
            InsecureReason::KeyLength => "the keys do not fit their suite",
            InsecureReason::NotRtp => "only RTP can be secured",
            InsecureReason::NoPath => "no way for the sound was found, or it was lost (ICE)",
        }
    }
}

impl fmt::Display for InsecureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_and_written_as_sdp_has_it() {
        let text = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
        let one = Fingerprint::from_attribute(text).unwrap();
        assert_eq!(
            (one.hash(), one.bytes()[0], one.to_string()),
            (FingerprintHash::Sha1, 0x4a, text.to_owned())
        );
        assert_eq!(Fingerprint::from_attribute(&text.to_lowercase()), Ok(one));
    }

    #[test]
    fn a_fingerprint_that_cannot_be_is_refused() {
        let of = Fingerprint::from_attribute;
        assert_eq!(of("md5 00:01"), Err(FingerprintError::Hash));
        assert_eq!(of("sha-256"), Err(FingerprintError::Digits));
        assert_eq!(of("sha-256 00:+1"), Err(FingerprintError::Digits));
        assert_eq!(of("sha-256 00:01"), Err(FingerprintError::Length { expected: 32 }));
        let long = format!("sha-1 00{}", ":00".repeat(100_000));
        assert_eq!(of(&long), Err(FingerprintError::Length { expected: 20 }));
    }

    #[test]
    fn a_password_does_not_print() {
        let ice = IceCredentials { ufrag: "8hhY".to_owned(), pwd: "asd88fgpdd777uzjYhagZg".to_owned() };
        assert_eq!(format!("{ice:?}"), "IceCredentials(8hhY, …)");
    }
}
