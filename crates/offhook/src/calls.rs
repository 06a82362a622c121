//! `offhook calls`: calls that last, and calls that are over.

mod explain;
mod export;
pub(crate) mod ladder;
mod records;
mod show;

use clap::Subcommand;
use offhook_phone::Language;
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::{Failure, NOT_RUNNING};
use crate::print;
use export::{Date, Format};
use show::Search;

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
    /// Shows one call, that lasts or is over
    #[command(after_help = "Example: offhook calls show 3848276298220188511@atlanta")]
    Show {
        /// Its Call-ID, or as much of its beginning as no other call has
        #[arg(value_name = "CALL-ID", allow_hyphen_values = true)]
        id: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Ends a call that is being set up, or whose media goes through the exchange
    #[command(
        name = "hangup",
        after_help = "Both sides are told that the operator ended it. A call whose media goes directly between the phones is \
                      theirs alone once it is answered: only they can end it.\n\n\
                      Example: offhook calls hangup 3848276298220188511@atlanta"
    )]
    HangUp {
        /// Its Call-ID, or as much of its beginning as no other call has that lasts
        #[arg(value_name = "CALL-ID", allow_hyphen_values = true)]
        id: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Draws the messages of a call, lasting or over, as a ladder
    #[command(
        after_help = "A server keeps the messages that passed lately, as many as trace.memory holds. All legs of a call are drawn \
                      together. Digest responses and keys of encrypted sound are covered.\n\n\
                      Example: offhook calls ladder 3848276298220188511@atlanta"
    )]
    Ladder {
        /// Its Call-ID, or as much of its beginning as no other call has; left out: the call that began last
        #[arg(value_name = "CALL-ID", allow_hyphen_values = true)]
        id: Option<String>,
        /// Prints the messages too
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        common: Flags,
    },
    /// Says in plain words what became of a call, why, and what to do about it
    #[command(
        after_help = "It reads the messages that the server keeps (trace.memory); of an older call it knows no more than its record.\n\n\
                      Example: offhook calls explain 3848276298220188511@atlanta"
    )]
    Explain {
        /// Its Call-ID, or as much of its beginning as no other call has; left out: the call that began last
        #[arg(value_name = "CALL-ID", allow_hyphen_values = true)]
        id: Option<String>,
        #[command(flatten)]
        common: Flags,
    },
    /// Writes the calls that are over to stdout, for other programs
    #[command(
        after_help = "DATE is 2026-11-28, 2026-11-28T09:30 or 2026-11-28T09:30:15, in UTC. In CSV, a field that a spreadsheet \
                      would take for a formula begins with an apostrophe; NDJSON is exact.\n\n\
                      Example: offhook calls export --since 2026-11-01 --until 2026-11-30 > november.csv"
    )]
    Export {
        /// Rows for spreadsheets (RFC 4180), or a JSON object a line
        #[arg(long, value_enum, default_value_t = Format::Csv)]
        format: Format,
        /// Only calls that began then or later
        #[arg(long, value_name = "DATE")]
        since: Option<Date>,
        /// Only calls that began then or earlier; the whole of that day, minute or second counts
        #[arg(long, value_name = "DATE")]
        until: Option<Date>,
        #[command(flatten)]
        common: Flags,
    },
}

impl Calls {
    pub(crate) fn run(self, language: Language) -> Result<(), Failure> {
        match self {
            Self::Live { common } => {
                let answer = Api::of_running(&common.place)?.ask("GET", LIVE, None)?;
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
            Self::Show { id, common } => show::show(&id, &common)?,
            Self::HangUp { id, common } => hang_up(&id, &common)?,
            Self::Explain { id, common } => explain::explain(id.as_deref(), &common, language)?,
            Self::Ladder { id, full, common } => ladder::ladder(id.as_deref(), full, &common, language)?,
            Self::Export { format, since, until, common } => {
                export::export(format, since.as_ref(), until.as_ref(), &common)?;
            }
        }
        Ok(())
    }
}

fn list(last: usize, common: &Flags) -> Result<(), Failure> {
    let mut latest: std::collections::VecDeque<Value> = std::collections::VecDeque::new();
    records::each(common, |record| {
        // A line may be cut off by a crash: it is left out.
        latest.extend(record.ok());
        if latest.len() > last {
            latest.pop_front();
        }
    })?;
    if common.json {
        latest.iter().for_each(|record| print::line(&record.to_string()));
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
    print::objects(&json!({ "calls": latest }), "calls", &columns);
    Ok(())
}

fn hang_up(id: &str, common: &Flags) -> Result<(), Failure> {
    let api = Api::of_running(&common.place)?;
    let mut search = Search::new(id);
    lasting(&api)?.into_iter().for_each(|call| search.look_at(call));
    let found = search.found()?;
    // What is not found is for the server to explain.
    let id = found.as_ref().and_then(|call| call["id"].as_str()).unwrap_or(id);
    let answer = api.ask("DELETE", &format!("{LIVE}/{}", segment(id)), None)?;
    if common.json {
        print::line(&answer.to_string());
    } else {
        print::line(&format!("{id} is ended."));
    }
    Ok(())
}

/// The calls that last; `None` if no server runs.
fn live(common: &Flags) -> Result<Option<Vec<Value>>, Failure> {
    match Api::of_running(&common.place) {
        Ok(api) => lasting(&api).map(Some),
        Err(failure) if failure.code == NOT_RUNNING => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What the running server keeps of a call.
fn traced(id: Option<&str>, api: &Api) -> Result<Value, Failure> {
    let call = id.map(|id| format!("/{}", segment(id))).unwrap_or_default();
    api.ask("GET", &format!("{LIVE}{call}/ladder"), None)
}

fn lasting(api: &Api) -> Result<Vec<Value>, Failure> {
    let mut answer = api.ask("GET", LIVE, None)?;
    serde_json::from_value(answer["calls"].take()).map_err(Failure::other)
}

const LIVE: &str = "/api/v1/calls";
