//! `offhook recording`: calls that were recorded.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::print;

/// What to do with recordings.
#[derive(Subcommand, Debug)]
pub(crate) enum Recording {
    /// Lists the recordings of calls, the newest first
    #[command(after_help = "Example: offhook recording list --json")]
    List {
        /// How many at most
        #[arg(long, default_value_t = 100)]
        most: u32,
        #[command(flatten)]
        common: Flags,
    },
    /// Writes a recording into a WAV file: the caller left, the one who was called right
    #[command(after_help = "Example: offhook recording save 20261128T213000Z_1001_1002_5-1 call.wav")]
    Save {
        /// Which, as `list` shows it
        id: String,
        /// Where to
        file: PathBuf,
        #[command(flatten)]
        common: Flags,
    },
    /// Deletes a recording
    #[command(after_help = "Example: offhook recording delete 20261128T213000Z_1001_1002_5-1")]
    Delete {
        /// Which, as `list` shows it
        id: String,
        #[command(flatten)]
        common: Flags,
    },
}

impl Recording {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { most, common } => {
                let answer =
                    Api::open(&common.place)?.ask("GET", &format!("/api/v1/recordings?most={most}"), None)?;
                if common.json {
                    print::line(&answer.to_string());
                } else {
                    let columns = [
                        ("RECORDING", "id"),
                        ("AT", "at"),
                        ("FROM", "from"),
                        ("TO", "to"),
                        ("SECONDS", "seconds"),
                    ];
                    print::objects(&answer, "recordings", &columns);
                }
            }
            Self::Save { id, file, common } => {
                let path = format!("/api/v1/recordings/{}", segment(&id));
                let sound = Api::open(&common.place)?.send("GET", &path, Vec::new())?;
                fs::write(&file, sound)
                    .map_err(|error| Failure::other(format!("{}: {error}", file.display())))?;
            }
            Self::Delete { id, common } => {
                let path = format!("/api/v1/recordings/{}", segment(&id));
                Api::open(&common.place)?.ask("DELETE", &path, None)?;
            }
        }
        Ok(())
    }
}
