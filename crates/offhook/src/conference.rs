//! `offhook conference`: rooms, and those who are in them.

use clap::Subcommand;
use serde_json::json;

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::print;

/// What to do with rooms.
#[derive(Subcommand, Debug)]
pub(crate) enum Conference {
    /// Lists who is in which room
    #[command(after_help = "Example: offhook conference list --json")]
    List {
        #[command(flatten)]
        common: Flags,
    },
    /// Lists who is in a room
    #[command(after_help = "Example: offhook conference show 3000")]
    Show {
        /// Its number
        room: u64,
        #[command(flatten)]
        common: Flags,
    },
    /// Mutes one in a room, or all; they cannot undo that themselves
    #[command(after_help = "Example: offhook conference mute 3000 1002")]
    Mute(Change),
    /// Ends that
    #[command(after_help = "Example: offhook conference unmute 3000")]
    Unmute(Change),
    /// Sends one away
    #[command(after_help = "Example: offhook conference kick 3000 1002")]
    Kick {
        /// The room
        room: u64,
        /// Who, by number or Call-ID
        guest: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Lets nobody else into a room
    Lock(Room),
    /// Lets others in again
    Unlock(Room),
    /// Records all that is said in a room
    #[command(after_help = "Example: offhook conference record 3000")]
    Record(Room),
    /// Ends that; `offhook recording list` has the recording
    StopRecording(Room),
}

/// One in a room, or all.
#[derive(clap::Args, Debug)]
pub(crate) struct Change {
    /// The room
    room: u64,
    /// Who, by number or Call-ID; without one, all
    guest: Option<String>,
    #[command(flatten)]
    common: Flags,
}

/// A room.
#[derive(clap::Args, Debug)]
pub(crate) struct Room {
    /// Its number
    room: u64,
    #[command(flatten)]
    common: Flags,
}

impl Conference {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { common } => list(ROOMS, &common),
            Self::Show { room, common } => list(&path(room, None), &common),
            Self::Mute(change) => change.run(true),
            Self::Unmute(change) => change.run(false),
            Self::Kick { room, guest, common } => {
                Api::open(&common.place)?.ask("DELETE", &path(room, Some(&guest)), None).map(drop)
            }
            Self::Lock(room) => room.run("locked", true),
            Self::Unlock(room) => room.run("locked", false),
            Self::Record(room) => room.run("recorded", true),
            Self::StopRecording(room) => room.run("recorded", false),
        }
    }
}

impl Change {
    fn run(self, muted: bool) -> Result<(), Failure> {
        let path = path(self.room, self.guest.as_deref());
        Api::open(&self.common.place)?.ask("PATCH", &path, Some(&json!({ "muted": muted }))).map(drop)
    }
}

impl Room {
    fn run(self, what: &str, on: bool) -> Result<(), Failure> {
        Api::open(&self.common.place)?
            .ask("PATCH", &path(self.room, None), Some(&json!({ what: on })))
            .map(drop)
    }
}

fn list(path: &str, common: &Flags) -> Result<(), Failure> {
    let answer = Api::open(&common.place)?.ask("GET", path, None)?;
    if common.json {
        print::line(&answer.to_string());
    } else {
        let columns = [
            ("ROOM", "room"),
            ("FROM", "from"),
            ("MUTED", "muted"),
            ("MODERATES", "moderates"),
            ("CALL", "call"),
        ];
        print::objects(&answer, "guests", &columns);
    }
    Ok(())
}

fn path(room: u64, guest: Option<&str>) -> String {
    let guest = guest.map(|guest| format!("/{}", segment(guest))).unwrap_or_default();
    format!("{ROOMS}/{room}{guest}")
}

const ROOMS: &str = "/api/v1/conferences";
