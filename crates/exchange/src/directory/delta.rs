//! Changes of the directory.

use std::net::IpAddr;

use super::{Account, AddressOfRecord, Answering, Bindings, Mailbox, Rights};
use crate::bans::Ban;
use crate::spending::Limits;

/// How an agent of a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// No calls.
    LoggedOut,
    /// Calls.
    LoggedIn,
    /// No calls for the time being.
    Paused,
}

/// A change of one fact, complete in itself: applying it twice is the same as once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// An account is now this.
    Account(Account),
    /// An account is gone, with its numbers and bindings.
    AccountRemoved(AddressOfRecord),
    /// A number belongs to this account now, or to none.
    Number(String, Option<AddressOfRecord>),
    /// An account's bindings are now these.
    Bindings(AddressOfRecord, Bindings),
    /// This waits in an account's mailbox now. Phones that show it are told by the account's shard.
    Mailbox(AddressOfRecord, Mailbox),
    /// Whether text messages are kept for an account.
    Texts(AddressOfRecord, bool),
    /// An account wants its calls answered like this now.
    Answering(AddressOfRecord, Answering),
    /// How an agent of a queue is now; for services, who keep it.
    Agent(String, AddressOfRecord, AgentState),
    /// When an account is to be woken, in Unix seconds; for services, who keep it.
    WakeUp(AddressOfRecord, Option<u64>),
    /// Until when the first account wants to be called back when the second is free, in Unix seconds; for services, who keep it.
    CallBack(AddressOfRecord, AddressOfRecord, Option<u64>),
    /// An account has these rights now.
    Rights(AddressOfRecord, Rights),
    /// An address is not listened to.
    Banned(Ban),
    /// It is again.
    BanLifted(IpAddr),
    /// An account may do so much.
    Limits(AddressOfRecord, Limits),
}
