//! Trunks and routes as they are set: those of files are shown, those of the store changed too.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::input::Input;
use crate::records::LineKind;
use crate::{Line, Problem, Site};

type Patch = Map<String, Value>;

async fn add(site: Site, kind: LineKind, mut new: Patch) -> Result<(StatusCode, Json<Line>), Problem> {
    let Some(Value::String(name)) = new.remove("name") else {
        return Err(Problem::bad("a name is needed: {\"name\": \"…\", …}"));
    };
    Ok((StatusCode::CREATED, Json(site.records.put_line(kind, name, new, true).await?)))
}

pub(crate) async fn trunks(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "trunks": site.records.lines(LineKind::Trunk).await? })))
}

pub(crate) async fn add_trunk(
    State(site): State<Site>,
    Input(new): Input<Patch>,
) -> Result<(StatusCode, Json<Line>), Problem> {
    add(site, LineKind::Trunk, new).await
}

pub(crate) async fn change_trunk(
    State(site): State<Site>,
    Path(name): Path<String>,
    Input(patch): Input<Patch>,
) -> Result<Json<Line>, Problem> {
    Ok(Json(site.records.put_line(LineKind::Trunk, name, patch, false).await?))
}

pub(crate) async fn remove_trunk(
    State(site): State<Site>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    site.records.remove_line(LineKind::Trunk, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn routes(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "routes": site.records.lines(LineKind::Route).await? })))
}

pub(crate) async fn add_route(
    State(site): State<Site>,
    Input(new): Input<Patch>,
) -> Result<(StatusCode, Json<Line>), Problem> {
    add(site, LineKind::Route, new).await
}

pub(crate) async fn change_route(
    State(site): State<Site>,
    Path(name): Path<String>,
    Input(patch): Input<Patch>,
) -> Result<Json<Line>, Problem> {
    Ok(Json(site.records.put_line(LineKind::Route, name, patch, false).await?))
}

pub(crate) async fn remove_route(
    State(site): State<Site>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    site.records.remove_line(LineKind::Route, name).await?;
    Ok(StatusCode::NO_CONTENT)
}
