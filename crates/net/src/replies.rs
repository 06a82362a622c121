//! What the reading half of a connection has the writing half say: answers to pings, and pings.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Bytes that wait to be written between messages.
#[derive(Default)]
pub(crate) struct Replies {
    waiting: Mutex<Vec<u8>>,
    put: Notify,
}

impl Replies {
    /// Adds some; beyond what a peer that listens lets gather, they are left out.
    pub(crate) fn put(&self, bytes: &[u8]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() + bytes.len() <= MOST {
            waiting.extend_from_slice(bytes);
            self.put.notify_one();
        }
    }

    /// Waits for some.
    pub(crate) async fn wait(&self) -> Vec<u8> {
        loop {
            self.put.notified().await;
            let taken = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
        }
    }
}

const MOST: usize = 1_024;
