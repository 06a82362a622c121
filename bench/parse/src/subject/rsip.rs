//! `rsip`: every header an enum arm that owns a string.

use super::{Send, Subject};
use crate::invite::{RECORD_ROUTE, TARGET, VIA};
use rsip::headers::{MaxForwards, RecordRoute, UntypedHeader, Via};
use rsip::prelude::{HasHeaders, HeadersExt, ToTypedHeader};
use rsip::{Header, Headers, Request, Uri};
use std::sync::LazyLock;

pub(super) const SUBJECT: Subject = Subject { name: "rsip", package: "rsip", parse, typed, forward };

fn parse(message: &[u8]) -> usize {
    Request::try_from(message).unwrap().headers().iter().count()
}

fn typed(message: &[u8]) -> usize {
    let request = Request::try_from(message).unwrap();
    let via = request.via_header().unwrap().typed().unwrap();
    let from = request.from_header().unwrap().typed().unwrap();
    let to = request.to_header().unwrap().typed().unwrap();
    let contact = request.contact_header().unwrap().typed().unwrap();
    via.branch().unwrap().value().len()
        + from.tag().map_or(0, |tag| tag.value().len())
        + to.tag().map_or(0, |tag| tag.value().len())
        + request.cseq_header().unwrap().typed().unwrap().seq as usize
        + contact.params.len()
        + request.call_id_header().unwrap().value().len()
}

fn forward(message: &[u8], send: &mut Send<'_>) {
    let mut request = Request::try_from(message).unwrap();
    request.uri = TARGET_URI.clone();
    let hops = request.max_forwards_header_mut().unwrap();
    *hops = MaxForwards::from(hops.num().unwrap() - 1);
    let mut headers: Vec<Header> = std::mem::take(request.headers_mut()).into();
    let top = [Header::Via(Via::new(VIA)), Header::RecordRoute(RecordRoute::new(RECORD_ROUTE))];
    headers.splice(0..0, top);
    *request.headers_mut() = Headers::from(headers);
    send(&Vec::from(request));
}

static TARGET_URI: LazyLock<Uri> = LazyLock::new(|| Uri::try_from(TARGET).unwrap());
