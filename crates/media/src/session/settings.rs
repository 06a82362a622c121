//! What goes into a session and what comes out of it.

use crate::SAMPLE_RATE;
use crate::codec::{Format, Wishes};
use crate::identity::Identity as Certificate;
pub use crate::protection::{DtlsRole, Fingerprint, IceCredentials, InsecureReason, Protection};
pub use crate::transcode::EventFormat;
use offhook_rtp::NtpTime;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// A codec under the payload type that was agreed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// RTP payload type, 0–127.
    pub payload_type: u8,
    /// The codec.
    pub format: &'static Format,
}

/// Payload types of redundant sound (RFC 2198).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redundancy {
    /// The other side's.
    pub send: u8,
    /// Ours.
    pub receive: u8,
}

/// What offer and answer agreed for one m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What we send, under the other side's payload type; `None`: nothing can be sent.
    pub send: Option<Payload>,
    /// What the other side asks of our encoder.
    pub wishes: Wishes,
    /// What may come, under our payload types.
    pub receive: Vec<Payload>,
    /// The other side's telephone events, if it takes any.
    pub event_send: Option<EventFormat>,
    /// Ours.
    pub event_receive: Option<EventFormat>,
    /// The payload type under which comfort noise may come.
    pub noise_receive: Option<u8>,
    /// Under which payload types packets may carry what the packet before them did, if both sides know how.
    pub redundancy: Option<Redundancy>,
    /// Where the other side receives RTP.
    pub remote_rtp: Option<SocketAddr>,
    /// Where it receives RTCP; `None`: one port above.
    pub remote_rtcp: Option<SocketAddr>,
    /// Where its signalling came from: media may be learnt from there (symmetric RTP).
    pub signalled_from: Option<IpAddr>,
    /// Whoever hands packets in has proven where they come from (ICE): nothing is learnt, and what is sent goes to
    /// `remote_rtp` alone.
    pub proven: bool,
    /// RTP and RTCP share a port (RFC 5761, negotiated).
    pub rtcp_mux: bool,
    /// Plain RTP, or SRTP and where its keys come from.
    pub protection: Protection,
    /// We may send (`sendrecv` or `sendonly` on our side).
    pub sends: bool,
    /// We want to hear (`sendrecv` or `recvonly` on our side).
    pub receives: bool,
    /// Sound in a packet, in ms; as near as whole frames of 20 ms, and the codec, come to it.
    pub ptime_ms: u32,
}

impl Settings {
    /// The rate of the sound that is sent and heard best, in samples a second.
    pub fn sample_rate(&self) -> u32 {
        let codec = self.send.or(self.receive.first().copied());
        codec.map_or(SAMPLE_RATE, |payload| payload.format.sample_rate)
    }

    /// The clock of what is received.
    pub(super) fn clock_rate(&self) -> u32 {
        self.receive.first().map_or(SAMPLE_RATE, |payload| payload.format.clock_rate)
    }

    pub(super) fn event_clock(&self) -> u32 {
        self.event_receive.map_or(self.clock_rate(), |event| event.clock_rate)
    }

    pub(super) fn formats(&self) -> impl Iterator<Item = (u8, &'static Format)> {
        self.receive.iter().map(|payload| (payload.payload_type, payload.format))
    }
}

/// Names and first numbers of a session; all random except for the CNAME and the time.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Our synchronisation source.
    pub ssrc: u32,
    /// The first sequence number.
    pub sequence: u16,
    /// The first timestamp.
    pub timestamp: u32,
    /// Our canonical name (RFC 7022: random, no user or host names), at most 255 bytes.
    pub cname: String,
    /// The wall clock when the session begins.
    pub ntp: NtpTime,
    /// What is shown in DTLS handshakes; without it there are none.
    pub certificate: Option<Arc<Certificate>>,
}

/// Which of the two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The RTP port.
    Rtp,
    /// The RTCP port.
    Rtcp,
}

impl From<Component> for crate::stream::Component {
    fn from(component: Component) -> Self {
        match component {
            Component::Rtp => Self::Rtp,
            Component::Rtcp => Self::Rtcp,
        }
    }
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From this port of ours.
    pub from: Component,
    /// The receiver.
    pub to: SocketAddr,
    /// The payload.
    pub bytes: Vec<u8>,
}

/// What happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The other side's media source is known; we send there from now on.
    Latched {
        /// The source.
        address: SocketAddr,
    },
    /// The other side pressed a key.
    DigitStarted {
        /// The key.
        digit: char,
    },
    /// The other side released a key.
    Digit {
        /// The key.
        digit: char,
        /// How long it was held.
        duration: Duration,
    },
    /// The other side said goodbye (RTCP BYE).
    Left,
    /// The other side has shown the promised certificate, and there are keys.
    Secured,
    /// There are no keys and will be none: nothing can be heard or said.
    Insecure {
        /// Why.
        reason: InsecureReason,
    },
}

/// What a session wants done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// Datagrams, in order.
    pub packets: Vec<Transmit>,
    /// For the call.
    pub events: Vec<Event>,
}
