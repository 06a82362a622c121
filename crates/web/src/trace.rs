//! What passed lately, as the API shows it.

use std::time::Duration;

use bytes::Bytes;
use offhook_sip_stack::Flow;
use offhook_sip_stack::ladder::Way;

/// A message, or something that belongs to a call.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The time since 1970.
    pub at: Duration,
    /// The Call-ID; nothing for a message that has none.
    pub call: String,
    /// What it is.
    pub what: What,
}

/// What passed.
#[derive(Clone, Debug)]
pub enum What {
    /// A message.
    Message(Passed),
    /// The call has a leg with this Call-ID.
    Leg(String),
    /// A remark of the exchange, in words.
    Note(String),
}

/// A message without secrets.
#[derive(Clone, Debug)]
pub struct Passed {
    /// As the exchange sees it.
    pub way: Way,
    /// Between whom.
    pub flow: Flow,
    /// Its octets.
    pub bytes: Bytes,
    /// Whether it was too long to be kept whole.
    pub cut: bool,
}

/// What is known of one call.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// All its Call-IDs. Without entries: the calls that may be meant.
    pub calls: Vec<String>,
    /// What passed, oldest first.
    pub entries: Vec<Entry>,
}

/// What came since the last look.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// What passed, oldest first.
    pub entries: Vec<Entry>,
    /// Where the next look begins.
    pub next: Vec<u64>,
    /// Whether something is missing: it passed too long ago.
    pub gap: bool,
}
