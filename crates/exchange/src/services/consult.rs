//! Attended transfer by keys, for phones that have no key for it (RFC 5359 §2.5 by other means): who presses `*6`, a number and `#`
//! in a call that the exchange hears talks with that number alone, while the other party hears music. When it hangs up, the two that
//! are left talk with each other; when the one who was asked goes, or `*6#` is pressed, all is as it was.

use super::keys::Pressed;
use super::{Kind, Service, Settings};
use crate::b2bua::{CallId, Calls, Dial, Dialled, LegId, Point, ShownAs};
use crate::directory::AddressOfRecord;
use crate::speech;

pub(super) const KIND: Kind = Kind {
    name: "consult",
    summary: "in a call that the exchange hears: a number after it, and #, to talk there before the other party is transferred",
    number: |settings| settings.consult_code.as_deref(),
    make: |settings| {
        Box::new(Consult {
            code: settings.consult_code.clone(),
            pressed: Pressed::default(),
            under_way: Vec::new(),
        })
    },
};

struct Consult {
    code: Option<String>,
    pressed: Pressed,
    under_way: Vec<Consultation>,
}

/// Three calls, as long as they may be put together in more than one way.
struct Consultation {
    by: AddressOfRecord,
    /// The one who asks, unless it has gone.
    asks: Option<CallId>,
    /// The one who waits, unless it has gone.
    waits: Option<CallId>,
    /// The one who is asked.
    asked: CallId,
    has_answered: bool,
    /// Whether the one who asked, and has gone, is being called.
    comes_back: bool,
}

impl Consultation {
    fn has(&self, call: CallId) -> bool {
        [self.asks, self.waits, Some(self.asked)].contains(&Some(call))
    }

    /// What comes next; whether the consultation goes on.
    fn point(&mut self, call: CallId, point: &Point, calls: &mut Calls<'_, '_, '_>) -> bool {
        match point {
            Point::Dialled(Dialled::Answered(_)) if call == self.asked => self.answered(calls),
            Point::Dialled(Dialled::Failed(_)) if call == self.asked => self.in_vain(calls),
            // Who came back is connected; who does not leaves nobody to wait for.
            Point::Dialled(Dialled::Answered(_)) => false,
            Point::Dialled(Dialled::Failed(_)) => {
                calls.hang_up(call);
                false
            }
            Point::Ended => self.gone(call, calls),
            _ => true,
        }
    }

    fn answered(&mut self, calls: &mut Calls<'_, '_, '_>) -> bool {
        self.has_answered = true;
        match (self.asks, self.waits) {
            (Some(asks), Some(_)) => {
                let both = [asks, self.asked];
                calls.meet_several(&both, (ROOM | calls.unique(asks), 2), false);
                return true;
            }
            (Some(one), None) | (None, Some(one)) => _ = calls.connect(one, self.asked),
            (None, None) => calls.hang_up(self.asked),
        }
        false
    }

    fn in_vain(&mut self, calls: &mut Calls<'_, '_, '_>) -> bool {
        match (self.asks, self.waits) {
            (Some(asks), Some(waits)) => _ = calls.connect(asks, waits),
            (Some(asks), None) => calls.hang_up(asks),
            (None, Some(waits)) => {
                self.comes_back = true;
                let by = self.by.clone();
                calls.dial(waits, Dial::new(by.to_string(), Some(by), ShownAs::Party(waits)));
                return true;
            }
            (None, None) => {}
        }
        false
    }

    fn gone(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> bool {
        if call == self.asked {
            return self.in_vain(calls);
        }
        if self.asks == Some(call) {
            self.asks = None;
        } else {
            self.waits = None;
        }
        match self.asks.or(self.waits) {
            Some(left) if self.has_answered => {
                calls.connect(left, self.asked);
                false
            }
            Some(_) if self.comes_back => false,
            Some(left) => {
                // It goes on waiting for who has not answered yet.
                calls.play(left, speech::ringing());
                true
            }
            None => {
                calls.hang_up(self.asked);
                false
            }
        }
    }
}

impl Consult {
    fn ask(&mut self, leg: LegId, to: String, calls: &mut Calls<'_, '_, '_>) {
        let Some(by) = calls.account_of_leg(leg) else { return };
        let Some([one, other]) = calls.halve(leg) else { return };
        let is_its = calls.first_leg(one).is_some_and(|first| first.leg == leg.leg);
        let (asks, waits) = if is_its { (one, other) } else { (other, one) };
        for half in [asks, waits] {
            calls.take(half);
        }
        calls.music(waits);
        calls.play(asks, speech::ringing());
        let asked = calls.originate(Dial::new(to, Some(by.clone()), ShownAs::Account(by.clone())));
        let (asks, waits) = (Some(asks), Some(waits));
        self.under_way.push(Consultation { by, asks, waits, asked, has_answered: false, comes_back: false });
    }
}

impl Service for Consult {
    fn configure(&mut self, settings: &Settings) {
        self.code.clone_from(&settings.consult_code);
    }

    fn keyed(&mut self, leg: LegId, key: char, calls: &mut Calls<'_, '_, '_>) {
        let Some(code) = &self.code else { return };
        let asks = self.under_way.iter().position(|one| one.asks == Some(leg.call));
        let may = asks.is_some() || calls.talks(leg);
        match (self.pressed.complete(leg, key, code, may), asks) {
            (Some(number), Some(at)) if number.is_empty() => {
                let mut back = self.under_way.swap_remove(at);
                calls.hang_up(back.asked);
                back.in_vain(calls);
            }
            (Some(number), None) if !number.is_empty() => self.ask(leg, number, calls),
            _ => {}
        }
    }

    fn over(&mut self, call: CallId, _calls: &mut Calls<'_, '_, '_>) {
        self.pressed.forget(call);
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        let Some(at) = self.under_way.iter().position(|one| one.has(call)) else { return };
        if !self.under_way[at].point(call, &point, calls) {
            self.under_way.swap_remove(at);
        }
    }
}

/// Rooms of those who talk alone; see [`super::add`] for others.
const ROOM: u64 = 0b101 << 60;
