//! The files of the journals: made ahead, synced within a window, removed when nothing in them is needed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::backlog::Backlog;
use crate::Options;
use crate::journal::file::JournalFile;
use crate::journal::{Batch, NO_MORE, Open};
use crate::recovery::Recovery;

#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    /// A longer file is replaced.
    limit: u64,
    tracks: BTreeMap<u8, Track>,
    next_generation: u64,
    /// The piece of work that is being done.
    pub(super) job: Option<JoinHandle<Done>>,
    /// Why a file could not be created or synced.
    failure: Option<String>,
    /// After a failure no file is created before the next second.
    paused: bool,
    sync_due: bool,
}

/// The files of one shard.
#[derive(Debug, Default)]
struct Track {
    /// `None` for a shard of an earlier process.
    spares: Option<Sender<Open>>,
    kept: Vec<Kept>,
    /// The newest generation that the journal has used.
    used: u64,
    /// Whether the journal has a file, as far as it said.
    has_file: bool,
    /// The length of that file.
    length: u64,
    /// The last entry that the journal could not write.
    unwritten: u64,
    /// Why, by the system's number.
    failure: Option<i32>,
    /// All entries up to this one are in the database.
    committed: u64,
    /// All entries up to this one are in the database or in the newest file.
    covered: u64,
}

#[derive(Debug)]
struct Kept {
    file: JournalFile,
    /// `None` for a file of an earlier process.
    handle: Option<Arc<File>>,
    /// How long it was when it was made.
    initial: u64,
    /// The last entry in it or before it, once the journal has left it.
    last: Option<u64>,
    /// Written since it was last synced.
    dirty: bool,
}

/// The result of a piece of work.
#[derive(Debug)]
pub(super) enum Done {
    Created { shard: u8, file: JournalFile, covers: u64, created: io::Result<(File, u64)> },
    Synced(io::Result<()>),
    Removed,
}

impl Files {
    pub(super) fn new(options: &Options, recovery: &Recovery) -> Self {
        let mut tracks = BTreeMap::<u8, Track>::new();
        for (file, last) in &recovery.files {
            let kept = Kept { file: file.clone(), handle: None, initial: 0, last: Some(*last), dirty: false };
            tracks.entry(file.shard).or_default().kept.push(kept);
        }
        for (shard, track) in &mut tracks {
            let waiting = recovery.entries.values().filter(|entry| entry.shard == *shard);
            let first = waiting.map(|entry| entry.sequence).min();
            let last = recovery.last.get(shard).copied().unwrap_or(0);
            track.committed = first.map_or(last, |first| first - 1);
        }
        Self {
            directory: options.data_dir.clone(),
            limit: options.journal_length,
            tracks,
            next_generation: recovery.last_generation() + 1,
            job: None,
            failure: None,
            paused: false,
            sync_due: false,
        }
    }

    /// Makes the first file of a shard's journal, at the start, when waiting does no harm.
    pub(super) fn open(&mut self, shard: u8, spares: Sender<Open>) {
        self.tracks.entry(shard).or_default().spares = Some(spares);
        let file = self.next_file(shard);
        let created = file.create(&[]);
        self.finish(Done::Created { shard, file, covers: 0, created });
    }

    /// A journal has written, or tried to.
    pub(super) fn note(&mut self, batch: &Batch) {
        let Some(track) = self.tracks.get_mut(&batch.shard) else {
            return;
        };
        track.unwritten = batch.unwritten;
        track.failure = batch.failure;
        track.has_file = batch.length.is_some();
        track.length = batch.length.unwrap_or(0);
        track.used = batch.generation;
        for kept in &mut track.kept {
            if kept.file.generation < batch.generation {
                kept.last.get_or_insert(batch.through);
            } else if kept.file.generation == batch.generation {
                kept.dirty = true;
            }
        }
    }

    pub(super) fn committed(&mut self, positions: &[(u8, u64)]) {
        for (shard, position) in positions {
            if let Some(track) = self.tracks.get_mut(shard) {
                track.committed = track.committed.max(*position);
            }
        }
    }

    pub(super) fn second_passed(&mut self) {
        self.paused = false;
        self.sync_due = true;
    }

    /// Begins the next piece of work, if there is one and none is being done.
    pub(super) fn tend(&mut self, backlog: &Backlog, failing: bool) {
        if self.job.is_some() {
            return;
        }
        let removable: Vec<PathBuf> = self.tracks.values_mut().flat_map(Track::take_removable).collect();
        if !removable.is_empty() {
            self.job = Some(spawn_blocking(move || remove(&removable)));
            return;
        }
        let wanting = self.tracks.iter().find(|(_, track)| track.wants_file(self.limit, failing));
        if let Some((&shard, _)) = wanting.filter(|_| !self.paused) {
            let (entries, covers) = backlog.of_shard(shard);
            let file = self.next_file(shard);
            self.job = Some(spawn_blocking(move || {
                let created = file.create(&entries);
                Done::Created { shard, file, covers, created }
            }));
            return;
        }
        if std::mem::take(&mut self.sync_due) && !backlog.is_empty() {
            // What is in the database is safe without this.
            let dirty: Vec<Arc<File>> = self.tracks.values_mut().flat_map(Track::take_dirty).collect();
            if !dirty.is_empty() {
                self.job = Some(spawn_blocking(move || {
                    Done::Synced(dirty.iter().try_for_each(|file| file.sync_data()))
                }));
            }
        }
    }

    /// A piece of work is done.
    pub(super) fn done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(done) => self.finish(done),
            Err(error) => self.failed(error.to_string()),
        }
    }

    /// Some entries are neither in the database nor in a file.
    pub(super) fn memory_only(&self) -> bool {
        self.tracks.values().any(|track| track.unwritten > track.safe())
    }

    /// What the operator is told.
    pub(super) fn error(&self) -> Option<String> {
        let lost = |code: i32| match code {
            0 => "there is no file that can be written".to_owned(),
            code => io::Error::from_raw_os_error(code).to_string(),
        };
        self.failure.clone().or_else(|| self.tracks.values().find_map(|track| track.failure).map(lost))
    }

    /// Whether entries that are in memory only may still be brought into a file.
    pub(super) fn may_save_more(&self) -> bool {
        self.memory_only() && self.failure.is_none()
    }

    fn next_file(&mut self, shard: u8) -> JournalFile {
        let generation = self.next_generation;
        self.next_generation += 1;
        JournalFile::new(&self.directory, generation, shard)
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Removed => {}
            Done::Synced(Ok(())) => self.failure = None,
            Done::Synced(Err(error)) | Done::Created { created: Err(error), .. } => {
                self.failed(error.to_string())
            }
            Done::Created { shard, file, covers, created: Ok((handle, length)) } => {
                self.failure = None;
                if let Some(track) = self.tracks.get_mut(&shard)
                    && let Err(error) = track.offer(file, handle, length, covers)
                {
                    self.failed(error.to_string());
                }
            }
        }
    }

    fn failed(&mut self, error: String) {
        if self.failure.is_none() {
            tracing::error!(%error, "the journal cannot be written; registrations are kept in memory");
        }
        self.failure = Some(error);
        self.paused = true;
    }
}

impl Track {
    /// The last entry that would outlive the process.
    fn safe(&self) -> u64 {
        self.committed.max(self.covered)
    }

    fn wants_file(&self, limit: u64, failing: bool) -> bool {
        if self.spares.is_none() {
            return false;
        }
        let offered =
            self.kept.iter().filter(|kept| kept.handle.is_some() && kept.file.generation > self.used);
        let offered = offered.count();
        let without = !self.has_file && offered == 0;
        let initial =
            self.kept.iter().find(|kept| kept.file.generation == self.used).map_or(0, |kept| kept.initial);
        let long = self.has_file && offered == 0 && self.length > limit.max(2 * initial);
        let unusable = self.failure.is_some() && offered == 0;
        // A journal that has ceased to write takes no new file, but what is in the file counts. Unless the database
        // fails too, it will have these entries in a moment.
        let exposed = failing && self.unwritten > self.safe() && offered < MOST_OFFERED;
        exposed || self.used != NO_MORE && (without || long || unusable)
    }

    /// Gives a new file to the journal.
    fn offer(&mut self, file: JournalFile, handle: File, length: u64, covers: u64) -> io::Result<()> {
        let copy = handle.try_clone()?;
        let generation = file.generation;
        self.kept.push(Kept {
            file,
            handle: Some(Arc::new(copy)),
            initial: length,
            last: None,
            dirty: false,
        });
        self.covered = self.covered.max(covers);
        self.failure = None;
        if let Some(spares) = &self.spares {
            // A journal that is gone needs no file; this one is removed at the next start.
            let _ = spares.send(Open { file: handle, generation, length });
        }
        Ok(())
    }

    fn take_removable(&mut self) -> Vec<PathBuf> {
        let safe = self.safe();
        let removable = |kept: &mut Kept| kept.last.is_some_and(|last| last <= safe);
        self.kept.extract_if(.., removable).map(|kept| kept.file.path).collect()
    }

    fn take_dirty(&mut self) -> Vec<Arc<File>> {
        let dirty = self
            .kept
            .iter_mut()
            .filter_map(|kept| std::mem::take(&mut kept.dirty).then(|| kept.handle.clone()).flatten());
        dirty.collect()
    }
}

fn remove(paths: &[PathBuf]) -> Done {
    for path in paths {
        if let Err(error) = std::fs::remove_file(path) {
            // Read again at the next start, without effect.
            tracing::warn!(path = %path.display(), %error, "a journal that is not needed any more stays");
        }
    }
    Done::Removed
}

/// Files that may wait for a journal which does not write.
const MOST_OFFERED: usize = 4;
