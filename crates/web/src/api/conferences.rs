//! Conference rooms, and those who are in them.

use axum::Json;
use axum::extract::{Path, State};
use offhook_exchange::command::{Answer, Command, Guest, Moderate, Moderation};
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::Input;
use crate::{Problem, Site};

/// What is to happen: a field that is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patch {
    /// The others do not hear them, or do again.
    muted: Option<bool>,
    /// Nobody else comes in, or may again. For a whole room.
    locked: Option<bool>,
    /// All that is said is recorded, or no longer. For a whole room.
    recorded: Option<bool>,
}

pub(crate) async fn list(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "guests": guests(&site, None).await?.iter().map(shown).collect::<Vec<_>>() })))
}

pub(crate) async fn show(State(site): State<Site>, Path(room): Path<u64>) -> Result<Json<Value>, Problem> {
    let guests = guests(&site, Some(room)).await?;
    if guests.is_empty() {
        return Err(nobody(room));
    }
    Ok(Json(json!({ "room": room, "guests": guests.iter().map(shown).collect::<Vec<_>>() })))
}

/// Changes a room: for all in it.
pub(crate) async fn change(
    State(site): State<Site>,
    Path(room): Path<u64>,
    Input(patch): Input<Patch>,
) -> Result<Json<Value>, Problem> {
    // What is about the room is one guest's doing: rooms are of no shard.
    let first = guests(&site, Some(room)).await?.into_iter().next().ok_or_else(|| nobody(room))?;
    let of_all = patch.muted.map(|muted| (None, Moderate::Mute(muted)));
    let of_room = [patch.locked.map(Moderate::Lock), patch.recorded.map(Moderate::Record)];
    let of_room = of_room.into_iter().flatten().map(|what| (Some(first.call.clone()), what));
    moderate(&site, room, of_all.into_iter().chain(of_room)).await
}

/// Changes one guest.
pub(crate) async fn change_guest(
    State(site): State<Site>,
    Path((room, guest)): Path<(u64, String)>,
    Input(patch): Input<Patch>,
) -> Result<Json<Value>, Problem> {
    if patch.locked.is_some() || patch.recorded.is_some() {
        return Err(Problem::bad("locked and recorded are of a room, not of one in it"));
    }
    moderate(&site, room, patch.muted.map(|muted| (Some(guest), Moderate::Mute(muted)))).await
}

/// Sends one guest away.
pub(crate) async fn kick(
    State(site): State<Site>,
    Path((room, guest)): Path<(u64, String)>,
) -> Result<Json<Value>, Problem> {
    moderate(&site, room, [(Some(guest), Moderate::Kick)]).await
}

async fn moderate(
    site: &Site,
    room: u64,
    wishes: impl IntoIterator<Item = (Option<String>, Moderate)>,
) -> Result<Json<Value>, Problem> {
    let mut changed = 0;
    for (guest, what) in wishes {
        let asked = Moderation { room, guest: guest.clone(), what };
        match site.exchange.ask(Command::Moderate(asked)).await {
            Some(Answer::Moderated(0)) => {
                return Err(match guest {
                    Some(guest) => Problem::not_found(format!("there is no {guest} in the room {room}")),
                    None => nobody(room),
                });
            }
            Some(Answer::Moderated(count)) => changed += count,
            _ => return Err(Problem::not_running()),
        }
    }
    Ok(Json(json!({ "room": room, "changed": changed })))
}

async fn guests(site: &Site, room: Option<u64>) -> Result<Vec<Guest>, Problem> {
    let Some(Answer::Conferences(mut guests)) = site.exchange.ask(Command::Conferences).await else {
        return Err(Problem::not_running());
    };
    guests.retain(|guest| room.is_none_or(|room| guest.room == room));
    guests.sort_by(|one, other| (one.room, &one.from).cmp(&(other.room, &other.from)));
    Ok(guests)
}

fn shown(guest: &Guest) -> Value {
    json!({
        "room": guest.room,
        "call": guest.call,
        "from": guest.from,
        "muted": guest.muted,
        "moderates": guest.moderates,
    })
}

fn nobody(room: u64) -> Problem {
    Problem::not_found(format!("nobody is in a room {room}"))
}
