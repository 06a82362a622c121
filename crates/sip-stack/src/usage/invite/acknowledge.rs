//! The third message of INVITE (RFC 3261 §13.2.2.4, §13.3.1.4): ACKs of ours, and our 2xx until theirs comes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_sip::{Name, Request, Response, Status};

use super::event::{Ending, InviteEvent, Party};
use super::session::Session;
use crate::Flow;
use crate::transaction::{ServerId, T1, T1_64, T2};
use crate::usage::{Body, Stack, UsageTimer};

/// A 2xx to an INVITE, sent until its ACK comes (§13.3.1.4).
#[derive(Debug)]
pub(super) struct Unacked {
    number: u32,
    server: ServerId,
    response: Response,
    interval: Duration,
    next: Instant,
    end: Instant,
}

/// An ACK that was sent.
#[derive(Debug)]
pub(super) struct Acked {
    number: u32,
    bytes: Bytes,
    flow: Flow,
}

impl Session {
    /// Acknowledges a 2xx (§13.2.2.4) with the credentials of its INVITE.
    pub(super) fn acknowledge(
        &mut self,
        number: u32,
        invite: Option<&Request>,
        body: Option<&Body>,
        stack: &mut Stack<'_, '_>,
    ) {
        let flow = self.way();
        let via = stack.via(&flow, &self.settings.sent_by);
        let mut builder = self.dialog.ack(number, &via).header(Name::UserAgent, &self.settings.agent);
        if let Some(invite) = invite {
            builder = builder.copy(Name::Authorization, invite).copy(Name::ProxyAuthorization, invite);
        }
        let bytes = Body::in_request(body, builder).finish().bytes().clone();
        stack.cx.out.transmit(flow, bytes.clone());
        if self.acked.len() >= MOST_ACKED {
            self.acked.remove(0);
        }
        // Most calls have one.
        self.acked.reserve_exact(1);
        self.acked.push(Acked { number, bytes, flow });
    }

    /// Sends the ACK again for a copy of its 2xx.
    pub(super) fn acknowledge_again(&self, number: u32, stack: &mut Stack<'_, '_>) {
        if let Some(acked) = self.acked.iter().find(|acked| acked.number == number) {
            stack.cx.out.transmit(acked.flow, acked.bytes.clone());
        }
    }

    /// Sends a 2xx to an INVITE and goes on sending it.
    pub(super) fn answer_invite(
        &mut self,
        server: ServerId,
        request: &Request,
        response: Response,
        stack: &mut Stack<'_, '_>,
    ) {
        stack.respond(server, response.clone());
        let number = request.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let next = stack.arm(self.usage, UsageTimer::Answer, stack.cx.now + T1);
        let end = stack.cx.now + T1_64;
        self.unacked.push(Unacked { number, server, response, interval: T1, next, end });
    }

    pub(super) fn acknowledged(&mut self, ack: &Request, stack: &mut Stack<'_, '_>) {
        let Ok(number) = ack.cseq().map(|cseq| cseq.number) else { return };
        let before = self.unacked.len();
        // Who acknowledges a later one has had the earlier one too.
        self.unacked.retain(|unacked| unacked.number > number);
        if self.unacked.len() == before {
            return;
        }
        if self.wants_hangup() {
            return self.hangup(stack);
        }
        if let Some(body) = Body::of(ack).filter(|_| self.offered) {
            self.offered = false;
            stack.event(self.usage, InviteEvent::Settled { body });
        }
        stack.event(self.usage, InviteEvent::Confirmed);
        self.go_on(stack);
    }

    /// Sends a 2xx again that is due, or gives up on its ACK.
    pub(super) fn answer_again(&mut self, deadline: Instant, stack: &mut Stack<'_, '_>) -> Option<Ending> {
        let unacked = self.unacked.iter_mut().find(|unacked| unacked.next == deadline)?;
        if stack.cx.now >= unacked.end {
            self.unacked.clear();
            let wanted = self.wants_hangup();
            self.hangup(stack);
            return (!wanted).then(|| Ending::new(Party::Network, Status::REQUEST_TIMEOUT));
        }
        unacked.interval = (unacked.interval * 2).min(T2);
        unacked.next = (stack.cx.now + unacked.interval).min(unacked.end);
        let (server, response) = (unacked.server, unacked.response.clone());
        stack.arm(self.usage, UsageTimer::Answer, unacked.next);
        stack.respond(server, response);
        None
    }
}

/// ACKs that are kept: of the last INVITE and of the one before.
const MOST_ACKED: usize = 2;
