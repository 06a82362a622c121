//! Facts that every shard holds a copy of: accounts, their numbers, where their phones are.
//!
//! Each fact has one writer; changes travel as [`Delta`]s, which are complete in themselves and may be applied
//! twice.

mod account;
mod answering;
mod binding;
mod delta;
mod mailbox;
mod packed;
mod rights;

use std::collections::{BTreeSet, HashMap, HashSet};

use offhook_sip::{NameAddr, Uri};
use offhook_sip_stack::{ConnectionId, Flow, shrink};

use crate::command::Device;
use crate::locality::{address_of, user_of};
use crate::speech::Language;

use packed::Packed;

pub use account::{Account, AddressOfRecord, InvalidAddress, Secrets, number_digits};
pub use answering::{Also, Answering, Forward, HoursOf, RING_SECONDS};
pub use binding::{Binding, Bindings};
pub use delta::{AgentState, Delta};
pub use mailbox::Mailbox;
pub use rights::{Record, Rights};

/// A shard's copy of the facts. Lookups only: nothing depends on the order of these maps.
#[derive(Debug, Default)]
pub struct Directory {
    accounts: HashMap<AddressOfRecord, Account>,
    numbers: HashMap<String, AddressOfRecord>,
    bindings: HashMap<AddressOfRecord, Packed>,
    mailboxes: HashMap<AddressOfRecord, Mailbox>,
    /// Accounts for which text messages are kept.
    texts: HashSet<AddressOfRecord>,
    /// Of those accounts that want something unusual.
    answering: HashMap<AddressOfRecord, Answering>,
    /// Of those accounts that have any.
    rights: HashMap<AddressOfRecord, Rights>,
    /// Who registered over which connection.
    connections: HashMap<ConnectionId, BTreeSet<AddressOfRecord>>,
}

impl Directory {
    /// Takes over a change.
    pub fn apply(&mut self, delta: Delta) {
        match delta {
            Delta::Account(account) => {
                self.accounts.insert(account.address.clone(), account);
            }
            Delta::AccountRemoved(address) => {
                self.accounts.remove(&address);
                self.bind(address.clone(), &Bindings::default());
                self.numbers.retain(|_, owner| *owner != address);
                self.mailboxes.remove(&address);
                self.texts.remove(&address);
                self.answering.remove(&address);
                self.rights.remove(&address);
            }
            Delta::Number(number, Some(address)) => {
                self.numbers.insert(number, address);
            }
            Delta::Number(number, None) => {
                self.numbers.remove(&number);
            }
            Delta::Bindings(address, bindings) => self.bind(address, &bindings),
            Delta::Mailbox(address, mailbox) => {
                self.mailboxes.insert(address, mailbox);
            }
            Delta::Texts(address, true) => {
                self.texts.insert(address);
            }
            Delta::Texts(address, false) => {
                self.texts.remove(&address);
            }
            Delta::Agent(..) | Delta::WakeUp(..) | Delta::CallBack(..) => {}
            Delta::Banned(_) | Delta::BanLifted(_) => {}
            Delta::Answering(address, answering) if answering.is_usual() => {
                self.answering.remove(&address);
            }
            Delta::Answering(address, answering) => {
                self.answering.insert(address, answering);
            }
            Delta::Rights(address, rights) if rights.is_usual() => {
                self.rights.remove(&address);
            }
            Delta::Rights(address, rights) => {
                self.rights.insert(address, rights);
            }
            // Kept where calls are counted.
            Delta::Limits(..) => {}
        }
    }

    /// What an account may do beside calling, if anything.
    pub fn rights(&self, address: &AddressOfRecord) -> Option<&Rights> {
        self.rights.get(address)
    }

    /// Whether any account may do so.
    pub(crate) fn has_rights(&self) -> bool {
        !self.rights.is_empty()
    }

    /// An account's bindings are now these.
    pub(crate) fn bind(&mut self, address: AddressOfRecord, bindings: &Bindings) {
        // Only who registered over a connection is in the index.
        let connections = if self.connections.is_empty() { Vec::new() } else { self.bindings(&address).0 };
        for connection in connections.iter().filter_map(|old| old.flow.connection) {
            if let Some(owners) = self.connections.get_mut(&connection) {
                owners.remove(&address);
                if owners.is_empty() {
                    self.connections.remove(&connection);
                }
            }
        }
        for connection in bindings.0.iter().filter_map(|new| new.flow.connection) {
            self.connections.entry(connection).or_default().insert(address.clone());
        }
        match Packed::new(bindings) {
            Some(packed) => _ = self.bindings.insert(address, packed),
            None => _ = self.bindings.remove(&address),
        }
    }

    /// The account of this address.
    pub fn account(&self, address: &AddressOfRecord) -> Option<&Account> {
        self.accounts.get(address)
    }

    /// How an account is spoken to, where that is not as all are.
    pub(crate) fn language(&self, address: &AddressOfRecord) -> Option<Language> {
        self.accounts.get(address)?.language
    }

    /// All accounts, in no order.
    pub(crate) fn every_account(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The account that `user` means in one of `domains`: a name of an account, or a number.
    ///
    /// `host` is preferred among the domains; all of them are one name space unless two accounts differ only in
    /// the domain.
    pub fn find(&self, user: &str, host: &str, domains: &[String]) -> Option<&Account> {
        let by_name = |domain: &str| self.accounts.get(&AddressOfRecord::new(user, domain));
        by_name(host)
            .or_else(|| domains.iter().find_map(|domain| by_name(domain)))
            .or_else(|| self.by_number(user))
    }

    /// The account that the value of a From or To names.
    pub(crate) fn named_by(&self, value: &str, domains: &[String]) -> Option<&Account> {
        let address = NameAddr::parse(value.to_owned().into()).ok()?;
        let host = address.uri.as_sip().map(|uri| uri.host().to_string()).unwrap_or_default();
        self.find(&user_of(&address.uri)?, &host, domains)
    }

    /// The account that holds a number, written with or without visual separators (RFC 3966 §5.1.1).
    pub fn by_number(&self, number: &str) -> Option<&Account> {
        let owner = self.numbers.get(number).or_else(|| self.numbers.get(&number_digits(number)?))?;
        self.accounts.get(owner)
    }

    /// How an account wants its calls answered, if not as usual.
    pub fn answering(&self, address: &AddressOfRecord) -> Option<&Answering> {
        self.answering.get(address)
    }

    /// The accounts of a pickup group, in order.
    pub(crate) fn pickup_group(&self, group: &str) -> Vec<AddressOfRecord> {
        let is_in = |answering: &Answering| answering.pickup_group.as_deref() == Some(group);
        let all = self.answering.iter().filter(|(_, answering)| is_in(answering));
        let mut members: Vec<_> = all.map(|(address, _)| address.clone()).collect();
        members.sort();
        members
    }

    /// The bindings of an address, expired ones included.
    pub fn bindings(&self, address: &AddressOfRecord) -> Bindings {
        self.bindings.get(address).map(Packed::unpack).unwrap_or_default()
    }

    /// What waits in an account's mailbox, if it has one.
    pub fn mailbox(&self, address: &AddressOfRecord) -> Option<Mailbox> {
        self.mailboxes.get(address).copied()
    }

    /// Whether text messages are kept for an account.
    pub(crate) fn has_texts(&self, address: &AddressOfRecord) -> bool {
        self.texts.contains(address)
    }

    /// The bindings that have not expired at `now` (Unix seconds), in no order.
    pub fn live_bindings(&self, now: u64) -> impl Iterator<Item = (&AddressOfRecord, Binding)> {
        let all = self.bindings.iter();
        all.flat_map(|(address, packed)| packed.unpack().0.into_iter().map(move |one| (address, one)))
            .filter(move |(_, one)| one.expires_at > now)
    }

    /// The contacts that are registered at `now` (Unix seconds), ordered by account and contact.
    pub fn devices(&self, now: u64) -> Vec<Device> {
        let mut devices: Vec<_> = self
            .live_bindings(now)
            .map(|(address, binding)| Device {
                account: address.to_string(),
                contact: binding.contact,
                remote: binding.flow.remote,
                user_agent: binding.user_agent,
                expires_at: binding.expires_at,
            })
            .collect();
        devices.sort_by(|a, b| (&a.account, &a.contact).cmp(&(&b.account, &b.contact)));
        devices
    }

    /// Gives back the memory of bindings that have expired at `now` (Unix seconds); returns whose they were.
    pub(crate) fn forget_expired(&mut self, now: u64) -> Vec<AddressOfRecord> {
        let mut changed = Vec::new();
        self.bindings.retain(|address, packed| {
            if packed.first_end > now {
                return true;
            }
            changed.push(address.clone());
            let mut bindings = packed.unpack();
            bindings.0.retain(|one| one.expires_at > now);
            let left = Packed::new(&bindings);
            let some = left.is_some();
            if let Some(left) = left {
                *packed = left;
            }
            some
        });
        shrink(&mut self.bindings);
        changed.sort();
        changed
    }

    /// A connection is gone: who was registered over it is reached by its address where it can be called back, or else
    /// no more until it registers again (RFC 5626 §5.3). Returns who that is, and whether a binding is gone.
    pub(crate) fn connection_lost(&mut self, flow: &Flow) -> Vec<(AddressOfRecord, bool)> {
        let Some(lost) = flow.connection else { return Vec::new() };
        let owners = self.connections.get(&lost).cloned().unwrap_or_default();
        let mut changed = Vec::with_capacity(owners.len());
        for address in owners {
            let mut bindings = self.bindings(&address);
            let before = bindings.0.len();
            bindings.0.retain_mut(|one| one.flow.connection != Some(lost) || left_alone(one));
            let gone = bindings.0.len() < before;
            self.bind(address.clone(), &bindings);
            changed.push((address, gone));
        }
        changed
    }

    /// Whether one more address may have bindings, where accounts do not bound them.
    pub(crate) fn has_room_for(&self, address: &AddressOfRecord) -> bool {
        self.bindings.len() < MAX_RECORDS || self.bindings.contains_key(address)
    }

    /// How many accounts there are.
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }
}

/// What becomes of a binding without its connection: whether there is another way to it.
fn left_alone(binding: &mut Binding) -> bool {
    binding.flow.connection = None;
    if !binding.behind_nat
        && let Ok(Uri::Sip(contact)) = binding.contact.parse()
        && let Some(remote) = address_of(&contact, binding.flow.transport.default_port())
    {
        binding.flow.remote = remote;
    }
    binding.flow.transport.can_be_called_back() && binding.reg_id.is_none()
}

/// Addresses that may have bindings where nobody has to have an account.
const MAX_RECORDS: usize = 1_000_000;
