//! Accounts.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::input::Input;
use crate::{
    Account, AccountPatch, Answering, AnsweringPatch, ChangedAccount, NewAccount, Problem, Rights,
    RightsPatch, Site,
};

pub(crate) async fn list(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "accounts": site.records.accounts().await? })))
}

pub(crate) async fn add(
    State(site): State<Site>,
    Input(new): Input<NewAccount>,
) -> Result<(StatusCode, Json<ChangedAccount>), Problem> {
    Ok((StatusCode::CREATED, Json(site.records.add_account(new).await?)))
}

pub(crate) async fn show(
    State(site): State<Site>,
    Path(address): Path<String>,
) -> Result<Json<Account>, Problem> {
    Ok(Json(site.records.account(address).await?))
}

pub(crate) async fn change(
    State(site): State<Site>,
    Path(address): Path<String>,
    Input(patch): Input<AccountPatch>,
) -> Result<Json<ChangedAccount>, Problem> {
    Ok(Json(site.records.change_account(address, patch).await?))
}

pub(crate) async fn answering(
    State(site): State<Site>,
    Path(address): Path<String>,
) -> Result<Json<Answering>, Problem> {
    Ok(Json(site.records.answering(address).await?))
}

pub(crate) async fn rights(
    State(site): State<Site>,
    Path(address): Path<String>,
) -> Result<Json<Rights>, Problem> {
    Ok(Json(site.records.rights(address).await?))
}

pub(crate) async fn change_rights(
    State(site): State<Site>,
    Path(address): Path<String>,
    Input(patch): Input<RightsPatch>,
) -> Result<Json<Rights>, Problem> {
    Ok(Json(site.records.change_rights(address, patch).await?))
}

pub(crate) async fn change_answering(
    State(site): State<Site>,
    Path(address): Path<String>,
    Input(patch): Input<AnsweringPatch>,
) -> Result<Json<Answering>, Problem> {
    Ok(Json(site.records.change_answering(address, patch).await?))
}

pub(crate) async fn remove(
    State(site): State<Site>,
    Path(address): Path<String>,
) -> Result<StatusCode, Problem> {
    site.records.remove_account(address.clone()).await?;
    site.voicemail.forget(&address)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn import(State(site): State<Site>, csv: String) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "accounts": site.records.import_accounts(csv).await? })))
}

pub(crate) async fn export(State(site): State<Site>) -> Result<Response, Problem> {
    let csv = site.records.export_accounts().await?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv).into_response())
}
