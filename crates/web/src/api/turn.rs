//! Credentials for the TURN server.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;

use crate::{Problem, Site};

/// Who asks for whom.
#[derive(Deserialize)]
pub(crate) struct Asked {
    account: Option<String>,
}

/// For an account that exists; nobody keeps the answer, for there is a password in it.
pub(crate) async fn credentials(
    State(site): State<Site>,
    Query(asked): Query<Asked>,
) -> Result<impl IntoResponse, Problem> {
    let address = asked.account.ok_or_else(|| Problem::bad("expected ?account=ADDRESS"))?;
    let account = site.records.account(address).await?;
    let issued = site.exchange.turn_credentials(&account.address)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(issued)))
}
