//! DTMF in the sound itself (ITU-T Q.23, Q.24): keys as two tones, made and heard.

use crate::spectrum::goertzel;
use crate::tone::Tone;

/// The two frequencies of a key in Hz: `0`–`9`, `*`, `#`, `A`–`D` in either case.
pub fn frequencies(digit: char) -> Option<(f32, f32)> {
    let digit = digit.to_ascii_uppercase();
    let place = KEYS.iter().position(|key| *key == digit)?;
    Some((LOW[place / 4], HIGH[place % 4]))
}

/// The tone of a key at the usual loudness; `None` for what is not on a key pad.
pub fn tone(digit: char, rate: u32) -> Option<Tone> {
    let (low, high) = frequencies(digit)?;
    Some(Tone::mix(&[low, high], 1, 0, -10.0, rate))
}

/// Finds keys in sound of [`crate::SAMPLE_RATE`].
#[derive(Clone, Debug, Default)]
pub struct Detector {
    block: Vec<i16>,
    /// The key of the last block, and in how many blocks it was heard in a row.
    current: Option<char>,
    heard: u32,
    /// Blocks since the key that is down was last heard; a short drop-out does not repeat a key.
    missing: u32,
    down: Option<char>,
}

/// What a detector noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// A key has sounded for two blocks, that is, for 26 to 40 ms.
    Down(char),
    /// The key sounds no longer, for 26 ms.
    Up(char),
}

impl Detector {
    /// Nothing heard yet.
    pub fn new() -> Detector {
        Detector::default()
    }

    /// Listens; appends each key to `keys` once, when it has sounded for 40 ms.
    pub fn push(&mut self, samples: &[i16], keys: &mut Vec<char>) {
        let mut presses = Vec::new();
        self.listen(samples, &mut presses);
        keys.extend(presses.into_iter().filter_map(|press| match press {
            Press::Down(key) => Some(key),
            Press::Up(_) => None,
        }));
    }

    /// Listens; appends what happened to the keys, at most one entry for each 13 ms, each `Up` after its `Down`.
    pub fn listen(&mut self, samples: &[i16], presses: &mut Vec<Press>) {
        for piece in samples.chunks(BLOCK) {
            let (now, next) = piece.split_at(piece.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(now);
            if self.block.len() == BLOCK {
                self.block_is_full(presses);
                self.block.clear();
            }
            self.block.extend_from_slice(next);
        }
    }

    /// The key that is down.
    pub fn down(&self) -> Option<char> {
        self.down
    }

    fn block_is_full(&mut self, presses: &mut Vec<Press>) {
        let key = key_of(&self.block);
        if key.is_some() && key == self.current {
            self.heard += 1;
        } else {
            self.heard = u32::from(key.is_some());
        }
        self.current = key;
        if self.down.is_some() && key == self.down {
            self.missing = 0;
            return;
        }
        self.missing += 1;
        if self.missing >= ENDED {
            presses.extend(self.down.take().map(Press::Up));
        }
        if let Some(key) = key
            && self.heard >= BELIEVED
        {
            presses.extend(self.down.replace(key).map(Press::Up));
            presses.push(Press::Down(key));
            self.missing = 0;
        }
    }
}

fn key_of(block: &[i16]) -> Option<char> {
    let energy: f32 = block.iter().map(|s| f32::from(*s).powi(2)).sum();
    if energy / (block.len() as f32) < FAINTEST {
        return None;
    }
    let strongest = |group: &[f32; 4]| {
        let mut shares = group.map(|hz| goertzel(block, hz, crate::SAMPLE_RATE as f32));
        let best = (0..4).max_by(|a, b| shares[*a].total_cmp(&shares[*b]))?;
        let power = shares[best];
        shares[best] = 0.0;
        let second = shares.into_iter().fold(0.0, f32::max);
        (power > 6.0 * second).then_some((best, power))
    };
    let (row, low) = strongest(&LOW)?;
    let (column, high) = strongest(&HIGH)?;
    // Both together are nearly all there is (speech has more), and neither is much louder (twist).
    let twist = low / high;
    (low + high > PURITY && (REVERSE_TWIST..TWIST).contains(&twist)).then(|| KEYS[4 * row + column])
}

const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [char; 16] = ['1', '2', '3', 'A', '4', '5', '6', 'B', '7', '8', '9', 'C', '*', '0', '#', 'D'];
/// 13 ms: two of them fit into the shortest key (40 ms) however they fall, and bins are as wide as rows.
const BLOCK: usize = 105;
/// Blocks in a row before a key is believed.
const BELIEVED: u32 = 2;
/// Blocks of something else before the same key counts again.
const ENDED: u32 = 2;
/// −45 dBov.
const FAINTEST: f32 = 32768.0 * 32768.0 * 3e-5;
const PURITY: f32 = 0.7;
/// The row may be 8 dB louder than the column, and the column 4 dB louder than the row (Q.24 annex A, AT&T); a dB
/// more for the sake of filters on the way.
const TWIST: f32 = 8.0;
const REVERSE_TWIST: f32 = 0.316;

#[cfg(test)]
mod tests;
