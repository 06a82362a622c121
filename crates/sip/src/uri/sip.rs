//! `SipUri`.

use super::compare;
use crate::host::{HostFound, scan_host, scan_port};
use crate::{Host, Text, Transport, lex};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt::{self, Write};

/// A sip or sips URI.
#[derive(Clone, Debug)]
pub struct SipUri {
    text: Text,
    host: Host,
    spans: SipSpans,
}

/// Where the parts stand. An absent part is an empty span, which no present part can be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SipSpans {
    user: Part,
    password: Part,
    host: HostFound,
    port: Option<u16>,
    params: Part,
    headers: Part,
}

/// From where to where; no URI is longer than `u32` counts.
type Part = (u32, u32);

impl SipSpans {
    pub(crate) fn has_headers(&self) -> bool {
        self.headers.0 < self.headers.1
    }
}

impl SipUri {
    /// `sip:user@host`, or `sip:host` without a user. The user is given unescaped.
    pub fn new(user: Option<&str>, host: Host) -> SipUri {
        let mut escaped = String::new();
        lex::percent_encode(&mut escaped, user.unwrap_or_default().as_bytes(), USER_ALSO);
        let written = host.to_string();
        Parts { scheme: "sip", user: &escaped, host: &written, ..Parts::default() }.build()
    }

    pub(crate) fn found(bytes: Bytes, spans: SipSpans) -> SipUri {
        SipUri { host: spans.host.of(&bytes, 0), text: Text::found(bytes), spans }
    }

    /// The same with scheme `sips`.
    pub fn with_secure(self) -> SipUri {
        Parts { scheme: "sips", ..self.parts() }.build()
    }

    /// The same with this port, replacing any.
    pub fn with_port(self, port: u16) -> SipUri {
        Parts { port: Some(port), ..self.parts() }.build()
    }

    /// The same without a port.
    pub fn without_port(self) -> SipUri {
        Parts { port: None, ..self.parts() }.build()
    }

    /// The same with this parameter, replacing any of its name; `None` for one without a value (`;lr`).
    /// Characters that may not stand there are escaped.
    pub fn with_param(self, name: &str, value: Option<&str>) -> SipUri {
        let mut params = self.params_but(name);
        params.push(';');
        lex::percent_encode(&mut params, name.as_bytes(), PARAM_ALSO);
        if let Some(value) = value {
            params.push('=');
            lex::percent_encode(&mut params, value.as_bytes(), PARAM_ALSO);
        }
        Parts { params: &params, ..self.parts() }.build()
    }

    /// The same without this parameter.
    pub fn without_param(self, name: &str) -> SipUri {
        let params = self.params_but(name);
        Parts { params: &params, ..self.parts() }.build()
    }

    /// The same without any parameter.
    pub fn without_params(self) -> SipUri {
        Parts { params: "", ..self.parts() }.build()
    }

    /// The same without `?headers`.
    pub fn without_headers(self) -> SipUri {
        Parts { headers: "", ..self.parts() }.build()
    }

    /// The same for another user (given unescaped), without a password.
    pub fn with_user(self, user: &str) -> SipUri {
        let mut escaped = String::new();
        lex::percent_encode(&mut escaped, user.as_bytes(), USER_ALSO);
        Parts { user: &escaped, password: "", ..self.parts() }.build()
    }

    /// The same at another host and port.
    pub fn with_host(self, host: Host, port: Option<u16>) -> SipUri {
        let written = host.to_string();
        Parts { host: &written, port, ..self.parts() }.build()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the scheme is `sips`.
    pub fn secure(&self) -> bool {
        self.text.as_bytes().get(3) != Some(&b':')
    }

    /// The user part as written, with its escapes.
    pub fn user(&self) -> Option<&str> {
        self.part(self.spans.user)
    }

    /// The user part with `%XX` undone; as written where that would not be UTF-8.
    pub fn user_unescaped(&self) -> Option<Cow<'_, str>> {
        let user = self.user()?;
        if !user.contains('%') {
            return Some(user.into());
        }
        let unescaped = String::from_utf8(lex::percent_decoded(user.as_bytes()));
        Some(unescaped.map_or(user.into(), Cow::from))
    }

    /// The password as written.
    pub fn password(&self) -> Option<&str> {
        self.part(self.spans.password)
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, if one is written.
    pub fn port(&self) -> Option<u16> {
        self.spans.port
    }

    /// A URI parameter's value as written; empty for one without a value. Names compare without case.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.unwrap_or_default())
    }

    /// All URI parameters, as written.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.part(self.spans.params).unwrap_or_default().split(';').skip(1).map(|param| {
            match param.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (param, None),
            }
        })
    }

    /// The `transport` parameter.
    pub fn transport(&self) -> Option<Transport> {
        self.param("transport").map(|name| Transport::parse(name.as_bytes()))
    }

    /// Whether it has `lr`: the mark of a loose router (RFC 3261 §16.12).
    pub fn has_lr(&self) -> bool {
        self.param("lr").is_some()
    }

    /// What follows `?`: names and values as written.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.part(self.spans.headers)
            .into_iter()
            .flat_map(|headers| headers.split('&'))
            .map(|header| header.split_once('=').unwrap_or((header, "")))
    }

    /// A header's value from what follows `?`, with `%XX` undone. Names compare without case.
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.headers()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| lex::percent_decoded(value.as_bytes()))
    }

    /// The canonical address-of-record (RFC 3261 §10.3 step 5): scheme, user and host only; host in lower
    /// case; needless escapes undone and the needed ones in upper case. Two addresses of one record are `==`
    /// after it.
    pub fn address_of_record(&self) -> SipUri {
        let mut user = String::new();
        let unescaped = lex::percent_decoded(self.user().unwrap_or_default().as_bytes());
        lex::percent_encode(&mut user, &unescaped, USER_ALSO);
        let host = self.host.to_string().to_ascii_lowercase();
        let scheme = if self.secure() { "sips" } else { "sip" };
        Parts { scheme, user: &user, host: &host, ..Parts::default() }.build()
    }

    /// RFC 3261 §19.1.4.
    pub fn equivalent(&self, other: &SipUri) -> bool {
        compare::sip(self, other)
    }

    /// The same URI in memory of its own.
    pub fn detach(&self) -> SipUri {
        SipUri::found(Bytes::copy_from_slice(self.text.as_bytes()), self.spans)
    }

    fn part(&self, (start, end): Part) -> Option<&str> {
        (start < end).then(|| self.as_str().get(start as usize..end as usize)).flatten()
    }

    fn parts(&self) -> Parts<'_> {
        let text = self.as_str();
        let scheme = text.split(':').next().unwrap_or_default();
        Parts {
            scheme,
            user: self.user().unwrap_or_default(),
            password: self.password().unwrap_or_default(),
            host: text.get(self.spans.host.range()).unwrap_or_default(),
            port: self.port(),
            params: self.part(self.spans.params).unwrap_or_default(),
            headers: self.part(self.spans.headers).unwrap_or_default(),
        }
    }

    fn params_but(&self, name: &str) -> String {
        let mut kept = String::new();
        for (known, value) in self.params().filter(|(known, _)| !known.eq_ignore_ascii_case(name)) {
            kept.push(';');
            kept.push_str(known);
            if let Some(value) = value {
                kept.push('=');
                kept.push_str(value);
            }
        }
        kept
    }
}

impl PartialEq for SipUri {
    fn eq(&self, other: &SipUri) -> bool {
        self.text == other.text
    }
}

impl Eq for SipUri {}

impl std::hash::Hash for SipUri {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for SipUri {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<SipUri, crate::ParseError> {
        match text.parse()? {
            super::Uri::Sip(uri) => Ok(uri),
            super::Uri::Tel(_) | super::Uri::Other(_) => {
                Err(crate::ParseError::new(crate::ParseErrorKind::Scheme, 0))
            }
        }
    }
}

/// The texts a URI is put together from, escaped; empty for an absent one.
#[derive(Default)]
struct Parts<'a> {
    scheme: &'a str,
    user: &'a str,
    password: &'a str,
    host: &'a str,
    port: Option<u16>,
    params: &'a str,
    headers: &'a str,
}

impl Parts<'_> {
    fn build(self) -> SipUri {
        let mut text = format!("{}:", self.scheme);
        if !self.user.is_empty() {
            text.push_str(self.user);
            if !self.password.is_empty() {
                text.push(':');
                text.push_str(self.password);
            }
            text.push('@');
        }
        text.push_str(self.host);
        if let Some(port) = self.port {
            let _ = write!(text, ":{port}");
        }
        text.push_str(self.params);
        if !self.headers.is_empty() {
            text.push('?');
            text.push_str(self.headers);
        }
        match scan(text.as_bytes(), self.scheme.len() + 1) {
            Ok(spans) => SipUri::found(text.into(), spans),
            // Only a `Host::Name` that was never checked leads here: make a URI that reaches nobody (RFC
            // 2606).
            Err(_) => Parts { scheme: "sip", host: "host.invalid", ..Parts::default() }.build(),
        }
    }
}

/// Finds the parts of a URI whose scheme and colon end at `from`.
#[inline(always)]
pub(crate) fn scan(bytes: &[u8], from: usize) -> Result<SipSpans, usize> {
    let part = |start: usize, end: usize| (start as u32, end as u32);
    if u32::try_from(bytes.len()).is_err() {
        return Err(from);
    }
    let (mut user, mut password, mut at) = ((0, 0), (0, 0), from);
    // No part but userinfo may hold a bare `@`, and userinfo may hold `;`, `?` and `/`: look for it first.
    if let Some(length) = memchr::memchr(b'@', &bytes[from..]) {
        let end = from + length;
        let user_end = lex::user(bytes, from);
        if user_end == from {
            return Err(from);
        }
        user = part(from, user_end);
        if user_end < end {
            let password_end = lex::user(bytes, user_end + 1);
            if bytes[user_end] != b':' || password_end != end {
                return Err(if bytes[user_end] == b':' { password_end } else { user_end });
            }
            password = part(user_end + 1, password_end);
        }
        at = end + 1;
    }
    let (host, host_end) = scan_host(bytes, at)?;
    let mut port = None;
    at = host_end;
    if bytes.get(at) == Some(&b':') {
        let (number, end) = scan_port(bytes, at + 1)?;
        (port, at) = (Some(number), end);
    }
    let params_at = at;
    while bytes.get(at) == Some(&b';') {
        let end = lex::uri_param(bytes, at + 1);
        if end == at + 1 || bytes[at + 1] == b'=' {
            return Err(at);
        }
        at = end;
    }
    let params = part(params_at, at);
    let mut headers = (0, 0);
    if bytes.get(at) == Some(&b'?') {
        let end = lex::uri(bytes, at + 1);
        if end == at + 1 {
            return Err(at);
        }
        headers = part(at + 1, end);
        at = end;
    }
    if at == bytes.len() { Ok(SipSpans { user, password, host, port, params, headers }) } else { Err(at) }
}

/// `user-unreserved` (§25.1).
const USER_ALSO: &[u8] = b"&=+$,;?/";

/// `param-unreserved` (§25.1).
const PARAM_ALSO: &[u8] = b"[]/:&+$";
