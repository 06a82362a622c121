//! Call pickup (RFC 5359 §2.16): who hears a phone of its group ring takes the call at its own: `*8` whichever rings, `*8` and
//! a number that of somebody.

use super::{Kind, Service, Settings, Verdict, connected_or_told};
use crate::b2bua::{CallId, Calls, Endpoint, Point};
use crate::refusal::Refusal;

pub(super) const KIND: Kind = Kind {
    name: "pickup",
    summary: "takes a call that rings in one's pickup group; with a number after it, that of one account",
    number: |settings| settings.pickup_number.as_deref(),
    make: |settings| Box::new(Pickup { number: settings.pickup_number.clone() }),
};

struct Pickup {
    number: Option<String>,
}

impl Service for Pickup {
    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        connected_or_told(call, point, "pickup-none", calls);
    }

    fn configure(&mut self, settings: &Settings) {
        self.number.clone_from(&settings.pickup_number);
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let dialled = calls.dialled(call).unwrap_or_default().to_owned();
        let Some(rest) = self.number.as_deref().and_then(|number| dialled.strip_prefix(number)) else {
            return Verdict::Continue;
        };
        let named = calls.account_of(rest);
        if named.is_none() && !rest.is_empty() || !calls.is_from_account(call) {
            return Verdict::Continue;
        }
        let Some(caller) = calls.caller_account(call) else { return Verdict::Continue };
        let group = calls.pickup_group(&caller);
        let accounts = match named {
            Some(named) if named == caller => vec![named],
            Some(named) if calls.pickup_group(&named).is_some_and(|its| Some(its) == group) => vec![named],
            Some(_) => {
                return Verdict::Reject(Refusal::forbidden("Not in one pickup group with this account"));
            }
            None => match group.map(|group| calls.members(&group)) {
                Some(members) => members,
                None => return Verdict::Reject(Refusal::forbidden("This account is in no pickup group")),
            },
        };
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            calls.pick_up(call, accounts);
        }
        answered.into()
    }
}
