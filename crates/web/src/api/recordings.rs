//! Recordings of calls.

use std::fs::File;
use std::io::Read as _;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::trace::Lines;
use crate::{Problem, Site};

/// How many are listed.
#[derive(Deserialize)]
pub(crate) struct Most {
    most: Option<usize>,
}

pub(crate) async fn list(State(site): State<Site>, Query(Most { most }): Query<Most>) -> Json<Value> {
    Json(json!({ "recordings": site.recordings.list(most.unwrap_or(USUAL).min(MOST)) }))
}

pub(crate) async fn sound(
    State(site): State<Site>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let path = site.recordings.sound(&id)?;
    let file = File::open(&path).map_err(|error| Problem::failed(error.to_string()))?;
    let length = file.metadata().map_err(|error| Problem::failed(error.to_string()))?.len();
    let (to_client, parts) = mpsc::channel(WAITING);
    // A call of some hours is larger than what may stand in memory.
    tokio::task::spawn_blocking(move || send(file.take(length), &to_client));
    let headers =
        [(header::CONTENT_TYPE, "audio/wav".to_owned()), (header::CONTENT_LENGTH, length.to_string())];
    Ok((headers, Body::new(Lines(parts))))
}

/// Sends a file part by part until it is over, or nobody wants it any more.
fn send(mut file: impl std::io::Read, to_client: &mpsc::Sender<Bytes>) {
    loop {
        let mut part = vec![0; PART];
        let Ok(length @ 1..) = file.read(&mut part) else { return };
        part.truncate(length);
        if to_client.blocking_send(part.into()).is_err() {
            return;
        }
    }
}

pub(crate) async fn remove(State(site): State<Site>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    site.recordings.remove(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

const USUAL: usize = 100;
const MOST: usize = 10_000;
const PART: usize = 64 << 10;
const WAITING: usize = 4;
