//! All routes, over HTTP or without.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Request, StatusCode, header};
use axum::routing::get;
use axum::{Router, middleware};
use tower_service::Service as _;

use crate::{CallRecordings, Certificates, Exchange, Problem, Records, Voicemail, api, auth, health};

/// What is served.
#[derive(Clone)]
pub struct Site {
    /// What opens the API.
    pub token: Arc<str>,
    /// The exchange.
    pub exchange: Arc<dyn Exchange>,
    /// What is stored.
    pub records: Arc<dyn Records>,
    /// The certificates that are shown.
    pub certificates: Arc<dyn Certificates>,
    /// The mailboxes of accounts.
    pub voicemail: Arc<dyn Voicemail>,
    /// The recordings of calls.
    pub recordings: Arc<dyn CallRecordings>,
}

/// The API without a socket, for commands while no server runs: status, and the body of the answer.
///
/// # Errors
/// The problem document of an answer that is one.
pub async fn answer(site: &Site, method: Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Problem> {
    let kind = if body.first() == Some(&b'{') { "application/json" } else { "text/csv" };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {}", site.token))
        .header(header::CONTENT_TYPE, kind)
        .body(Body::from(body))
        .map_err(|error| Problem::bad(error.to_string()))?;
    let response = match router(site.clone()).call(request).await {
        Ok(response) => response,
        Err(never) => match never as Infallible {},
    };
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), MOST_ANSWERED).await;
    let bytes = bytes.map_err(|error| Problem::failed(error.to_string()))?;
    if status.is_success() {
        return Ok(bytes.to_vec());
    }
    let problem = serde_json::from_slice(&bytes);
    Err(problem.unwrap_or_else(|_| Problem::new(status, String::from_utf8_lossy(&bytes))))
}

pub(crate) fn router(site: Site) -> Router {
    let guarded = api::routes().layer(middleware::from_fn_with_state(site.clone(), auth::require_token));
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/openapi.json", get(api::openapi::show))
        .nest("/api/v1", guarded)
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing here") })
        .layer(DefaultBodyLimit::max(MOST_ASKED))
        .with_state(site)
}

/// A list of some ten thousand accounts.
const MOST_ASKED: usize = 4 << 20;
const MOST_ANSWERED: usize = 256 << 20;
