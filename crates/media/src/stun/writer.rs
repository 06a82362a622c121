//! STUN messages (RFC 8489 §5, §14) as they leave.

use std::net::{IpAddr, SocketAddr};

use super::attribute as kind;
use super::key::{Integrity, Key};
use super::message::{COOKIE, Class, FAMILY_V4, FAMILY_V6, HEADER, Method, type_of};

/// A message that is being written. Attributes keep the order in which they are added.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A message without attributes.
    #[must_use]
    pub fn new(class: Class, method: Method, transaction: [u8; 12]) -> Writer {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&type_of(class, method).to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(&transaction);
        Writer { bytes }
    }

    /// The same after bytes that are there already, the header among them.
    pub(crate) fn onto(bytes: Vec<u8>) -> Writer {
        Writer { bytes }
    }

    /// Adds an attribute, padded. What would make the message longer than its length can say is left out.
    #[must_use]
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Writer {
        if self.bytes.len() + value.len() > LONGEST {
            return self;
        }
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.note_length(0);
        self
    }

    /// Adds a number of 32 bits.
    #[must_use]
    pub fn number(self, kind: u16, number: u32) -> Writer {
        self.attribute(kind, &number.to_be_bytes())
    }

    /// Adds an address of the `XOR-` kind (§14.2).
    #[must_use]
    pub fn address(self, kind: u16, address: SocketAddr) -> Writer {
        let mut value = [0; 20];
        let port = address.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
        value[2..4].copy_from_slice(&port.to_be_bytes());
        let length = match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                value[1] = FAMILY_V4;
                value[4..8].copy_from_slice(&ip.octets());
                8
            }
            IpAddr::V6(ip) => {
                value[1] = FAMILY_V6;
                value[4..20].copy_from_slice(&ip.octets());
                20
            }
        };
        // The cookie and the transaction, as they stand in the header.
        for (byte, mask) in value[4..length].iter_mut().zip(&self.bytes[4..HEADER]) {
            *byte ^= mask;
        }
        self.attribute(kind, &value[..length])
    }

    /// Adds an `ERROR-CODE` (§14.8).
    #[must_use]
    pub fn error(self, code: u16, reason: &str) -> Writer {
        let mut value = vec![0, 0, (code / 100) as u8, (code % 100) as u8];
        value.extend_from_slice(reason.as_bytes());
        self.attribute(kind::ERROR_CODE, &value)
    }

    /// Adds the hash that proves who made it; only [`Writer::marked`] may follow.
    #[must_use]
    pub fn signed(mut self, integrity: Integrity, key: &Key) -> Writer {
        self.note_length(4 + integrity.len());
        let tag = key.sign(integrity, &self.bytes);
        self.attribute(integrity.attribute(), tag.as_ref())
    }

    /// Adds `FINGERPRINT` (§14.7), after which nothing may follow.
    #[must_use]
    pub fn marked(mut self) -> Writer {
        self.note_length(8);
        let mark = fingerprint(&self.bytes);
        self.number(kind::FINGERPRINT, mark)
    }

    /// The message.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes the length of what is there and of so many bytes that will follow.
    fn note_length(&mut self, more: usize) {
        let length = (self.bytes.len() - HEADER + more) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// `FINGERPRINT` over what stands before it, the length already counting it.
pub(crate) fn fingerprint(bytes: &[u8]) -> u32 {
    crc32(bytes) ^ 0x5354_554e
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

/// Leaves room for padding, hashes and mark within the 16 bits of the length.
const LONGEST: usize = 65_400;
