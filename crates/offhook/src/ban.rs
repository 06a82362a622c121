//! `offhook ban`: addresses that are not listened to.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::print;

/// What to do with bans.
#[derive(Subcommand, Debug)]
pub(crate) enum Ban {
    /// Lists the addresses that are not listened to
    #[command(after_help = "Example: offhook ban list --json")]
    List {
        #[command(flatten)]
        common: Flags,
    },
    /// Bans an address; one of IPv6 with the whole /64 that it is in
    #[command(after_help = "Example: offhook ban add 198.51.100.7 --for 1d --reason 'scans for passwords'")]
    Add {
        /// The address
        address: String,
        /// For how long, such as 30m, 12h, 7d; left out: until it is removed
        #[arg(long = "for", value_name = "T", value_parser = offhook_phone::parse_duration)]
        lasts: Option<Duration>,
        /// Why
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        common: Flags,
    },
    /// Listens to an address again
    #[command(after_help = "Example: offhook ban remove 198.51.100.7")]
    Remove {
        /// The address
        address: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Says why an address is not listened to, and how long it will not be
    #[command(after_help = "Example: offhook ban why 198.51.100.7")]
    Why {
        /// The address
        address: String,
        #[command(flatten)]
        common: Flags,
    },
}

impl Ban {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { common } => list(&common),
            Self::Add { address, lasts, reason, common } => {
                let wanted = json!({ "address": address, "seconds": lasts.map(|time| time.as_secs()), "reason": reason });
                let answer = Api::open(&common.place)?.ask("POST", "/api/v1/bans", Some(&wanted))?;
                say(&answer, &common);
                Ok(())
            }
            Self::Remove { address, common } => {
                let answer = Api::open(&common.place)?.ask("DELETE", &path(&address), None)?;
                match common.json {
                    true => print::line(&answer.to_string()),
                    false => print::line(&format!("{address} is listened to again")),
                }
                Ok(())
            }
            Self::Why { address, common } => {
                let answer = Api::open(&common.place)?.ask("GET", &path(&address), None)?;
                say(&answer, &common);
                Ok(())
            }
        }
    }
}

fn list(common: &Flags) -> Result<(), Failure> {
    let answer = Api::open(&common.place)?.ask("GET", "/api/v1/bans", None)?;
    if common.json {
        print::line(&answer.to_string());
    } else {
        print::objects(&answer, "bans", &COLUMNS);
    }
    Ok(())
}

fn say(ban: &Value, common: &Flags) {
    if common.json {
        return print::line(&ban.to_string());
    }
    let until = match &ban["until"] {
        Value::Null => "until it is removed".to_owned(),
        until => format!("until {}", print::word(until)),
    };
    let [address, since, reason] = ["address", "since", "reason"].map(|key| print::word(&ban[key]));
    print::line(&format!("{address} is banned since {since}, {until}: {reason}"));
}

fn path(address: &str) -> String {
    format!("/api/v1/bans/{}", segment(address))
}

const COLUMNS: [(&str, &str); 4] =
    [("ADDRESS", "address"), ("SINCE", "since"), ("UNTIL", "until"), ("REASON", "reason")];
