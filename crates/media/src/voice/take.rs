//! A recording under way.

use super::file::Request;
use super::{RATE, Recording};
use crate::SAMPLE_RATE;
use crate::command::StreamId;
use crate::resample::Resampler;

/// What has been recorded since it was last handed to the driver, and how long it may go on.
#[derive(Debug)]
pub(super) struct Take {
    order: u32,
    stream: StreamId,
    recording: Recording,
    rate: u32,
    resampler: Resampler,
    waiting: Vec<i16>,
    ms: u32,
    quiet_ms: u32,
}

impl Take {
    /// Begins one, for a phone with sound of `rate`.
    pub(super) fn new(
        stream: StreamId,
        (order, recording): (u32, Recording),
        rate: u32,
        requests: &mut Vec<Request>,
    ) -> Take {
        // What the telephone band holds needs no more.
        let rate = if rate <= SAMPLE_RATE { SAMPLE_RATE } else { RATE };
        requests.push(Request::Begin { stream, order, file: recording.file.clone(), rate });
        let resampler = Resampler::new(RATE, rate);
        Take { order, stream, recording, rate, resampler, waiting: Vec::new(), ms: 0, quiet_ms: 0 }
    }

    pub(super) fn order(&self) -> u32 {
        self.order
    }

    /// Takes 20 ms; true when it is long enough, or nobody speaks any more.
    pub(super) fn push(&mut self, frame: &[i16], requests: &mut Vec<Request>) -> bool {
        self.resampler.push(frame, &mut self.waiting);
        self.ms += 20;
        self.quiet_ms = if is_quiet(frame) { self.quiet_ms + 20 } else { 0 };
        if self.waiting.len() >= self.rate as usize {
            self.hand_over(requests);
        }
        let silent = self.recording.silence_ms > 0 && self.quiet_ms >= self.recording.silence_ms;
        silent || self.ms >= self.recording.most_ms
    }

    /// Ends it.
    pub(super) fn end(mut self, requests: &mut Vec<Request>) {
        self.hand_over(requests);
        let keep = self.ms >= self.recording.least_ms;
        requests.push(Request::End { stream: self.stream, order: self.order, keep });
    }

    fn hand_over(&mut self, requests: &mut Vec<Request>) {
        let samples = std::mem::take(&mut self.waiting);
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
        Take::new(StreamId(1), (3, recording), 8000, requests)
    }

    #[test]
    fn it_ends_with_silence_or_when_it_is_long_enough() {
        let (loud, quiet) = ([3000; 320], [3; 320]);
        let mut requests = Vec::new();
        let mut one = take(60_000, 2000, &mut requests);
        let mut frames = std::iter::repeat_n(loud, 100).chain(std::iter::repeat(quiet));
        assert_eq!(frames.position(|frame| one.push(&frame, &mut requests)), Some(199));
        one.end(&mut requests);
        let samples: usize = requests
            .iter()
            .map(|request| if let Request::Sound { samples, .. } = request { samples.len() } else { 0 })
            .sum();
        assert!(samples.abs_diff(4 * 8000) <= 1, "{samples}");
        assert_eq!(requests.last(), Some(&Request::End { stream: StreamId(1), order: 3, keep: true }));
        let mut one = take(500, 0, &mut requests);
        assert_eq!((0..).position(|_| one.push(&quiet, &mut requests)), Some(24));
        one.end(&mut requests);
        assert_eq!(requests.last(), Some(&Request::End { stream: StreamId(1), order: 3, keep: false }));
    }
}
