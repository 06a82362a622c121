//! Dialogs of forwarded calls of which an end is told no more: two BYEs may cross (RFC 5407 §3.2.1), a BYE may end one of two dialogs
//! in which a call was answered (RFC 3261 §13.2.2.4), or one that was never answered. One call has one end.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use offhook_sip::{Method, Name, Response, Status};

use super::Proxy;
use super::response_context::{Kind, ResponseContext};
use crate::config::{Config, Key};
use crate::context::Context;
use crate::event::{EndedBy, Event};

/// Those of the last seconds. Each has one place to be; who finds it taken takes it over, and an end more is told than there was.
#[derive(Default)]
pub(super) struct Over(Vec<Place>);

#[derive(Clone, Default)]
struct Place {
    dialog: u64,
    /// In seconds, as Unix counts them.
    until: u64,
}

impl Over {
    /// Takes note of a dialog by its Call-ID and the callee's tag. Returns whether it was not known.
    pub(super) fn note(&mut self, call_id: &str, callee_tag: &str, key: &Key, unix: u64) -> bool {
        if self.0.is_empty() {
            self.0 = vec![Place::default(); PLACES];
        }
        let dialog = digest(call_id, callee_tag, key);
        let place = &mut self.0[place(dialog)];
        let is_new = !place.holds(dialog, unix);
        *place = Place { dialog, until: unix + TIME };
        is_new
    }

    /// Whether a dialog is known.
    pub(super) fn holds(&self, call_id: &str, callee_tag: &str, key: &Key, unix: u64) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let dialog = digest(call_id, callee_tag, key);
        self.0[place(dialog)].holds(dialog, unix)
    }
}

impl Place {
    fn holds(&self, dialog: u64, unix: u64) -> bool {
        self.dialog == dialog && unix < self.until
    }
}

/// Calls that ring, by their Call-IDs: with a BYE a caller may end the dialog of a phone that has not answered (RFC 3261 §15). What has
/// been answered since, or refused, is still in it: whoever asks looks at the context. Who finds a place taken takes it over.
#[derive(Default)]
pub(super) struct Early(Vec<(u64, u64)>);

impl Early {
    /// A phone rings in the context with this number.
    pub(super) fn note(&mut self, call_id: &str, context: u64, key: &Key) {
        if self.0.is_empty() {
            self.0 = vec![Default::default(); PLACES];
        }
        let call = digest(call_id, "", key);
        self.0[place(call)] = (call, context);
    }

    /// The context in which a phone rang last.
    pub(super) fn context(&self, call_id: &str, key: &Key) -> Option<u64> {
        if self.0.is_empty() {
            return None;
        }
        let call = digest(call_id, "", key);
        let (known, context) = self.0[place(call)];
        (known == call).then_some(context)
    }
}

impl Proxy {
    /// Nobody has answered a request: if that is the end of a call, it is told.
    pub(super) fn failed(
        &mut self,
        context: &mut ResponseContext,
        best: &Response,
        config: &Config,
        cx: &mut Context<'_>,
    ) {
        let call = context.call_id().to_owned();
        if let Kind::Initial { caller, counted, .. } = &mut context.kind
            && *context.request.method() == Method::Invite
        {
            let account = caller.account().cloned().filter(|_| std::mem::take(counted));
            self.release(account.as_ref());
            let (charge, unix) = (context.charge.take(), cx.epoch.unix(cx.now));
            charge.into_iter().for_each(|charge| self.active.spending.over(charge, unix));
            let to = context.request.raw(Name::To).unwrap_or_default();
            self.active.members.called_in_vain(caller.account(), to, best.status());
            let reason = String::from_utf8_lossy(best.reason()).into_owned();
            let has_left = context.left && best.status() == Status::REQUEST_TERMINATED;
            let by =
                if context.hung_up { Some(EndedBy::Operator) } else { has_left.then_some(EndedBy::Caller) };
            let tag = best.to_tag().unwrap_or_default();
            if context.left || !self.over.holds(&call, tag, &config.key, cx.unix()) {
                cx.event(Event::CallFailed { call, status: best.status(), reason, by });
            }
        }
    }
}

/// Who does not have the key cannot choose a call for which it stands.
fn digest(call_id: &str, callee_tag: &str, key: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key.0, call_id, callee_tag).hash(&mut hasher);
    hasher.finish()
}

fn place(dialog: u64) -> usize {
    dialog as usize % PLACES
}

/// Twice as long as a BYE is sent again (64·T1, RFC 3261 §17.1.2.2), in seconds: a phone may begin anew meanwhile, over another transport
/// or at another address. One more for the parts of one.
const TIME: u64 = 65;
const PLACES: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_known_for_as_long_as_a_bye_may_come() {
        let (mut over, key) = (Over::default(), Key([7; 32]));
        assert!(!over.holds("call", "tag", &key, 100));
        assert!(over.note("call", "tag", &key, 100));
        assert!(!over.note("call", "tag", &key, 110));
        assert!(over.holds("call", "tag", &key, 174));
        assert!(!over.holds("call", "other", &key, 100), "a call may have another dialog");
        assert!(over.note("call", "tag", &key, 175), "the second time counts from the last");
    }

    #[test]
    fn a_call_that_rings_is_found_by_its_call_id_until_another_has_its_place() {
        let (mut early, key) = (Early::default(), Key([7; 32]));
        assert_eq!(early.context("call", &key), None);
        early.note("call", 7, &key);
        assert_eq!((early.context("call", &key), early.context("other", &key)), (Some(7), None));
        (0..20 * PLACES as u64).for_each(|number| early.note(&number.to_string(), number, &key));
        assert_eq!((early.context("call", &key), early.0.len()), (None, PLACES));
    }

    #[test]
    fn it_holds_as_much_as_it_may_and_no_more() {
        let (mut over, key) = (Over::default(), Key([7; 32]));
        let known = (0..3 * PLACES).filter(|number| !over.note(&number.to_string(), "tag", &key, 1)).count();
        assert_eq!((known, over.0.len()), (0, PLACES));
    }
}
