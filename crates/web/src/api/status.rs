//! How the server is.

use axum::Json;
use axum::extract::State;
use offhook_exchange::command::{Answer, Command};
use serde_json::{Value, json};

use crate::{Problem, Site};

pub(crate) async fn show(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    let Some(Answer::Status(status)) = site.exchange.ask(Command::Status).await else {
        return Err(Problem::not_running());
    };
    let mut shown =
        serde_json::to_value(site.exchange.about()).map_err(|e| Problem::failed(e.to_string()))?;
    shown["accounts"] = json!(status.accounts);
    shown["devices"] = json!(status.bindings);
    shown["transactions"] = json!(status.transactions);
    shown["calls_ringing"] = json!(status.ringing);
    shown["calls_anchored"] = json!(status.anchored);
    shown["subscriptions"] = json!(status.subscriptions);
    shown["free_port_pairs"] = json!(status.free_ports);
    let mut troubles = site.records.troubles();
    troubles.extend(site.exchange.ready().err());
    troubles.extend(super::trunks::troubles(&site).await);
    shown["troubles"] = json!(troubles);
    Ok(Json(shown))
}
