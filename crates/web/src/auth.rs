//! Who may use the API.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use crate::{Problem, Site};

/// Lets requests with the bearer token through (RFC 6750 §2.1).
pub(crate) async fn require_token(State(site): State<Site>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    if given.is_some_and(|given| given.ct_eq(site.token.as_bytes()).into()) {
        return next.run(request).await;
    }
    Problem::new(StatusCode::UNAUTHORIZED, "a bearer token is needed").into_response()
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}
