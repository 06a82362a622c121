//! The two adaptive quantisers of G.722 and their predictors (clauses 3.2 to 3.6, 6.2).

use crate::codec::shape::Quantiser;

/// The state that an encoder and its decoder share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bands {
    pub(super) low: Band,
    pub(super) high: Band,
}

/// One band: a quantiser step and a predictor of two poles and six zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Band {
    /// Logarithm of the step, and the step.
    nb: i32,
    det: i32,
    /// Poles and zeros.
    a: [i32; 2],
    b: [i32; 6],
    /// The past: reconstructed signal, partially reconstructed signal, quantised differences.
    r: [i32; 2],
    p: [i32; 2],
    d: [i32; 6],
    /// Predictions: all zeros, and with the poles.
    sz: i32,
    s: i32,
}

impl Default for Bands {
    fn default() -> Bands {
        let band = |det| Band { det, ..Band::default() };
        Bands { low: band(32), high: band(8) }
    }
}

impl Bands {
    /// The code of a sample of each band.
    pub(super) fn encode(&mut self, low: i32, high: i32) -> u8 {
        let lower = self.low.low_code(low);
        self.low.adapt_low(usize::from(lower >> 2));
        self.high.encode_high(high) << 6 | lower
    }

    /// A sample of each band out of a code.
    pub(super) fn decode(&mut self, code: u8) -> (i32, i32) {
        let lower = usize::from(code & 0x3f);
        let upper = usize::from(code >> 6);
        let low = self.low.low_sample(lower);
        self.low.adapt_low(lower >> 2);
        let high = limit(self.high.s + ((self.high.det * QM2[upper]) >> 15));
        self.high.adapt_high(upper);
        (low, high)
    }
}

/// The quantiser of the lower band.
pub(super) struct LowerBand;

impl Quantiser for LowerBand {
    type State = Band;

    fn nearest(&self, band: &Band, value: i16) -> [(u8, i16); 2] {
        let code = band.low_code(i32::from(value));
        let heard = narrow(band.low_sample(usize::from(code)));
        let other = if heard > value { BELOW } else { ABOVE }[usize::from(code)];
        [(code, heard), (other, narrow(band.low_sample(usize::from(other))))]
    }

    fn chosen(&self, band: &mut Band, code: u8) {
        band.adapt_low(usize::from(code >> 2));
    }
}

/// A sample of a band, which has 15 bits.
pub(super) fn narrow(sample: i32) -> i16 {
    saturate(sample) as i16
}

impl Band {
    /// The nearest code of the lower band.
    fn low_code(&self, low: i32) -> u8 {
        let difference = saturate(low - self.s);
        let size = magnitude(difference);
        let level = (1..30).find(|n| size < (Q6[*n] * self.det) >> 12).unwrap_or(30);
        if difference < 0 { NEGATIVE[level] } else { POSITIVE[level] }
    }

    /// What a code of the lower band means.
    fn low_sample(&self, code: usize) -> i32 {
        limit(self.s + ((self.det * QM6[code]) >> 15))
    }

    /// The code of a sample of the upper band.
    pub(super) fn encode_high(&mut self, high: i32) -> u8 {
        let difference = saturate(high - self.s);
        let large = magnitude(difference) >= (564 * self.det) >> 12;
        let code = match (difference < 0, large) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        };
        self.adapt_high(usize::from(code));
        code
    }

    fn adapt_low(&mut self, code: usize) {
        let difference = (self.det * QM4[code]) >> 15;
        self.nb = (((self.nb * 127) >> 7) + WL[RL42[code]]).clamp(0, 18_432);
        self.det = step(self.nb, 8);
        self.predict(difference);
    }

    fn adapt_high(&mut self, code: usize) {
        let difference = (self.det * QM2[code]) >> 15;
        self.nb = (((self.nb * 127) >> 7) + WH[code & 1]).clamp(0, 22_528);
        self.det = step(self.nb, 10);
        self.predict(difference);
    }

    /// Adapts the predictor to a quantised difference, and predicts the next sample (block 4).
    fn predict(&mut self, d: i32) {
        let r = saturate(self.s + d);
        let p = saturate(self.sz + d);
        self.adapt_poles(p);
        self.adapt_zeros(d);
        self.r = [r, self.r[0]];
        self.p = [p, self.p[0]];
        self.d.copy_within(..5, 1);
        self.d[0] = d;
        let product = |coefficient: i32, value: i32| (coefficient * saturate(2 * value)) >> 15;
        let sp = saturate(product(self.a[0], self.r[0]) + product(self.a[1], self.r[1]));
        self.sz = saturate(self.b.iter().zip(&self.d).map(|(b, d)| product(*b, *d)).sum());
        self.s = saturate(sp + self.sz);
    }

    fn adapt_poles(&mut self, p: i32) {
        let same = |other: i32| (p < 0) == (other < 0);
        let four = saturate(self.a[0] << 2);
        let towards = if same(self.p[0]) { -four } else { four }.min(32_767);
        let nudge = if same(self.p[1]) { 128 } else { -128 };
        let second = nudge + (towards >> 7) + ((self.a[1] * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let nudge = if same(self.p[0]) { 192 } else { -192 };
        let first = saturate(nudge + ((self.a[0] * 32_640) >> 15));
        let most = saturate(15_360 - second);
        self.a = [first.clamp(-most, most), second];
    }

    fn adapt_zeros(&mut self, d: i32) {
        let nudge = if d == 0 { 0 } else { 128 };
        for (b, past) in self.b.iter_mut().zip(&self.d) {
            let towards = if (d < 0) == (*past < 0) { nudge } else { -nudge };
            *b = saturate(towards + ((*b * 32_640) >> 15));
        }
    }
}

fn step(nb: i32, shift: i32) -> i32 {
    let mantissa = ILB[((nb >> 6) & 31) as usize];
    let shift = shift - (nb >> 11);
    (if shift < 0 { mantissa << -shift } else { mantissa >> shift }) << 2
}

fn magnitude(difference: i32) -> i32 {
    if difference < 0 { -(difference + 1) } else { difference }
}

fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

fn limit(value: i32) -> i32 {
    value.clamp(-16_384, 16_383)
}

/// Decision levels of the lower band.
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121,
    1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// Codes of the lower band by level.
const NEGATIVE: [u8; 31] = [
    0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8,
    7, 6, 5, 4,
];
const POSITIVE: [u8; 31] = [
    0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37,
    36, 35, 34, 33, 32,
];
/// By code of the lower band, the next one below and above it.
const BELOW: [u8; 64] = beside(&NEGATIVE, &POSITIVE);
const ABOVE: [u8; 64] = beside(&POSITIVE, &NEGATIVE);

/// By code, the next one outwards among `these` and inwards among `those`.
const fn beside(these: &[u8; 31], those: &[u8; 31]) -> [u8; 64] {
    let mut next = [0; 64];
    let mut level = 1;
    while level < 31 {
        next[these[level] as usize] = these[if level < 30 { level + 1 } else { level }];
        next[those[level] as usize] = if level > 1 { those[level - 1] } else { these[1] };
        level += 1;
    }
    next
}

/// Output levels of the lower band by six bits, and by the four that the predictor uses.
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232,
    -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032,
    -1688, -1360, -1040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9360,
    8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040,
    728, 432, 136, -432, -136,
];
const QM4: [i32; 16] =
    [0, -20_456, -12_896, -8968, -6288, -4240, -2584, -1200, 20_456, 12_896, 8968, 6288, 4240, 2584, 1200, 0];
/// Output levels of the upper band.
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];
/// How the step of the lower band grows, by code.
const RL42: [usize; 16] = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0];
const WL: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];
/// The same of the upper band, for large and small differences.
const WH: [i32; 2] = [798, -214];
/// Powers of two in 32 steps.
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
