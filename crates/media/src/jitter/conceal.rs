//! Sound that waits to be played, with gaps filled by repeating the last pitch period while it fades
//! (in the manner of G.711 appendix I).

/// A queue of samples that can be continued by real sound or by made-up sound; joints are faded over.
#[derive(Debug, Default)]
pub(super) struct Tail {
    samples: Vec<i16>,
    /// What was appended last, for finding the pitch.
    history: Vec<i16>,
    repeat: Option<Repeat>,
}

/// A pitch period that is played over and over.
#[derive(Debug)]
struct Repeat {
    period: Vec<i16>,
    at: usize,
    done: usize,
}

impl Tail {
    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(super) fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// Takes `count` samples away from the front.
    pub(super) fn consume(&mut self, count: usize) {
        self.samples.drain(..count.min(self.samples.len()));
    }

    pub(super) fn append(&mut self, sound: &[i16]) {
        let start = self.samples.len();
        self.samples.extend_from_slice(sound);
        if let Some(mut repeat) = self.repeat.take() {
            let joint = JOINT.min(sound.len());
            for (n, sample) in self.samples[start..start + joint].iter_mut().enumerate() {
                *sample = fade(repeat.next(), *sample, n, joint);
            }
        }
        self.remember(start);
    }

    pub(super) fn conceal(&mut self, count: usize) {
        let history = &self.history;
        let mut repeat = self.repeat.take().unwrap_or_else(|| Repeat::of(history));
        let start = self.samples.len();
        self.samples.extend((0..count).map(|_| repeat.next()));
        self.repeat = Some(repeat);
        self.remember(start);
    }

    fn remember(&mut self, start: usize) {
        self.history.extend_from_slice(&self.samples[start..]);
        let surplus = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..surplus);
    }
}

impl Repeat {
    fn of(history: &[i16]) -> Repeat {
        let length = history.len();
        if length < HISTORY {
            // Too little to know the pitch.
            return Repeat { period: vec![0], at: 0, done: 0 };
        }
        let lag = pitch(history);
        let mut period = history[length - lag..].to_vec();
        let joint = lag / 4;
        // Its end leads into its beginning.
        for n in 0..joint {
            let place = lag - joint + n;
            period[place] = fade(period[place], history[length - lag - joint + n], n, joint);
        }
        Repeat { period, at: 0, done: 0 }
    }

    fn next(&mut self) -> i16 {
        let sample = i32::from(self.period[self.at]);
        self.at = (self.at + 1) % self.period.len();
        let left = FADED.saturating_sub(self.done.max(STEADY)) as i32;
        self.done += 1;
        (sample * left / (FADED - STEADY) as i32) as i16
    }
}

/// The lag at which the end of the history resembles itself most.
fn pitch(history: &[i16]) -> usize {
    let template = &history[history.len() - TEMPLATE..];
    let mut best = (f64::MIN, LAG_MIN);
    for lag in LAG_MIN..=LAG_MAX {
        let end = history.len() - lag;
        let score = likeness(template, &history[end - TEMPLATE..end]);
        if score > best.0 {
            best = (score, lag);
        }
    }
    best.1
}

/// Normalised cross-correlation, −1 to 1.
pub(super) fn likeness(a: &[i16], b: &[i16]) -> f64 {
    let (mut product, mut energy_a, mut energy_b) = (0i64, 1i64, 1i64);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (i64::from(*x), i64::from(*y));
        product += x * y;
        energy_a += x * x;
        energy_b += y * y;
    }
    product as f64 / (energy_a as f64 * energy_b as f64).sqrt()
}

/// From `old` to `new`, at step `n` of `steps`.
pub(super) fn fade(old: i16, new: i16, n: usize, steps: usize) -> i16 {
    let (n, whole) = (n as i32 + 1, steps as i32 + 1);
    ((i32::from(old) * (whole - n) + i32::from(new) * n) / whole) as i16
}

/// 5 ms.
const JOINT: usize = 40;
const TEMPLATE: usize = 160;
/// 200 Hz; higher voices fit several times.
const LAG_MIN: usize = 40;
/// 50 Hz.
const LAG_MAX: usize = 160;
/// Template, longest lag and joint.
const HISTORY: usize = 400;
/// 10 ms at full loudness …
const STEADY: usize = 80;
/// … and silent after 60.
const FADED: usize = 480;
