//! What became of a call and why, in words.

use axum::Json;
use axum::extract::{Path, Query, State};
use offhook_sip_stack::ladder::Language;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ladder::{devices, found};
use crate::explain::explain;
use crate::{Problem, Site};

/// In which language to explain.
#[derive(Deserialize)]
pub(crate) struct Asked {
    language: Option<String>,
}

/// A call by its Call-ID, or by a beginning of it that no other has.
pub(crate) async fn show(
    State(site): State<Site>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    of_call(&site, id, &asked).await
}

/// The call that began last.
pub(crate) async fn last(
    State(site): State<Site>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    of_call(&site, String::new(), &asked).await
}

async fn of_call(site: &Site, id: String, asked: &Asked) -> Result<Json<Value>, Problem> {
    let language = asked.language.as_deref().map_or(Ok(Language::English), Language::parse);
    let language = language.map_err(Problem::bad)?;
    let found = found(site, id).await?;
    let explanation = explain(&found.entries, &devices(site).await, language);
    Ok(Json(json!({
        "id": found.calls.first(),
        "calls": found.calls,
        "story": explanation.story,
        "findings": explanation.findings,
    })))
}
