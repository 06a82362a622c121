//! Reception statistics of a stream, over all sources that it had.

use std::time::{Duration, Instant};

use super::{Arrival, Sequence};
use crate::packet::Header;
use crate::rtcp::{NtpTime, ReportBlock, SenderReport};

/// Counts what a receiver hears, and writes its report blocks (RFC 3550 §6.4.1).
///
/// A new source (SSRC) in the same stream, or one that restarts, begins new sequence numbers; the totals go on.
#[derive(Debug, Clone)]
pub struct ReceiveStatistics {
    clock_rate: u32,
    ssrc: Option<u32>,
    sequence: Sequence,
    /// Totals of earlier sources.
    before: Totals,
    octets: u64,
    /// `expected` and received with duplicates at the last report.
    reported: (u64, u64),
    jitter: Jitter,
    sender_report: Option<(u32, Instant)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    expected: u64,
    received: u64,
    duplicates: u64,
    reordered: u64,
    gaps: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Jitter {
    /// When the clock that arrivals are measured in was started.
    start: Option<Instant>,
    /// Last packet's timestamp and transit time, in clock units.
    last: Option<(u32, u32)>,
    /// RFC 3550 A.8, in sixteenths of a clock unit.
    value: u64,
    max: u64,
}

impl ReceiveStatistics {
    /// For a stream whose timestamps count `clock_rate` a second.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: clock_rate.max(1),
            ssrc: None,
            sequence: Sequence::new(),
            before: Totals::default(),
            octets: 0,
            reported: (0, 0),
            jitter: Jitter::default(),
            sender_report: None,
        }
    }

    /// The timestamps count `clock_rate` a second from now on: another codec. What was counted goes on.
    pub fn change_clock(&mut self, clock_rate: u32) {
        let clock_rate = clock_rate.max(1);
        if clock_rate != self.clock_rate {
            let scale = |value: u64| value * u64::from(clock_rate) / u64::from(self.clock_rate);
            let (value, max) = (scale(self.jitter.value), scale(self.jitter.max));
            self.jitter = Jitter { start: None, last: None, value, max };
            self.clock_rate = clock_rate;
        }
    }

    /// Takes a received packet: its header, the length of its payload, and when it came.
    pub fn receive(&mut self, header: &Header, payload_len: usize, now: Instant) -> Arrival {
        if self.ssrc != Some(header.ssrc) {
            self.fold();
            self.ssrc = Some(header.ssrc);
            self.sender_report = None;
        }
        self.octets += payload_len as u64;
        let earlier = self.sequence.clone();
        let arrival = self.sequence.receive(header.sequence);
        match arrival {
            Arrival::Restarted(_) => {
                let fresh = std::mem::replace(&mut self.sequence, earlier);
                self.fold();
                self.sequence = fresh;
                self.jitter.measure(header.timestamp, now, self.clock_rate);
            }
            Arrival::New(_) | Arrival::Reordered(_) | Arrival::Probation => {
                self.jitter.measure(header.timestamp, now, self.clock_rate);
            }
            Arrival::Duplicate | Arrival::Jump => {}
        }
        arrival
    }

    /// Takes a sender report of the source, so that the next report block can tell how long ago it came.
    pub fn sender_report(&mut self, report: &SenderReport, now: Instant) {
        if self.ssrc.is_none_or(|ssrc| ssrc == report.ssrc) {
            self.sender_report = Some((NtpTime::middle(report.ntp), now));
        }
    }

    /// The report block for the current source, and the start of the next interval; `None` before a source was
    /// believed.
    pub fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let ssrc = self.ssrc?;
        let expected = self.sequence.expected();
        if expected == 0 {
            return None;
        }
        let received = self.sequence.received() + self.sequence.duplicates();
        let expected_now = expected.saturating_sub(self.reported.0);
        let received_now = received.saturating_sub(self.reported.1);
        self.reported = (expected, received);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now << 8).checked_div(expected_now).unwrap_or(0).min(255);
        let lost = (expected as i64 - received as i64).clamp(-0x80_0000, 0x7f_ffff);
        let (lsr, dlsr) = self.sender_report.map_or((0, 0), |(lsr, at)| {
            let delay = now.saturating_duration_since(at).as_micros();
            (lsr, u32::try_from(delay * 65_536 / 1_000_000).unwrap_or(u32::MAX))
        });
        Some(ReportBlock {
            ssrc,
            fraction_lost: fraction as u8,
            cumulative_lost: lost as i32,
            // Our extended numbers begin one cycle ahead.
            highest_sequence: (self.sequence.highest() - (1 << 16)) as u32,
            jitter: (self.jitter.value >> 4).min(u64::from(u32::MAX)) as u32,
            lsr,
            dlsr,
        })
    }

    /// The source that is heard now.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// Packets that should have come.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.before.expected + self.sequence.expected()
    }

    /// Packets that came, without duplicates.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.before.received + self.sequence.received()
    }

    /// Payload bytes that came, duplicates too.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Packets that never came.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received())
    }

    /// Lost packets in percent of those expected.
    #[must_use]
    pub fn loss_percent(&self) -> f32 {
        match self.expected() {
            0 => 0.0,
            expected => (self.lost() as f64 * 100.0 / expected as f64) as f32,
        }
    }

    /// Packets that came again.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.before.duplicates + self.sequence.duplicates()
    }

    /// Packets that came after a newer one.
    #[must_use]
    pub fn reordered(&self) -> u64 {
        self.before.reordered + self.sequence.reordered()
    }

    /// Interarrival jitter in milliseconds (RFC 3550 A.8).
    #[must_use]
    pub fn jitter_ms(&self) -> f32 {
        self.to_ms(self.jitter.value)
    }

    /// The highest value that the jitter had, in milliseconds.
    #[must_use]
    pub fn max_jitter_ms(&self) -> f32 {
        self.to_ms(self.jitter.max)
    }

    /// Runs of missing packets, as seen when the next packet came.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.before.gaps + self.sequence.gaps()
    }

    /// BurstR of ITU-T G.107: how much longer the runs of lost packets are than independent losses would make
    /// them; 1.0 without loss.
    #[must_use]
    pub fn burst_ratio(&self) -> f32 {
        let gaps = self.gaps();
        if self.lost() == 0 || gaps == 0 {
            return 1.0;
        }
        let mean_run = self.lost() as f32 / gaps as f32;
        (mean_run * (1.0 - self.loss_percent() / 100.0)).max(1.0)
    }

    fn to_ms(&self, sixteenths: u64) -> f32 {
        (sixteenths as f64 * 1000.0 / 16.0 / f64::from(self.clock_rate)) as f32
    }

    /// Adds the present source to the totals and forgets its numbers.
    fn fold(&mut self) {
        let sequence = std::mem::take(&mut self.sequence);
        self.before.expected += sequence.expected();
        self.before.received += sequence.received();
        self.before.duplicates += sequence.duplicates();
        self.before.reordered += sequence.reordered();
        self.before.gaps += sequence.gaps();
        self.reported = (0, 0);
        self.jitter.last = None;
    }
}

impl Jitter {
    fn measure(&mut self, timestamp: u32, now: Instant, clock_rate: u32) {
        let start = *self.start.get_or_insert(now);
        let arrival = clock_units(now.saturating_duration_since(start), clock_rate);
        let transit = arrival.wrapping_sub(timestamp);
        // The packets of one event or one picture share a timestamp and say nothing about the network.
        if let Some((last, _)) = self.last
            && last == timestamp
        {
            return;
        }
        if let Some((_, before)) = self.last.replace((timestamp, transit)) {
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // A leap of the sender's clock, as after hold or a change of source, is not jitter.
            if difference < clock_rate.saturating_mul(2) {
                self.value = self.value + u64::from(difference) - ((self.value + 8) >> 4);
                self.max = self.max.max(self.value);
            }
        }
    }
}

fn clock_units(time: Duration, clock_rate: u32) -> u32 {
    (time.as_micros() * u128::from(clock_rate) / 1_000_000) as u32
}
