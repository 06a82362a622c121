//! Opus (RFC 6716, RFC 7587): libopus, mono, with in-band FEC; at 48 kHz, or at the rate of what it is translated from and to.

use super::{Codec, Format, Wishes};
use opus::{Application, Bandwidth, Bitrate, Channels, Decoder, Encoder, Signal, packet};

pub(super) const OPUS: Format = format(RATE, || Box::new(Coder::default()));

/// For sound of the telephone, and of G.722.
pub(super) static AT_OTHER_RATES: [Format; 2] =
    [format(8000, || Box::new(Coder::at(8000))), format(16_000, || Box::new(Coder::at(16_000)))];

const fn format(sample_rate: u32, make: fn() -> Box<dyn Codec>) -> Format {
    Format {
        name: "opus",
        clock_rate: RATE,
        // RFC 7587 §7: always two in the rtpmap, whatever is sent.
        channels: 2,
        sample_rate,
        payload_type: None,
        packet_ms: &[10, 20, 40, 60],
        parameters: Some("useinbandfec=1"),
        make,
    }
}

/// Each half is made when it is first used.
#[derive(Debug)]
struct Coder {
    /// Of the sound, in Hz.
    rate: u32,
    encoder: Option<Encoder>,
    decoder: Option<Decoder>,
    expected_loss: f32,
    wishes: Wishes,
}

impl Default for Coder {
    fn default() -> Self {
        Self::at(RATE)
    }
}

impl Coder {
    fn at(rate: u32) -> Self {
        Self { rate, encoder: None, decoder: None, expected_loss: 0.0, wishes: Wishes::default() }
    }

    /// How many samples `milliseconds` have.
    fn length(&self, milliseconds: usize) -> usize {
        self.rate as usize / 1000 * milliseconds
    }

    /// Of the samples that lengths are multiples of: 2.5 ms.
    fn shortest(&self) -> usize {
        self.length(5) / 2
    }

    fn encoder(&mut self) -> Option<&mut Encoder> {
        if self.encoder.is_none() {
            self.encoder = new_encoder(self.rate, self.expected_loss, &self.wishes).ok();
        }
        self.encoder.as_mut()
    }

    /// Decodes into `samples` more samples of `out`; nothing on an error.
    fn decode_into(&mut self, payload: &[u8], fec: bool, samples: usize, out: &mut Vec<i16>) -> bool {
        if self.decoder.is_none() {
            self.decoder = Decoder::new(self.rate, Channels::Mono).ok();
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
        packet::get_nb_samples(payload, self.rate).unwrap_or(0).min(self.length(LONGEST))
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) -> bool {
        if self.decoder.is_none() {
            return false;
        }
        let mut left = samples.next_multiple_of(self.shortest()).min(self.length(4 * LONGEST));
        while left > 0 {
            let now = left.min(self.length(20));
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
            && samples.is_multiple_of(self.shortest())
            && samples <= self.length(LONGEST)
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

    fn wish(&mut self, wishes: &Wishes) {
        if self.wishes != *wishes {
            self.wishes = *wishes;
            if let Some(encoder) = &mut self.encoder {
                // What it cannot do it leaves as it was.
                let _ = grant(encoder, self.rate, wishes);
            }
        }
    }

    fn is_pause(&self, payload: &[u8]) -> bool {
        // RFC 6716 §2.1.9: a frame of nothing but its first byte, or one more, is DTX.
        (1..=2).contains(&payload.len())
    }
}

fn new_encoder(rate: u32, expected_loss: f32, wishes: &Wishes) -> opus::Result<Encoder> {
    let mut encoder = Encoder::new(rate, Channels::Mono, Application::Voip)?;
    encoder.set_complexity(COMPLEXITY)?;
    encoder.set_signal(Signal::Voice)?;
    encoder.set_packet_loss_perc(protection(expected_loss))?;
    grant(&mut encoder, rate, wishes)?;
    Ok(encoder)
}

fn grant(encoder: &mut Encoder, rate: u32, wishes: &Wishes) -> opus::Result<()> {
    let most = wishes.most_bits.and_then(|bits| i32::try_from(bits).ok());
    let enough = bits_for(rate);
    encoder.set_bitrate(Bitrate::Bits(most.map_or(enough, |most| most.min(enough))))?;
    encoder.set_inband_fec(wishes.copies)?;
    encoder.set_dtx(wishes.pauses)?;
    encoder.set_vbr(!wishes.constant)?;
    encoder.set_max_bandwidth(match wishes.playback_rate.unwrap_or(RATE) {
        ..12_000 => Bandwidth::Narrowband,
        12_000..16_000 => Bandwidth::Mediumband,
        16_000..24_000 => Bandwidth::Wideband,
        24_000..48_000 => Bandwidth::Superwideband,
        48_000.. => Bandwidth::Fullband,
    })
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

/// Bits a second that speech takes with copies of the packets before. At 48 kHz a little more than G.711 takes (RFC 7587 §3.1.1 has
/// 28 to 40 kbit/s without copies).
const fn bits_for(rate: u32) -> i32 {
    match rate {
        ..12_000 => 24_000,
        12_000..24_000 => 32_000,
        24_000.. => 80_000,
    }
}

const RATE: u32 = 48_000;
/// The longest packet, in milliseconds.
const LONGEST: usize = 120;
/// The longest frame of 60 ms at this rate, with room (RFC 6716 §3.4 allows 1275 bytes a frame).
const MAX_PAYLOAD: usize = 1275;
const COMPLEXITY: i32 = 8;
const LEAST_PROTECTION: f32 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signal::speech_at;

    /// 20 ms.
    const FRAME: usize = 960;

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
    fn wishes_of_the_receiver_are_granted() {
        let octets = |wishes: &Wishes| {
            let mut coder = Coder::default();
            coder.wish(wishes);
            let payloads = payloads(&mut coder, 3);
            let copies = payloads.iter().filter(|payload| coder.carries_previous(payload)).count();
            (payloads.iter().map(Vec::len).sum::<usize>(), copies)
        };
        let (usual, copies) = octets(&Wishes::default());
        let (low, _) = octets(&Wishes { most_bits: Some(16_000), ..Wishes::default() });
        assert!(copies > 20 && low < usual / 2, "{copies} {low} {usual}");
        assert_eq!(octets(&Wishes { copies: false, ..Wishes::default() }).1, 0);
        let mut coder = Coder::default();
        coder.wish(&Wishes { constant: true, ..Wishes::default() });
        let lengths = payloads(&mut coder, 1);
        assert!(lengths.iter().all(|payload| payload.len() == lengths[0].len()));
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
    fn at_the_rate_of_the_telephone_packets_are_as_long_and_sound_is_the_same() {
        let narrow = crate::codec::CODECS[0].at(8000);
        assert_eq!((narrow.sample_rate, crate::codec::CODECS[0].at(44_100).sample_rate), (8000, RATE));
        let tone = crate::test_signal::sine_at(700.0, 8000, 8000);
        let (mut coder, mut far, mut heard) = ((narrow.make)(), Coder::default(), Vec::new());
        let mut near = Vec::new();
        for frame in tone.chunks_exact(narrow.samples_in(20)) {
            let mut payload = Vec::new();
            coder.encode(frame, &mut payload);
            assert_eq!((coder.samples(&payload), far.samples(&payload)), (160, 960));
            far.decode(&payload, &mut heard);
            coder.decode(&payload, &mut near);
        }
        assert!(coder.conceal(160, &mut near));
        assert_eq!((near.len(), heard.len()), (8160, 48_000));
        for (sound, rate) in [(&near, 8000), (&heard, RATE)] {
            let found = crate::tone::analyse(sound, rate);
            assert!((found.dominant_hz - 700.0).abs() < 3.0, "{found:?}");
        }
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
