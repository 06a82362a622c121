//! The only task that waits for the disks of the journals: makes their files ahead, syncs them, has those merged that
//! are closed.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::Journal;
use crate::journal::Open;
use crate::journal::compaction::{Compacted, compact};
use crate::journal::file::{JournalFile, MAGIC};
use crate::journal::newest::Newest;
use crate::journal::track::{NO_FAILURE, Track};
use crate::sqlite::Shared;

/// The task behind the journals.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    shards: Vec<Files>,
    next_generation: u64,
    /// Told when a journal is gone.
    ended: Arc<Notify>,
    compaction: Option<JoinHandle<io::Result<Compacted>>>,
    compaction_error: Option<io::Error>,
    /// Files may have been closed since the last compaction began.
    is_due: bool,
    /// Ticks until the next attempt after a compaction that failed.
    pause: u32,
    compacted: Compacted,
}

/// The files of one shard's journal.
#[derive(Debug)]
struct Files {
    shard: u8,
    track: Arc<Track>,
    spares: Sender<Open>,
    /// Those that are used, may be used, or are not synced since, by generation.
    open: Vec<(u64, Arc<File>)>,
    /// The generation that was in use at the last look.
    used: u64,
}

impl Writer {
    pub(crate) fn with_journals(shared: Arc<Shared>, shards: u8, newest: &Newest) -> (Self, Vec<Journal>) {
        let ended = Arc::new(Notify::new());
        let mut journals = Vec::with_capacity(usize::from(shards));
        let mut files = Vec::with_capacity(usize::from(shards));
        for shard in 0..shards {
            let (spares, received) = mpsc::channel();
            let track = Arc::new(Track::new(Arc::clone(&ended)));
            journals.push(Journal::new(shard, newest.sequence, received, Arc::clone(&track)));
            files.push(Files { shard, track, spares, open: Vec::new(), used: 0 });
        }
        let mut writer = Self {
            shared,
            shards: files,
            next_generation: newest.generation + 1,
            ended,
            compaction: None,
            compaction_error: None,
            is_due: true,
            pause: 0,
            compacted: Compacted { left: Vec::new(), length: 0 },
        };
        // At the start waiting does no harm.
        let mut failure = None;
        for index in 0..writer.shards.len() {
            let file = writer.next_file(writer.shards[index].shard);
            match file.create(&[]) {
                Ok(created) => writer.shards[index].offer(file.generation, created),
                Err(error) => failure = Some(error),
            }
        }
        writer.report(failure.as_ref());
        (writer, journals)
    }

    pub(crate) fn tracks(&self) -> Vec<Arc<Track>> {
        self.shards.iter().map(|files| Arc::clone(&files.track)).collect()
    }

    /// Runs until all journals are dropped and what they wrote is synced. `unix` tells the time in Unix seconds.
    pub async fn run(mut self, unix: impl Fn() -> u64) {
        let mut pace = interval(self.shared.options.sync_window.max(Duration::from_millis(1)));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = Arc::clone(&self.ended);
        loop {
            tokio::select! {
                _ = pace.tick() => {}
                () = ended.notified() => {}
            }
            // Asked before the files are synced, so that nothing comes after.
            let is_last = self.shards.iter().all(|files| files.track.gone.load(Acquire));
            self.tend(unix()).await;
            if is_last {
                break;
            }
        }
        self.end_compaction().await;
    }

    /// Does what is due, at `now` (Unix seconds).
    pub(crate) async fn tend(&mut self, now: u64) {
        if self.compaction.as_ref().is_some_and(JoinHandle::is_finished) {
            self.end_compaction().await;
        }
        let synced = self.sync().await;
        let supplied = self.supply().await;
        if let Err(error) = self.begin_compaction(now).await {
            self.compaction_failed(error);
        }
        self.report(synced.err().or(supplied.err()).as_ref());
    }

    /// Syncs what was written since the last time.
    async fn sync(&mut self) -> io::Result<()> {
        for files in &mut self.shards {
            let used = files.track.used.load(Acquire);
            if used != files.used {
                files.used = used;
                self.is_due = true;
            }
            if files.track.dirty.swap(false, AcqRel) {
                let open: Vec<_> = files.open.iter().map(|(_, file)| Arc::clone(file)).collect();
                let synced = blocking(move || open.iter().try_for_each(|file| file.sync_data())).await;
                if let Err(error) = synced {
                    files.track.dirty.store(true, Release);
                    return Err(error);
                }
            }
            files.open.retain(|(generation, _)| *generation >= used);
        }
        Ok(())
    }

    /// Gives new files to journals that need one.
    async fn supply(&mut self) -> io::Result<()> {
        let limit = self.shared.options.journal_length.max(2 * self.compacted.length);
        for index in 0..self.shards.len() {
            if self.shards[index].wants_file(limit) {
                let file = self.next_file(self.shards[index].shard);
                let generation = file.generation;
                let created = blocking(move || file.create(&[])).await?;
                self.shards[index].offer(generation, created);
            }
        }
        Ok(())
    }

    async fn begin_compaction(&mut self, now: u64) -> io::Result<()> {
        self.pause = self.pause.saturating_sub(1);
        let is_over = self.shards.iter().all(|files| files.track.gone.load(Acquire));
        if !self.is_due || self.compaction.is_some() || self.pause > 0 || is_over {
            return Ok(());
        }
        self.is_due = false;
        let directory = self.shared.options.data_dir.clone();
        let mut closed = blocking(move || JournalFile::all(&directory)).await?;
        closed.retain(|file| !self.shards.iter().any(|files| files.may_use(file.generation)));
        if closed.iter().any(|file| !self.compacted.left.contains(&file.generation)) {
            self.compaction = Some(spawn_blocking(move || compact(&closed, now)));
        }
        Ok(())
    }

    /// Waits for the compaction, if there is one.
    pub(crate) async fn end_compaction(&mut self) {
        let Some(compaction) = self.compaction.take() else { return };
        match compaction.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(compacted) => {
                self.compacted = compacted;
                self.compaction_error = None;
            }
            Err(error) => self.compaction_failed(error),
        }
    }

    fn compaction_failed(&mut self, error: io::Error) {
        self.is_due = true;
        self.pause = PAUSE;
        self.compaction_error = Some(error);
    }

    fn next_file(&mut self, shard: u8) -> JournalFile {
        let generation = self.next_generation;
        self.next_generation += 1;
        JournalFile::new(&self.shared.options.data_dir, generation, shard)
    }

    fn report(&self, failure: Option<&io::Error>) {
        let failure = failure.or(self.compaction_error.as_ref()).map(ToString::to_string);
        let mut told = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = failure.as_ref().filter(|_| told.is_none()) {
            tracing::error!(%error, "the files of the journal cannot be looked after");
        }
        *told = failure;
    }
}

impl Files {
    fn wants_file(&self, limit: u64) -> bool {
        let track = &self.track;
        let used = track.used.load(Acquire);
        if track.gone.load(Acquire) || self.open.iter().any(|(generation, _)| *generation > used) {
            return false;
        }
        let length = track.length.load(Relaxed);
        // A new file may be better than one that fails, unless it is new itself.
        let fails = track.failure.load(Relaxed) != NO_FAILURE && length > MAGIC.len() as u64;
        length == 0 || length > limit || fails
    }

    /// Gives a new file to the journal.
    fn offer(&mut self, generation: u64, (file, length): (File, u64)) {
        let file = Arc::new(file);
        self.open.push((generation, Arc::clone(&file)));
        // A journal that is gone needs no file; this one is merged at the next start.
        let _ = self.spares.send(Open { file, generation, length });
    }

    fn may_use(&self, generation: u64) -> bool {
        generation >= self.used && self.open.iter().any(|(open, _)| *open == generation)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// A compaction reads and writes a lot: after one that failed for a full disk the next is some seconds away.
const PAUSE: u32 = 30;

#[cfg(test)]
mod tests;
