//! A stream of one side whose other end speaks and listens.

use super::bridge::Admitted;
use super::echo::End;
use super::{Outcome, Stream};
use crate::camera::CameraId;
use crate::command::{Report, SideName};
use crate::relay::{Outbox, Send};
use crate::voice::file::Answer;
use crate::voice::{Order, Rooms, Voice};
use offhook_rtp::packet::Kind;
use std::time::Instant;

impl Stream {
    /// Gives the end an order; one that is no voice becomes one when it learns what was agreed.
    pub(crate) fn order(&mut self, now: Instant, order: Order, out: &mut Outbox) {
        match (&mut self.end, order) {
            (Some(End::Voice(voice)), order) => voice.obey(now, order),
            (Some(end), Order::Agree { settings, numbers }) => {
                *end = End::Voice(Box::new(Voice::new(now, self.id, *settings, numbers)));
            }
            (Some(_) | None, _) => {}
        }
        self.tell(out);
    }

    /// Whether its end is a voice.
    pub(crate) fn speaks(&self) -> bool {
        matches!(self.end, Some(End::Voice(_)))
    }

    /// Takes what the driver has to say of a file.
    pub(crate) fn answered(&mut self, answer: &Answer) {
        match &mut self.end {
            Some(End::Voice(voice)) => voice.answered(answer),
            _ => self.tap_answered(answer),
        }
    }

    /// Hears sound of a camera, if its end says that.
    pub(crate) fn hear_live(&mut self, camera: CameraId, samples: &[i16]) {
        if let Some(End::Voice(voice)) = &mut self.end {
            voice.hear_live(camera, samples);
        }
    }

    /// A camera sends, or no longer does.
    pub(crate) fn live_state(&mut self, camera: CameraId, is_up: bool) {
        if let Some(End::Voice(voice)) = &mut self.end {
            voice.live_state(camera, is_up);
        }
    }

    /// Hears 20 ms, and lets the room hear them.
    pub(crate) fn listen(&mut self, now: Instant, rooms: &mut Rooms, out: &mut Outbox) {
        let Some(End::Voice(voice)) = &mut self.end else { return self.listen_between(now, rooms, out) };
        voice.listen(now);
        if let Some((room, frame)) = voice.to_room() {
            rooms.say(room, (self.id, 0), frame);
        }
    }

    /// Says 20 ms, when all have been heard.
    pub(crate) fn speak(&mut self, now: Instant, rooms: &mut Rooms, scratch: &mut [u8], out: &mut Outbox) {
        let Some(End::Voice(voice)) = &mut self.end else {
            return self.speak_between(now, rooms, scratch, out);
        };
        let room = voice.room().map(|room| rooms.heard_by(room, (self.id, 0)));
        voice.speak(now, room);
        let flow = &mut self.flows[SideName::A.index()];
        for packet in voice.packets() {
            let control = Kind::of(&packet) == Kind::Rtcp;
            let path = flow.path(now, control).filter(|_| control || !flow.facing.hold);
            let made = path.and_then(|path| Some((path, flow.protect_made(control, packet, scratch).ok()?)));
            match made {
                Some((path, bytes)) => {
                    flow.counters.forwarded += 1;
                    out.sends.push(Send { from_port: path.from_port, to: path.to, bytes: bytes.into() });
                }
                None => flow.counters.undeliverable += 1,
            }
        }
        self.tell(out);
    }

    /// Takes a packet that was admitted.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        admitted: &Admitted,
        packet: &[u8],
        scratch: &[u8],
    ) -> Outcome {
        if let Some(End::Voice(voice)) = &mut self.end {
            let opened = admitted.opened.and_then(|length| scratch.get(..length)).unwrap_or(packet);
            voice.receive(now, opened);
        }
        Outcome::default()
    }

    /// The stream ends, and with it what its end is recording.
    pub(crate) fn end(&mut self, out: &mut Outbox) {
        if let Some(End::Voice(voice)) = &mut self.end {
            voice.end();
        }
        self.end_tap(out);
        self.tell(out);
    }

    fn tell(&mut self, out: &mut Outbox) {
        let Some(End::Voice(voice)) = &mut self.end else { return };
        let stream = self.id;
        out.files.append(&mut voice.requests);
        out.reports.extend(voice.heard.drain(..).map(|heard| Report::Heard { stream, heard }));
    }
}
