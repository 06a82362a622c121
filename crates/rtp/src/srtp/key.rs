//! Master keys, and how SDP carries them (`inline:`, RFC 4568 §6.1).

use super::Suite;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A master key and its salt. Prints as dots, is compared in constant time and wiped when dropped.
#[derive(Clone)]
pub struct MasterKey {
    /// Key, then salt.
    bytes: Zeroizing<Box<[u8]>>,
}

impl MasterKey {
    /// Takes key and salt, one after the other: [`Suite::key_len`] bytes, which should come from a generator fit
    /// for secrets.
    ///
    /// # Errors
    /// When there are more or fewer bytes than the suite takes.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Result<MasterKey, InlineError> {
        if key_and_salt.len() != suite.key_len() {
            return Err(InlineError::Length { expected: suite.key_len() });
        }
        Ok(MasterKey { bytes: Zeroizing::new(key_and_salt.into()) })
    }

    /// A new key: `fill` writes random bytes fit for secrets.
    #[must_use]
    pub fn random(suite: Suite, fill: impl FnOnce(&mut [u8])) -> MasterKey {
        let mut bytes = Zeroizing::new(vec![0; suite.key_len()].into_boxed_slice());
        fill(&mut bytes);
        MasterKey { bytes }
    }

    /// Reads the key parameters of `a=crypto`: `inline:`, the key in base64, and perhaps a lifetime, which is
    /// checked and then not needed: it cannot be longer than the rollover counter allows, and a call is shorter.
    ///
    /// # Errors
    /// Another method than `inline`, several keys, a key identifier (MKI), or a key that does not fit the suite.
    pub fn from_inline(suite: Suite, parameters: &str) -> Result<MasterKey, InlineError> {
        let (method, value) = parameters.split_once(':').ok_or(InlineError::Method)?;
        if !method.eq_ignore_ascii_case("inline") {
            return Err(InlineError::Method);
        }
        if value.contains(';') {
            return Err(InlineError::SeveralKeys);
        }
        let mut parts = value.split('|');
        let key = parts.next().unwrap_or_default();
        for (at, part) in parts.enumerate() {
            if part.contains(':') {
                return Err(InlineError::KeyIdentifier);
            }
            if at > 0 || !is_lifetime(part) {
                return Err(InlineError::Lifetime);
            }
        }
        // The longest is 46 bytes; one byte more than fits shows that it is too long.
        let mut bytes = Zeroizing::new([0; 64]);
        let length = BASE64.decode_slice(key, &mut bytes[..]).map_err(|_| InlineError::Base64)?;
        MasterKey::new(suite, bytes.get(..length).unwrap_or_default())
    }

    /// The key parameters for `a=crypto`, with nothing but the key. It is a secret: write it nowhere else.
    #[must_use]
    pub fn to_inline(&self) -> String {
        let mut text = String::from("inline:");
        BASE64.encode_string(&self.bytes[..], &mut text);
        text
    }

    /// The bytes of the key alone and of the salt; `None` when it was made for a suite of other lengths.
    #[must_use]
    pub fn split(&self, suite: Suite) -> Option<(&[u8], &[u8])> {
        (self.bytes.len() == suite.key_len()).then(|| self.bytes.split_at(suite.cipher_key_len()))
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &MasterKey) -> bool {
        self.bytes.ct_eq(&other.bytes).into()
    }
}

impl Eq for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Why key parameters cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InlineError {
    /// They do not begin with `inline:`.
    Method,
    /// The key is not base64.
    Base64,
    /// Key and salt have another length than the suite asks for.
    Length {
        /// Bytes of key and salt together.
        expected: usize,
    },
    /// More than one key is offered, to be told apart by identifiers.
    SeveralKeys,
    /// A key identifier (MKI) is asked for.
    KeyIdentifier,
    /// The lifetime is neither a number of packets nor a power of two up to 2^48.
    Lifetime,
}

impl fmt::Display for InlineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InlineError::Method => f.write_str("expected inline: and a key"),
            InlineError::Base64 => f.write_str("expected a key in base64"),
            InlineError::Length { expected } => write!(f, "expected {expected} bytes of key and salt"),
            InlineError::SeveralKeys => f.write_str("expected one key"),
            InlineError::KeyIdentifier => f.write_str("expected a key without an identifier (MKI)"),
            InlineError::Lifetime => f.write_str("expected a lifetime of at most 2^48 packets"),
        }
    }
}

impl std::error::Error for InlineError {}

/// `2^20` or `1048576` (RFC 4568 §9.2); SRTP sends at most 2^48 packets with one key (RFC 3711 §9.2).
fn is_lifetime(text: &str) -> bool {
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse::<u64>().ok() } else { None }
    };
    match text.strip_prefix("2^") {
        Some(power) => number(power).is_some_and(|power| power <= 48),
        None => number(text).is_some_and(|packets| (1..=1 << 48).contains(&packets)),
    }
}

/// Some phones leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests;
