//! `offhook-sip`: splices over the received bytes.

use super::{Send, Subject};
use crate::invite::{RECORD_ROUTE, TARGET, VIA};
use bytes::Bytes;
use offhook_sip::{Message, Request, Uri};
use std::sync::LazyLock;

pub(super) const SUBJECT: Subject =
    Subject { name: "offhook-sip", package: "offhook-sip", parse, typed, forward };

fn request(message: &[u8]) -> Request {
    match Message::parse(Bytes::copy_from_slice(message)) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn parse(message: &[u8]) -> usize {
    request(message).fields().count()
}

fn typed(message: &[u8]) -> usize {
    let request = request(message);
    let via = request.via().unwrap();
    let from = request.from().unwrap();
    let to = request.to().unwrap();
    let contacts = request.contacts().unwrap();
    via.branch().unwrap().len()
        + from.tag().map_or(0, str::len)
        + to.tag().map_or(0, str::len)
        + request.cseq().unwrap().number as usize
        + contacts.list().len()
        + request.call_id().unwrap().len()
}

fn forward(message: &[u8], send: &mut Send<'_>) {
    let request = request(message);
    let hops = request.max_forwards().unwrap().unwrap_or(70);
    let mut edit = request.edit();
    edit.set_uri(&*TARGET_URI).push_record_route(RECORD_ROUTE).set_max_forwards(hops - 1).push_via(VIA);
    edit.ensure_content_length();
    send(edit.finish().bytes());
}

static TARGET_URI: LazyLock<Uri> = LazyLock::new(|| TARGET.parse().unwrap());
