//! The quadrature mirror filters of G.722: 16 kHz into two bands of 8 kHz, and back (clauses 3.1, 4.4).

/// Splits sound into bands.
#[derive(Clone, Debug, Default)]
pub(super) struct Analysis {
    x: [i32; 24],
}

/// Joins bands into sound.
#[derive(Clone, Debug, Default)]
pub(super) struct Synthesis {
    x: [i32; 24],
}

impl Analysis {
    /// The next sample of the lower and the upper band, with 15 bits.
    pub(super) fn split(&mut self, first: i16, second: i16) -> (i32, i32) {
        self.remember(first, second);
        let (even, odd) = sums(&self.x);
        ((even + odd) >> 14, (even - odd) >> 14)
    }

    /// Takes two samples without splitting them.
    pub(super) fn remember(&mut self, first: i16, second: i16) {
        push(&mut self.x, i32::from(first), i32::from(second));
    }
}

impl Synthesis {
    /// Two samples out of one of each band.
    pub(super) fn join(&mut self, low: i32, high: i32) -> [i16; 2] {
        push(&mut self.x, low + high, low - high);
        let (even, odd) = sums(&self.x);
        [even, odd].map(|sum| (sum >> 11).clamp(-32_768, 32_767) as i16)
    }
}

fn push(x: &mut [i32; 24], first: i32, second: i32) {
    x.copy_within(2.., 0);
    x[22] = first;
    x[23] = second;
}

fn sums(x: &[i32; 24]) -> (i32, i32) {
    let (mut even, mut odd) = (0, 0);
    for (n, pair) in x.chunks_exact(2).enumerate() {
        odd += pair[0] * HALF[n];
        even += pair[1] * HALF[11 - n];
    }
    (even, odd)
}

/// Every other coefficient; the filter is symmetric, so the others are these backwards.
const HALF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
