//! A table of transactions with a virtual clock, and the messages to feed it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_sip::{Message, Request, Response, Status};
use rand::SeedableRng as _;

use crate::transaction::{ClientId, Limits, Owner, ServerId, TransactionEvent, Transactions};
use crate::{ConnectionId, Context, Flow, Outbox, Rng, Timers, Transport};

/// The table, its clock, what it sent and what it said.
pub(super) struct Bench {
    pub(super) table: Transactions,
    rng: Rng,
    timers: Timers<Owner>,
    out: Outbox,
    start: Instant,
    now: Instant,
    events: Vec<(u64, TransactionEvent)>,
    served: HashMap<ServerId, Request>,
}

/// A message that was sent.
pub(super) struct Sent {
    /// Milliseconds since the start.
    pub(super) at: u64,
    pub(super) flow: Flow,
    pub(super) message: Message,
}

impl Sent {
    /// The method or the status code.
    pub(super) fn what(&self) -> String {
        match &self.message {
            Message::Request(request) => request.method().to_string(),
            Message::Response(response) => response.status().to_string(),
        }
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    #[expect(clippy::disallowed_methods, reason = "an Instant has no zero; from here on time is virtual")]
    pub(super) fn with_limits(limits: Limits) -> Self {
        let start = Instant::now();
        Self {
            table: Transactions::new(limits),
            rng: Rng::seed_from_u64(7),
            timers: Timers::new(),
            out: Outbox::default(),
            start,
            now: start,
            events: Vec::new(),
            served: HashMap::new(),
        }
    }

    /// Lends the table and a context.
    pub(super) fn with<T>(&mut self, act: impl FnOnce(&mut Transactions, &mut Context<'_>) -> T) -> T {
        let Self { table, rng, timers, out, now, .. } = self;
        act(table, &mut Context { now: *now, rng, timers, out, shard: 0 })
    }

    pub(super) fn elapsed(&self) -> u64 {
        (self.now - self.start).as_millis() as u64
    }

    fn note(&mut self, events: impl IntoIterator<Item = TransactionEvent>) {
        let at = self.elapsed();
        self.events.extend(events.into_iter().map(|event| (at, event)));
    }

    pub(super) fn receive(&mut self, message: impl Into<Message>, flow: Flow) {
        let event = self.with(|table, cx| table.receive(message.into(), flow, cx));
        self.note(event);
    }

    /// Receives a request and expects it to be passed on.
    pub(super) fn serve(&mut self, request: Request, flow: Flow) -> ServerId {
        self.receive(request, flow);
        match self.events.pop() {
            Some((_, TransactionEvent::Request { server, .. } | TransactionEvent::Cancel { server, .. })) => {
                server
            }
            other => panic!("no new request but {other:?}"),
        }
    }

    pub(super) fn send(&mut self, request: Request, flow: Flow) -> ClientId {
        self.with(|table, cx| table.send_request(request, flow, cx))
    }

    pub(super) fn respond(&mut self, server: ServerId, status: u16) {
        // A second answer is made of what the first was made of.
        if let Some(request) = self.table.request(server) {
            self.served.insert(server, request.clone());
        }
        let response = reply(&self.served[&server], status, "here");
        self.with(|table, cx| table.respond(server, response, cx));
    }

    pub(super) fn cancel(&mut self, invite: ClientId) -> Option<ClientId> {
        self.with(|table, cx| table.cancel(invite, cx))
    }

    pub(super) fn flow_failed(&mut self, flow: Flow) {
        let events = self.with(|table, cx| table.flow_failed(&flow, cx));
        self.note(events);
    }

    /// Lets time pass until this many milliseconds after the start, waking whoever is due on the way.
    pub(super) fn run_until(&mut self, millis: u64) {
        let end = self.start + Duration::from_millis(millis);
        while self.timers.next_deadline().is_some_and(|next| next <= end) {
            self.now = self.now.max(self.timers.next_deadline().unwrap());
            while let Some((deadline, owner)) = self.timers.pop_due(self.now) {
                let event = self.with(|table, cx| table.timeout(owner, deadline, cx));
                self.note(event);
            }
        }
        self.now = end;
    }

    /// What was sent since this was last asked.
    pub(super) fn take_sent(&mut self) -> Vec<Sent> {
        let at = self.elapsed();
        let parse = |transmit: crate::Transmit| Sent {
            at,
            flow: transmit.flow,
            message: Message::parse(transmit.bytes).unwrap(),
        };
        self.out.transmits.drain(..).map(parse).collect()
    }

    /// Methods and codes sent since this was last asked.
    pub(super) fn sent(&mut self) -> Vec<String> {
        self.take_sent().iter().map(Sent::what).collect()
    }

    /// [`Bench::run_until`] with the moments at which something was sent.
    pub(super) fn sends_until(&mut self, millis: u64) -> Vec<(u64, String)> {
        let mut all: Vec<(u64, String)> =
            self.take_sent().iter().map(|sent| (sent.at, sent.what())).collect();
        while let Some(next) = self.timers.next_deadline() {
            let next = (next - self.start).as_millis() as u64;
            if next > millis {
                break;
            }
            self.run_until(next);
            all.extend(self.take_sent().iter().map(|sent| (sent.at, sent.what())));
        }
        self.run_until(millis);
        all
    }

    /// What the table said since this was last asked: moment and short form.
    pub(super) fn said(&mut self) -> Vec<(u64, String)> {
        self.events.drain(..).map(|(at, event)| (at, short(&event))).collect()
    }

    pub(super) fn events(&mut self) -> Vec<TransactionEvent> {
        self.events.drain(..).map(|(_, event)| event).collect()
    }
}

fn short(event: &TransactionEvent) -> String {
    match event {
        TransactionEvent::Request { request, .. } => request.method().to_string(),
        TransactionEvent::Cancel { .. } => "cancel".into(),
        TransactionEvent::Ack { invite, .. } => if invite.is_some() { "ack of ours" } else { "ack" }.into(),
        TransactionEvent::Response { response, .. } => response.status().to_string(),
        TransactionEvent::Stray { response, .. } => format!("stray {}", response.status()),
        TransactionEvent::Timeout { .. } => "timeout".into(),
        TransactionEvent::TransportFailed { .. } => "transport failed".into(),
        TransactionEvent::NoAck { .. } => "no ack".into(),
        TransactionEvent::ClientEnded { .. } => "client ended".into(),
        TransactionEvent::ServerEnded { .. } => "server ended".into(),
    }
}

/// The peer's address over UDP.
pub(super) fn udp() -> Flow {
    flow(Transport::Udp, None)
}

/// A connection to the peer.
pub(super) fn tcp(connection: u64) -> Flow {
    flow(Transport::Tcp, Some(ConnectionId(connection)))
}

pub(super) fn flow(transport: Transport, connection: Option<ConnectionId>) -> Flow {
    let (local, remote) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.9:5060".parse().unwrap());
    Flow { transport, local, remote, connection }
}

pub(super) fn request(text: &str) -> Request {
    match parse(text) {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

pub(super) fn parse(text: &str) -> Message {
    let text = text.replace('\n', "\r\n") + "\r\n";
    Message::parse(Bytes::from(text)).unwrap()
}

/// A request of ours, or of the peer, with this branch.
pub(super) fn with_branch(method: &str, via: &str, branch: &str) -> Request {
    request(&format!(
        "{method} sip:bob@192.0.2.9 SIP/2.0\nVia: SIP/2.0/{via};branch={branch}\nMax-Forwards: 70\n\
         Route: <sip:192.0.2.9;lr>\nFrom: <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>\n\
         Call-ID: call-1\nCSeq: 1 {method}\nContact: <sip:alice@192.0.2.1>\nContent-Length: 0\n"
    ))
}

/// A request that we send over UDP.
pub(super) fn ours(method: &str) -> Request {
    with_branch(method, "UDP 192.0.2.1:5060", "z9hG4bK-ours")
}

/// A request that the peer sends over UDP.
pub(super) fn theirs(method: &str) -> Request {
    with_branch(method, "UDP 192.0.2.9:5060", "z9hG4bK-theirs")
}

/// The ACK of the INVITE from [`theirs`].
pub(super) fn their_ack() -> Request {
    theirs("ACK")
}

pub(super) fn reply(request: &Request, status: u16, tag: &str) -> Response {
    let status = Status::new(status).unwrap();
    match status {
        Status::TRYING => Response::to_request(request, status).finish(),
        _ => Response::to_request(request, status).to_tag(tag).finish(),
    }
}

/// Moments and words, to be compared with.
pub(super) fn texts(all: &[(u64, String)]) -> Vec<(u64, &str)> {
    all.iter().map(|(at, what)| (*at, what.as_str())).collect()
}
