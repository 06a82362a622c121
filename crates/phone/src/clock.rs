//! The one place of the phone that reads the clock and the system's randomness.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offhook_sip_stack::Rng;
use rand::SeedableRng as _;

/// The present moment.
#[allow(clippy::disallowed_methods)] // A driver is where the time comes from.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time since 1970, for reports and captures.
#[allow(clippy::disallowed_methods)]
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Random numbers that nobody can guess.
pub(crate) fn rng() -> Result<Rng, getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(Rng::from_seed(seed))
}
