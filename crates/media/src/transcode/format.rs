//! What one side of a transcoder speaks.

use crate::codec;
use std::fmt;

/// How one side sends or receives, as its SDP says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The codec.
    pub codec: &'static codec::Format,
    /// Its payload type.
    pub payload_type: u8,
    /// Sound in a packet, in ms; the nearest that the codec can do. Only the outgoing side's counts.
    pub ptime_ms: u32,
    /// Telephone events, if they are agreed.
    pub event: Option<EventFormat>,
    /// The payload type of comfort noise, if it is agreed.
    pub comfort_noise: Option<u8>,
    /// What its `a=fmtp` asks of an encoder. Only the outgoing side's counts.
    pub wishes: codec::Wishes,
}

/// Telephone events (RFC 4733) of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFormat {
    /// Their payload type.
    pub payload_type: u8,
    /// The clock of their durations in Hz, usually that of the codec.
    pub clock_rate: u32,
}

/// Where the numbers of an outgoing stream begin (RFC 3550 §5.1); random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number of the first packet.
    pub sequence: u16,
    /// Timestamp of the first packet.
    pub timestamp: u32,
}

/// Why a transcoder cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsuited {
    /// A payload type above 127.
    PayloadType(u8),
    /// One payload type for two purposes.
    Ambiguous(u8),
    /// A clock rate of zero, or above 192 kHz.
    ClockRate(u32),
}

impl Format {
    /// A codec in packets of 20 ms, without events and comfort noise.
    pub fn plain(codec: &'static codec::Format, payload_type: u8) -> Format {
        let wishes = codec::Wishes::default();
        Format { codec, payload_type, ptime_ms: 20, event: None, comfort_noise: None, wishes }
    }

    pub(super) fn check(&self) -> Result<(), Unsuited> {
        let types = [Some(self.payload_type), self.event.map(|event| event.payload_type), self.comfort_noise];
        for (n, payload_type) in types.iter().enumerate() {
            let Some(payload_type) = payload_type else { continue };
            if *payload_type > 127 {
                return Err(Unsuited::PayloadType(*payload_type));
            }
            if types[..n].contains(&Some(*payload_type)) {
                return Err(Unsuited::Ambiguous(*payload_type));
            }
        }
        match self.event {
            Some(event) if !(1000..=192_000).contains(&event.clock_rate) => {
                Err(Unsuited::ClockRate(event.clock_rate))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Unsuited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsuited::PayloadType(number) => write!(f, "expected a payload type up to 127, not {number}"),
            Unsuited::Ambiguous(number) => {
                write!(f, "expected one meaning of payload type {number}, not two")
            }
            Unsuited::ClockRate(rate) => write!(f, "expected a clock of 1000 to 192000 Hz, not {rate}"),
        }
    }
}

impl std::error::Error for Unsuited {}
