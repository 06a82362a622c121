//! Codecs: sound to payload and back. A new one is a file here and a line in [`CODECS`].

mod g711;
mod g722;
mod opus;
mod shape;
mod wishes;

pub use wishes::Wishes;

use std::fmt;

/// Encodes and decodes one stream; may keep state between packets, so each direction has its own.
///
/// All sound is mono at [`Format::sample_rate`]. Every method is total: a payload that makes no sense yields
/// nothing.
pub trait Codec: fmt::Debug + Send {
    /// Appends the payload of `samples` to `out`. Their length is one of [`Format::packet_ms`]; of another
    /// length, a codec with frames appends nothing.
    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>);

    /// Appends the samples of a payload to `out`.
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>);

    /// How many samples [`Codec::decode`] makes of a payload, without decoding it.
    fn samples(&self, payload: &[u8]) -> usize;

    /// Appends about `samples` samples in place of a packet that was lost. `false`: the codec cannot, and
    /// the waveform is to be continued instead (see [`Codec::follow`]).
    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) -> bool {
        let _ = (samples, out);
        false
    }

    /// Whether a payload also carries a rough copy of the packet before it (in-band FEC).
    fn carries_previous(&self, payload: &[u8]) -> bool {
        let _ = payload;
        false
    }

    /// Appends `samples` samples of the lost packet before `next`, out of the copy in it; `next` itself is
    /// to be decoded afterwards. `false`: there is none.
    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) -> bool {
        let _ = (next, samples, out);
        false
    }

    /// Takes the sound that was made up for a lost packet, so that a decoder that predicts goes on from it.
    fn follow(&mut self, samples: &[i16]) {
        let _ = samples;
    }

    /// The same in the same state, for a decoder that [`Codec::follow`]s: so that a guess can be tried and taken back.
    fn fork(&self) -> Option<Box<dyn Codec>> {
        None
    }

    /// Tells the encoder what share of its packets is lost, in percent, so that it protects them.
    fn expect_loss(&mut self, percent: f32) {
        let _ = percent;
    }

    /// Tells the encoder what the receiver asks for.
    fn wish(&mut self, wishes: &Wishes) {
        let _ = wishes;
    }

    /// Whether a payload only keeps the background noise of a pause going (discontinuous transmission).
    fn is_pause(&self, payload: &[u8]) -> bool {
        let _ = payload;
        false
    }
}

/// What SDP says about a codec, and how to make one.
#[derive(Clone, Copy)]
pub struct Format {
    /// The encoding name of `a=rtpmap`.
    pub name: &'static str,
    /// The RTP clock rate of `a=rtpmap`, in Hz. For G.722 it is not the sample rate (RFC 3551 §4.5.2).
    pub clock_rate: u32,
    /// The channels of `a=rtpmap`; the sound inside the program is mono all the same.
    pub channels: u8,
    /// Samples a second of the sound that goes in and comes out.
    pub sample_rate: u32,
    /// The payload type that means this codec without an `a=rtpmap` (RFC 3551 §6).
    pub payload_type: Option<u8>,
    /// How much sound a packet may hold, in ms, in rising order.
    pub packet_ms: &'static [u32],
    /// What is said in `a=fmtp`.
    pub parameters: Option<&'static str>,
    /// Makes a fresh encoder/decoder.
    pub make: fn() -> Box<dyn Codec>,
}

/// All codecs, the preferred one first.
pub const CODECS: &[Format] = &[opus::OPUS, g722::G722, g711::PCMA, g711::PCMU];

/// The codec with this encoding name (case does not count) and clock rate.
pub fn by_name(name: &str, clock_rate: u32) -> Option<&'static Format> {
    CODECS.iter().find(|format| format.clock_rate == clock_rate && format.name.eq_ignore_ascii_case(name))
}

/// The codec that people mean by a name: its encoding name in any case.
pub fn by_word(name: &str) -> Option<&'static Format> {
    CODECS.iter().find(|format| format.name.eq_ignore_ascii_case(name))
}

/// The codec of a static payload type.
pub fn by_payload_type(payload_type: u8) -> Option<&'static Format> {
    CODECS.iter().find(|format| format.payload_type == Some(payload_type))
}

impl Format {
    /// The same codec with sound at `rate` Hz if it can do that by itself, which is cheaper than to resample it; else
    /// with sound at its own rate.
    pub fn at(&'static self, rate: u32) -> &'static Format {
        opus::AT_OTHER_RATES.iter().find(|one| *one == self && one.sample_rate == rate).unwrap_or(self)
    }

    /// The packet length nearest to a wish, in ms; the shorter of two.
    pub fn nearest_packet_ms(&self, wish: u32) -> u32 {
        self.packet_ms.iter().copied().min_by_key(|ms| ms.abs_diff(wish)).unwrap_or(20)
    }

    /// Samples in so many ms.
    pub fn samples_in(&self, ms: u32) -> usize {
        self.sample_rate as usize / 1000 * ms as usize
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.clock_rate)
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Format) -> bool {
        self.name == other.name && self.clock_rate == other.clock_rate
    }
}

impl Eq for Format {}

#[cfg(test)]
mod tests;
