//! What happened, as logs, measures and call records. The only place that turns events into words.

#[doc(hidden)]
pub mod fuzz;
mod ledger;
mod log;
mod measures;
mod record;
mod spent;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use offhook_exchange::event::Event;

use crate::clock;
pub(crate) use ledger::{Ledger, recover};
use log::Routine;
pub use log::{LogFormat, start_log};
pub(crate) use measures::{Measures, queues_text};
pub(crate) use record::Records;
pub(crate) use spent::spent;

/// The way of events out of a signal thread, which never waits for a log or a disk.
pub(crate) struct Notes {
    sender: SyncSender<Vec<Note>>,
    /// What goes out with the next [`Notes::flush`].
    gathered: Vec<Note>,
    measures: Arc<Measures>,
    /// Whether anyone reads of what was dropped or refused.
    debug: bool,
    /// Registrations are no more than a line of the log: what that cannot hold is not handed on.
    registrations: Share,
    /// The same of calls that were refused.
    refusals: Share,
}

/// How much of a kind was handed on in a second.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    second: u64,
    passed: u32,
    left_out: u64,
}

impl Share {
    /// Whether there is room for one more in this second.
    fn has_room(&mut self, second: u64) -> bool {
        if second != self.second {
            *self = Self { second, left_out: self.left_out, passed: 0 };
        }
        let room = self.passed < log::LINES_A_SECOND;
        self.passed += u32::from(room);
        self.left_out += u64::from(!room);
        room
    }
}

pub(crate) enum Note {
    /// Something that the exchange did, at this Unix time.
    Event(Duration, Event),
    /// So many everyday events are left out.
    LeftOut(u64),
    /// The journal fails, or is well again.
    Journal(Option<String>),
    /// The ledger of calls fails, or is well again.
    Ledger(Option<String>),
    /// A file of the ledger is full. What happened before has come before.
    LedgerLeft(PathBuf),
}

impl Notes {
    pub(crate) fn new(measures: Arc<Measures>) -> (Self, Receiver<Vec<Note>>) {
        let (sender, received) = sync_channel(WAITING);
        (Self::of(sender, measures), received)
    }

    /// The same way for another thread.
    pub(crate) fn again(&self) -> Self {
        Self::of(self.sender.clone(), Arc::clone(&self.measures))
    }

    fn of(sender: SyncSender<Vec<Note>>, measures: Arc<Measures>) -> Self {
        let debug = tracing::enabled!(tracing::Level::DEBUG);
        Self {
            sender,
            gathered: Vec::new(),
            measures,
            debug,
            registrations: Share::default(),
            refusals: Share::default(),
        }
    }

    pub(crate) fn event(&mut self, unix: Duration, event: Event) {
        let wanted = match event {
            Event::Dropped { .. } | Event::Refused { .. } | Event::CallRinging { .. } => self.debug,
            Event::Registered { .. } => self.has_room_for_registration(unix.as_secs()),
            // Who calls again and again is known by a few records, and by the measures.
            Event::CallRefused { .. } => self.refusals.has_room(unix.as_secs()),
            Event::Overload { .. }
            | Event::Trunk { .. }
            | Event::Recording { .. }
            | Event::Supervised { .. }
            | Event::AuthenticationFailed { .. }
            | Event::CallStarted { .. }
            | Event::LegStarted { .. }
            | Event::CallCame { .. }
            | Event::CallVerified { .. }
            | Event::CallSent { .. }
            | Event::CallStayed { .. }
            | Event::SpendingStopped { .. }
            | Event::CallAnswered { .. }
            | Event::CallFailed { .. }
            | Event::LegEnded { .. }
            | Event::MediaEnded { .. }
            | Event::CallEnded { .. } => true,
        };
        if wanted {
            self.gathered.push(Note::Event(unix, event));
        }
    }

    fn has_room_for_registration(&mut self, second: u64) -> bool {
        if second != self.registrations.second && self.registrations.left_out > 0 {
            self.gathered.push(Note::LeftOut(std::mem::take(&mut self.registrations.left_out)));
        }
        self.registrations.has_room(second)
    }

    pub(crate) fn journal(&mut self, failure: Option<String>) {
        self.gathered.push(Note::Journal(failure));
    }

    pub(crate) fn ledger(&mut self, failure: Option<String>) {
        self.gathered.push(Note::Ledger(failure));
    }

    /// A file of the ledger is full.
    pub(crate) fn ledger_left(&mut self, file: PathBuf) {
        self.gathered.push(Note::LedgerLeft(file));
    }

    /// Hands on what was gathered, unless too much waits already: then it is tried again with what comes.
    pub(crate) fn flush(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(notes)) = self.sender.try_send(std::mem::take(&mut self.gathered)) {
            if notes.len() < MOST_GATHERED {
                self.gathered = notes;
            } else {
                self.measures.notes_dropped.fetch_add(notes.len() as u64, Relaxed);
            }
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
                records.settle();
                records.flush();
                let Ok(first) = received.recv() else { break };
                first
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        for note in std::iter::once(first).chain(received.try_iter()).flatten() {
            take(note, &mut routine, &mut records);
        }
        records.flush();
        clock::pause(GATHERING);
    }
    records.settle();
    records.flush();
}

fn take(note: Note, routine: &mut Routine, records: &mut Records) {
    match note {
        Note::Event(unix, event) => {
            routine.event(unix, &event);
            records.take(unix, event);
        }
        Note::LeftOut(events) => routine.leave_out(events),
        Note::Journal(Some(error)) => {
            tracing::error!(%error, "registrations are not safe from a crash until this is mended");
        }
        Note::Ledger(Some(error)) => {
            tracing::error!(%error, "call records are not safe from a crash until this is mended");
        }
        Note::Ledger(None) => tracing::info!("the ledger of calls is written again"),
        Note::LedgerLeft(file) => records.leave(file),
        Note::Journal(None) => tracing::info!("the journal is written again"),
    }
}

/// The file of call records in a data directory: one JSON object a line, for each call that is over.
pub fn call_records(data_dir: &std::path::Path) -> std::path::PathBuf {
    data_dir.join(record::FILE_NAME)
}

/// Batches of notes, each from one batch of messages.
const WAITING: usize = 4_096;
/// Notes that wait for room for one more.
const MOST_GATHERED: usize = 65_536;
/// After this much of it the thread sleeps until there is something.
const SILENCE: Duration = Duration::from_secs(2);
const GATHERING: Duration = Duration::from_millis(20);
