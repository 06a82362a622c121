//! Subscriptions that outlive the process: each is written down in the words of the one who asked for it.

use bytes::Bytes;
use offhook_sip_stack::Flow;

use crate::directory::AddressOfRecord;

/// A subscription as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptWatch {
    /// Our tag in its dialog, by which it is known.
    pub tag: String,
    /// Who is watched.
    pub account: AddressOfRecord,
    /// Who watches, if that is an account.
    pub watcher: Option<AddressOfRecord>,
    /// The SUBSCRIBE that made it.
    pub made: Bytes,
    /// The last SUBSCRIBE that refreshed it.
    pub refreshed: Option<Bytes>,
    /// The way on which the last SUBSCRIBE came, without its connection.
    pub flow: Flow,
    /// When it ends, in Unix seconds.
    pub expires_at: u64,
}

/// What changes in what is written down. It need not be on the disk before anything leaves: who is forgotten by a crash
/// asks anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchChange {
    /// There is one more.
    Made(Box<KeptWatch>),
    /// One goes on.
    Refreshed {
        /// Which.
        tag: String,
        /// The SUBSCRIBE.
        refreshed: Bytes,
        /// The way on which it came, without its connection.
        flow: Flow,
        /// When it ends now, in Unix seconds.
        expires_at: u64,
    },
    /// One is over.
    Over(String),
}

/// Whether a subscription may be written down: its peer can be reached without a connection of its own, and it is not long.
pub(super) fn may_be_kept(request: &Bytes, flow: &Flow) -> bool {
    flow.transport.can_be_called_back() && request.len() <= LONGEST
}

/// A flow that outlives the process.
pub(super) fn without_connection(flow: &Flow) -> Flow {
    Flow { connection: None, ..*flow }
}

/// The numbers of a subscription that goes on begin here: they rise with the clock, and more slowly than it, so none of
/// the process before was greater.
pub(super) fn sequence(unix: u64) -> u32 {
    u32::try_from(unix.saturating_sub(BEFORE)).unwrap_or(u32::MAX) & 0x7fff_ffff
}

/// Octets of a SUBSCRIBE.
const LONGEST: usize = 4096;
/// A moment of 2020, in Unix seconds.
const BEFORE: u64 = 1_600_000_000;
