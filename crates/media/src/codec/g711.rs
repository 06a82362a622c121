//! G.711: one byte a sample, µ-law (RFC 3551 §4.5.14) and A-law.

use super::{Codec, Format};
use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

pub(super) const PCMU: Format =
    Format { name: "PCMU", clock_rate: 8000, payload_type: Some(0), make: || Box::new(MuLaw) };

pub(super) const PCMA: Format =
    Format { name: "PCMA", clock_rate: 8000, payload_type: Some(8), make: || Box::new(ALaw) };

#[derive(Debug)]
struct MuLaw;

#[derive(Debug)]
struct ALaw;

impl Codec for MuLaw {
    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.extend(samples.iter().map(|sample| encode_ulaw(*sample)));
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        out.extend(payload.iter().map(|byte| decode_ulaw(*byte)));
    }
}

impl Codec for ALaw {
    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.extend(samples.iter().map(|sample| encode_alaw(*sample)));
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        out.extend(payload.iter().map(|byte| decode_alaw(*byte)));
    }
}
