//! Calls that come by a trunk with a password, or with limits: the provider has its dialog with us, so that its challenges
//! are answered, its calls are counted, and it learns nothing of the phones here.

use super::{Kind, Service, Verdict};
use crate::b2bua::{CallId, Calls, Shown};

pub(super) const KIND: Kind = Kind {
    name: "trunk",
    summary: "takes calls that come by a trunk with a password or with limits",
    number: |_| None,
    make: |_| Box::new(Trunk),
};

struct Trunk;

impl Service for Trunk {
    fn routed(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        match calls.is_by_trunk(call) && calls.has_phones(call) {
            true => calls.bridge(call, Shown::AsItSays).into(),
            false => Verdict::Continue,
        }
    }
}
