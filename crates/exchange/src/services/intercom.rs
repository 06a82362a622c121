//! Intercom: the phones of the account that is called answer by themselves, so that one can speak to whoever is near.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Kind, Service, Settings, Verdict};
use crate::b2bua::{CallId, Calls, Dial, Dialled, Endpoint, Point, ShownAs};
use crate::refusal::Refusal;
use crate::speech;

pub(super) const KIND: Kind = Kind {
    name: "intercom",
    summary: "calls the account whose number follows; its phones answer by themselves",
    number: |settings| settings.intercom.as_deref(),
    make: |settings| Box::new(Intercom { code: settings.intercom.clone(), calls: BTreeSet::new() }),
};

struct Intercom {
    code: Option<String>,
    calls: BTreeSet<CallId>,
}

/// By which phones know that they shall answer by themselves: there are as many ways as makers of phones, and one of the
/// RFCs (5373 §4).
pub(super) fn answer_by_itself() -> Vec<(String, String)> {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        header("Answer-Mode", "Auto"),
        header("Call-Info", "<sip:intercom@localhost>;answer-after=0"),
        header("Alert-Info", "<http://localhost>;info=alert-autoanswer"),
    ]
}

impl Intercom {
    fn begin(&mut self, call: CallId, number: &str, calls: &mut Calls<'_, '_, '_>) -> Result<(), Refusal> {
        let refused = || Refusal::forbidden("This account may not make phones answer");
        let by = calls.caller_account(call).ok_or_else(refused)?;
        if !calls.may_intercom(&by) {
            return Err(refused());
        }
        let account = calls.account_of(number).ok_or_else(Refusal::not_found)?;
        calls.answer(call, Endpoint::Voice)?;
        calls.play(call, speech::ringing());
        let dial = Dial::new(account.to_string(), Some(by), ShownAs::Party(call));
        calls.dial(call, Dial { headers: answer_by_itself(), rings_for: PATIENCE, ..dial });
        self.calls.insert(call);
        Ok(())
    }
}

impl Service for Intercom {
    fn configure(&mut self, settings: &Settings) {
        self.code.clone_from(&settings.intercom);
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let dialled = calls.dialled(call).unwrap_or_default().to_owned();
        let number = self.code.as_deref().and_then(|code| dialled.strip_prefix(code));
        match number.filter(|number| !number.is_empty()) {
            Some(number) => self.begin(call, number, calls).into(),
            None => Verdict::Continue,
        }
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        if !self.calls.contains(&call) {
            return;
        }
        match point {
            Point::Ended => _ = self.calls.remove(&call),
            Point::Dialled(Dialled::Failed(_)) => calls.hang_up(call),
            Point::Played if calls.partner(call).is_none() => calls.play(call, speech::ringing()),
            _ => {}
        }
    }
}

/// Phones that answer by themselves do so at once.
const PATIENCE: Duration = Duration::from_secs(20);
