//! The allocator of the program, and giving memory back after a peak.
//!
//! A signal thread allocates and frees by the hundred for each call, and another thread frees some of it: that is what
//! this allocator is quick at.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};

/// To be the `#[global_allocator]` of a program.
#[derive(Clone, Copy, Debug)]
pub struct Allocator;

// SAFETY: what is asked of the allocator has the size and alignment of the layout, for `mi_malloc` aligns as the C standard
// asks of `malloc`: for every type that is not larger than what was asked for, so for every alignment of the bound below.
// Blocks of all these functions are freed and changed in size by the same ones.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        let block =
            unsafe { if is_usual(size, align) { mi_malloc(size) } else { mi_malloc_aligned(size, align) } };
        block.cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        let block =
            unsafe { if is_usual(size, align) { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) } };
        block.cast()
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: as above.
        unsafe { mi_free(block.cast()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (block, align) = (block.cast(), layout.align());
        // SAFETY: as above.
        let block = unsafe {
            if is_usual(size, align) {
                mi_realloc(block, size)
            } else {
                mi_realloc_aligned(block, size, align)
            }
        };
        block.cast()
    }
}

/// Whether a block is aligned as it has to be without being asked for that. Asking costs: the allocator then takes more than
/// was wanted for each block that is larger than a kilobyte and no power of two, as messages are.
const fn is_usual(size: usize, align: usize) -> bool {
    align <= 16 && align <= size
}

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
    #[allow(unsafe_code)]
    fn blocks_are_aligned_and_keep_what_is_in_them() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4_096] {
            for size in [1, 7, 8, 16, 24, 40, 100, 1_100, 1_500, 5_000, 100_000] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: every block is used within its size, and freed once with its layout.
                unsafe {
                    let block = Allocator.alloc(layout);
                    assert_eq!(block as usize % align, 0, "{size} {align}");
                    block.write_bytes(7, size);
                    let more = Allocator.realloc(block, layout, size * 3);
                    assert_eq!(more as usize % align, 0, "{size} {align}");
                    assert!((0..size).all(|at| more.add(at).read() == 7));
                    Allocator.dealloc(more, Layout::from_size_align(size * 3, align).unwrap());
                    let zeroed = Allocator.alloc_zeroed(layout);
                    assert_eq!(zeroed as usize % align, 0, "{size} {align}");
                    assert!((0..size).all(|at| zeroed.add(at).read() == 0));
                    Allocator.dealloc(zeroed, layout);
                }
            }
        }
    }

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
