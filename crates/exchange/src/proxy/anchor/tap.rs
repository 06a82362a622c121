//! Somebody of ours between the two parties of an anchored call: it records them, plays music to one whom the other
//! holds, and lets a supervisor hear.

mod record;
mod supervise;

use std::sync::Arc;

use offhook_media::command::{Command, Report, SideName, StreamId, TapOrder};
use offhook_media::session::Settings;
use offhook_media::voice::{Clip, Heard};
use offhook_sdp::{Direction, MediaKind, Sdp, remotes};

use super::{Anchor, Anchors, Role};
use crate::b2bua::{CallId, agreed};
use crate::config::Config;
use crate::context::Context;
use crate::directory::{AddressOfRecord, Record};
use crate::event::Event;
use crate::proxy::signed_route::PartyName;
use crate::proxy::transcoding::numbers;
use crate::speech::Language;
use record::Recorder;
pub(crate) use record::file_name;
pub(crate) use supervise::{How, Supervise, of_room, room};

/// Whom a call concerns whose media may have to be heard by us: the caller, and the one who is called.
#[derive(Debug)]
pub(crate) struct Concern {
    /// Whose calls are recorded when.
    pub(crate) record: [Record; 2],
    /// Whether it is recorded whoever they are, for the sake of a trunk or of who has sent the call on.
    pub(crate) always: bool,
    /// Their accounts, where they have one.
    pub(crate) accounts: [Option<AddressOfRecord>; 2],
    /// How they are spoken to, where that is not as all are.
    pub(crate) languages: [Option<Language>; 2],
    /// What they are called in the name of a file.
    pub(crate) names: [String; 2],
    /// Whether the codes that are pressed in calls are heard, where the exchange has legs with both.
    pub(crate) codes: bool,
}

/// What is known of a call for the sake of who may come between its parties.
#[derive(Default)]
pub(super) struct Tap {
    concern: Option<Arc<Concern>>,
    /// The last offer: whose, what it said, and what the other was told.
    offer: Option<(PartyName, Vec<u8>, Vec<u8>)>,
    /// The stream of sound, and how either party sends and takes it, once that is agreed.
    agreed: Option<(usize, Box<[Settings; 2]>)>,
    /// Whether each party holds the other.
    holds: [bool; 2],
    /// Whether the one who is held was told to listen although the other offers nothing to hear.
    is_audible: bool,
    /// The stream on which somebody is between the parties now.
    present: Option<StreamId>,
    /// To whom music is played.
    music: [bool; 2],
    /// The number of the last order to speak.
    played: u32,
    recorder: Recorder,
    /// In which room the parties are heard, and who of them hears it.
    room: Option<(u64, [bool; 2])>,
}

impl Concern {
    /// Whether a call has to go through us because it may be recorded.
    pub(crate) fn wants_anchor(&self) -> bool {
        self.always || self.record.iter().any(|one| *one != Record::Never)
    }

    /// Whether a call is recorded without being asked.
    fn is_always_recorded(&self) -> bool {
        self.always || self.record.contains(&Record::Always)
    }
}

impl Anchors {
    /// A call concerns these, so that somebody may have to come between its parties.
    pub(crate) fn concerns(&mut self, number: u64, concern: Option<&Arc<Concern>>) {
        if let (Some(anchor), Some(concern)) = (self.anchors.get_mut(&number), concern) {
            let concern = Some(Arc::clone(concern));
            anchor.tap = Some(Box::new(Tap { concern, ..Tap::default() }));
        }
    }

    /// Something was agreed on, or the call was answered: whoever has to come between the parties comes, or goes.
    pub(crate) fn attend(&mut self, number: u64, config: &Config, cx: &mut Context<'_>) {
        let Some(anchor) = self.anchors.get_mut(&number) else { return };
        let is_bridged = anchor.bridged.is_some();
        let Anchor { tap: Some(tap), streams, call_id, answered: Some(_), .. } = &mut **anchor else {
            return;
        };
        let Some((at, _)) = &tap.agreed else { return };
        let Some(Some(stream)) = streams.get(*at) else { return };
        let stream = stream.id;
        let recorded = tap.recorder.begins(tap.concern.as_deref());
        let music = if is_bridged { [tap.holds[1], tap.holds[0]] } else { [false; 2] };
        let listens = tap.listens_for_keys() || is_bridged && tap.hears_codes();
        let wanted = recorded || listens || music.contains(&true) || tap.room.is_some();
        if !wanted && tap.recorder.is_idle() {
            tap.leave(cx);
            if tap.concern.is_none() {
                anchor.tap = None;
            }
            return;
        }
        if !tap.come(stream, cx) {
            if tap.recorder.is_untried() && (recorded || tap.listens_for_keys()) {
                let what = Err("its sound is in no format that the exchange knows".to_owned());
                cx.event(Event::Recording { call: call_id.clone(), what });
                tap.recorder.give_up();
            }
            return;
        }
        if recorded {
            let call_id = call_id.clone();
            tap.begin_recording(&call_id, number, config, cx);
        }
        tap.play_music(music, cx);
    }

    /// Takes what who is between two parties has heard; false if it is about nobody there.
    pub(crate) fn tapped(&mut self, report: &Report, config: &Config, cx: &mut Context<'_>) -> bool {
        let (stream, side, heard) = match report {
            Report::Tapped { stream, side, heard } => (stream, Some(*side), heard),
            Report::Heard { stream, heard: heard @ Heard::Recorded { .. } } => (stream, None, heard),
            _ => return false,
        };
        let Some(number) = self.of_stream(*stream) else { return side.is_some() };
        let Some(anchor) = self.anchors.get_mut(&number) else { return side.is_some() };
        let Some(tap) = &mut anchor.tap else { return side.is_some() };
        match (side, heard) {
            (Some(side), Heard::Digit(key)) => {
                let call_id = anchor.call_id.clone();
                tap.key(side, *key, (&call_id, number), config, cx);
            }
            (None, Heard::Recorded { order, outcome }) => {
                if let Some(event) = tap.recorder.ended(*order, *outcome) {
                    let what = event.map_err(str::to_owned);
                    cx.event(Event::Recording { call: anchor.call_id.clone(), what });
                }
            }
            _ => {}
        }
        true
    }
}

impl Anchors {
    /// A party of an anchor has pressed a key that is not in the sound; whether that may be of a code.
    pub(crate) fn pressed(
        &mut self,
        number: u64,
        side: SideName,
        key: char,
        config: &Config,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(anchor) = self.anchors.get_mut(&number) else { return false };
        let Some(tap) = &mut anchor.tap else { return false };
        tap.key(side, key, (&anchor.call_id, number), config, cx);
        tap.hears_codes()
    }

    /// Whether what its parties say is recorded now.
    pub(crate) fn is_recorded(&self, number: u64) -> bool {
        let tap = self.anchors.get(&number).and_then(|anchor| anchor.tap.as_ref());
        tap.is_some_and(|tap| tap.recorder.is_running())
    }

    /// The bridged call, the party and the key that a report is about, if that may be of a code.
    pub(crate) fn code_key(&self, report: &Report) -> Option<(CallId, SideName, char)> {
        let Report::Tapped { stream, side, heard: Heard::Digit(key) } = report else { return None };
        let anchor = self.anchors.get(&self.of_stream(*stream)?)?;
        let hears = anchor.tap.as_ref().is_some_and(|tap| tap.hears_codes());
        Some((anchor.bridged.filter(|_| hears)?, *side, *key))
    }
}

impl Anchor {
    /// Takes note of what a party says and the other is told, and returns what it is told in the end: who is held
    /// hears music, even where the other would have it hear nothing.
    pub(super) fn note_session(
        &mut self,
        (sender, role): (PartyName, Role),
        said: &Sdp,
        told: Vec<u8>,
    ) -> Vec<u8> {
        let plays_music = self.answered.is_some() && self.bridged.is_some() && !self.ends_here;
        if self.tap.is_none() && role == Role::Offer && plays_music {
            self.tap = Some(Box::default());
        }
        let Some(tap) = &mut self.tap else { return told };
        match role {
            Role::Offer => {
                let silences =
                    holding(said) == Some(Direction::Inactive) && !tap.holds[sender.other().index()];
                tap.is_audible = plays_music && silences;
                let told = if tap.is_audible { directed(&told, "sendonly") } else { told };
                tap.offer = Some((sender, said.as_bytes().to_vec(), told.clone()));
                told
            }
            Role::Answer => {
                let told = if tap.is_audible { directed(&told, "inactive") } else { told };
                tap.settle(sender, said, &told);
                told
            }
        }
    }
}

impl Tap {
    fn settle(&mut self, answerer: PartyName, said: &Sdp, told: &[u8]) {
        let Some((offerer, offer, offer_told)) = &self.offer else { return };
        if *offerer == answerer {
            return;
        }
        let descriptions = [Sdp::parse(offer), Sdp::parse(told), Sdp::parse(offer_told)];
        let [Ok(offer), Ok(told), Ok(offer_told)] = &descriptions else { return };
        self.agreed = agree(*offerer, (offer, told), (offer_told, said));
        for (party, description) in [(*offerer, offer), (answerer, said)] {
            self.holds[party.index()] = holding(description).is_some();
        }
    }
}

/// How a party holds the other, if it does.
fn holding(description: &Sdp) -> Option<Direction> {
    let sound = remotes(description).into_iter().find(|one| one.kind == MediaKind::Audio && !one.off)?;
    match sound.direction {
        direction @ (Direction::SendOnly | Direction::Inactive) => Some(direction),
        // RFC 2543: an address of zeros.
        _ => sound.held.then_some(Direction::SendOnly),
    }
}

/// A description with this direction of its streams of sound (RFC 8866 §6.7).
fn directed(description: &[u8], direction: &str) -> Vec<u8> {
    let mut directed = Vec::with_capacity(description.len() + 16);
    let mut is_sound = false;
    let end = |is_sound: bool, directed: &mut Vec<u8>| {
        if is_sound {
            directed.extend_from_slice(format!("a={direction}\r\n").as_bytes());
        }
    };
    for line in description.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"m=") {
            end(is_sound, &mut directed);
            is_sound = line.starts_with(b"m=audio ");
        }
        let is_direction = DIRECTIONS.iter().any(|one| line.trim_ascii() == one.as_bytes());
        if !(is_sound && is_direction) {
            directed.extend_from_slice(line);
        }
    }
    end(is_sound, &mut directed);
    directed
}

const DIRECTIONS: [&str; 4] = ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"];

impl Tap {
    /// Comes between the parties, or learns what they have agreed on since; false if it would not understand them.
    fn come(&mut self, stream: StreamId, cx: &mut Context<'_>) -> bool {
        let Some((_, settings)) = &self.agreed else { return false };
        let understood = |one: &Settings| !one.receive.is_empty() && one.send.is_some();
        if !settings.iter().all(understood) {
            return false;
        }
        let agreed = settings.each_ref().map(|one| (one.clone(), numbers(cx)));
        self.order(stream, TapOrder::Agree(Box::new(agreed)), cx);
        self.present = Some(stream);
        true
    }

    fn leave(&mut self, cx: &mut Context<'_>) {
        if let Some(stream) = self.present.take() {
            self.order(stream, TapOrder::End, cx);
            self.music = [false; 2];
        }
    }

    fn order(&self, stream: StreamId, order: TapOrder, cx: &mut Context<'_>) {
        cx.out.media.push(Command::Tap { stream, order });
    }

    /// The same to who is there, if anybody is.
    fn tell(&self, order: TapOrder, cx: &mut Context<'_>) {
        if let Some(stream) = self.present {
            self.order(stream, order, cx);
        }
    }

    fn play(&mut self, to: SideName, clips: Vec<Clip>, cx: &mut Context<'_>) {
        self.played += 1;
        self.tell(TapOrder::Play { to, order: self.played, clips }, cx);
    }

    fn play_music(&mut self, music: [bool; 2], cx: &mut Context<'_>) {
        for side in SideName::BOTH {
            let wanted = music[side.index()];
            if std::mem::replace(&mut self.music[side.index()], wanted) != wanted {
                let clips = if wanted { vec![Clip::Music] } else { Vec::new() };
                self.play(side, clips, cx);
            }
        }
    }

    /// The room of who supervises it.
    pub(super) fn supervisor(&self) -> Option<u64> {
        self.room.map(|(room, _)| room)
    }

    /// Whether a key of one of them may mean something for a recording.
    fn listens_for_keys(&self) -> bool {
        self.concern.as_ref().is_some_and(|concern| concern.wants_anchor())
    }

    /// Whether their keys may be codes.
    fn hears_codes(&self) -> bool {
        self.concern.as_ref().is_some_and(|concern| concern.codes)
    }
}

/// What caller and callee send and take, as we would have agreed on it with each of them: `first` are the offer as the
/// offerer made it and the answer that it was told, `second` the offer that the answerer was told, and its answer.
fn agree(
    offerer: PartyName,
    first: (&Sdp, &Sdp),
    second: (&Sdp, &Sdp),
) -> Option<(usize, Box<[Settings; 2]>)> {
    let to_offerer = agreed::as_answerer(first.0, first.1)?;
    let to_answerer = agreed::as_offerer(second.0, second.1)?;
    let at = to_offerer.0;
    let both = (at == to_answerer.0).then_some([to_offerer.1, to_answerer.1])?;
    let [offering, answering] = both;
    let sides = if offerer == PartyName::Caller { [offering, answering] } else { [answering, offering] };
    Some((at, Box::new(sides)))
}
