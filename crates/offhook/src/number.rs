//! `offhook number`: telephone numbers and whose they are.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::print;

/// What to do with numbers.
#[derive(Subcommand, Debug)]
pub(crate) enum Number {
    /// Adds a number, or a range of numbers that belong to nobody yet
    #[command(
        after_help = "Examples: offhook number add +8613800000000\n          offhook number add +4930123400 --to +4930123499"
    )]
    Add {
        /// The number, such as 1001 or +8613800000000
        number: String,
        /// The last of them, as long as the first
        #[arg(long, value_name = "LAST", conflicts_with = "account")]
        to: Option<String>,
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
    /// Applies for a number, or for any that is free
    #[command(
        after_help = "An operator decides, or a rule (numbers.approval). Example: offhook number request --account sip:alice@example.com"
    )]
    Request {
        /// The number; left out: any that is free
        number: Option<String>,
        /// Who wants it
        #[arg(long, value_name = "ADDRESS")]
        account: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Lists the applications that nobody has decided
    #[command(after_help = "Example: offhook number requests --all")]
    Requests {
        /// The decided ones too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        common: Flags,
    },
    /// Gives an account the number that it has applied for
    #[command(after_help = "Example: offhook number approve 3")]
    Approve {
        /// The application's number in the list
        id: u64,
        #[command(flatten)]
        common: Flags,
    },
    /// Does not give an account the number that it has applied for
    #[command(after_help = "Example: offhook number reject 3 --reason 'one is enough'")]
    Reject {
        /// The application's number in the list
        id: u64,
        /// Why
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        common: Flags,
    },
    /// Shows what has happened to a number
    #[command(after_help = "Example: offhook number history +4930123400")]
    History {
        /// The number
        number: String,
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
            Self::Add { number, to: Some(last), common, .. } => {
                let body = json!({ "first": number, "last": last });
                let answer = Api::open(&common.place)?.ask("POST", "/api/v1/numbers/ranges", Some(&body))?;
                list(&answer, "numbers", &NUMBERS, &common);
                return Ok(());
            }
            Self::Request { number, account, common } => {
                let body = json!({ "account": account, "number": number });
                let answer = Api::open(&common.place)?.ask("POST", REQUESTS, Some(&body))?;
                decided(&answer, &common);
                return Ok(());
            }
            Self::Requests { all, common } => {
                let path = format!("{REQUESTS}?all={all}");
                let answer = Api::open(&common.place)?.ask("GET", &path, None)?;
                list(&answer, "requests", &APPLICATIONS, &common);
                return Ok(());
            }
            Self::Approve { id, common } => {
                let path = format!("{REQUESTS}/{id}/approve");
                decided(&Api::open(&common.place)?.ask("POST", &path, Some(&json!({})))?, &common);
                return Ok(());
            }
            Self::Reject { id, reason, common } => {
                let path = format!("{REQUESTS}/{id}/reject");
                let body = json!({ "reason": reason });
                decided(&Api::open(&common.place)?.ask("POST", &path, Some(&body))?, &common);
                return Ok(());
            }
            Self::History { number, common } => {
                let answer =
                    Api::open(&common.place)?.ask("GET", &format!("{}/history", path(&number)), None)?;
                list(&answer, "history", &EVENTS, &common);
                return Ok(());
            }
            Self::Add { number, to: None, account, common } => {
                let body = json!({ "number": number, "account": account });
                let answer = Api::open(&common.place)?.ask("POST", "/api/v1/numbers", Some(&body))?;
                (common, answer)
            }
            Self::List { common } => {
                let answer = Api::open(&common.place)?.ask("GET", "/api/v1/numbers", None)?;
                list(&answer, "numbers", &NUMBERS, &common);
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

fn list(answer: &Value, of: &str, columns: &[(&str, &str)], common: &Flags) {
    if common.json {
        print::line(&answer.to_string());
    } else {
        print::objects(answer, of, columns);
    }
}

/// What has become of an application.
fn decided(request: &Value, common: &Flags) {
    if common.json {
        return print::line(&request.to_string());
    }
    let word = |key: &str| print::word(&request[key]);
    let number = if request["number"].is_null() { "any number".into() } else { word("number") };
    print::line(&format!("{}  {number} for {}: {}", word("id"), word("account"), word("state")));
}

const REQUESTS: &str = "/api/v1/numbers/requests";
const NUMBERS: [(&str, &str); 2] = [("NUMBER", "number"), ("ACCOUNT", "account")];
const EVENTS: [(&str, &str); 3] = [("WHEN", "at"), ("EVENT", "event"), ("ACCOUNT", "account")];
const APPLICATIONS: [(&str, &str); 6] = [
    ("ID", "id"),
    ("ACCOUNT", "account"),
    ("NUMBER", "number"),
    ("STATE", "state"),
    ("REASON", "reason"),
    ("SINCE", "requested_at"),
];

fn path(number: &str) -> String {
    format!("/api/v1/numbers/{}", segment(number))
}
