//! `offhook queue`: callers who wait for agents.

use clap::Subcommand;
use serde_json::Value;

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::print;

/// What to do with queues.
#[derive(Subcommand, Debug)]
pub(crate) enum Queue {
    /// Lists the queues: who waits, and what has become of calls since the start
    #[command(after_help = "Example: offhook queue list --json")]
    List {
        #[command(flatten)]
        common: Flags,
    },
    /// Shows one, with its agents
    #[command(after_help = "Example: offhook queue show 610")]
    Show {
        /// Its number or its name
        queue: String,
        #[command(flatten)]
        common: Flags,
    },
}

impl Queue {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { common } => list(&common),
            Self::Show { queue, common } => show(&queue, &common),
        }
    }
}

fn list(common: &Flags) -> Result<(), Failure> {
    let answer = Api::of_running(&common.place)?.ask("GET", "/api/v1/queues", None)?;
    if common.json {
        print::line(&answer.to_string());
    } else {
        print::objects(&answer, "queues", &COLUMNS);
    }
    Ok(())
}

fn show(queue: &str, common: &Flags) -> Result<(), Failure> {
    let path = format!("/api/v1/queues/{}", segment(queue));
    let answer = Api::of_running(&common.place)?.ask("GET", &path, None)?;
    if common.json {
        print::line(&answer.to_string());
        return Ok(());
    }
    for (head, key) in COLUMNS {
        print::line(&format!("{:<14} {}", head.to_lowercase(), print::word(&answer[key])));
    }
    let row = |agent: &Value| vec![print::word(&agent["account"]), print::word(&agent["state"])];
    let rows: Vec<Vec<String>> = answer["agents"].as_array().into_iter().flatten().map(row).collect();
    print::table(&["AGENT", "STATE"], &rows);
    Ok(())
}

const COLUMNS: [(&str, &str); 8] = [
    ("QUEUE", "number"),
    ("NAME", "name"),
    ("WAITING", "waiting"),
    ("LONGEST S", "longest_wait_s"),
    ("ANSWERED", "answered"),
    ("ABANDONED", "abandoned"),
    ("SENT ON", "overflowed"),
    ("AVERAGE S", "average_wait_s"),
];
