//! `offhook calls`: calls that last, and calls that are over.

use std::io::{BufRead as _, BufReader};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::Api;
use crate::exit::Failure;
use crate::print;

/// What to show of calls.
#[derive(Subcommand, Debug)]
pub(crate) enum Calls {
    /// Lists calls that are being set up, or whose media goes through the exchange
    #[command(after_help = "Example: offhook calls live")]
    Live {
        #[command(flatten)]
        common: Flags,
    },
    /// Lists calls that are over, the latest last
    #[command(after_help = "Example: offhook calls list --last 20 --json")]
    List {
        /// How many
        #[arg(long, default_value_t = 50)]
        last: usize,
        #[command(flatten)]
        common: Flags,
    },
}

impl Calls {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Live { common } => {
                let answer = Api::of_running(&common.place)?.ask("GET", "/api/v1/calls", None)?;
                if common.json {
                    print::line(&answer.to_string());
                } else {
                    let columns = [
                        ("FROM", "from"),
                        ("TO", "to"),
                        ("STARTED", "started_at"),
                        ("ANSWERED", "answered_at"),
                        ("CALL-ID", "id"),
                    ];
                    print::objects(&answer, "calls", &columns);
                }
            }
            Self::List { last, common } => list(last, &common)?,
        }
        Ok(())
    }
}

fn list(last: usize, common: &Flags) -> Result<(), Failure> {
    let path = offhook_server::call_records(&common.place.settings()?.data_dir);
    let mut records: std::collections::VecDeque<Value> = std::collections::VecDeque::new();
    match std::fs::File::open(&path) {
        Ok(file) => {
            // A line may be cut off by a crash: it is left out.
            let lines = BufReader::new(file).lines().map_while(Result::ok);
            for record in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                records.push_back(record);
                if records.len() > last {
                    records.pop_front();
                }
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::other(format!("{}: {error}", path.display()))),
    }
    if common.json {
        records.iter().for_each(|record| print::line(&record.to_string()));
        return Ok(());
    }
    let columns = [
        ("STARTED", "started_at"),
        ("FROM", "from"),
        ("TO", "to"),
        ("ENDED", "ended_at"),
        ("BY", "ended_by"),
        ("CODE", "code"),
        ("REASON", "reason"),
    ];
    print::objects(&json!({ "calls": records }), "calls", &columns);
    Ok(())
}
