//! The way from other threads to the shards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use offhook_exchange::command::{Answer, Command};
use offhook_media::command::Report;
use offhook_udp_batch::Waker;
use tokio::sync::oneshot;

/// What an operator wants of a shard.
pub(crate) enum Post {
    /// Answered through the sender.
    Command(Command, oneshot::Sender<Answer>),
    /// No new calls; end when the last one has.
    Drain,
    /// End now.
    Stop,
}

/// The handle by which everyone but the network asks something of the shard. There is one shard so far.
#[derive(Clone)]
pub(crate) struct Shards {
    post: SyncSender<Post>,
    waker: Waker,
    draining: Arc<AtomicBool>,
}

impl Shards {
    /// The handle and the shard's end of it.
    pub(crate) fn new(waker: Waker) -> (Self, Receiver<Post>) {
        let (post, received) = sync_channel(WAITING);
        (Self { post, waker, draining: Arc::default() }, received)
    }

    /// Asks; `None` if the shard has ended or too many ask.
    pub(crate) async fn ask(&self, command: Command) -> Option<Answer> {
        let (answer, received) = oneshot::channel();
        self.post.try_send(Post::Command(command, answer)).ok()?;
        self.waker.wake();
        received.await.ok()
    }

    /// No new calls from now on; the shard ends with its last call.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.send(Post::Drain);
    }

    /// The shard ends now.
    pub(crate) fn stop(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.send(Post::Stop);
    }

    /// Whether no new calls are taken.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn send(&self, post: Post) {
        // It fails only when the shard has ended already.
        let _ = self.post.send(post);
        self.waker.wake();
    }
}

/// A queue that wakes the thread which empties it. It has no bound of its own: media commands are bounded by the
/// ports that are lent, and reports by the commands.
pub(crate) struct Mailbox<T> {
    /// `None` only while it is dropped.
    sender: Option<Sender<T>>,
    waker: Waker,
}

impl<T> Mailbox<T> {
    pub(crate) fn new(waker: Waker) -> (Self, Receiver<T>) {
        let (sender, received) = channel();
        (Self { sender: Some(sender), waker }, received)
    }

    /// Puts everything in and wakes the thread once.
    pub(crate) fn post(&self, all: &mut Vec<T>) {
        if all.is_empty() {
            return;
        }
        for one in all.drain(..) {
            // It fails only when the other thread is gone, at the end of the process.
            let _ = self.sender.as_ref().map(|sender| sender.send(one));
        }
        self.waker.wake();
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

const WAITING: usize = 256;
