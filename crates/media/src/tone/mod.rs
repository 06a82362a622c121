//! Tones a telephone makes, and what a piece of sound is: tone, speech or silence.

mod analyse;
mod make;

pub use analyse::{Analyser, Expectation, Heard, UnknownExpectation, analyse};
pub use make::{BUSY, CONGESTION, Cadence, DIAL, RINGBACK, Tone};

#[cfg(test)]
mod tests;
