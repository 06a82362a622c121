//! `/api/v1`: one file per resource.

mod accounts;
mod bans;
mod calls;
mod cameras;
mod certificates;
mod conferences;
mod devices;
mod explain;
mod groups;
mod input;
mod ladder;
mod lines;
mod messages;
mod numbers;
pub(crate) mod openapi;
mod queues;
mod recordings;
mod spending;
mod status;
mod trace;
mod trunks;
mod turn;
mod voicemail;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{delete, get, post, put};

use crate::{Problem, Site};

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/status", get(status::show))
        .route("/accounts", get(accounts::list).post(accounts::add))
        .route("/accounts/import", post(accounts::import))
        .route("/accounts/export", get(accounts::export))
        .route("/accounts/{address}", get(accounts::show).patch(accounts::change).delete(accounts::remove))
        .route("/accounts/{address}/answering", get(accounts::answering).patch(accounts::change_answering))
        .route("/accounts/{address}/rights", get(accounts::rights).patch(accounts::change_rights))
        .route("/accounts/{address}/limits", get(spending::limits).patch(spending::change_limits))
        .route("/accounts/{address}/spending", get(spending::of_account))
        .route("/spending", get(spending::list))
        .route("/accounts/{address}/voicemail", get(voicemail::list))
        .route(
            "/accounts/{address}/voicemail/greeting",
            put(voicemail::set_greeting)
                .layer(DefaultBodyLimit::max(voicemail::MOST_GREETING))
                .delete(voicemail::remove_greeting),
        )
        .route("/accounts/{address}/voicemail/{id}", get(voicemail::sound).delete(voicemail::remove))
        .route("/accounts/{address}/voicemail/{id}/forward", post(voicemail::forward))
        .route("/bans", get(bans::list).post(bans::add))
        .route("/bans/{address}", get(bans::show).delete(bans::remove))
        .route("/numbers", get(numbers::list).post(numbers::add))
        .route("/numbers/ranges", post(numbers::add_range))
        .route("/numbers/requests", get(numbers::requests).post(numbers::request))
        .route("/numbers/requests/{id}/approve", post(numbers::approve))
        .route("/numbers/requests/{id}/reject", post(numbers::reject))
        .route("/numbers/{number}/history", get(numbers::history))
        .route("/numbers/{number}", axum::routing::patch(numbers::change).delete(numbers::remove))
        .route("/groups", get(groups::list))
        .route("/queues", get(queues::list))
        .route("/queues/{number}", get(queues::show))
        .route("/cameras", get(cameras::list))
        .route("/cameras/{name}/ring", post(cameras::ring))
        .route("/devices", get(devices::list))
        .route("/devices/{account}", delete(devices::forget))
        .route("/messages", get(messages::list))
        .route("/conferences", get(conferences::list))
        .route("/conferences/{room}", get(conferences::show).patch(conferences::change))
        .route("/conferences/{room}/{guest}", delete(conferences::kick).patch(conferences::change_guest))
        .route("/recordings", get(recordings::list))
        .route("/recordings/{id}", get(recordings::sound).delete(recordings::remove))
        .route("/calls", get(calls::live))
        .route("/calls/{id}", delete(calls::hang_up))
        .route("/calls/ladder", get(ladder::last))
        .route("/calls/explain", get(explain::last))
        .route("/calls/{id}/explain", get(explain::show))
        .route("/calls/{id}/ladder", get(ladder::show))
        .route("/trace", get(trace::follow))
        .route("/certificates", get(certificates::list))
        .route("/certificates/renew", post(certificates::renew))
        .route("/config/reload", post(certificates::reload))
        .route("/trunks", get(trunks::list).post(lines::add_trunk))
        .route("/trunks/settings", get(lines::trunks))
        .route("/trunks/{name}", get(trunks::show).patch(lines::change_trunk).delete(lines::remove_trunk))
        .route("/routes", get(lines::routes).post(lines::add_route))
        .route("/routes/{name}", axum::routing::patch(lines::change_route).delete(lines::remove_route))
        .route("/trunks/{name}/call", post(trunks::call))
        .route("/trunks/{name}/check", post(trunks::check))
        .route("/turn/credentials", get(turn::credentials))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing here") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here")
        })
}
