//! The route that we put into a dialog (Record-Route, RFC 3261 §16.6 step 4), signed.
//!
//! A forwarded dialog needs no state of ours: who its two parties are, and the way to each, stands in a
//! parameter of our Record-Route URI. The phones bring it back in every request of the dialog. It holds for
//! this Call-ID and these two parties only, so nobody can use it to be relayed to somewhere else.

use std::net::{IpAddr, SocketAddr};

use bytes::BufMut as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use offhook_sip_stack::{Flow, Transport};
use sha2::{Digest as _, Sha256};

use crate::config::Key;
use crate::directory::AddressOfRecord;

/// The URI parameter that carries a [`SignedRoute`].
pub const PARAMETER: &str = "oh";

/// The two parties of a dialog and how each is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRoute {
    /// The shard that holds the anchor, or that made the route.
    pub shard: u8,
    /// Identifies the caller: a digest of the tag that it put into From.
    pub caller_tag: u32,
    /// The way to the caller.
    pub caller: Party,
    /// The way to the callee.
    pub callee: Party,
    /// Whose phones the two are, caller first, as [`owner_digest`] says it; `None`: of no account.
    pub owners: [Option<u32>; 2],
    /// The number of the anchor, if media goes through us.
    pub anchor: Option<u64>,
}

/// One of the two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// The way to it.
    pub flow: Flow,
    /// Whether only this flow reaches it, whatever it says its address is.
    pub behind_nat: bool,
}

/// Which of the two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PartyName {
    /// Who sent the first request of the dialog.
    Caller,
    /// Who answered it.
    Callee,
}

impl PartyName {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

impl SignedRoute {
    /// The value of the URI parameter.
    pub fn seal(&self, call_id: &str, key: &Key) -> String {
        let mut bytes = Vec::with_capacity(96);
        bytes.put_u8(VERSION);
        bytes.put_u8(self.shard);
        bytes.put_u32(self.caller_tag);
        put_party(&mut bytes, &self.caller, self.owners[0]);
        put_party(&mut bytes, &self.callee, self.owners[1]);
        if let Some(anchor) = self.anchor {
            bytes.put_u64(anchor);
        }
        let signature = sign(&bytes, call_id, key).finalize().into_bytes();
        bytes.extend_from_slice(&signature[..SIGNATURE]);
        base64(&bytes)
    }

    /// Reads the value of the URI parameter; `None` unless we made it for this Call-ID.
    pub fn open(text: &str, call_id: &str, key: &Key) -> Option<Self> {
        let bytes = unbase64(text)?;
        let (signed, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        sign(signed, call_id, key).verify_truncated_left(signature).ok()?;
        let mut rest = signed;
        if take::<1>(&mut rest)? != [VERSION] {
            return None;
        }
        let shard = take::<1>(&mut rest)?[0];
        let caller_tag = u32::from_be_bytes(take(&mut rest)?);
        let (caller, caller_owner) = take_party(&mut rest)?;
        let (callee, callee_owner) = take_party(&mut rest)?;
        let route = Self {
            shard,
            caller_tag,
            caller,
            callee,
            owners: [caller_owner, callee_owner],
            anchor: if rest.is_empty() { None } else { Some(u64::from_be_bytes(take(&mut rest)?)) },
        };
        rest.is_empty().then_some(route)
    }

    /// The shard written into a parameter, before its signature is looked at: for dispatch only.
    pub fn peek_shard(text: &str) -> Option<u8> {
        unbase64(text.get(..4)?)?.get(1).copied()
    }

    /// Who sent a request of this dialog, by its tags; `None` if neither fits.
    pub fn sender(&self, from_tag: &str, to_tag: &str) -> Option<PartyName> {
        if tag_digest(from_tag) == self.caller_tag {
            Some(PartyName::Caller)
        } else if tag_digest(to_tag) == self.caller_tag {
            Some(PartyName::Callee)
        } else {
            None
        }
    }

    /// One of the parties.
    pub fn party(&self, name: PartyName) -> &Party {
        match name {
            PartyName::Caller => &self.caller,
            PartyName::Callee => &self.callee,
        }
    }

    /// Whose phone one of the parties is.
    pub fn owner(&self, name: PartyName) -> Option<u32> {
        self.owners[usize::from(name == PartyName::Callee)]
    }
}

/// What stands for a tag in a [`SignedRoute`] (FNV-1a; the signature is what protects it).
pub fn tag_digest(tag: &str) -> u32 {
    tag.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// What stands for an account in a [`SignedRoute`]. It tells those who do not have the key nothing.
pub fn owner_digest(account: &AddressOfRecord, key: &Key) -> u32 {
    let hash =
        Sha256::new().chain_update(key.0).chain_update(b"owner").chain_update(account.as_str()).finalize();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

fn sign(signed: &[u8], call_id: &str, key: &Key) -> Hmac<Sha256> {
    // A key of its own for this purpose; HMAC takes keys of any length.
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key.0).unwrap_or_else(|_| unreachable!("any length will do"));
    mac.update(b"route");
    // The length keeps the two apart: who chooses the Call-ID must not choose a part of the route.
    mac.update(&(signed.len() as u64).to_be_bytes());
    mac.update(signed);
    mac.update(call_id.as_bytes());
    mac
}

fn put_party(bytes: &mut Vec<u8>, party: &Party, owner: Option<u32>) {
    let flow = &party.flow;
    let transport = flow.transport as u8;
    let six = |address: &SocketAddr| u8::from(address.is_ipv6());
    let flags = six(&flow.local) << 4 | six(&flow.remote) << 5 | u8::from(party.behind_nat) << 6;
    bytes.put_u8(transport | flags | u8::from(owner.is_some()) << 7);
    for address in [flow.local, flow.remote] {
        match address.ip() {
            IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
        }
        bytes.put_u16(address.port());
    }
    owner.into_iter().for_each(|owner| bytes.put_u32(owner));
}

fn take_party(rest: &mut &[u8]) -> Option<(Party, Option<u32>)> {
    let [flags] = take(rest)?;
    let transport = *Transport::ALL.get(usize::from(flags & 0x0f))?;
    let local = take_address(rest, flags & 0x10 != 0)?;
    let remote = take_address(rest, flags & 0x20 != 0)?;
    // A route of a version before has no owners.
    let owner = if flags & 0x80 == 0 { None } else { Some(u32::from_be_bytes(take(rest)?)) };
    // The connection may be another by now: it is found again by the peer's address.
    let flow = Flow { transport, local, remote, connection: None };
    Some((Party { flow, behind_nat: flags & 0x40 != 0 }, owner))
}

fn take_address(rest: &mut &[u8], six: bool) -> Option<SocketAddr> {
    let ip = if six { IpAddr::from(take::<16>(rest)?) } else { IpAddr::from(take::<4>(rest)?) };
    Some(SocketAddr::new(ip, u16::from_be_bytes(take(rest)?)))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

/// Base64 with the URL alphabet and no padding (RFC 4648 §5): legal in a URI's user and parameters.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

/// Reads that; `None` if it is something else, or longer than anything that we make.
pub(crate) fn unbase64(text: &str) -> Option<Vec<u8>> {
    if text.len() > 512 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut word = 0u32;
        for byte in chunk {
            let value = VALUES[usize::from(*byte)];
            if value == NO_LETTER {
                return None;
            }
            word = word << 6 | u32::from(value);
        }
        word <<= 6 * (4 - chunk.len());
        bytes.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    Some(bytes)
}

const VERSION: u8 = 1;
/// Octets of the truncated HMAC (RFC 2104 §5: at least half of the hash is usual; 96 bits as in IPsec).
const SIGNATURE: usize = 12;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NO_LETTER: u8 = 0xff;
/// For each octet, its place in the alphabet: every request of a dialog is looked at.
static VALUES: [u8; 256] = {
    let (mut values, mut place) = ([NO_LETTER; 256], 0);
    while place < ALPHABET.len() {
        values[ALPHABET[place] as usize] = place as u8;
        place += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    fn party(remote: &str, transport: Transport, behind_nat: bool) -> Party {
        let local = if remote.starts_with('[') { "[::1]:5060" } else { "192.0.2.1:5060" };
        let flow = Flow {
            transport,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            connection: None,
        };
        Party { flow, behind_nat }
    }

    fn route() -> SignedRoute {
        SignedRoute {
            shard: 7,
            caller_tag: tag_digest("alice"),
            caller: party("[2001:db8::9]:5070", Transport::Tcp, false),
            callee: party("198.51.100.4:1024", Transport::Udp, true),
            owners: [None, Some(7)],
            anchor: Some(0x0700_0000_0000_0001),
        }
    }

    #[test]
    fn what_was_sealed_opens_again() {
        let key = Key([3; 32]);
        for (anchor, owners) in
            [(None, [None, Some(1)]), (Some(9), [Some(u32::MAX), None]), (None, [None; 2])]
        {
            let route = SignedRoute { anchor, owners, ..route() };
            let text = route.seal("call", &key);
            assert_eq!(SignedRoute::open(&text, "call", &key), Some(route));
            assert_eq!(SignedRoute::peek_shard(&text), Some(7));
        }
    }

    #[test]
    fn another_call_another_key_or_any_changed_letter_does_not_open() {
        let key = Key([3; 32]);
        let text = route().seal("call", &key);
        assert_eq!(SignedRoute::open(&text, "other", &key), None);
        assert_eq!(SignedRoute::open(&text, "call", &Key([4; 32])), None);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(SignedRoute::open(&changed, "call", &key), None, "letter {at}");
            assert_eq!(SignedRoute::open(&text[..at], "call", &key), None, "cut at {at}");
        }
    }

    #[test]
    fn letters_of_the_call_id_cannot_be_moved_into_the_route() {
        let key = Key([3; 32]);
        let bytes = unbase64(&SignedRoute { anchor: None, ..route() }.seal("12345678call", &key)).unwrap();
        let (signed, signature) = bytes.split_at(bytes.len() - SIGNATURE);
        let moved = base64(&[signed, b"12345678", signature].concat());
        assert_eq!(SignedRoute::open(&moved, "call", &key), None);
    }

    #[test]
    fn an_account_has_another_digest_with_another_key() {
        let (alice, bob) =
            (AddressOfRecord::new("alice", "a.example"), AddressOfRecord::new("bob", "a.example"));
        let (one, other) = (Key([3; 32]), Key([4; 32]));
        assert_eq!(owner_digest(&alice, &one), owner_digest(&alice, &one));
        assert_ne!(owner_digest(&alice, &one), owner_digest(&bob, &one));
        assert_ne!(owner_digest(&alice, &one), owner_digest(&alice, &other));
    }

    #[test]
    fn the_tags_tell_who_sent_a_request() {
        let route = route();
        assert_eq!(route.sender("alice", "bob"), Some(PartyName::Caller));
        assert_eq!(route.sender("bob", "alice"), Some(PartyName::Callee));
        assert_eq!(route.sender("eve", "bob"), None);
    }
}
