//! A queue of samples between a sound card's callback and the phone: neither side ever waits.

use std::sync::atomic::{AtomicI16, AtomicUsize, Ordering};

/// For one thread that pushes and one that pops.
#[derive(Debug)]
pub(crate) struct Ring {
    samples: Box<[AtomicI16]>,
    /// Ever pushed; written by the pushing side only.
    pushed: AtomicUsize,
    /// Ever popped; written by the popping side only.
    popped: AtomicUsize,
}

impl Ring {
    /// With room for this many samples.
    pub(crate) fn new(room: usize) -> Self {
        let samples = (0..room.max(1)).map(|_| AtomicI16::new(0)).collect();
        Self { samples, pushed: AtomicUsize::new(0), popped: AtomicUsize::new(0) }
    }

    /// How many samples wait.
    pub(crate) fn len(&self) -> usize {
        self.pushed.load(Ordering::Acquire).wrapping_sub(self.popped.load(Ordering::Acquire))
    }

    /// Adds a sample; drops it if there is no room.
    pub(crate) fn push(&self, sample: i16) {
        if self.len() < self.samples.len() {
            let pushed = self.pushed.load(Ordering::Relaxed);
            self.samples[pushed % self.samples.len()].store(sample, Ordering::Relaxed);
            self.pushed.store(pushed.wrapping_add(1), Ordering::Release);
        }
    }

    /// Takes the oldest sample.
    pub(crate) fn pop(&self) -> Option<i16> {
        if self.len() == 0 {
            return None;
        }
        let popped = self.popped.load(Ordering::Relaxed);
        let sample = self.samples[popped % self.samples.len()].load(Ordering::Relaxed);
        self.popped.store(popped.wrapping_add(1), Ordering::Release);
        Some(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn samples_keep_their_order_between_two_threads() {
        let ring = Arc::new(Ring::new(16));
        let writer = Arc::clone(&ring);
        let writing = std::thread::spawn(move || {
            for sample in 0..10_000_i16 {
                while writer.len() == 16 {
                    std::thread::yield_now();
                }
                writer.push(sample);
            }
        });
        let mut expected = 0;
        while expected < 10_000 {
            match ring.pop() {
                Some(sample) => {
                    assert_eq!(sample, expected);
                    expected += 1;
                }
                None => std::thread::yield_now(),
            }
        }
        writing.join().unwrap();
        assert_eq!(ring.pop(), None);
    }

    #[test]
    fn a_full_ring_drops_what_is_new() {
        let ring = Ring::new(2);
        for sample in 1..=3 {
            ring.push(sample);
        }
        assert_eq!((ring.pop(), ring.pop(), ring.pop()), (Some(1), Some(2), None));
    }
}
