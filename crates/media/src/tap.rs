//! Somebody of ours between the two sides of a relayed stream: hears both, records them, and may be heard in place of one.

use crate::command::{Numbers, SideName};
use crate::session::Settings;
use crate::voice::{Clip, Recording};

/// What call control asks of who sits between two sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapOrder {
    /// What either side sends and takes, side A's first; with that it is there. Said again, it changes and all goes on.
    Agree(Box<[(Settings, Numbers); 2]>),
    /// Says these to a side: music in place of what the other side says, anything else above it. Nothing at all ends that.
    Play {
        /// Who hears it.
        to: SideName,
        /// By which [`crate::voice::Heard::Played`] names it.
        order: u32,
        /// At most [`crate::voice::MOST_CLIPS`].
        clips: Vec<Clip>,
    },
    /// Records both sides from now on, side A left and side B right. A recording that is under way ends.
    Record {
        /// By which [`crate::voice::Heard::Recorded`] names it.
        order: u32,
        /// Where to and how long.
        recording: Recording,
    },
    /// Silence is recorded in place of both sides, or they are again.
    Pause(bool),
    /// Ends the recording.
    Stop,
    /// What both sides say is heard in a room; of them, sides A and B hear it too if it says so.
    Join {
        /// The room, as in [`crate::voice::Order::Join`]; those between two sides do not count as being in it.
        room: u64,
        /// Whether side A hears it, whether side B does.
        heard_by: [bool; 2],
    },
    /// Nobody else hears what the sides say.
    Leave,
    /// The sides are alone again.
    End,
}
