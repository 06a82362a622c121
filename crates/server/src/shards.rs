//! The way from other threads to the shards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use offhook_exchange::command::{Answer, Command};
use offhook_media::command::Report;
use offhook_udp_batch::Waker;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::trace::Excerpt;

/// What an operator wants of a shard.
pub(crate) enum Post {
    /// Answered through the sender. The permits bound the queue.
    Command(Command, oneshot::Sender<Answer>, Arc<OwnedSemaphorePermit>),
    /// What passed from this position on.
    Trace(u64, oneshot::Sender<Excerpt>),
    /// No new calls.
    Drain,
    /// End now.
    Stop,
}

/// The handle by which everyone but the network asks something of the shards.
#[derive(Clone)]
pub(crate) struct Shards {
    /// One lock, so that all shards get their commands in the same order: the last word about an account is the same
    /// everywhere.
    ways: Arc<Mutex<Vec<Way>>>,
    asking: Arc<Semaphore>,
    draining: Arc<AtomicBool>,
}

struct Way {
    post: Sender<Post>,
    waker: Waker,
}

impl Shards {
    /// The handle and each shard's end of it.
    pub(crate) fn new(wakers: &[Waker]) -> (Self, Vec<Receiver<Post>>) {
        let way = |waker: &Waker| {
            let (post, received) = channel();
            (Way { post, waker: waker.clone() }, received)
        };
        let (ways, received): (Vec<_>, Vec<_>) = wakers.iter().map(way).unzip();
        let asking = Arc::new(Semaphore::new(ASKING));
        (Self { ways: Arc::new(Mutex::new(ways)), asking, draining: Arc::default() }, received)
    }

    /// Asks; `None` if a shard has ended or too many ask. The answers of all shards are one.
    pub(crate) async fn ask(&self, command: Command) -> Option<Answer> {
        let mut all: Option<Answer> = None;
        for answer in self.put(&command)? {
            let answer = answer.await.ok()?;
            all = Some(match all {
                Some(all) => all.and(answer),
                None => answer,
            });
        }
        all
    }

    fn put(&self, command: &Command) -> Option<Vec<oneshot::Receiver<Answer>>> {
        let permit = Arc::new(Arc::clone(&self.asking).try_acquire_owned().ok()?);
        let ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        // What all have a copy of, one can tell.
        let asked = if matches!(command, Command::Devices | Command::Spending(_)) { 1 } else { ways.len() };
        let ask = |way: &Way| {
            let (answer, received) = oneshot::channel();
            way.post.send(Post::Command(command.clone(), answer, Arc::clone(&permit))).ok()?;
            way.waker.wake();
            Some(received)
        };
        ways.iter().take(asked).map(ask).collect()
    }

    /// What passed at each shard from its position on; a shard whose position is not named begins at the start. `None` if
    /// a shard has ended or too many ask.
    pub(crate) async fn trace(&self, from: &[u64]) -> Option<Vec<Excerpt>> {
        let _permit = self.asking.try_acquire().ok()?;
        let mut excerpts = Vec::new();
        for waiting in self.put_trace(from)? {
            excerpts.push(waiting.await.ok()?);
        }
        Some(excerpts)
    }

    fn put_trace(&self, from: &[u64]) -> Option<Vec<oneshot::Receiver<Excerpt>>> {
        let ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let from = from.iter().copied().chain(std::iter::repeat(0));
        let ask = |(way, from): (&Way, u64)| {
            let (answer, received) = oneshot::channel();
            way.post.send(Post::Trace(from, answer)).ok()?;
            way.waker.wake();
            Some(received)
        };
        ways.iter().zip(from).map(ask).collect()
    }

    /// No new calls from now on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.send(|| Post::Drain);
    }

    /// The shards end now.
    pub(crate) fn stop(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.send(|| Post::Stop);
    }

    /// Whether no new calls are taken.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn send(&self, post: impl Fn() -> Post) {
        for way in self.ways.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // It fails only when the shard has ended already.
            let _ = way.post.send(post());
            way.waker.wake();
        }
    }
}

/// A queue that wakes the thread which empties it. It has no bound of its own: media commands are bounded by the
/// ports that are lent, and reports by the commands.
#[derive(Clone)]
pub(crate) struct Mailbox<T> {
    /// `None` only while it is dropped.
    sender: Option<Sender<T>>,
    waker: Waker,
    /// Whether something was put in of which the thread was not told.
    untold: bool,
}

impl<T> Mailbox<T> {
    pub(crate) fn new(waker: Waker) -> (Self, Receiver<T>) {
        let (sender, received) = channel();
        (Self { sender: Some(sender), waker, untold: false }, received)
    }

    /// Puts everything in and wakes the thread once.
    pub(crate) fn post(&mut self, all: &mut Vec<T>) {
        all.drain(..).for_each(|one| self.put(one));
        self.tell();
    }

    /// Puts one in; [`Self::tell`] makes it known.
    pub(crate) fn put(&mut self, one: T) {
        // It fails only when the other thread is gone, at the end of the process.
        let _ = self.sender.as_ref().map(|sender| sender.send(one));
        self.untold = true;
    }

    /// Wakes the thread if it has to be told of something.
    pub(crate) fn tell(&mut self) {
        if std::mem::take(&mut self.untold) {
            self.waker.wake();
        }
    }
}

/// The other thread learns that nothing more will come.
impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        self.sender = None;
        self.waker.wake();
    }
}

/// From the media thread.
pub(crate) type Reports = Receiver<Report>;

/// Commands that may wait for their answers at a time.
const ASKING: usize = 256;
