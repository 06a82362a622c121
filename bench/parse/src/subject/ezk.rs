//! `ezk-sip-types`: a map of names to slices of the received bytes.

use super::{Send, Subject};
use crate::invite::{RECORD_ROUTE, TARGET, VIA};
use bytes::Bytes;
use ezk_sip_types::header::typed::{CSeq, CallID, Contact, FromTo, MaxForwards, Via};
use ezk_sip_types::msg::{Line, MessageLine, PullParser};
use ezk_sip_types::parse::Parse;
use ezk_sip_types::print::AppendCtx;
use ezk_sip_types::uri::SipUri;
use ezk_sip_types::{Headers, Name};
use std::io::Write;
use std::sync::LazyLock;

pub(super) const SUBJECT: Subject =
    Subject { name: "ezk-sip-types", package: "ezk-sip-types", parse, typed, forward };

struct Message {
    line: MessageLine,
    headers: Headers,
    body: Bytes,
}

/// The crate has the parts; a message is put together by its user.
fn message(received: &[u8]) -> Message {
    let bytes = Bytes::copy_from_slice(received);
    let mut parser = PullParser::new(&bytes, 0);
    let first = std::str::from_utf8(parser.next().unwrap().unwrap()).unwrap();
    let (_, line) = MessageLine::parse(&bytes)(first).unwrap();
    let mut headers = Headers::with_capacity(16);
    for field in &mut parser {
        let (_, field) = Line::parse(&bytes, std::str::from_utf8(field.unwrap()).unwrap()).unwrap();
        headers.insert(field.name, field.value);
    }
    let body = bytes.slice(parser.head_end()..);
    Message { line, headers, body }
}

fn parse(received: &[u8]) -> usize {
    let message = message(received);
    message.headers.iter().count() + message.body.len()
}

fn typed(received: &[u8]) -> usize {
    let headers = message(received).headers;
    let vias: Vec<Via> = headers.get_named().unwrap();
    let from: FromTo = headers.get(Name::FROM).unwrap();
    let to: FromTo = headers.get(Name::TO).unwrap();
    let contacts: Vec<Contact> = headers.get_named().unwrap();
    let call_id: CallID = headers.get_named().unwrap();
    vias.len()
        + from.tag.map_or(0, |tag| tag.len())
        + to.tag.map_or(0, |tag| tag.len())
        + headers.get_named::<CSeq>().unwrap().cseq as usize
        + contacts.len()
        + call_id.0.len()
}

fn forward(received: &[u8], send: &mut Send<'_>) {
    let Message { mut line, mut headers, body } = message(received);
    if let MessageLine::Request(line) = &mut line {
        line.uri = TARGET_URI.clone();
    }
    headers.edit_named(|hops: &mut MaxForwards| hops.0 -= 1).unwrap();
    put_on_top(&mut headers, Name::RECORD_ROUTE, RECORD_ROUTE);
    put_on_top(&mut headers, Name::VIA, VIA);
    let mut out = Vec::with_capacity(received.len() + 200);
    write!(out, "{}\r\n{headers}\r\n", line.default_print_ctx()).unwrap();
    out.extend_from_slice(&body);
    send(&out);
}

/// `insert_front` adds behind the values that are there, so these are taken out first.
fn put_on_top(headers: &mut Headers, name: Name, value: &str) {
    let below = headers.remove(&name).unwrap_or_default();
    headers.insert_front(name.clone(), value);
    for value in below {
        headers.insert(name.clone(), value);
    }
}

static TARGET_URI: LazyLock<SipUri> = LazyLock::new(|| TARGET.parse().unwrap());
