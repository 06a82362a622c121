//! Contact (RFC 3261 §20.10, RFC 5626).

use super::name_addr::NameAddr;
use super::params::Params;
use super::{DEFAULT_EXPIRES, expiry, name_addr};
use crate::{Headers, Name, ParseError, ParseErrorKind, Uri};
use std::borrow::Cow;
use std::fmt;

/// All Contact values of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contacts {
    /// `*`: every binding (RFC 3261 §10.2.2).
    Star,
    /// The values in order; empty if the message has no Contact.
    List(Vec<Contact>),
}

impl Contacts {
    /// The values; empty for `*`.
    pub fn list(&self) -> &[Contact] {
        match self {
            Contacts::Star => &[],
            Contacts::List(list) => list,
        }
    }
}

/// One Contact value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Display name, URI and parameters.
    pub address: NameAddr,
}

impl Contact {
    /// A contact to be sent.
    pub fn new(uri: impl Into<Uri>) -> Contact {
        Contact { address: NameAddr::new(uri) }
    }

    /// The same with this parameter, replacing any of its name.
    pub fn with_param(self, name: &str, value: Option<&str>) -> Contact {
        Contact { address: self.address.with_param(name, value) }
    }

    /// The URI.
    pub fn uri(&self) -> &Uri {
        &self.address.uri
    }

    /// The header parameters.
    pub fn params(&self) -> &Params {
        &self.address.params
    }

    /// Preference in thousandths, 0 to 1000.
    pub fn q(&self) -> Option<u16> {
        self.address.q()
    }

    /// `expires` in seconds; a malformed or too large value counts as 3600 (§10.2.1.1).
    pub fn expires(&self) -> Option<u32> {
        let value = self.params().get("expires")?;
        Some(expiry(value.as_bytes()).unwrap_or(DEFAULT_EXPIRES))
    }

    /// `+sip.instance` with its angle brackets (RFC 5626 §4.1).
    pub fn instance(&self) -> Option<Cow<'_, str>> {
        self.params().unescaped("+sip.instance")
    }

    /// `reg-id` (RFC 5626 §4.2).
    pub fn reg_id(&self) -> Option<u32> {
        self.params().number("reg-id")
    }

    /// The same in memory of its own.
    pub fn detach(&self) -> Contact {
        Contact { address: self.address.detach() }
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

pub(crate) fn read(headers: &Headers) -> Result<Contacts, ParseError> {
    let contacts = headers.each(Name::Contact, |bytes, at| {
        Ok(match &bytes[at.clone()] {
            b"*" => None,
            _ => Some(Contact { address: name_addr(bytes, at)? }),
        })
    });
    let (mut list, mut stars) = (Vec::new(), 0);
    for contact in contacts {
        match contact? {
            Some(contact) => list.push(contact),
            None => stars += 1,
        }
    }
    match stars {
        0 => Ok(Contacts::List(list)),
        1 if list.is_empty() => Ok(Contacts::Star),
        _ => {
            let at = headers.span(Name::Contact).map_or(0, |field| field.value as usize);
            Err(ParseError::new(ParseErrorKind::Malformed(Name::Contact), at))
        }
    }
}
