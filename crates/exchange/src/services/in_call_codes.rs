//! Codes that are pressed in calls, also in those between two phones: where that is wanted they are bridged instead of forwarded, so
//! that the exchange can take them apart, and their sound goes through it, so that it hears keys.

use super::{Kind, Service, Settings, Verdict};
use crate::b2bua::{CallId, Calls, Shown};

pub(super) const KIND: Kind = Kind {
    name: "in_call_codes",
    summary: "has the codes of transfer, add, fetch and recording work in every call of an account",
    number: |_| None,
    make: |settings| Box::new(InCallCodes { all_calls: settings.codes_in_all_calls }),
};

struct InCallCodes {
    all_calls: bool,
}

impl Service for InCallCodes {
    fn configure(&mut self, settings: &Settings) {
        self.all_calls = settings.codes_in_all_calls;
    }

    fn routed(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        match self.all_calls && calls.has_phones(call) {
            true => calls.bridge(call, Shown::AsItSays).into(),
            false => Verdict::Continue,
        }
    }
}
