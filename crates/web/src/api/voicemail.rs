//! The messages in a mailbox.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::{Problem, Site};

pub(crate) async fn list(
    State(site): State<Site>,
    Path(address): Path<String>,
) -> Result<Json<Value>, Problem> {
    // Whether there is such an account.
    site.records.account(address.clone()).await?;
    Ok(Json(json!({ "messages": site.voicemail.list(&address)? })))
}

pub(crate) async fn sound(
    State(site): State<Site>,
    Path((address, id)): Path<(String, String)>,
) -> Result<impl IntoResponse, Problem> {
    Ok(([(header::CONTENT_TYPE, "audio/wav")], site.voicemail.sound(&address, &id)?))
}

pub(crate) async fn remove(
    State(site): State<Site>,
    Path((address, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    site.voicemail.remove(&address, &id)?;
    Ok(StatusCode::NO_CONTENT)
}
