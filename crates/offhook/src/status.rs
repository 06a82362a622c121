//! `offhook status`: how the server is, in words.

use clap::Args;
use serde_json::Value;

use crate::account::Flags;
use crate::api::Api;
use crate::exit::Failure;
use crate::print;

/// Flags of the command.
#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    common: Flags,
}

impl Status {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let answer = Api::of_running(&self.common.place)?.ask("GET", "/api/v1/status", None)?;
        if self.common.json {
            print::line(&answer.to_string());
            return Ok(());
        }
        for text in words(&answer) {
            print::line(&text);
        }
        Ok(())
    }
}

fn words(status: &Value) -> Vec<String> {
    let word = |key: &str| print::word(&status[key]);
    let list = |key: &str| {
        let all = status[key].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(print::word).collect::<Vec<_>>()
    };
    let mut lines = vec![
        format!("offhook {} runs since {} (process {})", word("version"), word("started_at"), word("pid")),
        format!("  SIP      {}", list("listeners").join(", ")),
        format!("  Domains  {}", list("domains").join(", ")),
        format!("  Data     {}", word("data_dir")),
        format!("  Accounts {}, devices registered {}", word("accounts"), word("devices")),
        format!(
            "  Calls    {} being set up, {} with media through us; {} port pairs free",
            word("calls_ringing"),
            word("calls_anchored"),
            word("free_port_pairs")
        ),
    ];
    let troubles = list("troubles");
    if troubles.is_empty() {
        lines.push("All is well.".into());
    }
    lines.extend(troubles.iter().map(|trouble| format!("Trouble: {trouble}")));
    lines
}
