//! Certificates: which, new ones, and files that were changed.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::{Problem, Site};

pub(crate) async fn list(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "certificates": site.certificates.list()? })))
}

pub(crate) async fn renew(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    site.certificates.renew()?;
    list(State(site)).await
}

pub(crate) async fn reload(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(site.exchange.reload().await?)))
}
