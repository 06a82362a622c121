//! Carries what was appended to the journals into the database, and keeps the journals' files.
//!
//! The only task that waits for disks. It takes batches from the journals at any time, while one group of entries
//! may be on its way into the database and one piece of work on files may be done.

mod backlog;
mod files;

use std::sync::{Arc, mpsc as std_mpsc};

use sqlx::sqlite::SqlitePool;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::Journal;
use crate::binding;
use crate::journal::Batch;
use crate::journal::record::Entry;
use crate::sqlite::Shared;
use backlog::{Backlog, Positions};
use files::Files;

/// The task behind the journals.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    batches: Receiver<Batch>,
    backlog: Backlog,
    files: Files,
    commit: Option<JoinHandle<Result<Positions, sqlx::Error>>>,
    /// The last commit failed.
    failing: bool,
    /// After a failure nothing is tried before the next second.
    paused: bool,
    /// All journals are gone.
    ending: bool,
}

impl Writer {
    pub(crate) fn with_journals(shared: Arc<Shared>, shards: u8) -> (Self, Vec<Journal>) {
        let (sender, batches) = mpsc::channel(CHANNEL);
        let mut files = Files::new(&shared.options, &shared.recovery);
        let mut journals = Vec::with_capacity(usize::from(shards));
        for shard in 0..shards {
            let (spares, received) = std_mpsc::channel();
            files.open(shard, spares);
            journals.push(Journal::new(shard, shared.recovery.last_sequence(), sender.clone(), received));
        }
        let mut backlog = Backlog::default();
        for (shard, last) in &shared.recovery.last {
            let of_shard = shared.recovery.entries.values().filter(|entry| entry.shard == *shard);
            backlog.add(*shard, *last, of_shard.cloned().collect());
        }
        let writer = Self {
            shared,
            batches,
            backlog,
            files,
            commit: None,
            failing: false,
            paused: false,
            ending: false,
        };
        writer.report();
        (writer, journals)
    }

    /// Runs until all journals are dropped and what they held is in the database, or cannot be put there; then it
    /// stays in the files until the next start.
    pub async fn run(mut self) {
        let mut commit_tick = pace(self.shared.options.commit_interval);
        let mut sync_tick = pace(self.shared.options.sync_window);
        while !self.is_finished() {
            tokio::select! {
                batch = self.batches.recv(), if !self.ending => match batch {
                    Some(batch) => self.take(batch),
                    None => self.end(),
                },
                done = join(&mut self.commit) => self.committed(done),
                done = join(&mut self.files.job) => self.files.done(done),
                _ = commit_tick.tick() => self.start_commit(),
                _ = sync_tick.tick() => {
                    self.paused = false;
                    self.files.second_passed();
                }
            }
            self.files.tend(&self.backlog, self.failing);
            self.report();
        }
    }

    fn take(&mut self, batch: Batch) {
        self.files.note(&batch);
        self.backlog.add(batch.shard, batch.through, batch.entries);
        if self.backlog.is_large() {
            self.start_commit();
        }
    }

    /// All journals are gone: the rest goes into the database without delay.
    fn end(&mut self) {
        self.ending = true;
        self.paused = false;
        self.start_commit();
    }

    fn start_commit(&mut self) {
        if self.commit.is_some() || self.paused {
            return;
        }
        if let Some((group, positions)) = self.backlog.next_group() {
            let pool = self.shared.writer.clone();
            self.commit = Some(tokio::spawn(async move {
                commit(&pool, &group, &positions).await?;
                Ok(positions)
            }));
        }
    }

    fn committed(&mut self, done: Result<Result<Positions, sqlx::Error>, JoinError>) {
        let error = match done {
            Ok(Ok(positions)) => {
                self.backlog.committed();
                self.files.committed(&positions);
                self.failing = false;
                self.shared.update_health(|health| health.sqlite_error = None);
                if self.backlog.is_large() || self.backlog.has_queue() || self.ending {
                    self.start_commit();
                }
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.backlog.failed();
        if !self.failing {
            tracing::error!(%error, "registrations cannot be put into the database; the journal keeps them");
        }
        self.failing = true;
        self.paused = true;
        self.shared.update_health(|health| {
            health.sqlite_error = Some(error);
            health.failed_commits += 1;
        });
    }

    /// Nothing more to do, or nothing that can be done.
    fn is_finished(&self) -> bool {
        let hopeless = self.failing && !self.files.may_save_more();
        self.ending
            && self.commit.is_none()
            && self.files.job.is_none()
            && (self.backlog.is_empty() || hopeless)
    }

    fn report(&self) {
        let journal_error = self.files.error();
        self.shared.update_health(|health| {
            health.journal_error = journal_error;
            health.pending = self.backlog.len();
            health.memory_only = self.files.memory_only();
        });
    }
}

/// Puts a group of entries into the database, all or none.
pub(crate) async fn commit(
    pool: &SqlitePool,
    entries: &[Entry],
    positions: &[(u8, u64)],
) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    for entry in entries {
        binding::replace(&mut tx, &entry.account, &entry.bindings).await?;
    }
    for (shard, sequence) in positions {
        sqlx::query(
            "INSERT INTO journal (shard, sequence) VALUES (?, ?) \
             ON CONFLICT DO UPDATE SET sequence = max(sequence, excluded.sequence)",
        )
        .bind(i64::from(*shard))
        .bind(binding::integer(*sequence))
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await
}

/// Waits for the work in the slot and empties it; forever, if there is none.
async fn join<T>(slot: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match slot {
        Some(handle) => {
            let done = handle.await;
            *slot = None;
            done
        }
        None => std::future::pending().await,
    }
}

fn pace(period: std::time::Duration) -> Interval {
    let mut interval = interval(period.max(std::time::Duration::from_millis(1)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Batches that may wait for the writer; what comes beyond is kept by the journals, one entry for an account.
const CHANNEL: usize = 1024;

#[cfg(test)]
mod tests;
