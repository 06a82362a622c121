//! `offhook device`: registered contacts, and what a phone is told to become one.

mod provision;

use clap::Subcommand;
use provision::{Model, Wish};

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::print;

/// What to do with devices.
#[derive(Subcommand, Debug)]
pub(crate) enum Device {
    /// Lists the phones that are registered
    #[command(after_help = "Example: offhook device list --json")]
    List {
        #[command(flatten)]
        common: Flags,
    },
    /// Prints what a phone has to be told to be a phone of an account, in the form that it reads
    #[command(
        after_help = "Example: offhook device provision sip:alice@example.com --for yealink --new-password > y000000000000.cfg"
    )]
    Provision {
        /// Whose phone it is
        #[arg(long = "for", value_enum)]
        model: Model,
        #[command(flatten)]
        wish: Wish,
    },
    /// Prints the same as a code for the camera of a telephone, for the app Grandstream Wave
    #[command(after_help = "Example: offhook device qr sip:alice@example.com --new-password")]
    Qr {
        #[command(flatten)]
        wish: Wish,
    },
    /// Forgets the phones of an account, which come back when they register again
    #[command(after_help = "Example: offhook device forget sip:alice@example.com")]
    Forget {
        /// The account
        address: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Makes credentials for the exchange's TURN server, good for twelve hours
    #[command(after_help = "Example: offhook device turn sip:alice@example.com --json")]
    Turn {
        /// Of an account
        address: String,
        #[command(flatten)]
        common: Flags,
    },
}

impl Device {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { common } => list(&common),
            Self::Provision { model, wish } => wish.provision(model),
            Self::Qr { wish } => wish.qr(),
            Self::Forget { address, common } => forget(&address, &common),
            Self::Turn { address, common } => turn(&address, &common),
        }
    }
}

fn list(common: &Flags) -> Result<(), Failure> {
    let answer = Api::open(&common.place)?.ask("GET", "/api/v1/devices", None)?;
    if common.json {
        print::line(&answer.to_string());
    } else {
        let columns = [
            ("ACCOUNT", "account"),
            ("CONTACT", "contact"),
            ("FROM", "remote"),
            ("UNTIL", "expires_at"),
            ("DEVICE", "user_agent"),
        ];
        print::objects(&answer, "devices", &columns);
    }
    Ok(())
}

fn forget(address: &str, common: &Flags) -> Result<(), Failure> {
    let path = format!("/api/v1/devices/{}", segment(address));
    let answer = Api::of_running(&common.place)?.ask("DELETE", &path, None)?;
    match common.json {
        true => print::line(&answer.to_string()),
        false => print::line(&format!("{} phones of {address} are forgotten", answer["forgotten"])),
    }
    Ok(())
}

fn turn(address: &str, common: &Flags) -> Result<(), Failure> {
    let path = format!("/api/v1/turn/credentials?account={}", segment(address));
    let answer = Api::of_running(&common.place)?.ask("GET", &path, None)?;
    if common.json {
        print::line(&answer.to_string());
        return Ok(());
    }
    for (head, key) in [("Username", "username"), ("Password", "password")] {
        print::line(&format!("{head}  {}", print::word(&answer[key])));
    }
    for uri in answer["uris"].as_array().into_iter().flatten() {
        print::line(&format!("Server    {}", print::word(uri)));
    }
    let hours = answer["ttl"].as_u64().unwrap_or(0) / 3600;
    print::line(&format!("Good for  {hours} hours"));
    Ok(())
}
