//! What the tests of the usages share.

use std::time::Instant;

/// A moment to begin with.
#[allow(clippy::disallowed_methods)]
pub(super) fn epoch() -> Instant {
    Instant::now()
}
