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
    /// Calls are taken of callers with this number or address only, and of others that are named so; '' ends that
    #[arg(long, value_name = "CALLER")]
    allow: Vec<String>,
    /// Another who rings as well, at once or after some seconds, such as 1005=10; '' ends that
    #[arg(long, value_name = "PLACE[=SECONDS]")]
    also: Vec<String>,
    /// The schedule of the configuration at whose times calls are taken; '' ends that
    #[arg(long, value_name = "NAME", requires = "closed")]
    schedule: Option<String>,
    /// Calls go on to there at other times
    #[arg(long, value_name = "PLACE", requires = "schedule")]
    closed: Option<String>,
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
            ("schedule", self.schedule),
            ("closed", self.closed),
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
        if !self.allow.is_empty() {
            let named: Vec<_> = self.allow.into_iter().filter(|one| !one.is_empty()).collect();
            patch["allowed"] = json!(named);
        }
        if !self.also.is_empty() {
            let named = self.also.iter().filter(|one| !one.is_empty());
            patch["also"] = json!(named.map(|one| also(one)).collect::<Result<Vec<_>, _>>()?);
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

/// Who rings as well: `1005`, `1005=10`.
fn also(text: &str) -> Result<Value, Failure> {
    let (to, after) = text.split_once('=').unwrap_or((text, "0"));
    let after: u16 = after.parse().map_err(|_| {
        Failure::new(crate::exit::USAGE, format!("{text:?}: after = stand seconds, such as 1005=10"))
    })?;
    Ok(json!({ "to": to, "after": after }))
}

fn show(answering: &Value, json: bool) {
    if json {
        return print::line(&answering.to_string());
    }
    let place = |key: &str| answering[key].as_str().unwrap_or("–").to_owned();
    let switch = |key: &str| if answering[key] == true { "yes" } else { "no" }.to_owned();
    let joined = |all: Vec<String>| if all.is_empty() { "–".to_owned() } else { all.join(", ") };
    let list = |key: &str| answering[key].as_array().into_iter().flatten();
    let texts = |key: &str| joined(list(key).filter_map(Value::as_str).map(str::to_owned).collect());
    let rings = |one: &Value| format!("{} after {} s", one["to"].as_str().unwrap_or_default(), one["after"]);
    let hours = match answering["schedule"].as_str() {
        Some(schedule) => format!("{schedule}, else {}", place("closed")),
        None => "always".to_owned(),
    };
    for (head, text) in [
        ("All calls go to", place("forward_always")),
        ("Busy", place("forward_busy")),
        ("No answer", format!("{} after {} s", place("forward_no_answer"), answering["ring_seconds"])),
        ("Unreachable", place("forward_unreachable")),
        ("Do not disturb", switch("do_not_disturb")),
        ("Anonymous rejected", switch("reject_anonymous")),
        ("Turned away", texts("blocked")),
        ("Taken only from", texts("allowed")),
        ("Rings as well", joined(list("also").map(rings).collect())),
        ("Takes calls", hours),
        ("Pickup group", place("pickup_group")),
    ] {
        print::line(&format!("{head:<20} {text}"));
    }
}
