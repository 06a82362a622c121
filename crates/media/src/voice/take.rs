//! A recording under way.

use super::file::Request;
use super::{RATE, Recording};
use crate::SAMPLE_RATE;
use crate::command::StreamId;
use crate::resample::Resampler;

/// What has been recorded since it was last handed to the driver, and how long it may go on.
#[derive(Debug)]
pub(crate) struct Take {
    order: u32,
    stream: StreamId,
    recording: Recording,
    rate: u32,
    /// For each channel.
    resamplers: Vec<Resampler>,
    waiting: Vec<Vec<i16>>,
    ms: u32,
    quiet_ms: u32,
}

impl Take {
    /// Begins one of so many channels, for phones with sound of `rate`.
    pub(crate) fn new(
        stream: StreamId,
        (order, recording): (u32, Recording),
        (rate, channels): (u32, u8),
        requests: &mut Vec<Request>,
    ) -> Take {
        // What the telephone band holds needs no more.
        let rate = if rate <= SAMPLE_RATE { SAMPLE_RATE } else { RATE };
        requests.push(Request::Begin { stream, order, file: recording.file.clone(), rate, channels });
        let resamplers = (0..channels).map(|_| Resampler::new(RATE, rate)).collect();
        let waiting = vec![Vec::new(); channels.into()];
        Take { order, stream, recording, rate, resamplers, waiting, ms: 0, quiet_ms: 0 }
    }

    pub(crate) fn order(&self) -> u32 {
        self.order
    }

    /// Takes 20 ms; true when it is long enough, or nobody speaks any more.
    pub(crate) fn push(&mut self, frames: &[&[i16]], requests: &mut Vec<Request>) -> bool {
        for ((frame, resampler), waiting) in frames.iter().zip(&mut self.resamplers).zip(&mut self.waiting) {
            resampler.push(frame, waiting);
        }
        self.ms += 20;
        self.quiet_ms = if frames.iter().all(|frame| is_quiet(frame)) { self.quiet_ms + 20 } else { 0 };
        if self.waiting.first().is_some_and(|waiting| waiting.len() >= self.rate as usize) {
            self.hand_over(requests);
        }
        let silent = self.recording.silence_ms > 0 && self.quiet_ms >= self.recording.silence_ms;
        silent || self.ms >= self.recording.most_ms
    }

    /// Ends it.
    pub(crate) fn end(mut self, requests: &mut Vec<Request>) {
        self.hand_over(requests);
        let keep = self.ms >= self.recording.least_ms;
        requests.push(Request::End { stream: self.stream, order: self.order, keep });
    }

    fn hand_over(&mut self, requests: &mut Vec<Request>) {
        let length = self.waiting.iter().map(Vec::len).min().unwrap_or(0);
        let channels = &self.waiting;
        let samples: Vec<i16> =
            (0..length).flat_map(|n| channels.iter().map(move |channel| channel[n])).collect();
        self.waiting.iter_mut().for_each(|channel| drop(channel.drain(..length)));
        if !samples.is_empty() {
            requests.push(Request::Sound { stream: self.stream, order: self.order, samples });
        }
    }
}

/// Whether nobody speaks.
fn is_quiet(frame: &[i16]) -> bool {
    let energy: u64 = frame.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
    energy < QUIET * frame.len() as u64
}

/// The square of the loudest background, about −46 dBov.
const QUIET: u64 = 160 * 160;

#[cfg(test)]
mod tests {
    use super::*;

    fn take(most_ms: u32, silence_ms: u32, requests: &mut Vec<Request>) -> Take {
        let recording = Recording { file: "x".into(), most_ms, silence_ms, least_ms: 1000 };
        Take::new(StreamId(1), (3, recording), (8000, 1), requests)
    }

    #[test]
    fn two_channels_alternate_and_have_the_same_length() {
        let mut requests = Vec::new();
        let recording = Recording { file: "x".into(), most_ms: 60_000, silence_ms: 0, least_ms: 0 };
        let mut one = Take::new(StreamId(1), (3, recording), (16_000, 2), &mut requests);
        for _ in 0..75 {
            assert!(!one.push(&[&[100; 320], &[-100; 320]], &mut requests));
        }
        one.end(&mut requests);
        let samples = requests.iter().filter_map(|request| match request {
            Request::Sound { samples, .. } => Some(samples.as_slice()),
            _ => None,
        });
        let all = samples.collect::<Vec<_>>().concat();
        assert_eq!(all.len(), 75 * 320 * 2);
        assert!(all.chunks(2).all(|both| both == [100, -100]));
    }

    #[test]
    fn it_ends_with_silence_or_when_it_is_long_enough() {
        let (loud, quiet) = ([3000; 320], [3; 320]);
        let mut requests = Vec::new();
        let mut one = take(60_000, 2000, &mut requests);
        let mut frames = std::iter::repeat_n(loud, 100).chain(std::iter::repeat(quiet));
        assert_eq!(frames.position(|frame| one.push(&[&frame], &mut requests)), Some(199));
        one.end(&mut requests);
        let samples: usize = requests
            .iter()
            .map(|request| if let Request::Sound { samples, .. } = request { samples.len() } else { 0 })
            .sum();
        assert!(samples.abs_diff(4 * 8000) <= 1, "{samples}");
        assert_eq!(requests.last(), Some(&Request::End { stream: StreamId(1), order: 3, keep: true }));
        let mut one = take(500, 0, &mut requests);
        assert_eq!((0..).position(|_| one.push(&[&quiet], &mut requests)), Some(24));
        one.end(&mut requests);
        assert_eq!(requests.last(), Some(&Request::End { stream: StreamId(1), order: 3, keep: false }));
    }
}
