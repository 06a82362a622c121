//! Which transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3).
//!
//! A key is 128 bits of keyed hash over what identifies a transaction, so that the table keeps no texts and no peer can
//! make two keys alike. Branch and sent-by compare without case (§7.3.1), methods with it.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use offhook_sip::{Headers, Host, HostPort, Method, ParseError, Request, Via};

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

    fn of_branch(&self, via: &Via, method: &Method) -> Key {
        let mut parts = Parts::new(self);
        parts.lower_case(via.branch().unwrap_or_default().as_bytes());
        parts.sent_by(&via.sent_by);
        parts.text(method.as_str());
        parts.key()
    }
}

/// The parts of a key, each with its length, so that none can pass for a part of another.
struct Parts([std::hash::DefaultHasher; 2]);

impl Parts {
    fn new(Keys([one, other]): &Keys) -> Self {
        Self([one.build_hasher(), other.build_hasher()])
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for hasher in &mut self.0 {
            hasher.write(bytes);
            hasher.write_usize(bytes.len());
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn lower_case(&mut self, bytes: &[u8]) {
        let mut lower = [0; 128];
        for part in bytes.chunks(lower.len()) {
            let lower = &mut lower[..part.len()];
            lower.copy_from_slice(part);
            lower.make_ascii_lowercase();
            self.bytes(lower);
        }
        self.number(bytes.len() as u64);
    }

    fn number(&mut self, number: u64) {
        for hasher in &mut self.0 {
            hasher.write_u64(number);
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
        let [one, other] = self.0.map(|hasher| hasher.finish());
        Key(one, other)
    }
}
