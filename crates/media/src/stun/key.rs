//! Keys that messages are signed with (RFC 8489 §9), and their hashes.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use md5::{Digest as _, Md5};

use super::attribute;

/// A key of `MESSAGE-INTEGRITY` and `MESSAGE-INTEGRITY-SHA256`. Prints as dots.
#[derive(Clone)]
pub struct Key {
    sha1: hmac::Key,
    sha256: hmac::Key,
}

/// Which hash proves who made a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// `MESSAGE-INTEGRITY` (§14.5): what everybody has.
    Sha1,
    /// `MESSAGE-INTEGRITY-SHA256` (§14.6).
    Sha256,
}

/// How the key is made of a password (§18.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordAlgorithm {
    /// What is meant where nothing is said.
    Md5,
    /// The stronger one.
    Sha256,
}

impl Key {
    /// The key of short-term credentials (§9.1.1).
    #[must_use]
    pub fn short_term(password: &str) -> Key {
        Key::of(password.as_bytes())
    }

    /// The key of long-term credentials (§9.2.2).
    #[must_use]
    pub fn long_term(algorithm: PasswordAlgorithm, username: &str, realm: &str, password: &str) -> Key {
        let text = format!("{username}:{realm}:{password}");
        match algorithm {
            PasswordAlgorithm::Md5 => Key::of(&Md5::digest(text.as_bytes())),
            PasswordAlgorithm::Sha256 => Key::of(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()),
        }
    }

    fn of(bytes: &[u8]) -> Key {
        Key {
            sha1: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, bytes),
            sha256: hmac::Key::new(hmac::HMAC_SHA256, bytes),
        }
    }

    fn hmac(&self, integrity: Integrity) -> &hmac::Key {
        match integrity {
            Integrity::Sha1 => &self.sha1,
            Integrity::Sha256 => &self.sha256,
        }
    }

    pub(crate) fn sign(&self, integrity: Integrity, bytes: &[u8]) -> hmac::Tag {
        hmac::sign(self.hmac(integrity), bytes)
    }

    /// Whether `given` is the hash of these parts, or its beginning.
    pub(crate) fn verifies(&self, integrity: Integrity, parts: &[&[u8]], given: &[u8]) -> bool {
        let mut hash = hmac::Context::with_key(self.hmac(integrity));
        parts.iter().for_each(|part| hash.update(part));
        let tag = hash.sign();
        tag.as_ref().get(..given.len()).is_some_and(|tag| verify_slices_are_equal(tag, given).is_ok())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Integrity {
    /// Bytes of the whole hash.
    pub(crate) const fn len(self) -> usize {
        match self {
            Integrity::Sha1 => 20,
            Integrity::Sha256 => 32,
        }
    }

    pub(crate) const fn attribute(self) -> u16 {
        match self {
            Integrity::Sha1 => attribute::MESSAGE_INTEGRITY,
            Integrity::Sha256 => attribute::MESSAGE_INTEGRITY_SHA256,
        }
    }
}

impl PasswordAlgorithm {
    /// The algorithm of a `PASSWORD-ALGORITHM` (§14.12): its number, and parameters of no length.
    pub(crate) const fn of(value: &[u8]) -> Option<PasswordAlgorithm> {
        match value {
            [0, 1, 0, 0] => Some(PasswordAlgorithm::Md5),
            [0, 2, 0, 0] => Some(PasswordAlgorithm::Sha256),
            _ => None,
        }
    }
}

/// `PASSWORD-ALGORITHMS` as we offer them (§14.11): SHA-256, then MD5.
pub(crate) const OFFERED: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];
