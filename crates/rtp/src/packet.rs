//! RTP packets (RFC 3550 §5.1): a view over received bytes, a writer, and telling apart what shares a port.

use std::fmt;

#[cfg(test)]
mod tests;

/// An RTP packet over borrowed bytes. Checked once by [`Packet::parse`]; every accessor is then plain reading.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    data: &'a [u8],
    /// Where the payload starts, after sources and extension.
    payload_start: usize,
    /// Where the payload ends, before padding.
    payload_end: usize,
}

impl<'a> Packet<'a> {
    /// Checks the header, sources, extension and padding (RFC 3550 §5.1, A.1).
    ///
    /// # Errors
    /// A wrong version, a packet shorter than it says, or padding that does not fit.
    pub fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        if data.len() < HEADER_LEN {
            return Err(ParseError::Truncated);
        }
        if data[0] >> 6 != VERSION {
            return Err(ParseError::Version(data[0] >> 6));
        }
        let mut start = HEADER_LEN + 4 * usize::from(data[0] & 0x0f);
        if data[0] & EXTENSION_BIT != 0 {
            let Some(head) = data.get(start..start + 4) else { return Err(ParseError::Truncated) };
            start += 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        }
        if data.len() < start {
            return Err(ParseError::Truncated);
        }
        let mut end = data.len();
        if data[0] & PADDING_BIT != 0 {
            let padding = usize::from(data[end - 1]);
            if padding == 0 || padding > end - start {
                return Err(ParseError::Padding);
            }
            end -= padding;
        }
        Ok(Self { data, payload_start: start, payload_end: end })
    }

    /// The fields that every packet has.
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            payload_type: self.payload_type(),
            marker: self.marker(),
            sequence: self.sequence(),
            timestamp: self.timestamp(),
            ssrc: self.ssrc(),
        }
    }

    /// Payload type, 0–127.
    #[must_use]
    pub fn payload_type(&self) -> u8 {
        self.data[1] & 0x7f
    }

    /// The marker bit; for audio the first packet after silence (RFC 3551 §4.1).
    #[must_use]
    pub fn marker(&self) -> bool {
        self.data[1] & MARKER_BIT != 0
    }

    /// The 16-bit sequence number.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.data[2], self.data[3]])
    }

    /// Media time in units of the payload's clock rate.
    #[must_use]
    pub fn timestamp(&self) -> u32 {
        self.word(4)
    }

    /// The synchronisation source.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        self.word(8)
    }

    /// Contributing sources, at most 15.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        let count = usize::from(self.data[0] & 0x0f);
        self.data[HEADER_LEN..HEADER_LEN + 4 * count]
            .chunks_exact(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// The header extension: its profile-defined word and its bytes (RFC 3550 §5.3.1).
    #[must_use]
    pub fn extension(&self) -> Option<(u16, &'a [u8])> {
        if self.data[0] & EXTENSION_BIT == 0 {
            return None;
        }
        let at = HEADER_LEN + 4 * usize::from(self.data[0] & 0x0f);
        let id = u16::from_be_bytes([self.data[at], self.data[at + 1]]);
        Some((id, &self.data[at + 4..self.payload_start]))
    }

    /// The payload, without padding.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.data[self.payload_start..self.payload_end]
    }

    /// The whole packet as received.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.data
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes([self.data[at], self.data[at + 1], self.data[at + 2], self.data[at + 3]])
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("header", &self.header())
            .field("payload_len", &self.payload().len())
            .finish()
    }
}

/// The fixed fields of a packet, without its sources, extension and payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Payload type, 0–127.
    pub payload_type: u8,
    /// The marker bit.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Media time in clock units.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Writes these fields over those of an RTP packet, leaving the rest alone: how a relay changes the
    /// numbers of a packet that it passes on. Does nothing and returns `false` on anything shorter than a header.
    pub fn overwrite(&self, packet: &mut [u8]) -> bool {
        let Some(head) = packet.get_mut(..HEADER_LEN) else { return false };
        head[1] = self.payload_type & 0x7f | if self.marker { MARKER_BIT } else { 0 };
        head[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        head[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        head[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        true
    }
}

/// A packet to be written. Fill the fields, the rest from `Default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PacketBuilder<'a> {
    /// The fixed fields.
    pub header: Header,
    /// Contributing sources, at most 15.
    pub csrcs: &'a [u32],
    /// Header extension; its bytes are filled up with zeros to a multiple of four.
    pub extension: Option<(u16, &'a [u8])>,
    /// Payload bytes.
    pub payload: &'a [u8],
}

impl<'a> PacketBuilder<'a> {
    /// A packet without contributing sources or extension.
    #[must_use]
    pub fn new(header: Header, payload: &'a [u8]) -> Self {
        Self { header, csrcs: &[], extension: None, payload }
    }

    /// The number of bytes that the packet takes.
    #[must_use]
    pub fn len(&self) -> usize {
        let extension = self.extension.map_or(0, |(_, bytes)| 4 + bytes.len().next_multiple_of(4));
        HEADER_LEN + 4 * self.csrcs.len() + extension + self.payload.len()
    }

    /// Never: a packet has at least its header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the packet to the front of `out` and returns its length.
    ///
    /// # Errors
    /// A field out of range, or `out` too small; nothing is written then.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        self.check()?;
        let len = self.len();
        let Some(out) = out.get_mut(..len) else { return Err(WriteError::NoRoom) };
        // Both bounds were checked above: the sources fit four bits.
        out[0] = VERSION << 6 | self.csrcs.len() as u8;
        self.header.overwrite(out);
        let mut at = HEADER_LEN;
        for source in self.csrcs {
            out[at..at + 4].copy_from_slice(&source.to_be_bytes());
            at += 4;
        }
        if let Some((id, bytes)) = self.extension {
            out[0] |= EXTENSION_BIT;
            let padded = bytes.len().next_multiple_of(4);
            out[at..at + 2].copy_from_slice(&id.to_be_bytes());
            out[at + 2..at + 4].copy_from_slice(&((padded / 4) as u16).to_be_bytes());
            at += 4;
            out[at..at + bytes.len()].copy_from_slice(bytes);
            out[at + bytes.len()..at + padded].fill(0);
            at += padded;
        }
        out[at..].copy_from_slice(self.payload);
        Ok(len)
    }

    /// Appends the packet to `out`.
    ///
    /// # Errors
    /// A field out of range; nothing is appended then.
    pub fn append_to(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.check()?;
        let start = out.len();
        out.resize(start + self.len(), 0);
        self.write(&mut out[start..]).map(|_| ())
    }

    fn check(&self) -> Result<(), WriteError> {
        let words = self.extension.map_or(0, |(_, bytes)| bytes.len().div_ceil(4));
        if self.header.payload_type > 0x7f {
            Err(WriteError::PayloadType)
        } else if self.csrcs.len() > 0x0f {
            Err(WriteError::TooManySources)
        } else if words > usize::from(u16::MAX) {
            Err(WriteError::ExtensionTooLong)
        } else {
            Ok(())
        }
    }
}

/// What a datagram on a media port is, by its first bytes (RFC 7983 §7, RFC 5761 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A media packet.
    Rtp,
    /// A control packet (payload types 64–95 with the marker bit read as packet types 192–223).
    Rtcp,
    /// STUN, for ICE and keep-alive.
    Stun,
    /// ZRTP key agreement.
    Zrtp,
    /// DTLS, for DTLS-SRTP.
    Dtls,
    /// TURN channel data.
    TurnChannel,
    /// Nothing known: empty, line ends as keep-alive, or noise.
    Other,
}

impl Kind {
    /// Looks at the first two bytes; total.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Self {
        match datagram {
            [128..=191, 192..=223, ..] => Self::Rtcp,
            [128..=191, _, ..] => Self::Rtp,
            [0..=3, _, ..] => Self::Stun,
            [16..=19, _, ..] => Self::Zrtp,
            [20..=63, _, ..] => Self::Dtls,
            [64..=79, _, ..] => Self::TurnChannel,
            _ => Self::Other,
        }
    }
}

/// Whether a datagram that shares a port with RTP is RTCP (RFC 5761 §4).
#[must_use]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    Kind::of(datagram) == Kind::Rtcp
}

/// Why bytes are not an RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    /// Shorter than the header says.
    Truncated,
    /// Not version 2; the version found.
    Version(u8),
    /// Padding of zero bytes, or more of it than there is payload.
    Padding,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("packet is shorter than its header says"),
            Self::Version(version) => write!(f, "RTP version {version}, not 2"),
            Self::Padding => f.write_str("padding does not fit the packet"),
        }
    }
}

impl std::error::Error for ParseError {}

/// Why a packet cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The buffer is too small.
    NoRoom,
    /// More contributing sources, or report blocks, than the count field can say.
    TooManySources,
    /// More than 65,535 words of extension.
    ExtensionTooLong,
    /// A payload type above 127.
    PayloadType,
    /// A text longer than 255 bytes.
    TextTooLong,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "buffer too small",
            Self::TooManySources => "too many sources",
            Self::ExtensionTooLong => "header extension too long",
            Self::PayloadType => "payload type above 127",
            Self::TextTooLong => "text longer than 255 bytes",
        })
    }
}

impl std::error::Error for WriteError {}

/// Bytes of the fixed header.
pub const HEADER_LEN: usize = 12;

const VERSION: u8 = 2;
const PADDING_BIT: u8 = 0x20;
const EXTENSION_BIT: u8 = 0x10;
const MARKER_BIT: u8 = 0x80;
