//! Addresses that are not listened to.

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use offhook_exchange::bans::{Ban, banned_as};
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::Input;
use crate::calendar::rfc3339;
use crate::{Problem, Site};

/// A ban that an operator wants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Whom.
    address: String,
    /// For how many seconds; left out: until it is ended.
    seconds: Option<u64>,
    /// Why.
    reason: Option<String>,
}

pub(crate) async fn list(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    let bans = site.records.bans().await?;
    Ok(Json(json!({ "bans": bans.iter().map(show_one).collect::<Vec<_>>() })))
}

pub(crate) async fn show(
    State(site): State<Site>,
    Path(address): Path<String>,
) -> Result<Json<Value>, Problem> {
    let wanted = parse(&address)?;
    let found = site.records.bans().await?.into_iter().find(|ban| ban.address == wanted);
    found.map(|ban| Json(show_one(&ban))).ok_or_else(|| not_banned(&address))
}

pub(crate) async fn add(
    State(site): State<Site>,
    Input(wanted): Input<Wanted>,
) -> Result<Json<Value>, Problem> {
    let address = parse(&wanted.address)?;
    let reason = wanted.reason.unwrap_or_else(|| "an operator wants it".to_owned());
    if reason.len() > LONGEST_REASON || reason.chars().any(char::is_control) {
        return Err(Problem::bad(format!("a reason has at most {LONGEST_REASON} octets, all in one line")));
    }
    if wanted.seconds == Some(0) {
        return Err(Problem::bad("a ban lasts at least a second"));
    }
    let ban = site.records.ban(address, wanted.seconds, reason).await?;
    Ok(Json(show_one(&ban)))
}

pub(crate) async fn remove(
    State(site): State<Site>,
    Path(address): Path<String>,
) -> Result<Json<Value>, Problem> {
    if !site.records.lift_ban(parse(&address)?).await? {
        return Err(not_banned(&address));
    }
    Ok(Json(json!({ "address": address, "lifted": true })))
}

fn parse(text: &str) -> Result<IpAddr, Problem> {
    let ip: Result<IpAddr, _> = text.parse();
    ip.map(banned_as).map_err(|_| Problem::bad(format!("{text:?} is no address such as 198.51.100.7")))
}

fn not_banned(address: &str) -> Problem {
    Problem::not_found(format!("{address} is not banned"))
}

fn show_one(ban: &Ban) -> Value {
    let moment = |seconds| rfc3339(Duration::from_secs(seconds));
    json!({
        "address": ban.address,
        "since": moment(ban.since),
        "until": ban.until.map(moment),
        "reason": ban.reason,
    })
}

const LONGEST_REASON: usize = 200;
