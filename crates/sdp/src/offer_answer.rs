//! Offer and answer (RFC 3264) for an endpoint of ours.
//!
//! | We | first description | then |
//! |---|---|---|
//! | call | [`offer`] in the INVITE | [`apply_answer`] on the 200 (or 18x) |
//! | are called | [`answer`] the INVITE | – |
//! | are called without an offer | [`offer`] in the 200 | [`apply_answer`] on the ACK |
//! | call without an offer | [`answer`] the 200 in the ACK | – |
//! | change the session | [`reoffer`] in a re-INVITE or UPDATE | [`apply_answer`] |
//! | are asked to change it | [`answer`], then [`Sdp::following`] our last description | – |

mod agree;
mod describe;

use std::fmt;
use std::net::SocketAddr;

use crate::codec::Codec;
use crate::direction::Direction;
use crate::media::{Media, MediaKind, Profile};
use crate::sdp::{Origin, Sdp};
use crate::video;

pub use agree::{AnswerError, Format, Negotiated, Side, agreed};
use describe::Description;

#[cfg(test)]
mod tests;

/// What we can do in a session: who we are in the `o=` line, and the streams that we have ports for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Our `o=` line.
    pub origin: Origin,
    /// One for each stream that we can take part in.
    pub streams: Vec<Stream>,
}

/// Attributes of a stream: name and value.
pub type Attributes = Vec<(&'static str, String)>;

/// One stream that we can take part in.
#[derive(Clone, PartialEq, Eq)]
pub struct Stream {
    /// What kind of media.
    pub kind: MediaKind,
    /// Where we receive RTP.
    pub rtp: SocketAddr,
    /// The port on the same address where we receive RTCP.
    pub rtcp_port: u16,
    /// Whether we offer and accept RTP and RTCP on one port (RFC 5761).
    pub rtcp_mux: bool,
    /// Formats in our order of preference, with the payload types that we offer; also telephone events, one for
    /// each clock.
    pub codecs: Vec<Codec>,
    /// What we want to do now; [`Direction::held`] to hold the other side.
    pub direction: Direction,
    /// The packet time that we want to receive, in milliseconds.
    pub ptime: Option<u32>,
    /// The profile of a stream that is offered for the first time; afterwards it keeps the one that it has.
    pub profile: Profile,
    /// What our offers say besides: keys (RFC 4568). Values print as dots.
    pub attributes: Attributes,
}

impl Stream {
    /// A sound stream both ways in packets of 20 ms, RTCP on the next port, no multiplexing.
    #[must_use]
    pub fn audio(rtp: SocketAddr, codecs: Vec<Codec>) -> Self {
        Self {
            kind: MediaKind::Audio,
            rtp,
            rtcp_port: rtp.port().wrapping_add(1),
            rtcp_mux: false,
            codecs,
            direction: Direction::SendRecv,
            ptime: Some(20),
            profile: Profile::Avp,
            attributes: Vec::new(),
        }
    }
}

impl Stream {
    /// A stream of pictures that goes from us alone.
    #[must_use]
    pub fn video_from_us(rtp: SocketAddr, codecs: Vec<Codec>) -> Self {
        let direction = Direction::SendOnly;
        Self { kind: MediaKind::Video, direction, ptime: None, ..Self::audio(rtp, codecs) }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.attributes.iter().map(|(name, _)| format!("{name}:…")).collect();
        f.debug_struct("Stream")
            .field("kind", &self.kind)
            .field("rtp", &self.rtp)
            .field("codecs", &self.codecs)
            .field("direction", &self.direction)
            .field("profile", &self.profile)
            .field("attributes", &names)
            .finish_non_exhaustive()
    }
}

/// Why an offer cannot be accepted; a 488 (RFC 3261 §21.4.26). The later ones came closer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It offers no kind of media that we have.
    NoMedia,
    /// It insists on a kind of encryption that we have not, or on something that is not RTP.
    Profile,
    /// It insists on encryption, which we do not want.
    Encrypted,
    /// It is not encrypted, and we insist.
    Unencrypted,
    /// It is encrypted, with no key that we can use.
    NoKey,
    /// The media is ours, but no format is.
    NoCodec,
}

impl Refusal {
    /// The code and text of a Warning header (RFC 3261 §20.43).
    #[must_use]
    pub fn warning(self) -> (u16, &'static str) {
        match self {
            Self::NoMedia => (304, "Media type not available"),
            Self::Profile => (302, "Incompatible transport protocol"),
            Self::Encrypted => (302, "Encrypted media (SRTP) is turned off here"),
            Self::Unencrypted => (302, "Media must be encrypted here (SRTP)"),
            Self::NoKey => (306, "No SRTP key of a known suite (RFC 4568)"),
            Self::NoCodec => (305, "Incompatible media format"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.warning().1)
    }
}

impl std::error::Error for Refusal {}

/// Describes all our streams.
#[must_use]
pub fn offer(local: &Capabilities) -> Sdp {
    let mut description = Description::new(local);
    for stream in &local.streams {
        description.add(stream, stream.kind.name(), stream.profile.name(), &stream.codecs);
    }
    description.finish()
}

/// Answers an offer without encryption: the first stream of the offer that fits takes the first of ours, the others are rejected
/// with port 0. Formats keep the order and the numbers of the offer (RFC 3264 §6.1). An offer that has no
/// streams, or turns all of them off, is answered alike, with nothing negotiated.
///
/// # Errors
/// When streams are offered and none of them fits.
pub fn answer(offer: &Sdp, local: &Capabilities) -> Result<(Sdp, Vec<Negotiated>), Refusal> {
    answer_protected(offer, local, |media| match media.profile().is_secure() {
        true => Err(Refusal::Encrypted),
        false => Ok(Vec::new()),
    })
}

/// [`answer`], where `protect` says of a stream that is offered as RTP whether it is encrypted as it should be, and what
/// our answer says of that in place of [`Stream::attributes`].
///
/// # Errors
/// When streams are offered and none of them fits.
pub fn answer_protected(
    offer: &Sdp,
    local: &Capabilities,
    mut protect: impl FnMut(&Media<'_>) -> Result<Attributes, Refusal>,
) -> Result<(Sdp, Vec<Negotiated>), Refusal> {
    let mut description = Description::new(local);
    let mut free: Vec<&Stream> = local.streams.iter().collect();
    let mut refusal = None;
    let mut accepted = false;
    for media in offer.media() {
        match choose(&media, &mut free, &mut protect) {
            Ok((stream, codecs, attributes)) => {
                accepted = true;
                let stream = Stream {
                    direction: stream.direction.and(media.direction().reversed()),
                    rtcp_mux: stream.rtcp_mux && media.rtcp_mux(),
                    attributes,
                    ..stream.clone()
                };
                description.add(&stream, media.kind_name(), media.profile_name(), &codecs);
            }
            Err(reason) => {
                refusal = refusal.max(reason);
                description.reject(&media);
            }
        }
    }
    if let (false, Some(reason)) = (accepted, refusal) {
        return Err(reason);
    }
    let answer = description.finish();
    let negotiated = agreed(offer, &answer, Side::Answerer).unwrap_or_default();
    Ok((answer, negotiated))
}

/// Takes the answer to our offer.
///
/// # Errors
/// More streams than were offered, a stream of another kind, or an accepted stream without a format of ours.
pub fn apply_answer(offer: &Sdp, answer: &Sdp) -> Result<Vec<Negotiated>, AnswerError> {
    agreed(offer, answer, Side::Offerer)
}

/// Offers a change of a running session. `previous` is our last description, offer or answer; its streams keep
/// their places and their payload types, streams that are off stay off, new ones follow (RFC 3264 §8). The
/// version counts on only if something changed, so the same capabilities give the same text again.
#[must_use]
pub fn reoffer(previous: &Sdp, local: &Capabilities) -> Sdp {
    let mut description = Description::new(local);
    let mut free: Vec<&Stream> = local.streams.iter().collect();
    for media in previous.media() {
        let place = free.iter().position(|stream| stream.kind == media.kind());
        match place.filter(|_| media.port() != 0) {
            Some(place) => {
                let stream = free.remove(place);
                let codecs = renumbered(&stream.codecs, &media.codecs());
                description.add(stream, media.kind_name(), media.profile_name(), &codecs);
            }
            None => description.reject(&media),
        }
    }
    for stream in free {
        description.add(stream, stream.kind.name(), stream.profile.name(), &stream.codecs);
    }
    description.finish().following(previous)
}

/// Takes the stream of ours for an offered one out of `free`, with the formats in common under the offer's
/// numbers and what `protect` says. `Err(None)`: the offerer has turned the stream off.
fn choose<'s>(
    media: &Media<'_>,
    free: &mut Vec<&'s Stream>,
    protect: &mut impl FnMut(&Media<'_>) -> Result<Attributes, Refusal>,
) -> Result<(&'s Stream, Vec<Codec>, Attributes), Option<Refusal>> {
    if media.port() == 0 {
        return Err(None);
    }
    let Some(place) = free.iter().position(|stream| stream.kind == media.kind()) else {
        return Err(Some(Refusal::NoMedia));
    };
    if !media.profile().is_rtp() {
        return Err(Some(Refusal::Profile));
    }
    let attributes = protect(media).map_err(Some)?;
    let codecs = in_common(&media.codecs(), &free[place].codecs);
    if codecs.iter().all(Codec::is_auxiliary) {
        return Err(Some(Refusal::NoCodec));
    }
    Ok((free.remove(place), codecs, attributes))
}

/// The offered formats that we have too, in the offer's order and numbers, with our parameters. Telephone events
/// only in a clock of the chosen audio, or where none fits, in any (RFC 4733 §2.1).
fn in_common(offered: &[Codec], ours: &[Codec]) -> Vec<Codec> {
    let mut common = Vec::new();
    for codec in offered.iter().filter(|codec| !codec.is_telephone_event()) {
        if let Some(own) = ours.iter().find(|own| own.matches(codec) && video::fits(codec, own)) {
            common.push(Codec {
                payload_type: codec.payload_type,
                name: codec.name.clone(),
                // It names other formats by the offer's numbers.
                fmtp: if codec.is_redundancy() { codec.fmtp.clone() } else { own.fmtp.clone() },
                ..*own
            });
        }
    }
    let Some(own) = ours.iter().find(|own| own.is_telephone_event()) else { return common };
    let events = || offered.iter().filter(|codec| codec.is_telephone_event());
    let fitting =
        |event: &&Codec| common.iter().any(|c| !c.is_auxiliary() && c.clock_rate == event.clock_rate);
    let mut chosen: Vec<&Codec> = events().filter(fitting).collect();
    if chosen.is_empty() {
        chosen.extend(events().next());
    }
    common.extend(chosen.into_iter().map(|event| Codec { fmtp: own.fmtp.clone(), ..event.clone() }));
    common
}

/// Our formats under the payload types that the session already uses for them (RFC 3264 §8.3.2).
fn renumbered(ours: &[Codec], used: &[Codec]) -> Vec<Codec> {
    let mut codecs: Vec<Codec> = Vec::new();
    for own in ours {
        let taken = |number: u8, codecs: &[Codec]| {
            used.iter().chain(codecs).any(|codec| codec.payload_type == number)
        };
        let number = match used.iter().find(|codec| codec.matches(own)) {
            Some(codec) => Some(codec.payload_type),
            None if !taken(own.payload_type, &codecs) => Some(own.payload_type),
            None => (96..=127).find(|number| !taken(*number, &codecs)),
        };
        codecs.extend(number.map(|payload_type| Codec { payload_type, ..own.clone() }));
    }
    let numbers: Vec<(u8, u8)> = ours
        .iter()
        .filter_map(|own| Some((own.payload_type, codecs.iter().find(|one| one.matches(own))?.payload_type)))
        .collect();
    for codec in codecs.iter_mut().filter(|codec| codec.is_redundancy()) {
        let renamed = |number: &str| {
            let known = |(own, _): &&(u8, u8)| number.parse() == Ok(*own);
            numbers.iter().find(known).map_or_else(|| number.to_owned(), |(_, new)| new.to_string())
        };
        codec.fmtp =
            codec.fmtp.as_ref().map(|list| list.split('/').map(renamed).collect::<Vec<_>>().join("/"));
    }
    codecs
}
