//! What services want kept, between the shards and the store: one task writes it, tells all shards what has changed, and
//! then the one that asked.

use offhook_exchange::command::Command;
use offhook_exchange::keep::Keep;
use offhook_store::Store;
use tokio::sync::mpsc;

use crate::shards::Shards;

/// Something that a service of a shard wants kept.
pub(crate) struct Wanted {
    pub(crate) shard: u8,
    pub(crate) ticket: u64,
    pub(crate) keep: Keep,
}

/// The way to the task, which is [`run`].
pub(crate) fn channel() -> (mpsc::Sender<Wanted>, mpsc::Receiver<Wanted>) {
    mpsc::channel(WAITING)
}

/// Runs until all shards have ended.
pub(crate) async fn run(store: Store, shards: Shards, mut wanted: mpsc::Receiver<Wanted>) {
    while let Some(Wanted { shard, ticket, keep }) = wanted.recv().await {
        let is_kept = match store.keep(keep).await {
            Ok(delta) => shards.ask(Command::Apply(Box::new(delta))).await.is_some(),
            Err(error) => {
                tracing::error!(%error, "what somebody set by telephone cannot be stored");
                false
            }
        };
        shards.ask(Command::Kept { shard, ticket, is_kept }).await;
    }
}

/// A shard whose wish finds no room is not answered; who waits for that gives up by itself.
const WAITING: usize = 1_024;
