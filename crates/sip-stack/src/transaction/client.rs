//! The clients' half of the table.

use std::time::Instant;

use super::client_invite::{self, ClientInvite};
use super::client_non_invite::{self, ClientNonInvite};
use super::matching::Key;
use super::{ClientId, Owner, Report, Timer, TransactionEvent, Transactions};
use crate::transport::{choose, switch};
use crate::{Context, Flow, Transport, shrink};
use offhook_sip::{Method, Request, Response};

/// An entry of the table.
#[derive(Debug)]
pub(super) struct Client {
    key: Key,
    machine: Machine,
    fallback: Option<Box<Fallback>>,
}

#[derive(Debug)]
enum Machine {
    Invite(ClientInvite, Cancel),
    NonInvite(ClientNonInvite),
}

/// How far the cancelling of an INVITE is.
#[derive(Debug)]
enum Cancel {
    Unwanted,
    /// It waits for a provisional response (§9.1).
    Wanted(ClientId, Option<Box<str>>),
    Sent(ClientId),
}

/// What to do if TCP, chosen for the request's size, does not work (§18.1.1).
#[derive(Debug)]
struct Fallback {
    request: Request,
    flow: Flow,
    at: Instant,
}

impl Transactions {
    /// Sends a request in a new client transaction. Its top Via must be ours, with a fresh branch from
    /// [`Context::branch`]. An ACK to a 2xx has no transaction (§17): it goes straight to the outbox.
    ///
    /// A request too large for UDP goes over TCP to the same address, its Via changed accordingly (§18.1.1). If that
    /// is refused (see [`Transactions::flow_failed`]), or if nothing came back for two seconds, the transaction
    /// starts again over UDP: peers that know only UDP, or sit behind a NAT, are reached in spite of the size.
    pub fn send_request(&mut self, request: Request, flow: Flow, cx: &mut Context<'_>) -> ClientId {
        let transport = choose(flow.transport, request.bytes().len());
        self.send(request, flow, transport, cx)
    }

    /// [`Transactions::send_request`] on this very flow, whatever the size: for a peer behind a NAT, which no
    /// other way leads to.
    pub fn send_request_on(&mut self, request: Request, flow: Flow, cx: &mut Context<'_>) -> ClientId {
        self.send(request, flow, flow.transport, cx)
    }

    fn send(&mut self, request: Request, flow: Flow, transport: Transport, cx: &mut Context<'_>) -> ClientId {
        let id = ClientId(self.next());
        let key = self.keys.client(&request).ok().filter(|_| self.clients.len() < self.limits.clients);
        let Some(key) = key else { return self.refuse(id, cx) };
        let (first, way, fallback) = match transport {
            Transport::Tcp if flow.transport == Transport::Udp => {
                let at = cx.arm(Timer::Fallback.value(Transport::Tcp), Owner::Client(id, Timer::Fallback));
                let way = Flow { transport: Transport::Tcp, connection: None, ..flow };
                (switch(&request, Transport::Tcp), way, Some(Box::new(Fallback { request, flow, at })))
            }
            Transport::Udp | Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                (request, flow, None)
            }
        };
        let Some(machine) = Machine::start(id, first, way, cx) else { return self.refuse(id, cx) };
        self.insert_client(id, Client { key, machine, fallback });
        id
    }

    /// Cancels an INVITE (§9.1): at once if a provisional response came, else as soon as one comes. Returns the
    /// CANCEL's transaction, which exists only once it is sent; `None` if the INVITE has its final response or
    /// is unknown. Asking twice sends one CANCEL. If the INVITE has no final response 64·T1 after the CANCEL, it ends
    /// with [`TransactionEvent::Timeout`].
    pub fn cancel(&mut self, invite: ClientId, cx: &mut Context<'_>) -> Option<ClientId> {
        self.cancel_for(invite, None, cx)
    }

    /// [`Transactions::cancel`] with a Reason header (RFC 3326), for example
    /// `SIP;cause=200;text="Call completed elsewhere"`.
    pub fn cancel_because(
        &mut self,
        invite: ClientId,
        reason: &str,
        cx: &mut Context<'_>,
    ) -> Option<ClientId> {
        self.cancel_for(invite, Some(reason), cx)
    }

    /// The peer of a transaction is reached by another way than before: it has moved. What it has not answered is sent there
    /// at once, and so is a CANCEL that it has not answered.
    pub fn reroute(&mut self, client: ClientId, flow: Flow, cx: &mut Context<'_>) {
        self.turn(client, flow, false, cx);
    }

    /// We reach the peer of a transaction by another way: we have moved. As [`Transactions::reroute`]; an INVITE of which
    /// provisional responses have come is sent again too, so that those that follow find us
    /// (see [`Transactions::receive`]). Nothing in 64·T1 is a [`TransactionEvent::Timeout`].
    pub fn moved(&mut self, client: ClientId, flow: Flow, cx: &mut Context<'_>) {
        self.turn(client, flow, true, cx);
    }

    fn turn(&mut self, id: ClientId, flow: Flow, we: bool, cx: &mut Context<'_>) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if let Some(fallback) = &mut client.fallback {
            fallback.flow = flow;
        }
        // It may have taken TCP for its size.
        let transport = client.machine.flow().transport;
        let same = transport == flow.transport;
        let flow = Flow { transport, connection: flow.connection.filter(|_| same), ..flow };
        let cancel = match &mut client.machine {
            Machine::Invite(machine, cancel) => {
                use client_invite::Input;
                machine.set_flow(flow);
                machine.handle(if we { Input::Moved } else { Input::Rerouted }, cx);
                match cancel {
                    Cancel::Sent(id) => Some(*id),
                    Cancel::Unwanted | Cancel::Wanted(..) => None,
                }
            }
            Machine::NonInvite(machine) => {
                machine.set_flow(flow);
                machine.handle(client_non_invite::Input::Rerouted, cx);
                None
            }
        };
        cancel.into_iter().for_each(|cancel| self.turn(cancel, flow, we, cx));
    }

    pub(super) fn receive_response(
        &mut self,
        response: Response,
        flow: Flow,
        cx: &mut Context<'_>,
    ) -> Option<TransactionEvent> {
        let known = self
            .keys
            .client(&response)
            .ok()
            .and_then(|key| self.client_keys.get(&key).copied())
            .and_then(|id| Some((id, self.clients.get_mut(&id)?)));
        let Some((id, client)) = known else { return Some(TransactionEvent::Stray { response, flow }) };
        // Something came back over TCP: there it stays.
        client.fallback = None;
        let report = client.machine.receive(&response, &flow, cx);
        self.send_wanted_cancel(id, cx);
        match report {
            Report::Pass => Some(TransactionEvent::Response { client: id, response, flow }),
            Report::Nothing | Report::Timeout | Report::TransportFailed | Report::NoAck | Report::Ended => {
                self.client_event(id, report)
            }
        }
    }

    pub(super) fn client_timeout(
        &mut self,
        id: ClientId,
        timer: Timer,
        deadline: Instant,
        cx: &mut Context<'_>,
    ) -> Option<TransactionEvent> {
        if let Some(place) = self.refused.iter().position(|refused| *refused == id) {
            self.refused.remove(place);
            return Some(TransactionEvent::TransportFailed { client: id });
        }
        let client = self.clients.get_mut(&id)?;
        if timer == Timer::Fallback {
            if client.fallback.as_ref().is_some_and(|fallback| fallback.at == deadline) {
                client.fall_back(id, cx);
            }
            return None;
        }
        let report = client.machine.timeout(timer, deadline, cx);
        self.client_event(id, report)
    }

    pub(super) fn clients_failed(&mut self, flow: &Flow, cx: &mut Context<'_>) -> Vec<TransactionEvent> {
        let failed = |client: &Client| client.machine.flow().fails_with(flow);
        let mut ids: Vec<ClientId> =
            self.clients.iter().filter(|(_, client)| failed(client)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        let mut events = Vec::new();
        for id in ids {
            let Some(client) = self.clients.get_mut(&id) else { continue };
            if !client.fall_back(id, cx) {
                let report = client.machine.transport_error(cx);
                events.extend(self.client_event(id, report));
            }
        }
        events
    }

    fn cancel_for(
        &mut self,
        invite: ClientId,
        reason: Option<&str>,
        cx: &mut Context<'_>,
    ) -> Option<ClientId> {
        let number = self.next();
        let Machine::Invite(machine, cancel) = &mut self.clients.get_mut(&invite)?.machine else {
            return None;
        };
        if !machine.is_calling() && !machine.is_proceeding() {
            return None;
        }
        match cancel {
            Cancel::Wanted(id, _) | Cancel::Sent(id) => Some(*id),
            Cancel::Unwanted => {
                let id = ClientId(number);
                *cancel = Cancel::Wanted(id, reason.map(Into::into));
                self.send_wanted_cancel(invite, cx);
                Some(id)
            }
        }
    }

    /// Sends the CANCEL that someone asked for, if the time for it has come.
    fn send_wanted_cancel(&mut self, invite: ClientId, cx: &mut Context<'_>) {
        let Some(Client { machine: Machine::Invite(machine, cancel), .. }) =
            self.clients.get_mut(&invite).map(Box::as_mut)
        else {
            return;
        };
        let Cancel::Wanted(id, reason) = cancel else { return };
        if !machine.is_proceeding() {
            return;
        }
        let id = *id;
        let Some(request) = machine.cancel_request(reason.as_deref()) else { return };
        // The same address, port and transport as the INVITE (§9.1).
        let flow = *machine.flow();
        machine.handle(client_invite::Input::Cancelled, cx);
        *cancel = Cancel::Sent(id);
        if let Ok(key) = self.keys.client(&request) {
            let machine = Machine::NonInvite(ClientNonInvite::start(id, request, flow, cx));
            self.insert_client(id, Client { key, machine, fallback: None });
        }
    }

    fn insert_client(&mut self, id: ClientId, client: Client) {
        self.client_keys.insert(client.key, id);
        self.clients.insert(id, Box::new(client));
    }

    /// Notes a request that cannot be sent; its user hears of it as soon as the timers are looked at.
    fn refuse(&mut self, id: ClientId, cx: &mut Context<'_>) -> ClientId {
        self.refused.push(id);
        cx.timers.arm(cx.now, Owner::Client(id, Timer::B));
        id
    }

    /// Removes a transaction that is over, and says so.
    fn client_event(&mut self, id: ClientId, report: Report) -> Option<TransactionEvent> {
        if self.clients.get(&id).is_some_and(|client| client.machine.is_terminated())
            && let Some(client) = self.clients.remove(&id)
            && self.client_keys.get(&client.key) == Some(&id)
        {
            self.client_keys.remove(&client.key);
            shrink(&mut self.clients);
            shrink(&mut self.client_keys);
        }
        match report {
            Report::Timeout => Some(TransactionEvent::Timeout { client: id }),
            Report::TransportFailed => Some(TransactionEvent::TransportFailed { client: id }),
            Report::Ended => Some(TransactionEvent::ClientEnded { client: id }),
            Report::Nothing | Report::Pass | Report::NoAck => None,
        }
    }
}

impl Client {
    /// Starts again over UDP, if that is still open. Returns whether it did.
    fn fall_back(&mut self, id: ClientId, cx: &mut Context<'_>) -> bool {
        let Some(fallback) = self.fallback.take() else { return false };
        let Fallback { request, flow, .. } = *fallback;
        match (&mut self.machine, Machine::start(id, request, flow, cx)) {
            (Machine::Invite(machine, _), Some(Machine::Invite(again, _))) => *machine = again,
            (Machine::NonInvite(machine), Some(Machine::NonInvite(again))) => *machine = again,
            (Machine::Invite(..) | Machine::NonInvite(_), _) => return false,
        }
        true
    }
}

impl Machine {
    fn start(id: ClientId, request: Request, flow: Flow, cx: &mut Context<'_>) -> Option<Self> {
        match request.method() {
            Method::Invite => {
                let machine = ClientInvite::start(id, request, flow, cx).ok()?;
                Some(Self::Invite(machine, Cancel::Unwanted))
            }
            _ => Some(Self::NonInvite(ClientNonInvite::start(id, request, flow, cx))),
        }
    }

    fn receive(&mut self, response: &Response, flow: &Flow, cx: &mut Context<'_>) -> Report {
        let status = response.status();
        match self {
            Self::Invite(machine, _) => {
                use client_invite::Input;
                machine.learn(flow);
                let input = match status.class() {
                    1 => Input::Provisional,
                    2 => Input::Success,
                    _ => Input::Failure(response),
                };
                machine.handle(input, cx)
            }
            Self::NonInvite(machine) => {
                use client_non_invite::Input;
                machine.learn(flow);
                machine.handle(if status.is_provisional() { Input::Provisional } else { Input::Final }, cx)
            }
        }
    }

    fn timeout(&mut self, timer: Timer, deadline: Instant, cx: &mut Context<'_>) -> Report {
        match self {
            Self::Invite(machine, _) => match machine.due(timer, deadline) {
                Some(input) => machine.handle(input, cx),
                None => Report::Nothing,
            },
            Self::NonInvite(machine) => match machine.due(timer, deadline) {
                Some(input) => machine.handle(input, cx),
                None => Report::Nothing,
            },
        }
    }

    fn transport_error(&mut self, cx: &mut Context<'_>) -> Report {
        match self {
            Self::Invite(machine, _) => machine.handle(client_invite::Input::TransportError, cx),
            Self::NonInvite(machine) => machine.handle(client_non_invite::Input::TransportError, cx),
        }
    }

    fn flow(&self) -> &Flow {
        match self {
            Self::Invite(machine, _) => machine.flow(),
            Self::NonInvite(machine) => machine.flow(),
        }
    }

    fn is_terminated(&self) -> bool {
        match self {
            Self::Invite(machine, _) => machine.is_terminated(),
            Self::NonInvite(machine) => machine.is_terminated(),
        }
    }
}
