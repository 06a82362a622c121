//! Feature codes: an account dials one to change where its calls go, and hears that it is done. What is changed is what
//! `offhook account answering` changes.

use std::collections::BTreeMap;

use super::{Kind, Service, Settings as All, Verdict};
use crate::b2bua::{CallId, Calls, Endpoint, Point};
use crate::directory::AddressOfRecord;
use crate::keep::{AnsweringChange, Keep};
use crate::speech::Speech;

pub(super) const KIND: Kind = Kind {
    name: "codes",
    summary: "sends one's calls on: a code, * and the number; # in place of the first * ends it",
    number: |settings| settings.codes.shown.as_deref(),
    make: |settings| Box::new(Codes::new(settings)),
};

/// What is dialled; `None`: there is no such code. Each begins with a `*`, which a `#` in its place turns off again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// All calls go on.
    pub always: Option<String>,
    /// Those to someone busy.
    pub busy: Option<String>,
    /// Those that nobody answers.
    pub no_answer: Option<String>,
    /// Those to someone without a phone.
    pub unreachable: Option<String>,
    /// No phone rings.
    pub do_not_disturb: Option<String>,
    /// All of them, as they are shown.
    pub shown: Option<String>,
}

impl Settings {
    /// With these codes: all calls, busy, no answer, unreachable, do not disturb.
    pub fn new(codes: [Option<String>; 5]) -> Self {
        let shown: Vec<&str> = codes.iter().flatten().map(String::as_str).collect();
        let shown = (!shown.is_empty()).then(|| shown.join(" "));
        let [always, busy, no_answer, unreachable, do_not_disturb] = codes;
        Self { always, busy, no_answer, unreachable, do_not_disturb, shown }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(["*21", "*67", "*61", "*62", "*26"].map(|code| Some(code.to_owned())))
    }
}

struct Codes {
    settings: Settings,
    callers: BTreeMap<CallId, Step>,
}

/// What a caller waits for.
enum Step {
    /// For the store; this is said then.
    Kept(Speech),
    /// To hear it.
    Said,
}

impl Codes {
    fn new(settings: &All) -> Self {
        Self { settings: settings.codes.clone(), callers: BTreeMap::new() }
    }

    /// What is to change, and what is said of it.
    fn change(&self, dialled: &str) -> Option<(AnsweringChange, Speech)> {
        type Forwarding = fn(Option<String>) -> AnsweringChange;
        let Settings { always, busy, no_answer, unreachable, do_not_disturb, .. } = &self.settings;
        let speech = Speech::new().pause(SETTLE_MS);
        let forwards: [(&Option<String>, Forwarding); 4] = [
            (always, AnsweringChange::Always),
            (busy, AnsweringChange::Busy),
            (no_answer, AnsweringChange::NoAnswer),
            (unreachable, AnsweringChange::Unreachable),
        ];
        if let Some(off) = dialled.strip_prefix('#') {
            let is =
                |code: &Option<String>| code.as_deref().and_then(|code| code.strip_prefix('*')) == Some(off);
            if is(do_not_disturb) {
                return Some((AnsweringChange::DoNotDisturb(false), speech.say("codes-disturb")));
            }
            let (_, change) = forwards.into_iter().find(|(code, _)| is(code))?;
            return Some((change(None), speech.say("codes-forward-off")));
        }
        if do_not_disturb.as_deref() == Some(dialled) {
            return Some((AnsweringChange::DoNotDisturb(true), speech.say("codes-do-not-disturb")));
        }
        forwards.into_iter().find_map(|(code, change)| {
            let to = dialled.strip_prefix(code.as_deref()?)?.strip_prefix('*')?;
            let to = to.strip_suffix('#').filter(|to| !to.is_empty()).unwrap_or(to);
            let said = speech.clone().say("codes-forwarded").digits(to);
            let is_number = |sign: char| sign.is_ascii_alphanumeric() || "*+-._".contains(sign);
            (!to.is_empty() && to.chars().all(is_number)).then(|| (change(Some(to.to_owned())), said))
        })
    }
}

impl Service for Codes {
    fn configure(&mut self, settings: &All) {
        self.settings.clone_from(&settings.codes);
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let asked = calls.dialled(call).filter(|dialled| dialled.starts_with(['*', '#']));
        let Some((change, said)) = asked.and_then(|dialled| self.change(dialled)) else {
            return Verdict::Continue;
        };
        let own = calls.caller_account(call).filter(|_| calls.diverted_by(call).is_none());
        let Some(account) = own else { return Verdict::Continue };
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            self.ask(call, (account, change), said, calls);
        }
        answered.into()
    }

    fn kept(&mut self, call: CallId, is_kept: bool, calls: &mut Calls<'_, '_, '_>) {
        let Some(step) = self.callers.get_mut(&call) else { return };
        if let Step::Kept(said) = std::mem::replace(step, Step::Said) {
            let said = if is_kept { said } else { self.sorry() };
            calls.say(call, said);
        }
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        match (self.callers.get(&call), point) {
            (_, Point::Ended) => _ = self.callers.remove(&call),
            (Some(Step::Said), Point::Played) => calls.hang_up(call),
            // The store has not answered for as long as a caller has patience.
            (Some(Step::Kept(_)), Point::Played) => self.kept(call, false, calls),
            _ => {}
        }
    }
}

impl Codes {
    fn ask(
        &mut self,
        call: CallId,
        (account, change): (AddressOfRecord, AnsweringChange),
        said: Speech,
        calls: &mut Calls<'_, '_, '_>,
    ) {
        if change.to().is_some_and(|to| calls.account_of(to).as_ref() == Some(&account)) {
            calls.say(call, self.sorry());
            self.callers.insert(call, Step::Said);
            return;
        }
        calls.remember(call, Keep::Answering(account, change));
        calls.say(call, Speech::new().pause(PATIENCE_MS));
        self.callers.insert(call, Step::Kept(said));
    }

    fn sorry(&self) -> Speech {
        Speech::new().pause(SETTLE_MS).say("codes-not-possible")
    }
}

/// What a phone needs until it is at the caller's ear.
const SETTLE_MS: u32 = 500;
/// For so long the store may take.
const PATIENCE_MS: u32 = 5_000;
