//! Which transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3).
//!
//! A key is 128 bits of keyed hash over what identifies a transaction, so that the table keeps no texts and no peer can
//! make two keys alike. Branch and sent-by compare without case (§7.3.1), methods with it.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use offhook_sip::{Headers, Host, HostPort, Method, Name, ParseError, Request, Via};

/// What a transaction is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u64, u64);

/// Makes the keys of one table.
#[derive(Debug, Default)]
pub(super) struct Keys([RandomState; 2]);

impl Keys {
    /// The key of the client transaction of a request or response. A response whose `sent-by` is not the one we wrote
    /// matches nothing, as §18.1.2 asks.
    pub(super) fn client(&self, message: &Headers) -> Result<Key, ParseError> {
        let method = message.cseq()?.method;
        Ok(self.of_branch(&message.via()?, &method))
    }

    /// The key of the server transaction of this `method` that a request with this top Via would belong to. `to_tag`
    /// counts only for a request made under RFC 2543, which has no cookie in its branch.
    pub(super) fn server(
        &self,
        request: &Request,
        via: &Via,
        method: &Method,
        to_tag: Option<&str>,
    ) -> Result<Key, ParseError> {
        if via.has_cookie() {
            return Ok(self.of_branch(via, method));
        }
        let number = request.cseq()?.number;
        let mut parts = Parts::new(self);
        parts.text(method.as_str());
        parts.text(request.call_id()?);
        parts.text(request.from_tag().unwrap_or_default());
        parts.text(to_tag.unwrap_or_default());
        parts.bytes(request.uri_bytes());
        parts.sent_by(&via.sent_by);
        parts.text(via.branch().unwrap_or_default());
        parts.number(u64::from(number));
        Ok(parts.key())
    }

    /// What only who has sent a request can show again: its credentials, and what they are for. Those who got the request from us do
    /// not know them. `None` without any.
    pub(super) fn sender(&self, request: &Headers) -> Option<u64> {
        let shown = request.raw(Name::Authorization).or_else(|| request.raw(Name::ProxyAuthorization))?;
        let mut hasher = self.0[0].build_hasher();
        for part in [Some(shown), request.raw(Name::CallId), request.raw(Name::From), request.raw(Name::CSeq)]
        {
            let part = part.unwrap_or_default();
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        Some(hasher.finish())
    }

    fn of_branch(&self, via: &Via, method: &Method) -> Key {
        let mut parts = Parts::new(self);
        parts.lower_case(via.branch().unwrap_or_default().as_bytes());
        parts.sent_by(&via.sent_by);
        parts.text(method.as_str());
        parts.key()
    }
}

/// The parts of a key, each with its length, so that none can pass for a part of another. They are gathered before they
/// are hashed: a hasher takes one long text much faster than many short ones.
struct Parts<'a> {
    keys: &'a Keys,
    text: [u8; ROOM],
    len: usize,
    /// What did not fit.
    rest: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn new(keys: &'a Keys) -> Self {
        Self { keys, text: [0; ROOM], len: 0, rest: Vec::new() }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn lower_case(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        let (begin, rest) = (self.len, self.rest.len());
        self.raw(bytes);
        self.text[begin..self.len].make_ascii_lowercase();
        self.rest[rest..].make_ascii_lowercase();
    }

    fn number(&mut self, number: u64) {
        self.raw(&number.to_be_bytes());
    }

    fn raw(&mut self, bytes: &[u8]) {
        let place = self.text.get_mut(self.len..self.len + bytes.len()).filter(|_| self.rest.is_empty());
        match place {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.rest.extend_from_slice(bytes),
        }
    }

    fn sent_by(&mut self, sent_by: &HostPort) {
        match &sent_by.host {
            Host::Name(name) => self.lower_case(name.as_bytes()),
            Host::V4(ip) => self.bytes(&ip.octets()),
            Host::V6(ip) => self.bytes(&ip.octets()),
        }
        self.number(sent_by.port.map_or(u64::MAX, u64::from));
    }

    fn key(self) -> Key {
        let [one, other] = &self.keys.0;
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(&self.text[..self.len]);
            hasher.write(&self.rest);
            hasher.finish()
        };
        Key(hash(one), hash(other))
    }
}

const ROOM: usize = 256;
