//! Codecs: sound to payload and back. A new one is a file here and a line in [`CODECS`].

mod g711;

use std::fmt;

/// Encodes and decodes one stream; may keep state between packets, so each direction has its own.
pub trait Codec: fmt::Debug + Send {
    /// Appends the payload of `samples` (mono, [`crate::SAMPLE_RATE`]) to `out`.
    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>);

    /// Appends the samples of a payload to `out`. Total: a payload that makes no sense yields nothing.
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>);
}

/// What SDP says about a codec, and how to make one.
#[derive(Clone, Copy)]
pub struct Format {
    /// The encoding name of `a=rtpmap`.
    pub name: &'static str,
    /// The RTP clock rate of `a=rtpmap`, in Hz.
    pub clock_rate: u32,
    /// The payload type that means this codec without an `a=rtpmap` (RFC 3551 §6).
    pub payload_type: Option<u8>,
    /// Makes a fresh encoder/decoder.
    pub make: fn() -> Box<dyn Codec>,
}

/// All codecs, the preferred one first.
pub const CODECS: &[Format] = &[g711::PCMA, g711::PCMU];

/// The codec with this encoding name (case does not count) and clock rate.
pub fn by_name(name: &str, clock_rate: u32) -> Option<&'static Format> {
    CODECS.iter().find(|format| format.clock_rate == clock_rate && format.name.eq_ignore_ascii_case(name))
}

/// The codec of a static payload type.
pub fn by_payload_type(payload_type: u8) -> Option<&'static Format> {
    CODECS.iter().find(|format| format.payload_type == Some(payload_type))
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
mod tests {
    use super::*;

    #[test]
    fn every_codec_is_found_by_name_and_number() {
        for format in CODECS {
            assert_eq!(by_name(&format.name.to_lowercase(), format.clock_rate), Some(format));
            assert_eq!(format.payload_type.and_then(by_payload_type), Some(format));
        }
        assert_eq!(by_name("PCMU", 16000), None);
    }

    #[test]
    fn a_tone_survives_every_codec() {
        let tone = crate::test_signal::sine(440.0, 8000);
        for format in CODECS {
            let (mut payload, mut back) = (Vec::new(), Vec::new());
            (format.make)().encode(&tone, &mut payload);
            (format.make)().decode(&payload, &mut back);
            assert_eq!(back.len(), tone.len());
            let heard = crate::tone::analyse(&back, 8000);
            assert!((heard.dominant_hz - 440.0).abs() < 1.0 && heard.share > 0.95, "{format:?} {heard:?}");
        }
    }
}
