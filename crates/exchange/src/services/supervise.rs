//! Supervision: an account that may do so listens to a call of another, whispers to it, or joins in (barge).
//!
//! The call stays where it is; somebody of ours comes between its parties (`proxy/anchor/tap`), and the supervisor sits in
//! a room with what they say, whatever shard that call is of.

use std::collections::BTreeMap;

use super::{Kind, Service, Settings as All, Verdict};
use crate::b2bua::{CallId, Calls, Endpoint, Point};
use crate::directory::AddressOfRecord;
use crate::proxy::anchor::How;
use crate::refusal::Refusal;
use crate::speech::Speech;

pub(super) const KIND: Kind = Kind {
    name: "supervise",
    summary: "listens to the call of an account whose number follows; 4 listens, 5 whispers, 6 joins in",
    number: |settings| settings.supervise.listen.as_deref(),
    make: |settings| Box::new(Supervise::new(settings)),
};

/// What is dialled before the number of an account; `None`: nothing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Both are heard, and hear nothing.
    pub listen: Option<String>,
    /// The account hears the supervisor, the other does not.
    pub whisper: Option<String>,
    /// All hear each other.
    pub barge: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let code = |code: &str| Some(code.to_owned());
        Self { listen: code("*901"), whisper: code("*902"), barge: code("*903") }
    }
}

struct Supervise {
    settings: Settings,
    visits: BTreeMap<CallId, Visit>,
}

/// One who listens.
struct Visit {
    account: AddressOfRecord,
    by: AddressOfRecord,
    how: How,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is found out whether there is a call.
    Asks,
    Listens,
    /// It is told that there is none, and goes.
    Goes,
}

impl Supervise {
    fn new(settings: &All) -> Self {
        Self { settings: settings.supervise.clone(), visits: BTreeMap::new() }
    }

    fn asked<'d>(&self, dialled: &'d str) -> Option<(How, &'d str)> {
        let Settings { listen, whisper, barge } = &self.settings;
        let codes = [(How::Listen, listen), (How::Whisper, whisper), (How::Barge, barge)];
        let mut asked =
            codes.into_iter().filter_map(|(how, code)| Some((how, dialled.strip_prefix(code.as_deref()?)?)));
        asked.find(|(_, rest)| !rest.is_empty())
    }

    fn begin(
        &mut self,
        call: CallId,
        (how, number): (How, &str),
        calls: &mut Calls<'_, '_, '_>,
    ) -> Result<(), Refusal> {
        let by =
            calls.caller_account(call).ok_or_else(|| Refusal::forbidden("Only accounts supervise others"))?;
        let account = calls.account_of(number).ok_or_else(Refusal::not_found)?;
        if !calls.may_supervise(&by, &account) {
            return Err(Refusal::forbidden("This account may not listen to that one"));
        }
        calls.answer(call, Endpoint::Voice)?;
        calls.supervise(call, (&account, &by), Some(how));
        calls.say(call, Speech::new().pause(SETTLE_MS));
        self.visits.insert(call, Visit { account, by, how, step: Step::Asks });
        Ok(())
    }
}

impl Service for Supervise {
    fn configure(&mut self, settings: &All) {
        self.settings.clone_from(&settings.supervise);
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let dialled = calls.dialled(call).unwrap_or_default().to_owned();
        match self.asked(&dialled) {
            Some(asked) => self.begin(call, asked, calls).into(),
            None => Verdict::Continue,
        }
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        let Some(visit) = self.visits.get_mut(&call) else { return };
        match (visit.step, point) {
            (_, Point::Ended) => {
                calls.supervise(call, (&visit.account, &visit.by), None);
                self.visits.remove(&call);
            }
            (Step::Asks, Point::Played) if calls.is_supervising(call) => {
                visit.step = Step::Listens;
                calls.sit_with_supervised(call, visit.how);
            }
            (Step::Asks, Point::Played) => {
                visit.step = Step::Goes;
                calls.say(call, Speech::new().say("no-call-to-hear").pause(300));
            }
            (Step::Goes, Point::Played) => calls.hang_up(call),
            (Step::Listens, Point::Digit(key)) => {
                let Some(how) = How::of_key(key) else { return };
                visit.how = how;
                calls.supervise(call, (&visit.account, &visit.by), Some(how));
                calls.sit_with_supervised(call, how);
            }
            _ => {}
        }
    }
}

/// In this time the other shards have said whether the call is with them, and the phone is at the ear.
const SETTLE_MS: u32 = 600;
