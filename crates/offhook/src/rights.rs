//! `offhook account rights`: what an account may do beside calling.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::Api;
use crate::exit::Failure;
use crate::print;

/// What is to change; nothing shows how it is.
#[derive(Args, Debug)]
pub(crate) struct Wish {
    /// When its calls are recorded
    #[arg(long, value_enum)]
    record: Option<Record>,
    /// It may listen to the calls of this number or name; a * at the end stands for anything
    #[arg(long, value_name = "ACCOUNT")]
    supervise: Vec<String>,
    /// … and no longer
    #[arg(long, value_name = "ACCOUNT")]
    unsupervise: Vec<String>,
    /// Whether its phones may be made to answer by themselves
    #[arg(long, value_enum, value_name = "on|off")]
    intercom: Option<Switch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Record {
    Never,
    OnDemand,
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Wish {
    /// Asks for it, and shows how it is from then on.
    pub(crate) fn run(self, account: &str, common: &Flags) -> Result<(), Failure> {
        let api = Api::open(&common.place)?;
        let path = format!("{account}/rights");
        let mut patch = json!({});
        if !self.supervise.is_empty() || !self.unsupervise.is_empty() {
            let before = api.ask("GET", &path, None)?;
            let mut supervises = texts(&before["supervises"]);
            supervises.retain(|one| !self.unsupervise.contains(one) && !self.supervise.contains(one));
            supervises.extend(self.supervise);
            patch["supervises"] = json!(supervises);
        }
        if let Some(record) = self.record {
            patch["record"] = json!(match record {
                Record::Never => "never",
                Record::OnDemand => "on-demand",
                Record::Always => "always",
            });
        }
        if let Some(intercom) = self.intercom {
            patch["intercom"] = json!(intercom == Switch::On);
        }
        let changes = patch.as_object().is_some_and(|patch| !patch.is_empty());
        let rights = match changes {
            true => api.ask("PATCH", &path, Some(&patch))?,
            false => api.ask("GET", &path, None)?,
        };
        show(&rights, common.json);
        Ok(())
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn show(rights: &Value, json: bool) {
    if json {
        return print::line(&rights.to_string());
    }
    let supervises = texts(&rights["supervises"]);
    let rows = [
        ("Calls recorded", rights["record"].as_str().unwrap_or_default().to_owned()),
        ("Supervises", if supervises.is_empty() { "–".into() } else { supervises.join(", ") }),
        ("Intercom", if rights["intercom"] == true { "yes" } else { "no" }.into()),
    ];
    rows.iter().for_each(|(name, value)| print::line(&format!("{name:<16} {value}")));
}
