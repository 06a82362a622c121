//! Which formats two parties of an anchored call are brought together in, when they share none: the offer gains those
//! that the relay can translate, and the answer is told in the offerer's.

use offhook_media::codec::{self, Wishes};
use offhook_media::command::{EventFormat, Format, Numbers, Translation};

use offhook_sdp::{Codec, Formats, Media, MediaKind};
use offhook_sip::{Name, Status};
use rand::RngExt as _;

use super::no_common_format::names;
use super::signed_route::PartyName;
use crate::context::Context;
use crate::refusal::Refusal;

/// The formats of a stream of sound from an offer on.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    by: PartyName,
    formats: Vec<Codec>,
    added: Vec<Codec>,
    /// What the other side is offered, where not all of these.
    only: Option<Box<[Codec]>>,
    /// Of the packets that the offerer wants, in milliseconds.
    ptime: u32,
}

impl Offered {
    /// Takes note of an offer. `known` are the formats that may be translated, the preferred one first; they are added
    /// `always`, or if the offer has none that every phone knows, and with them events: they become tones for whom has
    /// not offered any. Of `lists`, those of each side, caller and callee, are the only ones that it may have, unless there
    /// are none.
    ///
    /// # Errors
    /// 488 if they leave nothing.
    pub(crate) fn new(
        by: PartyName,
        media: &Media<'_>,
        (known, always): (&[Codec], bool),
        lists: [&[Codec]; 2],
    ) -> Result<Option<Self>, Refusal> {
        let mut formats = media.codecs();
        let is_narrowed = media.kind() == MediaKind::Audio && lists.iter().any(|list| !list.is_empty());
        if is_narrowed {
            formats = narrowed(formats, lists[by.index()], media)?;
        }
        let is_ours = formats.iter().any(|one| of(one).is_some());
        if media.kind() != MediaKind::Audio || !(is_ours || is_narrowed) {
            return Ok(None);
        }
        let common = formats.iter().any(|one| one.matches(&Codec::pcma()) || one.matches(&Codec::pcmu()));
        let mut added: Vec<Codec> = Vec::new();
        if is_ours && (always || !common) {
            // Beside a format that cannot be translated nothing would make tones of them.
            let events = formats.iter().any(Codec::is_telephone_event)
                || formats.iter().filter(|one| !one.is_auxiliary()).all(|one| of(one).is_some());
            let wanted = known.iter().filter(|one| !formats.iter().any(|offered| offered.matches(one)));
            for codec in wanted {
                add(&mut added, codec.clone(), &formats);
                let clock = codec.clock_rate;
                let has = |one: &Codec| one.is_telephone_event() && one.clock_rate == clock;
                if events && !formats.iter().any(has) && !added.iter().any(has) {
                    add(&mut added, Codec::telephone_event(101, clock), &formats);
                }
            }
        }
        let all = || formats.iter().chain(&added).cloned().collect();
        let only = is_narrowed.then(|| narrowed(all(), lists[by.other().index()], media)).transpose()?;
        let only = only.map(Vec::into_boxed_slice);
        Ok(Some(Self { by, formats, added, only, ptime: ptime(media) }))
    }

    /// What the offer's receiver is offered.
    pub(crate) fn shown(&self) -> Formats {
        match &self.only {
            Some(only) => Formats::Instead(only.to_vec()),
            None if self.added.is_empty() => Formats::Kept,
            None => Formats::Added(self.added.clone()),
        }
    }

    /// What an answer comes to.
    pub(crate) fn answered(&self, media: &Media<'_>, cx: &mut Context<'_>) -> Agreed {
        let mut answered = media.codecs();
        let said = answered.len();
        if let Some(only) = &self.only {
            answered.retain(|one| only.iter().any(|offered| offered.matches(one)));
        }
        let Some(chosen) = answered.iter().find(|one| !one.is_auxiliary()) else { return Agreed::default() };
        let theirs = events_beside(&answered, chosen);
        if let Some(own) = self.translated(chosen, theirs) {
            return self.translate(own, chosen, theirs, media, cx).unwrap_or_default();
        }
        let is_offered = |one: &Codec| self.formats.iter().any(|offered| offered.matches(one));
        let kept: Vec<u8> =
            answered.iter().filter(|one| is_offered(one)).map(|one| one.payload_type).collect();
        // A format that nobody can name may have been agreed on all the same.
        let all = kept.len() == said || kept.is_empty();
        let offered = theirs.and_then(|one| self.formats.iter().find(|offered| offered.matches(one)));
        let events = self.by_party([offered.and(theirs), offered].map(|one| one.map(event_format)));
        Agreed { told: if all { Formats::Kept } else { Formats::Only(kept) }, translations: None, events }
    }

    /// The offerer's format from which, and into which, is translated what was chosen, if it must be.
    fn translated(&self, chosen: &Codec, events: Option<&Codec>) -> Option<&Codec> {
        let offered = self.formats.iter().find(|one| one.matches(chosen));
        if let Some(offered) = offered {
            let tones = events.is_some() && !self.formats.iter().any(Codec::is_telephone_event);
            return Some(offered).filter(|_| tones && of(chosen).is_some());
        }
        let is_added = self.added.iter().any(|one| one.matches(chosen));
        self.formats.iter().find(|one| is_added && of(one).is_some())
    }

    fn translate(
        &self,
        own: &Codec,
        chosen: &Codec,
        theirs: Option<&Codec>,
        media: &Media<'_>,
        cx: &mut Context<'_>,
    ) -> Option<Agreed> {
        let mut told = vec![described(own)];
        let events = events_beside(&self.formats, own).cloned();
        told.extend(events.clone());
        // Each is sent the numbers that it has said itself, and sends those of the other's offer (RFC 3264 §6.1).
        let all = || self.formats.iter().chain(&self.added);
        let sent = all().find(|one| one.matches(chosen))?;
        let sent_events = theirs.and_then(|one| all().find(|offered| offered.matches(one)));
        let offerer = format(own, events.as_ref(), self.ptime)?;
        let to_answerer = format(chosen, theirs, ptime(media))?;
        let from_answerer = format(sent, sent_events, 20)?;
        let there = Translation { from: offerer, to: to_answerer, numbers: numbers(cx) };
        let back = Translation { from: from_answerer, to: offerer, numbers: numbers(cx) };
        let events = self.by_party([theirs, events.as_ref()].map(|one| one.map(event_format)));
        // As the parties are counted: what the caller sends, what the callee sends.
        let translations = if self.by == PartyName::Caller { [there, back] } else { [back, there] };
        Some(Agreed { told: Formats::Instead(told), translations: Some(translations.into()), events })
    }

    /// What is for the answerer and for the offerer, as it is for the caller and the callee.
    fn by_party<T>(&self, [answerer, offerer]: [T; 2]) -> [T; 2] {
        if self.by == PartyName::Caller { [offerer, answerer] } else { [answerer, offerer] }
    }
}

/// What offer and answer have come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agreed {
    /// What the offerer is told of the answer's formats.
    pub(crate) told: Formats,
    /// By which translations what the caller sends, and what the callee sends, becomes what the other understands.
    pub(crate) translations: Option<Box<[Translation; 2]>>,
    /// The events that the caller takes, and those that the callee takes.
    pub(crate) events: [Option<EventFormat>; 2],
}

/// The codec of ours that a format means.
fn of(format: &Codec) -> Option<&'static codec::Format> {
    codec::by_name(&format.name, format.clock_rate)
}

/// Those of the formats that are on a list, and what accompanies these; all, if there is none.
///
/// # Errors
/// 488 if nothing is left.
fn narrowed(mut formats: Vec<Codec>, list: &[Codec], media: &Media<'_>) -> Result<Vec<Codec>, Refusal> {
    formats.retain(|one| list.is_empty() || one.is_auxiliary() || list.iter().any(|may| may.matches(one)));
    // Sound comes first: some phones take the first format for it.
    formats.sort_by_key(Codec::is_auxiliary);
    let sound = formats.iter().filter(|one| !one.is_auxiliary());
    let clocks: Vec<u32> = sound.map(|one| one.clock_rate).collect();
    if clocks.is_empty() {
        let offered = media.codecs();
        let offered = names(offered.iter().filter(|one| !one.is_auxiliary()));
        let words = format!("No codec in common: offered {offered}; the trunk takes {}", names(list));
        let warning = format!("305 offhook \"{words}\"");
        return Err(Refusal::new(Status::NOT_ACCEPTABLE_HERE, words).with(Name::Warning, warning));
    }
    let fits = |one: &Codec| one.is_telephone_event() && clocks.contains(&one.clock_rate);
    if formats.iter().any(fits) {
        formats.retain(|one| !one.is_telephone_event() || fits(one));
    }
    Ok(formats)
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
    let (payload_type, wishes) =
        (codec.payload_type, Wishes::parse(codec.fmtp.as_deref().unwrap_or_default()));
    let event = events.map(event_format);
    Some(Format { codec: of(codec)?, payload_type, ptime_ms, event, comfort_noise: None, wishes })
}

fn event_format(events: &Codec) -> EventFormat {
    EventFormat { payload_type: events.payload_type, clock_rate: events.clock_rate }
}

fn ptime(media: &Media<'_>) -> u32 {
    let most = media.maxptime().unwrap_or(MOST_MS).clamp(10, MOST_MS);
    media.ptime().unwrap_or(20).clamp(10, most)
}

pub(crate) fn numbers(cx: &mut Context<'_>) -> Numbers {
    Numbers { ssrc: cx.rng.random(), sequence: cx.rng.random(), timestamp: cx.rng.random() }
}

/// Of sound in a packet.
const MOST_MS: u32 = 120;
