//! What the numbers of a side's packets say of the way that they came: how many were lost, and how unevenly they came. It
//! needs no more than the RTP header, which SRTP leaves in the clear, and little work for each packet: the packet after the
//! one before is counted, and one of eight is timed.

use crate::command::Counters;
use std::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Packets that should have come, of all sources that there were.
    expected: u64,
    /// When the packet came that was timed last, and its timestamp.
    timed: Option<Instant>,
    timestamp: u32,
    ssrc: u32,
    /// In microseconds.
    jitter: f32,
    /// Runs of packets that were missing when the next one came.
    bursts: u32,
    /// The highest sequence number of the source.
    last: u16,
    payload_type: u8,
    /// How many times jitter was measured, up to [`WEIGHT`].
    measured: u8,
}

impl Tally {
    /// Goes on with what was counted before.
    pub(super) fn after(counters: &Counters) -> Self {
        Self {
            expected: counters.received + counters.lost,
            bursts: u32::try_from(counters.bursts).unwrap_or(u32::MAX),
            jitter: counters.jitter_us as f32,
            ..Self::default()
        }
    }

    /// Takes a packet of RTP that has come.
    #[inline]
    pub(super) fn take(&mut self, now: Instant, packet: &[u8]) {
        let Some(head) = packet.first_chunk::<HEAD>() else { return };
        let number = u16::from_be_bytes([head[2], head[3]]);
        let ssrc = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if number != self.last.wrapping_add(1) || ssrc != self.ssrc {
            return self.leap(number, ssrc);
        }
        self.last = number;
        self.expected += 1;
        if number.is_multiple_of(TIMED) {
            self.time(now, head);
        }
    }

    /// It is not the one after the last.
    #[cold]
    fn leap(&mut self, number: u16, ssrc: u32) {
        let ahead = number.wrapping_sub(self.last);
        let known = self.expected > 0 && ssrc == self.ssrc;
        if known && ahead.wrapping_neg() < MAX_MISORDER {
            // Late, or again.
            return;
        }
        if known && ahead < MAX_DROPOUT {
            self.expected += u64::from(ahead);
            self.bursts = self.bursts.saturating_add(1);
        } else {
            self.expected += 1;
            self.ssrc = ssrc;
            self.timed = None;
        }
        self.last = number;
    }

    /// Interarrival jitter (RFC 3550 A.8) between packets that are some apart. The clock of the timestamps is that of which
    /// the difference between both clocks is least: what is carried is not for the relay to know.
    fn time(&mut self, now: Instant, head: &[u8; HEAD]) {
        let timestamp = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let payload_type = head[1] & 0x7f;
        // Keys stand still in time while they are pressed (RFC 4733 §2.2.2).
        if let Some(before) = self.timed.filter(|_| payload_type == self.payload_type) {
            let apart = now.saturating_duration_since(before).as_secs_f32() * 1e6;
            let ticks = timestamp.wrapping_sub(self.timestamp) as f32;
            let off = CLOCKS.iter().map(|clock| (ticks / clock - apart).abs()).fold(f32::MAX, f32::min);
            if off < MOST {
                self.measured = (self.measured + 1).min(WEIGHT);
                self.jitter += (off - self.jitter) / f32::from(self.measured);
            }
        }
        self.timed = Some(now);
        self.timestamp = timestamp;
        self.payload_type = payload_type;
    }

    /// Writes down what was found of a side from which so many packets came.
    pub(super) fn note(&self, counters: &mut Counters) {
        counters.lost = self.expected.saturating_sub(counters.received);
        counters.bursts = self.bursts.into();
        counters.jitter_us = self.jitter as u32;
    }
}

/// The fixed header (RFC 3550 §5.1).
const HEAD: usize = 12;
/// One of so many packets is timed.
const TIMED: u16 = 8;
/// The weight of what was before (RFC 3550 A.8).
const WEIGHT: u8 = 16;
/// RFC 3550 A.1: a larger step forward, or back, is another beginning.
const MAX_DROPOUT: u16 = 3000;
const MAX_MISORDER: u16 = 100;
/// Ticks in a microsecond of the clocks of RTP payload formats.
const CLOCKS: [f32; 5] = [0.008, 0.016, 0.032, 0.048, 0.09];
/// A break of more than this, in microseconds, is a pause and no jitter.
const MOST: f32 = 1e6;

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Packets of 20 ms of sound, of which `way` says whether each comes, and how many milliseconds late.
    fn tally(clock: u32, packets: u32, way: impl Fn(u32) -> Option<u64>) -> Counters {
        let begin = Instant::now();
        let (mut tally, mut counters) = (Tally::default(), Counters::default());
        for number in 0..packets {
            let Some(late) = way(number) else { continue };
            let mut packet = [0; 172];
            packet[0] = 0x80;
            // The sequence numbers go round.
            packet[2..4].copy_from_slice(&(number as u16).wrapping_sub(100).to_be_bytes());
            packet[4..8].copy_from_slice(&(number * (clock / 50)).to_be_bytes());
            packet[8..12].copy_from_slice(&7_u32.to_be_bytes());
            tally.take(begin + Duration::from_millis(u64::from(number) * 20 + late), &packet);
            counters.received += 1;
        }
        tally.note(&mut counters);
        counters
    }

    #[test]
    fn an_even_stream_has_lost_nothing_and_has_no_jitter() {
        for clock in [8_000, 16_000, 48_000] {
            let counters = tally(clock, 70_000, |_| Some(0));
            assert_eq!((counters.received, counters.lost, counters.bursts), (70_000, 0, 0));
            // Some of a microsecond is lost by rounding.
            assert!(counters.jitter_us < 100, "{clock}: {}", counters.jitter_us);
        }
    }

    #[test]
    fn missing_packets_are_lost_and_late_ones_are_not() {
        let counters = tally(8_000, 1_000, |number| (number % 100 > 3).then_some(0));
        // The first of all are not known to be missing.
        assert_eq!((counters.received, counters.lost, counters.bursts), (960, 36, 9));
        let begin = Instant::now();
        let (mut tally, mut counters) = (Tally::default(), Counters::default());
        for number in [5_u16, 6, 8, 7, 9, 9, 10] {
            let mut packet = [0; 12];
            packet[2..4].copy_from_slice(&number.to_be_bytes());
            tally.take(begin, &packet);
            counters.received += 1;
        }
        tally.note(&mut counters);
        assert_eq!((counters.received, counters.lost), (7, 0));
    }

    #[test]
    fn uneven_arrivals_are_jitter_whatever_the_clock_is() {
        for clock in [8_000, 48_000] {
            // Every other packet that is timed is 20 ms late.
            let counters = tally(clock, 2_000, |number| Some(u64::from(number / 8 % 2) * 20));
            assert!((19_000..21_000).contains(&counters.jitter_us), "{clock}: {}", counters.jitter_us);
        }
    }

    #[test]
    fn another_source_and_a_restart_are_no_loss() {
        let (begin, mut tally, mut counters) = (Instant::now(), Tally::default(), Counters::default());
        for (ssrc, first) in [(1_u32, 100_u16), (2, 40_000), (2, 10_000)] {
            for number in first..first + 50 {
                let mut packet = [0; 12];
                packet[2..4].copy_from_slice(&number.to_be_bytes());
                packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
                tally.take(begin, &packet);
                counters.received += 1;
            }
        }
        tally.note(&mut counters);
        assert_eq!((counters.received, counters.lost, counters.bursts), (150, 0, 0));
        let mut after = Tally::after(&Counters { received: 150, lost: 10, ..counters });
        after.take(begin, &[3; 12]);
        let mut counters = Counters { received: 151, ..Counters::default() };
        after.note(&mut counters);
        assert_eq!(counters.lost, 10);
    }
}
