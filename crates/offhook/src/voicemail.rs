//! `offhook voicemail`: the messages in a mailbox.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::print;

/// What to do with messages.
#[derive(Subcommand, Debug)]
pub(crate) enum Voicemail {
    /// Lists the messages in the mailbox of an account, new ones first
    #[command(after_help = "Example: offhook voicemail list sip:alice@example.com --json")]
    List {
        /// Whose
        address: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Writes a message into a WAV file
    #[command(
        after_help = "Example: offhook voicemail save sip:alice@example.com 1800000000-1-1002 message.wav"
    )]
    Save {
        /// Whose
        address: String,
        /// Which, as `list` shows it
        id: String,
        /// Where to
        file: PathBuf,
        #[command(flatten)]
        common: Flags,
    },
    /// Greets callers of a mailbox with a file of sound, or with the standard greeting again
    #[command(
        after_help = "Examples: offhook voicemail greeting sip:alice@example.com hello.mp3\n          \
                      offhook voicemail greeting sip:alice@example.com --standard"
    )]
    Greeting {
        /// Whose
        address: String,
        /// WAV, FLAC, MP3, or Ogg with Vorbis or Opus, of any rate
        #[arg(required_unless_present = "standard", conflicts_with = "standard")]
        file: Option<PathBuf>,
        /// The standard greeting
        #[arg(long)]
        standard: bool,
        #[command(flatten)]
        common: Flags,
    },
    /// Leaves a message in the mailbox of another account too, as a new one; that of the first stays as it is
    #[command(
        after_help = "Example: offhook voicemail forward sip:alice@example.com 1800000000-1-1002 sip:bob@example.com"
    )]
    Forward {
        /// Whose
        address: String,
        /// Which, as `list` shows it
        id: String,
        /// An account, or the number of one
        to: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Deletes a message
    #[command(after_help = "Example: offhook voicemail delete sip:alice@example.com 1800000000-1-1002")]
    Delete {
        /// Whose
        address: String,
        /// Which, as `list` shows it
        id: String,
        #[command(flatten)]
        common: Flags,
    },
}

impl Voicemail {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { address, common } => {
                let answer = Api::open(&common.place)?.ask("GET", &path(&address), None)?;
                if common.json {
                    print::line(&answer.to_string());
                } else {
                    let columns = [
                        ("MESSAGE", "id"),
                        ("NEW", "new"),
                        ("FROM", "from"),
                        ("AT", "at"),
                        ("SECONDS", "seconds"),
                    ];
                    print::objects(&answer, "messages", &columns);
                }
            }
            Self::Save { address, id, file, common } => {
                let path = format!("{}/{}", path(&address), segment(&id));
                let sound = Api::open(&common.place)?.send("GET", &path, Vec::new())?;
                fs::write(&file, sound)
                    .map_err(|error| Failure::other(format!("{}: {error}", file.display())))?;
            }
            Self::Greeting { address, file, common, .. } => {
                let path = format!("{}/greeting", path(&address));
                let api = Api::open(&common.place)?;
                match file {
                    Some(file) => {
                        let sound = fs::read(&file);
                        let sound =
                            sound.map_err(|error| Failure::other(format!("{}: {error}", file.display())))?;
                        api.send("PUT", &path, sound)?;
                    }
                    None => _ = api.send("DELETE", &path, Vec::new())?,
                }
            }
            Self::Forward { address, id, to, common } => {
                let path = format!("{}/{}/forward", path(&address), segment(&id));
                Api::of_running(&common.place)?.ask("POST", &path, Some(&json!({ "to": to })))?;
            }
            Self::Delete { address, id, common } => {
                let path = format!("{}/{}", path(&address), segment(&id));
                Api::open(&common.place)?.ask("DELETE", &path, None)?;
            }
        }
        Ok(())
    }
}

fn path(address: &str) -> String {
    format!("/api/v1/accounts/{}/voicemail", segment(address))
}
