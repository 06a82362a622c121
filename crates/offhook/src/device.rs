//! `offhook device`: registered contacts.

use clap::Subcommand;

use crate::account::Flags;
use crate::api::Api;
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
}

impl Device {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Self::List { common } = self;
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
}
