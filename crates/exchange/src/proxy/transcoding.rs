//! Which formats two parties of an anchored call are brought together in, when they share none: the offer gains those
//! that the relay can translate, and the answer is told in the offerer's.

use offhook_media::codec;
use offhook_media::command::Translation;
use offhook_media::transcode::{EventFormat, Format, Numbers};

use offhook_sdp::{Codec, Formats, Media, MediaKind};
use rand::RngExt as _;

use super::signed_route::PartyName;
use crate::context::Context;

/// The formats of a stream of sound from an offer on.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    by: PartyName,
    formats: Vec<Codec>,
    added: Vec<Codec>,
    /// Of the packets that the offerer wants, in milliseconds.
    ptime: u32,
}

impl Offered {
    /// Takes note of an offer. `known` are the formats that may be translated, the preferred one first; they are added
    /// `always`, or if the offer has none that every phone knows.
    pub(crate) fn new(by: PartyName, media: &Media<'_>, known: &[Codec], always: bool) -> Option<Self> {
        let formats = media.codecs();
        if media.kind() != MediaKind::Audio || !formats.iter().any(|one| of(one).is_some()) {
            return None;
        }
        let common = formats.iter().any(|one| one.matches(&Codec::pcma()) || one.matches(&Codec::pcmu()));
        let mut added: Vec<Codec> = Vec::new();
        if always || !common {
            let events: Vec<_> = formats.iter().filter(|one| one.is_telephone_event()).collect();
            let wanted = known.iter().filter(|one| !formats.iter().any(|offered| offered.matches(one)));
            for codec in wanted {
                add(&mut added, codec.clone(), &formats);
                let clock = codec.clock_rate;
                let has = |one: &Codec| one.is_telephone_event() && one.clock_rate == clock;
                if !events.is_empty() && !formats.iter().any(has) && !added.iter().any(has) {
                    add(&mut added, Codec::telephone_event(101, clock), &formats);
                }
            }
        }
        Some(Self { by, formats, added, ptime: ptime(media) })
    }

    /// What the offer's receiver is offered.
    pub(crate) fn shown(&self) -> Formats {
        if self.added.is_empty() { Formats::Kept } else { Formats::Added(self.added.clone()) }
    }

    /// What the offerer is told of an answer, and by which translations, from each party, what the parties send then
    /// becomes what the other understands.
    pub(crate) fn answered(
        &self,
        media: &Media<'_>,
        cx: &mut Context<'_>,
    ) -> (Formats, Option<Box<[Translation; 2]>>) {
        let answered = media.codecs();
        let is_offered = |one: &Codec| self.formats.iter().any(|offered| offered.matches(one));
        let Some(chosen) = answered.iter().find(|one| !one.is_auxiliary()) else {
            return (Formats::Kept, None);
        };
        let translated = self.added.iter().find(|one| one.matches(chosen)).filter(|_| !is_offered(chosen));
        let Some((added, own)) = translated.zip(self.formats.iter().find(|one| of(one).is_some())) else {
            let kept: Vec<u8> =
                answered.iter().filter(|one| is_offered(one)).map(|one| one.payload_type).collect();
            // A format that nobody can name may have been agreed on all the same.
            let all = kept.len() == answered.len() || kept.is_empty();
            return (if all { Formats::Kept } else { Formats::Only(kept) }, None);
        };
        let mut told = vec![described(own)];
        let events = events_beside(&self.formats, own).cloned();
        told.extend(events.clone());
        let theirs = events_beside(&answered, chosen);
        // Each is sent the numbers that it has said itself, and sends those of the other's offer (RFC 3264 §6.1).
        let sent_events = theirs.and_then(|one| {
            self.formats.iter().chain(&self.added).find(|offered| offered.matches(one)).cloned()
        });
        let offerer = format(own, events.as_ref(), self.ptime);
        let to_answerer = format(chosen, theirs, ptime(media));
        let from_answerer = format(added, sent_events.as_ref(), 20);
        let Some(((offerer, to), from)) = offerer.zip(to_answerer).zip(from_answerer) else {
            return (Formats::Kept, None);
        };
        let there = Translation { from: offerer, to, numbers: numbers(cx) };
        let back = Translation { from, to: offerer, numbers: numbers(cx) };
        let both = if self.by == PartyName::Caller { [there, back] } else { [back, there] };
        (Formats::Instead(told), Some(both.into()))
    }
}

/// The codec of ours that a format means.
fn of(format: &Codec) -> Option<&'static codec::Format> {
    codec::by_name(&format.name, format.clock_rate)
}

/// Adds a format under its own number, or another where that is taken.
fn add(added: &mut Vec<Codec>, codec: Codec, offered: &[Codec]) {
    let taken = |number: u8| offered.iter().chain(added.iter()).any(|one| one.payload_type == number);
    let own = Some(codec.payload_type).filter(|number| !taken(*number));
    if let Some(payload_type) = own.or_else(|| (96..=127).find(|number| !taken(*number))) {
        added.push(Codec { payload_type, ..codec });
    }
}

/// The events that go with a format: of its clock, or else any (RFC 4733 §2.1).
fn events_beside<'a>(formats: &'a [Codec], beside: &Codec) -> Option<&'a Codec> {
    let events = || formats.iter().filter(|one| one.is_telephone_event());
    events().find(|one| one.clock_rate == beside.clock_rate).or_else(|| events().next())
}

/// A format with what we say about it.
fn described(offered: &Codec) -> Codec {
    let fmtp = of(offered).and_then(|codec| codec.parameters).map(str::to_owned);
    Codec { fmtp, ..offered.clone() }
}

fn format(codec: &Codec, events: Option<&Codec>, ptime_ms: u32) -> Option<Format> {
    let event = events.map(|one| EventFormat { payload_type: one.payload_type, clock_rate: one.clock_rate });
    Some(Format { codec: of(codec)?, payload_type: codec.payload_type, ptime_ms, event, comfort_noise: None })
}

fn ptime(media: &Media<'_>) -> u32 {
    let most = media.maxptime().unwrap_or(MOST_MS).clamp(10, MOST_MS);
    media.ptime().unwrap_or(20).clamp(10, most)
}

pub(super) fn numbers(cx: &mut Context<'_>) -> Numbers {
    Numbers { ssrc: cx.rng.random(), sequence: cx.rng.random(), timestamp: cx.rng.random() }
}

/// Of sound in a packet.
const MOST_MS: u32 = 120;
