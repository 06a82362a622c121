//! Text messages to and from an account.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Problem, Site};

/// Of whom, and how many.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    account: String,
    #[serde(default)]
    limit: Option<u32>,
}

/// The newest first.
pub(crate) async fn list(
    State(site): State<Site>,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted
        .map_err(|_| Problem::bad("say whose: ?account=sip:alice@example.com, and perhaps &limit=100"))?;
    let limit = wanted.limit.unwrap_or(USUAL).min(MOST);
    let messages = site.records.messages(wanted.account, limit).await?;
    Ok(Json(json!({ "messages": messages })))
}

const USUAL: u32 = 100;
const MOST: u32 = 1_000;
