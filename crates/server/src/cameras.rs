//! The way between the media thread and the cameras.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use offhook_camera::{Source, States};
use offhook_media::camera::{Ask, Feed};
use offhook_udp_batch::Waker;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::shards::Mailbox;

/// The media thread's end of it.
pub(crate) struct Cameras {
    asks: UnboundedSender<Ask>,
    feeds: Receiver<Feed>,
    waiting: Arc<AtomicUsize>,
}

impl Cameras {
    /// Something that a camera has sent.
    pub(crate) fn next(&self) -> Option<Feed> {
        let feed = self.feeds.try_recv().ok()?;
        self.waiting.fetch_sub(1, Relaxed);
        Some(feed)
    }

    /// Asks for what media wants.
    pub(crate) fn ask(&self, ask: Ask) {
        // It fails only at the end of the process.
        let _ = self.asks.send(ask);
    }
}

/// Begins to look after the cameras. Called within the runtime.
pub(crate) fn start(sources: Vec<Source>, media: Waker) -> (Cameras, States) {
    let (mailbox, feeds) = Mailbox::new(media);
    let (asks, asked) = unbounded_channel();
    let (mailbox, waiting) = (Mutex::new(mailbox), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&waiting);
    let sink = Arc::new(move |feed: Feed| {
        // How a camera is must be known, however much of another waits.
        let is_state = matches!(feed, Feed::State { .. });
        if !is_state && counted.load(Relaxed) >= MOST_WAITING {
            return false;
        }
        counted.fetch_add(1, Relaxed);
        let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        mailbox.put(feed);
        mailbox.tell();
        true
    });
    (Cameras { asks, feeds, waiting }, offhook_camera::start(sources, asked, sink))
}

/// Pictures and pieces of sound that wait for the media thread; of a picture at most a megabyte.
const MOST_WAITING: usize = 64;
