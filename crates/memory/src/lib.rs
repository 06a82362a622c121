//! The allocator of the program, and giving memory back after a peak.
//!
//! A signal thread allocates and frees by the hundred for each call, and another thread frees some of it: that is what
//! this allocator is quick at.

/// To be the `#[global_allocator]` of a program.
pub type Allocator = mimalloc::MiMalloc;

/// The allocator.
pub const ALLOCATOR: Allocator = mimalloc::MiMalloc;

/// Gives the system back what the calling thread has freed. By itself the allocator does so only while it is at work, so
/// the memory of a peak would stay until the next. It takes some milliseconds after a large peak.
pub fn give_back() {
    // SAFETY: it may be called by any thread at any time; it touches only what is free.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}

/// When to [`give_back`]: watches a number that goes with the memory in use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peak(usize);

impl Peak {
    /// Takes note of the number, now and then. Returns whether it has fallen below half of its peak, of which the next one
    /// knows nothing any more.
    pub fn is_over(&mut self, now: usize) -> bool {
        let over = self.0 > SMALL && now < self.0 / 2;
        self.0 = if over { now } else { self.0.max(now) };
        over
    }
}

/// No peak.
const SMALL: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_over_once() {
        let mut peak = Peak::default();
        let over: Vec<bool> = [10, 0, 400, 3_000, 1_500, 1_499, 1_499, 800, 700, 0, 0]
            .into_iter()
            .map(|now| peak.is_over(now))
            .collect();
        let expected = [false, false, false, false, false, true, false, false, true, true, false];
        assert_eq!(over, expected);
        give_back();
    }
}
