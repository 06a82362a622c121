//! Click to dial: an operator, or a program at the API, has two called that are to talk: first one, and as soon as somebody
//! has answered there, the other.

use std::collections::BTreeMap;

use super::{Kind, Service};
use crate::b2bua::{CallId, Calls, Dial, Dialled, Point, ShownAs};
use crate::directory::AddressOfRecord;
use crate::speech;

pub(super) const KIND: Kind = Kind {
    name: "click",
    summary: "connects two whom a program wants to talk with each other",
    number: |_| None,
    make: |_| Box::new(Click::default()),
};

#[derive(Default)]
struct Click {
    calls: BTreeMap<CallId, Wish>,
}

/// Whom somebody wants to talk with.
struct Wish {
    account: AddressOfRecord,
    to: String,
}

impl Service for Click {
    fn wish(&mut self, account: &AddressOfRecord, to: &str, calls: &mut Calls<'_, '_, '_>) -> bool {
        if self.calls.len() >= MOST {
            return false;
        }
        let (by, shown) = (Some(account.clone()), ShownAs::Exchange(to.to_owned(), to.to_owned()));
        let call = calls.originate(Dial::new(account.to_string(), by, shown));
        self.calls.insert(call, Wish { account: account.clone(), to: to.to_owned() });
        true
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        let Some(wish) = self.calls.get(&call) else { return };
        match point {
            Point::Dialled(Dialled::Answered(answered)) if answered == call => {
                let (by, shown) = (Some(wish.account.clone()), ShownAs::Account(wish.account.clone()));
                calls.play(call, speech::ringing());
                calls.dial(call, Dial::new(wish.to.clone(), by, shown));
            }
            // It rings for as long as it takes.
            Point::Played if calls.partner(call).is_none() => calls.play(call, speech::ringing()),
            Point::Dialled(Dialled::Failed(_)) => {
                calls.hang_up(call);
                self.calls.remove(&call);
            }
            Point::Ended => _ = self.calls.remove(&call),
            Point::Dialled(Dialled::Ringing | Dialled::Answered(_))
            | Point::Played
            | Point::Digit(_)
            | Point::Recorded(_)
            | Point::Room(_)
            | Point::Closed(_) => {}
        }
    }
}

/// Wishes at a time, of a shard.
const MOST: usize = 1_000;
