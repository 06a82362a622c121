//! Calls of which the exchange holds state now.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use offhook_exchange::command::{Answer, Command};
use serde_json::{Value, json};

use crate::calendar::rfc3339;
use crate::{Problem, Site};

pub(crate) async fn live(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    let Some(Answer::Calls(calls)) = site.exchange.ask(Command::Calls).await else {
        return Err(Problem::not_running());
    };
    let moment = |seconds| rfc3339(Duration::from_secs(seconds));
    let shown: Vec<_> = calls
        .into_iter()
        .map(|call| {
            json!({
                "id": call.id,
                "from": call.from,
                "to": call.to,
                "started_at": moment(call.started_at),
                "answered_at": call.answered_at.map(moment),
            })
        })
        .collect();
    Ok(Json(json!({ "calls": shown })))
}
