//! The way back through a stream of one side: its own sound, under numbers of ours.

use super::bridge::Admitted;
use super::picture::Viewer;
use super::{Outcome, Stream};
use crate::command::{EchoFormat, Numbers, SideName};
use crate::relay::{Outbox, Send};
use crate::voice::Voice;
use offhook_rtp::Header;
use offhook_rtp::packet::{HEADER_LEN, Packet};
use offhook_rtp::rtcp::{self, NtpTime, ReceiverReport, RtcpPacket, SenderReport, SourceDescription};
use offhook_rtp::sequence::ReceiveStatistics;
use std::time::Instant;

/// The other end of a side, which is here.
#[derive(Debug)]
pub(super) enum End {
    /// What comes goes nowhere.
    Silent,
    /// What comes goes back.
    Echo(Box<Echo>),
    /// It speaks and listens.
    Voice(Box<Voice>),
    /// It shows what a camera sees.
    Picture(Box<Viewer>),
}

#[derive(Debug)]
pub(super) struct Echo {
    formats: Vec<EchoFormat>,
    /// Our source; the numbers of the next packet that continues what was sent.
    next: Numbers,
    source: Option<Source>,
    received: ReceiveStatistics,
    sent: (u32, u32),
    /// When the last packet was sent, and its timestamp.
    last: Option<(Instant, u32)>,
    /// What our clock in reports counts from: only differences mean something to who receives them.
    since: Instant,
}

/// One source of the phone, and how far our numbers are from its own.
#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl Stream {
    /// What comes from the phone goes back in these formats; what is of none of them does not.
    pub(crate) fn echo(&mut self, now: Instant, formats: Vec<EchoFormat>, numbers: Numbers) {
        match &mut self.end {
            Some(End::Echo(echo)) => echo.formats = formats,
            Some(end @ End::Silent) => *end = End::Echo(Box::new(Echo::new(now, formats, numbers))),
            Some(End::Voice(_) | End::Picture(_)) | None => {}
        }
    }

    /// Takes a packet that was admitted.
    pub(super) fn give_back(
        &mut self,
        now: Instant,
        (admitted, packet): (&Admitted, &[u8]),
        scratch: &mut [u8],
        out: &mut Outbox,
    ) -> Outcome {
        let flow = &mut self.flows[SideName::A.index()];
        let Some(End::Echo(echo)) = &mut self.end else { return Outcome::default() };
        let path = flow.path(now, admitted.control).filter(|_| admitted.control || !flow.facing.hold);
        let Some(path) = path else {
            flow.counters.undeliverable += 1;
            return Outcome::default();
        };
        if admitted.control {
            let opened = admitted.opened.and_then(|length| scratch.get(..length)).unwrap_or(packet);
            let report = echo.control(now, opened);
            let protected = report.and_then(|report| flow.protect_made(true, report, scratch).ok());
            if let Some(bytes) = protected {
                flow.counters.forwarded += 1;
                out.sends.push(Send { from_port: path.from_port, to: path.to, bytes: bytes.into() });
            }
            return Outcome::default();
        }
        let length = match admitted.opened {
            Some(length) => length,
            None => match scratch.get_mut(..packet.len()) {
                Some(place) => {
                    place.copy_from_slice(packet);
                    packet.len()
                }
                None => return Outcome::default(),
            },
        };
        if !scratch.get_mut(..length).is_some_and(|packet| echo.renumber(now, packet)) {
            return Outcome::default();
        }
        let made = Admitted { control: false, latched: false, opened: Some(length) };
        match flow.protect(&made, packet, scratch) {
            Ok(rewritten) => {
                flow.counters.forwarded += 1;
                Outcome { forward: Some(path), rewritten, ..Outcome::default() }
            }
            Err(_) => {
                flow.counters.undeliverable += 1;
                Outcome::default()
            }
        }
    }
}

impl Echo {
    fn new(now: Instant, formats: Vec<EchoFormat>, numbers: Numbers) -> Self {
        Self {
            formats,
            next: numbers,
            source: None,
            received: ReceiveStatistics::new(8000),
            sent: (0, 0),
            last: None,
            since: now,
        }
    }

    /// Gives a packet numbers of ours; false if it does not go back.
    fn renumber(&mut self, now: Instant, packet: &mut [u8]) -> bool {
        let Ok(rtp) = Packet::parse(packet) else { return false };
        let (header, length) = (rtp.header(), rtp.payload().len());
        let Some(format) = self.formats.iter().find(|one| one.receive == header.payload_type) else {
            return false;
        };
        // The clock of what is counted is that of the sound.
        if !format.event {
            self.received.change_clock(format.clock_rate);
        }
        self.received.receive(&header, packet.len().saturating_sub(HEADER_LEN), now);
        let source = match self.source {
            Some(source) if source.ssrc == header.ssrc => source,
            // A new source goes on where the one before has stopped.
            _ => Source {
                ssrc: header.ssrc,
                sequence: self.next.sequence.wrapping_sub(header.sequence),
                timestamp: self.next.timestamp.wrapping_sub(header.timestamp),
            },
        };
        self.source = Some(source);
        let sequence = header.sequence.wrapping_add(source.sequence);
        let timestamp = header.timestamp.wrapping_add(source.timestamp);
        // What overtook another is not the last.
        if sequence.wrapping_sub(self.next.sequence) < 1 << 15 {
            self.next.sequence = sequence.wrapping_add(1);
            self.next.timestamp = timestamp.wrapping_add(format.clock_rate / FRAMES);
            self.last = Some((now, timestamp));
        }
        self.sent = (self.sent.0.wrapping_add(1), self.sent.1.wrapping_add(length as u32));
        Header { payload_type: format.send, sequence, timestamp, ssrc: self.next.ssrc, ..header }
            .overwrite(packet)
    }

    /// Takes what the phone reports, and makes a report for it: so it hears as often as it speaks.
    fn control(&mut self, now: Instant, rtcp: &[u8]) -> Option<Vec<u8>> {
        for packet in rtcp::read(rtcp) {
            if let RtcpPacket::SenderReport(report) = packet {
                self.received.sender_report(&report, now);
            }
        }
        let ssrc = self.next.ssrc;
        let reports = self.received.report(now).into_iter().collect();
        let report = match self.last {
            // Both clocks at the moment of the last packet.
            Some((at, rtp_timestamp)) => RtcpPacket::SenderReport(SenderReport {
                ssrc,
                ntp: NtpTime::from_unix(at.saturating_duration_since(self.since)),
                rtp_timestamp,
                packet_count: self.sent.0,
                octet_count: self.sent.1,
                reports,
            }),
            None => RtcpPacket::ReceiverReport(ReceiverReport { ssrc, reports }),
        };
        let source = RtcpPacket::SourceDescription(SourceDescription { ssrc, cname: NAME.to_owned() });
        let mut made = Vec::new();
        rtcp::write(&[report, source], &mut made).ok()?;
        Some(made)
    }
}

/// Packets of 20 ms in a second.
const FRAMES: u32 = 50;
/// Our CNAME (RFC 7022 §3): whoever hears an echo hears nobody else of us in this session.
const NAME: &str = "offhook";
