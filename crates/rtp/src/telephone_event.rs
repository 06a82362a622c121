//! Telephone events (RFC 4733): key presses as RTP payloads, and their way in and out of a stream.

mod receiver;
mod sender;

pub use receiver::{EventReceiver, Heard};
pub use sender::{EventPacket, EventSender};

#[cfg(test)]
mod tests;

/// The four bytes of an event payload (RFC 4733 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TelephoneEvent {
    /// Event code; 0–15 are the DTMF keys.
    pub event: u8,
    /// Set once the event is over.
    pub end: bool,
    /// Power in −dBm0, 0–63.
    pub volume: u8,
    /// How long it has lasted so far, in clock units.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads the first event of a payload; `None` when it is shorter than four bytes.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, high, low, ..] = payload else { return None };
        Some(Self {
            event,
            end: flags & END_BIT != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// The payload; a volume above 63 becomes 63.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        let flags = self.volume.min(0x3f) | if self.end { END_BIT } else { 0 };
        [self.event, flags, high, low]
    }
}

/// The event code of a DTMF key: `0`–`9`, `*`, `#`, `A`–`D` in either case (RFC 4733 §3.2).
#[must_use]
pub fn event_of(digit: char) -> Option<u8> {
    let digit = digit.to_ascii_uppercase();
    DIGITS.chars().position(|d| d == digit).map(|at| at as u8)
}

/// The DTMF key of an event code; `None` for other events.
#[must_use]
pub fn digit_of(event: u8) -> Option<char> {
    DIGITS.chars().nth(usize::from(event))
}

const DIGITS: &str = "0123456789*#ABCD";
const END_BIT: u8 = 0x80;
