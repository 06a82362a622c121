//! One stream of an anchored call: what each party has said of it, and what the relay and the other party are told.

use std::time::Instant;

use offhook_media::command::{Command, Content, EventFormat, PortPair, Press, Remote, SideName, StreamId};
use offhook_sdp::{Codec, Face, Formats, Media};

use super::pictures::Pictures;
use super::{Anchor, Role};
use crate::config::Config;
use crate::context::Context;
use crate::proxy::protection::End;
use crate::proxy::signed_route::PartyName;
use crate::proxy::transcoding::{Agreed, Offered};
use crate::refusal::Refusal;

/// As the relay has it.
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) ports: [PortPair; 2],
    pub(super) remotes: [Remote; 2],
    /// Whether it has been agreed that it carries no RTP, but a fax (T.38).
    pub(super) is_opaque: bool,
    /// What each party's SDP says of rtcp-mux; in force when both do (RFC 5761 §5.1.1). `None`: it said nothing yet.
    pub(super) mux: [Option<bool>; 2],
    /// How each party protects its media, where the relay ends that.
    pub(super) ends: Option<Box<[End; 2]>>,
    /// Of sound, what was offered last.
    pub(super) offered: Option<Box<Offered>>,
    pub(super) is_transcoded: bool,
    /// The telephone events that each party takes, by the last answer.
    pub(super) events: [Option<EventFormat>; 2],
    /// Whether the callee is an end of ours, of which the relay need not hear.
    pub(super) ends_here: bool,
    pub(super) stopped_at: Option<Instant>,
    /// Apart: of pictures, who sees them.
    pub(super) pictures: Option<Box<Pictures>>,
}

impl Stream {
    /// Whether it is on hold, or was never agreed on because one party did not describe it: of neither does the
    /// relay report that it stopped.
    pub(super) fn may_be_silent(&self) -> bool {
        self.remotes.iter().any(|remote| remote.hold) || self.mux.contains(&None)
    }

    /// An answer has settled what it carries. Until then, and if an offer is refused, it is what was before.
    pub(super) fn carries(&mut self, is_opaque: bool, cx: &mut Context<'_>) {
        if std::mem::replace(&mut self.is_opaque, is_opaque) != is_opaque {
            let content = if is_opaque { Content::Opaque } else { Content::Rtp };
            self.is_transcoded &= !is_opaque;
            cx.out.media.push(Command::Carry { stream: self.id, content });
        }
    }

    pub(super) fn update(
        &mut self,
        sender: PartyName,
        remote: Remote,
        mux: Option<bool>,
        cx: &mut Context<'_>,
    ) {
        self.mux[sender.index()] = mux;
        self.remotes[sender.index()] = remote;
        let both = self.mux == [Some(true); 2];
        let sides = if self.ends_here { 1 } else { 2 };
        for side in SideName::BOTH.into_iter().take(sides) {
            let remote = &mut self.remotes[side.index()];
            let (changed, ice) = match &mut self.ends {
                // Each side has its own.
                Some(ends) => {
                    let ice = ends[side.index()].new_ice();
                    (ice.is_some(), ice)
                }
                None => (std::mem::replace(&mut remote.rtcp_mux, both) != both, None),
            };
            // The sender's also without a change: it opens the relay for a source that moved (a NAT that forgot).
            if changed || side.index() == sender.index() {
                let remote = remote.clone().into();
                cx.out.media.push(Command::Update { stream: self.id, side, remote, ice });
            }
        }
        self.stopped_at = None;
    }

    /// What the other party is told of the formats of which one has spoken. Of `lists`, those of each party are the only
    /// ones that it may have, unless there are none.
    ///
    /// # Errors
    /// 488 if they leave no format of an offer.
    pub(super) fn formats(
        &mut self,
        (sender, role): (PartyName, Role),
        media: &Media<'_>,
        (adds, lists): (bool, [&[Codec]; 2]),
        config: &Config,
        cx: &mut Context<'_>,
    ) -> Result<Formats, Refusal> {
        if role == Role::Offer {
            let narrowed = lists.iter().any(|list| !list.is_empty());
            let always = adds || narrowed || self.is_transcoded;
            // What an end of ours says is not translated: it knows everything itself.
            let known = if narrowed && self.ends_here { &[] } else { &config.codecs[..] };
            self.offered = Offered::new(sender, media, (known, always), lists)?.map(Box::new);
            return Ok(self.offered.as_ref().map_or(Formats::Kept, |offered| offered.shown()));
        }
        let Some(offered) = &self.offered else { return Ok(Formats::Kept) };
        let Agreed { told, translations, events } = offered.answered(media, cx);
        self.events = events;
        if translations.is_some() || self.is_transcoded {
            self.is_transcoded = translations.is_some();
            cx.out.media.push(Command::Transcode { stream: self.id, translations });
        }
        Ok(told)
    }

    /// Sends a party a key in the sound; whether it takes keys there, and sound is expected to go to it.
    pub(super) fn press(&self, to: PartyName, press: Press, cx: &mut Context<'_>) -> bool {
        let format = self.events[to.index()].filter(|_| !self.may_be_silent());
        let Some(format) = format else { return false };
        let to = SideName::BOTH[to.index()];
        cx.out.media.push(Command::Press { stream: self.id, to, format, press });
        true
    }

    /// What a party with this number is told of how media is protected, where the relay ends that.
    pub(super) fn face(&self, role: Role, to: usize, anchor: &Anchor, config: &Config) -> Option<Face> {
        let end = &self.ends.as_ref()?[to];
        let place = (anchor.told[to], self.ports[to]);
        Some(end.face(role == Role::Offer, place, config.media_certificate.as_ref()))
    }
}
