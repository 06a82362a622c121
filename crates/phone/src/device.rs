//! The machine's microphone and loudspeaker.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use cpal::traits::{DeviceTrait as _, HostTrait as _, StreamTrait as _};
use cpal::{BufferSize, FromSample, Sample as _, SampleFormat, SizedSample, Stream, StreamConfig};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

use crate::canceller::Canceller;
use crate::ring::Ring;

/// Open devices; each side may be missing.
pub(crate) struct Devices {
    microphone: Option<Side>,
    loudspeaker: Option<Side>,
    canceller: Canceller,
}

/// One direction: a stream whose callback only copies, and what brings its rate to ours.
struct Side {
    ring: Arc<Ring>,
    /// Samples of the device in 20 ms.
    frame: usize,
    /// The device's rate, and whether it is a microphone.
    rate: u32,
    input: bool,
    /// The call's rate, and what brings one to the other where they differ.
    resampler: (u32, Option<Fft<f32>>),
    /// Plays or records until it is dropped.
    _stream: Stream,
}

impl Devices {
    /// Opens the default devices. None on a machine without any; `warn` hears of those that do not open.
    pub(crate) fn open(mut warn: impl FnMut(&str)) -> Option<Self> {
        if !has_sound() {
            return None;
        }
        let host = cpal::default_host();
        let mut or_warn = |result: Option<Result<Side, String>>, name: &str| match result? {
            Ok(side) => Some(side),
            Err(error) => {
                warn(&format!("offhook: no {name}: {error}"));
                None
            }
        };
        let microphone = or_warn(host.default_input_device().map(|device| open_input(&device)), "microphone");
        let loudspeaker =
            or_warn(host.default_output_device().map(|device| open_output(&device)), "loudspeaker");
        (microphone.is_some() || loudspeaker.is_some()).then_some(Self {
            microphone,
            loudspeaker,
            canceller: Canceller::new(),
        })
    }

    /// The last 20 ms of the microphone at `rate` samples a second, or silence where it has not said enough.
    pub(crate) fn microphone(&mut self, rate: u32) -> Vec<i16> {
        let Some(mut said) = self.microphone.as_mut().and_then(|side| side.take(rate)) else {
            return vec![0; rate as usize / 50];
        };
        // Without a loudspeaker there is no echo, but there is noise.
        let waits = |side: &Option<Side>| side.as_ref().map_or(0, Side::waiting_ms);
        let delay_ms = waits(&self.loudspeaker) + waits(&self.microphone);
        self.canceller.clean(&mut said, rate, delay_ms);
        said
    }

    /// 20 ms to be heard, at `rate` samples a second.
    pub(crate) fn loudspeaker(&mut self, frame: &[i16], rate: u32) {
        if let Some(side) = &mut self.loudspeaker {
            side.give(frame, rate);
            self.canceller.hear(frame, rate);
        }
    }
}

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (input, output) = (self.microphone.is_some(), self.loudspeaker.is_some());
        f.debug_struct("Devices").field("microphone", &input).field("loudspeaker", &output).finish()
    }
}

impl Side {
    /// How long what is in the ring waits.
    fn waiting_ms(&self) -> i32 {
        i32::try_from(self.ring.len() * 1000 / self.rate.max(1) as usize).unwrap_or(i32::MAX)
    }

    /// Prepares for sound of the call at this rate; false where it cannot be made.
    fn at_rate(&mut self, rate: u32) -> bool {
        if self.resampler.0 == rate {
            return true;
        }
        let Ok((_, resampler)) = rates(self.rate, rate, self.input) else { return false };
        self.resampler = (rate, resampler);
        true
    }

    fn take(&mut self, rate: u32) -> Option<Vec<i16>> {
        // The card's clock is not ours: what it says too much is left out, a little at a time.
        while self.ring.len() > self.frame * MOST_FRAMES {
            self.ring.pop();
        }
        if self.ring.len() < self.frame || !self.at_rate(rate) {
            return None;
        }
        let samples: Vec<i16> = std::iter::from_fn(|| self.ring.pop()).take(self.frame).collect();
        resample(self.resampler.1.as_mut(), &samples)
    }

    fn give(&mut self, frame: &[i16], rate: u32) {
        if self.ring.len() > self.frame * MOST_FRAMES || !self.at_rate(rate) {
            return;
        }
        for sample in resample(self.resampler.1.as_mut(), frame).into_iter().flatten() {
            self.ring.push(sample);
        }
    }
}

fn resample(resampler: Option<&mut Fft<f32>>, samples: &[i16]) -> Option<Vec<i16>> {
    let Some(resampler) = resampler else { return Some(samples.to_vec()) };
    let floats: Vec<f32> = samples.iter().map(|sample| f32::from(*sample) / 32768.0).collect();
    let input = InterleavedSlice::new(&floats, 1, floats.len()).ok()?;
    let output = resampler.process(&input, None).ok()?;
    // The cast saturates.
    Some(output.take_data().into_iter().map(|sample| (sample * 32768.0) as i16).collect())
}

fn open_input(device: &cpal::Device) -> Result<Side, String> {
    let default = device.default_input_config().map_err(|error| error.to_string())?;
    let rate = default.sample_rate();
    let (frame, resampler) = rates(rate, USUAL_RATE, true)?;
    let ring = Arc::new(Ring::new(frame * ROOM_FRAMES));
    let stream = sized(default.config(), |config| match default.sample_format() {
        SampleFormat::I16 => record::<i16>(device, config, Arc::clone(&ring)),
        SampleFormat::I32 => record::<i32>(device, config, Arc::clone(&ring)),
        SampleFormat::U8 => record::<u8>(device, config, Arc::clone(&ring)),
        SampleFormat::U16 => record::<u16>(device, config, Arc::clone(&ring)),
        _ => record::<f32>(device, config, Arc::clone(&ring)),
    })?;
    Ok(Side { ring, frame, rate, input: true, resampler: (USUAL_RATE, resampler), _stream: stream })
}

fn open_output(device: &cpal::Device) -> Result<Side, String> {
    let default = device.default_output_config().map_err(|error| error.to_string())?;
    let rate = default.sample_rate();
    let (frame, resampler) = rates(rate, USUAL_RATE, false)?;
    let ring = Arc::new(Ring::new(frame * ROOM_FRAMES));
    let stream = sized(default.config(), |config| match default.sample_format() {
        SampleFormat::I16 => play::<i16>(device, config, Arc::clone(&ring)),
        SampleFormat::I32 => play::<i32>(device, config, Arc::clone(&ring)),
        SampleFormat::U8 => play::<u8>(device, config, Arc::clone(&ring)),
        SampleFormat::U16 => play::<u16>(device, config, Arc::clone(&ring)),
        _ => play::<f32>(device, config, Arc::clone(&ring)),
    })?;
    Ok(Side { ring, frame, rate, input: false, resampler: (USUAL_RATE, resampler), _stream: stream })
}

/// Opens and starts a stream: with a buffer that ALSA over PipeWire bears, else with the device's own.
fn sized(
    config: StreamConfig,
    mut open: impl FnMut(StreamConfig) -> Result<Stream, cpal::Error>,
) -> Result<Stream, String> {
    let fixed = StreamConfig { buffer_size: BufferSize::Fixed(1024), ..config };
    let stream = open(fixed).or_else(|_| open(config)).map_err(|error| error.to_string())?;
    stream.play().map_err(|error| error.to_string())?;
    Ok(stream)
}

fn record<T>(device: &cpal::Device, config: StreamConfig, ring: Arc<Ring>) -> Result<Stream, cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels.max(1));
    let callback = move |samples: &[T], _: &cpal::InputCallbackInfo| {
        for moment in samples.chunks(channels) {
            let sum: f32 = moment.iter().map(|sample| f32::from_sample(*sample)).sum();
            ring.push((sum / channels as f32 * 32768.0) as i16);
        }
    };
    device.build_input_stream(config, callback, |_| (), None)
}

fn play<T>(device: &cpal::Device, config: StreamConfig, ring: Arc<Ring>) -> Result<Stream, cpal::Error>
where
    T: SizedSample + FromSample<f32>,
{
    let channels = usize::from(config.channels.max(1));
    let callback = move |samples: &mut [T], _: &cpal::OutputCallbackInfo| {
        for moment in samples.chunks_mut(channels) {
            let sample = f32::from(ring.pop().unwrap_or(0)) / 32768.0;
            moment.fill(T::from_sample(sample));
        }
    };
    device.build_output_stream(config, callback, |_| (), None)
}

/// The device's samples in 20 ms, and what brings its rate to the call's or the call's to it.
fn rates(rate: u32, call_rate: u32, input: bool) -> Result<(usize, Option<Fft<f32>>), String> {
    let (frame, call_frame) = (rate as usize / 50, call_rate as usize / 50);
    if rate == call_rate {
        return Ok((frame, None));
    }
    let (from, to, chunk) = if input { (rate, call_rate, frame) } else { (call_rate, rate, call_frame) };
    let unfit = || format!("its rate of {rate} Hz cannot be converted");
    let resampler = Fft::new(from as usize, to as usize, chunk, 1, FixedSync::Both).map_err(|_| unfit())?;
    let (wanted_in, wanted_out) = if input { (frame, call_frame) } else { (call_frame, frame) };
    let fits = resampler.input_frames_next() == wanted_in && resampler.output_frames_next() == wanted_out;
    if fits { Ok((frame, Some(resampler))) } else { Err(unfit()) }
}

/// Whether there may be a sound device at all. To ask the system's sound library where there is none would fill the
/// terminal with its complaints.
fn has_sound() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let card = std::fs::read_dir("/dev/snd").is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("pcm"))
    });
    let server = std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|place| {
        ["pulse/native", "pipewire-0"].iter().any(|name| Path::new(&place).join(name).exists())
    });
    card || server || std::env::var_os("PULSE_SERVER").is_some()
}

/// What is prepared for before a call says its rate.
const USUAL_RATE: u32 = 8000;
/// 120 ms that wait are too many: the rest is left out.
const MOST_FRAMES: usize = 6;
/// What a ring holds at most, for callbacks that come in bursts.
const ROOM_FRAMES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_rates_are_brought_to_ours_and_back_in_whole_frames() {
        for rate in [8000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000] {
            for call in [8000, 16_000, 48_000] {
                let length = call as usize / 50;
                let (frame, mut down) = rates(rate, call, true).unwrap();
                let taken = resample(down.as_mut(), &vec![0; frame]).unwrap();
                assert_eq!(taken.len(), length, "{rate} {call}");
                let (frame, mut up) = rates(rate, call, false).unwrap();
                let given = resample(up.as_mut(), &vec![0; length]).unwrap();
                assert_eq!(given.len(), frame, "{rate} {call}");
            }
        }
        assert!(rates(11_025, 8000, true).is_err());
    }

    #[test]
    fn a_machine_without_a_sound_card_says_nothing() {
        if !has_sound() {
            assert!(Devices::open(|warning| panic!("{warning}")).is_none());
        }
    }
}
