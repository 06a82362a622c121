//! Subscriptions on their way to the store: one task writes what all shards change, a batch at a time. Nobody waits for it.

use offhook_exchange::presence::WatchChange;
use offhook_store::Store;
use tokio::sync::mpsc;

use crate::clock;

/// Changes that may wait.
const WAITING: usize = 16_384;
/// Of these, written in one transaction.
const BATCH: usize = 1_024;

/// The way to the task, which is [`run`].
pub(crate) fn channel() -> (mpsc::Sender<WatchChange>, mpsc::Receiver<WatchChange>) {
    mpsc::channel(WAITING)
}

/// Runs until all shards have ended.
pub(crate) async fn run(store: Store, mut changes: mpsc::Receiver<WatchChange>) {
    let mut batch = Vec::new();
    while changes.recv_many(&mut batch, BATCH).await > 0 {
        let count = batch.len();
        if let Err(error) = store.keep_watches(batch.split_off(0), clock::unix().as_secs()).await {
            tracing::error!(%error, changes = count, "subscriptions cannot be written down");
        }
    }
}
