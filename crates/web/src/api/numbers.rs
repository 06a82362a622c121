//! Numbers.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::Input;
use crate::{NewNumber, NewNumberRequest, Number, NumberPatch, NumberRequest, Problem, Site};

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

/// The first and the last of numbers to be added.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    first: String,
    last: String,
}

/// Which applications are wanted.
#[derive(Deserialize)]
pub(crate) struct Which {
    /// The decided ones too.
    #[serde(default)]
    all: bool,
}

/// Why an application is rejected.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rejection {
    #[serde(default)]
    reason: Option<String>,
}

pub(crate) async fn add_range(
    State(site): State<Site>,
    Input(Range { first, last }): Input<Range>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    Ok((StatusCode::CREATED, Json(json!({ "numbers": site.records.add_numbers(first, last).await? }))))
}

pub(crate) async fn requests(
    State(site): State<Site>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "requests": site.records.number_requests(which.all).await? })))
}

pub(crate) async fn request(
    State(site): State<Site>,
    Input(new): Input<NewNumberRequest>,
) -> Result<(StatusCode, Json<NumberRequest>), Problem> {
    Ok((StatusCode::CREATED, Json(site.records.request_number(new).await?)))
}

pub(crate) async fn approve(
    State(site): State<Site>,
    Path(id): Path<u64>,
) -> Result<Json<NumberRequest>, Problem> {
    Ok(Json(site.records.decide_number(id, true, None).await?))
}

pub(crate) async fn reject(
    State(site): State<Site>,
    Path(id): Path<u64>,
    Input(Rejection { reason }): Input<Rejection>,
) -> Result<Json<NumberRequest>, Problem> {
    Ok(Json(site.records.decide_number(id, false, reason).await?))
}

pub(crate) async fn history(
    State(site): State<Site>,
    Path(number): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "history": site.records.number_history(number).await? })))
}
