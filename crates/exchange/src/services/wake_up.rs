//! Wake-up calls: an account dials when it wants to be called, and is called then, three times if it does not answer.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::time;
use jiff::tz::TimeZone;

use super::{Kind, Service, Settings as All, Verdict};
use crate::b2bua::{CallId, Calls, Dial, Dialled, Endpoint, Point, ShownAs};
use crate::directory::{AddressOfRecord, Delta};
use crate::keep::Keep;
use crate::speech::{Speech, local};

pub(super) const KIND: Kind = Kind {
    name: "wake_up",
    summary: "calls at a time: *55*0730; #55 ends that",
    number: |settings| settings.wake_up_code.as_deref(),
    make: |settings| Box::new(WakeUp::new(settings)),
};

struct WakeUp {
    code: Option<String>,
    sleepers: BTreeMap<AddressOfRecord, Sleeper>,
    calls: BTreeMap<CallId, Step>,
}

/// Who is to be woken.
struct Sleeper {
    /// In Unix seconds.
    at: u64,
    tries: u8,
    is_called: bool,
}

enum Step {
    /// Somebody has dialled, and waits for the store; this is said then.
    Kept(Speech),
    /// It hears that.
    Said,
    /// This account is called.
    Wakes(AddressOfRecord),
}

impl WakeUp {
    fn new(settings: &All) -> Self {
        let (sleepers, calls) = (BTreeMap::new(), BTreeMap::new());
        Self { code: settings.wake_up_code.clone(), sleepers, calls }
    }

    fn speech(&self) -> Speech {
        Speech::new().pause(SETTLE_MS)
    }

    /// What is wanted: a moment or none, and what is said of it.
    fn asked(&self, dialled: &str, now: u64, zone: &TimeZone) -> Option<(Option<u64>, Speech)> {
        let code = self.code.as_deref()?;
        if dialled.strip_prefix('#').is_some_and(|rest| code.strip_prefix('*') == Some(rest)) {
            return Some((None, self.speech().say("wake-up-off")));
        }
        let at = next(dialled.strip_prefix(code)?.strip_prefix('*')?, now, zone)?;
        let said = local(at, zone).map(|moment| self.speech().say("wake-up-at").time(moment.time()));
        Some((Some(at), said?))
    }

    /// Calls those whose time has come.
    fn wake(&mut self, calls: &mut Calls<'_, '_, '_>) {
        let (now, _) = calls.clock();
        let code = self.code.clone().unwrap_or_default();
        for (account, sleeper) in &mut self.sleepers {
            if sleeper.at > now || sleeper.is_called || !calls.is_home(account) {
                continue;
            }
            sleeper.is_called = true;
            sleeper.tries += 1;
            let shown = ShownAs::Exchange(code.clone(), "Wake-up call".to_owned());
            let call = calls.originate(Dial::new(account.to_string(), None, shown));
            self.calls.insert(call, Step::Wakes(account.clone()));
        }
    }

    /// Nobody has answered: it is called again after a while, or it is given up.
    fn missed(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        let Some(Step::Wakes(account)) = self.calls.remove(&call) else { return };
        let Some(sleeper) = self.sleepers.get_mut(&account) else { return };
        sleeper.is_called = false;
        if sleeper.tries >= TRIES {
            return calls.remember(call, Keep::WakeUp(account, None));
        }
        sleeper.at = calls.clock().0 + BETWEEN.as_secs();
        calls.remind(BETWEEN, 0);
    }
}

impl Service for WakeUp {
    fn configure(&mut self, settings: &All) {
        self.code.clone_from(&settings.wake_up_code);
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let (now, zone) = calls.clock();
        let wish = calls.dialled(call).and_then(|dialled| self.asked(dialled, now, &zone));
        let Some((at, said)) = wish else { return Verdict::Continue };
        let own = calls.caller_account(call).filter(|_| calls.diverted_by(call).is_none());
        let Some(account) = own else { return Verdict::Continue };
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            calls.remember(call, Keep::WakeUp(account, at));
            calls.say(call, Speech::new().pause(PATIENCE_MS));
            self.calls.insert(call, Step::Kept(said));
        }
        answered.into()
    }

    fn kept(&mut self, call: CallId, is_kept: bool, calls: &mut Calls<'_, '_, '_>) {
        let said = match self.calls.get_mut(&call) {
            Some(step @ Step::Kept(_)) => std::mem::replace(step, Step::Said),
            _ => return,
        };
        let Step::Kept(said) = said else { return };
        let said = if is_kept { said } else { self.speech().say("codes-not-possible") };
        calls.say(call, said.pause(200));
    }

    fn changed(&mut self, delta: &Delta, calls: &mut Calls<'_, '_, '_>) {
        let Delta::WakeUp(account, at) = delta else { return };
        let Some(at) = *at else {
            self.sleepers.remove(account);
            return;
        };
        let (now, _) = calls.clock();
        // Whoever was to be woken while the exchange did not run is let sleep after that.
        if at + TOO_LATE.as_secs() < now {
            return;
        }
        self.sleepers.insert(account.clone(), Sleeper { at, tries: 0, is_called: false });
        calls.remind(Duration::from_secs(at.saturating_sub(now)), 0);
    }

    fn due(&mut self, _what: u64, calls: &mut Calls<'_, '_, '_>) {
        self.wake(calls);
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        match (self.calls.get(&call), point) {
            (Some(Step::Wakes(account)), Point::Dialled(Dialled::Answered(_))) => {
                let account = account.clone();
                self.sleepers.remove(&account);
                self.calls.insert(call, Step::Said);
                calls.remember(call, Keep::WakeUp(account, None));
                let (now, zone) = calls.clock();
                let speech = self.speech().say("wake-up-now");
                let time = local(now, &zone).map(|moment| moment.time()).unwrap_or_default();
                calls.say(call, speech.time(time).pause(1_000).say("wake-up-now").time(time));
            }
            (Some(Step::Wakes(_)), Point::Dialled(Dialled::Failed(_)) | Point::Ended) => {
                self.missed(call, calls)
            }
            (Some(Step::Said), Point::Played) => calls.hang_up(call),
            // The store has not answered for as long as a caller has patience.
            (Some(Step::Kept(_)), Point::Played) => self.kept(call, false, calls),
            (Some(_), Point::Ended) => _ = self.calls.remove(&call),
            _ => {}
        }
    }
}

/// The next moment, in Unix seconds, at which a clock shows these four digits.
fn next(digits: &str, now: u64, zone: &TimeZone) -> Option<u64> {
    let digits = digits.strip_suffix('#').unwrap_or(digits);
    if digits.len() != 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (hour, minute): (i8, i8) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    if hour > 23 || minute > 59 {
        return None;
    }
    let moment = local(now, zone)?;
    let on = |date: jiff::civil::Date| date.to_datetime(time(hour, minute, 0, 0)).to_zoned(zone.clone()).ok();
    let today = on(moment.date())?;
    let wanted = if today > moment { today } else { on(moment.date().tomorrow().ok()?)? };
    u64::try_from(wanted.timestamp().as_second()).ok()
}

const TRIES: u8 = 3;
/// Between two of them.
const BETWEEN: Duration = Duration::from_secs(300);
const TOO_LATE: Duration = Duration::from_secs(1_800);
/// What a phone needs until it is at the caller's ear.
const SETTLE_MS: u32 = 500;
/// For so long the store may take.
const PATIENCE_MS: u32 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_of_day_is_meant() {
        // 2027-01-15 08:00 UTC.
        let at = |digits: &str| next(digits, 1_800_000_000, &TimeZone::UTC).map(|at| at - 1_800_000_000);
        assert_eq!((at("0801"), at("0800"), at("0759")), (Some(60), Some(86_400), Some(86_340)));
        assert_eq!(at("2359#"), Some(57_540));
        for odd in ["", "2400", "0860", "730", "07300", "7:30", "éé"] {
            assert_eq!(at(odd), None, "{odd}");
        }
    }
}
