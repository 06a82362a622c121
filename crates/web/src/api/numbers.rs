//! Numbers.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::input::Input;
use crate::{NewNumber, Number, NumberPatch, Problem, Site};

pub(crate) async fn list(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "numbers": site.records.numbers().await? })))
}

pub(crate) async fn add(
    State(site): State<Site>,
    Input(new): Input<NewNumber>,
) -> Result<(StatusCode, Json<Number>), Problem> {
    Ok((StatusCode::CREATED, Json(site.records.add_number(new).await?)))
}

pub(crate) async fn change(
    State(site): State<Site>,
    Path(number): Path<String>,
    Input(patch): Input<NumberPatch>,
) -> Result<Json<Number>, Problem> {
    Ok(Json(site.records.change_number(number, patch).await?))
}

pub(crate) async fn remove(
    State(site): State<Site>,
    Path(number): Path<String>,
) -> Result<StatusCode, Problem> {
    site.records.remove_number(number).await?;
    Ok(StatusCode::NO_CONTENT)
}
