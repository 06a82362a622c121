//! Trunks: how they are, and looking after one at once.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use offhook_exchange::command::{Answer, Command, TrunkReport};
use offhook_exchange::trunks::{TrunkHealth, TrunkRegistration, TrunkState, TrunkTrial};
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::Input;
use crate::calendar::rfc3339;
use crate::{Problem, Site};

pub(crate) async fn list(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    let shown: Vec<Value> = all(&site).await?.iter().map(show_one).collect();
    Ok(Json(json!({ "trunks": shown })))
}

pub(crate) async fn show(State(site): State<Site>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(show_one(&find(&site, &name).await?)))
}

/// Looks after a trunk at once instead of later; what comes of it is seen a moment later.
pub(crate) async fn check(
    State(site): State<Site>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let before = find(&site, &name).await?;
    match site.exchange.ask(Command::CheckTrunk(name)).await {
        Some(Answer::Done) => Ok(Json(show_one(&before))),
        _ => Err(Problem::not_running()),
    }
}

/// Whom to call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Called {
    number: String,
}

/// Calls a number by the trunk, and hangs up when somebody answers; what comes of it is seen under `trial`.
pub(crate) async fn call(
    State(site): State<Site>,
    Path(name): Path<String>,
    Input(called): Input<Called>,
) -> Result<Json<Value>, Problem> {
    let trunk = find(&site, &name).await?;
    let Some(state) = &trunk.state else {
        return Err(Problem::conflict(format!(
            "nobody looks after the trunk {name}: set its health to \"30s\""
        )));
    };
    if state.trial.as_ref().is_some_and(TrunkTrial::is_under_way) {
        return Err(Problem::conflict(format!("a trial call by the trunk {name} is under way")));
    }
    match site.exchange.ask(Command::TryTrunk(name, called.number)).await {
        Some(Answer::Done) => Ok(Json(show_one(&trunk))),
        _ => Err(Problem::not_running()),
    }
}

/// What is wrong with trunks, in words.
pub(super) async fn troubles(site: &Site) -> Vec<String> {
    let trouble = |trunk: TrunkReport| {
        let why = trunk.state?.usable().err()?;
        Some(format!("the trunk {} cannot be used: {why}", trunk.name))
    };
    all(site).await.unwrap_or_default().into_iter().filter_map(trouble).collect()
}

async fn all(site: &Site) -> Result<Vec<TrunkReport>, Problem> {
    match site.exchange.ask(Command::Trunks).await {
        Some(Answer::Trunks(trunks)) => Ok(trunks),
        _ => Err(Problem::not_running()),
    }
}

async fn find(site: &Site, name: &str) -> Result<TrunkReport, Problem> {
    let found = all(site).await?.into_iter().find(|trunk| trunk.name == name);
    found.ok_or_else(|| Problem::not_found(format!("there is no trunk {name}")))
}

fn moment(unix: u64) -> String {
    rfc3339(Duration::from_secs(unix))
}

fn show_one(trunk: &TrunkReport) -> Value {
    let mut shown = json!({
        "name": trunk.name,
        "server": trunk.server,
        "username": trunk.username,
        "numbers": trunk.numbers,
        "calls": trunk.calls,
        "max_calls": trunk.max_calls,
        "watched": trunk.state.is_some(),
        "busy": trunk.busy,
    });
    let Some(state) = &trunk.state else { return shown };
    let why = state.usable().err();
    let servers: Vec<_> =
        state.servers.iter().map(|one| format!("{} {}", one.transport.uri_name(), one.remote)).collect();
    shown["usable"] = json!(why.is_none());
    shown["why_not"] = json!(why);
    shown["servers"] = json!(servers);
    shown["lookup_failure"] = json!(state.lookup_failure);
    shown["registration"] = registration(state);
    shown["health"] = match &state.health {
        TrunkHealth::Unknown => json!({ "state": "unknown" }),
        TrunkHealth::Up { round_trip } => {
            json!({ "state": "up", "round_trip_ms": round_trip.as_secs_f64() * 1000.0 })
        }
        TrunkHealth::Down(why) => json!({ "state": "down", "why": why }),
    };
    shown["trial"] = json!(state.trial.as_ref().map(trial));
    shown["realm"] = json!(state.realm);
    shown["checked_at"] = json!(state.checked_at.map(moment));
    shown
}

fn trial(trial: &TrunkTrial) -> Value {
    match trial {
        TrunkTrial::Calling => json!({ "state": "calling" }),
        TrunkTrial::Ringing => json!({ "state": "ringing" }),
        TrunkTrial::Answered => json!({ "state": "answered" }),
        TrunkTrial::Unanswered(rang) => json!({ "state": "unanswered", "rang": rang }),
        TrunkTrial::Failed(code, reason) => json!({ "state": "failed", "code": code, "reason": reason }),
    }
}

fn registration(state: &TrunkState) -> Value {
    match &state.registration {
        TrunkRegistration::Off => json!({ "state": "off" }),
        TrunkRegistration::Trying => json!({ "state": "trying" }),
        TrunkRegistration::Until(unix) => json!({ "state": "registered", "until": moment(*unix) }),
        TrunkRegistration::Failed { status, reason, next } => {
            json!({ "state": "failed", "code": status, "reason": reason, "next_try": moment(*next) })
        }
        TrunkRegistration::Removed => json!({ "state": "removed" }),
    }
}
