//! A third party comes to a call: who presses `*4`, a number and `#` in a call that the exchange hears has that number called, and all
//! hear each other when it answers. Any of them may add more, and go.

use std::collections::BTreeMap;

use super::keys::Pressed;
use super::{Kind, Service, Settings};
use crate::b2bua::{CallId, Calls, Dial, Dialled, LegId, Point, ShownAs};

pub(super) const KIND: Kind = Kind {
    name: "add",
    summary: "in a call that the exchange hears: a number after it, and #, and who answers there comes to the call",
    number: |settings| settings.add_code.as_deref(),
    make: |settings| Box::new(Add { code: settings.add_code.clone(), ..Add::default() }),
};

#[derive(Default)]
struct Add {
    code: Option<String>,
    pressed: Pressed,
    /// Those who are called, and by whose leg they were wanted.
    wanted: BTreeMap<CallId, LegId>,
    /// The rooms in which calls of several meet.
    rooms: BTreeMap<CallId, u64>,
}

impl Add {
    /// Who was wanted has answered.
    fn meet(&mut self, new: CallId, by: LegId, calls: &mut Calls<'_, '_, '_>) {
        let goes_on = calls.is_recorded(by);
        let (mut all, known) = (vec![new], self.rooms.get(&by.call).copied());
        let room = known.unwrap_or_else(|| {
            all.extend(calls.halve(by).into_iter().flatten());
            ROOM | calls.unique(by.call)
        });
        let others = self.rooms.values().filter(|one| **one == room).count();
        if others == 0 && all.len() == 1 || others >= usize::from(MOST) {
            return calls.hang_up(new);
        }
        all.retain(|call| calls.take(*call));
        self.rooms.extend(all.iter().map(|call| (*call, room)));
        calls.meet_several(&all, (room, MOST), goes_on);
    }

    /// Somebody has gone: who is alone then goes too.
    fn gone(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        self.wanted.remove(&call);
        let Some(room) = self.rooms.remove(&call) else { return };
        let left: Vec<_> =
            self.rooms.iter().filter(|(_, one)| **one == room).map(|(call, _)| *call).collect();
        match left[..] {
            [last] => calls.hang_up(last),
            // Who kept the recording may be the one who has gone.
            [one, ..] => calls.record_several(one, false),
            [] => {}
        }
    }
}

impl Service for Add {
    fn keyed(&mut self, leg: LegId, key: char, calls: &mut Calls<'_, '_, '_>) {
        let Some(code) = &self.code else { return };
        let may = calls.talks(leg) || self.rooms.contains_key(&leg.call);
        let Some(to) = self.pressed.key(leg, key, code, may) else { return };
        let Some(by) = calls.account_of_leg(leg) else { return };
        let is_first = calls.first_leg(leg.call) == Some(leg);
        let shown = if is_first { ShownAs::Party(leg.call) } else { ShownAs::Account(by.clone()) };
        let new = calls.originate(Dial::new(to, Some(by), shown));
        self.wanted.insert(new, leg);
    }

    fn configure(&mut self, settings: &Settings) {
        self.code.clone_from(&settings.add_code);
    }

    fn over(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        self.pressed.forget(call);
        // Nobody needs to answer for one who has gone before all met.
        let wanted: Vec<_> =
            self.wanted.iter().filter(|(_, by)| by.call == call).map(|(new, _)| *new).collect();
        for new in wanted.into_iter().filter(|_| !self.rooms.contains_key(&call)) {
            self.wanted.remove(&new);
            calls.hang_up(new);
        }
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        match point {
            Point::Dialled(Dialled::Answered(_)) => {
                if let Some(by) = self.wanted.remove(&call) {
                    self.meet(call, by, calls);
                }
            }
            Point::Dialled(Dialled::Failed(_)) | Point::Ended => self.gone(call, calls),
            _ => {}
        }
    }
}

/// Rooms that are neither those of conferences nor those of two halves.
const ROOM: u64 = 1 << 62;
/// Parties of a call.
const MOST: u16 = 10;
