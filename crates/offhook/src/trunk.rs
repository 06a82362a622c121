//! `offhook trunk`: lines to other telephone networks.
#![allow(rustdoc::broken_intra_doc_links, reason = "the brackets are those of the command line")]

mod presets;
mod test;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::lines::{self, Keys};
use crate::print;

/// What to do with trunks.
#[derive(Subcommand, Debug)]
pub(crate) enum Trunk {
    /// Lists the trunks and how they are
    #[command(after_help = "Example: offhook trunk list --json")]
    List {
        #[command(flatten)]
        common: Flags,
    },
    /// Shows all that is known of one
    #[command(after_help = "Example: offhook trunk show provider")]
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Makes a trunk in the store; a running exchange takes it over at once
    #[command(
        after_help = "Example: offhook trunk add provider server=sip.provider.example username=t0815 password=@provider.secret"
    )]
    Add {
        /// Its name
        name: String,
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        common: Flags,
    },
    /// Changes a trunk of the store; what is not named stays
    #[command(after_help = "Example: offhook trunk set provider max_calls=4 proxy=")]
    Set {
        /// Its name
        name: String,
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        common: Flags,
    },
    /// Removes a trunk of the store; calls under way go on
    #[command(after_help = "Example: offhook trunk remove provider")]
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Says step by step what is wrong with one, after looking anew
    #[command(after_help = "Example: offhook trunk test provider --to 030-1234567")]
    Test {
        /// Its name
        name: String,
        /// Calls this number by it too, and hangs up when somebody answers, or after 30 seconds; it may cost something
        #[arg(long, value_name = "NUMBER")]
        to: Option<String>,
        #[command(flatten)]
        common: Flags,
    },
    /// Lists what is known of providers, or prints a [[trunk]] for one
    #[command(after_help = "Example: offhook trunk presets sipgate >> offhook.toml")]
    Presets {
        /// The provider; left out: all are listed
        provider: Option<String>,
        /// One JSON object instead of a table
        #[arg(long)]
        json: bool,
    },
}

impl Trunk {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { common } => list(&common),
            Self::Show { name, common } => show(&name, &common),
            Self::Add { name, keys, common } => keys.add("trunks", &name, &common),
            Self::Set { name, keys, common } => keys.set("trunks", &name, &common),
            Self::Remove { name, common } => lines::remove("trunks", &name, &common),
            Self::Test { name, to, common } => test::test(&name, to.as_deref(), &common),
            Self::Presets { provider, json } => presets::print(provider.as_deref(), json),
        }
    }
}

fn list(common: &Flags) -> Result<(), Failure> {
    let answer = Api::of_running(&common.place)?.ask("GET", "/api/v1/trunks", None)?;
    if common.json {
        print::line(&answer.to_string());
        return Ok(());
    }
    let none = Vec::new();
    let row = |trunk: &Value| {
        vec![print::word(&trunk["name"]), state(trunk), calls(trunk), print::word(&trunk["server"])]
    };
    let rows: Vec<_> = answer["trunks"].as_array().unwrap_or(&none).iter().map(row).collect();
    print::table(&["NAME", "STATE", "CALLS", "SERVER"], &rows);
    Ok(())
}

fn show(name: &str, common: &Flags) -> Result<(), Failure> {
    let trunk = Api::of_running(&common.place)?.ask("GET", &path(name), None)?;
    if common.json {
        print::line(&trunk.to_string());
        return Ok(());
    }
    let list = |value: &Value| match value.as_array() {
        Some(all) if !all.is_empty() => all.iter().map(print::word).collect::<Vec<_>>().join(", "),
        _ => "–".to_owned(),
    };
    let mut rows = vec![
        ("Server", print::word(&trunk["server"])),
        ("State", state(&trunk)),
        ("User name", print::word(&trunk["username"])),
        ("Numbers", list(&trunk["numbers"])),
        ("Calls", calls(&trunk)),
    ];
    if trunk["watched"] == true {
        rows.push(("Found at", list(&trunk["servers"])));
        rows.push(("Registration", registration(&trunk["registration"])));
        rows.push(("Answers", health(&trunk["health"])));
        rows.push(("Realm", print::word(&trunk["realm"])));
        rows.push(("Last heard", print::word(&trunk["checked_at"])));
    }
    rows.iter().for_each(|(head, value)| print::line(&format!("{head:<13} {value}")));
    Ok(())
}

fn path(name: &str) -> String {
    format!("/api/v1/trunks/{}", segment(name))
}

/// How a trunk is, in words.
fn state(trunk: &Value) -> String {
    match (&trunk["watched"], &trunk["why_not"]) {
        (Value::Bool(true), Value::String(why)) => format!("cannot be used: {why}"),
        (Value::Bool(true), _) if trunk["registration"]["state"] == "registered" => {
            format!("registered until {}", print::word(&trunk["registration"]["until"]))
        }
        (Value::Bool(true), _) if trunk["registration"]["state"] == "trying" => "registers".to_owned(),
        (Value::Bool(true), _) => "can be called".to_owned(),
        _ => "not watched: each call finds its server".to_owned(),
    }
}

fn calls(trunk: &Value) -> String {
    match &trunk["max_calls"] {
        Value::Null => print::word(&trunk["calls"]),
        most => format!("{} of {most}", print::word(&trunk["calls"])),
    }
}

fn registration(registration: &Value) -> String {
    let word = |key: &str| print::word(&registration[key]);
    match registration["state"].as_str() {
        Some("registered") => format!("until {}, refreshed before", word("until")),
        Some("failed") => format!("{} {}; tried again at {}", word("code"), word("reason"), word("next_try")),
        Some("off") => "not wanted".to_owned(),
        Some("removed") => "taken back".to_owned(),
        _ => "under way".to_owned(),
    }
}

fn health(health: &Value) -> String {
    match (health["state"].as_str(), health["round_trip_ms"].as_f64()) {
        (Some("up"), Some(time)) => format!("after {time:.1} ms"),
        (Some("down"), _) => format!("no: {}", print::word(&health["why"])),
        _ => "not known".to_owned(),
    }
}

/// A step of a test as JSON.
fn step(what: &str, ok: Option<bool>, text: &str) -> Value {
    json!({ "step": what, "ok": ok, "text": text })
}
