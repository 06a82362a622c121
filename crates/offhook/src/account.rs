//! `offhook account`: who may use the exchange.

use std::io::Read as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::answering::Wish;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::place::Place;
use crate::print;
use crate::spending::{self, Limits};

/// What to do with accounts.
#[derive(Subcommand, Debug)]
pub(crate) enum Account {
    /// Makes an account; prints its password if none is given
    #[command(after_help = "Example: offhook account add sip:alice@example.com --name Alice --number 1001")]
    Add {
        /// Its address, such as sip:alice@example.com
        address: String,
        #[command(flatten)]
        secret: Secret,
        /// The name shown to those it calls
        #[arg(long)]
        name: Option<String>,
        /// Its number, such as 1001 or +8613800000000
        #[arg(long)]
        number: Option<String>,
        /// Where its owner is reached
        #[arg(long)]
        email: Option<String>,
        /// How it is spoken and written to: en or zh
        #[arg(long)]
        language: Option<String>,
        #[command(flatten)]
        common: Flags,
    },
    /// Lists all accounts
    #[command(after_help = "Example: offhook account list --json")]
    List {
        #[command(flatten)]
        common: Flags,
    },
    /// Shows an account
    #[command(after_help = "Example: offhook account show sip:alice@example.com")]
    Show {
        /// Its address
        address: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Changes an account; what is not named stays
    #[command(after_help = "Example: offhook account set sip:alice@example.com --name 'Alice 王'")]
    Set {
        /// Its address
        address: String,
        #[command(flatten)]
        secret: Secret,
        /// Generates a new password and prints it
        #[arg(long, conflicts_with_all = ["password", "password_file"])]
        new_password: bool,
        /// The name shown to those it calls; empty for none
        #[arg(long)]
        name: Option<String>,
        /// One more number
        #[arg(long)]
        number: Option<String>,
        /// Where its owner is reached; empty for nowhere
        #[arg(long)]
        email: Option<String>,
        /// How it is spoken and written to: en or zh; empty for as all are
        #[arg(long)]
        language: Option<String>,
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        common: Flags,
    },
    /// Shows what accounts have spent today by trunks, and what they may
    #[command(after_help = "Example: offhook account spend sip:alice@example.com")]
    Spend {
        /// Its address; left out: all accounts that have spent something
        address: Option<String>,
        #[command(flatten)]
        common: Flags,
    },
    /// Shows or changes how its calls are answered: forwarded, turned away, or by its phones
    #[command(after_help = "PLACE is a number, a name, an address or a URI; empty for none.\n\n\
                      Example: offhook account answering sip:alice@example.com --busy 1002 --no-answer +4930123456 --ring-seconds 15")]
    Answering {
        /// Its address
        address: String,
        #[command(flatten)]
        wish: Wish,
        #[command(flatten)]
        common: Flags,
    },
    /// Shows or changes what it may do beside calling: recording, listening to others, intercom
    #[command(
        after_help = "Example: offhook account rights sip:alice@example.com --record on-demand --supervise 1002 --intercom on"
    )]
    Rights {
        /// Its address
        address: String,
        #[command(flatten)]
        wish: crate::rights::Wish,
        #[command(flatten)]
        common: Flags,
    },
    /// Removes an account; its numbers become free
    #[command(after_help = "Example: offhook account remove sip:alice@example.com")]
    Remove {
        /// Its address
        address: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Makes the accounts of a CSV file (address,password,name,number,email,language), all or none
    #[command(after_help = "Example: offhook account import staff.csv")]
    Import {
        /// The file, or - for stdin
        file: PathBuf,
        #[command(flatten)]
        common: Flags,
    },
    /// Writes all accounts as CSV; passwords are not known and stay empty
    #[command(after_help = "Example: offhook account export > staff.csv")]
    Export {
        #[command(flatten)]
        common: Flags,
    },
}

/// A password, or where it is.
#[derive(Args, Debug)]
pub(crate) struct Secret {
    /// Its password
    #[arg(long)]
    password: Option<String>,
    /// A file that holds its password
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    password_file: Option<PathBuf>,
}

/// Flags of all commands about objects.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

impl Secret {
    /// The password, if one is given.
    pub(crate) fn read(self) -> Result<Option<String>, Failure> {
        let Some(path) = self.password_file else { return Ok(self.password) };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::other(format!("{}: {error}", path.display())))?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl Account {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add { address, secret, name, number, email, language, common } => {
                let mut body = json!({ "address": address });
                for (key, value) in [
                    ("password", secret.read()?),
                    ("name", name),
                    ("number", number),
                    ("email", email),
                    ("language", language),
                ] {
                    if let Some(value) = value {
                        body[key] = json!(value);
                    }
                }
                let made = Api::open(&common.place)?.ask("POST", "/api/v1/accounts", Some(&body))?;
                warn_of_domain(&address, &common);
                show(&made, common.json);
            }
            Self::List { common } => {
                let all = Api::open(&common.place)?.ask("GET", "/api/v1/accounts", None)?;
                list(&all, common.json);
            }
            Self::Show { address, common } => {
                let api = Api::open(&common.place)?;
                let mut account = api.ask("GET", &path(&address), None)?;
                account["limits"] = api.ask("GET", &format!("{}/limits", path(&address)), None)?;
                show(&account, common.json);
            }
            Self::Spend { address, common } => spending::show(address.as_deref(), &common)?,
            Self::Set { address, secret, new_password, name, number, email, language, limits, common } => {
                let mut body = json!({});
                for (key, value) in [("name", name), ("email", email), ("language", language)] {
                    if let Some(value) = value {
                        body[key] = if value.is_empty() { Value::Null } else { json!(value) };
                    }
                }
                if let Some(number) = number {
                    body["number"] = json!(number);
                }
                match secret.read()? {
                    Some(password) => body["password"] = json!(password),
                    None if new_password => body["password"] = Value::Null,
                    None => {}
                }
                let api = Api::open(&common.place)?;
                let limited = limits.change(&api, &path(&address))?;
                let mut changed = api.ask("PATCH", &path(&address), Some(&body))?;
                changed["limits"] = limited;
                show(&changed, common.json);
            }
            Self::Answering { address, wish, common } => wish.run(&path(&address), &common)?,
            Self::Rights { address, wish, common } => wish.run(&path(&address), &common)?,
            Self::Remove { address, common } => {
                Api::open(&common.place)?.ask("DELETE", &path(&address), None)?;
                if common.json {
                    print::line(&json!({ "removed": address }).to_string());
                }
            }
            Self::Import { file, common } => {
                let made =
                    Api::open(&common.place)?.send("POST", "/api/v1/accounts/import", text_of(&file)?)?;
                list(&serde_json::from_slice(&made).map_err(Failure::other)?, common.json);
            }
            Self::Export { common } => {
                let csv = Api::open(&common.place)?.send("GET", "/api/v1/accounts/export", Vec::new())?;
                let csv = String::from_utf8_lossy(&csv);
                if common.json {
                    print::line(&json!({ "csv": csv }).to_string());
                } else {
                    print::line(csv.trim_end());
                }
            }
        }
        Ok(())
    }
}

/// Says so if no phone will be able to register for an address. It is kept all the same: the domain may be served later.
fn warn_of_domain(address: &str, common: &Flags) {
    let Ok(settings) = common.place.settings() else { return };
    let host = address.rsplit_once('@').map_or(address, |(_, host)| host);
    if !settings.domains.iter().any(|domain| domain.eq_ignore_ascii_case(host)) {
        let served = settings.domains.join(", ");
        eprintln!(
            "offhook: warning: {host} is not served here, so no phone can register for {address}: the key domains names what is \
             ({served})"
        );
    }
}

fn text_of(file: &PathBuf) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(file).map(|read| bytes = read)
    };
    read.map_err(|error| Failure::other(format!("{}: {error}", file.display())))?;
    Ok(bytes)
}

/// Where the API has an account.
pub(crate) fn path(address: &str) -> String {
    format!("/api/v1/accounts/{}", segment(address))
}

fn list(answer: &Value, json: bool) {
    if json {
        return print::line(&answer.to_string());
    }
    let mut columns =
        vec![("ADDRESS", "address"), ("NUMBER", "number"), ("NAME", "name"), ("FROM", "source")];
    let shows_passwords =
        answer["accounts"].as_array().is_some_and(|all| all.iter().any(|one| one["password"].is_string()));
    if shows_passwords {
        columns.push(("PASSWORD (shown once)", "password"));
    }
    print::objects(answer, "accounts", &columns);
}

fn show(account: &Value, json: bool) {
    if json {
        return print::line(&account.to_string());
    }
    for (head, key) in [
        ("Address", "address"),
        ("Name", "name"),
        ("Number", "number"),
        ("E-mail", "email"),
        ("Language", "language"),
        ("Declared in", "source"),
        ("Since", "created_at"),
        ("Password", "password"),
    ] {
        if !account[key].is_null() {
            print::line(&format!("{head:<12} {}", print::word(&account[key])));
        }
    }
    spending::show_limits(&account["limits"]);
}
