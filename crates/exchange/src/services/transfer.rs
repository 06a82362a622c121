//! Transfer by keys, for phones that have no key for it (RFC 5359 §2.4 by other means): `*2`, a number, `#`. The exchange hears
//! keys in calls whose parties both have ends of ours: those that were picked up, fetched, transferred or connected here; and in
//! others where that is wanted ([`super::in_call_codes`]).

use std::collections::BTreeMap;

use super::keys::Pressed;
use super::{Kind, Service, Settings};
use crate::b2bua::{CallId, Calls, Dial, Dialled, LegId, Point, ShownAs};
use crate::directory::AddressOfRecord;
use crate::speech;

pub(super) const KIND: Kind = Kind {
    name: "transfer",
    summary: "in a call that the exchange hears: a number after it, and #, and the other party is transferred there",
    number: |settings| settings.transfer_code.as_deref(),
    make: |settings| {
        Box::new(Transfer {
            code: settings.transfer_code.clone(),
            pressed: Pressed::default(),
            calls: BTreeMap::new(),
        })
    },
};

struct Transfer {
    code: Option<String>,
    pressed: Pressed,
    /// Those who are transferred, and by whom, until somebody has answered.
    calls: BTreeMap<CallId, Referred>,
}

struct Referred {
    by: AddressOfRecord,
    /// Whether the one who has transferred it is being called.
    comes_back: bool,
}

impl Service for Transfer {
    fn configure(&mut self, settings: &Settings) {
        self.code.clone_from(&settings.transfer_code);
    }

    fn keyed(&mut self, by: LegId, key: char, calls: &mut Calls<'_, '_, '_>) {
        let Some(code) = &self.code else { return };
        let may = calls.talks(by);
        if let Some(to) = self.pressed.key(by, key, code, may) {
            self.transfer(by, to, calls);
        }
    }

    fn over(&mut self, call: CallId, _calls: &mut Calls<'_, '_, '_>) {
        self.pressed.forget(call);
        self.calls.remove(&call);
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        let Some(referred) = self.calls.get_mut(&call) else { return };
        match point {
            Point::Dialled(Dialled::Failed(_)) if !referred.comes_back => {
                referred.comes_back = true;
                let by = referred.by.clone();
                calls.dial(call, Dial::new(by.to_string(), Some(by), ShownAs::Party(call)));
            }
            Point::Dialled(Dialled::Failed(_)) => {
                self.calls.remove(&call);
                calls.hang_up(call);
            }
            Point::Dialled(Dialled::Answered(_)) | Point::Ended => _ = self.calls.remove(&call),
            Point::Dialled(Dialled::Ringing)
            | Point::Played
            | Point::Digit(_)
            | Point::Recorded(_)
            | Point::Room(_)
            | Point::Closed(_) => {}
        }
    }
}

impl Transfer {
    fn transfer(&mut self, leg: LegId, to: String, calls: &mut Calls<'_, '_, '_>) {
        let Some(by) = calls.account_of_leg(leg) else { return };
        let Some(other) = calls.leave_other(leg) else { return };
        calls.play(other, speech::ringing());
        calls.dial(other, Dial::new(to, Some(by.clone()), ShownAs::Party(other)));
        self.calls.insert(other, Referred { by, comes_back: false });
    }
}
