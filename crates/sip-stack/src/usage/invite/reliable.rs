//! Reliable provisional responses and PRACK (RFC 3262), both ways.

use std::time::{Duration, Instant};

use offhook_sip::{Method, Name, RAck, Request, Response, Status};
use rand::RngExt as _;

use super::event::{Ending, InviteEvent, Party};
use super::session::{Owed, Purpose, Session};
use crate::transaction::{ServerId, T1, T1_64};
use crate::usage::{Body, Stack, UsageTimer};

/// A reliable provisional response, sent until its PRACK comes (§3).
#[derive(Debug)]
pub(super) struct Reliable {
    rseq: u32,
    number: u32,
    server: ServerId,
    response: Response,
    interval: Duration,
    next: Instant,
    end: Instant,
    /// Whether it has a session description, so that a 2xx has to wait for the PRACK (§3).
    described: bool,
}

impl Session {
    /// Sends a provisional response reliably. Only one is under way at a time.
    pub(super) fn provide(
        &mut self,
        server: ServerId,
        invite: &Request,
        status: Status,
        body: Option<&Body>,
        stack: &mut Stack<'_, '_>,
    ) {
        let rseq = match self.rseq_seen {
            Some(last) => last.saturating_add(1),
            None => stack.cx.rng.random_range(1..=0x3fff_ffff),
        };
        self.rseq_seen = Some(rseq);
        let builder = self
            .settings
            .describe_response(self.reply(invite, status).copy_record_route(invite))
            .header(Name::Require, "100rel")
            .header(Name::RSeq, rseq);
        let response = Body::in_response(body, builder).finish();
        stack.respond(server, response.clone());
        let next = stack.arm(self.usage, UsageTimer::Reliable, stack.cx.now + T1);
        self.reliable = Some(Reliable {
            rseq,
            number: invite.cseq().map(|cseq| cseq.number).unwrap_or_default(),
            server,
            response,
            interval: T1,
            next,
            end: stack.cx.now + T1_64,
            described: body.is_some(),
        });
    }

    /// Sends it again; after 64·T1 the INVITE is to be refused (§3).
    pub(super) fn provide_again(&mut self, deadline: Instant, stack: &mut Stack<'_, '_>) -> Option<Ending> {
        let reliable = self.reliable.as_mut().filter(|reliable| reliable.next == deadline)?;
        if stack.cx.now >= reliable.end {
            return Some(Ending::new(Party::Network, Status::SERVER_TIMEOUT));
        }
        reliable.interval *= 2;
        reliable.next = (stack.cx.now + reliable.interval).min(reliable.end);
        let (server, response) = (reliable.server, reliable.response.clone());
        stack.arm(self.usage, UsageTimer::Reliable, reliable.next);
        stack.respond(server, response);
        None
    }

    /// Whether a session description of ours is on its way in a provisional response.
    pub(super) fn is_describing(&self) -> bool {
        self.reliable.as_ref().is_some_and(|reliable| reliable.described)
    }

    /// Takes a PRACK (§3, §5).
    pub(super) fn provisionally_acknowledged(
        &mut self,
        server: ServerId,
        request: Request,
        stack: &mut Stack<'_, '_>,
    ) {
        let rack = request.rack().ok().flatten();
        let known = self.reliable.take_if(|reliable| {
            rack.as_ref().is_some_and(|rack| {
                rack.rseq == reliable.rseq && rack.cseq == reliable.number && rack.method == Method::Invite
            })
        });
        if known.is_none() {
            let status = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
            return self.refuse_request(server, &request, status, &[], stack);
        }
        match Body::of(&request) {
            Some(body) if self.offered => {
                self.offered = false;
                self.refuse_request(server, &request, Status::OK, &[], stack);
                stack.event(self.usage, InviteEvent::Settled { body });
            }
            Some(body) if self.owed.is_none() => {
                self.owed = Some(Owed::Response { server, request, grant: None, offers: false });
                stack.event(self.usage, InviteEvent::Offer { body: Some(body) });
            }
            // §5: an offer while another is open is as wrong here as in UPDATE.
            Some(_) => self.refuse_request(server, &request, Status::NOT_ACCEPTABLE_HERE, &[], stack),
            None => self.refuse_request(server, &request, Status::OK, &[], stack),
        }
    }

    /// Whether a provisional response is a new one in order, as far as it is reliable at all (§4). A copy, or one
    /// that overtook another, is dropped: the peer sends it again.
    pub(super) fn is_in_order(&mut self, response: &Response) -> bool {
        let Some(rseq) = reliable_number(response) else { return true };
        let expected = self.rseq_seen.is_none_or(|last| last.checked_add(1) == Some(rseq));
        if expected {
            self.rseq_seen = Some(rseq);
        }
        expected
    }

    /// Sends PRACK for a reliable provisional response.
    pub(super) fn acknowledge_provisional(
        &mut self,
        response: &Response,
        body: Option<&Body>,
        stack: &mut Stack<'_, '_>,
    ) {
        let (Some(rseq), Ok(cseq)) = (reliable_number(response), response.cseq()) else { return };
        let rack = RAck { rseq, cseq: cseq.number, method: cseq.method };
        self.request(Method::Prack, Purpose::Prack, stack, |builder| {
            Body::in_request(body, builder.header(Name::RAck, rack))
        });
    }

    /// A provisional response to our re-INVITE.
    pub(super) fn provisional_to_change(
        &mut self,
        at: usize,
        response: &Response,
        stack: &mut Stack<'_, '_>,
    ) {
        let invite = self.sent.get(at).is_some_and(|sent| *sent.attempt.request().method() == Method::Invite);
        let number = response.cseq().map(|cseq| cseq.number).unwrap_or_default();
        // RSeq starts anew with each INVITE (§3), which its CSeq number tells apart.
        if invite && reliable_number(response).is_some() && number > 0 {
            if self.rseq_of != number {
                self.rseq_of = number;
                self.rseq_seen = None;
            }
            if self.is_in_order(response) {
                self.acknowledge_provisional(response, None, stack);
                if let Some(body) = Body::of(response).filter(|_| self.offered) {
                    self.offered = false;
                    stack.event(self.usage, InviteEvent::Settled { body });
                }
            }
        }
    }
}

/// The RSeq of a response that is to be acknowledged.
pub(super) fn reliable_number(response: &Response) -> Option<u32> {
    if !response.status().is_provisional()
        || !response.require().any(|tag| tag.eq_ignore_ascii_case("100rel"))
    {
        return None;
    }
    response.rseq().ok().flatten()
}
