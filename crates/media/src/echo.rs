//! Gives back what was heard, a little later.

use crate::{FRAME, Frame, SILENCE};
use std::collections::VecDeque;
use std::time::Duration;

/// A line of frames: what goes in comes out after the delay.
#[derive(Clone, Debug)]
pub struct Echo {
    line: VecDeque<Frame>,
}

impl Echo {
    /// With a delay, rounded down to whole frames of 20 ms, at most 10 s.
    pub fn new(delay: Duration) -> Echo {
        let frames = delay.min(MAX_DELAY).as_millis() as usize * crate::SAMPLE_RATE as usize / 1000 / FRAME;
        Echo { line: vec![SILENCE; frames].into() }
    }

    /// Takes the frame heard now and gives the one to say now.
    pub fn turn(&mut self, heard: &Frame) -> Frame {
        self.line.push_back(*heard);
        self.line.pop_front().unwrap_or(SILENCE)
    }
}

const MAX_DELAY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_comes_back_after_the_delay() {
        let mut echo = Echo::new(Duration::from_millis(45));
        let back: Vec<i16> = (1..6).map(|n| echo.turn(&[n; FRAME])[0]).collect();
        assert_eq!(back, [0, 0, 1, 2, 3]);
        assert_eq!(Echo::new(Duration::ZERO).turn(&[7; FRAME]), [7; FRAME]);
    }
}
