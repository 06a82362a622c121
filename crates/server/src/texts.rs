//! Text messages between the shards and the store: one task does what all shards ask, a batch at a time.

use std::time::Duration;

use offhook_exchange::message::{TextAnswer, TextRequest};
use offhook_store::{Store, TextLimits};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::shards::Mailbox;

/// A question of a shard, and where its answer goes.
pub(crate) struct Asked {
    pub(crate) ticket: u64,
    pub(crate) request: TextRequest,
    pub(crate) answered: Mailbox<Stored>,
}

/// The number of a question, and its answer.
pub(crate) type Stored = (u64, TextAnswer);

/// What the task has to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) limits: TextLimits,
    /// For how long what was delivered or has expired stays.
    pub(crate) history: Duration,
}

/// Questions that may wait.
const WAITING: usize = 4_096;
/// Of these, done in one transaction.
const BATCH: usize = 256;
const TIDY: Duration = Duration::from_secs(600);

/// The way to the task, which is [`run`].
pub(crate) fn channel() -> (mpsc::Sender<Asked>, mpsc::Receiver<Asked>) {
    mpsc::channel(WAITING)
}

/// Runs until all shards have ended.
pub(crate) async fn run(store: Store, terms: Terms, mut asked: mpsc::Receiver<Asked>) {
    let mut tidy = interval(TIDY);
    tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            count = asked.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    break;
                }
                answer(&store, terms.limits, batch.split_off(0)).await;
            }
            _ = tidy.tick() => {
                let now = clock::unix();
                let before = now.saturating_sub(terms.history).as_secs();
                if let Err(error) = store.tidy_texts(now.as_secs(), before).await {
                    tracing::error!(%error, "old text messages cannot be removed");
                }
            }
        }
    }
}

async fn answer(store: &Store, limits: TextLimits, batch: Vec<Asked>) {
    let requests: Vec<_> = batch.iter().map(|one| one.request.clone()).collect();
    let count = requests.len();
    let answers = store.texts(requests, limits, clock::unix().as_secs()).await.unwrap_or_else(|error| {
        tracing::error!(%error, messages = count, "text messages cannot be stored");
        vec![TextAnswer::Failed; count]
    });
    // Dropped with the answer in it, a mailbox wakes its thread.
    for (Asked { ticket, mut answered, .. }, answer) in batch.into_iter().zip(answers) {
        answered.put((ticket, answer));
    }
}
