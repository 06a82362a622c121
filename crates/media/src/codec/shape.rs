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
    /// Empty between packets.
    steps: Vec<[Step; WAYS]>,
    next: Vec<Way<S>>,
}

#[derive(Clone, Debug)]
struct Way<S> {
    /// The newest first.
    errors: [f32; ORDER],
    cost: f32,
    state: S,
}

/// One more sample on a way: the way that it goes on from, the code, and what comes of it.
#[derive(Clone, Copy, Debug)]
struct Step {
    from: usize,
    code: u8,
    error: f32,
    cost: f32,
}

impl<S: Clone> Shape<S> {
    pub(super) fn new(state: S) -> Self {
        let way = Way { errors: [0.0; ORDER], cost: 0.0, state };
        let (steps, next) = (Vec::new(), Vec::new());
        Shape { ways: vec![way], weights: [0.0; ORDER], said: [0.0; WINDOW], at: 0, steps, next }
    }

    /// Appends the codes of `samples` to `out`.
    pub(super) fn encode(
        &mut self,
        samples: &[i16],
        quantiser: &impl Quantiser<State = S>,
        out: &mut Vec<u8>,
    ) {
        for piece in samples.chunks(STEP) {
            self.listen(piece);
            for sample in piece {
                self.go_on(*sample, quantiser);
            }
        }
        let start = out.len();
        out.resize(start + samples.len(), 0);
        let mut way = 0;
        for (code, steps) in out[start..].iter_mut().zip(&self.steps).rev() {
            (*code, way) = (steps[way].code, steps[way].from);
        }
        // What is sent is decided.
        self.steps.clear();
        self.ways.truncate(1);
        self.ways[0].cost = 0.0;
    }

    /// Takes the best steps of all ways.
    fn go_on(&mut self, sample: i16, quantiser: &impl Quantiser<State = S>) {
        let mut best = [Step { from: 0, code: 0, error: 0.0, cost: f32::INFINITY }; WAYS];
        for (from, way) in self.ways.iter().enumerate() {
            let pull: f32 = way.errors.iter().zip(&self.weights).map(|(error, weight)| error * weight).sum();
            let aim = f32::from(sample) - pull;
            // The cast saturates.
            for (code, heard) in quantiser.nearest(&way.state, aim.round() as i16) {
                let heard = f32::from(heard);
                let cost = way.cost + (heard - aim).powi(2);
                let place = best.iter().take_while(|better| better.cost <= cost).count();
                if let Some(worse) = best.get_mut(place..)
                    && !worse.is_empty()
                {
                    worse.rotate_right(1);
                    worse[0] = Step { from, code, error: heard - f32::from(sample), cost };
                }
            }
        }
        for step in best {
            let Way { errors: before, state, .. } = &self.ways[step.from];
            let mut errors = [0.0; ORDER];
            errors[1..].copy_from_slice(&before[..ORDER - 1]);
            // Where the code has no place for the sound, as above its loudest, the error is not to be paid back.
            errors[0] = if step.error.abs() > LARGEST { 0.0 } else { step.error };
            let mut state = state.clone();
            quantiser.chosen(&mut state, step.code);
            self.next.push(Way { errors, cost: step.cost, state });
        }
        std::mem::swap(&mut self.ways, &mut self.next);
        self.next.clear();
        self.steps.push(best);
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
/// How many ways are pursued: no more than the steps from one.
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
