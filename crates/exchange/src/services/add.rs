//! A third party comes to a call: who presses `*4`, a number and `#` in a call that the exchange hears has that number called, and all
//! hear each other when it answers. Any of them may add more, and go.

use std::collections::BTreeMap;

use super::keys::Pressed;
use super::{Kind, Service, Settings};
use crate::b2bua::{CallId, Calls, Dial, Dialled, Point, ShownAs};

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
    /// Those who are called, and by whose call they were wanted.
    wanted: BTreeMap<CallId, CallId>,
    /// The rooms in which calls of several meet.
    rooms: BTreeMap<CallId, u64>,
}

impl Add {
    /// Who was wanted has answered.
    fn meet(&mut self, new: CallId, by: CallId, calls: &mut Calls<'_, '_, '_>) {
        let mut all = vec![new];
        let room = self.rooms.get(&by).copied().unwrap_or_else(|| {
            all.extend(calls.part(by).into_iter().flat_map(|other| [by, other]));
            ROOM | calls.unique(by)
        });
        let others = self.rooms.values().filter(|one| **one == room).count();
        if others == 0 && all.len() == 1 || others >= usize::from(MOST) {
            return calls.hang_up(new);
        }
        for call in all {
            if calls.take(call) {
                self.rooms.insert(call, room);
                calls.join(call, room, false, MOST);
            }
        }
    }

    /// Somebody has gone: who is alone then goes too.
    fn gone(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        self.wanted.remove(&call);
        let Some(room) = self.rooms.remove(&call) else { return };
        let left: Vec<_> =
            self.rooms.iter().filter(|(_, one)| **one == room).map(|(call, _)| *call).collect();
        if let [last] = left[..] {
            calls.hang_up(last);
        }
    }
}

impl Service for Add {
    fn keyed(&mut self, call: CallId, key: char, calls: &mut Calls<'_, '_, '_>) {
        let Some(code) = &self.code else { return };
        let may = calls.partner(call).is_some() || self.rooms.contains_key(&call);
        let Some(to) = self.pressed.key(call, key, code, may) else { return };
        let Some(by) = calls.account(call) else { return };
        let new = calls.originate(Dial::new(to, Some(by), ShownAs::Party(call)));
        self.wanted.insert(new, call);
    }

    fn configure(&mut self, settings: &Settings) {
        self.code.clone_from(&settings.add_code);
    }

    fn over(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        self.pressed.forget(call);
        // Nobody needs to answer for one who has gone before all met.
        let wanted: Vec<_> = self.wanted.iter().filter(|(_, by)| **by == call).map(|(new, _)| *new).collect();
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
