//! Via (RFC 3261 §20.42, RFC 3581).

use super::params::{self, Params};
use crate::host::{HostFound, scan_host_port};
use crate::{HostPort, Name, ParseError, ParseErrorKind, Text, Transport, lex};
use bytes::Bytes;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

/// One Via value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// The transport.
    pub transport: Transport,
    /// The transport as written.
    pub transport_text: Text,
    /// Where the sender says it is.
    pub sent_by: HostPort,
    /// All parameters.
    pub params: Params,
}

impl Via {
    /// The start of a branch made under RFC 3261 (§8.1.1.7).
    pub const COOKIE: &'static str = "z9hG4bK";

    /// A Via to be sent. `branch` includes the cookie.
    pub fn new(transport: Transport, sent_by: HostPort, branch: &str) -> Via {
        Via {
            transport,
            transport_text: Text::from_static(transport.as_str()),
            sent_by,
            params: Params::default().with("branch", Some(branch)),
        }
    }

    /// The same with `;rport`, asking the peer to answer to the port it sees (RFC 3581 §3).
    pub fn with_rport(self) -> Via {
        self.with_param("rport", None)
    }

    /// The same with this parameter, replacing any of its name.
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Via {
        self.params = self.params.with(name, value);
        self
    }

    /// Reads one value.
    pub fn parse(value: Bytes) -> Result<Via, ParseError> {
        let part = lex::trim(&value, 0..value.len());
        let found = scan(&value[part.clone()])
            .map_err(|at| ParseError::new(ParseErrorKind::Malformed(Name::Via), part.start + at))?;
        Ok(found.of(&value, part))
    }

    /// The branch as written; RFC 2543 requests may have none.
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// Whether the branch starts with the cookie and has something after it, so that it identifies a
    /// transaction.
    pub fn has_cookie(&self) -> bool {
        let cookie = Via::COOKIE.as_bytes();
        self.branch().is_some_and(|branch| {
            branch.len() > cookie.len() && branch.as_bytes()[..cookie.len()].eq_ignore_ascii_case(cookie)
        })
    }

    /// The `received` address, bracketed or not (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok()
    }

    /// The value of `rport`.
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport")?.parse().ok()
    }

    /// Whether `rport` is there, with or without a value.
    pub fn has_rport(&self) -> bool {
        self.params.has("rport")
    }

    /// The `maddr` host as written.
    pub fn maddr(&self) -> Option<&str> {
        self.params.get("maddr")
    }

    /// The `ttl`.
    pub fn ttl(&self) -> Option<u8> {
        self.params.get("ttl")?.parse().ok()
    }

    /// The same in memory of its own.
    pub fn detach(&self) -> Via {
        Via {
            transport: self.transport,
            transport_text: self.transport_text.detach(),
            sent_by: HostPort { host: self.sent_by.host.detach(), port: self.sent_by.port },
            params: self.params.detach(),
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}{}", self.transport_text, self.sent_by, self.params)
    }
}

/// A Via that was found in bytes.
pub(crate) struct ViaFound {
    transport: (usize, usize),
    host: HostFound,
    port: Option<u16>,
    params: usize,
}

impl ViaFound {
    /// Where the parameters start.
    pub(crate) fn params(&self) -> usize {
        self.params
    }

    /// The value, sharing the bytes, in a part of which it was found.
    #[inline]
    pub(crate) fn of(&self, bytes: &Bytes, part: Range<usize>) -> Via {
        let base = part.start;
        let written = base + self.transport.0..base + self.transport.1;
        let transport = Transport::parse(&bytes[written.clone()]);
        let transport_text = match transport.as_str() {
            text if text.as_bytes() == &bytes[written.clone()] => Text::from_static(text),
            _ => Text::found(bytes.slice(written)),
        };
        Via {
            transport,
            transport_text,
            sent_by: HostPort { host: self.host.of(bytes, base), port: self.port },
            params: Params::found(bytes.slice(base + self.params..part.end)),
        }
    }
}

/// Checks that all the bytes are one Via value.
pub(crate) fn scan(bytes: &[u8]) -> Result<ViaFound, usize> {
    let head = scan_head(bytes)?;
    params::scan(bytes, head.params)?;
    Ok(head)
}

/// Reads `sent-protocol LWS sent-by`, and not the parameters.
pub(crate) fn scan_head(bytes: &[u8]) -> Result<ViaFound, usize> {
    let mut at = 0;
    let mut transport = (0, 0);
    for part in 0..3 {
        let end = lex::token(bytes, at);
        if end == at {
            return Err(at);
        }
        transport = (at, end);
        at = lex::skip_lws(bytes, end);
        if part < 2 {
            if bytes.get(at) != Some(&b'/') {
                return Err(at);
            }
            at = lex::skip_lws(bytes, at + 1);
        }
    }
    if at == transport.1 {
        return Err(at);
    }
    let (host, port, params) = scan_host_port(bytes, at)?;
    Ok(ViaFound { transport, host, port, params })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(text: &str) -> Via {
        Via::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_via_reads_with_white_space_wherever_the_grammar_has_it() {
        let via =
            via("SIP  / 2.0 \r\n / TCP     spindle.example.com : 5070  ;\r\n  branch  =   z9hG4bK9ikj8");
        assert_eq!(via.transport, Transport::Tcp);
        assert_eq!(via.sent_by.to_string(), "spindle.example.com:5070");
        assert_eq!(via.branch(), Some("z9hG4bK9ikj8"));
        assert!(via.has_cookie());
    }

    #[test]
    fn received_reads_with_and_without_brackets() {
        let expected = Some("2001:db8::9:255".parse().unwrap());
        assert_eq!(via("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255]").received(), expected);
        assert_eq!(via("SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255").received(), expected);
    }

    #[test]
    fn rport_is_asked_for_or_answered() {
        let asked = via("SIP/2.0/UDP h;rport;branch=z9hG4bK");
        assert!(asked.has_rport() && asked.rport().is_none() && !asked.has_cookie());
        assert_eq!(via("SIP/2.0/UDP h;rport=5062").rport(), Some(5062));
    }

    #[test]
    fn a_made_via_prints_as_the_rfc_writes_it() {
        let sent_by = HostPort::parse("[2001:db8::1]:5060").unwrap();
        let via = Via::new(Transport::Udp, sent_by, "z9hG4bK1").with_rport();
        assert_eq!(via.to_string(), "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1;rport");
    }

    #[test]
    fn bad_vias_are_refused() {
        for text in
            ["", "SIP/2.0/UDP", "SIP/2.0 h", "SIP/2.0/UDP h;;", "SIP/2.0/UDP 1.2.3", "SIP/2.0/UDP h:99999"]
        {
            assert!(Via::parse(Bytes::from_static(text.as_bytes())).is_err(), "{text}");
        }
    }
}
