//! Recording: the calls of accounts that want it are recorded, always or while they say so by keys.
//!
//! The work is done where the sound of a call passes (`proxy/anchor/tap`): such a call stays forwarded.

use std::time::Duration;

use super::{Kind, Service};

pub(super) const KIND: Kind = Kind {
    name: "recording",
    summary: "in a call: begins and ends its recording, for accounts that may; *3 pauses it",
    number: |settings| settings.recording.toggle.as_deref(),
    make: |_| Box::new(Recording),
};

/// How calls are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The keys that begin and end a recording; `None`: none do.
    pub toggle: Option<String>,
    /// The keys that pause it and let it go on; `None`: none do.
    pub pause: Option<String>,
    /// What the parties hear of it.
    pub announce: Announce,
    /// The longest.
    pub longest: Duration,
}

/// What the parties of a call hear when its recording begins, pauses or ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Announce {
    /// A tone.
    #[default]
    Beep,
    /// A voice that says so.
    Spoken,
    /// Nothing.
    Silent,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            toggle: Some("*1".into()),
            pause: Some("*3".into()),
            announce: Announce::Beep,
            longest: Duration::from_secs(4 * 3600),
        }
    }
}

/// It takes no calls.
struct Recording;

impl Service for Recording {}
