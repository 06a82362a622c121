//! The jitter buffer: packets come when the network likes, sound goes out every 20 ms.
//!
//! [`Adaptive`] holds each packet just long enough that nearly all of its successors come in time. It
//! measures how late packets are, and stretches or shrinks the sound by single pitch periods when the
//! network or the sender's clock changes.

mod adaptive;
mod conceal;
mod stretch;
mod timing;

pub use adaptive::Adaptive;

use crate::Frame;
use std::fmt;
use std::time::Instant;

/// What turns the payload of a payload type into samples, in the order in which packets are played.
pub type Decode<'a> = dyn FnMut(u8, &[u8], &mut Vec<i16>) + 'a;

/// A packet of sound, as far as a jitter buffer cares.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// RTP payload type.
    pub payload_type: u8,
    /// RTP synchronisation source.
    pub ssrc: u32,
    /// RTP timestamp, in samples.
    pub timestamp: u32,
    /// The sound, encoded.
    pub payload: &'a [u8],
}

/// What a frame was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Played {
    /// Received sound.
    Sound,
    /// Wholly or in part made up for a packet that was lost or late.
    Concealed,
    /// Nothing is to be played: no stream yet, or a pause.
    Silence,
}

/// What a jitter buffer did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// Packets that came too late to be played.
    pub late: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets dropped because too many waited.
    pub discarded: u64,
    /// Samples made up for missing packets.
    pub concealed: u64,
    /// Samples added by stretching.
    pub stretched: u64,
    /// Samples taken away by shrinking.
    pub shrunk: u64,
    /// How long a packet that suffered no delay waits, in ms, as aimed for.
    pub target_ms: u32,
    /// The same as it is.
    pub delay_ms: u32,
}

/// Orders packets and plays them evenly.
pub trait JitterBuffer: fmt::Debug + Send {
    /// Takes a packet that came at `now`.
    fn put(&mut self, now: Instant, packet: Received<'_>);

    /// Fills the frame that is to be heard next. Called every 20 ms by the clock of the loudspeaker.
    fn pull(&mut self, now: Instant, decode: &mut Decode<'_>, frame: &mut Frame) -> Played;

    /// What was done so far.
    fn measures(&self) -> Measures;
}

#[cfg(test)]
mod tests;
