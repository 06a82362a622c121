//! The numbers of attributes (RFC 8489 §18.3, RFC 8656 §18).

pub(super) const USERNAME: u16 = 0x0006;
pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
pub(super) const ERROR_CODE: u16 = 0x0009;
pub(super) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
pub(super) const CHANNEL_NUMBER: u16 = 0x000c;
pub(super) const LIFETIME: u16 = 0x000d;
pub(super) const XOR_PEER_ADDRESS: u16 = 0x0012;
pub(super) const DATA: u16 = 0x0013;
pub(super) const REALM: u16 = 0x0014;
pub(super) const NONCE: u16 = 0x0015;
pub(super) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
pub(super) const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
pub(super) const EVEN_PORT: u16 = 0x0018;
pub(super) const REQUESTED_TRANSPORT: u16 = 0x0019;
#[cfg(test)]
pub(super) const DONT_FRAGMENT: u16 = 0x001a;
pub(super) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
pub(super) const PASSWORD_ALGORITHM: u16 = 0x001d;
pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub(super) const RESERVATION_TOKEN: u16 = 0x0022;
/// From here on, attributes may be skipped.
pub(super) const OPTIONAL: u16 = 0x8000;
pub(super) const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
pub(super) const PASSWORD_ALGORITHMS: u16 = 0x8002;
pub(super) const FINGERPRINT: u16 = 0x8028;
