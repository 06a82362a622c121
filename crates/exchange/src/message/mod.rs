//! Text messages (RFC 3428) to accounts: passed on at once where a phone takes them, else kept by the store and delivered when a
//! phone registers, in order.
//!
//! The shard that gets a message has it kept; the home of its account delivers what is kept.

mod delivery;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use offhook_sip::Request;
use offhook_sip_stack::transaction::{ClientId, ServerId};

use crate::context::Context;
use crate::directory::AddressOfRecord;
pub(crate) use delivery::{Delivery, request};
pub use text::{KeptText, Text, TextAnswer, TextRequest, TextState};

/// What messages are set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a message is kept for a phone that is not there; zero: not at all. A sender may ask for less.
    pub keep: Duration,
    /// Whether messages that were delivered are noted.
    pub history: bool,
    /// What one account may send in a minute.
    pub per_minute: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep: Duration::from_secs(7 * 86_400), history: true, per_minute: 60 }
    }
}

/// The messages of a shard.
#[derive(Default)]
pub(crate) struct Texts {
    issued: u64,
    waiting: BTreeMap<u64, Waiting>,
    pub(crate) deliveries: BTreeMap<AddressOfRecord, Delivery>,
    /// Which message a request of ours delivers: for whom, and its number.
    pub(crate) clients: HashMap<ClientId, (AddressOfRecord, i64)>,
    /// What each sender has sent in the minute that began then, in Unix seconds.
    senders: HashMap<AddressOfRecord, (u64, u32)>,
}

/// What waits for an answer of the store.
pub(crate) enum Waiting {
    /// A message is being kept. `tried`: phones have had it.
    Keep { server: ServerId, request: Box<Request>, account: AddressOfRecord, tried: bool },
    /// What is kept of an account.
    Next(AddressOfRecord),
}

impl Texts {
    /// Asks the store; the answer to `waiting` comes back by its number.
    pub(crate) fn ask(&mut self, request: TextRequest, waiting: Option<Waiting>, cx: &mut Context<'_>) {
        self.issued += 1;
        cx.out.texts.push((self.issued, request));
        if let Some(waiting) = waiting {
            self.waiting.insert(self.issued, waiting);
        }
    }

    /// What an answer is for.
    pub(crate) fn answered(&mut self, ticket: u64) -> Option<Waiting> {
        self.waiting.remove(&ticket)
    }

    /// Whether an account may send one more at `now` (Unix seconds); counts it.
    pub(crate) fn admit(&mut self, sender: &AddressOfRecord, per_minute: u32, now: u64) -> bool {
        if self.senders.len() >= MOST_SENDERS {
            self.senders.retain(|_, (since, _)| now < *since + 60);
        }
        if self.senders.len() >= MOST_SENDERS && !self.senders.contains_key(sender) {
            return false;
        }
        let (since, sent) = self.senders.entry(sender.clone()).or_insert((now, 0));
        if now >= *since + 60 {
            (*since, *sent) = (now, 0);
        }
        *sent += 1;
        *sent <= per_minute
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.deliveries.is_empty() && self.clients.is_empty()
    }
}

/// Senders that are counted at a time.
const MOST_SENDERS: usize = 100_000;
/// A phone that has not answered by then is taken to be gone: the sender would not wait much longer (RFC 4320).
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);
