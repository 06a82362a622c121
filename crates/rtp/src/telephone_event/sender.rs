//! One key press as a run of packets.

use super::TelephoneEvent;

/// Yields the packets of one event, one for each step of the caller's packet clock (RFC 4733 §2.5.1).
///
/// The packets replace audio while they last; sequence numbers stay the caller's, the timestamp is the event's.
#[derive(Debug, Clone)]
pub struct EventSender {
    event: u8,
    volume: u8,
    /// Timestamp of the current segment.
    timestamp: u32,
    step: u32,
    /// Clock units in earlier segments.
    before: u32,
    /// Clock units so far in this segment.
    elapsed: u32,
    /// Whole length; `None` while the key is held.
    length: Option<u32>,
    marker: bool,
    ends_left: u8,
    /// Start the next segment before the next packet.
    full: bool,
}

/// One packet of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPacket {
    /// Payload bytes.
    pub payload: [u8; 4],
    /// Set on the first packet.
    pub marker: bool,
    /// The event's timestamp, the same in all of its packets (a new one per segment of a very long event).
    pub timestamp: u32,
}

impl EventSender {
    /// An event of `duration_ms` beginning at `timestamp`, sent every `step_ms` in a clock of `clock_rate` Hz.
    /// A duration of 0 becomes one step.
    #[must_use]
    pub fn new(event: u8, timestamp: u32, duration_ms: u32, step_ms: u32, clock_rate: u32) -> Self {
        let mut sender = Self::held(event, timestamp, step_ms, clock_rate);
        let length = u64::from(duration_ms) * u64::from(clock_rate) / 1000;
        sender.length = Some(u32::try_from(length).unwrap_or(u32::MAX / 2).clamp(sender.step, u32::MAX / 2));
        sender
    }

    /// An event that lasts until [`EventSender::release`].
    #[must_use]
    pub fn held(event: u8, timestamp: u32, step_ms: u32, clock_rate: u32) -> Self {
        let step = u64::from(step_ms) * u64::from(clock_rate) / 1000;
        let step = u32::try_from(step).unwrap_or(MAX_SEGMENT).clamp(1, MAX_SEGMENT);
        Self {
            event,
            volume: DEFAULT_VOLUME,
            timestamp,
            step,
            before: 0,
            elapsed: 0,
            length: None,
            marker: true,
            ends_left: END_PACKETS,
            full: false,
        }
    }

    /// The key is let go: the next packet is the first of the three last.
    pub fn release(&mut self) {
        let reached = self.before.saturating_add(self.elapsed).saturating_add(self.step);
        self.length = Some(self.length.map_or(reached, |length| length.min(reached)));
    }

    /// Whether all packets were taken.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ends_left == 0
    }
}

impl Iterator for EventSender {
    type Item = EventPacket;

    /// The packet of the next step; `None` after the third end packet.
    fn next(&mut self) -> Option<EventPacket> {
        if self.ends_left == 0 {
            return None;
        }
        if self.full {
            // A duration that would not fit goes on as a new segment without a marker (RFC 4733 §2.5.1.3).
            self.timestamp = self.timestamp.wrapping_add(self.elapsed);
            self.before = self.before.saturating_add(self.elapsed);
            self.elapsed = 0;
            self.full = false;
        }
        let ending = self.ends_left < END_PACKETS;
        if !ending {
            let left = self.length.map_or(u32::MAX, |length| length.saturating_sub(self.before));
            self.elapsed = (self.elapsed + self.step).min(left).min(MAX_SEGMENT);
        }
        let over = self.length.is_some_and(|length| self.before.saturating_add(self.elapsed) >= length);
        if over {
            self.ends_left -= 1;
        } else {
            self.full = self.elapsed == MAX_SEGMENT;
        }
        let body = TelephoneEvent {
            event: self.event,
            end: over,
            volume: self.volume,
            duration: self.elapsed as u16, // at most MAX_SEGMENT
        };
        let marker = std::mem::take(&mut self.marker);
        Some(EventPacket { payload: body.to_bytes(), marker, timestamp: self.timestamp })
    }
}

/// The largest duration that a payload can say.
const MAX_SEGMENT: u32 = 0xffff;
/// The last packet is sent three times (RFC 4733 §2.5.1.4).
const END_PACKETS: u8 = 3;
/// −10 dBm0, what most phones send.
const DEFAULT_VOLUME: u8 = 10;
