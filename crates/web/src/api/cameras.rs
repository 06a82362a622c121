//! Cameras: how they are, and what happens when somebody presses the button at one.

use axum::Json;
use axum::extract::{Path, State};
use offhook_exchange::command::{Answer, Command};
use serde_json::{Value, json};

use crate::{Problem, Site};

pub(crate) async fn list(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    site.exchange.ready().map_err(|_| Problem::not_running())?;
    Ok(Json(json!({ "cameras": site.exchange.cameras() })))
}

/// Makes a camera call those whom it is to call.
pub(crate) async fn ring(State(site): State<Site>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    if !site.exchange.cameras().iter().any(|camera| camera.name == name) {
        return Err(Problem::not_found(format!("there is no camera {name}")));
    }
    match site.exchange.ask(Command::PressButton(name.clone())).await {
        Some(Answer::Done) => Ok(Json(json!({ "name": name, "rings": true }))),
        Some(Answer::Refused(why)) => Err(Problem::conflict(why)),
        _ => Err(Problem::not_running()),
    }
}
