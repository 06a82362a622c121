//! RTCP at a transcoder. It ends here: what each side is told is about the streams that it sees, not about
//! those of the other side (RFC 3550 §7.2 asks a translator that changes the encoding for no less).

use super::{TICKS, Transcoder};
use offhook_rtp::packet::WriteError;
use offhook_rtp::rtcp::{self, NtpTime, ReceiverReport, RtcpPacket, SenderReport, SourceDescription};
use std::time::{Duration, Instant};

/// What the source's RTCP said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Said {
    /// It said goodbye (BYE).
    pub left: bool,
    /// What it lost of the stream that is sent to it (that of the transcoder of the other direction), in percent.
    pub loss_percent: Option<f32>,
    /// The round trip to it.
    pub round_trip: Option<Duration>,
}

impl Transcoder {
    /// Takes RTCP from the source's side. `back` is the SSRC that it receives: [`Transcoder::ssrc`] of the other
    /// direction, whose [`Transcoder::expect_loss`] may be told what was lost. `ntp` is the wall clock at `now`.
    pub fn control(&mut self, now: Instant, ntp: NtpTime, rtcp: &[u8], back: u32) -> Said {
        let mut said = Said::default();
        for packet in rtcp::read(rtcp) {
            let blocks = match packet {
                RtcpPacket::SenderReport(report) => {
                    self.received.sender_report(&report, now);
                    report.reports
                }
                RtcpPacket::ReceiverReport(report) => report.reports,
                RtcpPacket::Bye(bye) => {
                    said.left |= self.received.ssrc().is_none_or(|ssrc| bye.ssrcs.contains(&ssrc));
                    continue;
                }
                RtcpPacket::SourceDescription(_) | RtcpPacket::Other(_) => continue,
            };
            for block in blocks.iter().filter(|block| block.ssrc == back) {
                said.loss_percent = Some(f32::from(block.fraction_lost) * 100.0 / 256.0);
                said.round_trip = block.round_trip(ntp).or(said.round_trip);
            }
        }
        said
    }

    /// Appends a compound packet for the receiver of the outgoing stream: a sender report about it (a receiver
    /// report while nothing was sent), a report block about what `back`, the transcoder of the other direction,
    /// receives from there, and `cname`. `ntp` is the wall clock at `now`.
    ///
    /// # Errors
    /// When `cname` is longer than 255 bytes; nothing is appended then.
    pub fn report(
        &mut self,
        now: Instant,
        ntp: NtpTime,
        back: Option<&mut Transcoder>,
        cname: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        let reports = back.and_then(|back| back.received.report(now)).into_iter().collect();
        let ssrc = self.stream.ssrc();
        let (packet_count, octet_count) = self.stream.sent();
        let report = match self.stream.last {
            Some((at, position)) => {
                let since = now.saturating_duration_since(at).as_micros() as u64;
                let rtp_timestamp = self.stream.timestamp(position + since * (TICKS / 1000) / 1000);
                let report = SenderReport { ssrc, ntp, rtp_timestamp, packet_count, octet_count, reports };
                RtcpPacket::SenderReport(report)
            }
            None => RtcpPacket::ReceiverReport(ReceiverReport { ssrc, reports }),
        };
        let source = RtcpPacket::SourceDescription(SourceDescription { ssrc, cname: cname.to_owned() });
        rtcp::write(&[report, source], out)
    }
}
