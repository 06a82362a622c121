//! Passwords: given or generated, never stored.

use std::fmt;

use offhook_exchange::directory::{AddressOfRecord, Secrets};
use offhook_sip::digest::{Algorithm, ha1};

use crate::StoreError;

/// A password on its way to whoever must know it. Prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A password that was given.
    ///
    /// # Errors
    /// If it is empty, longer than 255 octets or holds control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, StoreError> {
        let text = text.into();
        if text.is_empty() {
            return Err(StoreError::EmptyPassword);
        }
        if text.len() > 255 || text.contains(char::is_control) {
            return Err(StoreError::BadText { field: "password" });
        }
        Ok(Self(text))
    }

    /// A new one with 60 random bits, such as `k3u9-wq7e-p2zt`: easy to read out and to type on a phone.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn generate() -> Result<Self, StoreError> {
        let mut random = [0_u8; GROUPS * GROUP_LENGTH];
        getrandom::fill(&mut random).map_err(|_| StoreError::Randomness)?;
        let mut text = String::with_capacity(random.len() + GROUPS);
        for (index, byte) in random.iter().enumerate() {
            if index > 0 && index % GROUP_LENGTH == 0 {
                text.push('-');
            }
            // 32 letters divide the 256 values of an octet, so each is as likely as any other.
            text.push(char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
        }
        Ok(Self(text))
    }

    /// The password itself, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored instead (RFC 7616 §3.4.2): the digest user name is the user part of the address.
    pub fn secrets(&self, address: &AddressOfRecord, realm: &str) -> Secrets {
        let of = |algorithm| ha1(algorithm, address.user(), realm, &self.0);
        Secrets { md5: of(Algorithm::Md5), sha256: of(Algorithm::Sha256) }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Letters and digits without those taken for another: 0 and o, 1 and l.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const GROUPS: usize = 3;
const GROUP_LENGTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_password_has_three_groups_of_unmistakable_letters() {
        let password = Password::generate().unwrap();
        let groups: Vec<&str> = password.reveal().split('-').collect();
        assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [4, 4, 4]);
        assert!(groups.concat().bytes().all(|letter| LETTERS.contains(&letter)));
        assert_ne!(password, Password::generate().unwrap());
    }

    #[test]
    fn a_password_does_not_print() {
        assert_eq!(format!("{:?}", Password::new("secret").unwrap()), "Password(…)");
    }

    #[test]
    fn an_empty_password_is_refused() {
        assert!(matches!(Password::new(""), Err(StoreError::EmptyPassword)));
        assert!(matches!(Password::new("a\nb"), Err(StoreError::BadText { .. })));
    }

    #[test]
    fn the_secrets_are_the_hashes_of_user_realm_and_password() {
        let address = AddressOfRecord::new("Mufasa", "example.com");
        let secrets = Password::new("Circle Of Life").unwrap().secrets(&address, "testrealm@host.com");
        // RFC 2617 §3.5
        assert_eq!(secrets.md5.as_hex(), "939e7578ed9e3c518a452acee763bce9");
        let secrets = Password::new("Circle of Life").unwrap().secrets(&address, "http-auth@example.org");
        // RFC 7616 §3.9.1
        assert_eq!(secrets.md5.as_hex(), "3d78807defe7de2157e2b0b6573a855f");
        assert_eq!(
            secrets.sha256.as_hex(),
            "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"
        );
    }
}
