//! Call back when free (after the model of RFC 6910): who has called somebody in vain dials a code, and is called as soon as both are
//! free: first the one who has asked for it, then the other.
//!
//! That somebody is free is known when a call of it ends, since a forwarded call is nobody's here while it is up, and that it is
//! there again when a phone of it comes that was not registered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Kind, Service, Settings as All, Verdict};
use crate::b2bua::{CallId, Calls, Dial, Dialled, Endpoint, Point, ShownAs};
use crate::directory::{AddressOfRecord, Delta};
use crate::keep::Keep;
use crate::speech::{self, Speech};

pub(super) const KIND: Kind = Kind {
    name: "call_back",
    summary: "calls when somebody is free who was called in vain: *37, with a number for another; #37 ends that",
    number: |settings| settings.call_back.code.as_deref(),
    make: |settings| Box::new(CallBack::new(settings)),
};

/// Settings of call backs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is dialled; `None`: there are none.
    pub code: Option<String>,
    /// How long one waits for the other to be free.
    pub time: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { code: Some("*37".into()), time: Duration::from_secs(3600) }
    }
}

/// What shards tell each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallBackNews {
    /// A call of this account is over, or a phone of it has come.
    Freed(AddressOfRecord),
    /// The first has called the second in vain.
    Missed(AddressOfRecord, AddressOfRecord),
}

struct CallBack {
    settings: Settings,
    /// By who is called back and who is to be free.
    wishes: BTreeMap<(AddressOfRecord, AddressOfRecord), Wish>,
    /// Whom accounts have called in vain.
    missed: BTreeMap<AddressOfRecord, Missed>,
    calls: BTreeMap<CallId, Step>,
    /// For how many reasons calls of an account are followed.
    followed: BTreeMap<AddressOfRecord, u32>,
}

struct Wish {
    /// In Unix seconds.
    until: u64,
    /// Whether the other has been in a call that is over.
    is_ready: bool,
    tries: u8,
    is_called: bool,
}

struct Missed {
    callee: AddressOfRecord,
    at: Instant,
    /// Whether a call of the other has ended since.
    is_free: bool,
}

enum Step {
    /// Somebody has dialled, and waits for the store for so many answers; this is said then.
    Kept(usize, Speech),
    /// It hears that.
    Said,
    /// This wish is carried out.
    CallsBack(AddressOfRecord, AddressOfRecord),
}

impl CallBack {
    fn new(settings: &All) -> Self {
        Self {
            settings: settings.call_back.clone(),
            wishes: BTreeMap::new(),
            missed: BTreeMap::new(),
            calls: BTreeMap::new(),
            followed: BTreeMap::new(),
        }
    }

    fn speech(&self) -> Speech {
        Speech::new().pause(SETTLE_MS)
    }

    /// What is wanted by what was dialled: somebody by number or name, or the last one; or `#` and no more. `None`: nothing.
    fn asked<'d>(&self, dialled: &'d str) -> Option<Asked<'d>> {
        let code = self.settings.code.as_deref()?;
        if dialled.strip_prefix('#').is_some_and(|rest| code.strip_prefix('*') == Some(rest)) {
            return Some(Asked::NoMore);
        }
        let rest = dialled.strip_prefix(code)?;
        let named = rest.strip_prefix('*').unwrap_or(rest);
        Some(if named.is_empty() { Asked::Last } else { Asked::Of(named.strip_suffix('#').unwrap_or(named)) })
    }

    /// What has to be kept for that, or `None` if it cannot be.
    fn wanted(
        &self,
        account: &AddressOfRecord,
        asked: &Asked<'_>,
        calls: &Calls<'_, '_, '_>,
    ) -> Option<(Vec<Keep>, Speech)> {
        let own = || self.wishes.keys().filter(|(caller, _)| caller == account);
        let callee = match asked {
            Asked::NoMore => {
                let keeps =
                    own().map(|(caller, callee)| Keep::CallBack(caller.clone(), callee.clone(), None));
                return Some((keeps.collect(), self.speech().say("call-back-off")));
            }
            Asked::Last => self.missed.get(account)?.callee.clone(),
            Asked::Of(name) => calls.account_of(name)?,
        };
        let waiting = self.wishes.keys().filter(|(_, other)| *other == callee).count();
        let is_new = !self.wishes.contains_key(&(account.clone(), callee.clone()));
        if callee == *account || is_new && (own().count() >= MOST_WISHES || waiting >= MOST_WAITING) {
            return None;
        }
        let until = calls.clock().0 + self.settings.time.as_secs();
        let keep = Keep::CallBack(account.clone(), callee, Some(until));
        Some((vec![keep], self.speech().say("call-back-set")))
    }

    /// Follows the calls of an account for one more reason, or for one less.
    fn follow(&mut self, account: &AddressOfRecord, more: bool, calls: &mut Calls<'_, '_, '_>) {
        let reasons = self.followed.entry(account.clone()).or_default();
        *reasons = if more { *reasons + 1 } else { reasons.saturating_sub(1) };
        match (*reasons, more) {
            (0, _) => {
                self.followed.remove(account);
                calls.follow_calls(account, false);
            }
            (1, true) => calls.follow_calls(account, true),
            _ => {}
        }
    }

    fn forget_missed(&mut self, caller: &AddressOfRecord, calls: &mut Calls<'_, '_, '_>) {
        if let Some(missed) = self.missed.remove(caller) {
            self.follow(&missed.callee, false, calls);
        }
    }

    /// Calls those back whose time has come, and gives up what has lasted for too long.
    fn look(&mut self, calls: &mut Calls<'_, '_, '_>) {
        let (now, _) = calls.clock();
        let mut taken: Vec<AddressOfRecord> = self
            .calls
            .values()
            .filter_map(
                |step| if let Step::CallsBack(_, callee) = step { Some(callee.clone()) } else { None },
            )
            .collect();
        let mut waiting: Vec<_> = self.wishes.iter_mut().filter(|(_, wish)| !wish.is_called).collect();
        waiting.sort_by_key(|(_, wish)| wish.until);
        for ((caller, callee), wish) in waiting {
            if !calls.is_home(callee) {
                continue;
            }
            if wish.until <= now {
                wish.is_called = true;
                calls.remember(NO_CALL, Keep::CallBack(caller.clone(), callee.clone(), None));
                continue;
            }
            let is_free = wish.is_ready && calls.can_be_called(callee) && calls.can_be_called(caller);
            if !is_free || taken.contains(callee) {
                continue;
            }
            (wish.is_called, wish.is_ready) = (true, false);
            wish.tries += 1;
            let dial = Dial::new(caller.to_string(), None, ShownAs::Account(callee.clone()));
            let call = calls.originate(dial);
            self.calls.insert(call, Step::CallsBack(caller.clone(), callee.clone()));
            taken.push(callee.clone());
        }
    }

    /// Something has come of calling back.
    fn called(&mut self, call: CallId, news: Dialled, calls: &mut Calls<'_, '_, '_>) {
        let Some(Step::CallsBack(caller, callee)) = self.calls.get(&call) else { return };
        let (caller, callee) = (caller.clone(), callee.clone());
        let done = Keep::CallBack(caller.clone(), callee.clone(), None);
        match news {
            Dialled::Ringing => {}
            // First the one who has asked for it …
            Dialled::Answered(answered) if answered == call => {
                calls.play(call, speech::ringing());
                let shown = ShownAs::Account(caller.clone());
                calls.dial(call, Dial::new(callee.to_string(), Some(caller), shown));
            }
            // … then the other.
            Dialled::Answered(_) => {
                self.calls.remove(&call);
                calls.remember(call, done);
            }
            Dialled::Failed(_) => {
                let said = if calls.is_up(call) {
                    let busy = news.is_busy();
                    if !busy {
                        calls.remember(call, done.clone());
                    }
                    self.calls.insert(call, Step::Said);
                    Some(if busy { "call-back-busy" } else { "queue-nobody" })
                } else {
                    self.calls.remove(&call);
                    None
                };
                match said {
                    Some(said) => calls.say(call, self.speech().say(said).pause(200)),
                    // Who has asked for it does not answer.
                    None => self.missed_again((&caller, &callee), done, calls),
                }
                if let Some(wish) = self.wishes.get_mut(&(caller, callee)) {
                    wish.is_called = false;
                }
            }
        }
    }

    fn missed_again(
        &mut self,
        (caller, callee): (&AddressOfRecord, &AddressOfRecord),
        done: Keep,
        calls: &mut Calls<'_, '_, '_>,
    ) {
        let Some(wish) = self.wishes.get_mut(&(caller.clone(), callee.clone())) else { return };
        if wish.tries >= TRIES {
            return calls.remember(NO_CALL, done);
        }
        wish.is_ready = true;
        calls.remind(BETWEEN, 0);
    }
}

/// What somebody wants who has dialled the code.
enum Asked<'d> {
    Last,
    Of(&'d str),
    NoMore,
}

impl Service for CallBack {
    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let Some(dialled) = calls.dialled(call).map(str::to_owned) else { return Verdict::Continue };
        let Some(asked) = self.asked(&dialled) else { return Verdict::Continue };
        let own = calls.caller_account(call).filter(|_| calls.diverted_by(call).is_none());
        let Some(account) = own else { return Verdict::Continue };
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_err() {
            return answered.into();
        }
        match self.wanted(&account, &asked, calls) {
            Some((keeps, said)) if !keeps.is_empty() => {
                self.calls.insert(call, Step::Kept(keeps.len(), said));
                keeps.into_iter().for_each(|keep| calls.remember(call, keep));
                calls.say(call, Speech::new().pause(PATIENCE_MS));
            }
            other => {
                let said = other.map_or_else(|| self.speech().say("codes-not-possible"), |(_, said)| said);
                self.calls.insert(call, Step::Said);
                calls.say(call, said.pause(200));
            }
        }
        Verdict::Handled
    }

    fn configure(&mut self, settings: &All) {
        self.settings.clone_from(&settings.call_back);
    }

    fn kept(&mut self, call: CallId, is_kept: bool, calls: &mut Calls<'_, '_, '_>) {
        let Some(Step::Kept(left, said)) = self.calls.get_mut(&call) else { return };
        *left -= usize::from(is_kept);
        if is_kept && *left > 0 {
            return;
        }
        let said = if is_kept { said.clone() } else { self.speech().say("codes-not-possible") };
        self.calls.insert(call, Step::Said);
        calls.say(call, said.pause(200));
    }

    fn changed(&mut self, delta: &Delta, calls: &mut Calls<'_, '_, '_>) {
        let Delta::CallBack(caller, callee, until) = delta else { return };
        let key = (caller.clone(), callee.clone());
        let Some(until) = *until else {
            if self.wishes.remove(&key).is_some() {
                self.follow(caller, false, calls);
                self.follow(callee, false, calls);
            }
            return;
        };
        let was_free =
            self.missed.get(caller).is_some_and(|missed| missed.callee == *callee && missed.is_free);
        self.follow(caller, true, calls);
        self.follow(callee, true, calls);
        let wish = Wish { until, is_ready: was_free, tries: 0, is_called: false };
        if self.wishes.insert(key, wish).is_some() {
            self.follow(caller, false, calls);
            self.follow(callee, false, calls);
        }
        self.forget_missed(caller, calls);
        let (now, _) = calls.clock();
        calls.remind(Duration::from_secs(until.saturating_sub(now)), 0);
        if was_free {
            calls.remind(AT_ONCE, 0);
        }
    }

    fn news(&mut self, news: &CallBackNews, calls: &mut Calls<'_, '_, '_>) {
        match news {
            CallBackNews::Freed(account) => {
                for missed in self.missed.values_mut().filter(|missed| missed.callee == *account) {
                    missed.is_free = true;
                }
                let concerned = self
                    .wishes
                    .iter_mut()
                    .filter(|((caller, callee), _)| [caller, callee].contains(&account));
                let mut any = false;
                for ((_, callee), wish) in concerned {
                    wish.is_ready |= callee == account;
                    any = true;
                }
                if any {
                    calls.remind(BREATH, 0);
                }
            }
            CallBackNews::Missed(caller, callee) => {
                let now = calls.now();
                self.forget_missed(caller, calls);
                if self.missed.len() >= MOST_MISSED {
                    let old = |missed: &Missed| now.duration_since(missed.at) > MISSED_LATELY;
                    let old: Vec<_> =
                        self.missed.iter().filter(|(_, one)| old(one)).map(|(who, _)| who.clone()).collect();
                    old.iter().for_each(|who| self.forget_missed(who, calls));
                }
                if self.missed.len() < MOST_MISSED {
                    self.follow(callee, true, calls);
                    let missed = Missed { callee: callee.clone(), at: now, is_free: false };
                    self.missed.insert(caller.clone(), missed);
                }
            }
        }
    }

    fn due(&mut self, _what: u64, calls: &mut Calls<'_, '_, '_>) {
        self.look(calls);
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        match (self.calls.get(&call), point) {
            (Some(Step::CallsBack(..)), Point::Dialled(news)) => self.called(call, news, calls),
            (Some(Step::CallsBack(caller, callee)), Point::Ended) => {
                // It has hung up before the other answered: it does not want to any more.
                let done = Keep::CallBack(caller.clone(), callee.clone(), None);
                self.calls.remove(&call);
                calls.remember(NO_CALL, done);
            }
            (Some(Step::Said), Point::Played) => calls.hang_up(call),
            // The store has not answered for as long as a caller has patience.
            (Some(Step::Kept(..)), Point::Played) => self.kept(call, false, calls),
            (Some(_), Point::Ended) => _ = self.calls.remove(&call),
            _ => {}
        }
    }
}

/// For what no call waits.
const NO_CALL: CallId = CallId(u64::MAX);
/// Of one account.
const MOST_WISHES: usize = 10;
/// For one account.
const MOST_WAITING: usize = 20;
/// Of accounts that have called in vain.
const MOST_MISSED: usize = 10_000;
/// For so long it is known whom somebody has called in vain, where many have.
const MISSED_LATELY: Duration = Duration::from_secs(600);
const TRIES: u8 = 3;
/// Between two of them.
const BETWEEN: Duration = Duration::from_secs(120);
/// Who has just hung up wants to put down the receiver, or to call somebody else.
const BREATH: Duration = Duration::from_secs(3);
/// After the caller has heard that it is set.
const AT_ONCE: Duration = Duration::from_secs(8);
/// What a phone needs until it is at the caller's ear.
const SETTLE_MS: u32 = 500;
/// For so long the store may take.
const PATIENCE_MS: u32 = 5_000;
