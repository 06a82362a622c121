//! Who may use the exchange.

use std::fmt;

use offhook_sip::digest::Ha1;

use crate::speech::Language;

/// `user@host` with the host in lower case and the user unescaped (RFC 3261 §10.3 step 5): the key of an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressOfRecord(String);

impl AddressOfRecord {
    /// The address of an unescaped user at a host.
    pub fn new(user: &str, host: &str) -> Self {
        let mut text = String::with_capacity(user.len() + 1 + host.len());
        text.push_str(user);
        text.push('@');
        text.push_str(host);
        text[user.len() + 1..].make_ascii_lowercase();
        Self(text)
    }

    /// Reads `sip:alice@example.com`, `sips:…` or `alice@example.com`.
    ///
    /// # Errors
    /// If there is no user or no host, or if it is longer than 255 octets or holds blanks or control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        let rest = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:")).unwrap_or(text);
        let (user, host) = rest.rsplit_once('@').ok_or(InvalidAddress::NoAt)?;
        if user.is_empty() || host.is_empty() {
            return Err(InvalidAddress::Empty);
        }
        if rest.len() > 255 {
            return Err(InvalidAddress::TooLong);
        }
        let host_is_odd = host.contains(|c: char| !(c.is_ascii_alphanumeric() || ".-:[]".contains(c)));
        if host_is_odd || user.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c)) {
            return Err(InvalidAddress::Character);
        }
        Ok(Self::new(user, host))
    }

    /// The user part, unescaped.
    pub fn user(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(user, _)| user)
    }

    /// The host part.
    pub fn host(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, host)| host)
    }

    /// `user@host`, as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As a SIP URI, with the user escaped where it must be.
impl fmt::Display for AddressOfRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sip:")?;
        for byte in self.user().bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        write!(f, "@{}", self.host())
    }
}

/// Why a text is no address-of-record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidAddress {
    /// There is no `@`.
    NoAt,
    /// User or host is empty.
    Empty,
    /// Longer than 255 octets.
    TooLong,
    /// A blank, a control character, a bracket or a quote.
    Character,
}

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAt => "an address looks like sip:alice@example.com; there is no @",
            Self::Empty => "an address looks like sip:alice@example.com; the part before or after @ is empty",
            Self::TooLong => "an address has at most 255 octets",
            Self::Character => "an address holds no blanks, brackets, quotes or control characters",
        })
    }
}

impl std::error::Error for InvalidAddress {}

/// What proves that someone is the user: HA1 values (RFC 7616 §3.4.2), never a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// For MD5.
    pub md5: Ha1,
    /// For SHA-256.
    pub sha256: Ha1,
}

/// A user of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its address.
    pub address: AddressOfRecord,
    /// The name shown to those it calls.
    pub name: Option<String>,
    /// The first of its numbers, shown to those that know numbers only.
    pub number: Option<String>,
    /// How it is spoken and written to; `None`: as the exchange does to all.
    pub language: Option<Language>,
    /// The realm for which the secrets were computed.
    pub realm: String,
    /// Its secrets; the digest user name is the user part of the address.
    pub secrets: Secrets,
}

/// A number without its visual separators (RFC 3966 §5.1.1): digits, `*`, `#`, and a leading `+`.
/// `None` if something else is in it or nothing remains.
pub fn number_digits(number: &str) -> Option<String> {
    let (plus, rest) = number.strip_prefix('+').map_or(("", number), |rest| ("+", rest));
    let mut digits = String::with_capacity(number.len());
    digits.push_str(plus);
    for c in rest.chars() {
        match c {
            '0'..='9' | '*' | '#' => digits.push(c),
            '-' | '.' | '(' | ')' | ' ' => {}
            _ => return None,
        }
    }
    (digits.len() > plus.len()).then_some(digits)
}
