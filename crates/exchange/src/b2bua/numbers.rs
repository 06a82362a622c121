//! What a service asks about numbers: whose a call is, and which accounts there are.

use bytes::Bytes;
use offhook_sip::NameAddr;

use super::CallId;
use super::verb::Calls;
use crate::bans;
use crate::directory::Account;
use crate::locality::user_of;

impl Calls<'_, '_, '_> {
    /// The number of the one who has called, or else its user.
    pub(crate) fn party_number(&self, call: CallId) -> Option<String> {
        let from = &self.table.calls.get(&call)?.about.from;
        let user = user_of(&NameAddr::parse(Bytes::copy_from_slice(from.as_bytes())).ok()?.uri)?;
        let account = self.account_of(&user);
        Some(account.map_or(user, |account| self.number_of(&account)))
    }

    /// Where a call comes from whose caller is no account: a trunk and the number that it shows, or else an address.
    pub(crate) fn origin(&self, call: CallId) -> String {
        let answered = || {
            let one = self.table.calls.get(&call)?;
            let ip = one.first.as_ref()?.party.flow.remote.ip();
            Some((one.about.trunk, ip, self.party_number(call)))
        };
        let arriving = self.arriving(call).map(|one| (one.asking.trunk, one.asking.from.remote.ip()));
        let arriving = arriving.map(|(trunk, ip)| (trunk, ip, self.caller_number(call)));
        let Some((trunk, ip, number)) = arriving.or_else(answered) else { return String::new() };
        let (trunks, ip) = (&self.env.config.trunks, ip.to_canonical());
        let known = trunk.and_then(|at| trunks.get(at));
        match known.or_else(|| trunks.iter().find(|trunk| trunk.is_in_networks(ip))) {
            Some(trunk) => {
                let number = number.unwrap_or_default();
                format!("{} {}", trunk.name, number.chars().take(LONGEST_NUMBER).collect::<String>())
            }
            None => bans::banned_as(ip).to_string(),
        }
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

fn is_said_by_digits(number: &str) -> bool {
    !number.is_empty() && number.bytes().all(|one| one.is_ascii_digit() || one == b'+')
}

/// Signs of a number that is shown by others.
const LONGEST_NUMBER: usize = 40;
