//! When two URIs mean the same (RFC 3261 §19.1.4, RFC 3966 §4).

use super::sip::SipUri;
use super::tel::{SEPARATORS, TelUri};
use crate::lex;

/// More parameters or headers than this compare by text: the pairwise comparison must stay small for hostile
/// input.
const PAIRWISE_MAX: usize = 64;

pub(crate) fn sip(a: &SipUri, b: &SipUri) -> bool {
    if a == b {
        return true;
    }
    let countable =
        |uri: &SipUri| uri.params().count() <= PAIRWISE_MAX && uri.headers().count() <= PAIRWISE_MAX;
    a.secure() == b.secure()
        && a.host() == b.host()
        && a.port() == b.port()
        && same_option(a.user(), b.user())
        && same_option(a.password(), b.password())
        && countable(a)
        && countable(b)
        && params_agree(a, b)
        && params_agree(b, a)
        && same_headers(a, b)
}

/// Every parameter of `a` that `b` has too is the same there, and none of `a` must be in `b` but is not.
fn params_agree(a: &SipUri, b: &SipUri) -> bool {
    // `transport` was added to the list by the errata of RFC 3261, as its examples show.
    const NEVER_ALONE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
    // Of a parameter given twice, which §19.1.1 forbids, the first counts on both sides.
    a.params().all(|(name, _)| match b.param(name) {
        Some(other) => same_escaped(a.param(name).unwrap_or_default(), other, true),
        None => !NEVER_ALONE.iter().any(|never| never.eq_ignore_ascii_case(name)),
    })
}

/// Header components are never ignored; their order is.
fn same_headers(a: &SipUri, b: &SipUri) -> bool {
    let count_in = |uri: &SipUri, (name, value): (&str, &str)| {
        uri.headers()
            .filter(|(other_name, other)| {
                same_escaped(name, other_name, true) && same_escaped(value, other, false)
            })
            .count()
    };
    a.headers().count() == b.headers().count()
        && a.headers().all(|header| count_in(a, header) == count_in(b, header))
}

fn same_option(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_escaped(a, b, false),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// An escape equals its character, unless the character is reserved.
fn same_escaped(a: &str, b: &str, ignore_case: bool) -> bool {
    units(a, ignore_case).eq(units(b, ignore_case))
}

fn units(text: &str, ignore_case: bool) -> impl Iterator<Item = (u8, bool)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let (byte, escaped) = match lex::percent_escape(bytes, at) {
            Some(byte) => {
                at += 3;
                (byte, !lex::is_unreserved(byte))
            }
            None => {
                let byte = *bytes.get(at)?;
                at += 1;
                (byte, false)
            }
        };
        Some((if ignore_case { byte.to_ascii_lowercase() } else { byte }, escaped))
    })
}

pub(crate) fn tel(a: &TelUri, b: &TelUri) -> bool {
    if a == b {
        return true;
    }
    let counts = [a.params().count(), b.params().count()];
    a.global() == b.global()
        && significant(a.number()).eq(significant(b.number()))
        && counts[0] == counts[1]
        && counts[0] <= PAIRWISE_MAX
        && a.params().all(|(name, _)| {
            let value = a.param(name).unwrap_or_default();
            b.param(name).is_some_and(|other| {
                let numeric = value.starts_with('+') || name.eq_ignore_ascii_case("ext");
                if numeric {
                    significant(value).eq(significant(other))
                } else {
                    same_escaped(value, other, true)
                }
            })
        })
}

fn significant(number: &str) -> impl Iterator<Item = char> {
    number.chars().filter(|c| !SEPARATORS.contains(*c)).map(|c| c.to_ascii_lowercase())
}
