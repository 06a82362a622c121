//! Credentials that live for some hours: who may use the relay, without a table of passwords.
//!
//! A user name is `EXPIRY:account` (seconds since 1970), its password base64(HMAC-SHA1(secret, user name)): what the
//! servers and phones of this field call the REST API, or the shared secret.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What passwords and nonces are made with. Prints as dots.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

/// A user name and its password. Prints without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `EXPIRY:account`.
    pub username: String,
    /// To be shown to the owner of the account only.
    pub password: String,
}

/// What a user name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Username<'a> {
    /// Seconds since 1970 from which on it is no good.
    pub expires: u64,
    /// Whose it is.
    pub account: &'a str,
}

impl Secret {
    /// From the exchange's stored key; another secret than that key, which signs other things.
    #[must_use]
    pub fn of_exchange(key: &[u8; 32]) -> Secret {
        Secret::derived(key, b"offhook turn credentials")
    }

    /// A secret for another purpose.
    pub(super) fn branch(&self, purpose: &[u8]) -> Secret {
        Secret::derived(&self.0, purpose)
    }

    fn derived(key: &[u8; 32], purpose: &[u8]) -> Secret {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), purpose);
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(tag.as_ref());
        Secret(secret)
    }

    /// Credentials of an account that are good until `expires`, in seconds since 1970.
    #[must_use]
    pub fn issue(&self, account: &str, expires: u64) -> Credentials {
        let username = format!("{expires}:{account}");
        let password = self.password(&username);
        Credentials { username, password: password.to_string() }
    }

    /// The password of any user name. Whether the name is any good, [`Username::parse`] tells.
    pub(super) fn password(&self, username: &str) -> Zeroizing<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.0.as_slice());
        Zeroizing::new(STANDARD.encode(hmac::sign(&key, username.as_bytes())))
    }

    /// The first bytes of a keyed hash.
    pub(super) fn hash(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut hash = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()));
        parts.iter().for_each(|part| hash.update(part));
        let mut first = [0; 16];
        first.copy_from_slice(&hash.sign().as_ref()[..16]);
        first
    }
}

impl<'a> Username<'a> {
    /// Reads a user name and checks that it is good at `unix`, seconds since 1970: not expired, and not from further
    /// ahead than any that is issued.
    #[must_use]
    pub fn parse(username: &'a str, unix: u64) -> Option<Username<'a>> {
        let (digits, account) = username.split_once(':')?;
        let is_number = digits.len() <= 20 && digits.bytes().all(|digit| digit.is_ascii_digit());
        let expires = digits.parse().ok().filter(|_| is_number)?;
        let lives = expires > unix && expires <= unix.saturating_add(LIFETIME.as_secs() + CLOCKS_DIFFER);
        (lives && !account.is_empty() && username.len() <= LONGEST).then_some(Username { expires, account })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, …)", self.username)
    }
}

/// How long credentials live at most.
pub const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Seconds by which the clock may have been set back since they were issued.
const CLOCKS_DIFFER: u64 = 300;
/// Of a user name, in bytes (RFC 8489 §14.3).
const LONGEST: usize = 508;
