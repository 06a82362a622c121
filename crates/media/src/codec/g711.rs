//! G.711: one byte a sample, µ-law (RFC 3551 §4.5.14) and A-law.

use super::{Codec, Format};
use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

pub(super) const PCMU: Format = Format { make: || Box::new(MuLaw), ..format("PCMU", 0) };

pub(super) const PCMA: Format = Format { make: || Box::new(ALaw), ..format("PCMA", 8) };

const fn format(name: &'static str, payload_type: u8) -> Format {
    Format {
        name,
        clock_rate: 8000,
        channels: 1,
        sample_rate: 8000,
        payload_type: Some(payload_type),
        packet_ms: &[10, 20, 30, 40, 50, 60, 80, 100, 120, 140, 160, 180, 200],
        parameters: None,
        make: || Box::new(MuLaw),
    }
}

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

    fn samples(&self, payload: &[u8]) -> usize {
        payload.len()
    }
}

impl Codec for ALaw {
    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.extend(samples.iter().map(|sample| encode_alaw(*sample)));
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        out.extend(payload.iter().map(|byte| decode_alaw(*byte)));
    }

    fn samples(&self, payload: &[u8]) -> usize {
        payload.len()
    }
}
