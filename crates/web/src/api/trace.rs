//! Messages as they pass: a stream of JSON objects, one a line.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use offhook_sip::{Name, scan};
use offhook_sip_stack::ladder::Way;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::ladder::{devices, joined};
use crate::calendar::rfc3339;
use crate::trace::{Entry, Followed, Passed, What};
use crate::{Problem, Site};

/// What to show.
#[derive(Deserialize)]
pub(crate) struct Asked {
    /// A part of a start line, From, To, Call-ID, CSeq or address.
    filter: Option<String>,
}

/// Everything from now on that the filter lets through, until who asked is gone or the exchange ends.
pub(crate) async fn follow(
    State(site): State<Site>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let too_many = |_| Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many follow what passes already");
    let place = PLACES.try_acquire().map_err(too_many)?;
    let begin = site.exchange.follow(None).await.ok_or_else(Problem::not_running)?.next;
    let (sender, lines) = mpsc::channel(WAITING);
    let filter = asked.filter.unwrap_or_default().to_ascii_lowercase();
    tokio::spawn(send(site, filter, begin, sender, place));
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::new(Lines(lines))).into_response())
}

async fn send(
    site: Site,
    filter: String,
    mut from: Vec<u64>,
    sender: mpsc::Sender<Bytes>,
    _place: SemaphorePermit<'static>,
) {
    let (mut accounts, mut rounds) = (BTreeMap::new(), 0_u32);
    loop {
        if rounds.is_multiple_of(ROUNDS_A_LOOK) {
            accounts = devices(&site).await;
        }
        let Some(Followed { entries, next, gap }) = site.exchange.follow(Some(from)).await else { return };
        from = next;
        let mut text = String::new();
        if gap {
            text.push_str("{\"gap\":true}\n");
        }
        for entry in entries.iter().filter(|entry| matches(entry, &filter)) {
            if let Some(shown) = shown(entry, &accounts) {
                text.push_str(&shown.to_string());
                text.push('\n');
            }
        }
        // An empty line now and then finds out whether anybody is there.
        if text.is_empty() && rounds % ROUNDS_A_SIGN == 0 {
            text.push('\n');
        }
        if (!text.is_empty() && sender.send(text.into()).await.is_err()) || sender.is_closed() {
            return;
        }
        rounds = rounds.wrapping_add(1);
        tokio::time::sleep(PACE).await;
    }
}

fn matches(entry: &Entry, filter: &str) -> bool {
    let has = |text: &str| text.to_ascii_lowercase().contains(filter);
    if filter.is_empty() || has(&entry.call) {
        return true;
    }
    let What::Message(passed) = &entry.what else { return false };
    let start = passed.bytes.split(|octet| *octet == b'\r').next().unwrap_or_default();
    let names = [Name::From, Name::To, Name::CSeq];
    let headers = names.into_iter().filter_map(|name| scan::header(&passed.bytes, name));
    let flow = &passed.flow;
    headers.chain([start]).any(|part| has(&String::from_utf8_lossy(part)))
        || [flow.remote, flow.local].iter().any(|address| has(&address.to_string()))
}

fn shown(entry: &Entry, accounts: &BTreeMap<SocketAddr, String>) -> Option<Value> {
    let head = json!({ "at": rfc3339(entry.at), "at_us": entry.at.as_micros() as u64, "call": entry.call });
    Some(match &entry.what {
        What::Leg(leg) => joined(head, json!({ "leg": leg })),
        What::Note(text) => joined(head, json!({ "note": text })),
        What::Message(Passed { way, flow, bytes, cut }) => {
            let rest = json!({
                "way": if *way == Way::Sent { "sent" } else { "received" },
                "transport": flow.transport.uri_name(),
                "local": flow.local.to_string(),
                "remote": flow.remote.to_string(),
                "account": accounts.get(&flow.remote),
                "text": String::from_utf8_lossy(bytes),
                "cut": cut,
            });
            joined(head, rest)
        }
    })
}

/// A body that comes as it is made.
pub(super) struct Lines(pub(super) mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|lines| lines.map(|lines| Ok(Frame::data(lines))))
    }
}

/// Who may follow at a time: each costs the signal threads a little.
static PLACES: Semaphore = Semaphore::const_new(8);
/// Parts of the stream that wait for a slow reader. What comes meanwhile stays in the ring, as long as that has room.
const WAITING: usize = 4;
const PACE: Duration = Duration::from_millis(100);
/// Between looks at who is registered.
const ROUNDS_A_LOOK: u32 = 50;
const ROUNDS_A_SIGN: u32 = 100;

#[cfg(test)]
mod tests {
    use offhook_sip_stack::{Flow, Transport};

    use super::*;

    #[test]
    fn a_filter_is_a_part_of_what_a_message_says_or_of_its_addresses() {
        let text = "INVITE sip:1002@pbx SIP/2.0\r\nFrom: <sip:Alice@pbx>\r\nCall-ID: c7\r\nCSeq: 1 INVITE\r\nSubject: secret\r\n\r\n";
        let (local, remote) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.9:5070".parse().unwrap());
        let flow = Flow { transport: Transport::Udp, local, remote, connection: None };
        let passed = Passed { way: Way::Received, flow, bytes: Bytes::from(text), cut: false };
        let entry = Entry { at: Duration::ZERO, call: "c7".into(), what: What::Message(passed) };
        for filter in ["", "1002", "alice", "c7", "invite", "192.0.2.9", "5060"] {
            assert!(matches(&entry, filter), "{filter}");
        }
        for filter in ["bob", "secret", "bye"] {
            assert!(!matches(&entry, filter), "{filter}");
        }
        let note = Entry { what: What::Note("x".into()), ..entry };
        assert!(matches(&note, "c7") && !matches(&note, "alice"));
    }
}
