//! Where a packet stands in the source's stream.

use super::TICKS;
use offhook_rtp::Header;
use std::time::{Duration, Instant};

/// Follows the numbers of the incoming stream.
#[derive(Debug)]
pub(super) struct Source {
    clock_rate: u32,
    last: Option<Last>,
    /// A sequence number that would confirm a leap.
    after_leap: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    ssrc: u32,
    sequence: u16,
    /// Timestamp of what follows the last packet without a gap.
    next: u32,
    at: Instant,
    /// Whether packets of something else than sound came since.
    since_sound: bool,
}

/// Where a packet stands, and what lies between it and its predecessor, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Right behind it.
    Next,
    /// Sound is missing between them.
    Lost(u64),
    /// Nothing was said between them.
    Pause(u64),
    /// Another source, or one that began anew; so much time went by.
    Restart(u64),
    /// It came after its successors, or again.
    Late,
}

/// Where an event stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh {
    /// Its begin, as seen from what follows the last sound, in ticks; negative where it began before.
    pub(super) offset: i64,
    /// Its begin in the clock of the sound.
    pub(super) begin: u32,
    /// Another source, or one that began anew.
    pub(super) restarted: bool,
}

impl Source {
    pub(super) fn new(clock_rate: u32) -> Source {
        Source { clock_rate, last: None, after_leap: None }
    }

    pub(super) fn place(&mut self, header: &Header, now: Instant) -> Place {
        let Some(mut last) = self.last else { return self.begin(header, now, Place::Restart(0)) };
        let elapsed = ticks_of(now.saturating_duration_since(last.at));
        if header.ssrc != last.ssrc {
            return self.begin(header, now, Place::Restart(elapsed));
        }
        let step = header.sequence.wrapping_sub(last.sequence) as i16;
        if !(-MISORDER..=DROPOUT).contains(&step) {
            if self.after_leap == Some(header.sequence) {
                return self.begin(header, now, Place::Restart(elapsed));
            }
            self.after_leap = Some(header.sequence.wrapping_add(1));
            return Place::Late;
        }
        self.after_leap = None;
        if step <= 0 {
            return Place::Late;
        }
        let gap = i64::from(header.timestamp.wrapping_sub(last.next) as i32);
        let ticks = gap * TICKS as i64 / i64::from(self.clock_rate);
        let lost = step > 1 && !last.since_sound;
        last.sequence = header.sequence;
        last.next = header.timestamp;
        last.at = now;
        last.since_sound = false;
        self.last = Some(last);
        match ticks {
            // A little overlap comes from events, and from senders that count badly.
            _ if (-BRIEF..=0).contains(&ticks) => Place::Next,
            _ if lost && (0..=BRIEF).contains(&ticks) => Place::Lost(ticks as u64),
            // The clock has leapt if it says quite another time than ours.
            _ if (ticks - elapsed as i64).abs() > LEAP => Place::Restart(elapsed),
            _ => Place::Pause(ticks.max(0) as u64),
        }
    }

    /// The packet at `header` lasted so long.
    pub(super) fn played(&mut self, header: &Header, ticks: u64, now: Instant) {
        if let Some(last) = &mut self.last {
            last.next = header.timestamp.wrapping_add((ticks * u64::from(self.clock_rate) / TICKS) as u32);
            last.at = now;
        }
    }

    /// Takes a packet of an event; `None` when it is late.
    pub(super) fn event(&mut self, header: &Header, now: Instant) -> Option<Fresh> {
        let same = self.last.filter(|last| last.ssrc == header.ssrc);
        let Some(mut last) = same else {
            self.begin(header, now, Place::Next);
            return Some(Fresh { offset: 0, begin: header.timestamp, restarted: true });
        };
        let step = header.sequence.wrapping_sub(last.sequence) as i16;
        if !(-MISORDER..=DROPOUT).contains(&step) {
            if self.after_leap == Some(header.sequence) {
                self.begin(header, now, Place::Next);
                return Some(Fresh { offset: 0, begin: header.timestamp, restarted: true });
            }
            self.after_leap = Some(header.sequence.wrapping_add(1));
            return None;
        }
        self.after_leap = None;
        if step <= 0 {
            return None;
        }
        let gap = i64::from(header.timestamp.wrapping_sub(last.next) as i32);
        let offset = gap * TICKS as i64 / i64::from(self.clock_rate);
        last.sequence = header.sequence;
        last.at = now;
        last.since_sound = true;
        self.last = Some(last);
        // Some senders count the timestamps of events in another clock.
        let (offset, begin) = if offset.abs() > LEAP { (0, last.next) } else { (offset, header.timestamp) };
        Some(Fresh { offset, begin, restarted: false })
    }

    /// An event that began at `begin` has lasted for so many ticks: sound goes on behind it.
    pub(super) fn lasted(&mut self, begin: u32, ticks: u64) {
        if let Some(last) = &mut self.last {
            let end = begin.wrapping_add((ticks * u64::from(self.clock_rate) / TICKS) as u32);
            if (end.wrapping_sub(last.next) as i32) > 0 {
                last.next = end;
            }
        }
    }

    fn begin(&mut self, header: &Header, now: Instant, place: Place) -> Place {
        let Header { ssrc, sequence, timestamp, .. } = *header;
        self.last = Some(Last { ssrc, sequence, next: timestamp, at: now, since_sound: false });
        self.after_leap = None;
        place
    }
}

fn ticks_of(duration: Duration) -> u64 {
    let millis = duration.min(LONGEST_PAUSE).as_millis() as u64;
    millis * TICKS / 1000
}

/// What RFC 3550 A.1 has for both.
const MISORDER: i16 = 100;
const DROPOUT: i16 = 3000;
/// 300 ms: a longer gap is a pause, not a loss worth bridging.
const BRIEF: i64 = TICKS as i64 * 3 / 10;
/// Two seconds.
const LEAP: i64 = TICKS as i64 * 2;
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
