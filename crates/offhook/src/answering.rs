//! `offhook account answering`: what becomes of the calls of an account.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::Api;
use crate::exit::Failure;
use crate::print;

/// What is to change; nothing shows how it is.
#[derive(Args, Debug)]
pub(crate) struct Wish {
    /// All calls go on to there, at once
    #[arg(long, value_name = "PLACE")]
    always: Option<String>,
    /// Calls go on to there when the user is busy, declines or does not want to be disturbed
    #[arg(long, value_name = "PLACE")]
    busy: Option<String>,
    /// Calls go on to there when nobody answers
    #[arg(long, value_name = "PLACE")]
    no_answer: Option<String>,
    /// Calls go on to there when no phone is registered or can be reached
    #[arg(long, value_name = "PLACE")]
    unreachable: Option<String>,
    /// After so long nobody answers
    #[arg(long, value_name = "SECONDS")]
    ring_seconds: Option<u16>,
    /// Phones do not ring; who calls finds them busy
    #[arg(long, value_enum, value_name = "on|off")]
    do_not_disturb: Option<Switch>,
    /// Callers who hide who they are are turned away
    #[arg(long, value_enum, value_name = "on|off")]
    reject_anonymous: Option<Switch>,
    /// Callers with this number or address are turned away; a * at the end stands for anything
    #[arg(long, value_name = "CALLER")]
    block: Vec<String>,
    /// … and no longer
    #[arg(long, value_name = "CALLER")]
    unblock: Vec<String>,
    /// Members of this group may take its calls while they ring, and it theirs; "" for none
    #[arg(long, value_name = "GROUP")]
    pickup_group: Option<String>,
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
        let path = format!("{account}/answering");
        let blocked = match self.block.is_empty() && self.unblock.is_empty() {
            true => None,
            false => Some(self.blocked(&api.ask("GET", &path, None)?)),
        };
        let mut patch = json!({});
        let places = [
            ("forward_always", self.always),
            ("forward_busy", self.busy),
            ("forward_no_answer", self.no_answer),
            ("forward_unreachable", self.unreachable),
            ("pickup_group", self.pickup_group),
        ];
        for (key, place) in places.into_iter().filter_map(|(key, place)| Some((key, place?))) {
            patch[key] = if place.is_empty() { Value::Null } else { json!(place) };
        }
        for (key, switch) in
            [("do_not_disturb", self.do_not_disturb), ("reject_anonymous", self.reject_anonymous)]
        {
            if let Some(switch) = switch {
                patch[key] = json!(switch == Switch::On);
            }
        }
        if let Some(seconds) = self.ring_seconds {
            patch["ring_seconds"] = json!(seconds);
        }
        if let Some(blocked) = blocked {
            patch["blocked"] = json!(blocked);
        }
        let changes = patch.as_object().is_some_and(|patch| !patch.is_empty());
        let answering = match changes {
            true => api.ask("PATCH", &path, Some(&patch))?,
            false => api.ask("GET", &path, None)?,
        };
        show(&answering, common.json);
        Ok(())
    }

    /// Who is turned away from now on.
    fn blocked(&self, before: &Value) -> Vec<String> {
        let before = before["blocked"].as_array().into_iter().flatten();
        let mut blocked: Vec<String> = before.filter_map(Value::as_str).map(str::to_owned).collect();
        blocked.retain(|one| !self.unblock.contains(one) && !self.block.contains(one));
        blocked.extend(self.block.iter().cloned());
        blocked
    }
}

fn show(answering: &Value, json: bool) {
    if json {
        return print::line(&answering.to_string());
    }
    let place = |key: &str| answering[key].as_str().unwrap_or("–").to_owned();
    let switch = |key: &str| if answering[key] == true { "yes" } else { "no" }.to_owned();
    let blocked: Vec<_> =
        answering["blocked"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let blocked = if blocked.is_empty() { "–".to_owned() } else { blocked.join(", ") };
    for (head, text) in [
        ("All calls go to", place("forward_always")),
        ("Busy", place("forward_busy")),
        ("No answer", format!("{} after {} s", place("forward_no_answer"), answering["ring_seconds"])),
        ("Unreachable", place("forward_unreachable")),
        ("Do not disturb", switch("do_not_disturb")),
        ("Anonymous rejected", switch("reject_anonymous")),
        ("Turned away", blocked),
        ("Pickup group", place("pickup_group")),
    ] {
        print::line(&format!("{head:<20} {text}"));
    }
}
