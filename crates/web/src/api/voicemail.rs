//! The messages in a mailbox.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::Input;
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

/// To whom a message is forwarded: an account or a number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forwarding {
    to: String,
}

pub(crate) async fn forward(
    State(site): State<Site>,
    Path((address, id)): Path<(String, String)>,
    Input(Forwarding { to }): Input<Forwarding>,
) -> Result<StatusCode, Problem> {
    let to = if to.contains('@') {
        site.records.account(to).await?.address
    } else {
        let named = site.records.numbers().await?.into_iter().find(|one| one.number == to);
        let account = named.and_then(|one| one.account);
        account.ok_or_else(|| Problem::not_found(format!("{to} is no account's number")))?
    };
    let voicemail = Arc::clone(&site.voicemail);
    let forwarded = tokio::task::spawn_blocking(move || voicemail.forward(&address, &id, &to)).await;
    forwarded.map_err(|error| Problem::failed(error.to_string()))??;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn set_greeting(
    State(site): State<Site>,
    Path(address): Path<String>,
    sound: Bytes,
) -> Result<StatusCode, Problem> {
    site.records.account(address.clone()).await?;
    let voicemail = Arc::clone(&site.voicemail);
    // Another rate and other samples are work for a while.
    let set = tokio::task::spawn_blocking(move || voicemail.set_greeting(&address, &sound)).await;
    set.map_err(|error| Problem::failed(error.to_string()))??;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn remove_greeting(
    State(site): State<Site>,
    Path(address): Path<String>,
) -> Result<StatusCode, Problem> {
    site.voicemail.remove_greeting(&address)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Octets of a greeting as it is handed in.
pub(crate) const MOST_GREETING: usize = 64 << 20;
