//! A stream of two sides with somebody of ours between them.

use super::{Outcome, Stream};
use crate::command::{Report, SideName};
use crate::relay::{Outbox, Send};
use crate::tap::TapOrder;
use crate::voice::{FRAME, Frame, Order, Rooms, Take, Voice};
use offhook_rtp::packet::Kind;
use std::time::Instant;

/// Who is between: for each side one that hears it and may be heard by it.
#[derive(Debug)]
pub(super) struct Tap {
    voices: [Voice; 2],
    /// In which room the sides are heard, and which of them hear it.
    room: Option<(u64, [bool; 2])>,
    take: Option<Take>,
    paused: bool,
}

impl Tap {
    /// Whether a side hears us in place of what the other sends.
    fn speaks_to(&self, side: SideName) -> bool {
        let hears_room = self.room.is_some_and(|(_, heard_by)| heard_by[side.index()]);
        hears_room || self.voices[side.index()].is_saying()
    }
}

impl Stream {
    /// Obeys an order; all but the first need somebody who is there.
    pub(crate) fn tap(&mut self, now: Instant, order: TapOrder, out: &mut Outbox) {
        match (&mut self.tap, order) {
            (None, TapOrder::Agree(agreed)) if self.end.is_none() => {
                let id = self.id;
                let voices = agreed.map(|(settings, numbers)| Voice::new(now, id, settings, numbers));
                self.tap = Some(Box::new(Tap { voices, room: None, take: None, paused: false }));
            }
            (None, _) => {}
            (Some(_), TapOrder::End) => {
                self.end_tap(out);
                self.tap = None;
            }
            (Some(tap), order) => tap.obey(now, self.id, order, out),
        }
        self.tell_tapped(out);
    }

    /// Whether somebody is between its sides.
    pub(crate) fn is_tapped(&self) -> bool {
        self.tap.is_some()
    }

    /// A packet of sound of a side was admitted; what becomes of it if it does not go on to the other.
    pub(super) fn overhear(&mut self, now: Instant, from: SideName, packet: &[u8]) -> Option<Outcome> {
        let tap = self.tap.as_mut()?;
        tap.voices[from.index()].receive(now, packet);
        tap.speaks_to(from.other()).then(Outcome::default)
    }

    /// Hears 20 ms of both sides, and lets the room hear them.
    pub(super) fn listen_between(&mut self, now: Instant, rooms: &mut Rooms, out: &mut Outbox) {
        let Some(tap) = &mut self.tap else { return };
        tap.voices.iter_mut().for_each(|voice| voice.listen(now));
        let frames = tap.voices.each_ref().map(Voice::frame);
        if let Some((room, _)) = tap.room {
            for (n, frame) in frames.iter().enumerate() {
                // Two that sit under the name of one stream.
                rooms.say(room, (self.id, n as u8), frame);
            }
        }
        let silence = [0; FRAME];
        let heard: [&[i16]; 2] = if tap.paused { [&silence, &silence] } else { [frames[0], frames[1]] };
        let is_over = tap.take.as_mut().is_some_and(|take| take.push(&heard, &mut out.files));
        if let Some(take) = tap.take.take_if(|_| is_over) {
            take.end(&mut out.files);
        }
    }

    /// Says 20 ms to each side that hears us.
    pub(super) fn speak_between(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        scratch: &mut [u8],
        out: &mut Outbox,
    ) {
        let Some(tap) = &mut self.tap else { return };
        let frames: [Frame; 2] = tap.voices.each_ref().map(|voice| *voice.frame());
        for side in SideName::BOTH {
            let speaks = tap.speaks_to(side);
            let voice = &mut tap.voices[side.index()];
            if !speaks {
                voice.keep_silent(now);
                continue;
            }
            let room = match tap.room {
                Some((room, heard_by)) if heard_by[side.index()] => {
                    Some(rooms.heard_by(room, (self.id, side.index() as u8)))
                }
                _ if voice.plays_music() => None,
                _ => Some(frames[side.other().index()]),
            };
            voice.speak(now, room);
            let flow = &mut self.flows[side.index()];
            for packet in voice.packets() {
                // The reports of the two sides go on, and are enough.
                if Kind::of(&packet) == Kind::Rtcp {
                    continue;
                }
                let path = flow.path(now, false);
                let made =
                    path.and_then(|path| Some((path, flow.protect_made(false, packet, scratch).ok()?)));
                match made {
                    Some((path, bytes)) => {
                        out.sends.push(Send { from_port: path.from_port, to: path.to, bytes: bytes.into() });
                    }
                    None => flow.counters.undeliverable += 1,
                }
            }
        }
        self.tell_tapped(out);
    }

    /// Nobody is between any more: what was recorded is complete.
    pub(super) fn end_tap(&mut self, out: &mut Outbox) {
        if let Some(take) = self.tap.as_mut().and_then(|tap| tap.take.take()) {
            take.end(&mut out.files);
        }
    }

    /// A recording cannot go on, or a sound has come.
    pub(super) fn tap_answered(&mut self, answer: &crate::voice::file::Answer) {
        let Some(tap) = &mut self.tap else { return };
        tap.voices.iter_mut().for_each(|voice| voice.answered(answer));
        if let crate::voice::file::Answer::Recorded { order, .. } = answer {
            tap.take.take_if(|take| take.order() == *order);
        }
    }

    fn tell_tapped(&mut self, out: &mut Outbox) {
        let Some(tap) = &mut self.tap else { return };
        let stream = self.id;
        for (side, voice) in SideName::BOTH.into_iter().zip(&mut tap.voices) {
            out.files.append(&mut voice.requests);
            let told = voice.heard.drain(..).map(|heard| Report::Tapped { stream, side, heard });
            out.reports.extend(told);
        }
    }
}

impl Tap {
    fn obey(&mut self, now: Instant, stream: crate::command::StreamId, order: TapOrder, out: &mut Outbox) {
        match order {
            TapOrder::Agree(agreed) => {
                for (voice, (settings, numbers)) in self.voices.iter_mut().zip(*agreed) {
                    voice.obey(now, Order::Agree { settings: Box::new(settings), numbers });
                }
            }
            TapOrder::Play { to, order, clips } => {
                self.voices[to.index()].obey(now, Order::Play { order, clips });
            }
            TapOrder::Record { order, recording } => {
                if let Some(take) = self.take.take() {
                    take.end(&mut out.files);
                }
                let rate = self.voices.iter().map(Voice::rate).max().unwrap_or_default();
                self.paused = false;
                self.take = Some(Take::new(stream, (order, recording), (rate, 2), &mut out.files));
            }
            TapOrder::Pause(paused) => self.paused = paused,
            TapOrder::Stop => {
                if let Some(take) = self.take.take() {
                    take.end(&mut out.files);
                }
            }
            TapOrder::Join { room, heard_by } => self.room = Some((room, heard_by)),
            TapOrder::Leave => self.room = None,
            TapOrder::End => {}
        }
    }
}
