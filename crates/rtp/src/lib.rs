//! RTP, RTCP, SRTP and telephone-event packets, and what their numbers say about quality.
//!
//! Layer 0: bytes and numbers only. Time is always an argument; nothing here reads a clock, and every
//! reader is total on arbitrary bytes.

pub mod comfort_noise;
pub mod packet;
pub mod quality;
pub mod redundancy;
pub mod rtcp;
pub mod sequence;
pub mod srtp;
pub mod telephone_event;

pub use comfort_noise::ComfortNoise;
pub use packet::{Header, Kind, Packet, PacketBuilder, ParseError, WriteError};
pub use rtcp::{Bye, NtpTime, ReceiverReport, ReportBlock, RtcpPacket, SenderReport, SourceDescription};
pub use sequence::{Arrival, ReceiveStatistics, Sequence};
pub use telephone_event::{EventPacket, EventReceiver, EventSender, Heard, TelephoneEvent};
