//! The cryptographic suites by the names SDP gives them.

use std::fmt;

/// How packets are encrypted and authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES-128 in counter mode, HMAC-SHA1 with a tag of 80 bits (RFC 4568 §6.2.1).
    AesCm128HmacSha1_80,
    /// The same with a tag of 32 bits for RTP (RFC 4568 §6.2.2); for RTCP it has 80.
    AesCm128HmacSha1_32,
    /// AES-256 in counter mode, tag of 80 bits (RFC 6188 §4.1).
    AesCm256HmacSha1_80,
    /// The same with a tag of 32 bits for RTP (RFC 6188 §4.1).
    AesCm256HmacSha1_32,
    /// AES-128 in Galois/counter mode, tag of 128 bits (RFC 7714 §13.1).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode (RFC 7714 §13.1).
    AeadAes256Gcm,
}

impl Suite {
    /// All that are known, the one to be preferred first.
    pub const ALL: [Suite; 6] = [
        Suite::AeadAes256Gcm,
        Suite::AeadAes128Gcm,
        Suite::AesCm256HmacSha1_80,
        Suite::AesCm128HmacSha1_80,
        Suite::AesCm256HmacSha1_32,
        Suite::AesCm128HmacSha1_32,
    ];

    /// What is offered, in order: first the one that every phone with SRTP has; some have others that they do badly.
    pub const OFFERED: [Suite; 5] = [
        Suite::AesCm128HmacSha1_80,
        Suite::AeadAes256Gcm,
        Suite::AeadAes128Gcm,
        Suite::AesCm256HmacSha1_80,
        Suite::AesCm128HmacSha1_32,
    ];

    /// The suite that `a=crypto` calls so; names are compared as RFC 4568 §9.2 writes them, without regard to case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Its name in `a=crypto`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Suite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Suite::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of the master key alone.
    #[must_use]
    pub const fn cipher_key_len(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 | Suite::AeadAes128Gcm => 16,
            Suite::AesCm256HmacSha1_80 | Suite::AesCm256HmacSha1_32 | Suite::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Bytes of master key and salt together, as `inline:` carries them.
    #[must_use]
    pub const fn key_len(self) -> usize {
        self.cipher_key_len() + self.salt_len()
    }

    /// Bytes that a protected RTP packet is longer than the plain one.
    #[must_use]
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm256HmacSha1_80 => 10,
            Suite::AesCm128HmacSha1_32 | Suite::AesCm256HmacSha1_32 => 4,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 16,
        }
    }

    /// Bytes of the tag of a protected RTCP packet (RFC 4568 §6.2.2: never the short one).
    #[must_use]
    pub const fn rtcp_tag_len(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    /// Whether encryption and authentication are one (RFC 7714).
    #[must_use]
    pub const fn is_aead(self) -> bool {
        matches!(self, Suite::AeadAes128Gcm | Suite::AeadAes256Gcm)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
