//! What call control may ask of media, and what media reports back: plain data, so that media can live
//! in a thread or a process of its own.

pub use crate::protection::{
    DtlsRole, Fingerprint, FingerprintError, FingerprintHash, IceCredentials, InsecureReason, Protection,
};
pub use offhook_rtp::rtcp::KeyFrameRequest;
pub use offhook_rtp::srtp::{Crypto, InlineError, MasterKey, Suite};
pub use offhook_rtp::telephone_event::event_of;

pub use crate::tap::TapOrder;
pub use crate::transcode::{EventFormat, Format, Numbers};
pub use crate::voice::{Heard, Order};

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Names one relayed stream (one m-line of one call). Chosen by the asker, who puts its shard's number
/// into the high bits, and never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The shard that chose it.
    pub const fn shard(self) -> u8 {
        (self.0 >> 56) as u8
    }
}

/// One of the two ends of a relayed stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SideName {
    /// The caller's side.
    A,
    /// The callee's side.
    B,
}

impl SideName {
    /// Both sides, caller's first.
    pub const BOTH: [SideName; 2] = [SideName::A, SideName::B];

    /// The other end.
    pub const fn other(self) -> SideName {
        match self {
            SideName::A => SideName::B,
            SideName::B => SideName::A,
        }
    }

    /// 0 for A, 1 for B: the place in a `[T; 2]` of sides.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A local port for RTP and the one above it for RTCP (RFC 3550 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortPair {
    /// The even port, for RTP (and for RTCP too with rtcp-mux).
    pub rtp: u16,
    /// `rtp + 1`, for RTCP.
    pub rtcp: u16,
}

impl PortPair {
    /// The pair that begins at `rtp`; `None` when that is odd or 0.
    pub const fn starting_at(rtp: u16) -> Option<PortPair> {
        if rtp == 0 || !rtp.is_multiple_of(2) { None } else { Some(PortPair { rtp, rtcp: rtp + 1 }) }
    }

    /// Whether `port` is one of the two.
    pub const fn contains(self, port: u16) -> bool {
        port == self.rtp || port == self.rtcp
    }
}

/// What a stream carries, so that the relay can tell media from noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// RTP or SRTP with its RTCP. Everything else is counted and dropped.
    #[default]
    Rtp,
    /// Any datagram (UDPTL fax, DTLS): only the source is checked.
    Opaque,
}

/// What signalling says about the far end of one side. Everything may be unknown at first: a callee's
/// address arrives with its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// Where the phone's SDP says it receives RTP.
    pub rtp: Option<SocketAddr>,
    /// Where its SDP says it receives RTCP (`a=rtcp`, RFC 3605). `None`: one port above `rtp`.
    pub rtcp: Option<SocketAddr>,
    /// The address from which the phone's signalling came; media may be learnt from there only (and from
    /// the SDP's own address).
    pub signalled_from: Option<IpAddr>,
    /// RTP and RTCP share the RTP port towards this side (RFC 5761, negotiated).
    pub rtcp_mux: bool,
    /// The stream is held or one-way by agreement: silence is no sign of a dead call.
    pub hold: bool,
    /// The SDP's address cannot be reached from here (a private one, behind a NAT): send nothing until the
    /// real address has been learnt.
    pub behind_nat: bool,
    /// How media is protected towards this side and from it.
    pub protection: Protection,
    /// Its ICE credentials; `None` while it has not said any.
    pub ice: Option<IceCredentials>,
    /// Its ICE candidates, at most [`CANDIDATES`]; more are not looked at. We send no checks of our own (ICE lite),
    /// so they only say who it may be.
    pub candidates: Vec<SocketAddr>,
}

/// Candidates that are taken of one side.
pub const CANDIDATES: usize = 32;

/// One end of a relayed stream as it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Our ports, facing this side; they go into the SDP that this side is shown.
    pub ports: PortPair,
    /// Our address to open them on; `None`: whatever the media thread listens on.
    pub local_ip: Option<IpAddr>,
    /// The phone.
    pub remote: Remote,
    /// Our ICE credentials when we offer or answer ICE on this side (as a lite agent, RFC 8445 §2.5). Then the address
    /// that the phone nominates is where media goes and the only one it is taken from.
    pub ice: Option<IceCredentials>,
}

/// How the sound of one side becomes what the other side understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// As the side sends it.
    pub from: Format,
    /// As the other side is sent it.
    pub to: Format,
    /// Where the numbers of what is sent begin.
    pub numbers: Numbers,
}

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// Its event code (RFC 4733 §3.2).
    pub event: u8,
    /// For how long, in milliseconds.
    pub duration_ms: u16,
}

/// A format in which sound comes and goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoFormat {
    /// Its payload type in what comes.
    pub receive: u8,
    /// Its payload type in what goes back.
    pub send: u8,
    /// Its clock in Hz.
    pub clock_rate: u32,
    /// Whether it is of telephone events (RFC 4733).
    pub event: bool,
}

/// What call control asks of the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Opens the four ports and begins to relay between the sides.
    Open {
        /// A new name.
        stream: StreamId,
        /// Caller's side, callee's side.
        sides: Box<[Side; 2]>,
        /// What will be carried.
        content: Content,
    },
    /// An SDP of one side was seen (again). With the same addresses the learnt source stays in place, but
    /// may be learnt anew should it fall silent; with other addresses it is forgotten.
    Update {
        /// The stream.
        stream: StreamId,
        /// Whose SDP it was.
        side: SideName,
        /// All that is known now: this replaces, it does not merge.
        remote: Box<Remote>,
        /// Our own new ICE credentials, to restart ICE; `None`: those of before.
        ice: Option<IceCredentials>,
    },
    /// From now on the stream carries something else on the same ports: a call has become a fax (T.38), or sound again. What
    /// is not RTP is neither translated nor protected.
    Carry {
        /// The stream.
        stream: StreamId,
        /// What it carries.
        content: Content,
    },
    /// From now on the sound of the stream is translated, or passes as it is (`None`). What is the same as before goes
    /// on without a break, whatever its numbers.
    Transcode {
        /// The stream.
        stream: StreamId,
        /// Of what side A sends, of what side B sends.
        translations: Option<Box<[Translation; 2]>>,
    },
    /// A key that signalling brought goes to a side as a telephone event, in place of as much of the sound that goes
    /// there; it waits for sound.
    Press {
        /// The stream.
        stream: StreamId,
        /// Who is to hear of it.
        to: SideName,
        /// The events that this side takes.
        format: EventFormat,
        /// The key.
        press: Press,
    },
    /// Asks a side for a key frame, once its pictures reach the other side; at most once a second, however often this is
    /// said.
    KeyFrame {
        /// The stream.
        stream: StreamId,
        /// Who sends the pictures.
        of: SideName,
        /// By which message.
        by: KeyFrameRequest,
        /// Our source in that message.
        ours: u32,
    },
    /// Opens the two ports of a side whose other end is here. What comes from it goes nowhere until
    /// [`Command::Echo`].
    OpenEnd {
        /// A new name.
        stream: StreamId,
        /// The side, which is called [`SideName::A`] from then on.
        side: Box<Side>,
    },
    /// From now on a stream opened with [`Command::OpenEnd`] gives back what comes from its side in these formats, under
    /// numbers of our own. Said again, the formats change and the numbers go on.
    Echo {
        /// The stream.
        stream: StreamId,
        /// What may come, and as what it goes back.
        formats: Vec<EchoFormat>,
        /// Where the numbers of what is sent begin.
        numbers: Numbers,
    },
    /// An order to the other end of a stream opened with [`Command::OpenEnd`]; the first is [`Order::Agree`].
    Order {
        /// The stream.
        stream: StreamId,
        /// The order.
        order: Order,
    },
    /// An order to somebody of ours between the two sides of a stream.
    Tap {
        /// The stream.
        stream: StreamId,
        /// The order.
        order: TapOrder,
    },
    /// Ends the stream; answered with [`Report::Closed`]. A stream that is unknown is not answered.
    Close {
        /// The stream.
        stream: StreamId,
    },
}

/// What the relay tells call control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The source of a side's RTP is known and locked.
    Latched {
        /// The stream.
        stream: StreamId,
        /// Whose source.
        side: SideName,
        /// The address packets come from and go to.
        address: SocketAddr,
    },
    /// A side's DTLS handshake is done and its certificate has the promised fingerprint: media flows.
    Secured {
        /// The stream.
        stream: StreamId,
        /// Whose handshake.
        side: SideName,
    },
    /// A side's media could not be secured and does not flow.
    Insecure {
        /// The stream.
        stream: StreamId,
        /// Whose handshake.
        side: SideName,
        /// Why.
        reason: InsecureReason,
    },
    /// Neither side sent anything for the configured time although the stream is not held. Repeated each
    /// time that long passes again.
    Stopped {
        /// The stream.
        stream: StreamId,
        /// How long it has been silent.
        idle: Duration,
    },
    /// The other end of a stream, which is here, has something to say.
    Heard {
        /// The stream.
        stream: StreamId,
        /// What.
        heard: Heard,
    },
    /// Who is between the two sides of a stream has heard something of one of them.
    Tapped {
        /// The stream.
        stream: StreamId,
        /// Of which side, or what was for that side.
        side: SideName,
        /// What.
        heard: Heard,
    },
    /// The stream is gone and its ports are free to be given back to the lease.
    Closed {
        /// The stream.
        stream: StreamId,
        /// The ports of sides A and B, of A alone where the other end was here.
        ports: Vec<PortPair>,
        /// What sides A and B sent.
        counters: [Counters; 2],
    },
    /// A port could not be opened (another program has it). The stream is closed: [`Report::Closed`]
    /// follows. The pair is best set aside in the lease.
    PortUnavailable {
        /// The stream.
        stream: StreamId,
        /// The port that could not be had.
        port: u16,
    },
    /// An `Open` was not obeyed and changed nothing.
    Refused {
        /// The stream that was asked for.
        stream: StreamId,
        /// Why.
        reason: Refusal,
    },
}

impl Report {
    /// The stream that the report is about.
    pub const fn stream(&self) -> StreamId {
        match self {
            Report::Latched { stream, .. }
            | Report::Secured { stream, .. }
            | Report::Insecure { stream, .. }
            | Report::Stopped { stream, .. }
            | Report::Heard { stream, .. }
            | Report::Tapped { stream, .. }
            | Report::Closed { stream, .. }
            | Report::PortUnavailable { stream, .. }
            | Report::Refused { stream, .. } => *stream,
        }
    }
}

/// Why a stream could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The name is in use.
    StreamExists,
    /// A port belongs to another stream, or to both sides.
    PortInUse(u16),
    /// A port is outside the relay's range.
    PortOutOfRange(u16),
    /// A side asks for protection or ICE, which this relay does not offer.
    Unprotectable(SideName),
}

/// What one side of a stream sent, counted in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Media packets from the accepted source.
    pub received: u64,
    /// Their bytes (UDP payload).
    pub bytes: u64,
    /// Media packets that should have come, by their numbers, and never did.
    pub lost: u64,
    /// How many times packets in a row were missing.
    pub bursts: u64,
    /// Interarrival jitter of the media packets (RFC 3550 A.8), in microseconds.
    pub jitter_us: u32,
    /// RTCP packets from the accepted source.
    pub rtcp: u64,
    /// Packets of either kind that went on to the other side.
    pub forwarded: u64,
    /// Accepted, but the other side's address is not known yet.
    pub undeliverable: u64,
    /// Dropped: neither RTP nor RTCP.
    pub malformed: u64,
    /// Dropped: from a source that is not (or not yet) this side's.
    pub foreign: u64,
    /// Dropped: a wrong SRTP tag, or a connectivity check without the right credentials.
    pub unauthentic: u64,
    /// Dropped: protected packets that came before (RFC 3711 §3.3.2).
    pub replayed: u64,
}
