//! `rsipstack`: its own messages, in the manner of `rsip`.

use super::{Send, Subject};
use crate::invite::{RECORD_ROUTE, TARGET, VIA};
use rsipstack::sip::{HasHeaders, Header, HeadersExt, Request, ToTypedHeader, Uri};
use std::sync::LazyLock;

pub(super) const SUBJECT: Subject =
    Subject { name: "rsipstack", package: "rsipstack", parse, typed, forward };

fn parse(message: &[u8]) -> usize {
    Request::try_from(message).unwrap().headers().len()
}

fn typed(message: &[u8]) -> usize {
    let request = Request::try_from(message).unwrap();
    let via = request.via_header().unwrap().typed().unwrap();
    let from = request.from_header().unwrap().typed().unwrap();
    let to = request.to_header().unwrap().typed().unwrap();
    via.params.len()
        + from.params.len()
        + to.params.len()
        + request.cseq_header().unwrap().typed().unwrap().seq as usize
        + request.typed_contact_headers().unwrap().len()
        + request.call_id_header().unwrap().value().len()
}

fn forward(message: &[u8], send: &mut Send<'_>) {
    let mut request = Request::try_from(message).unwrap();
    request.uri = TARGET_URI.clone();
    let hops = request.max_forwards_header_mut().unwrap();
    *hops = (hops.value().parse::<u32>().unwrap() - 1).into();
    let headers = request.headers_mut();
    headers.push_front(Header::RecordRoute(RECORD_ROUTE.into()));
    headers.push_front(Header::Via(VIA.into()));
    send(&request.to_bytes());
}

static TARGET_URI: LazyLock<Uri> = LazyLock::new(|| Uri::try_from(TARGET).unwrap());
