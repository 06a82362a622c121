//! SRTP and SRTCP (RFC 3711, 6188, 7714): suites, keys, and packets protected and opened in place.
//!
//! One direction of one session is an [`Outbound`] or an [`Inbound`]. Neither allocates while packets of known
//! sources pass; both know at most [`SOURCES`] sources and forget the one that has been silent longest.

mod crypto;
mod inbound;
mod key;
mod outbound;
mod sources;
mod suite;
mod transform;

pub use crypto::{Crypto, mask_keys};
pub use inbound::Inbound;
pub use key::{InlineError, MasterKey};
pub use outbound::Outbound;
pub use sources::SOURCES;
pub use suite::Suite;

use std::fmt;

/// The most bytes that protection adds to a packet: tag and index of SRTCP.
pub const GROWTH: usize = 20;

/// Why a packet was neither protected nor opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpError {
    /// It is too short to be what it should be.
    Malformed,
    /// The buffer does not hold what protection adds.
    NoRoom,
    /// Its tag is wrong: it was made with another key, or changed on its way.
    Unauthentic,
    /// It came before, or is older than the replay window reaches (RFC 3711 §3.3.2).
    Replayed,
    /// The key has protected all packets it may (RFC 3711 §9.2).
    Exhausted,
}

impl fmt::Display for SrtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SrtpError::Malformed => "expected an RTP or RTCP packet, protected or not",
            SrtpError::NoRoom => "expected room for the tag behind the packet",
            SrtpError::Unauthentic => "expected a tag made with the key of the session",
            SrtpError::Replayed => "expected a packet that has not come before",
            SrtpError::Exhausted => "expected a key that has protected fewer packets",
        })
    }
}

impl std::error::Error for SrtpError {}

/// Bytes of an RTP packet before its payload, which stay in the clear: header, sources and extension.
fn rtp_header_len(packet: &[u8]) -> Result<usize, SrtpError> {
    let fixed = packet.get(..12).filter(|head| head[0] >> 6 == 2).ok_or(SrtpError::Malformed)?;
    let mut length = 12 + 4 * usize::from(fixed[0] & 0x0f);
    if fixed[0] & 0x10 != 0 {
        let head = packet.get(length..length + 4).ok_or(SrtpError::Malformed)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
    }
    if length > packet.len() { Err(SrtpError::Malformed) } else { Ok(length) }
}

fn word(bytes: &[u8], at: usize) -> Result<u32, SrtpError> {
    let four = bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
    four.map(u32::from_be_bytes).ok_or(SrtpError::Malformed)
}

/// SSRC and sequence number of an RTP packet.
fn rtp_numbers(packet: &[u8]) -> Result<(u32, u16), SrtpError> {
    Ok((word(packet, 8)?, (word(packet, 0)? & 0xffff) as u16))
}

/// Bytes at the front of an RTCP packet that stay in the clear (RFC 3711 §3.4).
const RTCP_HEADER: usize = 8;
/// The flag in the index word of SRTCP that says that the packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

#[cfg(test)]
mod tests;
