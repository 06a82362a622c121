//! Health and measures, for whoever watches.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::Site;

/// The process answers.
pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// Calls are taken.
pub(crate) async fn ready(State(site): State<Site>) -> Response {
    match site.exchange.ready() {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// The text format of Prometheus.
pub(crate) async fn metrics(State(site): State<Site>) -> Response {
    let text = site.exchange.measures().await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
