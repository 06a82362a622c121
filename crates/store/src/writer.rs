//! The only task that waits for the disks of the journals: makes their files ahead, syncs them, has those merged that
//! are closed.

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::Journal;
use crate::journal::Open;
use crate::journal::compaction::{Merge, Merged, is_worth_it};
use crate::journal::file::{JournalFile, MAGIC};
use crate::journal::survey::{Survey, with_lengths};
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
    compaction: Option<JoinHandle<io::Result<Merged>>>,
    compaction_error: Option<io::Error>,
    /// Files may have been closed since the last compaction began.
    is_due: bool,
    /// Ticks until the next compaction may begin.
    pause: u32,
    /// What is known of the closed files.
    merged: Merged,
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
    /// No entry with a smaller number is in that file or a newer one of the shard, or waits.
    floor: u64,
    /// The next compaction can drop more if this journal goes over to a new file before.
    must_move: bool,
}

impl Writer {
    pub(crate) fn with_journals(shared: Arc<Shared>, shards: u8, survey: &Survey) -> (Self, Vec<Journal>) {
        let ended = Arc::new(Notify::new());
        let sequence = Arc::new(AtomicU64::new(survey.sequence));
        let mut journals = Vec::with_capacity(usize::from(shards));
        let mut files = Vec::with_capacity(usize::from(shards));
        for shard in 0..shards {
            let (spares, received) = mpsc::channel();
            let track = Arc::new(Track::new(Arc::clone(&ended)));
            journals.push(Journal::new(shard, Arc::clone(&sequence), received, Arc::clone(&track)));
            files.push(Files { shard, track, spares, open: Vec::new(), used: 0, floor: 0, must_move: false });
        }
        let mut writer = Self {
            shared,
            shards: files,
            next_generation: survey.generation + 1,
            ended,
            compaction: None,
            compaction_error: None,
            is_due: true,
            pause: AFTER_START,
            merged: Merged { live: survey.live, unreadable: Vec::new() },
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
            files.floor = files.track.floor.load(Acquire);
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
        let limit = self.shared.options.journal_length;
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
        let all = blocking(move || with_lengths(JournalFile::all(&directory)?)).await?;
        let Some(mut closed) = all else { return Err(io::ErrorKind::NotFound.into()) };
        closed.retain(|(file, _)| !self.shards.iter().any(|files| files.may_use(file.generation)));
        let Some(least) = self.least_worth_it(&closed) else { return Ok(()) };
        let floor = self.shards.iter().map(|files| files.floor).min().unwrap_or(0);
        let merge = Merge { closed, result: self.next_file(0), floor, now, least };
        self.compaction = Some(spawn_blocking(move || merge.run()));
        for files in &mut self.shards {
            files.must_move = files.track.length.load(Relaxed) > MAGIC.len() as u64;
        }
        Ok(())
    }

    /// Whether these files are worth a merge, as far as that is known before they are read; then how much it must
    /// save at least, if it must.
    fn least_worth_it(&self, closed: &[(JournalFile, u64)]) -> Option<Option<u64>> {
        let least = self.shared.options.journal_length;
        let readable = closed.iter().filter(|(file, _)| !self.merged.unreadable.contains(&file.generation));
        let octets: u64 = readable.clone().map(|(_, length)| length).sum();
        // Short files come from each start and each merge.
        let many = octets / least.max(1) + FEW * (self.shards.len() as u64 + FEW);
        if readable.count() as u64 > many {
            return Some(None);
        }
        is_worth_it(octets, self.merged.live, least).then_some(Some(least))
    }

    /// Waits for the compaction, if there is one.
    pub(crate) async fn end_compaction(&mut self) {
        let Some(compaction) = self.compaction.take() else { return };
        match compaction.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(merged) => {
                self.merged = merged;
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
        length == 0 || length > limit || fails || self.must_move
    }

    /// Gives a new file to the journal.
    fn offer(&mut self, generation: u64, (file, length): (File, u64)) {
        let file = Arc::new(file);
        self.must_move = false;
        self.open.push((generation, Arc::clone(&file)));
        // A journal that is gone needs no file; this one is merged after the next start.
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
/// All phones may register at once after a start: what can wait waits for so many ticks.
const AFTER_START: u32 = 10;
/// Short files, for each shard and beside them, that are not worth a merge.
const FEW: u64 = 4;

#[cfg(test)]
mod tests;
