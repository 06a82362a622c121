//! Files, between the ends that want them and the driver that has them.

use super::Lost;
use crate::command::StreamId;
use std::sync::Arc;

/// What an end wants of the driver. Every [`Request::Load`] and every [`Request::End`] is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The sound in a file.
    Load {
        /// Who wants it.
        stream: StreamId,
        /// Which.
        file: Arc<str>,
    },
    /// A recording begins; it appears under its name only when it is complete.
    Begin {
        /// Whose.
        stream: StreamId,
        /// The number of its order, by which the rest names it.
        order: u32,
        /// Its name.
        file: Arc<str>,
        /// Samples a second.
        rate: u32,
        /// 1, or 2: left and right, whose samples take turns.
        channels: u8,
    },
    /// More of it.
    Sound {
        /// Whose.
        stream: StreamId,
        /// Which.
        order: u32,
        /// The samples.
        samples: Vec<i16>,
    },
    /// It is complete.
    End {
        /// Whose.
        stream: StreamId,
        /// Which.
        order: u32,
        /// Whether it is to be kept.
        keep: bool,
    },
}

/// In place of a name: any piece of the music that the driver has, another each time if it has several.
pub const MUSIC: &str = "music";

/// What the driver says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::Load`].
    Loaded {
        /// Who wanted it.
        stream: StreamId,
        /// Which.
        file: Arc<str>,
        /// Samples at [`super::RATE`]; `None`: it cannot be had.
        sound: Option<Arc<[i16]>>,
    },
    /// To [`Request::End`], or before it when a recording cannot go on.
    Recorded {
        /// Whose.
        stream: StreamId,
        /// Which.
        order: u32,
        /// How long it is in milliseconds, where it was kept.
        outcome: Result<u32, Lost>,
    },
}

impl Answer {
    /// Whom it is for.
    pub const fn stream(&self) -> StreamId {
        match self {
            Answer::Loaded { stream, .. } | Answer::Recorded { stream, .. } => *stream,
        }
    }
}
