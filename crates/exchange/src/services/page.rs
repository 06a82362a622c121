//! Paging: one speaks, and the phones of a group answer by themselves and let it be heard. They are not heard.

use std::collections::BTreeMap;
use std::time::Duration;

use super::intercom::answer_by_itself;
use super::{Kind, Service, Settings as All, Verdict};
use crate::b2bua::{CallId, Calls, Dial, Dialled, Endpoint, Point, ShownAs};
use crate::refusal::Refusal;
use crate::speech::Speech;

pub(super) const KIND: Kind = Kind {
    name: "page",
    summary: "speaks to all phones of a group, which answer by themselves",
    number: |settings| settings.pages.first().map(|page| page.number.as_str()),
    make: |settings| Box::new(Pages::new(settings)),
};

/// A group of phones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What is dialled.
    pub number: String,
    /// Numbers and names of accounts.
    pub members: Vec<String>,
}

struct Pages {
    pages: Vec<Page>,
    /// By the call of who speaks: those who hear it, or are being called.
    speakers: BTreeMap<CallId, Vec<CallId>>,
    /// Whom each of them hears.
    listeners: BTreeMap<CallId, CallId>,
}

impl Pages {
    fn new(settings: &All) -> Self {
        Self { pages: settings.pages.clone(), speakers: BTreeMap::new(), listeners: BTreeMap::new() }
    }

    fn begin(&mut self, call: CallId, at: usize, calls: &mut Calls<'_, '_, '_>) -> Result<(), Refusal> {
        let refused = || Refusal::forbidden("This account may not make phones answer");
        let by = calls.caller_account(call).ok_or_else(refused)?;
        if !calls.may_intercom(&by) {
            return Err(refused());
        }
        calls.answer(call, Endpoint::Voice)?;
        let mut listeners = Vec::new();
        for member in &self.pages[at].members {
            let account = calls.account_of(member).filter(|account| *account != by);
            let Some(account) = account else { continue };
            let dial = Dial::new(account.to_string(), Some(by.clone()), ShownAs::Party(call));
            let listener = calls.originate(Dial { headers: answer_by_itself(), rings_for: PATIENCE, ..dial });
            self.listeners.insert(listener, call);
            listeners.push(listener);
        }
        let room = room(calls.unique(call));
        // Whoever answers until the tone hears all of it.
        calls.say(call, Speech::new().pause(SETTLE_MS).beep());
        calls.join(call, room, false, MOST);
        self.speakers.insert(call, listeners);
        Ok(())
    }

    fn hears(&mut self, listener: CallId, point: &Point, calls: &mut Calls<'_, '_, '_>) {
        let Some(speaker) = self.listeners.get(&listener).copied() else { return };
        match point {
            Point::Dialled(Dialled::Answered(answered)) if *answered == listener => {
                calls.join(listener, room(calls.unique(speaker)), true, MOST);
            }
            Point::Dialled(Dialled::Failed(_)) | Point::Ended => {
                self.listeners.remove(&listener);
            }
            _ => {}
        }
    }
}

impl Service for Pages {
    fn configure(&mut self, settings: &All) {
        self.pages.clone_from(&settings.pages);
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let dialled = calls.dialled(call).unwrap_or_default();
        match self.pages.iter().position(|page| page.number == dialled) {
            Some(at) => self.begin(call, at, calls).into(),
            None => Verdict::Continue,
        }
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        self.hears(call, &point, calls);
        if point == Point::Ended {
            for listener in self.speakers.remove(&call).unwrap_or_default() {
                calls.hang_up(listener);
            }
        }
    }
}

/// The room of who speaks in a call with this number, apart from those of conferences and supervisors.
const fn room(unique: u64) -> u64 {
    1 << 62 | unique
}

/// Phones that answer by themselves do so at once.
const PATIENCE: Duration = Duration::from_secs(15);
const SETTLE_MS: u32 = 1500;
/// Phones that hear one.
const MOST: u16 = 500;
