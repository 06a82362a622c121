//! What an offer and its answer agree on.

use std::fmt;
use std::net::SocketAddr;

use crate::codec::Codec;
use crate::direction::Direction;
use crate::media::{Media, MediaKind, Profile};
use crate::sdp::Sdp;

/// Which of the two descriptions is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We made the offer.
    Offerer,
    /// We made the answer.
    Answerer,
}

/// A stream that both sides want, seen from ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Its place in both descriptions, from 0.
    pub media_index: usize,
    /// What kind of media.
    pub kind: MediaKind,
    /// The transport profile of the answer.
    pub profile: Profile,
    /// The format to send.
    pub codec: Format,
    /// Further formats that may arrive, in order of preference (RFC 3264 §7).
    pub others: Vec<Format>,
    /// Telephone events, in the clock of `codec` where the session has that.
    pub telephone_event: Option<Format>,
    /// Where we receive RTP.
    pub local_rtp: Option<SocketAddr>,
    /// Where to send RTP; `None` without a usable address (hold by 0.0.0.0, a host name).
    pub remote_rtp: Option<SocketAddr>,
    /// Where to send RTCP; the RTP address when multiplexed.
    pub remote_rtcp: Option<SocketAddr>,
    /// What we do.
    pub direction: Direction,
    /// The length of the packets that we send, in milliseconds: 10–200.
    pub ptime: u32,
    /// RTP and RTCP share the port.
    pub rtcp_mux: bool,
}

impl Negotiated {
    /// Packets that carry what the one before them did, of the format that is sent (RFC 2198 §5).
    #[must_use]
    pub fn redundancy(&self) -> Option<&Format> {
        let of_the_same = |format: &&Format| {
            let list = format.remote_fmtp.as_deref().unwrap_or_default();
            format.codec.is_redundancy()
                && format.codec.clock_rate == self.codec.codec.clock_rate
                && list.split('/').any(|number| number.trim().parse() == Ok(self.codec.send))
        };
        self.others.iter().find(of_the_same)
    }

    /// The format that an arriving payload type stands for, events included.
    #[must_use]
    pub fn received(&self, payload_type: u8) -> Option<&Format> {
        std::iter::once(&self.codec)
            .chain(&self.others)
            .chain(&self.telephone_event)
            .find(|format| format.receive == payload_type)
    }
}

/// A format under the numbers of both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// The format as we described it; its payload type is `receive`.
    pub codec: Codec,
    /// Payload type in packets that we send: the other side's number.
    pub send: u8,
    /// Payload type in packets that we receive: our number.
    pub receive: u8,
    /// The other side's `a=fmtp`: what it wants to receive.
    pub remote_fmtp: Option<String>,
}

/// Why an answer does not fit its offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerError {
    /// It has more streams than the offer.
    TooManyMedia,
    /// The stream of this index is of another kind.
    KindChanged(usize),
    /// The stream of this index is accepted without any format of the offer.
    NoCodec(usize),
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyMedia => f.write_str("answer has more media than the offer"),
            Self::KindChanged(index) => write!(f, "answer changes the kind of medium {index}"),
            Self::NoCodec(index) => write!(f, "answer accepts medium {index} without an offered format"),
        }
    }
}

impl std::error::Error for AnswerError {}

/// The streams that are on in both descriptions. An answer with fewer streams than the offer, which some gateways
/// send, rejects the missing ones.
///
/// # Errors
/// See [`AnswerError`].
pub fn agreed(offer: &Sdp, answer: &Sdp, we: Side) -> Result<Vec<Negotiated>, AnswerError> {
    if answer.media().len() > offer.media().len() {
        return Err(AnswerError::TooManyMedia);
    }
    let mut streams = Vec::new();
    for (offered, answered) in offer.media().zip(answer.media()) {
        if !offered.kind_name().eq_ignore_ascii_case(answered.kind_name()) {
            return Err(AnswerError::KindChanged(answered.index()));
        }
        if offered.port() == 0 || answered.port() == 0 {
            continue;
        }
        let formats = formats(&offered, &answered, we);
        let (ours, theirs) = match we {
            Side::Offerer => (&offered, &answered),
            Side::Answerer => (&answered, &offered),
        };
        let stream = stream(ours, theirs, answered.profile(), formats);
        streams.push(stream.ok_or(AnswerError::NoCodec(answered.index()))?);
    }
    Ok(streams)
}

/// The formats of the answer that the offer has too, in the answer's order.
fn formats(offered: &Media<'_>, answered: &Media<'_>, we: Side) -> Vec<Format> {
    let offered = offered.codecs();
    let pairs = answered.codecs().into_iter().filter_map(|answer| {
        // The same number first: an offer may have one encoding twice with different parameters.
        let same = offered.iter().find(|o| o.payload_type == answer.payload_type && o.matches(&answer));
        let offer = same.or_else(|| offered.iter().find(|o| o.matches(&answer)))?.clone();
        Some((offer, answer))
    });
    let format = |(offer, answer): (Codec, Codec)| {
        let (own, their) = match we {
            Side::Offerer => (offer, answer),
            Side::Answerer => (answer, offer),
        };
        Format { send: their.payload_type, receive: own.payload_type, remote_fmtp: their.fmtp, codec: own }
    };
    pairs.map(format).collect()
}

fn stream(
    ours: &Media<'_>,
    theirs: &Media<'_>,
    profile: Profile,
    formats: Vec<Format>,
) -> Option<Negotiated> {
    let (events, mut audio): (Vec<Format>, Vec<Format>) =
        formats.into_iter().partition(|format| format.codec.is_telephone_event());
    let chosen = audio.iter().position(|format| !format.codec.is_auxiliary())?;
    let codec = audio.remove(chosen);
    let telephone_event = events
        .iter()
        .find(|event| event.codec.clock_rate == codec.codec.clock_rate)
        .or(events.first())
        .cloned();
    let rtcp_mux = ours.rtcp_mux() && theirs.rtcp_mux();
    Some(Negotiated {
        media_index: ours.index(),
        kind: ours.kind(),
        profile,
        codec,
        others: audio,
        telephone_event,
        local_rtp: ours.rtp_address(),
        remote_rtp: theirs.rtp_address(),
        remote_rtcp: if rtcp_mux { theirs.rtp_address() } else { theirs.rtcp_address() },
        direction: ours.direction().and(theirs.direction().reversed()),
        ptime: packet_time(theirs),
        rtcp_mux,
    })
}

/// What the receiver asks for, in whole tens of milliseconds and within what it can take.
fn packet_time(receiver: &Media<'_>) -> u32 {
    let longest = receiver.maxptime().unwrap_or(MAX_PTIME).clamp(MIN_PTIME, MAX_PTIME);
    let wanted = receiver.ptime().unwrap_or(DEFAULT_PTIME).clamp(MIN_PTIME, longest);
    wanted / 10 * 10
}

const DEFAULT_PTIME: u32 = 20;
const MIN_PTIME: u32 = 10;
const MAX_PTIME: u32 = 200;
