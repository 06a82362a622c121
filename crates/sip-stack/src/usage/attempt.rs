//! `Attempt`: one request and the ways to send it again, with credentials or elsewhere.

use offhook_sip::{CSeq, HostPort, Name, Request, Response, Status};

use super::{Settings, Stack, UsageId};
use crate::Flow;
use crate::transaction::ClientId;

/// A request under way.
#[derive(Clone, Debug)]
pub struct Attempt {
    client: ClientId,
    request: Request,
    flows: Vec<Flow>,
    sent_by: HostPort,
    pinned: bool,
    repeats: u8,
}

/// How often one request is sent again with credentials or other changes: the answers of a server that is never
/// content must not go on for ever.
pub const MAX_ATTEMPTS: u8 = 4;

impl Attempt {
    /// Sends a request, whose Via is ours, on the first of these flows, with the credentials already known to be
    /// wanted. The other flows are for [`Attempt::elsewhere`]; without any flow nothing is sent.
    pub fn send(
        usage: UsageId,
        request: Request,
        flows: &[Flow],
        settings: &Settings,
        stack: &mut Stack<'_, '_>,
    ) -> Option<Self> {
        let (&flow, rest) = flows.split_first()?;
        let request = match stack.authorizer.as_deref_mut() {
            Some(authorizer) => authorizer.authorize(&request, stack.cx.rng),
            None => request,
        };
        let client = transmit(&request, flow, settings.pinned, stack);
        stack.claims.client(client, usage);
        let mut flows: Vec<Flow> = rest.iter().rev().copied().collect();
        flows.push(flow);
        let (sent_by, pinned) = (settings.sent_by.clone(), settings.pinned);
        Some(Self { client, request, flows, sent_by, pinned, repeats: 0 })
    }

    /// The transaction now under way.
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// The request as last sent.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The way it was last sent.
    pub fn flow(&self) -> Option<Flow> {
        self.flows.last().copied()
    }

    /// We are elsewhere: what is under way goes by the way that `way` makes of the former one, and what follows says what
    /// `settings` say.
    pub fn moved(
        &mut self,
        settings: &Settings,
        way: impl Fn(&Flow) -> Option<Flow>,
        stack: &mut Stack<'_, '_>,
    ) {
        self.sent_by = settings.sent_by.clone();
        self.flows.iter_mut().for_each(|flow| *flow = way(flow).unwrap_or(*flow));
        if let Some(flow) = self.flow() {
            stack.transactions.moved(self.client, flow, stack.cx);
        }
    }

    /// The peer is elsewhere: what it has not answered goes there.
    pub fn reroute(&mut self, flow: Flow, stack: &mut Stack<'_, '_>) {
        self.flows.last_mut().into_iter().for_each(|last| *last = flow);
        stack.transactions.reroute(self.client, flow, stack.cx);
    }

    /// Whether a response is a challenge.
    pub fn is_challenge(response: &Response) -> bool {
        matches!(response.status(), Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED)
    }

    /// Answers a challenge by sending the request again (§22.2); `number` gives the next sequence number and is
    /// only asked when it is used. False if the challenge cannot be answered.
    pub fn challenged(
        &mut self,
        usage: UsageId,
        response: &Response,
        number: impl FnOnce() -> u32,
        stack: &mut Stack<'_, '_>,
    ) -> bool {
        if self.repeats >= MAX_ATTEMPTS {
            return false;
        }
        let Some(authorizer) = stack.authorizer.as_deref_mut() else { return false };
        match authorizer.answer(&self.request, response, stack.cx.rng) {
            Ok(request) => self.again(usage, request, number(), stack),
            Err(_) => false,
        }
    }

    /// Sends a changed request with this sequence number and a new branch (§8.1.3.5). False if that was done
    /// too often.
    pub fn again(
        &mut self,
        usage: UsageId,
        request: Request,
        number: u32,
        stack: &mut Stack<'_, '_>,
    ) -> bool {
        let Some(flow) = self.flow().filter(|_| self.repeats < MAX_ATTEMPTS) else { return false };
        self.repeats += 1;
        let cseq = CSeq { number, method: request.method().clone() };
        let via = stack.via(&flow, &self.sent_by);
        self.request = request.edit().set(Name::Via, via).set(Name::CSeq, cseq).finish();
        self.client = transmit(&self.request, flow, self.pinned, stack);
        stack.claims.client(self.client, usage);
        true
    }

    /// Sends the request to the next address (RFC 3263 §4.3); false if there is none left.
    pub fn elsewhere(&mut self, usage: UsageId, stack: &mut Stack<'_, '_>) -> bool {
        self.flows.pop();
        let Some(flow) = self.flow() else { return false };
        let via = stack.via(&flow, &self.sent_by);
        self.request = self.request.edit().set(Name::Via, via).finish();
        self.client = transmit(&self.request, flow, self.pinned, stack);
        stack.claims.client(self.client, usage);
        true
    }
}

fn transmit(request: &Request, flow: Flow, pinned: bool, stack: &mut Stack<'_, '_>) -> ClientId {
    if pinned {
        stack.transactions.send_request_on(request.clone(), flow, stack.cx)
    } else {
        stack.transactions.send_request(request.clone(), flow, stack.cx)
    }
}
