//! RTCP (RFC 3550 §6): compound packets with sender and receiver reports, the CNAME, and goodbyes.

use std::time::Duration;

use rtcp_types::{RtcpPacket as _, RtcpPacketParser as _, RtcpPacketWriter};

use crate::packet::WriteError;

mod key_frame;
#[cfg(test)]
mod tests;

pub use key_frame::KeyFrameRequest;

/// One packet of a compound packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RtcpPacket {
    /// From a source that sends media (§6.4.1).
    SenderReport(SenderReport),
    /// From one that only receives (§6.4.2).
    ReceiverReport(ReceiverReport),
    /// Names of sources (§6.5); one per named source.
    SourceDescription(SourceDescription),
    /// Sources that leave (§6.6).
    Bye(Bye),
    /// Any other packet type (APP, feedback, XR), or a known one that could not be read; kept as its number.
    Other(u8),
}

/// What a sender says about its stream, and what it hears from others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SenderReport {
    /// The sender.
    pub ssrc: u32,
    /// The sender's wall clock when it sent the report.
    pub ntp: NtpTime,
    /// The same moment in its media clock.
    pub rtp_timestamp: u32,
    /// Packets sent so far.
    pub packet_count: u32,
    /// Payload bytes sent so far.
    pub octet_count: u32,
    /// What it hears, at most 31.
    pub reports: Vec<ReportBlock>,
}

/// What a receiver hears.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceiverReport {
    /// The receiver.
    pub ssrc: u32,
    /// What it hears, at most 31.
    pub reports: Vec<ReportBlock>,
}

/// Reception of one source (§6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: u32,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; negative with duplicates. 24 bits on the wire, clamped when written.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with its cycles.
    pub highest_sequence: u32,
    /// Interarrival jitter in clock units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time, or 0.
    pub lsr: u32,
    /// Delay since that report came, in 1/65536 s.
    pub dlsr: u32,
}

impl ReportBlock {
    /// Round-trip time from a report about our own stream, received at `now` in the clock of our sender
    /// reports (§6.4.1). `None` without a sender report of ours, or with times that cannot be.
    #[must_use]
    pub fn round_trip(&self, now: NtpTime) -> Option<Duration> {
        if self.lsr == 0 {
            return None;
        }
        let units = now.middle().wrapping_sub(self.lsr).wrapping_sub(self.dlsr);
        // Beyond a minute it is a wrapped negative number or a stale report.
        (units <= 60 << 16).then(|| Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16))
    }
}

/// The name of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDescription {
    /// The source.
    pub ssrc: u32,
    /// Its canonical name (§6.5.1); empty when the packet had none.
    pub cname: String,
}

/// Sources that leave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bye {
    /// Who leaves, at most 31.
    pub ssrcs: Vec<u32>,
    /// Why, in the sender's words.
    pub reason: Option<String>,
}

/// An NTP time: seconds since 1900 in 32.32 fixed point (§4). It may also count from any other fixed moment;
/// only differences matter for round-trip times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From the time since 1970-01-01 00:00 UTC. Wraps in 2036 as NTP does.
    #[must_use]
    pub fn from_unix(since_epoch: Duration) -> Self {
        let seconds = since_epoch.as_secs().wrapping_add(UNIX_EPOCH_IN_NTP) as u32;
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        Self(u64::from(seconds) << 32 | fraction)
    }

    /// The time since 1970 for moments of the first NTP era; zero for those before 1970.
    #[must_use]
    pub fn to_unix(self) -> Duration {
        let seconds = (self.0 >> 32).saturating_sub(UNIX_EPOCH_IN_NTP);
        let nanos = ((self.0 & 0xffff_ffff) * 1_000_000_000) >> 32;
        Duration::new(seconds, nanos as u32)
    }

    /// The middle 32 bits, as in LSR.
    #[must_use]
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// Reads a compound packet. Lenient: packets that cannot be read become [`RtcpPacket::Other`], reading ends at
/// the first impossible length, and a reduced-size packet (RFC 5506) is accepted. Empty when nothing is RTCP.
#[must_use]
pub fn read(datagram: &[u8]) -> Vec<RtcpPacket> {
    let mut packets = Vec::new();
    let mut rest = datagram;
    while rest.len() >= 4 && rest[0] >> 6 == 2 && packets.len() < MAX_PACKETS {
        let length = 4 + 4 * usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let Some(one) = rest.get(..length) else { break };
        read_one(one, &mut packets);
        rest = &rest[length..];
    }
    packets
}

fn read_one(data: &[u8], packets: &mut Vec<RtcpPacket>) {
    let packet_type = data[1];
    let known = match packet_type {
        rtcp_types::SenderReport::PACKET_TYPE => read_sender_report(data),
        rtcp_types::ReceiverReport::PACKET_TYPE => read_receiver_report(data),
        rtcp_types::Bye::PACKET_TYPE => read_bye(data),
        rtcp_types::Sdes::PACKET_TYPE => {
            packets.extend(read_chunks(data));
            return;
        }
        _ => None,
    };
    packets.push(known.unwrap_or(RtcpPacket::Other(packet_type)));
}

fn read_sender_report(data: &[u8]) -> Option<RtcpPacket> {
    let report = rtcp_types::SenderReport::parse(data).ok()?;
    Some(RtcpPacket::SenderReport(SenderReport {
        ssrc: report.ssrc(),
        ntp: NtpTime(report.ntp_timestamp()),
        rtp_timestamp: report.rtp_timestamp(),
        packet_count: report.packet_count(),
        octet_count: report.octet_count(),
        reports: report.report_blocks().map(|block| read_block(&block)).collect(),
    }))
}

fn read_receiver_report(data: &[u8]) -> Option<RtcpPacket> {
    let report = rtcp_types::ReceiverReport::parse(data).ok()?;
    Some(RtcpPacket::ReceiverReport(ReceiverReport {
        ssrc: report.ssrc(),
        reports: report.report_blocks().map(|block| read_block(&block)).collect(),
    }))
}

fn read_block(block: &rtcp_types::ReportBlock<'_>) -> ReportBlock {
    ReportBlock {
        ssrc: block.ssrc(),
        fraction_lost: block.fraction_lost(),
        // 24 bits with a sign.
        cumulative_lost: (block.cumulative_lost() << 8) as i32 >> 8,
        highest_sequence: block.extended_sequence_number(),
        jitter: block.interarrival_jitter(),
        lsr: block.last_sender_report_timestamp(),
        dlsr: block.delay_since_last_sender_report_timestamp(),
    }
}

/// Chunks of an SDES packet, as far as they are whole (§6.5).
fn read_chunks(data: &[u8]) -> Vec<RtcpPacket> {
    let mut chunks = Vec::new();
    let mut at = 4;
    for _ in 0..data[0] & 0x1f {
        let Some(source) = data.get(at..at + 4) else { break };
        let ssrc = u32::from_be_bytes([source[0], source[1], source[2], source[3]]);
        at += 4;
        let mut cname = String::new();
        while let Some(&kind) = data.get(at)
            && kind != 0
        {
            let Some(&length) = data.get(at + 1) else { return chunks };
            let Some(value) = data.get(at + 2..at + 2 + usize::from(length)) else { return chunks };
            if kind == rtcp_types::SdesItem::CNAME && cname.is_empty() {
                cname = String::from_utf8_lossy(value).into_owned();
            }
            at += 2 + value.len();
        }
        // At least one zero ends the items, more fill up the word.
        at = (at + 1).next_multiple_of(4);
        chunks.push(RtcpPacket::SourceDescription(SourceDescription { ssrc, cname }));
    }
    chunks
}

fn read_bye(data: &[u8]) -> Option<RtcpPacket> {
    let bye = rtcp_types::Bye::parse(data).ok()?;
    let reason = bye.reason().map(|text| String::from_utf8_lossy(text).into_owned());
    Some(RtcpPacket::Bye(Bye { ssrcs: bye.ssrcs().collect(), reason }))
}

/// Appends a compound packet to `out`. A report should come first and a CNAME follow (§6.1);
/// [`RtcpPacket::Other`] is left out.
///
/// # Errors
/// More than 31 blocks or sources, or a text longer than 255 bytes; nothing is appended then.
pub fn write(packets: &[RtcpPacket], out: &mut Vec<u8>) -> Result<(), WriteError> {
    let start = out.len();
    for packet in packets {
        if let Err(error) = write_one(packet, out) {
            out.truncate(start);
            return Err(error);
        }
    }
    Ok(())
}

fn write_one(packet: &RtcpPacket, out: &mut Vec<u8>) -> Result<(), WriteError> {
    match packet {
        RtcpPacket::SenderReport(report) => {
            let builder = rtcp_types::SenderReport::builder(report.ssrc)
                .ntp_timestamp(report.ntp.0)
                .rtp_timestamp(report.rtp_timestamp)
                .packet_count(report.packet_count)
                .octet_count(report.octet_count);
            append(&report.reports.iter().fold(builder, |b, r| b.add_report_block(block_builder(r))), out)
        }
        RtcpPacket::ReceiverReport(report) => {
            let builder = rtcp_types::ReceiverReport::builder(report.ssrc);
            append(&report.reports.iter().fold(builder, |b, r| b.add_report_block(block_builder(r))), out)
        }
        RtcpPacket::SourceDescription(description) => {
            let cname = rtcp_types::SdesItem::builder(rtcp_types::SdesItem::CNAME, &description.cname);
            let chunk = rtcp_types::SdesChunk::builder(description.ssrc).add_item(cname);
            append(&rtcp_types::Sdes::builder().add_chunk(chunk), out)
        }
        RtcpPacket::Bye(bye) => {
            let mut builder =
                bye.ssrcs.iter().fold(rtcp_types::Bye::builder(), |b, ssrc| b.add_source(*ssrc));
            if let Some(reason) = &bye.reason {
                builder = builder.reason(reason.as_str());
            }
            append(&builder, out)
        }
        RtcpPacket::Other(_) => Ok(()),
    }
}

fn block_builder(block: &ReportBlock) -> rtcp_types::ReportBlockBuilder {
    let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff);
    rtcp_types::ReportBlock::builder(block.ssrc)
        .fraction_lost(block.fraction_lost)
        .cumulative_lost(lost as u32 & 0xff_ffff)
        .extended_sequence_number(block.highest_sequence)
        .interarrival_jitter(block.jitter)
        .last_sender_report_timestamp(block.lsr)
        .delay_since_last_sender_report_timestamp(block.dlsr)
}

fn append(writer: &impl RtcpPacketWriter, out: &mut Vec<u8>) -> Result<(), WriteError> {
    use rtcp_types::RtcpWriteError as E;
    let start = out.len();
    let size = writer.calculate_size().map_err(|error| match error {
        E::SdesValueTooLarge { .. } | E::ReasonLenTooLarge { .. } => WriteError::TextTooLong,
        _ => WriteError::TooManySources,
    })?;
    out.resize(start + size, 0);
    writer.write_into_unchecked(&mut out[start..]);
    Ok(())
}

/// Seconds from 1900 to 1970.
const UNIX_EPOCH_IN_NTP: u64 = 2_208_988_800;
/// A compound packet of a call has two or three.
const MAX_PACKETS: usize = 64;
