//! Where the time comes from.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offhook_exchange::config::Epoch;

/// Now.
#[allow(clippy::disallowed_methods)] // A driver is where the time comes from.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Now, since 1970.
#[allow(clippy::disallowed_methods)]
pub fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The tie between the two.
pub(crate) fn epoch() -> Epoch {
    Epoch { instant: now(), unix: unix() }
}

/// Lets this thread rest. For threads that nobody waits for.
#[allow(clippy::disallowed_methods)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
