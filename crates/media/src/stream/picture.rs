//! A stream of one side whose other end shows what a camera sees.

use super::Stream;
use super::bridge::Admitted;
use super::echo::End;
use crate::command::{Numbers, SideName};
use crate::relay::{Outbox, Send};
use offhook_rtp::packet::{HEADER_LEN, Header, PacketBuilder};
use offhook_rtp::rtcp::{self, NtpTime, RtcpPacket, SenderReport, SourceDescription};
use std::time::Instant;

/// A picture in packets.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) payloads: Vec<Vec<u8>>,
    /// In units of 1/90000 s.
    pub(crate) timestamp: u32,
    pub(crate) is_key: bool,
}

/// The end that shows pictures.
#[derive(Debug)]
pub(crate) struct Viewer {
    /// `None`: the phone wants none now.
    payload_type: Option<u8>,
    /// Our source, the next packet's sequence number, and what is added to a camera's timestamps.
    numbers: Numbers,
    /// Whether nothing can be seen before the next picture that stands for itself.
    waits: bool,
    sent: (u32, u32),
    /// When the last picture was sent, and its timestamp.
    last: Option<(Instant, u32)>,
    /// What our clock in reports counts from: only differences mean something to who receives them.
    since: Instant,
}

impl Stream {
    /// Shows pictures from now on, or in another way than before.
    pub(crate) fn watch(&mut self, now: Instant, payload_type: Option<u8>, numbers: Numbers) {
        match &mut self.end {
            Some(End::Picture(viewer)) => {
                viewer.waits |= viewer.payload_type != payload_type;
                viewer.payload_type = payload_type;
            }
            Some(end @ End::Silent) => {
                let viewer =
                    Viewer { payload_type, numbers, waits: true, sent: (0, 0), last: None, since: now };
                *end = End::Picture(Box::new(viewer));
            }
            Some(End::Echo(_) | End::Voice(_)) | None => {}
        }
    }

    /// Whether its end shows pictures.
    pub(crate) fn shows(&self) -> bool {
        matches!(self.end, Some(End::Picture(_)))
    }

    /// Whether it has shown nothing yet, and cannot show what builds on pictures of before.
    pub(crate) fn wants_key(&self) -> bool {
        matches!(&self.end, Some(End::Picture(viewer)) if viewer.waits && viewer.sent.0 == 0)
    }

    /// Shows a picture: `again` if it is one of before, which those that follow do not build on.
    pub(crate) fn show(
        &mut self,
        now: Instant,
        (picture, again): (&Picture, bool),
        scratch: &mut [u8],
        out: &mut Outbox,
    ) {
        let flow = &mut self.flows[SideName::A.index()];
        let Some(End::Picture(viewer)) = &mut self.end else { return };
        let Some(payload_type) = viewer.payload_type.filter(|_| !viewer.waits || picture.is_key) else {
            return;
        };
        let Some(path) = flow.path(now, false) else {
            flow.counters.undeliverable += 1;
            return;
        };
        viewer.waits = again;
        let timestamp = picture.timestamp.wrapping_add(viewer.numbers.timestamp);
        viewer.last = Some((now, timestamp));
        for (number, payload) in picture.payloads.iter().enumerate() {
            let marker = number + 1 == picture.payloads.len();
            let (sequence, ssrc) = (viewer.numbers.sequence, viewer.numbers.ssrc);
            let header = Header { payload_type, marker, sequence, timestamp, ssrc };
            let mut packet = Vec::with_capacity(HEADER_LEN + payload.len());
            if PacketBuilder::new(header, payload).append_to(&mut packet).is_err() {
                continue;
            }
            match flow.protect_made(false, packet, scratch) {
                Ok(bytes) => {
                    viewer.numbers.sequence = sequence.wrapping_add(1);
                    let (packets, octets) = viewer.sent;
                    viewer.sent = (packets.wrapping_add(1), octets.wrapping_add(payload.len() as u32));
                    flow.counters.forwarded += 1;
                    out.sends.push(Send { from_port: path.from_port, to: path.to, bytes: bytes.into() });
                }
                // Its keys are not agreed on yet: the next one that stands for itself is the first.
                Err(_) => {
                    flow.counters.undeliverable += 1;
                    viewer.waits = true;
                    return;
                }
            }
        }
    }

    /// Answers a report of the phone with ours: so it hears as often as it speaks.
    pub(super) fn report(&mut self, now: Instant, admitted: &Admitted, scratch: &mut [u8], out: &mut Outbox) {
        let flow = &mut self.flows[SideName::A.index()];
        if let Some(End::Picture(viewer)) = &self.end
            && admitted.control
            && let Some(path) = flow.path(now, true)
            && let Some(report) = viewer.report()
            && let Ok(bytes) = flow.protect_made(true, report, scratch)
        {
            flow.counters.forwarded += 1;
            out.sends.push(Send { from_port: path.from_port, to: path.to, bytes: bytes.into() });
        }
    }
}

impl Viewer {
    fn report(&self) -> Option<Vec<u8>> {
        let (at, rtp_timestamp) = self.last?;
        let ssrc = self.numbers.ssrc;
        let report = RtcpPacket::SenderReport(SenderReport {
            ssrc,
            ntp: NtpTime::from_unix(at.saturating_duration_since(self.since)),
            rtp_timestamp,
            packet_count: self.sent.0,
            octet_count: self.sent.1,
            reports: Vec::new(),
        });
        let source = RtcpPacket::SourceDescription(SourceDescription { ssrc, cname: NAME.to_owned() });
        let mut made = Vec::new();
        rtcp::write(&[report, source], &mut made).ok()?;
        Some(made)
    }
}

/// Our CNAME (RFC 7022 §3), that of the sound beside it.
const NAME: &str = "offhook";
