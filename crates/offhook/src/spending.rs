//! `offhook account spend` and the limits of an account.

use clap::Args;
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::print;

/// What an account may do; nothing leaves it as it is.
#[derive(Args, Debug)]
pub(crate) struct Limits {
    /// Calls that it may have at a time; usual: as the configuration says
    #[arg(long, value_name = "CALLS|usual")]
    max_calls: Option<String>,
    /// Minutes that it may call by trunks on a day; usual: as the configuration says
    #[arg(long, value_name = "MINUTES|usual")]
    minutes_per_day: Option<String>,
    /// Money that it may spend by trunks on a day, such as 5.00; usual: as the configuration says
    #[arg(long, value_name = "AMOUNT|usual")]
    money_per_day: Option<String>,
}

impl Limits {
    /// Asks for them, and returns how they are from then on.
    pub(crate) fn change(self, api: &Api, account: &str) -> Result<Value, Failure> {
        let path = format!("{account}/limits");
        let mut patch = json!({});
        for (key, given) in [("calls", self.max_calls), ("minutes_per_day", self.minutes_per_day)] {
            match given.as_deref() {
                None => {}
                Some("usual") => patch[key] = Value::Null,
                Some(text) => {
                    patch[key] = json!(text.parse::<u32>().map_err(|_| {
                        Failure::new(crate::exit::USAGE, format!("{text:?} is neither a number nor usual"))
                    })?)
                }
            }
        }
        match self.money_per_day.as_deref() {
            None => {}
            Some("usual") => patch["money_per_day"] = Value::Null,
            Some(text) => patch["money_per_day"] = json!(text),
        }
        match patch.as_object().is_some_and(|patch| !patch.is_empty()) {
            true => api.ask("PATCH", &path, Some(&patch)),
            false => api.ask("GET", &path, None),
        }
    }
}

/// Prints what an account may do beyond the usual.
pub(crate) fn show_limits(limits: &Value) {
    for (head, key) in
        [("Calls", "calls"), ("Minutes a day", "minutes_per_day"), ("Money a day", "money_per_day")]
    {
        if !limits[key].is_null() {
            print::line(&format!("{head:<12} {}", print::word(&limits[key])));
        }
    }
}

/// Prints what accounts have spent today.
pub(crate) fn show(address: Option<&str>, common: &Flags) -> Result<(), Failure> {
    let api = Api::of_running(&common.place)?;
    let answer = match address {
        Some(address) => api.ask("GET", &format!("/api/v1/accounts/{}/spending", segment(address)), None)?,
        None => api.ask("GET", "/api/v1/spending", None)?,
    };
    if common.json {
        print::line(&answer.to_string());
        return Ok(());
    }
    let one = [answer.clone()];
    let accounts = answer["accounts"].as_array().map_or(one.as_slice(), Vec::as_slice);
    let of = |spent: String, most: &Value| match most {
        Value::Null => spent,
        most => format!("{spent} of {}", print::word(most)),
    };
    let row = |one: &Value| {
        let seconds = one["seconds"].as_u64().unwrap_or_default();
        let time = format!("{}:{:02}", seconds / 60, seconds % 60);
        let money = match &one["currency"] {
            Value::Null => "–".to_owned(),
            currency => {
                format!("{} {}", of(print::word(&one["money"]), &one["money_per_day"]), print::word(currency))
            }
        };
        vec![
            print::word(&one["account"]),
            print::word(&one["calls"]),
            of(time, &one["minutes_per_day"]),
            money,
        ]
    };
    let rows: Vec<_> = accounts.iter().map(row).collect();
    print::table(&["ACCOUNT", "CALLS", "MINUTES TODAY", "MONEY TODAY"], &rows);
    Ok(())
}
