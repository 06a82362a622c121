//! Maps by numbers of our own.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

/// A map whose keys are numbers that we give out or draw ourselves, so that no peer can make them collide. Lookups only:
/// nothing may depend on its order.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Spreads a number over 64 bits (Fibonacci hashing). For nothing that a peer chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        // The table takes its place from the low bits, which a product leaves poor.
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Gives back the room of a map of which less than a quarter is in use.
pub fn shrink<K: Eq + Hash, V, S: BuildHasher>(map: &mut HashMap<K, V, S>) {
    if map.capacity() > 4 * map.len().max(SMALL) {
        map.shrink_to(2 * map.len());
    }
}

/// Entries for which room may stay.
const SMALL: usize = 256;
