//! Gives back what was heard, a little later.

use std::collections::VecDeque;
use std::time::Duration;

/// A line of frames: what goes in comes out after the delay.
#[derive(Clone, Debug)]
pub struct Echo {
    line: VecDeque<Vec<i16>>,
}

impl Echo {
    /// With a delay, rounded down to whole frames of 20 ms, at most 10 s.
    pub fn new(delay: Duration) -> Echo {
        let frames = delay.min(MAX_DELAY).as_millis() as usize / 20;
        Echo { line: vec![Vec::new(); frames].into() }
    }

    /// Takes the 20 ms heard now and gives those to say now, as long as those: silence where the rate has changed
    /// since.
    pub fn turn(&mut self, heard: &[i16]) -> Vec<i16> {
        self.line.push_back(heard.to_vec());
        let old = self.line.pop_front().filter(|old| old.len() == heard.len());
        old.unwrap_or_else(|| vec![0; heard.len()])
    }
}

const MAX_DELAY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_comes_back_after_the_delay() {
        let mut echo = Echo::new(Duration::from_millis(45));
        let back: Vec<i16> = (1..6).map(|n| echo.turn(&[n; 160])[0]).collect();
        assert_eq!(back, [0, 0, 1, 2, 3]);
        assert_eq!(Echo::new(Duration::ZERO).turn(&[7; 320]), [7; 320]);
        assert_eq!(echo.turn(&[7; 320]), [0; 320]);
    }
}
