//! The messages of a call, and between whom they passed.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
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
    let found = found(&site, id).await?;
    Ok(Json(shown(&found, &devices(&site).await)))
}

/// What passed of a call; without its Call-ID, of the one that began last.
pub(super) async fn found(site: &Site, id: String) -> Result<Found, Problem> {
    let found = site.exchange.ladder(id.clone()).await.ok_or_else(Problem::not_running)?;
    if found.entries.is_empty() { Err(not_clear(&id, &found.calls)) } else { Ok(found) }
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
    /// More than one where it changes its transport, as large requests make it do.
    ways: Vec<(Transport, SocketAddr)>,
    /// Who it is in the first request from it, or to it.
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
        let known = self.0.iter().position(|one| one.ways.contains(&way));
        let at = known.unwrap_or_else(|| {
            let says = named(passed);
            match self.0.iter().position(|one| says.is_some() && one.says == says && one.is_also(way)) {
                Some(at) => {
                    self.0[at].ways.push(way);
                    at
                }
                None => {
                    self.0.push(Party { ways: vec![way], says });
                    self.0.len() - 1
                }
            }
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
        let party = |Party { ways, says }: &Party| {
            let shown = |(transport, address): &(Transport, SocketAddr)| json!({ "transport": transport.uri_name(), "address": address.to_string() });
            json!({
                "account": ways.iter().find_map(|(_, address)| devices.get(address)),
                "says": says,
                "ways": ways.iter().map(shown).collect::<Vec<_>>(),
            })
        };
        let mut shown: Vec<Value> = self.0.iter().map(party).collect();
        shown.insert(EXCHANGE.min(shown.len()), json!({ "exchange": true }));
        shown
    }
}

impl Party {
    /// Whether this may be another way to the same: from the same host by another transport.
    fn is_also(&self, (transport, address): (Transport, SocketAddr)) -> bool {
        self.ways.iter().all(|one| one.0 != transport && one.1.ip() == address.ip())
    }
}

/// The user in From of a request that came, in To of one that went.
fn named(passed: &Passed) -> Option<String> {
    let message = Message::parse(passed.bytes.clone()).ok()?;
    let request = message.as_request()?;
    let header = match passed.way {
        Way::Received => request.from(),
        Way::Sent => request.to(),
    };
    Some(header.ok()?.uri.as_sip()?.user_unescaped()?.into_owned())
}

pub(super) fn joined(mut one: Value, mut other: Value) -> Value {
    if let (Some(one), Some(other)) = (one.as_object_mut(), other.as_object_mut()) {
        one.append(other);
    }
    one
}

/// The place of the exchange among the participants.
const EXCHANGE: usize = 1;
