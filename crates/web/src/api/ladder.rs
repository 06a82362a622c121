//! The messages of a call, and between whom they passed.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use offhook_exchange::command::{Answer, Command};
use offhook_sip::Message;
use offhook_sip_stack::Transport;
use offhook_sip_stack::ladder::Way;
use serde_json::{Value, json};

use crate::calendar::rfc3339;
use crate::trace::{Entry, Found, Passed, What};
use crate::{Problem, Site};

/// The messages of a call; `from` and `to` of each are places in `participants`.
pub(crate) async fn show(State(site): State<Site>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    of_call(site, id).await
}

/// The same of the call that began last.
pub(crate) async fn last(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    of_call(site, String::new()).await
}

async fn of_call(site: Site, id: String) -> Result<Json<Value>, Problem> {
    let found = site.exchange.ladder(id.clone()).await.ok_or_else(Problem::not_running)?;
    if found.entries.is_empty() {
        return Err(not_clear(&id, &found.calls));
    }
    Ok(Json(shown(&found, &devices(&site).await)))
}

fn not_clear(id: &str, calls: &[String]) -> Problem {
    if id.is_empty() {
        return Problem::not_found(
            "no message of any call is kept: there was none lately, or trace.memory is off",
        );
    }
    if calls.is_empty() {
        return Problem::not_found(format!(
            "no message of a call with the Call-ID {id} is kept: it passed too long ago, or trace.memory is off or too small"
        ));
    }
    let names: Vec<String> = calls.iter().map(|call| format!("\n  {call}")).collect();
    Problem::new(
        StatusCode::CONFLICT,
        format!("the Call-IDs of several calls begin with {id}:{}", names.concat()),
    )
}

/// Who is registered from where.
pub(super) async fn devices(site: &Site) -> BTreeMap<SocketAddr, String> {
    let Some(Answer::Devices(devices)) = site.exchange.ask(Command::Devices).await else {
        return BTreeMap::new();
    };
    devices.into_iter().map(|device| (device.remote, device.account)).collect()
}

fn shown(found: &Found, devices: &BTreeMap<SocketAddr, String>) -> Value {
    let mut participants = Participants::of(found);
    let entries: Vec<Value> = found.entries.iter().filter_map(|entry| participants.entry(entry)).collect();
    json!({ "calls": found.calls, "participants": participants.shown(devices), "entries": entries })
}

/// The phones and servers of a call: who began it, the exchange, and the others in the order of their messages.
struct Participants(Vec<Party>);

struct Party {
    way: (Transport, SocketAddr),
    /// Who it says it is, in the first request that came from it.
    says: Option<String>,
}

impl Participants {
    fn of(found: &Found) -> Self {
        let mut all = Self(Vec::new());
        for entry in &found.entries {
            if let What::Message(passed) = &entry.what {
                all.place(passed);
            }
        }
        all
    }

    fn place(&mut self, passed: &Passed) -> usize {
        let way = (passed.flow.transport, passed.flow.remote);
        let at = self.0.iter().position(|one| one.way == way).unwrap_or_else(|| {
            let says = if passed.way == Way::Received { caller(&passed.bytes) } else { None };
            self.0.push(Party { way, says });
            self.0.len() - 1
        });
        if at == 0 { 0 } else { at + 1 }
    }

    fn entry(&mut self, entry: &Entry) -> Option<Value> {
        let Entry { at, call, what } = entry;
        let head = json!({ "at": rfc3339(*at), "at_us": at.as_micros() as u64, "call": call });
        let rest = match what {
            What::Leg(_) => return None,
            What::Note(text) => json!({ "note": text }),
            What::Message(passed) => {
                let place = self.place(passed);
                let (from, to) = match passed.way {
                    Way::Sent => (EXCHANGE, place),
                    Way::Received => (place, EXCHANGE),
                };
                json!({
                    "from": from,
                    "to": to,
                    "local": passed.flow.local.to_string(),
                    "text": String::from_utf8_lossy(&passed.bytes),
                    "cut": passed.cut,
                })
            }
        };
        Some(joined(head, rest))
    }

    fn shown(&self, devices: &BTreeMap<SocketAddr, String>) -> Vec<Value> {
        let party = |Party { way: (transport, address), says }: &Party| {
            json!({
                "account": devices.get(address),
                "says": says,
                "transport": transport.uri_name(),
                "address": address.to_string(),
            })
        };
        let mut shown: Vec<Value> = self.0.iter().map(party).collect();
        shown.insert(EXCHANGE.min(shown.len()), json!({ "exchange": true }));
        shown
    }
}

/// The user in From.
fn caller(request: &Bytes) -> Option<String> {
    let request = Message::parse(request.clone()).ok()?;
    let from = request.as_request()?.from().ok()?;
    Some(from.uri.as_sip()?.user_unescaped()?.into_owned())
}

pub(super) fn joined(mut one: Value, mut other: Value) -> Value {
    if let (Some(one), Some(other)) = (one.as_object_mut(), other.as_object_mut()) {
        one.append(other);
    }
    one
}

/// The place of the exchange among the participants.
const EXCHANGE: usize = 1;
