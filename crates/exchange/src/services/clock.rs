//! Speaking clock: who dials its number hears the time, to the second at a tone.

use super::{Kind, Service, Settings, Verdict};
use crate::b2bua::{CallId, Calls, Endpoint, Point};
use crate::directory::AddressOfRecord;
use crate::speech::{Speech, local};

pub(super) const KIND: Kind = Kind {
    name: "clock",
    summary: "tells the date and the time",
    number: |settings| settings.clock_number.as_deref(),
    make: |settings| Box::new(Clock { number: settings.clock_number.clone() }),
};

struct Clock {
    number: Option<String>,
}

impl Service for Clock {
    fn configure(&mut self, settings: &Settings) {
        self.number.clone_from(&settings.clock_number);
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let is_for_us = self.number.is_some() && calls.dialled(call) == self.number.as_deref();
        if !is_for_us || !calls.is_from_account(call) {
            return Verdict::Continue;
        }
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            self.tell(call, calls);
        }
        answered.into()
    }

    fn given(
        &mut self,
        call: CallId,
        (to, _): (&str, Option<&AddressOfRecord>),
        calls: &mut Calls<'_, '_, '_>,
    ) -> bool {
        let is_for_us = self.number.as_deref() == Some(to) && calls.take(call);
        if is_for_us {
            self.tell(call, calls);
        }
        is_for_us
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        match point {
            Point::Played => calls.hang_up(call),
            Point::Digit(_)
            | Point::Recorded(_)
            | Point::Room(_)
            | Point::Closed(_)
            | Point::Dialled(_)
            | Point::Ended => {}
        }
    }
}

impl Clock {
    fn tell(&self, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        let (now, zone) = calls.clock();
        let Some(now) = local(now, &zone) else { return calls.hang_up(call) };
        let speech = Speech::new().pause(SETTLE_MS).date(now.date()).pause(300);
        let speech = speech.say("clock-at-the-tone").time(now.time()).pause(300).beep().pause(300);
        calls.say(call, speech);
    }
}

/// What a phone needs until it is at the caller's ear.
const SETTLE_MS: u32 = 500;
