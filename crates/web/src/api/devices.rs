//! Registered contacts.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use offhook_exchange::command::{Answer, Command};
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
