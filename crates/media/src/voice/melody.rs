//! The melody that those hear who wait, where nobody has put music of their own: soft notes that go round for ever.

use super::RATE;

/// Where it stands.
#[derive(Debug, Default)]
pub(super) struct Melody {
    at: usize,
}

impl Melody {
    /// The next samples of it.
    pub(super) fn fill(&mut self, place: &mut [i16]) {
        for sample in place {
            let (note, within) = (self.at / NOTE, self.at % NOTE);
            let now = struck(NOTES[note % NOTES.len()], within);
            // The note before rings on.
            let before = struck(NOTES[(note + NOTES.len() - 1) % NOTES.len()], within + NOTE);
            *sample = (LEVEL * (now + before)) as i16;
            self.at = (self.at + 1) % (NOTE * NOTES.len());
        }
    }
}

/// A string so many samples after it was struck: it swells within a few milliseconds and fades.
fn struck(hz: f32, samples: usize) -> f32 {
    let seconds = samples as f32 / RATE as f32;
    let turn = std::f32::consts::TAU * hz * seconds;
    (turn.sin() + 0.3 * (2.0 * turn).sin()) * (seconds / SWELL).min(1.0) * (-seconds / FADE).exp()
}

/// In Hz: chords of C, A minor, F and G, taken apart.
const NOTES: [f32; 32] = [
    261.6, 329.6, 392.0, 523.3, 392.0, 329.6, 392.0, 329.6, //
    220.0, 261.6, 329.6, 440.0, 329.6, 261.6, 329.6, 261.6, //
    349.2, 440.0, 523.3, 698.5, 523.3, 440.0, 523.3, 440.0, //
    392.0, 493.9, 587.3, 784.0, 587.3, 493.9, 587.3, 493.9,
];
/// Samples from one note to the next.
const NOTE: usize = RATE as usize * 2 / 5;
/// Seconds.
const SWELL: f32 = 0.02;
const FADE: f32 = 0.35;
/// Quieter than speech.
const LEVEL: f32 = 1400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_for_ever_quietly_and_without_a_click() {
        let mut melody = Melody::default();
        let mut all = vec![0; 30 * RATE as usize];
        all.chunks_mut(320).for_each(|frame| melody.fill(frame));
        let loudest = all.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        assert!((500..4000).contains(&loudest), "{loudest}");
        let step = all.windows(2).map(|two| two[0].abs_diff(two[1])).max().unwrap_or(0);
        assert!(step < 1200, "{step}");
        let silent = all.chunks(RATE as usize / 2).any(|half| half.iter().all(|sample| sample.abs() < 50));
        assert!(!silent);
    }
}
