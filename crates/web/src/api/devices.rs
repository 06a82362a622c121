//! Registered contacts.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use offhook_exchange::command::{Answer, Command};
use offhook_exchange::directory::{AddressOfRecord, Bindings, Delta};
use serde_json::{Value, json};

use crate::calendar::rfc3339;
use crate::{Problem, Site};

pub(crate) async fn list(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    let Some(Answer::Devices(devices)) = site.exchange.ask(Command::Devices).await else {
        return Err(Problem::not_running());
    };
    let shown: Vec<_> = devices
        .into_iter()
        .map(|device| {
            json!({
                "account": device.account,
                "contact": device.contact,
                "remote": device.remote.to_string(),
                "user_agent": device.user_agent,
                "expires_at": rfc3339(Duration::from_secs(device.expires_at)),
            })
        })
        .collect();
    Ok(Json(json!({ "devices": shown })))
}

/// Forgets all contacts of an account; its phones come back when they register again.
pub(crate) async fn forget(
    State(site): State<Site>,
    Path(account): Path<String>,
) -> Result<Json<Value>, Problem> {
    let address = AddressOfRecord::parse(&account).map_err(|error| Problem::bad(error.to_string()))?;
    let Some(Answer::Devices(devices)) = site.exchange.ask(Command::Devices).await else {
        return Err(Problem::not_running());
    };
    let forgotten = devices.iter().filter(|one| one.account == address.to_string()).count();
    if forgotten == 0 {
        return Err(Problem::not_found(format!("no phone is registered for {account}")));
    }
    let delta = Delta::Bindings(address, Bindings::default());
    match site.exchange.ask(Command::Apply(Box::new(delta))).await {
        Some(_) => Ok(Json(json!({ "account": account, "forgotten": forgotten }))),
        None => Err(Problem::not_running()),
    }
}
