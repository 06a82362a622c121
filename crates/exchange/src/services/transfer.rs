//! Transfer by keys, for phones that have no key for it (RFC 5359 §2.4 by other means): `*2`, a number, `#`. The exchange hears
//! keys in calls whose parties both have ends of ours: those that were picked up, fetched, transferred or connected here.

use std::collections::BTreeMap;

use super::{Kind, Service, Settings};
use crate::b2bua::{CallId, Calls, Dial, Dialled, Point, ShownAs};
use crate::directory::AddressOfRecord;
use crate::speech;

pub(super) const KIND: Kind = Kind {
    name: "transfer",
    summary: "in a call that the exchange hears: a number after it, and #, and the other party is transferred there",
    number: |settings| settings.transfer_code.as_deref(),
    make: |settings| {
        Box::new(Transfer {
            code: settings.transfer_code.clone(),
            keys: BTreeMap::new(),
            calls: BTreeMap::new(),
        })
    },
};

struct Transfer {
    code: Option<String>,
    /// What each has pressed, as long as it may become something.
    keys: BTreeMap<CallId, String>,
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

    fn keyed(&mut self, call: CallId, key: char, calls: &mut Calls<'_, '_, '_>) {
        let Some(code) = &self.code else { return };
        let pressed = self.keys.entry(call).or_default();
        pressed.push(key);
        let number = pressed.strip_prefix(code.as_str());
        let fits = code.starts_with(pressed.as_str()) || number.is_some();
        if !fits || pressed.len() > LONGEST || calls.partner(call).is_none() {
            // The last key may begin anew.
            let again = code.starts_with(key);
            self.keys.remove(&call);
            self.keys.extend(again.then(|| (call, key.to_string())));
            return;
        }
        let Some(to) = number.and_then(|number| number.strip_suffix('#')).map(str::to_owned) else { return };
        self.keys.remove(&call);
        if !to.is_empty() {
            self.transfer(call, to, calls);
        }
    }

    fn over(&mut self, call: CallId) {
        self.keys.remove(&call);
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
    fn transfer(&mut self, call: CallId, to: String, calls: &mut Calls<'_, '_, '_>) {
        let Some(by) = calls.account(call) else { return };
        let Some(other) = calls.part(call) else { return };
        calls.hang_up(call);
        calls.play(other, speech::ringing());
        calls.dial(other, Dial::new(to, Some(by.clone()), ShownAs::Party(other)));
        self.calls.insert(other, Referred { by, comes_back: false });
    }
}

/// No number is longer.
const LONGEST: usize = 40;
