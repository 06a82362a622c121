//! Files of sound, by what is in them and not by their names: WAV, FLAC, MP3, and Vorbis or Opus in Ogg.

use super::{MAX_SECONDS, Reason};
use crate::ogg_opus;
use lewton::audio::{PreviousWindowRight, read_audio_packet_generic};
use lewton::header::{read_header_ident, read_header_setup};
use lewton::samples::InterleavedSamples;
use ogg::PacketReader;
use std::io::{Cursor, Read};

/// A sound as it is in its file, with its channels mixed: samples between −1 and 1, and so many a second.
pub(super) struct Decoded {
    pub(super) samples: Vec<f32>,
    pub(super) rate: u32,
}

pub(super) fn decode(mut file: impl Read) -> Result<Decoded, Reason> {
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head).map_err(Reason::Read)?;
    let kind = Kind::of(&head)?;
    let mut file = Cursor::new(head).chain(file);
    match kind {
        Kind::Wav => wav(file),
        Kind::Flac => flac(file),
        Kind::Mp3 | Kind::Vorbis | Kind::Opus => {
            let mut bytes = Vec::new();
            let read = file.by_ref().take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Reason::Read)?;
            match kind {
                _ if read as u64 > MAX_BYTES => Err(Reason::TooLong),
                Kind::Vorbis => vorbis(&bytes),
                Kind::Opus => opus(&bytes),
                _ => mp3(&bytes),
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Wav,
    Flac,
    Mp3,
    Vorbis,
    Opus,
}

impl Kind {
    fn of(head: &[u8]) -> Result<Self, Reason> {
        let has = |mark: &[u8]| head.windows(mark.len()).take(PAGE).any(|piece| piece == mark);
        match head {
            [] => Err(Reason::Empty),
            [b'R', b'I', b'F', b'F', ..] => Ok(Self::Wav),
            [b'f', b'L', b'a', b'C', ..] => Ok(Self::Flac),
            [b'O', b'g', b'g', b'S', ..] if has(b"OpusHead") => Ok(Self::Opus),
            [b'O', b'g', b'g', b'S', ..] if has(b"\x01vorbis") => Ok(Self::Vorbis),
            [b'O', b'g', b'g', b'S', ..] => Err(Reason::Unknown("Ogg without Vorbis or Opus")),
            // ISO 11172-3 §2.4.2.3: eleven bits of a frame's begin; before it there may be a tag.
            [b'I', b'D', b'3', ..] | [0xff, 0xe0..=0xff, ..] => Ok(Self::Mp3),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Err(Reason::Unknown("MP4 or M4A")),
            [b'.', b's', b'n', b'd', ..] => Err(Reason::Unknown("AU")),
            [b'F', b'O', b'R', b'M', ..] => Err(Reason::Unknown("AIFF")),
            _ if nanomp3::detect(head) => Ok(Self::Mp3),
            _ => Err(Reason::Unknown("something else")),
        }
    }
}

/// Mixes channels, and says when it is enough.
struct Mixer {
    channels: usize,
    sum: f32,
    taken: usize,
    mixed: Vec<f32>,
    limit: usize,
}

impl Mixer {
    fn new(channels: usize, rate: u32) -> Result<Self, Reason> {
        if !(1000..=768_000).contains(&rate) {
            return Err(Reason::Rate(rate));
        }
        let limit = MAX_SECONDS * rate as usize;
        Ok(Self { channels: channels.max(1), sum: 0.0, taken: 0, mixed: Vec::new(), limit })
    }

    fn take(&mut self, sample: f32) -> Result<(), Reason> {
        self.sum += if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        self.taken += 1;
        if self.taken == self.channels {
            self.mixed.push(self.sum / self.channels as f32);
            (self.sum, self.taken) = (0.0, 0);
        }
        if self.mixed.len() > self.limit { Err(Reason::TooLong) } else { Ok(()) }
    }

    fn finish(self, rate: u32) -> Result<Decoded, Reason> {
        if self.mixed.is_empty() { Err(Reason::Empty) } else { Ok(Decoded { samples: self.mixed, rate }) }
    }
}

/// A file cut off within its samples yields those it has.
fn wav(file: impl Read) -> Result<Decoded, Reason> {
    let reader = hound::WavReader::new(file)?;
    let spec = reader.spec();
    let mut mixer = Mixer::new(usize::from(spec.channels), spec.sample_rate)?;
    match spec.sample_format {
        hound::SampleFormat::Float => {
            reader.into_samples::<f32>().map_while(Result::ok).try_for_each(|sample| mixer.take(sample))?;
        }
        hound::SampleFormat::Int => {
            let full = 2f32.powi(i32::from(spec.bits_per_sample) - 1);
            let mut samples = reader.into_samples::<i32>().map_while(Result::ok);
            samples.try_for_each(|sample| mixer.take(sample as f32 / full))?;
        }
    }
    mixer.finish(spec.sample_rate)
}

fn flac(file: impl Read) -> Result<Decoded, Reason> {
    let broken = |error: claxon::Error| Reason::Broken("FLAC", error.to_string());
    let mut reader = claxon::FlacReader::new(file).map_err(broken)?;
    let info = reader.streaminfo();
    let mut mixer = Mixer::new(info.channels as usize, info.sample_rate)?;
    let full = 2f32.powi(info.bits_per_sample as i32 - 1);
    reader.samples().map_while(Result::ok).try_for_each(|sample| mixer.take(sample as f32 / full))?;
    mixer.finish(info.sample_rate)
}

fn mp3(bytes: &[u8]) -> Result<Decoded, Reason> {
    let broken = |error: nanomp3::Error| Reason::Broken("MP3", error.to_string());
    let mut reader = nanomp3::SliceReader::<f32>::new(bytes);
    let Some(channels) = reader.channels() else { return Err(Reason::Unknown("MP3 without sound")) };
    let (channels, rate) = (channels as usize, reader.sample_rate());
    let mut mixer = Mixer::new(channels, rate)?;
    while let Some(frame) = reader.read_frame().map_err(broken)? {
        frame.iter().try_for_each(|sample| mixer.take(*sample))?;
    }
    mixer.finish(rate)
}

/// RFC 5215 calls the packets so: identification, comment, set-up, and then sound.
fn vorbis(bytes: &[u8]) -> Result<Decoded, Reason> {
    let broken = |what: &dyn ToString| Reason::Broken("Vorbis", what.to_string());
    let mut packets = PacketReader::new(Cursor::new(bytes));
    let mut next = || packets.read_packet_expected().map_err(|error| broken(&error));
    let ident = read_header_ident(&next()?.data).map_err(|error| broken(&error))?;
    // What people write about it is of no use here.
    next()?;
    let sizes = (ident.blocksize_0, ident.blocksize_1);
    let setup = read_header_setup(&next()?.data, ident.audio_channels, sizes);
    let setup = setup.map_err(|error| broken(&error))?;
    let mut mixer = Mixer::new(usize::from(ident.audio_channels), ident.audio_sample_rate)?;
    let mut window = PreviousWindowRight::new();
    while let Ok(Some(packet)) = packets.read_packet() {
        let samples: InterleavedSamples<f32> =
            match read_audio_packet_generic(&ident, &setup, &packet.data, &mut window) {
                Ok(samples) => samples,
                // One that is broken is left out, as on the air.
                Err(_) => continue,
            };
        samples.samples.iter().try_for_each(|sample| mixer.take(*sample))?;
        if packet.last_in_stream() {
            break;
        }
    }
    mixer.finish(ident.audio_sample_rate)
}

fn opus(bytes: &[u8]) -> Result<Decoded, Reason> {
    let reader = ogg_opus::Reader::new(Cursor::new(bytes), OPUS_RATE);
    let mut reader = reader.map_err(|error| Reason::Broken("Opus", error.to_string()))?;
    let mut mixer = Mixer::new(1, OPUS_RATE)?;
    let mut piece = Vec::new();
    while reader.read(&mut piece) {
        piece.drain(..).try_for_each(|sample| mixer.take(f32::from(sample) / 32768.0))?;
    }
    mixer.finish(OPUS_RATE)
}

const OPUS_RATE: u32 = 48_000;
/// Of a file, from which its kind is known.
const HEAD: u64 = 16 << 10;
/// The first page of an Ogg file names what is in it.
const PAGE: usize = 512;
/// Of a file whose sound is compressed.
const MAX_BYTES: u64 = 256 << 20;
