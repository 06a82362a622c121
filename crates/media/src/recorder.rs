//! Writes what is heard into a WAV file that can be read at any moment.

use std::fmt;
use std::io::{Read, Seek, Write};

/// Records sound of 16 bits. Its header is right every second of sound, so that a
/// recording whose process dies is still a recording.
pub struct Recorder<W: Write + Seek> {
    writer: hound::WavWriter<W>,
    rate: u32,
    unflushed: u32,
}

/// A recording could not be written.
#[derive(Debug)]
pub struct RecordError(hound::Error);

/// How long a WAV file is; `None` if it is none.
pub fn seconds(file: impl Read) -> Option<f64> {
    let reader = hound::WavReader::new(file).ok()?;
    Some(f64::from(reader.duration()) / f64::from(reader.spec().sample_rate.max(1)))
}

impl<W: Write + Seek> Recorder<W> {
    /// Writes the header, for sound of `rate` samples a second.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new(file: W, rate: u32) -> Result<Recorder<W>, RecordError> {
        Recorder::with_channels(file, rate, 1)
    }

    /// The same for so many channels, whose samples take turns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn with_channels(file: W, rate: u32, channels: u8) -> Result<Recorder<W>, RecordError> {
        let spec = hound::WavSpec {
            channels: channels.into(),
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::new(file, spec)?;
        writer.flush()?;
        Ok(Recorder { writer, rate: rate * u32::from(channels), unflushed: 0 })
    }

    /// Appends samples.
    ///
    /// # Errors
    /// When the file cannot be written, or would pass WAV's 4 GB.
    pub fn write(&mut self, samples: &[i16]) -> Result<(), RecordError> {
        for sample in samples {
            self.writer.write_sample(*sample)?;
        }
        self.unflushed = self.unflushed.saturating_add(u32::try_from(samples.len()).unwrap_or(u32::MAX));
        if self.unflushed >= self.rate {
            self.unflushed = 0;
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Samples a second, of all channels together.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// How many samples were written, of all channels together.
    pub fn len(&self) -> u32 {
        self.writer.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Completes the file. Dropping does it too, but keeps failures to itself.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self) -> Result<(), RecordError> {
        Ok(self.writer.finalize()?)
    }
}

impl<W: Write + Seek> fmt::Debug for Recorder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("samples", &self.len()).finish()
    }
}

impl From<std::io::Error> for RecordError {
    fn from(error: std::io::Error) -> RecordError {
        RecordError(hound::Error::IoError(error))
    }
}

impl From<hound::Error> for RecordError {
    fn from(error: hound::Error) -> RecordError {
        RecordError(error)
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write the recording: {}", self.0)
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::io::{Cursor, SeekFrom};
    use std::rc::Rc;

    /// A file that others can look into while it is written.
    #[derive(Clone, Default)]
    struct Shared(Rc<RefCell<Cursor<Vec<u8>>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Shared {
        fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
            self.0.borrow_mut().seek(to)
        }
    }

    fn read(file: &Shared) -> Vec<i16> {
        let bytes = file.0.borrow().get_ref().clone();
        hound::WavReader::new(Cursor::new(bytes)).unwrap().into_samples().map(Result::unwrap).collect()
    }

    #[test]
    fn a_recording_can_be_read_before_it_is_finished() {
        let file = Shared::default();
        let mut recorder = Recorder::new(file.clone(), 8000).unwrap();
        assert!(read(&file).is_empty());
        for n in 0..120 {
            recorder.write(&[n; 160]).unwrap();
        }
        assert_eq!(read(&file).len(), 2 * 8000);
        recorder.finish().unwrap();
        let all = read(&file);
        assert_eq!((all.len(), all[119 * 160]), (120 * 160, 119));
    }
}
