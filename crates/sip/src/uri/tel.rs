//! `TelUri`.

use super::compare;
use crate::{Text, lex};
use bytes::Bytes;
use std::fmt;

/// A tel URI (RFC 3966).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TelUri {
    text: Text,
}

impl TelUri {
    /// `tel:number`; `None` if the number holds anything but digits, `+`, `*`, `#`, A–F and visual
    /// separators.
    pub fn new(number: &str) -> Option<TelUri> {
        let text = format!("tel:{number}");
        let end = scan_number(text.as_bytes(), 4).ok()?;
        (end == text.len()).then(|| TelUri { text: text.into() })
    }

    pub(crate) fn found(bytes: Bytes) -> TelUri {
        TelUri { text: Text::found(bytes) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The number as written, visual separators included.
    pub fn number(&self) -> &str {
        self.rest().split(';').next().unwrap_or_default()
    }

    /// The number without visual separators; a leading `+` stays.
    pub fn digits(&self) -> String {
        self.number().chars().filter(|c| !SEPARATORS.contains(*c)).collect()
    }

    /// Whether the number starts with `+`.
    pub fn global(&self) -> bool {
        self.number().starts_with('+')
    }

    /// A parameter's value as written, e.g. `phone-context` or `ext`; empty for one without a value.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All parameters as written, with an empty value where there is none.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rest().split(';').skip(1).map(|param| param.split_once('=').unwrap_or((param, "")))
    }

    /// RFC 3966 §4: global and local numbers differ, separators do not count, parameters compare without
    /// order.
    pub fn equivalent(&self, other: &TelUri) -> bool {
        compare::tel(self, other)
    }

    /// The same URI in memory of its own.
    pub fn detach(&self) -> TelUri {
        TelUri { text: self.text.detach() }
    }

    fn rest(&self) -> &str {
        self.as_str().get(4..).unwrap_or_default()
    }
}

impl fmt::Display for TelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Checks a URI whose scheme and colon end at `from`.
pub(crate) fn scan(bytes: &[u8], from: usize) -> Result<(), usize> {
    let mut at = scan_number(bytes, from)?;
    while bytes.get(at) == Some(&b';') {
        let end = lex::uri_param(bytes, at + 1);
        if end == at + 1 || bytes[at + 1] == b'=' {
            return Err(at);
        }
        at = end;
    }
    if at == bytes.len() { Ok(()) } else { Err(at) }
}

/// Visual separators do not count when numbers compare (RFC 3966 §5.1.1).
pub(crate) const SEPARATORS: &str = "-.()";

fn scan_number(bytes: &[u8], from: usize) -> Result<usize, usize> {
    let start = from + usize::from(bytes.get(from) == Some(&b'+'));
    let number = bytes[start..].iter();
    let length = number.take_while(|byte| byte.is_ascii_hexdigit() || b"*#-.()".contains(byte)).count();
    let end = start + length;
    let counts = |byte: &u8| !SEPARATORS.as_bytes().contains(byte);
    if bytes[start..end].iter().any(counts) { Ok(end) } else { Err(end) }
}
