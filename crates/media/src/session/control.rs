//! RTCP of a session (RFC 3550 §6): reports every five seconds or so, and a goodbye.

use super::sender::Sender;
use super::settings::{Component, Event, Identity, Outbox, Transmit};
use offhook_rtp::rtcp::{
    self, Bye, NtpTime, ReceiverReport, ReportBlock, RtcpPacket, SenderReport, SourceDescription,
};
use offhook_rtp::sequence::ReceiveStatistics;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Control {
    identity: Identity,
    start: Instant,
    next: Instant,
    /// Of the numbers that spread reports in time.
    seed: u64,
    round_trip: Option<Duration>,
    /// What the other side says of our stream: share lost last, jitter in samples.
    peer: Option<ReportBlock>,
    last_report: Option<Instant>,
}

impl Control {
    pub(super) fn new(now: Instant, identity: Identity) -> Control {
        let seed = u64::from(identity.ssrc) << 16 | u64::from(identity.sequence);
        let mut control = Control {
            identity,
            start: now,
            next: now,
            seed,
            round_trip: None,
            peer: None,
            last_report: None,
        };
        // The first interval is half as long (§6.2).
        control.next = now + control.interval() / 2;
        control
    }

    pub(super) fn next_report(&self) -> Instant {
        self.next
    }

    /// When the last report was made, or the session began.
    pub(super) fn last_report(&self) -> Instant {
        self.last_report.unwrap_or(self.start)
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    pub(super) fn peer(&self) -> Option<ReportBlock> {
        self.peer
    }

    pub(super) fn receive(
        &mut self,
        now: Instant,
        bytes: &[u8],
        received: &mut ReceiveStatistics,
        out: &mut Outbox,
    ) {
        for packet in rtcp::read(bytes) {
            match packet {
                RtcpPacket::SenderReport(report) => {
                    received.sender_report(&report, now);
                    self.blocks(now, &report.reports);
                }
                RtcpPacket::ReceiverReport(report) => self.blocks(now, &report.reports),
                RtcpPacket::Bye(bye) => {
                    if received.ssrc().is_none_or(|ssrc| bye.ssrcs.contains(&ssrc)) {
                        out.events.push(Event::Left);
                    }
                }
                RtcpPacket::SourceDescription(_) | RtcpPacket::Other(_) => {}
            }
        }
    }

    pub(super) fn report(
        &mut self,
        now: Instant,
        sender: &Sender,
        received: &mut ReceiveStatistics,
        to: Option<(Component, SocketAddr)>,
        out: &mut Outbox,
    ) {
        self.next = now + self.interval();
        if let Some(to) = to {
            let packets = self.compound(now, sender, received);
            send(&packets, to, out);
        }
        self.last_report = Some(now);
    }

    pub(super) fn goodbye(
        &mut self,
        now: Instant,
        sender: &Sender,
        received: &mut ReceiveStatistics,
        to: Option<(Component, SocketAddr)>,
        out: &mut Outbox,
    ) {
        // Who never sent anything leaves without a word (§6.3.7).
        let silent = sender.packets() == 0 && self.last_report.is_none();
        if let Some(to) = to.filter(|_| !silent) {
            let mut packets = self.compound(now, sender, received);
            packets.push(RtcpPacket::Bye(Bye { ssrcs: vec![sender.ssrc()], reason: None }));
            send(&packets, to, out);
        }
    }

    fn compound(&self, now: Instant, sender: &Sender, received: &mut ReceiveStatistics) -> Vec<RtcpPacket> {
        let reports: Vec<ReportBlock> = received.report(now).into_iter().collect();
        let ssrc = sender.ssrc();
        // A sender is who sent since the last report but one (§6.4); with one interval it is enough here.
        let since = self.last_report.unwrap_or(self.start);
        let report = if sender.last_sent().is_some_and(|at| at >= since) {
            RtcpPacket::SenderReport(SenderReport {
                ssrc,
                ntp: self.ntp(now),
                rtp_timestamp: sender.clock(now),
                packet_count: sender.packets(),
                octet_count: sender.octets(),
                reports,
            })
        } else {
            RtcpPacket::ReceiverReport(ReceiverReport { ssrc, reports })
        };
        let cname = self.identity.cname.clone();
        vec![report, RtcpPacket::SourceDescription(SourceDescription { ssrc, cname })]
    }

    fn blocks(&mut self, now: Instant, blocks: &[ReportBlock]) {
        for block in blocks.iter().filter(|block| block.ssrc == self.identity.ssrc) {
            self.peer = Some(*block);
            self.round_trip = block.round_trip(self.ntp(now)).or(self.round_trip);
        }
    }

    fn ntp(&self, now: Instant) -> NtpTime {
        let since = now.saturating_duration_since(self.start);
        let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
        NtpTime(self.identity.ntp.0.wrapping_add(since.as_secs() << 32 | fraction))
    }

    /// Half to one and a half times five seconds, corrected as in §6.3.1.
    fn interval(&mut self) -> Duration {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let fraction = (self.seed >> 40) as f64 / (1u64 << 24) as f64;
        INTERVAL.mul_f64((0.5 + fraction) / 1.218_28)
    }
}

fn send(packets: &[RtcpPacket], (from, to): (Component, SocketAddr), out: &mut Outbox) {
    let mut bytes = Vec::new();
    // Fails only with a CNAME above 255 bytes; nothing is to be said then.
    if rtcp::write(packets, &mut bytes).is_ok() {
        out.packets.push(Transmit { from, to, bytes });
    }
}

/// The least mean interval (§6.2).
const INTERVAL: Duration = Duration::from_secs(5);
