//! The servers' half of the table.

use std::time::Instant;

use offhook_sip::{Method, Name, Request, Response, Status, Via};

use super::matching::{Key, Keys};
use super::server_invite::{self, ServerInvite, Way};
use super::server_non_invite::{self, ServerNonInvite};
use super::{Report, ServerId, Timer, TransactionEvent, Transactions};
use crate::transport::{response_bytes, response_flow, response_flow_by, sent_by_port, stamp};
use crate::{Context, Flow, shrink};

/// An entry of the table.
#[derive(Debug)]
pub(super) struct Server {
    key: Key,
    /// As long as something may have to be made of it.
    request: Option<Box<Request>>,
    /// The way of responses.
    way: Flow,
    /// The port of its `sent-by`, to which a new connection would be opened (§18.2.2).
    port: u16,
    /// Whether the client knows RFC 2543 only.
    is_old: bool,
    /// The To tag of the final response, which the ACK of an RFC 2543 client must have.
    tag: Option<Box<str>>,
    /// After the final response to an INVITE: who has sent it (see [`Keys::sender`](super::matching::Keys::sender)).
    sender: Option<u64>,
    machine: Machine,
}

#[derive(Debug)]
enum Machine {
    Invite(ServerInvite),
    NonInvite(ServerNonInvite),
}

impl Transactions {
    /// Sends a response, 1xx or final, the way the request came (§18.2.2, RFC 3581). A second final response
    /// is sent only where RFC 6026 says so: a 2xx to an INVITE that has a 2xx.
    pub fn respond(&mut self, server: ServerId, response: Response, cx: &mut Context<'_>) {
        if let Some(entry) = self.servers.get_mut(&server) {
            if response.status().is_final() && matches!(entry.machine, Machine::Invite(_)) {
                entry.sender = entry.request.as_deref().map_or(entry.sender, |one| self.keys.sender(one));
            }
            entry.respond(&response, cx);
        }
    }

    /// Sends a final response and forgets the transaction, as a stateless server does (§8.2.7): for challenges
    /// and rejections, so that a flood of requests leaves nothing behind. There is no event at the end; a copy of
    /// the request is a new request. A 1xx, or a request that was answered before, is left to
    /// [`Transactions::respond`].
    pub fn respond_once(&mut self, server: ServerId, response: Response, cx: &mut Context<'_>) {
        let Some(entry) = self.servers.get(&server) else { return };
        if response.status().is_provisional() || !entry.is_open() {
            return self.respond(server, response, cx);
        }
        cx.out.transmit(entry.way, response_bytes(&response, &entry.way));
        self.remove_server(server);
    }

    /// Forgets a transaction that has no final response, and gives none: somebody else answers the request, which is returned.
    pub fn give_away(&mut self, server: ServerId) -> Option<Request> {
        let request = self.request(server).cloned()?;
        self.remove_server(server);
        Some(request)
    }

    /// Sends 100 Trying for an INVITE at once instead of after 200 ms (§17.2.1).
    pub fn trying(&mut self, server: ServerId, cx: &mut Context<'_>) {
        if let Some(Server { machine: Machine::Invite(machine), request, way, .. }) =
            self.servers.get_mut(&server).map(Box::as_mut)
        {
            let way = Way { request: request.as_deref(), flow: *way };
            machine.handle(server_invite::Input::Trying, way, cx);
        }
    }

    /// The request of a server transaction that has no final response yet, its top Via stamped.
    pub fn request(&self, server: ServerId) -> Option<&Request> {
        self.servers.get(&server)?.request.as_deref()
    }

    pub(super) fn receive_request(
        &mut self,
        request: Request,
        flow: Flow,
        cx: &mut Context<'_>,
    ) -> Option<TransactionEvent> {
        let full = self.servers.len() >= self.limits.servers;
        self.receive_if_room(request, flow, full.then_some(RETRY_AFTER), cx)
    }

    /// A new request has no room if there is a time after which it may come again.
    fn receive_if_room(
        &mut self,
        request: Request,
        flow: Flow,
        retry_after: Option<u32>,
        cx: &mut Context<'_>,
    ) -> Option<TransactionEvent> {
        let request = stamp(request, &flow);
        if *request.method() == Method::Ack {
            return self.receive_ack(request, flow, cx);
        }
        let invite = match request.method() {
            Method::Cancel => self.cancelled_by(&request),
            _ => None,
        };
        let via = request.via().ok()?;
        let key = self.keys.server(&request, &via, request.method(), request.to_tag()).ok()?;
        if let Some(id) = self.server_keys.get(&key) {
            let server = self.servers.get_mut(id)?;
            let way = response_flow_by(&via, &flow);
            if server.way != way && server.is_from_sender_of(&request, &self.keys) {
                server.way = way;
            }
            server.retransmitted(flow, cx);
            return None;
        }
        if let Some(retry_after) = retry_after.filter(|_| invite.is_none()) {
            refuse(&request, &flow, retry_after, cx);
            return None;
        }
        let server = self.insert_server(key, request.clone(), &via, flow, cx);
        Some(match invite {
            Some(invite) => TransactionEvent::Cancel { server, invite, request, flow },
            None => TransactionEvent::Request { server, request, flow },
        })
    }

    /// Takes a request for which there is no time: a copy of a known one is dealt with as ever, a new one is answered with
    /// 503 and no state is kept for it. `retry_after` is in seconds.
    pub fn receive_or_refuse(
        &mut self,
        request: Request,
        flow: Flow,
        retry_after: u32,
        cx: &mut Context<'_>,
    ) {
        self.receive_if_room(request, flow, Some(retry_after), cx);
    }

    pub(super) fn server_timeout(
        &mut self,
        id: ServerId,
        timer: Timer,
        deadline: Instant,
        cx: &mut Context<'_>,
    ) -> Option<TransactionEvent> {
        let report = self.servers.get_mut(&id)?.timeout(timer, deadline, cx);
        self.server_event(id, report)
    }

    pub(super) fn servers_failed(&mut self, failed: &Flow, cx: &mut Context<'_>) -> Vec<TransactionEvent> {
        let mut reports = Vec::new();
        for (id, server) in self.servers.iter_mut().filter(|(_, server)| server.way.fails_with(failed)) {
            if server.way.connection.take().is_some() {
                server.way.remote.set_port(server.port);
            } else {
                reports.push((*id, server.transport_error(cx)));
            }
        }
        reports.sort_unstable_by_key(|(id, _)| *id);
        reports.into_iter().filter_map(|(id, report)| self.server_event(id, report)).collect()
    }

    /// An ACK belongs to the INVITE it acknowledges (§17.2.3).
    fn receive_ack(
        &mut self,
        request: Request,
        flow: Flow,
        cx: &mut Context<'_>,
    ) -> Option<TransactionEvent> {
        let Some(id) = self.acknowledged_by(&request) else {
            return Some(TransactionEvent::Ack { request, flow, invite: None });
        };
        let Server { machine: Machine::Invite(machine), request: invite, way, .. } =
            self.servers.get_mut(&id)?.as_mut()
        else {
            return None;
        };
        let way = Way { request: invite.as_deref(), flow: *way };
        let report = machine.handle(server_invite::Input::Ack, way, cx);
        (report == Report::Pass).then_some(TransactionEvent::Ack { request, flow, invite: Some(id) })
    }

    fn acknowledged_by(&mut self, ack: &Request) -> Option<ServerId> {
        let via = ack.via().ok()?;
        let found = self.server_keys.get(&self.keys.server(ack, &via, &Method::Invite, None).ok()?).copied();
        // RFC 2543: the To tag is that of our response, while the INVITE had none.
        let is_it =
            |id: &ServerId| self.servers.get(id).is_some_and(|one| one.tag.as_deref() == ack.to_tag());
        if via.has_cookie() || found.as_ref().is_some_and(is_it) {
            return found;
        }
        self.server_keys.get(&self.keys.server(ack, &via, &Method::Invite, ack.to_tag()).ok()?).copied()
    }

    /// The INVITE that a CANCEL cancels (§9.2).
    fn cancelled_by(&mut self, cancel: &Request) -> Option<ServerId> {
        let key = self.keys.server(cancel, &cancel.via().ok()?, &Method::Invite, cancel.to_tag()).ok()?;
        let id = *self.server_keys.get(&key)?;
        // §9.1: a CANCEL has the Call-ID of its INVITE. One that has not comes from somebody who guessed a branch. After
        // the final response it has no effect anyway.
        let invite = self.servers.get(&id)?.request.as_deref();
        invite.is_none_or(|invite| invite.raw(Name::CallId) == cancel.raw(Name::CallId)).then_some(id)
    }

    fn insert_server(
        &mut self,
        key: Key,
        request: Request,
        via: &Via,
        flow: Flow,
        cx: &mut Context<'_>,
    ) -> ServerId {
        let id = ServerId(self.next());
        let way = response_flow_by(via, &flow);
        let machine = match request.method() {
            Method::Invite => Machine::Invite(ServerInvite::start(id, way, cx)),
            _ => Machine::NonInvite(ServerNonInvite::start(id, way, cx)),
        };
        let port = sent_by_port(via, &flow);
        let (is_old, request) = (!via.has_cookie(), Some(Box::new(request)));
        self.server_keys.insert(key, id);
        self.servers.insert(
            id,
            Box::new(Server { key, request, way, port, is_old, tag: None, sender: None, machine }),
        );
        id
    }

    fn remove_server(&mut self, id: ServerId) {
        if let Some(server) = self.servers.remove(&id) {
            self.server_keys.remove(&server.key);
            shrink(&mut self.servers);
            shrink(&mut self.server_keys);
        }
    }

    /// Removes a transaction that is over, and says so.
    fn server_event(&mut self, id: ServerId, report: Report) -> Option<TransactionEvent> {
        if self.servers.get(&id).is_some_and(|server| server.is_terminated()) {
            self.remove_server(id);
        }
        match report {
            Report::NoAck => Some(TransactionEvent::NoAck { server: id }),
            Report::Ended => Some(TransactionEvent::ServerEnded { server: id }),
            Report::Nothing | Report::Pass | Report::Timeout | Report::TransportFailed => None,
        }
    }
}

impl Server {
    fn respond(&mut self, response: &Response, cx: &mut Context<'_>) {
        let status = response.status();
        let bytes = response_bytes(response, &self.way);
        match &mut self.machine {
            Machine::Invite(machine) => {
                use server_invite::Input;
                let input = match status.class() {
                    1 => Input::Provisional(bytes),
                    2 => Input::Success(bytes),
                    _ => Input::Failure(bytes),
                };
                if self.is_old && status.is_final() && machine.is_open() {
                    self.tag = response.to_tag().map(Into::into);
                }
                machine.handle(input, Way { request: self.request.as_deref(), flow: self.way }, cx);
            }
            Machine::NonInvite(machine) => {
                use server_non_invite::Input;
                let input =
                    if status.is_provisional() { Input::Provisional(bytes) } else { Input::Final(bytes) };
                machine.handle(input, self.way, cx);
            }
        }
        if status.is_final() {
            self.request = None;
        }
    }

    /// Whether a copy of an INVITE comes from who has sent it: responses go to where that one is now (§18.2.2).
    fn is_from_sender_of(&self, copy: &Request, keys: &Keys) -> bool {
        if !matches!(self.machine, Machine::Invite(_)) {
            return false;
        }
        let sender = self.request.as_deref().map_or(self.sender, |request| keys.sender(request));
        sender.is_some() && keys.sender(copy) == sender
    }

    fn retransmitted(&mut self, flow: Flow, cx: &mut Context<'_>) {
        if self.way.transport.is_reliable() && self.way.connection.is_none() && flow.connection.is_some() {
            // The client lost its connection, opened another and asks again over that.
            self.way = flow;
        }
        match &mut self.machine {
            Machine::Invite(machine) => {
                let way = Way { request: self.request.as_deref(), flow: self.way };
                machine.handle(server_invite::Input::Invite, way, cx);
            }
            Machine::NonInvite(machine) => {
                machine.handle(server_non_invite::Input::Request, self.way, cx);
            }
        }
    }

    fn timeout(&mut self, timer: Timer, deadline: Instant, cx: &mut Context<'_>) -> Report {
        match &mut self.machine {
            Machine::Invite(machine) => match machine.due(timer, deadline) {
                Some(input) => {
                    machine.handle(input, Way { request: self.request.as_deref(), flow: self.way }, cx)
                }
                None => Report::Nothing,
            },
            Machine::NonInvite(machine) => match machine.due(timer, deadline) {
                Some(input) => machine.handle(input, self.way, cx),
                None => Report::Nothing,
            },
        }
    }

    fn transport_error(&mut self, cx: &mut Context<'_>) -> Report {
        let way = Way { request: self.request.as_deref(), flow: self.way };
        match &mut self.machine {
            Machine::Invite(machine) => machine.handle(server_invite::Input::TransportError, way, cx),
            Machine::NonInvite(machine) => {
                machine.handle(server_non_invite::Input::TransportError, self.way, cx)
            }
        }
    }

    fn is_open(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_open(),
            Machine::NonInvite(machine) => machine.is_open(),
        }
    }

    fn is_terminated(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_terminated(),
            Machine::NonInvite(machine) => machine.is_terminated(),
        }
    }
}

/// Answers a request that there is no room for, without keeping anything.
fn refuse(request: &Request, flow: &Flow, retry_after: u32, cx: &mut Context<'_>) {
    let way = response_flow(request, flow);
    let tag = cx.tag();
    let response = Response::to_request(request, Status::SERVICE_UNAVAILABLE)
        .to_tag(&tag)
        .header(Name::RetryAfter, retry_after)
        .finish();
    cx.out.transmit(way, response_bytes(&response, &way));
}

/// Seconds after which a refused client may come again.
const RETRY_AFTER: u32 = 10;
