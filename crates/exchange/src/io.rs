//! The complete border of a shard: everything that goes in and everything that comes out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use offhook_media::command as media;
use offhook_sip_stack::locate::{DnsAnswer, Question};
use offhook_sip_stack::{ConnectionId, FetchFailure, Flow};

pub use crate::b2bua::Halves;
use crate::command::{Answer, Command, Ticket};
pub use crate::core::HandedOver;
use crate::directory::{AddressOfRecord, Bindings, Delta};
use crate::event::Event;
use crate::keep::Keep;
use crate::message::{TextAnswer, TextRequest};
use crate::presence::{KeptWatch, Line, WatchChange};
use crate::proxy::anchor::Supervise;
use crate::services::{CallBackNews, QueueShare};
use crate::spending::Share;
use crate::trunks::TrunkState;

/// What a shard is told. Each comes with the moment at which it is handled.
#[derive(Clone, Debug)]
pub enum Input {
    /// A UDP datagram.
    Datagram {
        /// Where it came from and to.
        flow: Flow,
        /// Its payload.
        bytes: Bytes,
    },
    /// A whole message of a stream.
    StreamMessage {
        /// The connection.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// A stream that cannot be cut into messages any more; it is closed after our answer, if there is one.
    BrokenStream {
        /// The connection.
        flow: Flow,
        /// The head of the offending message, as far as it came.
        head: Bytes,
    },
    /// The SIP domains that the peer of a connection has proven by its certificate (RFC 5922 §7.1), in small letters; none:
    /// the connection is over. Said to every shard, before what comes by the connection.
    Proven(ConnectionId, Arc<[String]>),
    /// A connection ended, could not be opened, or a datagram could not be sent.
    FlowFailed(Flow),
    /// From another shard of this process.
    FromShard(ShardMessage),
    /// From the media thread.
    Media(media::Report),
    /// The answer to a question in [`Outbox::resolves`], by its number. Every question is answered, in a few seconds.
    Resolved(u64, DnsAnswer),
    /// The answer to a question in [`Outbox::fetches`], by its number.
    Fetched(u64, Result<Bytes, FetchFailure>),
    /// What a folder of recordings holds now: its name, and the names of the files in it and in its folders. Said of each
    /// at the start, and of one that changes, to every shard.
    Mailbox(String, Vec<String>),
    /// Subscriptions that were written down and are not over; said to every shard once, at the start, when it knows the
    /// accounts and mailboxes.
    Watches(Vec<KeptWatch>),
    /// The answer to a question in [`Outbox::texts`], by its number.
    Stored(u64, TextAnswer),
    /// From an operator, the API or the store.
    Command(Ticket, Command),
    /// How long the oldest message that waits for this shard has been waiting: above some, new calls are refused.
    Waited(Duration),
    /// A deadline has come; every input has this effect too.
    Deadline,
    /// No new calls from now on; existing ones finish.
    Drain,
}

/// What one shard tells another. A datagram may be lost on the way; facts may not, and those of one shard arrive in their
/// order. A driver gives a shard the facts that have arrived before any other input: so nobody can have seen the
/// answer to a request and then meet a shard that does not know what it changed.
#[derive(Clone, Debug)]
pub enum ShardMessage {
    /// A message that only the directory shows to be the other's. It goes no further.
    Datagram {
        /// Where it came from and to.
        flow: Flow,
        /// Its payload.
        bytes: Bytes,
    },
    /// A fact of the directory that changed. Whoever changed it has written it to the journal.
    Delta(Delta),
    /// Somebody watches the calls of an account, or nobody does any more: each shard tells the account's home of its own.
    Watched {
        /// The account.
        account: AddressOfRecord,
        /// Whether it is watched.
        watched: bool,
    },
    /// A text message is kept for an account, to the account's home.
    TextKept {
        /// The account.
        account: AddressOfRecord,
        /// Whether its phones have had it, and none has taken it.
        tried: bool,
    },
    /// A call of a watched account, to the account's home.
    Line {
        /// The shard that has the call.
        shard: u8,
        /// The account.
        account: AddressOfRecord,
        /// Its call.
        line: Line,
    },
    /// How many calls an account has at a shard, for the limit of its calls.
    Activity {
        /// The shard that counted.
        shard: u8,
        /// The account.
        account: AddressOfRecord,
        /// Its calls there.
        calls: u32,
    },
    /// What an account has spent on a day by calls of a shard, and which of its calls go on.
    Spending {
        /// The shard; 255 stands for what was spent before the exchange was started.
        shard: u8,
        /// The account.
        account: AddressOfRecord,
        /// The day, in days since 1970-01-01 in the time zone of the plan.
        day: i32,
        /// What is known.
        share: Box<Share>,
    },
    /// In how many calls a member of a group is at a shard.
    Member {
        /// The shard that counted.
        shard: u8,
        /// The member.
        account: AddressOfRecord,
        /// Its calls there.
        calls: u32,
    },
    /// What the shard that looks after a trunk knows of it.
    Trunk {
        /// The trunk's place in the configuration.
        trunk: usize,
        /// What is known.
        state: Box<TrunkState>,
    },
    /// Of halves of calls that are connected, or are to be.
    Halves(Halves),
    /// An INVITE, and all that belongs to it from now on: see [`Halves::HandOver`].
    Handed(HandedOver),
    /// About call backs.
    CallBack(CallBackNews),
    /// What a shard has of a queue.
    Queue {
        /// The shard that says so.
        shard: u8,
        /// The number of the queue.
        number: String,
        /// Its callers and agents there.
        share: Box<QueueShare>,
    },
    /// A supervisor of the shard that says so wants to hear a call.
    Supervise(Supervise),
    /// To the supervisor's shard: in this room it is heard now, or it is over.
    Supervised {
        /// The room.
        room: u64,
        /// Whether it is heard.
        heard: bool,
    },
    /// How many calls a trunk has at a shard, for its limits.
    TrunkLoad {
        /// The shard that counted.
        shard: u8,
        /// The trunk's place in the configuration.
        trunk: usize,
        /// Its calls there.
        calls: u32,
        /// Those that began within the last second.
        begun: u32,
    },
}

impl ShardMessage {
    /// Whether somebody waits for what comes of it, so that a shard that sleeps is to be woken.
    pub const fn is_urgent(&self) -> bool {
        matches!(
            self,
            Self::Datagram { .. }
                | Self::Line { .. }
                | Self::TextKept { .. }
                | Self::Halves(_)
                | Self::Handed(_)
                | Self::Queue { .. }
                | Self::CallBack(CallBackNews::Freed(_))
                | Self::Supervise(_)
                | Self::Supervised { .. }
                | Self::Delta(Delta::Mailbox(..))
        )
    }
}

/// Outputs of a shard. The driver carries them out once per batch, in this order: the store's journal, then
/// everything else – so that what was acknowledged is already written.
#[derive(Debug, Default)]
pub struct Outbox {
    /// What must be written before the messages of this batch leave.
    pub store: Vec<StoreRequest>,
    /// Messages to send and connections to close.
    pub sip: offhook_sip_stack::Outbox,
    /// What the media threads are to do.
    pub media: Vec<media::Command>,
    /// Questions to the DNS, with the number by which the answer comes back.
    pub resolves: Vec<(u64, Question)>,
    /// Certificates of signers to fetch (`https://…`), with the number by which the answer comes back. Addresses are those
    /// that strangers name.
    pub fetches: Vec<(u64, String)>,
    /// The domains that have to answer at the addresses to which messages of this batch go, where a connection under TLS
    /// is opened for them (RFC 5922 §4).
    pub expected: Vec<(SocketAddr, String)>,
    /// For other shards.
    pub shards: Vec<(u8, ShardMessage)>,
    /// Answers to commands.
    pub answers: Vec<(Ticket, Answer)>,
    /// Questions to the store about text messages, with the number by which the answer comes back.
    pub texts: Vec<(u64, TextRequest)>,
    /// What services want kept, with the number by which [`Command::Kept`] answers.
    pub keeps: Vec<(u64, Keep)>,
    /// What changes in the subscriptions that are written down.
    pub watches: Vec<WatchChange>,
    /// Changes to files of recordings.
    pub files: Vec<FileRequest>,
    /// What happened, for logs, metrics and call records.
    pub events: Vec<Event>,
}

/// What the store is asked to keep. Each is complete in itself: the last one about a record wins.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreRequest {
    /// The bindings that an address-of-record has now.
    Bindings(AddressOfRecord, Bindings),
}

/// A change to a file of recordings. Names are paths within their place, without `..`, as in what media records and plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileRequest {
    /// Another name, from and to.
    Rename(String, String),
    /// The same in another place as well, complete as soon as it is there: from and to.
    Copy(String, String),
    /// No more of it.
    Remove(String),
}
