//! The ends that speak and listen: all of them in step, so that those in one room hear each other.

use super::{Outbox, Relay};
use crate::camera::CameraId;
use crate::command::{Report, StreamId};
use crate::tap::TapOrder;
use crate::voice::file::Answer;
use crate::voice::{Clip, Closed, Heard, Order, RATE, Rooms, Take};
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
    /// What is said in it is recorded, for the stream and by the order of who wanted that.
    take: Option<(StreamId, Take)>,
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
                let room = self.seats.get(&stream).and_then(|room| self.rooms.get_mut(room));
                let Some(room) = room else { return true };
                room.end_take(out);
                room.take = recording.clone().map(|(order, recording)| {
                    (stream, Take::new(stream, (order, recording), (RATE, 1), &mut out.files))
                });
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
        if room.members.is_empty() {
            room.end_take(out);
            self.rooms.remove(&number);
        }
    }
}

impl Room {
    fn end_take(&mut self, out: &mut Outbox) {
        if let Some((_, take)) = self.take.take() {
            take.end(&mut out.files);
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
            let is = |(stream, take): &mut (StreamId, Take)| *stream == id && take.order() == *order;
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
            let Some((stream, take)) = &mut room.take else { continue };
            // Somebody who has said nothing hears all.
            let said = rooms.heard_by(*number, (*stream, NOBODY));
            if take.push(&[&said], &mut out.files) {
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
