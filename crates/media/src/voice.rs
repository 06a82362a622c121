//! An end of ours that speaks and listens: it plays clips, hears keys, records, and sits in a room with others.
//!
//! Call control gives it [`Order`]s and learns of it by [`Heard`]; files are read and written by the driver
//! ([`mod@file`]), so that sound never waits for a disk. All its sound has [`RATE`].

mod end;
pub mod file;
mod live;
mod melody;
mod room;
mod source;
mod take;

pub(crate) use end::Voice;
pub(crate) use room::Rooms;
pub(crate) use take::Take;

use crate::camera::CameraId;
use crate::session::Settings;
use crate::transcode::Numbers;
use std::sync::Arc;

/// Samples a second of what such an end says and hears.
pub const RATE: u32 = 16_000;

/// 20 ms of it.
pub(crate) type Frame = [i16; FRAME];
pub(crate) const FRAME: usize = RATE as usize / 50;

/// What call control asks of an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The session that offer and answer agreed on. Said again, it changes and the numbers go on; addresses and keys
    /// in it do not count, they are the relay's.
    Agree {
        /// What was agreed.
        settings: Box<Settings>,
        /// Where the numbers of what is sent begin.
        numbers: Numbers,
    },
    /// Says these one after the other, in place of what is being said. Nothing at all ends that.
    Play {
        /// By which [`Heard::Played`] names it.
        order: u32,
        /// At most [`MOST_CLIPS`].
        clips: Vec<Clip>,
    },
    /// Records what is heard from now on; a recording that is under way ends.
    Record {
        /// By which [`Heard::Recorded`] names it.
        order: u32,
        /// Where to and how long.
        recording: Recording,
    },
    /// Ends the recording.
    Stop,
    /// Sits down in a room, hears all others in it, and is heard by them. Said again, only whether they hear it changes.
    /// Answered with [`Heard::Room`] or [`Heard::Closed`].
    Join {
        /// The room, by any number: whoever names it, of whatever shard, meets there.
        room: u64,
        /// Whether the others do not hear it.
        muted: bool,
        /// So many may be in it.
        most: u16,
    },
    /// Lets nobody else into the room that it sits in, or lets them in again. A room that is left by all is open.
    Lock(bool),
    /// Leaves the room.
    Leave,
    /// Shows the pictures of a camera; of a stream of pictures, the only order. Said again, what was agreed on changes and the
    /// numbers go on.
    Watch {
        /// The camera.
        camera: CameraId,
        /// The payload type that was agreed on; `None`: the phone wants no pictures now.
        payload_type: Option<u8>,
        /// Where the numbers of what is sent begin.
        numbers: Numbers,
    },
    /// Presses a key, as an event where that is agreed, else as tones.
    Press(char),
    /// Records all that is said in the room that it sits in, until it is told otherwise or the room is left by all; `None`:
    /// no longer.
    RecordRoom(Option<(u32, Recording)>),
    /// Records those in the room that it sits in on two sides, it on one and all others on the other, until it is told
    /// otherwise or one of them goes.
    RecordApart {
        /// By which [`Heard::Recorded`] names it.
        order: u32,
        /// Where to and how long.
        recording: Recording,
        /// Whether it stands right, and not left.
        right: bool,
    },
    /// Silence is recorded in place of what is said in the room, or that is again.
    PauseRoom(bool),
}

/// A piece of what is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clip {
    /// A prompt of ours, by language and name: `en/20`. One that is unknown is left out.
    Prompt(String),
    /// A file of the driver. One that cannot be read is left out.
    File(Arc<str>),
    /// A sine.
    Tone {
        /// Its frequency in Hz.
        hz: u16,
        /// How long it lasts, in milliseconds.
        ms: u32,
    },
    /// Nothing, for so many milliseconds.
    Silence(u32),
    /// Music, which has no end: the driver's ([`file::MUSIC`]), piece after piece, or if it has none a quiet melody.
    Music,
    /// The sound of a camera, for as long as that sends.
    Live(CameraId),
}

/// What is recorded, and when it ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The file, as the driver knows it.
    pub file: Arc<str>,
    /// The longest, in milliseconds.
    pub most_ms: u32,
    /// Silence that ends it, in milliseconds; 0: none does.
    pub silence_ms: u32,
    /// A shorter one is thrown away, in milliseconds.
    pub least_ms: u32,
}

/// What an end tells call control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A key was pressed.
    Digit(char),
    /// All of an [`Order::Play`] has been said, or left out.
    Played {
        /// Its number.
        order: u32,
    },
    /// The number of others in its room; told again to all in it when it changes.
    Room {
        /// How many there are.
        others: u16,
    },
    /// It cannot come into a room.
    Closed(Closed),
    /// A recording has ended and stands in its file, or not.
    Recorded {
        /// The number of its order.
        order: u32,
        /// How long it is in milliseconds, where it was kept.
        outcome: Result<u32, Lost>,
    },
}

/// Why nobody else comes into a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Somebody in it has said so.
    Locked,
    /// As many are in it as may be.
    Full,
}

/// Why there is no recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It was shorter than wanted.
    Short,
    /// It could not be written.
    Unwritten,
}

/// More clips are not said.
pub const MOST_CLIPS: usize = 128;
