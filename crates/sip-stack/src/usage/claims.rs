//! `Claims`: which transaction belongs to which usage.

use std::collections::BTreeMap;

use super::UsageId;
use crate::transaction::{ClientId, ServerId, TransactionEvent};

/// Finds the usage that an event of the transaction layer is for.
#[derive(Debug, Default)]
pub struct Claims {
    clients: BTreeMap<ClientId, UsageId>,
    servers: BTreeMap<ServerId, UsageId>,
}

impl Claims {
    /// Records that a usage has sent this request.
    pub fn client(&mut self, client: ClientId, usage: UsageId) {
        self.clients.insert(client, usage);
    }

    /// Records that a usage answers this request.
    pub fn server(&mut self, server: ServerId, usage: UsageId) {
        self.servers.insert(server, usage);
    }

    /// Forgets a server transaction.
    pub fn drop_server(&mut self, server: ServerId) {
        self.servers.remove(&server);
    }

    /// The usage that an event is for, by its transaction. New requests and ACKs are found by their dialog.
    pub fn owner(&self, event: &TransactionEvent) -> Option<UsageId> {
        match event {
            TransactionEvent::Response { client, .. }
            | TransactionEvent::Timeout { client }
            | TransactionEvent::TransportFailed { client }
            | TransactionEvent::ClientEnded { client } => self.clients.get(client).copied(),
            TransactionEvent::Cancel { invite: server, .. }
            | TransactionEvent::NoAck { server }
            | TransactionEvent::ServerEnded { server } => self.servers.get(server).copied(),
            TransactionEvent::Ack { invite, .. } => self.servers.get(invite.as_ref()?).copied(),
            TransactionEvent::Request { .. } | TransactionEvent::Stray { .. } => None,
        }
    }

    /// Forgets the transaction that an event says is gone; to be called after the usage has seen the event.
    pub fn settle(&mut self, event: &TransactionEvent) {
        match event {
            TransactionEvent::Timeout { client }
            | TransactionEvent::TransportFailed { client }
            | TransactionEvent::ClientEnded { client } => {
                self.clients.remove(client);
            }
            TransactionEvent::NoAck { server } | TransactionEvent::ServerEnded { server } => {
                self.servers.remove(server);
            }
            TransactionEvent::Response { .. }
            | TransactionEvent::Cancel { .. }
            | TransactionEvent::Ack { .. }
            | TransactionEvent::Request { .. }
            | TransactionEvent::Stray { .. } => {}
        }
    }

    /// How many transactions are claimed.
    pub fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Whether none is claimed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a usage still has a transaction of its own requests: something may come back to it.
    pub fn any_client_of(&self, usage: UsageId) -> bool {
        self.clients.values().any(|owner| *owner == usage)
    }
}
