//! What happened, as logs, measures and call records. The only place that turns events into words.

mod log;
mod measures;
mod record;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use offhook_exchange::event::Event;

use crate::clock;
use log::Routine;
pub use log::{LogFormat, start_log};
pub(crate) use measures::Measures;
pub(crate) use record::Records;

/// The way of events out of a signal thread, which never waits for a log or a disk.
pub(crate) struct Notes {
    sender: SyncSender<Vec<Note>>,
    /// What goes out with the next [`Notes::flush`].
    gathered: Vec<Note>,
    measures: Arc<Measures>,
}

pub(crate) enum Note {
    /// Something that the exchange did, at this Unix time.
    Event(Duration, Event),
    /// The journal fails, or is well again.
    Journal(Option<String>),
}

impl Notes {
    pub(crate) fn new(measures: Arc<Measures>) -> (Self, Receiver<Vec<Note>>) {
        let (sender, received) = sync_channel(WAITING);
        (Self { sender, gathered: Vec::new(), measures }, received)
    }

    /// The same way for another thread.
    pub(crate) fn again(&self) -> Self {
        let (sender, measures) = (self.sender.clone(), Arc::clone(&self.measures));
        Self { sender, gathered: Vec::new(), measures }
    }

    pub(crate) fn event(&mut self, unix: Duration, event: Event) {
        self.gathered.push(Note::Event(unix, event));
    }

    pub(crate) fn journal(&mut self, failure: Option<String>) {
        self.gathered.push(Note::Journal(failure));
    }

    /// Hands on what was gathered, unless too much waits already.
    pub(crate) fn flush(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(notes)) = self.sender.try_send(std::mem::take(&mut self.gathered)) {
            self.measures.notes_dropped.fetch_add(notes.len() as u64, Relaxed);
        }
    }
}

/// Writes logs and call records until all senders are gone. After each round it pauses, so that many notes cost one
/// wake-up and one write.
pub(crate) fn run(received: &Receiver<Vec<Note>>, mut records: Records) {
    let mut routine = Routine::default();
    loop {
        let first = match received.recv_timeout(SILENCE) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => {
                // What the calls of a busy time needed, which this thread freed.
                offhook_memory::give_back();
                let Ok(first) = received.recv() else { return };
                first
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for note in std::iter::once(first).chain(received.try_iter()).flatten() {
            take(note, &mut routine, &mut records);
        }
        records.flush();
        clock::pause(GATHERING);
    }
}

fn take(note: Note, routine: &mut Routine, records: &mut Records) {
    match note {
        Note::Event(unix, event) => {
            routine.event(unix, &event);
            records.take(unix, event);
        }
        Note::Journal(Some(error)) => {
            tracing::error!(%error, "registrations are not safe from a crash until this is mended");
        }
        Note::Journal(None) => tracing::info!("the journal is written again"),
    }
}

/// The file of call records in a data directory: one JSON object a line, for each call that is over.
pub fn call_records(data_dir: &std::path::Path) -> std::path::PathBuf {
    data_dir.join(record::FILE_NAME)
}

/// Batches of notes, each from one batch of messages.
const WAITING: usize = 4_096;
/// After this much of it the thread sleeps until there is something.
const SILENCE: Duration = Duration::from_secs(2);
const GATHERING: Duration = Duration::from_millis(20);
