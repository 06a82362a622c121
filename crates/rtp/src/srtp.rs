//! SRTP and SRTCP (RFC 3711, 6188, 7714): suites, keys, and packets protected and opened in place.

mod key;
mod suite;

pub use key::{InlineError, MasterKey};
pub use suite::Suite;
