//! Privacy (RFC 3323): a caller that asks for it is hidden from the phone that it calls. That phone has its dialog with
//! us, and learns nothing of where the caller is.

use super::{Kind, Service, Verdict};
use crate::b2bua::{CallId, Calls, Shown};

pub(super) const KIND: Kind = Kind {
    name: "privacy",
    summary: "hides a caller that asks for it (Privacy: user, header or session)",
    number: |_| None,
    make: |_| Box::new(Privacy),
};

struct Privacy;

impl Service for Privacy {
    fn routed(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        if !calls.has_phones(call) {
            return Verdict::Continue;
        }
        let wanted = calls.privacy(call);
        match (wanted.user, wanted.place) {
            (false, false) => Verdict::Continue,
            (true, _) => calls.bridge(call, Shown::Anonymous).into(),
            (false, true) => calls.bridge(call, Shown::AsItSays).into(),
        }
    }
}
