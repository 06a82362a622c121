//! What the outside may observe.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_sip::Status;

use crate::bans::Ban;
use crate::directory::AddressOfRecord;
use crate::spending::Price;

/// Something that happened; data for logs, metrics and call records, which are made elsewhere.
#[derive(Clone, Debug)]
pub enum Event {
    /// Bytes that were not worth an answer.
    Dropped {
        /// Who sent them.
        from: SocketAddr,
        /// Why they were dropped.
        reason: DropReason,
    },
    /// A malformed or unacceptable request was refused before it reached anyone.
    Refused {
        /// Who sent it.
        from: SocketAddr,
        /// The answer.
        status: Status,
        /// The answer's reason phrase.
        reason: String,
        /// The Call-ID, as far as it could be read.
        call: String,
    },
    /// A call of somebody whom we know, an account or a trunk, was refused before it reached anyone.
    CallRefused {
        /// The Call-ID.
        call: String,
        /// The caller's address.
        from: String,
        /// The address called.
        to: String,
        /// The answer.
        status: Status,
        /// The answer's reason phrase.
        reason: String,
        /// The trunk by which it came, if it did.
        trunk: Option<String>,
    },
    /// More comes than can be done: so many new calls were turned away within the last second or so.
    Overload {
        /// New calls that were answered with 503.
        refused: u64,
    },
    /// Credentials were wrong.
    AuthenticationFailed {
        /// Who sent them.
        from: SocketAddr,
        /// The user name given.
        username: String,
        /// What follows of it, if it has happened too often.
        banned: Option<Ban>,
    },
    /// An account's contacts changed.
    Registered {
        /// The account.
        account: AddressOfRecord,
        /// The contacts it has now.
        contacts: usize,
        /// From where.
        from: SocketAddr,
    },
    /// A trunk can be used now, or no longer.
    Trunk {
        /// Its name.
        trunk: String,
        /// What is so, or why it cannot be used.
        what: Result<String, String>,
    },
    /// A call is being set up.
    CallStarted {
        /// The Call-ID.
        call: String,
        /// The caller's address.
        from: String,
        /// The address called.
        to: String,
        /// How many phones ring.
        targets: usize,
    },
    /// A phone rings for a call.
    CallRinging {
        /// The Call-ID.
        call: String,
    },
    /// A bridged call has a leg with a Call-ID of its own.
    LegStarted {
        /// The Call-ID of the caller.
        call: String,
        /// The Call-ID of the leg.
        leg: String,
    },
    /// A call that has started came by a trunk.
    CallCame {
        /// The Call-ID.
        call: String,
        /// The trunk's name.
        trunk: String,
    },
    /// The signature of a call that has started and came from outside was checked.
    CallVerified {
        /// The Call-ID.
        call: String,
        /// What came of it, in words: `passed A +49301234567`.
        verdict: String,
    },
    /// A call leaves by a trunk; said again when it is tried by another.
    CallSent {
        /// The Call-ID of the caller.
        call: String,
        /// The trunk's name.
        trunk: String,
        /// The number as the caller dialled it.
        dialled: String,
        /// The number as the trunk was told it.
        sent: String,
        /// The account that answers for its costs, and the day on which they count, in days since 1970-01-01.
        charged: Option<(AddressOfRecord, i32)>,
        /// What it costs, if that is known.
        price: Option<Price>,
        /// In which currency.
        currency: String,
    },
    /// A call that was to leave by a trunk was taken by somebody here: it has not left.
    CallStayed {
        /// The Call-ID of the caller.
        call: String,
    },
    /// An account has spent what it may: a call was refused before it left, or is ended.
    SpendingStopped {
        /// The Call-ID of the caller.
        call: String,
        /// The account.
        account: AddressOfRecord,
        /// Which limit it is, in words.
        what: String,
        /// Whether the call was under way.
        ended: bool,
    },
    /// A call was answered.
    CallAnswered {
        /// The Call-ID.
        call: String,
        /// From INVITE to 200.
        after: Duration,
        /// Whether its media goes through us.
        anchored: bool,
        /// The URI that answered; `exchange` where that is an end of ours.
        by: String,
        /// Where that is, and how long after the call began it was called; `None`: it is an end of ours.
        at: Option<(SocketAddr, Duration)>,
        /// The codec that the answer prefers, in lower case, if it describes sound.
        codec: Option<String>,
    },
    /// A call was not answered.
    CallFailed {
        /// The Call-ID.
        call: String,
        /// The final answer.
        status: Status,
        /// The answer's reason phrase.
        reason: String,
        /// Who ended it, if that was no phone's doing, or a BYE of the caller's.
        by: Option<EndedBy>,
    },
    /// Somebody who was called is out of the call, or was never in it. Who has answered a call for good is told of by
    /// [`Event::CallAnswered`], and goes with the call.
    LegEnded {
        /// The Call-ID of the call.
        call: String,
        /// Who, and what became of it.
        leg: Box<CalledLeg>,
    },
    /// The sound of an answered call that went through us has ended.
    MediaEnded {
        /// The Call-ID.
        call: String,
        /// The Call-ID of the leg whose sound it was, where that is one of several, each with an end of ours.
        leg: Option<String>,
        /// What came from the caller, and from the one who was called unless that is an end of ours. Of a leg, what came from
        /// it.
        heard: [Option<Reception>; 2],
    },
    /// A call is recorded from now on, into this file of the recordings; or it is not, or no longer, and why.
    Recording {
        /// The Call-ID.
        call: String,
        /// The file, or the reason.
        what: Result<String, String>,
    },
    /// Somebody who may do so listens to a call, or speaks into it.
    Supervised {
        /// The Call-ID.
        call: String,
        /// The account that listens.
        by: AddressOfRecord,
        /// `listen`, `whisper` or `barge`.
        how: &'static str,
    },
    /// A BYE passed, or we ended the call.
    CallEnded {
        /// The Call-ID.
        call: String,
        /// Who ended it.
        by: EndedBy,
    },
}

/// Somebody who was called. Times are Unix times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalledLeg {
    /// The URI.
    pub to: String,
    /// Where that is.
    pub at: Option<SocketAddr>,
    /// The trunk that leads there.
    pub trunk: Option<String>,
    /// The Call-ID, if the leg has its own.
    pub call_id: Option<String>,
    /// When it was called.
    pub began: Duration,
    /// When it answered.
    pub answered: Option<Duration>,
    /// The status of its final answer: 487 if it was no longer wanted.
    pub code: u16,
    /// The reason phrase.
    pub reason: String,
    /// The codec that its answer prefers, in lower case.
    pub codec: Option<String>,
}

/// What came of the media of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reception {
    /// Media packets.
    pub packets: u64,
    /// Those that should have come.
    pub lost: u64,
    /// How many times packets in a row were missing.
    pub bursts: u64,
    /// Interarrival jitter (RFC 3550 A.8).
    pub jitter: Duration,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The one who called.
    Caller,
    /// The one who was called.
    Callee,
    /// We, because its media had stopped or a phone was gone.
    Exchange,
    /// Whoever looks after the exchange.
    Operator,
}

/// Why bytes were dropped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// Not SIP at all.
    NotSip,
    /// SIP, but too broken to answer.
    Unanswerable,
    /// A response to nothing that we asked.
    StrayResponse,
    /// An ACK for a call without a route of ours.
    StrayAck,
    /// A table was full.
    Overload,
    /// Its sender is banned.
    Banned,
}
