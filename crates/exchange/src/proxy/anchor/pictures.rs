//! Who sees whose pictures in an anchored call, and who has to send a whole one because somebody new sees them.

use std::net::SocketAddr;

use offhook_media::command::{Command, KeyFrameRequest, SideName, StreamId};
use offhook_sdp::{Direction, Media, MediaKind};
use offhook_sip::{Method, Name, Request};
use rand::RngExt as _;

use super::{Anchors, Stream};
use crate::context::Context;
use crate::proxy::signed_route::PartyName;

/// Of one stream of video: what its parties have said.
pub(super) struct Pictures {
    parties: [Said; 2],
    /// Our source in what we ask.
    ours: u32,
}

/// What one party has said last.
#[derive(Clone, Copy)]
struct Said {
    direction: Direction,
    address: Option<SocketAddr>,
    /// By which feedback it may be asked; `None`: it has named none.
    by: Option<KeyFrameRequest>,
    /// Whether it has to be asked by signalling too.
    take_unasked: bool,
    /// Where it has seen pictures since the last answer; `None`: it does not.
    sees_at: Option<Option<SocketAddr>>,
}

impl Stream {
    /// Takes what a party says of a stream, if that is of pictures.
    pub(super) fn note_pictures(
        &mut self,
        sender: PartyName,
        (said, media): (&offhook_sdp::Remote, &Media<'_>),
        cx: &mut Context<'_>,
    ) {
        if media.kind() != MediaKind::Video || self.ends_here {
            return;
        }
        let nothing = Said {
            direction: Direction::Inactive,
            address: None,
            by: None,
            take_unasked: false,
            sees_at: None,
        };
        let new = || Box::new(Pictures { parties: [nothing; 2], ours: cx.rng.random() });
        let party = &mut self.pictures.get_or_insert_with(new).parties[sender.index()];
        party.direction = said.direction;
        party.address = said.rtp;
        party.by = match () {
            () if media.has_feedback("nack pli") => Some(KeyFrameRequest::Pli),
            () if media.has_feedback("ccm fir") => Some(KeyFrameRequest::Fir),
            () => None,
        };
    }

    /// Both have agreed: who sends pictures to one that has not seen them until now, or not there, is asked for a whole
    /// one.
    pub(super) fn show_pictures(&mut self, cx: &mut Context<'_>) {
        let Some(pictures) = &mut self.pictures else { return };
        for sender in [PartyName::Caller, PartyName::Callee] {
            let sends = pictures.parties[sender.index()].direction.sends();
            let viewer = &mut pictures.parties[sender.other().index()];
            let sees_at = (sends && viewer.direction.receives()).then_some(viewer.address);
            let is_new = sees_at.is_some() && sees_at != viewer.sees_at;
            viewer.sees_at = sees_at;
            let said = &mut pictures.parties[sender.index()];
            said.take_unasked = is_new && said.by.is_none();
            if is_new {
                pictures.ask(self.id, sender, cx);
            }
        }
    }
}

impl Pictures {
    fn ask(&self, stream: StreamId, sender: PartyName, cx: &mut Context<'_>) {
        // Many phones without feedback in their SDP know this message all the same, and the others overlook it.
        let by = self.parties[sender.index()].by.unwrap_or(KeyFrameRequest::Pli);
        let of = SideName::BOTH[sender.index()];
        cx.out.media.push(Command::KeyFrame { stream, of, by, ours: self.ours });
    }
}

impl Anchors {
    /// A party has asked the other for a picture by signalling.
    pub(crate) fn ask_for_picture(&self, number: u64, of: PartyName, cx: &mut Context<'_>) {
        let Some(anchor) = self.anchors.get(&number) else { return };
        for stream in anchor.streams.iter().flatten() {
            if let Some(pictures) = &stream.pictures {
                pictures.ask(stream.id, of, cx);
            }
        }
    }

    /// The parties that have to be asked for a picture by signalling, because they have named no feedback; each once.
    pub(crate) fn take_unasked(&mut self, number: u64) -> Vec<PartyName> {
        let streams = self.anchors.get_mut(&number).into_iter().flat_map(|anchor| &mut anchor.streams);
        let mut pictures: Vec<_> = streams.flatten().filter_map(|stream| stream.pictures.as_mut()).collect();
        let mut is_to_be_asked = |party: &PartyName| {
            let said = pictures.iter_mut().map(|both| &mut both.parties[party.index()].take_unasked);
            said.map(std::mem::take).fold(false, |one, other| one | other)
        };
        [PartyName::Caller, PartyName::Callee].into_iter().filter(|party| is_to_be_asked(party)).collect()
    }
}

/// Whether a request asks for a key frame (RFC 5168 §4).
pub(crate) fn asks_for_picture(request: &Request) -> bool {
    let kind = request.raw(Name::ContentType).and_then(|kind| kind.split(|byte| *byte == b';').next());
    let is_kind = kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(MEDIA_CONTROL.as_bytes()));
    let asked = b"picture_fast_update";
    *request.method() == Method::Info
        && is_kind
        && request.body().windows(asked.len()).any(|some| some == asked)
}

/// What a request for a key frame is of (RFC 5168 §7.2).
pub(crate) const MEDIA_CONTROL: &str = "application/media_control+xml";
/// A request for a key frame (RFC 5168 §4).
pub(crate) const PICTURE_FAST_UPDATE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n\
    <media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>\r\n";
