//! Echo test: who dials its number hears itself, and so learns whether it is heard and how well.

use super::{Kind, Service, Settings, Verdict};
use crate::b2bua::{CallId, Calls, Endpoint};

pub(super) const KIND: Kind = Kind {
    name: "echo",
    summary: "gives the sound of the caller back",
    number: |settings| settings.echo_number.as_deref(),
    make: |settings| Box::new(Echo::new(settings)),
};

struct Echo {
    number: Option<String>,
}

impl Echo {
    fn new(settings: &Settings) -> Self {
        Self { number: settings.echo_number.clone() }
    }
}

impl Service for Echo {
    fn configure(&mut self, settings: &Settings) {
        *self = Self::new(settings);
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        if self.number.is_none()
            || calls.dialled(call) != self.number.as_deref()
            || !calls.is_from_account(call)
        {
            return Verdict::Continue;
        }
        calls.answer(call, Endpoint::Echo).into()
    }
}
