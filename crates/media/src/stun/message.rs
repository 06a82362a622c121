//! STUN messages (RFC 8489 §5, §14) as they come: a view of received bytes. Total on any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::attribute as kind;
use super::key::{Integrity, Key};

/// A message over received bytes, whose frame is sound: length, padding, and `FINGERPRINT` where there is one.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    data: &'a [u8],
    class: Class,
    method: Method,
    /// Where the attributes end that count: those after the first integrity are not authentic (§14.5).
    end: usize,
    sha1: Option<Tag<'a>>,
    sha256: Option<Tag<'a>>,
    marked: bool,
}

/// What a message is (§5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// A good answer.
    Success,
    /// A bad one.
    Error,
}

/// What it is about (RFC 8489 §18.2, RFC 8656 §17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Tell me my address.
    Binding,
    /// Make an allocation.
    Allocate,
    /// Keep it, or end it.
    Refresh,
    /// Data for a peer.
    Send,
    /// Data from a peer.
    Data,
    /// Let a peer send.
    CreatePermission,
    /// Give a peer a number.
    ChannelBind,
    /// Something else.
    Other(u16),
}

/// A value that is not what its kind of attribute has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A hash over what stands before it.
#[derive(Clone, Copy, Debug)]
struct Tag<'a> {
    at: usize,
    value: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a message that fills `data`. `None`: it is something else, or broken, or its `FINGERPRINT` is wrong.
    #[must_use]
    pub fn parse(data: &'a [u8]) -> Option<Message<'a>> {
        let (kind, length) = (word(data, 0)?, usize::from(word(data, 2)?));
        let framed = kind >> 14 == 0 && length % 4 == 0 && HEADER + length == data.len();
        if !framed || data.get(4..8)? != COOKIE {
            return None;
        }
        let (class, method) = (Class::of(kind), Method::of(kind));
        let mut message =
            Message { data, class, method, end: data.len(), sha1: None, sha256: None, marked: false };
        let mut at = HEADER;
        while at < data.len() {
            at = message.take_in(at)?;
        }
        Some(message)
    }

    /// Request, indication or answer.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// What it is about.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// To be repeated in the answer.
    #[must_use]
    pub fn transaction(&self) -> [u8; 12] {
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&self.data[8..HEADER]);
        transaction
    }

    /// Whether it has a (right) `FINGERPRINT`.
    #[must_use]
    pub const fn is_marked(&self) -> bool {
        self.marked
    }

    /// Whether it has a hash of any kind, rightly or wrongly.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        self.sha1.is_some() || self.sha256.is_some()
    }

    /// The hash that proves that it was made with this key, the stronger if it has both; compared in constant time.
    #[must_use]
    pub fn signed_with(&self, key: &Key) -> Option<Integrity> {
        let (integrity, tag) = match (self.sha256, self.sha1) {
            (Some(tag), _) => (Integrity::Sha256, tag),
            (None, Some(tag)) => (Integrity::Sha1, tag),
            (None, None) => return None,
        };
        let mut head = [0; HEADER];
        head.copy_from_slice(&self.data[..HEADER]);
        // The length ends with this attribute, whatever follows.
        let length = (tag.at - HEADER + 4 + tag.value.len()) as u16;
        head[2..4].copy_from_slice(&length.to_be_bytes());
        key.verifies(integrity, &[&head, &self.data[HEADER..tag.at]], tag.value).then_some(integrity)
    }

    /// The attributes that count, in order: kind and value.
    pub fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let (data, end) = (self.data, self.end);
        let mut at = HEADER;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (kind, value, next) = attribute(data, at)?;
            at = next;
            Some((kind, value))
        })
    }

    /// The first attribute of a kind; others of the same do not count (§14).
    #[must_use]
    pub fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes().find(|(one, _)| *one == kind).map(|(_, value)| value)
    }

    /// A number of 32 bits.
    ///
    /// # Errors
    /// When the value has another length.
    pub fn number(&self, kind: u16) -> Result<Option<u32>, Malformed> {
        let Some(value) = self.get(kind) else { return Ok(None) };
        value.try_into().map(|bytes| Some(u32::from_be_bytes(bytes))).map_err(|_| Malformed)
    }

    /// The first byte of an attribute of four.
    ///
    /// # Errors
    /// When the value has another length.
    pub fn first_of_four(&self, kind: u16) -> Result<Option<u8>, Malformed> {
        Ok(self.number(kind)?.map(|number| number.to_be_bytes()[0]))
    }

    /// An address of the `XOR-` kind.
    ///
    /// # Errors
    /// When it has no family that we know, or not its length.
    pub fn address(&self, kind: u16) -> Result<Option<SocketAddr>, Malformed> {
        self.addresses(kind).next().transpose()
    }

    /// All addresses of an `XOR-` kind, canonical.
    pub fn addresses(&self, kind: u16) -> impl Iterator<Item = Result<SocketAddr, Malformed>> + use<'a> {
        let transaction = self.transaction();
        let all = self.attributes().filter(move |(one, _)| *one == kind);
        all.map(move |(_, value)| read_address(value, &transaction).ok_or(Malformed))
    }

    /// Attributes that must be understood and are not among `known`; a few, for an answer must stay small.
    pub fn unknown(&self, known: &[u16]) -> Vec<u16> {
        let required = |kind: &u16| *kind < kind::OPTIONAL && !known.contains(kind);
        self.attributes().map(|(kind, _)| kind).filter(required).take(MOST_UNKNOWN).collect()
    }

    /// Checks the attribute at a place, and says where the next begins.
    fn take_in(&mut self, at: usize) -> Option<usize> {
        let (kind, value, next) = attribute(self.data, at)?;
        match kind {
            kind::FINGERPRINT => {
                let right = super::writer::fingerprint(&self.data[..at]);
                if value != right.to_be_bytes() || next != self.data.len() {
                    return None;
                }
                self.marked = true;
                self.end = self.end.min(at);
            }
            kind::MESSAGE_INTEGRITY if !self.is_signed() => {
                self.sha1 = Some(Tag { at, value: Some(value).filter(|value| value.len() == 20)? });
                self.end = self.end.min(at);
            }
            kind::MESSAGE_INTEGRITY_SHA256 if self.sha256.is_none() => {
                // It may be cut off, but not to nothing (§14.6).
                let fits = (16..=32).contains(&value.len()) && value.len() % 4 == 0;
                self.sha256 = Some(Tag { at, value: Some(value).filter(|_| fits)? });
                self.end = self.end.min(at);
            }
            _ => {}
        }
        Some(next)
    }
}

impl Class {
    fn of(kind: u16) -> Class {
        match (kind >> 8 & 1, kind >> 4 & 1) {
            (0, 0) => Class::Request,
            (0, _) => Class::Indication,
            (_, 0) => Class::Success,
            (_, _) => Class::Error,
        }
    }

    const fn bits(self) -> u16 {
        match self {
            Class::Request => 0,
            Class::Indication => 0x10,
            Class::Success => 0x100,
            Class::Error => 0x110,
        }
    }
}

impl Method {
    fn of(kind: u16) -> Method {
        match (kind & 0xf) | (kind >> 1 & 0x70) | (kind >> 2 & 0xf80) {
            1 => Method::Binding,
            3 => Method::Allocate,
            4 => Method::Refresh,
            6 => Method::Send,
            7 => Method::Data,
            8 => Method::CreatePermission,
            9 => Method::ChannelBind,
            other => Method::Other(other),
        }
    }

    const fn number(self) -> u16 {
        match self {
            Method::Binding => 1,
            Method::Allocate => 3,
            Method::Refresh => 4,
            Method::Send => 6,
            Method::Data => 7,
            Method::CreatePermission => 8,
            Method::ChannelBind => 9,
            Method::Other(number) => number,
        }
    }
}

/// The type of a message: both interleaved (§5, figure 3).
pub(crate) const fn type_of(class: Class, method: Method) -> u16 {
    let number = method.number();
    (number & 0xf) | (number & 0x70) << 1 | (number & 0xf80) << 2 | class.bits()
}

/// Kind and value of the attribute at a place, and where the next begins.
fn attribute(data: &[u8], at: usize) -> Option<(u16, &[u8], usize)> {
    let (kind, length) = (word(data, at)?, usize::from(word(data, at + 2)?));
    let next = at + 4 + length.next_multiple_of(4);
    let value = data.get(at + 4..at + 4 + length)?;
    (next <= data.len()).then_some((kind, value, next))
}

fn read_address(value: &[u8], transaction: &[u8; 12]) -> Option<SocketAddr> {
    let mask = || COOKIE.iter().chain(transaction);
    let port = word(value, 2)? ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
    let unmasked: Vec<u8> = value.get(4..)?.iter().zip(mask()).map(|(byte, mask)| byte ^ mask).collect();
    let ip: IpAddr = match (value.get(1)?, value.len()) {
        (&FAMILY_V4, 8) => Ipv4Addr::from(<[u8; 4]>::try_from(unmasked).ok()?).into(),
        (&FAMILY_V6, 20) => Ipv6Addr::from(<[u8; 16]>::try_from(unmasked).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// Of a message, before its attributes.
pub const HEADER: usize = 20;
pub(crate) const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
/// IPv4 in attributes (§14.1).
pub(crate) const FAMILY_V4: u8 = 1;
/// IPv6 in attributes.
pub(crate) const FAMILY_V6: u8 = 2;
const MOST_UNKNOWN: usize = 4;
