//! Reads a file of sound of any rate and number of channels, and plays it at the rate that is asked for.

mod decode;

use crate::SAMPLE_RATE;
use decode::{Decoded, decode};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

/// A sound in memory, played frame by frame.
#[derive(Clone, Debug)]
pub struct Player {
    /// As in the file.
    original: Arc<Vec<f32>>,
    original_rate: u32,
    /// At the rate that is played.
    samples: Vec<i16>,
    rate: u32,
    at: usize,
    loops: bool,
}

/// A file that cannot be played: its name and what is wrong with it.
#[derive(Debug)]
pub struct PlayError {
    name: String,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Wav(hound::Error),
    /// The kind of file, and what is wrong in it.
    Broken(&'static str, String),
    /// What it seems to be.
    Unknown(&'static str),
    Read(io::Error),
    Rate(u32),
    Empty,
    TooLong,
    Resample,
}

impl Player {
    /// Reads a whole file (at most an hour), mixed to mono: WAV with integers of 8 to 32 bits or floats, FLAC, MP3, and
    /// Vorbis or Opus in Ogg. What it is, it says itself; `name` is for the error. With `loops` it begins again when it ends.
    ///
    /// # Errors
    /// When the file is something else, cut off within its header, empty or too long.
    pub fn new(file: impl Read, name: &str, loops: bool) -> Result<Player, PlayError> {
        let read = || {
            let Decoded { samples: original, rate } = decode(file)?;
            let samples = resample(&original, rate, SAMPLE_RATE)?;
            Ok((original, rate, samples))
        };
        match read() {
            Ok((original, original_rate, samples)) => {
                let original = Arc::new(original);
                Ok(Player { original, original_rate, samples, rate: SAMPLE_RATE, at: 0, loops })
            }
            Err(reason) => Err(PlayError { name: name.to_owned(), reason }),
        }
    }

    /// Plays samples of [`SAMPLE_RATE`].
    pub fn from_samples(samples: Vec<i16>, loops: bool) -> Player {
        let original = Arc::new(samples.iter().map(|sample| f32::from(*sample) / 32768.0).collect());
        Player { original, original_rate: SAMPLE_RATE, samples, rate: SAMPLE_RATE, at: 0, loops }
    }

    /// The next 20 ms at `rate` samples a second, filled up with silence at the end; `None` after the last.
    pub fn next_frame(&mut self, rate: u32) -> Option<Vec<i16>> {
        self.change_rate(rate);
        if self.samples.is_empty() || (self.at >= self.samples.len() && !self.loops) {
            return None;
        }
        let length = self.rate as usize / 50;
        let mut frame = vec![0; length];
        let mut filled = 0;
        while filled < length {
            if self.at >= self.samples.len() {
                if !self.loops {
                    break;
                }
                self.at = 0;
            }
            let count = (length - filled).min(self.samples.len() - self.at);
            frame[filled..filled + count].copy_from_slice(&self.samples[self.at..self.at + count]);
            filled += count;
            self.at += count;
        }
        Some(frame)
    }

    /// Goes on at the same place at another rate; stays as it is where that rate cannot be made.
    fn change_rate(&mut self, rate: u32) {
        if rate == self.rate || !(1000..=768_000).contains(&rate) {
            return;
        }
        if let Ok(samples) = resample(&self.original, self.original_rate, rate) {
            self.samples = samples;
            self.at = (self.at as u64 * u64::from(rate) / u64::from(self.rate)) as usize;
            self.rate = rate;
        }
    }

    /// All samples, at `rate` samples a second, or at [`SAMPLE_RATE`] where that rate cannot be made.
    pub fn into_samples(mut self, rate: u32) -> Vec<i16> {
        self.change_rate(rate);
        self.samples
    }

    /// All samples, at the rate that was last played, which is [`SAMPLE_RATE`] at first.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }
}

fn resample(sound: &[f32], from: u32, to: u32) -> Result<Vec<i16>, Reason> {
    if from == to {
        return Ok(sound.iter().copied().map(to_sample).collect());
    }
    let failed = |_| Reason::Resample;
    let mut resampler = Fft::<f32>::new(from as usize, to as usize, 1024, 1, FixedSync::Both)
        .map_err(|_| Reason::Resample)?;
    let input = InterleavedSlice::new(sound, 1, sound.len()).map_err(|_| Reason::Resample)?;
    let output = resampler.process_all(&input, sound.len(), None).map_err(failed)?;
    Ok(output.take_data().into_iter().map(to_sample).collect())
}

fn to_sample(value: f32) -> i16 {
    // The cast saturates.
    (value * 32768.0).round() as i16
}

impl fmt::Display for PlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot play {}: ", self.name)?;
        match &self.reason {
            Reason::Wav(hound::Error::FormatError(what)) => write!(f, "not a proper WAV file ({what})"),
            Reason::Wav(hound::Error::Unsupported) => f.write_str(
                "its samples are compressed; convert it to PCM, as with `sox IN -e signed OUT.wav`",
            ),
            Reason::Wav(error) => write!(f, "not a proper WAV file ({error})"),
            Reason::Broken(kind, what) => write!(f, "not a proper {kind} file ({what})"),
            Reason::Unknown(what) => {
                write!(f, "expected WAV, FLAC, MP3, or Ogg with Vorbis or Opus, and it is {what}")
            }
            Reason::Read(error) => write!(f, "{error}"),
            Reason::Rate(rate) => write!(f, "a rate of {rate} Hz is outside 1000 to 768000"),
            Reason::Empty => f.write_str("it holds no sound"),
            Reason::TooLong => write!(f, "longer than {} minutes", MAX_SECONDS / 60),
            Reason::Resample => f.write_str("its rate cannot be converted"),
        }
    }
}

impl std::error::Error for PlayError {}

impl From<hound::Error> for Reason {
    fn from(error: hound::Error) -> Reason {
        Reason::Wav(error)
    }
}

const MAX_SECONDS: usize = 3600;

#[cfg(test)]
mod tests;
