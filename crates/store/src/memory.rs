//! Bindings in memory: the store of simulations.

use std::collections::BTreeMap;

use offhook_exchange::directory::{AddressOfRecord, Bindings, Delta};
use offhook_exchange::io::StoreRequest;

/// Keeps what it is asked to keep, as long as it lives.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    bindings: BTreeMap<AddressOfRecord, Bindings>,
}

impl MemoryStore {
    /// Keeps this.
    pub fn keep(&mut self, request: StoreRequest) {
        match request {
            StoreRequest::Bindings(address, bindings) if bindings.0.is_empty() => {
                self.bindings.remove(&address);
            }
            StoreRequest::Bindings(address, bindings) => {
                self.bindings.insert(address, bindings);
            }
        }
    }

    /// What a shard must know after a start at `now` (Unix seconds): bindings that are not over.
    pub fn load(&self, now: u64) -> Vec<Delta> {
        let mut deltas = Vec::new();
        for (address, bindings) in &self.bindings {
            let live: Vec<_> = bindings.0.iter().filter(|one| one.expires_at > now).cloned().collect();
            if !live.is_empty() {
                deltas.push(Delta::Bindings(address.clone(), Bindings(live)));
            }
        }
        deltas
    }
}
