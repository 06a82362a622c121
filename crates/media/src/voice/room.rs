//! Rooms: each of those in one hears the others and not itself.

use super::{FRAME, Frame};
use crate::command::StreamId;
use std::collections::BTreeMap;

/// What is said in all rooms within the same 20 ms.
#[derive(Debug, Default)]
pub(crate) struct Rooms(BTreeMap<u64, Room>);

#[derive(Debug, Default)]
struct Room {
    said: Vec<Said>,
    sum: Option<Box<[i32; FRAME]>>,
}

/// Who sits there: a stream, and which of those that sit there under its name.
type Seat = (StreamId, u8);

#[derive(Debug)]
struct Said {
    by: Seat,
    energy: u64,
    frame: Frame,
}

impl Rooms {
    /// Somebody says something.
    pub(crate) fn say(&mut self, room: u64, by: Seat, frame: &Frame) {
        let energy = frame.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
        // Digital silence adds nothing.
        if energy > 0 {
            self.0.entry(room).or_default().said.push(Said { by, energy, frame: *frame });
        }
    }

    /// What one who sits in the room says.
    pub(crate) fn said_by(&self, room: u64, who: Seat) -> Frame {
        let said = self.0.get(&room).and_then(|room| room.said.iter().find(|one| one.by == who));
        said.map_or([0; FRAME], |one| one.frame)
    }

    /// When all have spoken: what one who sits in the room hears of the loudest of them, itself left out.
    pub(crate) fn heard_by(&mut self, room: u64, who: Seat) -> Frame {
        let Some(room) = self.0.get_mut(&room) else { return [0; FRAME] };
        let said = &mut room.said;
        let sum = room.sum.get_or_insert_with(|| {
            // Of those as loud as each other the first to come, so that it does not change from frame to frame.
            said.sort_by_key(|one| std::cmp::Reverse(one.energy));
            said.truncate(SPEAKERS);
            let mut sum = Box::new([0; FRAME]);
            for one in said.iter() {
                sum.iter_mut().zip(&one.frame).for_each(|(sum, sample)| *sum += i32::from(*sample));
            }
            sum
        });
        let own = said.iter().find(|one| one.by == who).map(|one| &one.frame);
        let mut heard = [0; FRAME];
        for (n, (heard, sum)) in heard.iter_mut().zip(sum.iter()).enumerate() {
            let others = sum - own.map_or(0, |own| i32::from(own[n]));
            *heard = others.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
        heard
    }
}

/// So many are heard at once; the noise of more rooms than that helps nobody.
const SPEAKERS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hears_the_others_and_not_itself() {
        let mut rooms = Rooms::default();
        for (n, level) in [(1, 100), (2, 20), (3, 3)] {
            rooms.say(9, (StreamId(n), 0), &[level; FRAME]);
        }
        let heard = [1, 2, 3, 4].map(|n| rooms.heard_by(9, (StreamId(n), 0))[0]);
        assert_eq!(heard, [23, 103, 120, 123]);
        assert_eq!(rooms.heard_by(8, (StreamId(1), 0)), [0; FRAME]);
    }

    #[test]
    fn of_many_the_loudest_are_heard_and_loudness_has_an_end() {
        let mut rooms = Rooms::default();
        for n in 0..100 {
            rooms.say(1, (StreamId(n), 0), &[if n < 95 { 1 } else { 30_000 }; FRAME]);
        }
        assert_eq!(rooms.heard_by(1, (StreamId(0), 0)), [i16::MAX; FRAME]);
        assert_eq!(rooms.heard_by(1, (StreamId(99), 0))[0], i16::MAX);
    }
}
