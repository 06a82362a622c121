//! The ends that speak and listen: all of them in step, so that those in one room hear each other.

use super::{Outbox, Relay};
use crate::camera::CameraId;
use crate::command::{Report, StreamId};
use crate::tap::TapOrder;
use crate::voice::file::Answer;
use crate::voice::{Clip, Closed, FRAME, Heard, Order, RATE, Recording, Rooms, Take};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Which streams they are, when their next 20 ms are, and in which rooms they sit.
#[derive(Debug, Default)]
pub(super) struct Voices {
    streams: BTreeSet<StreamId>,
    next: Option<Instant>,
    rooms: BTreeMap<u64, Room>,
    seats: BTreeMap<StreamId, u64>,
}

/// Who is in a room.
#[derive(Debug, Default)]
struct Room {
    members: BTreeSet<StreamId>,
    locked: bool,
    take: Option<RoomTake>,
}

/// What is said in a room is recorded.
#[derive(Debug)]
struct RoomTake {
    /// Who wanted that.
    of: StreamId,
    take: Take,
    /// Who wanted it stands on a side of its own: right, or else left.
    right: Option<bool>,
    paused: bool,
}

impl Voices {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn forget(&mut self, stream: StreamId, out: &mut Outbox) {
        self.leave(stream, out);
        self.streams.remove(&stream);
        if self.streams.is_empty() {
            self.next = None;
        }
    }

    /// Does what an order has to do with rooms; false if it is not to be obeyed.
    fn admit(&mut self, stream: StreamId, order: &Order, out: &mut Outbox) -> bool {
        match order {
            Order::Join { room, most, .. } => return self.join(stream, *room, *most, out),
            Order::Lock(locked) => {
                let room = self.seats.get(&stream).and_then(|room| self.rooms.get_mut(room));
                room.into_iter().for_each(|room| room.locked = *locked);
            }
            Order::Leave => self.leave(stream, out),
            Order::RecordRoom(recording) => {
                let recording = recording.clone().map(|recording| (recording, None));
                self.record(stream, recording, out);
            }
            Order::RecordApart { order, recording, right } => {
                self.record(stream, Some(((*order, recording.clone()), Some(*right))), out);
            }
            Order::PauseRoom(paused) => {
                let room = self.seats.get(&stream).and_then(|room| self.rooms.get_mut(room));
                let take = room.and_then(|room| room.take.as_mut());
                take.into_iter().for_each(|take| take.paused = *paused);
            }
            Order::Agree { .. }
            | Order::Play { .. }
            | Order::Record { .. }
            | Order::Watch { .. }
            | Order::Stop
            | Order::Press(_) => {}
        }
        true
    }

    /// Records the room of a stream from now on, or no longer.
    fn record(
        &mut self,
        of: StreamId,
        recording: Option<((u32, Recording), Option<bool>)>,
        out: &mut Outbox,
    ) {
        let room = self.seats.get(&of).and_then(|room| self.rooms.get_mut(room));
        let Some(room) = room else { return };
        room.end_take(out);
        room.take = recording.map(|(recording, right)| {
            let channels = if right.is_some() { 2 } else { 1 };
            let take = Take::new(of, recording, (RATE, channels), &mut out.files);
            RoomTake { of, take, right, paused: false }
        });
    }

    fn join(&mut self, stream: StreamId, number: u64, most: u16, out: &mut Outbox) -> bool {
        if self.seats.get(&stream) == Some(&number) {
            return true;
        }
        let room = self.rooms.get(&number);
        let full = room.is_some_and(|room| room.members.len() >= usize::from(most));
        let closed = match room.is_some_and(|room| room.locked) {
            true => Some(Closed::Locked),
            false => full.then_some(Closed::Full),
        };
        if let Some(closed) = closed {
            out.reports.push(Report::Heard { stream, heard: Heard::Closed(closed) });
            return false;
        }
        self.leave(stream, out);
        self.seats.insert(stream, number);
        let room = self.rooms.entry(number).or_default();
        room.members.insert(stream);
        room.tell(out);
        true
    }

    fn leave(&mut self, stream: StreamId, out: &mut Outbox) {
        let Some(number) = self.seats.remove(&stream) else { return };
        let Some(room) = self.rooms.get_mut(&number) else { return };
        room.members.remove(&stream);
        room.tell(out);
        if room.take.as_ref().is_some_and(|take| take.right.is_some()) || room.members.is_empty() {
            room.end_take(out);
        }
        if room.members.is_empty() {
            self.rooms.remove(&number);
        }
    }
}

impl Room {
    fn end_take(&mut self, out: &mut Outbox) {
        if let Some(one) = self.take.take() {
            one.take.end(&mut out.files);
        }
    }

    /// Records the next 20 ms; true when it is long enough.
    fn keep(&mut self, number: u64, rooms: &mut Rooms, out: &mut Outbox) -> bool {
        let Some(RoomTake { of, take, right, paused }) = &mut self.take else { return false };
        let silence = [0; FRAME];
        let (own, others) = match (*paused, *right) {
            (true, _) => (silence, silence),
            // Somebody who has said nothing hears all.
            (false, None) => (silence, rooms.heard_by(number, (*of, NOBODY))),
            (false, Some(_)) => (rooms.said_by(number, (*of, 0)), rooms.heard_by(number, (*of, 0))),
        };
        match right {
            None => take.push(&[&others], &mut out.files),
            Some(true) => take.push(&[&others, &own], &mut out.files),
            Some(false) => take.push(&[&own, &others], &mut out.files),
        }
    }

    /// Tells all who are in it how many the others are.
    fn tell(&self, out: &mut Outbox) {
        let others = u16::try_from(self.members.len().saturating_sub(1)).unwrap_or(u16::MAX);
        let heard = |stream: &StreamId| Report::Heard { stream: *stream, heard: Heard::Room { others } };
        out.reports.extend(self.members.iter().map(heard));
    }
}

impl Relay {
    pub(super) fn order(&mut self, now: Instant, id: StreamId, order: Order, out: &mut Outbox) {
        if let Order::Watch { camera, payload_type, numbers } = order {
            return self.watch(now, id, (camera, payload_type, numbers), out);
        }
        if self.stream(id).is_none_or(|stream| !stream.speaks() && !matches!(order, Order::Agree { .. }))
            || !self.voices.admit(id, &order, out)
        {
            return;
        }
        let live = live_of(&order);
        let Some(stream) = self.stream_mut(id) else { return };
        stream.order(now, order, out);
        if stream.speaks() {
            self.voices.streams.insert(id);
            self.voices.next.get_or_insert(now);
        }
        if let Some(camera) = live {
            self.listen_to(id, camera, out);
        }
    }

    /// An order to who sits between two sides.
    pub(super) fn tap(&mut self, now: Instant, id: StreamId, order: TapOrder, out: &mut Outbox) {
        let Some(stream) = self.stream_mut(id) else { return };
        stream.tap(now, order, out);
        if stream.is_tapped() {
            self.voices.streams.insert(id);
            self.voices.next.get_or_insert(now);
        } else if !stream.speaks() {
            self.voices.forget(id, out);
        }
    }

    /// The driver has something to say of a file.
    pub(super) fn file(&mut self, answer: &Answer, out: &mut Outbox) {
        let id = answer.stream();
        if let Some(stream) = self.stream_mut(id) {
            stream.answered(answer);
        }
        if let Answer::Recorded { order, outcome, .. } = answer {
            let is = |one: &mut RoomTake| one.of == id && one.take.order() == *order;
            self.voices.rooms.values_mut().for_each(|room| _ = room.take.take_if(is));
            let heard = Heard::Recorded { order: *order, outcome: *outcome };
            out.reports.push(Report::Heard { stream: id, heard });
        }
    }

    /// Lets time pass for them, 20 ms after 20 ms.
    pub(super) fn let_speak(&mut self, now: Instant, out: &mut Outbox) {
        let mut steps = 0;
        while let Some(due) = self.voices.next.filter(|due| *due <= now) {
            // After a stall of the thread the rest of the time is lost.
            steps += 1;
            self.voices.next = Some(if steps >= MOST_STEPS { now } else { due } + STEP);
            self.step(now, out);
        }
    }

    fn step(&mut self, now: Instant, out: &mut Outbox) {
        let mut rooms = Rooms::default();
        let Relay { voices, names, streams, scratch, .. } = self;
        let places: Vec<u32> = voices.streams.iter().filter_map(|id| names.get(id).copied()).collect();
        for place in &places {
            if let Some(stream) = streams.get_mut(*place as usize) {
                stream.listen(now, &mut rooms, out);
            }
        }
        for (number, room) in &mut voices.rooms {
            if room.keep(*number, &mut rooms, out) {
                room.end_take(out);
            }
        }
        for place in &places {
            if let Some(stream) = streams.get_mut(*place as usize) {
                stream.speak(now, &mut rooms, &mut scratch[..], out);
            }
        }
    }
}

/// The camera whose sound is to be said.
fn live_of(order: &Order) -> Option<CameraId> {
    let Order::Play { clips, .. } = order else { return None };
    clips.iter().find_map(|clip| match clip {
        Clip::Live(camera) => Some(*camera),
        _ => None,
    })
}

/// No end has this place under the name of its stream.
const NOBODY: u8 = u8::MAX;
const STEP: Duration = Duration::from_millis(20);
/// What is made up for at once.
const MOST_STEPS: u32 = 10;

#[cfg(test)]
mod tests;
