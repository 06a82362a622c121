//! What the network does to a datagram.

use std::time::Duration;

use rand::RngExt as _;

/// The network between any two: loses, delays and thereby reorders datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The share of datagrams that is lost, 0 to 1.
    pub loss: f64,
    /// How long every datagram takes.
    pub delay: Duration,
    /// How much longer some take, evenly spread.
    pub jitter: Duration,
}

impl Link {
    /// Loses nothing and takes one millisecond.
    pub const GOOD: Self = Self { loss: 0.0, delay: Duration::from_millis(1), jitter: Duration::ZERO };

    /// After what time a datagram arrives; `None` if it is lost.
    pub(crate) fn carry(&self, rng: &mut offhook_sip_stack::Rng) -> Option<Duration> {
        if self.loss > 0.0 && rng.random::<f64>() < self.loss {
            return None;
        }
        let more = if self.jitter.is_zero() { 0.0 } else { rng.random::<f64>() };
        Some(self.delay + self.jitter.mul_f64(more))
    }
}
