//! Challenges and credentials (RFC 3261 §20.7, §20.44; RFC 7616 §3.3, §3.4).

use crate::digest::Algorithm;
use crate::{Name, ParseError, ParseErrorKind, Text, lex};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A WWW-Authenticate or Proxy-Authenticate value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(Scheme);

impl Challenge {
    /// `Digest` without parameters.
    pub fn digest() -> Challenge {
        Challenge(Scheme::digest())
    }

    /// A Digest challenge with these parameters, as they are to be sent.
    pub fn of_digest(params: String) -> Challenge {
        Challenge(Scheme { params: params.into(), ..Scheme::digest() })
    }

    /// The same with `name="value"`, the value given unescaped.
    pub fn quoted(self, name: &str, value: &str) -> Challenge {
        Challenge(self.0.with(name, &lex::quote(value)))
    }

    /// The same with `name=value`.
    pub fn plain(self, name: &str, value: &str) -> Challenge {
        Challenge(self.0.with(name, value))
    }

    /// Reads one value.
    pub fn parse(value: Bytes) -> Result<Challenge, ParseError> {
        Scheme::parse(value, Name::WwwAuthenticate).map(Challenge)
    }

    /// The scheme as written.
    pub fn scheme(&self) -> &str {
        &self.0.name
    }

    /// Whether the scheme is Digest.
    pub fn is_digest(&self) -> bool {
        self.0.is_digest()
    }

    /// A parameter's value with quotes and escapes undone.
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.param(name)
    }

    /// `realm`
    pub fn realm(&self) -> Option<Cow<'_, str>> {
        self.param("realm")
    }

    /// `nonce`
    pub fn nonce(&self) -> Option<Cow<'_, str>> {
        self.param("nonce")
    }

    /// `opaque`
    pub fn opaque(&self) -> Option<Cow<'_, str>> {
        self.param("opaque")
    }

    /// Whether `stale` is true.
    pub fn stale(&self) -> bool {
        self.param("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"))
    }

    /// The algorithm: MD5 where none is named, `None` for one not supported.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.0.algorithm()
    }

    /// Whether `qop` offers this value. A challenge without `qop` offers none (RFC 2069).
    pub fn offers_qop(&self, qop: &str) -> bool {
        self.param("qop")
            .is_some_and(|offer| offer.split(',').any(|known| known.trim().eq_ignore_ascii_case(qop)))
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An Authorization or Proxy-Authorization value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials(Scheme);

impl Credentials {
    /// `Digest` without parameters.
    pub fn digest() -> Credentials {
        Credentials(Scheme::digest())
    }

    /// The same with `name="value"`, the value given unescaped.
    pub fn quoted(self, name: &str, value: &str) -> Credentials {
        Credentials(self.0.with(name, &lex::quote(value)))
    }

    /// The same with `name=value`.
    pub fn plain(self, name: &str, value: &str) -> Credentials {
        Credentials(self.0.with(name, value))
    }

    /// Reads one value.
    pub fn parse(value: Bytes) -> Result<Credentials, ParseError> {
        Scheme::parse(value, Name::Authorization).map(Credentials)
    }

    /// The scheme as written.
    pub fn scheme(&self) -> &str {
        &self.0.name
    }

    /// Whether the scheme is Digest.
    pub fn is_digest(&self) -> bool {
        self.0.is_digest()
    }

    /// A parameter's value with quotes and escapes undone.
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.param(name)
    }

    /// `username`
    pub fn username(&self) -> Option<Cow<'_, str>> {
        self.param("username")
    }

    /// `realm`
    pub fn realm(&self) -> Option<Cow<'_, str>> {
        self.param("realm")
    }

    /// `nonce`
    pub fn nonce(&self) -> Option<Cow<'_, str>> {
        self.param("nonce")
    }

    /// `uri`
    pub fn uri(&self) -> Option<Cow<'_, str>> {
        self.param("uri")
    }

    /// `response`
    pub fn response(&self) -> Option<Cow<'_, str>> {
        self.param("response")
    }

    /// `cnonce`
    pub fn cnonce(&self) -> Option<Cow<'_, str>> {
        self.param("cnonce")
    }

    /// `nc` as written, which is what the digest covers.
    pub fn nc(&self) -> Option<Cow<'_, str>> {
        self.param("nc")
    }

    /// `nc` as a number; `None` unless it is eight hexadecimal digits.
    pub fn nonce_count(&self) -> Option<u32> {
        let nc = self.nc()?;
        let valid = nc.len() == 8 && nc.bytes().all(|byte| byte.is_ascii_hexdigit());
        if valid { u32::from_str_radix(&nc, 16).ok() } else { None }
    }

    /// `qop`
    pub fn qop(&self) -> Option<Cow<'_, str>> {
        self.param("qop")
    }

    /// `opaque`
    pub fn opaque(&self) -> Option<Cow<'_, str>> {
        self.param("opaque")
    }

    /// The algorithm: MD5 where none is named, `None` for one not supported.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.0.algorithm()
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A scheme and what follows it: `name=value` pairs for Digest, anything for another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scheme {
    name: Text,
    params: Bytes,
}

impl Scheme {
    fn digest() -> Scheme {
        Scheme { name: Text::from_static("Digest"), params: Bytes::new() }
    }

    fn parse(value: Bytes, header: Name) -> Result<Scheme, ParseError> {
        let malformed = |at| ParseError::new(ParseErrorKind::Malformed(header), at);
        let range = lex::trim(&value, 0..value.len());
        let end = lex::token(&value, range.start);
        let params = lex::skip_lws(&value, end);
        if end == range.start || (params == end && params < range.end) {
            return Err(malformed(end));
        }
        let params = params.min(range.end);
        let name = Text::found(value.slice(range.start..end));
        let scheme = Scheme { name, params: value.slice(params..range.end) };
        if scheme.is_digest() {
            scheme.check().map_err(|at| malformed(params + at))?;
        }
        Ok(scheme)
    }

    /// Every pair must read, and no name may come twice: which of two `response`s counts is not to be
    /// guessed.
    fn check(&self) -> Result<(), usize> {
        let mut names: Vec<Range<usize>> = Vec::new();
        for pair in (Pairs { bytes: &self.params, at: 0 }) {
            let (name, _) = pair?;
            let same = |known: &Range<usize>| {
                self.params[known.clone()].eq_ignore_ascii_case(&self.params[name.clone()])
            };
            if names.len() >= PAIRS_MAX || names.iter().any(same) {
                return Err(name.start);
            }
            names.push(name);
        }
        Ok(())
    }

    fn is_digest(&self) -> bool {
        self.name.eq_ignore_ascii_case("Digest")
    }

    fn with(self, name: &str, value: &str) -> Scheme {
        let mut params = self.params.to_vec();
        let comma = if params.is_empty() { "" } else { ", " };
        lex::append(&mut params, format_args!("{comma}{name}={value}"));
        Scheme { name: self.name, params: params.into() }
    }

    fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut pairs = Pairs { bytes: &self.params, at: 0 }.flatten();
        let (_, value) =
            pairs.find(|(known, _)| self.params[known.clone()].eq_ignore_ascii_case(name.as_bytes()))?;
        lex::unquoted_text(&self.params[value])
    }

    fn algorithm(&self) -> Option<Algorithm> {
        self.param("algorithm").map_or(Some(Algorithm::Md5), |name| Algorithm::parse(&name))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.params.is_empty() {
            return Ok(());
        }
        f.write_str(" ")?;
        lex::write_unfolded(f, &self.params)
    }
}

/// More parameters than any digest has.
const PAIRS_MAX: usize = 32;

/// Walks `name=value *( "," name=value )`; empty elements are skipped.
struct Pairs<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Pairs<'_> {
    fn pair(&mut self) -> Result<(Range<usize>, Range<usize>), usize> {
        let bytes = self.bytes;
        let name = self.at..lex::token(bytes, self.at);
        let equals = lex::skip_lws(bytes, name.end);
        if name.is_empty() || bytes.get(equals) != Some(&b'=') {
            return Err(equals);
        }
        let start = lex::skip_lws(bytes, equals + 1);
        let end = match bytes.get(start) {
            Some(b'"') => lex::quoted_end(bytes, start).ok_or(start)?,
            _ => lex::value(bytes, start),
        };
        let next = lex::skip_lws(bytes, end);
        if start == end || !matches!(bytes.get(next), None | Some(b',')) {
            return Err(next);
        }
        self.at = next;
        Ok((name, start..end))
    }
}

impl Iterator for Pairs<'_> {
    type Item = Result<(Range<usize>, Range<usize>), usize>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.bytes.get(self.at).is_some_and(|byte| *byte == b',' || lex::is_lws(*byte)) {
            self.at += 1;
        }
        if self.at >= self.bytes.len() {
            return None;
        }
        let pair = self.pair();
        if pair.is_err() {
            self.at = self.bytes.len();
        }
        Some(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(text: &'static str) -> Result<Credentials, ParseError> {
        Credentials::parse(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn digest_credentials_read_quoted_and_plain() {
        let read = credentials(
            "Digest username=\"a\\\"b\", realm = \"x,y\",\r\n nonce=\"n==\", uri=\"sip:h\", qop=auth, nc=0000001F, \
             algorithm=SHA-256, response=\"00\"",
        )
        .unwrap();
        assert!(read.is_digest());
        assert_eq!(read.username().as_deref(), Some("a\"b"));
        assert_eq!(read.realm().as_deref(), Some("x,y"));
        assert_eq!((read.nonce_count(), read.algorithm()), (Some(31), Some(Algorithm::Sha256)));
        assert_eq!(read.cnonce(), None);
    }

    #[test]
    fn twice_the_same_parameter_and_broken_digests_are_refused() {
        for text in
            ["", "Digest nonce=\"1\", Nonce=\"2\"", "Digest nonce=\"1", "Digest x", "Digest a=b c=d", "=x"]
        {
            assert!(credentials(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_schemes_are_kept_as_they_are() {
        let read = credentials("Bearer eyJ0.eXAi==").unwrap();
        assert_eq!((read.scheme(), read.to_string().as_str()), ("Bearer", "Bearer eyJ0.eXAi=="));
        assert_eq!(
            credentials("NoOneKnowsThisScheme opaque-data=here").unwrap().algorithm(),
            Some(Algorithm::Md5)
        );
    }

    #[test]
    fn a_made_challenge_reads_back() {
        let made = Challenge::digest()
            .quoted("realm", "a \"b\"")
            .quoted("nonce", "n")
            .quoted("qop", "auth,auth-int")
            .plain("algorithm", "SHA-256")
            .plain("stale", "TRUE");
        let text =
            "Digest realm=\"a \\\"b\\\"\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=SHA-256, stale=TRUE";
        assert_eq!(made.to_string(), text);
        let back = Challenge::parse(made.to_string().into()).unwrap();
        assert_eq!(back.realm().as_deref(), Some("a \"b\""));
        assert!(back.stale() && back.offers_qop("auth") && !back.offers_qop("auth-conf"));
    }
}
