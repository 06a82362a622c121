//! The transaction layer (RFC 3261 §17, RFC 6026): the table, and the matching of messages to transactions.
//!
//! Four machines, one file per figure of the RFC. A machine takes an input and returns what the user is to be told;
//! what it sends goes to the outbox, and it remembers the deadlines that it armed.

mod client;
mod client_invite;
mod client_non_invite;
mod event;
mod matching;
mod server;
mod server_invite;
mod server_non_invite;
#[cfg(test)]
mod tests;
mod timers;

pub use event::TransactionEvent;
pub use timers::{T1, T1_64, T2, T4, Timer};

use std::time::Instant;

use offhook_sip::Message;

use crate::{Context, Flow, IdMap};
use client::Client;
use matching::{Key, Keys};
use server::Server;

/// The transactions of one shard or phone.
#[derive(Debug)]
pub struct Transactions {
    limits: Limits,
    last: u64,
    keys: Keys,
    clients: IdMap<ClientId, Box<Client>>,
    client_keys: IdMap<Key, ClientId>,
    /// Clients that never started, until their user hears of it.
    refused: Vec<ClientId>,
    servers: IdMap<ServerId, Box<Server>>,
    server_keys: IdMap<Key, ServerId>,
}

/// How many transactions there may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Client transactions. One more fails at once with [`TransactionEvent::TransportFailed`]. CANCELs do not
    /// count.
    pub clients: usize,
    /// Server transactions. One more is answered with 503 and no state is kept for it. CANCELs of known INVITEs do
    /// not count.
    pub servers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clients: 200_000, servers: 200_000 }
    }
}

/// The number of a client transaction, never used twice by one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u64);

/// The number of a server transaction, never used twice by one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(u64);

/// Whose deadline it is: a transaction of this shard and one of its timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A client transaction's.
    Client(ClientId, Timer),
    /// A server transaction's.
    Server(ServerId, Timer),
}

/// What a machine wants its user to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    Nothing,
    /// The message that was the input.
    Pass,
    Timeout,
    TransportFailed,
    NoAck,
    Ended,
}

impl Transactions {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            last: 0,
            keys: Keys::default(),
            clients: IdMap::default(),
            client_keys: IdMap::default(),
            refused: Vec::new(),
            servers: IdMap::default(),
            server_keys: IdMap::default(),
        }
    }

    /// Takes a message from the wire. Retransmissions are absorbed and answered here. Who sends its INVITE again, with the
    /// same credentials, from another address, has its responses there from then on.
    pub fn receive(
        &mut self,
        message: Message,
        flow: Flow,
        cx: &mut Context<'_>,
    ) -> Option<TransactionEvent> {
        match message {
            Message::Request(request) => self.receive_request(request, flow, cx),
            Message::Response(response) => self.receive_response(response, flow, cx),
        }
    }

    /// Takes a due deadline from [`Context::timers`].
    pub fn timeout(
        &mut self,
        owner: Owner,
        deadline: Instant,
        cx: &mut Context<'_>,
    ) -> Option<TransactionEvent> {
        match owner {
            Owner::Client(client, timer) => self.client_timeout(client, timer, deadline, cx),
            Owner::Server(server, timer) => self.server_timeout(server, timer, deadline, cx),
        }
    }

    /// Takes the news that a message could not be sent on this flow, or that its connection was lost.
    ///
    /// Client transactions on it fail, after a try over UDP where [`Transactions::send_request`] chose TCP for size.
    /// Server transactions of a lost connection will have one opened for their next response (§18.2.2); others that
    /// have sent something end.
    pub fn flow_failed(&mut self, flow: &Flow, cx: &mut Context<'_>) -> Vec<TransactionEvent> {
        let mut events = self.clients_failed(flow, cx);
        events.extend(self.servers_failed(flow, cx));
        events
    }

    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.clients.len() + self.refused.len() + self.servers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
