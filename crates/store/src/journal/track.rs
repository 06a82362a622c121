//! What a journal lets others see of itself while it works.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize};

use tokio::sync::Notify;

/// Written by a journal, read by the writer and by whoever asks for the health.
#[derive(Debug)]
pub(crate) struct Track {
    /// The generation of the file in use; 0 before the first.
    pub(crate) used: AtomicU64,
    /// No entry with a smaller number is in that file, or waits. Asked before `used`, it holds for all files from
    /// that one on.
    pub(crate) floor: AtomicU64,
    /// How long that file is; 0 if it can be used no more, or there never was one.
    pub(crate) length: AtomicU64,
    /// Something was written since the last sync.
    pub(crate) dirty: AtomicBool,
    /// The system's number of the error if the last append failed, or one of the constants below.
    pub(crate) failure: AtomicI32,
    /// Entries that are in memory only.
    pub(crate) waiting: AtomicUsize,
    /// Nothing more will come.
    pub(crate) gone: AtomicBool,
    /// Told when a journal is gone.
    pub(crate) ended: Arc<Notify>,
}

impl Track {
    pub(crate) fn new(ended: Arc<Notify>) -> Self {
        Self {
            used: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            length: AtomicU64::new(0),
            dirty: AtomicBool::new(false),
            failure: AtomicI32::new(NO_FAILURE),
            waiting: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
            ended,
        }
    }

    /// Why the last append failed.
    pub(crate) fn error(&self) -> Option<String> {
        match self.failure.load(std::sync::atomic::Ordering::Relaxed) {
            NO_FAILURE => None,
            NO_FILE => Some("there is no file that can be written".into()),
            code => Some(io::Error::from_raw_os_error(code).to_string()),
        }
    }
}

pub(crate) const NO_FAILURE: i32 = -1;
pub(crate) const NO_FILE: i32 = 0;
