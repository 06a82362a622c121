//! Reads Opus in Ogg (RFC 7845), packet by packet, as mono sound.

use crate::codec::{Codec, Format, by_name};
use ogg::PacketReader;
use std::fmt;
use std::io::{Read, Seek};

/// A sound that is read while it is played.
pub struct Reader<T: Read + Seek> {
    packets: PacketReader<T>,
    decoder: Box<dyn Codec>,
    /// Samples at the rate that is asked for, to one of the file's 48,000 a second.
    divisor: u64,
    /// To be left out at the begin (§4.2).
    skip: usize,
    /// How many samples there were, left out or not.
    made: u64,
    over: bool,
}

/// Why a file is no Opus in Ogg, or none that can be read.
#[derive(Debug)]
pub enum ReadError {
    /// The container is broken, or cannot be read.
    Ogg(ogg::OggReadError),
    /// The first packet does not say `OpusHead`, or is of a later version.
    NotOpus,
    /// More channels than two, or none.
    Channels(u8),
}

impl<T: Read + Seek> Reader<T> {
    /// Reads the headers, for sound of `rate` samples a second: 8000, 16 000 or 48 000.
    ///
    /// # Errors
    /// When the file is no Opus in Ogg, or has more than two channels.
    pub fn new(file: T, rate: u32) -> Result<Reader<T>, ReadError> {
        let mut packets = PacketReader::new(file);
        let head = packets.read_packet_expected().map_err(ReadError::Ogg)?.data;
        // §5.1
        let (Some(b"OpusHead"), Some(version), Some(channels)) = (head.get(..8), head.get(8), head.get(9))
        else {
            return Err(ReadError::NotOpus);
        };
        let (Some(&[low, high]), true) = (head.get(10..12), version >> 4 == 0) else {
            return Err(ReadError::NotOpus);
        };
        if !(1..=2).contains(channels) || head.get(18) != Some(&0) {
            return Err(ReadError::Channels(*channels));
        }
        packets.read_packet_expected().map_err(ReadError::Ogg)?;
        let format: &'static Format = by_name("opus", CLOCK).ok_or(ReadError::NotOpus)?.at(rate);
        let divisor = u64::from(CLOCK / format.sample_rate);
        let skip = (u64::from(u16::from_le_bytes([low, high])) / divisor) as usize;
        Ok(Reader { packets, decoder: (format.make)(), divisor, skip, made: 0, over: false })
    }

    /// Appends the sound of the next packet; false: there is none, or what follows is broken.
    pub fn read(&mut self, out: &mut Vec<i16>) -> bool {
        if self.over {
            return false;
        }
        let Ok(Some(packet)) = self.packets.read_packet() else {
            self.over = true;
            return false;
        };
        let mut samples = Vec::new();
        self.decoder.decode(&packet.data, &mut samples);
        let before = self.made;
        self.made += samples.len() as u64;
        if packet.last_in_stream() {
            self.over = true;
            // §4.4: the last page says where the sound really ends.
            let end = (packet.absgp_page() / self.divisor).saturating_sub(before);
            samples.truncate(usize::try_from(end).unwrap_or(usize::MAX));
        }
        let skipped = self.skip.min(samples.len());
        self.skip -= skipped;
        out.extend_from_slice(&samples[skipped..]);
        true
    }
}

impl<T: Read + Seek> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("made", &self.made).finish()
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Ogg(error) => write!(f, "not a proper Ogg file ({error})"),
            ReadError::NotOpus => f.write_str("an Ogg file of something else than Opus"),
            ReadError::Channels(number) => write!(f, "expected one or two channels, not {number}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Of the positions in the file (§4).
const CLOCK: u32 = 48_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    const GOODBYE: &[u8] = include_bytes!("../prompts/en/voicemail-goodbye.opus");

    fn read(bytes: &[u8], rate: u32) -> Result<Vec<i16>, ReadError> {
        let (mut reader, mut sound) = (Reader::new(Cursor::new(bytes), rate)?, Vec::new());
        while reader.read(&mut sound) {}
        Ok(sound)
    }

    #[test]
    fn a_file_is_as_long_at_every_rate() {
        let lengths =
            [8000, 16_000, 48_000].map(|rate| read(GOODBYE, rate).unwrap().len() * 48_000 / rate as usize);
        assert!(lengths.iter().all(|length| length.abs_diff(lengths[2]) <= 6), "{lengths:?}");
        assert!((20_000..80_000).contains(&lengths[2]), "{lengths:?}");
    }

    #[test]
    fn what_is_no_opus_is_said_to_be_none() {
        assert!(matches!(read(b"RIFF....WAVE", 16_000), Err(ReadError::Ogg(_))));
    }

    proptest! {
        #[test]
        fn broken_files_end(place in 0..GOODBYE.len(), value in any::<u8>(), length in 0..GOODBYE.len()) {
            let mut bytes = GOODBYE.to_vec();
            bytes[place] = value;
            let _ = read(&bytes, 16_000);
            let _ = read(&GOODBYE[..length], 16_000);
        }
    }
}
