//! The part of STUN (RFC 8489) that a lite ICE agent speaks: binding requests in, answers out.

use aws_lc_rs::hmac;
use std::net::{IpAddr, SocketAddr};

/// A binding request or indication over received bytes. Total on any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    data: &'a [u8],
    /// Whether no answer is wanted: a mere sign of life.
    pub indication: bool,
    /// To be repeated in the answer.
    pub transaction: [u8; 12],
    /// `USERNAME`: the names of both ends, with a colon between them.
    pub username: Option<&'a [u8]>,
    /// Where `MESSAGE-INTEGRITY` begins, and its 20 bytes.
    integrity: Option<(usize, &'a [u8])>,
    /// The sender chooses this pair of addresses (RFC 8445 §7.1.2).
    pub use_candidate: bool,
    /// The sender thinks that the other end chooses (RFC 8445 §7.1.3).
    pub controlled: bool,
    /// The first attribute that had to be understood and was not.
    pub unknown: Option<u16>,
}

impl<'a> Binding<'a> {
    /// Reads a request or indication. `None`: it is something else, or broken, or its `FINGERPRINT` is wrong.
    #[must_use]
    pub fn parse(data: &'a [u8]) -> Option<Binding<'a>> {
        let head = data.get(..HEADER)?;
        let indication = match word(head, 0)? {
            REQUEST => false,
            INDICATION => true,
            _ => return None,
        };
        let length = usize::from(word(head, 2)?);
        if head[4..8] != COOKIE || length % 4 != 0 || HEADER + length != data.len() {
            return None;
        }
        let mut binding = Binding {
            data,
            indication,
            transaction: head[8..20].try_into().ok()?,
            username: None,
            integrity: None,
            use_candidate: false,
            controlled: false,
            unknown: None,
        };
        let mut at = HEADER;
        while at < data.len() {
            at = binding.attribute(at)?;
        }
        Some(binding)
    }

    /// Whether it was made with this password (§14.5), in constant time.
    #[must_use]
    pub fn is_from(&self, password: &hmac::Key) -> bool {
        let Some((at, given)) = self.integrity else { return false };
        let mut head = [0; HEADER];
        head.copy_from_slice(&self.data[..HEADER]);
        // The length ends with this attribute, whatever follows.
        head[2..4].copy_from_slice(&((at - HEADER + 4 + TAG) as u16).to_be_bytes());
        let mut hash = hmac::Context::with_key(password);
        hash.update(&head);
        hash.update(&self.data[HEADER..at]);
        aws_lc_rs::constant_time::verify_slices_are_equal(hash.sign().as_ref(), given).is_ok()
    }

    /// Whether it says who made it, rightly or wrongly.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.username.is_some() && self.integrity.is_some()
    }

    /// Takes in the attribute at a place, and says where the next begins.
    fn attribute(&mut self, at: usize) -> Option<usize> {
        let (kind, length) = (word(self.data, at)?, usize::from(word(self.data, at + 2)?));
        let value = self.data.get(at + 4..at + 4 + length)?;
        let next = at + 4 + length.next_multiple_of(4);
        if next > self.data.len() {
            return None;
        }
        match kind {
            FINGERPRINT => {
                let right = crc32(&self.data[..at]) ^ FINGERPRINT_MASK;
                if value != right.to_be_bytes() || next != self.data.len() {
                    return None;
                }
            }
            // What follows it is not authentic, so it does not count (§14.5).
            _ if self.integrity.is_some() => {}
            INTEGRITY => self.integrity = Some((at, value.get(..TAG).filter(|_| length == TAG)?)),
            USERNAME => self.username = self.username.or(Some(value)),
            USE_CANDIDATE => self.use_candidate = true,
            CONTROLLED => self.controlled = true,
            PRIORITY | INTEGRITY_SHA256 => {}
            OPTIONAL.. => {}
            _ => self.unknown = self.unknown.or(Some(kind)),
        }
        Some(next)
    }
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The address that the request came from.
    Success(SocketAddr),
    /// A code (§14.8) and, for 420, what was not understood.
    Error(u16, Option<u16>),
}

impl Answer {
    /// Writes the answer to the request of this transaction; signed with the password where the request was
    /// authentic.
    #[must_use]
    pub fn write(self, transaction: [u8; 12], password: Option<&hmac::Key>) -> Vec<u8> {
        let kind = if matches!(self, Answer::Success(_)) { SUCCESS } else { ERROR };
        let mut bytes = Vec::with_capacity(96);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(&transaction);
        match self {
            Answer::Success(from) => push_address(&mut bytes, from, &transaction),
            Answer::Error(code, unknown) => {
                push(&mut bytes, ERROR_CODE, &[0, 0, (code / 100) as u8, (code % 100) as u8]);
                if let Some(unknown) = unknown {
                    push(&mut bytes, UNKNOWN_ATTRIBUTES, &unknown.to_be_bytes());
                }
            }
        }
        if let Some(password) = password {
            sign(&mut bytes, password);
        }
        mark(&mut bytes);
        bytes
    }
}

/// The key of `MESSAGE-INTEGRITY` for short-term credentials (§9.1.1).
#[must_use]
pub fn password_key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

/// Appends an attribute, padded.
pub(crate) fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    note_length(bytes, 0);
}

/// Appends `MESSAGE-INTEGRITY`.
pub(crate) fn sign(bytes: &mut Vec<u8>, password: &hmac::Key) {
    note_length(bytes, 4 + TAG);
    let tag = hmac::sign(password, bytes);
    push(bytes, INTEGRITY, tag.as_ref());
}

/// Appends `FINGERPRINT` (§14.7).
pub(crate) fn mark(bytes: &mut Vec<u8>) {
    note_length(bytes, 8);
    let mark = crc32(bytes) ^ FINGERPRINT_MASK;
    push(bytes, FINGERPRINT, &mark.to_be_bytes());
}

/// Writes the length of what is there and of so many bytes that will follow.
fn note_length(bytes: &mut [u8], more: usize) {
    let length = (bytes.len() - HEADER + more) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

/// `XOR-MAPPED-ADDRESS` (§14.2).
fn push_address(bytes: &mut Vec<u8>, address: SocketAddr, transaction: &[u8; 12]) {
    let port = address.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
    let mask = COOKIE.iter().chain(transaction);
    let mut value = [0; 20];
    value[2..4].copy_from_slice(&port.to_be_bytes());
    let length = match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&ip.octets());
            8
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..20].copy_from_slice(&ip.octets());
            20
        }
    };
    for (byte, mask) in value[4..length].iter_mut().zip(mask) {
        *byte ^= mask;
    }
    push(bytes, XOR_MAPPED_ADDRESS, &value[..length]);
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// The checksum of ITU V.42, by nibbles.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        let sum = sum ^ u32::from(*byte);
        let sum = NIBBLES[(sum & 15) as usize] ^ (sum >> 4);
        NIBBLES[(sum & 15) as usize] ^ (sum >> 4)
    })
}

const NIBBLES: [u32; 16] = {
    let mut table = [0; 16];
    let mut n = 0;
    while n < 16 {
        let (mut sum, mut bit) = (n as u32, 0);
        while bit < 4 {
            sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
            bit += 1;
        }
        table[n] = sum;
        n += 1;
    }
    table
};

const HEADER: usize = 20;
const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const TAG: usize = 20;
const FINGERPRINT_MASK: u32 = 0x5354_554e;

pub(crate) const REQUEST: u16 = 0x0001;
pub(crate) const INDICATION: u16 = 0x0011;
const SUCCESS: u16 = 0x0101;
const ERROR: u16 = 0x0111;

pub(crate) const USERNAME: u16 = 0x0006;
const INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const INTEGRITY_SHA256: u16 = 0x001c;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub(crate) const PRIORITY: u16 = 0x0024;
pub(crate) const USE_CANDIDATE: u16 = 0x0025;
/// From here on, attributes may be skipped.
const OPTIONAL: u16 = 0x8000;
const FINGERPRINT: u16 = 0x8028;
pub(crate) const CONTROLLED: u16 = 0x8029;

#[cfg(test)]
pub(crate) mod tests;
