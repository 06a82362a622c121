//! `offhook number`: telephone numbers and whose they are.

use clap::Subcommand;
use serde_json::json;

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::print;

/// What to do with numbers.
#[derive(Subcommand, Debug)]
pub(crate) enum Number {
    /// Adds a number
    #[command(after_help = "Example: offhook number add +8613800000000")]
    Add {
        /// The number, such as 1001 or +8613800000000
        number: String,
        /// Whose it shall be; nobody's if left out
        #[arg(long, value_name = "ADDRESS")]
        account: Option<String>,
        #[command(flatten)]
        common: Flags,
    },
    /// Lists all numbers
    #[command(after_help = "Example: offhook number list --json")]
    List {
        #[command(flatten)]
        common: Flags,
    },
    /// Gives a number to an account
    #[command(after_help = "Example: offhook number assign 1001 sip:alice@example.com")]
    Assign {
        /// The number
        number: String,
        /// The account
        address: String,
        /// Takes it from whoever has it
        #[arg(long)]
        take: bool,
        #[command(flatten)]
        common: Flags,
    },
    /// Takes a number from its account; it is free then
    #[command(after_help = "Example: offhook number release 1001")]
    Release {
        /// The number
        number: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Removes a number
    #[command(after_help = "Example: offhook number remove 1001")]
    Remove {
        /// The number
        number: String,
        #[command(flatten)]
        common: Flags,
    },
}

impl Number {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (common, answer) = match self {
            Self::Add { number, account, common } => {
                let body = json!({ "number": number, "account": account });
                let answer = Api::open(&common.place)?.ask("POST", "/api/v1/numbers", Some(&body))?;
                (common, answer)
            }
            Self::List { common } => {
                let answer = Api::open(&common.place)?.ask("GET", "/api/v1/numbers", None)?;
                if common.json {
                    print::line(&answer.to_string());
                } else {
                    print::objects(&answer, "numbers", &[("NUMBER", "number"), ("ACCOUNT", "account")]);
                }
                return Ok(());
            }
            Self::Assign { number, address, take, common } => {
                let body = json!({ "account": address, "from_anyone": take });
                let answer = Api::open(&common.place)?.ask("PATCH", &path(&number), Some(&body))?;
                (common, answer)
            }
            Self::Release { number, common } => {
                let body = json!({ "account": null });
                let answer = Api::open(&common.place)?.ask("PATCH", &path(&number), Some(&body))?;
                (common, answer)
            }
            Self::Remove { number, common } => {
                Api::open(&common.place)?.ask("DELETE", &path(&number), None)?;
                (common, json!({ "removed": number }))
            }
        };
        if common.json {
            print::line(&answer.to_string());
        } else if let Some(number) = answer["number"].as_str() {
            print::line(&format!("{number}  {}", print::word(&answer["account"])));
        }
        Ok(())
    }
}

fn path(number: &str) -> String {
    format!("/api/v1/numbers/{}", segment(number))
}
