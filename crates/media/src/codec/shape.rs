//! Noise feedback: codes are chosen so that the error of quantising, seen over time, has the spectrum of the speech. The
//! nearest code is not always the best one, so a few ways of encoding are pursued at a time.

/// What a code means, which may depend on those before it.
pub(super) trait Quantiser {
    /// What it remembers of the codes so far.
    type State: Clone;

    /// The two codes beside a value, the nearer first, and what each means.
    fn nearest(&self, state: &Self::State, value: i16) -> [(u8, i16); 2];

    /// A code was chosen.
    fn chosen(&self, state: &mut Self::State, code: u8);
}

/// The ways in which what was said so far could have been encoded, and what an error weighs.
#[derive(Clone, Debug)]
pub(super) struct Shape<S> {
    /// The best first.
    ways: Vec<Way<S>>,
    weights: [f32; ORDER],
    /// What was said lately, in a ring.
    said: [f32; WINDOW],
    at: usize,
}

#[derive(Clone, Debug)]
struct Way<S> {
    /// The newest first.
    errors: [f32; ORDER],
    cost: f32,
    /// Its last code, and the number of the way that it goes on from.
    step: (u8, u8),
    state: S,
}

impl<S: Clone> Shape<S> {
    pub(super) fn new(state: S) -> Self {
        let way = Way { errors: [0.0; ORDER], cost: 0.0, step: (0, 0), state };
        Shape { ways: vec![way], weights: [0.0; ORDER], said: [0.0; WINDOW], at: 0 }
    }

    /// Appends the codes of `samples` to `out`.
    pub(super) fn encode(
        &mut self,
        samples: &[i16],
        quantiser: &impl Quantiser<State = S>,
        out: &mut Vec<u8>,
    ) {
        let mut steps = Vec::with_capacity(samples.len());
        let mut next = Vec::with_capacity(2 * WAYS);
        for piece in samples.chunks(STEP) {
            self.listen(piece);
            for sample in piece {
                for (number, way) in (0..).zip(&self.ways) {
                    way.go_on(*sample, &self.weights, quantiser, number, &mut next);
                }
                next.sort_unstable_by(|one, other| one.cost.total_cmp(&other.cost));
                next.truncate(WAYS);
                for way in &mut next {
                    quantiser.chosen(&mut way.state, way.step.0);
                }
                std::mem::swap(&mut self.ways, &mut next);
                next.clear();
                steps.push(std::array::from_fn::<_, WAYS, _>(|n| {
                    self.ways.get(n).map_or((0, 0), |way| way.step)
                }));
            }
        }
        let start = out.len();
        out.resize(start + samples.len(), 0);
        let mut way = 0;
        for (code, step) in out[start..].iter_mut().zip(&steps).rev() {
            (*code, way) = (step[way].0, usize::from(step[way].1));
        }
        // What is sent is decided.
        self.ways.truncate(1);
        self.ways[0].cost = 0.0;
    }

    /// What the quantiser remembers, once a piece is encoded.
    #[cfg(test)]
    pub(super) fn state(&self) -> &S {
        &self.ways[0].state
    }

    fn listen(&mut self, piece: &[i16]) {
        for sample in piece {
            self.said[self.at] = f32::from(*sample);
            self.at = (self.at + 1) % WINDOW;
        }
        self.weights = self.weigh();
    }

    fn weigh(&self) -> [f32; ORDER] {
        let (newer, older) = self.said.split_at(self.at);
        let mut window = [0.0; WINDOW];
        for (n, (place, value)) in window.iter_mut().zip(older.iter().chain(newer)).enumerate() {
            // Rises, since what is encoded now matters most.
            *place = value * (n as f32 + 0.5) / WINDOW as f32;
        }
        let r: [f32; ORDER + 1] = std::array::from_fn(|lag| product(&window[lag..], &window[..WINDOW - lag]));
        // In silence every error counts for itself.
        if r[0] < QUIET { [0.0; ORDER] } else { predictor(&r) }
    }
}

impl<S: Clone> Way<S> {
    /// Appends both ways to go on from here.
    fn go_on(
        &self,
        sample: i16,
        weights: &[f32; ORDER],
        quantiser: &impl Quantiser<State = S>,
        number: u8,
        next: &mut Vec<Self>,
    ) {
        let pull: f32 = self.errors.iter().zip(weights).map(|(error, weight)| error * weight).sum();
        let aim = f32::from(sample) - pull;
        // The cast saturates.
        for (code, heard) in quantiser.nearest(&self.state, aim.round() as i16) {
            let heard = f32::from(heard);
            let error = heard - f32::from(sample);
            let mut errors = [0.0; ORDER];
            errors[1..].copy_from_slice(&self.errors[..ORDER - 1]);
            // Where the code has no place for the sound, as above its loudest, the error is not to be paid back.
            errors[0] = if error.abs() > LARGEST { 0.0 } else { error };
            let cost = self.cost + (heard - aim).powi(2);
            next.push(Way { errors, cost, step: (code, number), state: self.state.clone() });
        }
    }
}

/// The coefficients a of A(z) = 1 + Σ a·z⁻ⁿ by the Levinson-Durbin recursion.
fn predictor(r: &[f32; ORDER + 1]) -> [f32; ORDER] {
    let mut a = [0.0; ORDER];
    let mut error = r[0] * (1.0 + WHITE) + 1.0;
    for order in 0..ORDER {
        let sum: f32 = r[order + 1] + (0..order).map(|n| a[n] * r[order - n]).sum::<f32>();
        let k = (-sum / error).clamp(-0.99, 0.99);
        let before = a;
        for n in 0..order {
            a[n] = before[n] + k * before[order - 1 - n];
        }
        a[order] = k;
        error *= 1.0 - k * k;
    }
    a
}

/// The sum of the products, in lanes that the processor adds up side by side.
fn product(one: &[f32], other: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest: f32 = ones.remainder().iter().zip(others.remainder()).map(|(a, b)| a * b).sum();
    for (one, other) in ones.zip(others) {
        for (lane, (a, b)) in lanes.iter_mut().zip(one.iter().zip(other)) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

const ORDER: usize = 10;
/// How many ways are pursued.
const WAYS: usize = 2;
const LANES: usize = 8;
/// 20 ms.
const WINDOW: usize = 160;
/// 5 ms.
const STEP: usize = 40;
/// A floor of noise that keeps the predictor from ringing.
const WHITE: f32 = 0.03;
/// −66 dB over the window.
const QUIET: f32 = 160.0 * 16.0 * 16.0 / 3.0;
/// Twice the coarsest step.
const LARGEST: f32 = 2048.0;
