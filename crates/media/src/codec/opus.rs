//! Opus (RFC 6716, RFC 7587): libopus at 48 kHz, mono, with in-band FEC.

use super::{Codec, Format};
use opus::{Application, Bitrate, Channels, Decoder, Encoder, Signal, packet};

pub(super) const OPUS: Format = Format {
    name: "opus",
    clock_rate: RATE,
    // RFC 7587 §7: always two in the rtpmap, whatever is sent.
    channels: 2,
    sample_rate: RATE,
    payload_type: None,
    packet_ms: &[10, 20, 40, 60],
    parameters: Some("useinbandfec=1;usedtx=0"),
    make: || Box::new(Coder::default()),
};

/// Each half is made when it is first used.
#[derive(Debug, Default)]
struct Coder {
    encoder: Option<Encoder>,
    decoder: Option<Decoder>,
    expected_loss: f32,
}

impl Coder {
    fn encoder(&mut self) -> Option<&mut Encoder> {
        if self.encoder.is_none() {
            self.encoder = new_encoder(self.expected_loss).ok();
        }
        self.encoder.as_mut()
    }

    /// Decodes into `samples` more samples of `out`; nothing on an error.
    fn decode_into(&mut self, payload: &[u8], fec: bool, samples: usize, out: &mut Vec<i16>) -> bool {
        if self.decoder.is_none() {
            self.decoder = Decoder::new(RATE, Channels::Mono).ok();
        }
        let Some(decoder) = &mut self.decoder else { return false };
        let start = out.len();
        out.resize(start + samples, 0);
        let made = decoder.decode(payload, &mut out[start..], fec).unwrap_or(0);
        out.truncate(start + made.min(samples));
        made > 0
    }
}

impl Codec for Coder {
    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        let Some(encoder) = self.encoder() else { return };
        let start = out.len();
        out.resize(start + MAX_PAYLOAD, 0);
        let made = encoder.encode(samples, &mut out[start..]).unwrap_or(0);
        out.truncate(start + made);
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        let samples = self.samples(payload);
        // An empty payload would mean a loss to libopus.
        if samples > 0 {
            self.decode_into(payload, false, samples, out);
        }
    }

    fn samples(&self, payload: &[u8]) -> usize {
        if payload.is_empty() {
            return 0;
        }
        packet::get_nb_samples(payload, RATE).unwrap_or(0).min(LONGEST)
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) -> bool {
        if self.decoder.is_none() {
            return false;
        }
        let mut left = samples.next_multiple_of(SHORTEST).min(MOST_CONCEALED);
        while left > 0 {
            let now = left.min(FRAME);
            if !self.decode_into(&[], false, now, out) {
                return false;
            }
            left -= now;
        }
        true
    }

    fn carries_previous(&self, payload: &[u8]) -> bool {
        has_redundancy(payload).unwrap_or(false)
    }

    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) -> bool {
        self.carries_previous(next)
            && samples.is_multiple_of(SHORTEST)
            && samples <= LONGEST
            && self.decode_into(next, true, samples, out)
    }

    fn expect_loss(&mut self, percent: f32) {
        self.expected_loss = percent.clamp(0.0, 50.0);
        let percent = protection(self.expected_loss);
        if let Some(encoder) = &mut self.encoder {
            // Fails only for values out of range.
            let _ = encoder.set_packet_loss_perc(percent);
        }
    }

    fn is_pause(&self, payload: &[u8]) -> bool {
        // RFC 6716 §2.1.9: a frame of nothing but its first byte, or one more, is DTX.
        (1..=2).contains(&payload.len())
    }
}

fn new_encoder(expected_loss: f32) -> opus::Result<Encoder> {
    let mut encoder = Encoder::new(RATE, Channels::Mono, Application::Voip)?;
    encoder.set_bitrate(Bitrate::Bits(BITRATE))?;
    encoder.set_complexity(COMPLEXITY)?;
    encoder.set_signal(Signal::Voice)?;
    encoder.set_inband_fec(true)?;
    encoder.set_packet_loss_perc(protection(expected_loss))?;
    Ok(encoder)
}

/// How much loss to protect against; never none, since the first loss comes before any report of it.
fn protection(expected_loss: f32) -> i32 {
    expected_loss.max(LEAST_PROTECTION) as i32
}

/// Whether the first frame of a packet has a low-bit-rate redundant frame (RFC 6716 §4.2.3, §4.2.4).
fn has_redundancy(payload: &[u8]) -> Option<bool> {
    let toc = *payload.first()?;
    if toc & 0x80 != 0 {
        return Some(false); // CELT only
    }
    let parsed = packet::parse(payload).ok()?;
    let first = *parsed.frames.first()?.first()?;
    let ms = packet::get_samples_per_frame(payload, 1000).ok()?;
    let frames = (ms / 20).clamp(1, 3);
    let middle = first >> (7 - frames) & 1;
    let side = if toc & 4 != 0 { first >> (6 - 2 * frames) & 1 } else { 0 };
    Some(middle | side == 1)
}

const RATE: u32 = 48_000;
/// 20 ms.
const FRAME: usize = 960;
/// 2.5 ms: what lengths are multiples of.
const SHORTEST: usize = 120;
/// 120 ms, the longest packet.
const LONGEST: usize = 5760;
const MOST_CONCEALED: usize = 4 * LONGEST;
/// The longest frame of 60 ms at this rate, with room (RFC 6716 §3.4 allows 1275 bytes a frame).
const MAX_PAYLOAD: usize = 1275;
/// As much as G.711 takes; full-band speech with copies of the packets before (RFC 7587 §3.1.1 has 28 to 40 kbit/s
/// without those).
const BITRATE: i32 = 64_000;
const COMPLEXITY: i32 = 8;
const LEAST_PROTECTION: f32 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signal::speech_at;

    fn payloads(coder: &mut Coder, seconds: usize) -> Vec<Vec<u8>> {
        let sound = speech_at(RATE, RATE as usize * seconds, 1);
        let encode = |frame: &[i16]| {
            let mut payload = Vec::new();
            coder.encode(frame, &mut payload);
            payload
        };
        sound.chunks_exact(FRAME).map(encode).collect()
    }

    #[test]
    fn a_lost_packet_is_recovered_from_the_next_one() {
        let mut sender = Coder::default();
        sender.expect_loss(20.0);
        let payloads = payloads(&mut sender, 4);
        let (mut decoder, mut whole) = (Coder::default(), Coder::default());
        let (mut recovered, mut energy, mut error) = (0, 0.0, 0.0);
        for pair in payloads.chunks_exact(2) {
            let (mut guess, mut truth) = (Vec::new(), Vec::new());
            whole.decode(&pair[0], &mut truth);
            whole.decode(&pair[1], &mut Vec::new());
            if decoder.recover(&pair[1], FRAME, &mut guess) {
                recovered += 1;
                assert_eq!(guess.len(), FRAME);
                for (a, b) in guess.iter().zip(&truth) {
                    energy += f64::from(*b).powi(2);
                    error += (f64::from(*a) - f64::from(*b)).powi(2);
                }
            } else {
                assert!(decoder.conceal(FRAME, &mut guess) || guess.is_empty());
            }
            decoder.decode(&pair[1], &mut Vec::new());
        }
        assert!(recovered > payloads.len() / 6, "{recovered} of {}", payloads.len());
        assert!(error < 0.6 * energy, "{error} {energy}");
    }

    #[test]
    fn stereo_is_decoded_to_mono() {
        let mut stereo = Encoder::new(RATE, Channels::Stereo, Application::Audio).unwrap();
        let tone = crate::test_signal::sine_at(500.0, RATE, FRAME * 50);
        let mut heard = Vec::new();
        let mut decoder = Coder::default();
        for frame in tone.chunks_exact(FRAME) {
            let both: Vec<i16> = frame.iter().flat_map(|sample| [*sample, *sample]).collect();
            let payload = stereo.encode_vec(&both, 1000).unwrap();
            decoder.decode(&payload, &mut heard);
        }
        let heard = crate::tone::analyse(&heard, RATE);
        assert!((heard.dominant_hz - 500.0).abs() < 2.0, "{heard:?}");
    }

    #[test]
    fn packets_of_other_lengths_are_encoded_and_measured() {
        for ms in OPUS.packet_ms {
            let sound = speech_at(RATE, OPUS.samples_in(*ms), 2);
            let (mut coder, mut payload) = (Coder::default(), Vec::new());
            coder.encode(&sound, &mut payload);
            assert_eq!(coder.samples(&payload), sound.len(), "{ms}");
        }
    }
}
