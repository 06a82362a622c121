//! What the API must know of recordings of calls.

use std::path::PathBuf;

use serde::Serialize;

use crate::Problem;

/// The recordings of calls.
pub trait CallRecordings: Send + Sync {
    /// The newest of them, at most so many, newest first.
    fn list(&self, most: usize) -> Vec<CallRecording>;

    /// The WAV file of one.
    ///
    /// # Errors
    /// When there is no such recording.
    fn sound(&self, id: &str) -> Result<PathBuf, Problem>;

    /// Deletes one.
    ///
    /// # Errors
    /// When there is no such recording, or it cannot be deleted.
    fn remove(&self, id: &str) -> Result<(), Problem>;
}

/// A call that was recorded: the caller is heard left, the one who was called right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallRecording {
    /// By which it is known.
    pub id: String,
    /// When it began (RFC 3339).
    pub at: String,
    /// Who called: the letters and digits of the number or the name.
    pub from: String,
    /// Who was called.
    pub to: String,
    /// How long it is.
    pub seconds: f64,
    /// How large its file is.
    pub bytes: u64,
}
