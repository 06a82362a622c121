//! Calls that one service hands to another, as if the caller had dialled its number.

use bytes::Bytes;
use offhook_sip::NameAddr;

use super::verb::Calls;
use super::{CallId, Table};
use crate::directory::Account;
use crate::locality::user_of;

/// A call that goes on to a number.
#[derive(Clone, Debug)]
pub(crate) struct Handed {
    pub(crate) call: CallId,
    /// The number of the service that has it.
    pub(crate) by: usize,
    pub(crate) to: String,
}

impl Calls<'_, '_, '_> {
    /// Another service may have a call that was answered, if this is its number. The one that has it now is told
    /// [`Point::Ended`](super::Point::Ended) then, or else that nobody wants it.
    pub(crate) fn hand_on(&mut self, call: CallId, to: String) {
        self.env.usages.handed.push(Handed { call, by: self.service, to });
    }

    /// The number of the one who has called, or else its user.
    pub(crate) fn party_number(&self, call: CallId) -> Option<String> {
        let from = &self.table.calls.get(&call)?.about.from;
        let user = user_of(&NameAddr::parse(Bytes::copy_from_slice(from.as_bytes())).ok()?.uri)?;
        let account = self.account_of(&user);
        Some(account.map_or(user, |account| self.number_of(&account)))
    }

    /// What is dialled to leave an account a message; `None`: there is no such account, or no voicemail.
    pub(crate) fn mailbox_number(&self, user: &str) -> Option<String> {
        let voicemail = self.env.config.services.voicemail.number.as_deref()?;
        self.account_of(user).map(|_| format!("{voicemail}{user}"))
    }

    /// The numbers of accounts that are wanted, at most so many, in order. Those that cannot be said by digits are left out.
    pub(crate) fn numbers_of(&self, most: usize, wanted: impl Fn(&Account) -> bool) -> Vec<String> {
        let all = self.env.directory.every_account().filter(|account| wanted(account));
        let numbers = all.map(|account| self.number_of(&account.address));
        let mut numbers: Vec<_> = numbers.filter(|number| is_said_by_digits(number)).collect();
        numbers.sort_unstable();
        numbers.truncate(most);
        numbers
    }
}

impl Table {
    /// Another service has a call now; false: there is no such call.
    pub(crate) fn give(&mut self, call: CallId, service: usize) -> bool {
        let Some(one) = self.calls.get_mut(&call).filter(|one| !one.has_ended()) else { return false };
        one.service = Some(service);
        true
    }

    /// Whether a call is there to be given to another service.
    pub(crate) fn has(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|one| !one.has_ended())
    }
}

fn is_said_by_digits(number: &str) -> bool {
    !number.is_empty() && number.bytes().all(|one| one.is_ascii_digit() || one == b'+')
}
