//! Key presses out of a stream that may lose, repeat and reorder its packets.

use super::TelephoneEvent;

/// Follows the events of one received stream.
#[derive(Debug, Clone)]
pub struct EventReceiver {
    clock_rate: u32,
    current: Option<Current>,
    /// Timestamp of the last segment of the last event that ended.
    ended: Option<u32>,
}

/// What the receiver noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// An event began.
    Started {
        /// Event code; see [`super::digit_of`].
        event: u8,
    },
    /// An event ended, or its end was lost.
    Ended {
        /// Event code; see [`super::digit_of`].
        event: u8,
        /// How long it lasted, as far as known.
        duration_ms: u32,
    },
}

#[derive(Debug, Clone, Copy)]
struct Current {
    event: u8,
    /// Timestamp of the current segment.
    timestamp: u32,
    /// Clock units in earlier segments.
    before: u32,
    /// Clock units in this segment.
    duration: u32,
}

impl EventReceiver {
    /// For a stream whose events use a clock of `clock_rate` Hz.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate: clock_rate.max(1), current: None, ended: None }
    }

    /// Takes a packet with the event payload type; pushes what it means to `heard`, at most three entries.
    pub fn receive(&mut self, timestamp: u32, payload: &[u8], heard: &mut Vec<Heard>) {
        let Some(packet) = TelephoneEvent::parse(payload) else { return };
        if self.ended.is_some_and(|ended| self.is_at_or_before(timestamp, ended)) {
            return; // a repeated end, or a straggler
        }
        match self.current {
            Some(mut current) if current.timestamp == timestamp => {
                current.duration = current.duration.max(u32::from(packet.duration));
                self.current = Some(current);
            }
            Some(current) if self.is_at_or_before(timestamp, current.timestamp) => return,
            Some(mut current) if continues(&current, packet.event, timestamp) => {
                current.before = current.before.saturating_add(timestamp.wrapping_sub(current.timestamp));
                current.timestamp = timestamp;
                current.duration = u32::from(packet.duration);
                self.current = Some(current);
            }
            _ => {
                self.finish(heard);
                let duration = u32::from(packet.duration);
                self.current = Some(Current { event: packet.event, timestamp, before: 0, duration });
                heard.push(Heard::Started { event: packet.event });
            }
        }
        if packet.end {
            self.finish(heard);
        }
    }

    /// Takes the timestamp of another packet of the same stream: audio well past the event means that its end
    /// was lost.
    pub fn audio(&mut self, timestamp: u32, heard: &mut Vec<Heard>) {
        let Some(current) = self.current else { return };
        let past = timestamp.wrapping_sub(current.timestamp.wrapping_add(current.duration));
        if past < u32::MAX / 2 && past >= self.clock_rate / 1000 * LOST_END_MS {
            self.finish(heard);
        }
    }

    /// Ends the event that is under way, if any: for a stream that stopped, changed its source, or sent
    /// nothing for a while.
    pub fn finish(&mut self, heard: &mut Vec<Heard>) {
        let Some(current) = self.current.take() else { return };
        self.ended = Some(current.timestamp);
        let units = u64::from(current.before) + u64::from(current.duration);
        let duration_ms = (units * 1000 / u64::from(self.clock_rate)).min(u64::from(u32::MAX)) as u32;
        heard.push(Heard::Ended { event: current.event, duration_ms });
    }

    /// The event under way.
    #[must_use]
    pub fn current(&self) -> Option<u8> {
        self.current.map(|current| current.event)
    }

    /// Only the recent past counts: a source that restarted may land anywhere.
    fn is_at_or_before(&self, timestamp: u32, reference: u32) -> bool {
        reference.wrapping_sub(timestamp) <= self.clock_rate.saturating_mul(REORDER_SECONDS)
    }
}

/// Whether a packet is the next segment of a very long event (RFC 4733 §2.5.1.3); it begins where the last ended.
fn continues(current: &Current, event: u8, timestamp: u32) -> bool {
    let gap = timestamp.wrapping_sub(current.timestamp);
    event == current.event && current.duration >= SEGMENT_MIN && (SEGMENT_MIN..=0xffff).contains(&gap)
}

/// Audio this far behind an event's last known end shows that the end packets were lost.
const LOST_END_MS: u32 = 200;
const REORDER_SECONDS: u32 = 5;
/// A segment is only left when its duration is about to overflow.
const SEGMENT_MIN: u32 = 0xf000;
