//! A session description: the received text, and what it means.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use sdp_types::{AddrType, NetType, Session};

use crate::line::{lines, words};
use crate::media::{Host, Media, host_of};

#[cfg(test)]
mod tests;

/// A session description. It keeps the text that was received, or that was made for it; the two never differ in
/// what they say.
#[derive(Clone, PartialEq, Eq)]
pub struct Sdp {
    text: Vec<u8>,
    session: Session,
}

impl Sdp {
    /// Reads a description. Takes what real devices send: bare line feeds, missing `s=` and `t=`, lines in a wrong
    /// order, odd `o=` lines, text that is not UTF-8, and lines that nobody knows (kept in the text).
    ///
    /// # Errors
    /// Too large, too many media, no `v=0` at the beginning, an `m=` line without a port or profile, or a stray
    /// carriage return or NUL within a line.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        if body.len() > MAX_LEN {
            return Err(ParseError { kind: ErrorKind::TooLarge, line: 0 });
        }
        Self::parse_any_size(body)
    }

    pub(crate) fn parse_any_size(body: &[u8]) -> Result<Self, ParseError> {
        let end = body.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        let text = &body[..end];
        let plain = normalised(text)?;
        let session = Session::parse(&plain).map_err(|_| ParseError { kind: ErrorKind::Syntax, line: 0 })?;
        Ok(Self { text: text.to_vec(), session })
    }

    pub(crate) fn from_session(session: Session) -> Self {
        let text = session.to_string().into_bytes();
        // Read back, so that a description is the same whether it was made or received.
        Self::parse_any_size(&text).unwrap_or_else(|_| {
            debug_assert!(false, "made a description that cannot be read");
            Self { text, session }
        })
    }

    /// The body to send: the text as received, or as made.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The same, taking it out.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.text
    }

    /// The media descriptions, in order.
    pub fn media(&self) -> impl ExactSizeIterator<Item = Media<'_>> {
        (0..self.session.medias.len()).map(|index| Media::new(&self.session, index))
    }

    /// One media description.
    #[must_use]
    pub fn media_at(&self, index: usize) -> Option<Media<'_>> {
        (index < self.session.medias.len()).then(|| Media::new(&self.session, index))
    }

    /// The `o=` line; of an odd one, what could be read.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let origin = &self.session.origin;
        Origin {
            username: origin.username.clone().unwrap_or_else(|| "-".into()),
            session_id: origin.sess_id.clone(),
            version: origin.sess_version,
            address: host_of(&origin.unicast_address),
        }
    }

    /// The session's `c=` line.
    #[must_use]
    pub fn connection(&self) -> Option<Host> {
        self.session.connection.as_ref().map(|connection| host_of(&connection.connection_address))
    }

    /// The first session-level attribute of that name: `Some(None)` when it has no value.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Option<&str>> {
        let found = self.session.attributes.iter().find(|a| a.attribute.eq_ignore_ascii_case(name));
        found.map(|attribute| attribute.value.as_deref())
    }

    /// This description as the successor of our `previous` one in the same session: it takes over the identity,
    /// and the version counts one on only if anything else changed (RFC 3264 §8).
    #[must_use]
    pub fn following(mut self, previous: &Self) -> Self {
        self.session.origin = previous.session.origin.clone();
        if self.session != previous.session {
            let version = &mut self.session.origin.sess_version;
            *version = version.wrapping_add(1);
        }
        Self::from_session(self.session)
    }
}

/// Without what is secret in it.
impl fmt::Debug for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.text);
        let secret = ["a=crypto:", "a=ice-pwd:", "k="];
        let shown = text.lines().map(|line| {
            let start = secret.iter().find(|start| line.starts_with(**start));
            start.map_or_else(|| line.to_owned(), |start| format!("{start}…"))
        });
        f.debug_list().entries(shown).finish()
    }
}

impl fmt::Display for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

/// Who made a description (RFC 8866 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// User name, `-` for none.
    pub username: String,
    /// Session identifier, digits.
    pub session_id: String,
    /// Counts the changes of the description.
    pub version: u64,
    /// The maker's address.
    pub address: Host,
}

impl Origin {
    /// An origin of ours. Identifier and first version should fit 62 bits (RFC 3264 §5).
    #[must_use]
    pub fn new(session_id: u64, version: u64, address: IpAddr) -> Self {
        Self { username: "-".into(), session_id: session_id.to_string(), version, address: Host::Ip(address) }
    }

    pub(crate) fn to_line(&self) -> sdp_types::Origin {
        let (addrtype, address) = match &self.address {
            Host::Ip(ip) => (AddrType::from(*ip), ip.to_string()),
            Host::Name(name) => (AddrType::Ip4, name.clone()),
        };
        let mut line = sdp_types::Origin::new(&self.session_id, self.version, NetType::In, addrtype, address);
        if self.username != "-" && !self.username.is_empty() {
            line.set_username(self.username.replace(char::is_whitespace, "_"));
        }
        line
    }
}

/// Why a body is not a description that we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// The line, from 1; 0 for the whole.
    pub line: usize,
}

/// The kinds of [`ParseError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// More than 64 KiB.
    TooLarge,
    /// More than 64 media descriptions.
    TooManyMedia,
    /// It does not begin with `v=0`.
    Version,
    /// An `m=` line without a kind, a port of 0–65535, or a profile.
    Media,
    /// A carriage return or NUL within a line.
    Character,
    /// Anything else.
    Syntax,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::TooLarge => "SDP larger than 64 KiB",
            ErrorKind::TooManyMedia => "SDP with more than 64 media descriptions",
            ErrorKind::Version => "SDP does not begin with v=0",
            ErrorKind::Media => "SDP with a bad m= line",
            ErrorKind::Character => "SDP with a stray control character",
            ErrorKind::Syntax => "SDP syntax",
        };
        if self.line == 0 { f.write_str(what) } else { write!(f, "{what} (line {})", self.line) }
    }
}

impl std::error::Error for ParseError {}

/// The lines that mean something to us, in the form that the parser takes. What is left out or mended here is
/// unchanged in the text.
fn normalised(text: &[u8]) -> Result<Vec<u8>, ParseError> {
    let mut plain = b"v=0\ns=-\n".to_vec();
    let (mut started, mut media) = (false, 0);
    let (mut origin, mut connection) = (false, false);
    for (at, line) in lines(text).enumerate() {
        let fail = |kind| Err(ParseError { kind, line: at + 1 });
        if line.raw.trim_ascii_end().iter().any(|byte| matches!(byte, 0 | b'\r')) {
            return fail(ErrorKind::Character);
        }
        if !started {
            match (line.key, line.value) {
                (b'v', b"0") => started = true,
                (0, b"") => {}
                _ => return fail(ErrorKind::Version),
            }
            continue;
        }
        match line.key {
            b'o' if media == 0 && !origin => {
                origin = true;
                plain.extend(origin_line(line.value));
            }
            b'c' if media > 0 || !connection => {
                if let Some(fixed) = connection_line(line.value) {
                    connection = true;
                    plain.extend(fixed);
                }
            }
            b'a' => {
                plain.extend(b"a=");
                plain.extend(String::from_utf8_lossy(line.value).as_bytes());
                plain.push(b'\n');
            }
            b'm' => {
                media += 1;
                if media > MAX_MEDIA {
                    return fail(ErrorKind::TooManyMedia);
                }
                match media_line(line.value) {
                    Some(fixed) => plain.extend(fixed),
                    None => return fail(ErrorKind::Media),
                }
            }
            _ => {}
        }
    }
    if started { Ok(plain) } else { Err(ParseError { kind: ErrorKind::Version, line: 0 }) }
}

/// Devices put spaces into the user name and things that are no numbers into the version.
fn origin_line(value: &[u8]) -> Vec<u8> {
    let value = String::from_utf8_lossy(value);
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let line = match words.as_slice() {
        [username @ .., id, version, net, kind, address] if !username.is_empty() => {
            let version = version.parse::<u64>().unwrap_or(0);
            let (net, kind) = if is_name(net) && is_name(kind) { (*net, *kind) } else { ("IN", "IP4") };
            format!("o={} {id} {version} {net} {kind} {address}\n", username.join("_"))
        }
        _ => format!("o=- 0 0 IN IP4 {}\n", Ipv4Addr::UNSPECIFIED),
    };
    line.into_bytes()
}

fn connection_line(value: &[u8]) -> Option<Vec<u8>> {
    let value = String::from_utf8_lossy(value);
    let mut words = value.split_ascii_whitespace();
    let (net, kind, address) = (words.next()?, words.next()?, words.next()?);
    (is_name(net) && is_name(kind)).then(|| format!("c={net} {kind} {address}\n").into_bytes())
}

fn media_line(value: &[u8]) -> Option<Vec<u8>> {
    let mut words = words(value).map(String::from_utf8_lossy);
    let (kind, port, profile) = (words.next()?, words.next()?, words.next()?);
    // The count of ports (49170/2) is for layered multicast; the first is enough.
    let port: u16 = port.split('/').next()?.parse().ok()?;
    let mut formats: Vec<_> = words.collect();
    if formats.is_empty() {
        // Seen in rejected media.
        formats.push("0".into());
    }
    Some(format!("m={kind} {port} {profile} {}\n", formats.join(" ")).into_bytes())
}

fn is_name(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What a UDP datagram can carry; longer bodies are not descriptions of calls.
const MAX_LEN: usize = 65_536;
const MAX_MEDIA: usize = 64;
