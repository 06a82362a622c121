//! What cannot be read as a request, and is answered all the same.

use bytes::Bytes;
use offhook_sip::{Framer, Message, RejectedRequest};
use offhook_sip_stack::{CloseConnection, Flow, transport};

use super::Core;
use super::refusing::refused;
use crate::context::Context;
use crate::event::{DropReason, Event};

impl Core {
    /// A stream lost its framing: 400 if that can be said, then the end of the connection.
    pub(crate) fn broken_stream(&mut self, flow: Flow, head: &Bytes, cx: &mut Context<'_>) {
        // As a message of its own it may be in order: a datagram needs no Content-Length.
        let mut framer = Framer::default();
        framer.push(head);
        let unframed = framer.next_frame().err().map(|error| error.parse_error());
        let error = unframed.or_else(|| Message::parse(head.clone()).err());
        match error.and_then(|error| RejectedRequest::salvage(head, error)) {
            Some(rejected) => self.reject(&rejected, &flow, cx),
            None => cx.event(Event::Dropped { from: flow.remote, reason: DropReason::Unanswerable }),
        }
        cx.out.sip.closes.extend(flow.connection.map(CloseConnection));
    }

    /// Answers a malformed request without keeping anything (§8.2.7).
    pub(super) fn reject(&mut self, rejected: &RejectedRequest, flow: &Flow, cx: &mut Context<'_>) {
        let request = transport::stamp(rejected.request.clone(), flow);
        let tag = self.stateless_tag(&request);
        let stamped = RejectedRequest { request: request.clone(), ..rejected.clone() };
        let answer = stamped.response().to_tag(&tag).finish();
        cx.event(refused(&request, flow, &answer));
        cx.out.sip.transmit(transport::response_flow(&request, flow), answer.bytes().clone());
    }
}
