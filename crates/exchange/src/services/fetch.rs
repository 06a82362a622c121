//! A live call moves from one of one's phones to another, which dials a number for it.

use super::{Kind, Service, Settings, Verdict, connected_or_told};
use crate::b2bua::{CallId, Calls, Endpoint, Point};

pub(super) const KIND: Kind = Kind {
    name: "fetch",
    summary: "takes the call that one has at another of one's phones, if the exchange has a leg in it",
    number: |settings| settings.fetch_number.as_deref(),
    make: |settings| Box::new(Fetch { number: settings.fetch_number.clone() }),
};

struct Fetch {
    number: Option<String>,
}

impl Service for Fetch {
    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        if self.number.is_none() || calls.dialled(call) != self.number.as_deref() {
            return Verdict::Continue;
        }
        let own = calls.caller_account(call).filter(|_| calls.diverted_by(call).is_none());
        let Some(account) = own else { return Verdict::Continue };
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            calls.fetch(call, account);
        }
        answered.into()
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        connected_or_told(call, point, "fetch-none", calls);
    }

    fn configure(&mut self, settings: &Settings) {
        self.number.clone_from(&settings.fetch_number);
    }
}
