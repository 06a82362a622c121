//! Everything that goes into and out of a phone.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use offhook_media::session::{Component, Statistics as MediaReport};
use offhook_sip::{Method, Uri};
use offhook_sip_stack::{Flow, Transport};

use crate::{Listener, MediaPort};

/// The number of a call, never used twice by one phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// The number of a request outside of a call: MESSAGE, OPTIONS, SUBSCRIBE. Never used twice by one phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The number of a question to the resolver, never used twice by one phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// Everything that comes into a phone.
#[derive(Clone, Debug)]
pub enum Input {
    /// A datagram, or a message cut out of a stream.
    Message {
        /// The message.
        bytes: Bytes,
        /// The way it came, from our side: `remote` is its source.
        flow: Flow,
    },
    /// A connection broke, or a message could not be sent this way.
    FlowFailed(Flow),
    /// A datagram on one of [`Config::media_ports`](crate::Config::media_ports).
    Media {
        /// The place of the port pair in the configuration.
        port: usize,
        /// Which of the pair.
        component: Component,
        /// Its source.
        from: SocketAddr,
        /// Its bytes.
        bytes: Bytes,
    },
    /// The answer to [`Question`]; empty when the name has no address.
    Resolved {
        /// The question.
        question: QuestionId,
        /// Where to go, best first.
        addresses: Vec<(Transport, SocketAddr)>,
    },
    /// The network is another, and so are our addresses: those of the sockets, in the order of
    /// [`Config::listeners`](crate::Config::listeners), and those of the media ports, of which there are as many as before.
    /// We register from there, and calls go on there; one that we were placing ends.
    Moved {
        /// Where SIP is from now on.
        listeners: Vec<Listener>,
        /// Where sound is from now on.
        media_ports: Vec<MediaPort>,
    },
    /// What the user wants.
    Command(Command),
    /// [`UserAgent::next_deadline`](crate::UserAgent::next_deadline) has come. Any input does the same.
    Deadline,
}

/// What a user wants. The numbers of calls and requests to be made come from
/// [`UserAgent::next_call`](crate::UserAgent::next_call) and
/// [`UserAgent::next_request`](crate::UserAgent::next_request).
#[derive(Clone, Debug)]
pub enum Command {
    /// Register now, and keep the registration fresh.
    Register,
    /// Take the registration back.
    Unregister,
    /// Place a call.
    Call {
        /// From [`UserAgent::next_call`](crate::UserAgent::next_call).
        call: CallId,
        /// Whom.
        target: Uri,
        /// How.
        options: CallOptions,
    },
    /// Say that the phone rings (180).
    Ring {
        /// The incoming call.
        call: CallId,
    },
    /// Answer an incoming call.
    Answer {
        /// The incoming call.
        call: CallId,
    },
    /// Refuse an incoming call.
    Reject {
        /// The incoming call.
        call: CallId,
        /// 300 to 699: 486 busy, 603 declined.
        code: u16,
    },
    /// End a call, or stop calling.
    Hangup {
        /// The call.
        call: CallId,
    },
    /// Stop listening to the peer (RFC 3264 §8.4).
    Hold {
        /// The call.
        call: CallId,
    },
    /// Listen again.
    Resume {
        /// The call.
        call: CallId,
    },
    /// Press keys.
    Dtmf {
        /// The call.
        call: CallId,
        /// `0`–`9`, `*`, `#`, `A`–`D`; `,` waits two seconds.
        digits: String,
    },
    /// Ask the peer to call someone else instead (REFER, RFC 3515, RFC 5589).
    Transfer {
        /// The call.
        call: CallId,
        /// Whom the peer shall call.
        target: Uri,
    },
    /// Send a text (RFC 3428).
    Message {
        /// From [`UserAgent::next_request`](crate::UserAgent::next_request).
        request: RequestId,
        /// To whom.
        target: Uri,
        /// The text.
        text: String,
    },
    /// Ask what the target can do.
    Options {
        /// From [`UserAgent::next_request`](crate::UserAgent::next_request).
        request: RequestId,
        /// Whom.
        target: Uri,
    },
    /// Ask to be told about an event package (RFC 6665), e.g. `message-summary`, `dialog`, until
    /// [`Command::Unsubscribe`] or until it is ended from there.
    Subscribe {
        /// From [`UserAgent::next_request`](crate::UserAgent::next_request).
        request: RequestId,
        /// About whom.
        target: Uri,
        /// The package.
        event: String,
        /// For how long at a time; zero asks for the present state only.
        expires: Duration,
    },
    /// Ask to be told no more.
    Unsubscribe {
        /// The subscription.
        request: RequestId,
    },
}

/// How to place a call.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// More header fields of the INVITE, as name and value.
    pub headers: Vec<(String, String)>,
    /// How long to let it ring; none rings for as long as the callee does.
    pub ring_timeout: Option<Duration>,
}

/// Everything that a phone wants done, in order; the driver empties it after each input.
#[derive(Debug, Default)]
pub struct Outbox {
    /// SIP messages to send, connections to close.
    pub sip: offhook_sip_stack::Outbox,
    /// Sound and reports to send.
    pub media: Vec<MediaTransmit>,
    /// Names to look up.
    pub questions: Vec<Question>,
    /// What the user may want to know.
    pub events: Vec<Event>,
}

/// A datagram to send from one of the media ports.
#[derive(Clone, Debug)]
pub struct MediaTransmit {
    /// The call it belongs to.
    pub call: CallId,
    /// The place of the port pair in the configuration.
    pub port: usize,
    /// Which of the pair.
    pub component: Component,
    /// The peer.
    pub to: SocketAddr,
    /// The packet.
    pub bytes: Bytes,
}

/// A name to look up (RFC 3263); the answer comes as [`Input::Resolved`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The number to answer with.
    pub id: QuestionId,
    /// The name.
    pub host: String,
    /// The port, where one is given (§4.2: then no SRV).
    pub port: Option<u16>,
    /// The transport, where one is given (§4.1: then no NAPTR).
    pub transport: Option<Transport>,
}

/// What happened, as data.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The registrar has our contact; again after each refresh.
    Registered {
        /// For how long.
        expires: Duration,
    },
    /// The registrar does not have our contact.
    RegistrationFailed {
        /// The status code; 408 also stands for no answer, 503 for a broken way.
        code: u16,
        /// Its reason phrase.
        reason: String,
        /// When we try again; none: not by ourselves.
        retry_after: Option<Duration>,
    },
    /// The registrar has dropped our contact as we asked.
    Unregistered,
    /// Someone calls. Answer with [`Command::Ring`], [`Command::Answer`] or [`Command::Reject`].
    Incoming {
        /// The call.
        call: CallId,
        /// Its Call-ID header.
        call_id: String,
        /// The From address.
        from: Uri,
        /// The name beside it.
        display_name: Option<String>,
        /// The To address.
        to: Uri,
    },
    /// The INVITE has left.
    Calling {
        /// The call.
        call: CallId,
        /// Its Call-ID header.
        call_id: String,
    },
    /// A provisional response came: 180 rings.
    Progress {
        /// The call.
        call: CallId,
        /// 101 to 199.
        code: u16,
        /// Its reason phrase.
        reason: String,
        /// Whether sound can already be heard.
        early_media: bool,
    },
    /// The call is established: a 2xx was received or sent.
    Answered {
        /// The call.
        call: CallId,
        /// The encoding that we send, e.g. `PCMU`; none without sound.
        codec: Option<String>,
    },
    /// One side changed the direction of sound (RFC 3264 §8.4).
    Held {
        /// The call.
        call: CallId,
        /// Whether we have put the peer on hold.
        by_us: bool,
        /// Whether the peer has put us on hold.
        by_peer: bool,
    },
    /// Hold or resume was refused; the session is as it was.
    ModifyFailed {
        /// The call.
        call: CallId,
        /// The status code.
        code: u16,
    },
    /// A key was pressed at the other end.
    Digit {
        /// The call.
        call: CallId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How long it was held.
        duration: Duration,
    },
    /// All keys of [`Command::Dtmf`] are sent.
    DigitsSent {
        /// The call.
        call: CallId,
    },
    /// How a transfer that we asked for goes on, as the peer reports it (RFC 3515 §2.4.4).
    Transfer {
        /// The call.
        call: CallId,
        /// The status code of the peer's new call, or of its answer to REFER.
        code: u16,
        /// Whether nothing more will come.
        last: bool,
    },
    /// The peer asks us to call someone else; a new call to `target` with this number is being placed.
    Transferring {
        /// The old call.
        call: CallId,
        /// The new call.
        new: CallId,
        /// Whom.
        target: Uri,
    },
    /// The call is over. Its number means nothing any more.
    Ended {
        /// The call.
        call: CallId,
        /// Who ended it.
        by: Side,
        /// The final status: 200 for a call that was established and hung up.
        code: u16,
        /// Its reason phrase, or what the Reason header said.
        reason: String,
        /// What its sound was like, if there was any.
        media: Option<MediaReport>,
    },
    /// A text came.
    MessageReceived {
        /// From whom.
        from: Uri,
        /// The text.
        text: String,
        /// Its Content-Type.
        content_type: String,
    },
    /// A request outside of a call was answered.
    Response {
        /// Which.
        request: RequestId,
        /// The final status code; 408 also stands for no answer, 503 for a broken way.
        code: u16,
        /// Its reason phrase.
        reason: String,
    },
    /// A NOTIFY outside of a call came.
    Notified {
        /// The subscription, if it is one of ours.
        request: Option<RequestId>,
        /// The event package.
        event: String,
        /// Its body.
        body: Bytes,
        /// Whether the subscription is over.
        terminated: bool,
    },
    /// An input was dropped.
    Dropped(DropReason),
    /// A request came; for the curious, [`Event::Incoming`] and others follow where they mean something.
    Requested {
        /// Its method.
        method: Method,
    },
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// We did.
    Us,
    /// The other end did.
    Peer,
    /// Nobody did: no answer to a request, a session timer, a broken way.
    Network,
}

/// Why an input was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It is not a SIP message.
    NotSip,
    /// A response to nothing that we sent.
    StrayResponse,
    /// A request that may not be answered: an ACK to nothing.
    StrayAck,
    /// Sound for no call, or from someone else.
    StrayMedia,
    /// A command for a call that does not exist, or not in this state.
    WrongState,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
