//! `offhook serve`: the exchange, in the foreground.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use offhook_server::{Ended, LogFormat, Server, Signals, banner, start_log};
use serde_json::{Value, json};

use crate::Everywhere;
use crate::exit::{Failure, INTERRUPTED, OTHER};
use crate::place::Place;
use crate::print;

/// Flags of the command.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    log: Log,
}

/// How the log looks.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Log {
    /// Human on a terminal, JSON otherwise, unless said here
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Human,
    Json,
}

impl Log {
    /// Starts the log.
    pub(crate) fn start(self) -> LogFormat {
        let format = match self.log_format {
            Some(Format::Human) => LogFormat::Human,
            Some(Format::Json) => LogFormat::Json,
            None => LogFormat::of_stderr(),
        };
        start_log(format);
        format
    }
}

impl Serve {
    pub(crate) fn run(self, everywhere: Everywhere) -> Result<ExitCode, Failure> {
        let format = self.log.start();
        let server = Server::start(self.place.settings()?)?;
        let notes: Vec<String> = server
            .generated()
            .iter()
            .map(|(address, password)| format!("New account {address}   password {password}   (shown once)"))
            .collect();
        let signals = server.heed_signals().map_err(Failure::other)?;
        greet(format, &banner(&server, &notes));
        if everywhere.json {
            let account =
                |(address, password): &(String, String)| json!({ "address": address, "password": password });
            announce(&server, server.generated().iter().map(account).collect());
        }
        Ok(until_end(server, signals, || {}))
    }
}

/// Says on stderr what was started, and that it is ready: as text, or as JSON lines like the log.
pub(crate) fn greet(format: LogFormat, lines: &[String]) {
    let timestamp = offhook_web::calendar::rfc3339(offhook_server::unix_time());
    for line in lines.iter().map(String::as_str).chain(["ready"]) {
        match format {
            LogFormat::Human => eprintln!("{line}"),
            LogFormat::Json => {
                eprintln!("{}", json!({ "timestamp": timestamp, "level": "INFO", "message": line }));
            }
        }
    }
}

/// Says on stdout what was started, as one JSON object: what `status` says of it, where the API is, and the accounts
/// whose passwords nobody knows yet.
pub(crate) fn announce(server: &Server, accounts: Vec<Value>) {
    let about = server.about();
    let object = json!({
        "version": about.version, "pid": about.pid, "started_at": about.started_at, "domains": about.domains,
        "realm": about.realm, "listeners": about.listeners, "media_ports": about.media_ports,
        "data_dir": about.data_dir, "turn": server.turn(), "web": server.urls(), "authority": server.authority(), "warnings": server.warnings(), "accounts": accounts,
    });
    print::line(&object.to_string());
}

/// Runs to the end; `first` is called when it is told to end.
pub(crate) fn until_end(server: Server, signals: Signals, first: impl FnOnce()) -> ExitCode {
    match server.run(signals, first) {
        Ended::AsTold => ExitCode::SUCCESS,
        Ended::Interrupted => ExitCode::from(INTERRUPTED),
        Ended::Broken => ExitCode::from(OTHER),
    }
}
