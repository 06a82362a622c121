//! Calls of which the exchange holds state now.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
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

/// Ends the calls with this Call-ID.
pub(crate) async fn hang_up(
    State(site): State<Site>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    match site.exchange.ask(Command::HangUp(id.clone())).await {
        Some(Answer::HungUp(0)) => Err(Problem::not_found(format!(
            "no call with the Call-ID {id} is being set up or has its media through the exchange; a call whose media goes \
             directly between the phones is theirs alone once it is answered: only they can end it"
        ))),
        Some(Answer::HungUp(ended)) => Ok(Json(json!({ "id": id, "ended": ended }))),
        _ => Err(Problem::not_running()),
    }
}
