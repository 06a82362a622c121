//! What an operator may ask of a shard, and the answers.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Config;
use crate::directory::{AddressOfRecord, AgentState, Delta};
use crate::route::Lines;
use crate::spending::{Rates, SpendingReport};
use crate::trunks::TrunkState;

/// The number under which a command's answer returns; chosen by whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What an operator may ask.
#[derive(Clone, Debug)]
pub enum Command {
    /// A fact of the directory changed in the store: take it over. Answered with [`Answer::Done`].
    Apply(Box<Delta>),
    /// How the shard is.
    Status,
    /// The calls that the shard holds state of.
    Calls,
    /// The contacts that are registered now.
    Devices,
    /// Ends the calls with this Call-ID, of which the shard holds state.
    HangUp(String),
    /// What a service of this shard wanted kept is in the store, or cannot be; its change has been told before. Answered
    /// with [`Answer::Done`].
    Kept {
        /// The shard that asked.
        shard: u8,
        /// The number of its question.
        ticket: u64,
        /// Whether it is kept.
        is_kept: bool,
    },
    /// How the groups are.
    Groups,
    /// How the queues are.
    Queues,
    /// Calls an account, and when somebody answers there, whom it is to talk with: a number, a name or a URI, as if the
    /// account had dialled that. Answered with [`Answer::Done`], or [`Answer::Refused`].
    Connect(AddressOfRecord, String),
    /// The button at the camera of this name was pressed: it calls those whom it is to call. Answered with [`Answer::Done`], or
    /// [`Answer::Refused`].
    PressButton(String),
    /// Who is in which conference room.
    Conferences,
    /// Something is to happen to those in a room; answered with how many it happened to.
    Moderate(Moderation),
    /// How the trunks are.
    Trunks,
    /// Looks after the trunk of this name at once: its servers, its registration if that has failed, whether it answers.
    /// Answered with [`Answer::Done`].
    CheckTrunk(String),
    /// Calls a number by the trunk of this name, and hangs up when somebody answers: the state of the trunk tells what comes of
    /// it. Answered with [`Answer::Done`].
    TryTrunk(String, String),
    /// Where calls go that are for no account, from now on. Answered with [`Answer::Done`].
    Lines(Arc<Lines>),
    /// These settings are in force from now on, as far as a shard that runs can take them over; its trunks and rates are among
    /// them. Answered with [`Answer::Done`].
    Configure(Arc<Config>),
    /// What calls by trunks cost from now on. Answered with [`Answer::Done`].
    Rates(Arc<Rates>),
    /// What accounts have spent today: all that have, or this one.
    Spending(Option<AddressOfRecord>),
}

/// The answer to a [`Command`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// It was done.
    Done,
    /// It cannot be done, for this reason.
    Refused(&'static str),
    /// See [`Command::Status`].
    Status(Status),
    /// See [`Command::Calls`].
    Calls(Vec<LiveCall>),
    /// See [`Command::Devices`].
    Devices(Vec<Device>),
    /// How many calls are ended by [`Command::HangUp`].
    HungUp(usize),
    /// See [`Command::Groups`].
    Groups(Vec<GroupReport>),
    /// See [`Command::Queues`].
    Queues(Vec<QueueReport>),
    /// See [`Command::Conferences`].
    Conferences(Vec<Guest>),
    /// See [`Command::Moderate`].
    Moderated(usize),
    /// See [`Command::Trunks`].
    Trunks(Vec<TrunkReport>),
    /// See [`Command::Spending`].
    Spending(Vec<SpendingReport>),
}

impl Answer {
    /// What two shards answer to the same command, as one answer. What every shard has a copy of counts once.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Status(one), Self::Status(other)) => Self::Status(one.and(other)),
            (Self::Calls(mut calls), Self::Calls(more)) => {
                calls.extend(more);
                Self::Calls(calls)
            }
            (Self::Queues(mut queues), Self::Queues(others)) => {
                queues.iter_mut().zip(others).for_each(|(one, other)| one.add(other));
                Self::Queues(queues)
            }
            (Self::HungUp(one), Self::HungUp(other)) => Self::HungUp(one + other),
            (Self::Moderated(one), Self::Moderated(other)) => Self::Moderated(one + other),
            (Self::Conferences(mut guests), Self::Conferences(more)) => {
                guests.extend(more);
                Self::Conferences(guests)
            }
            (Self::Trunks(mut trunks), Self::Trunks(others)) => {
                for (one, other) in trunks.iter_mut().zip(others) {
                    one.calls += other.calls;
                    one.busy |= other.busy;
                }
                Self::Trunks(trunks)
            }
            (Self::Done, refused @ Self::Refused(_)) => refused,
            (one, _) => one,
        }
    }
}

/// How a shard is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Accounts known.
    pub accounts: usize,
    /// Contacts registered now.
    pub bindings: usize,
    /// Transactions that are not over.
    pub transactions: usize,
    /// Calls being set up.
    pub ringing: usize,
    /// Calls whose media we carry.
    pub anchored: usize,
    /// Media port pairs that are free.
    pub free_ports: usize,
    /// Subscriptions to the presence, calls, contacts or messages of accounts.
    pub subscriptions: usize,
    /// Contacts of ours at trunks that are being taken back.
    pub leaving: usize,
}

impl Status {
    fn and(self, other: Self) -> Self {
        Self {
            accounts: self.accounts.max(other.accounts),
            bindings: self.bindings.max(other.bindings),
            transactions: self.transactions + other.transactions,
            ringing: self.ringing + other.ringing,
            anchored: self.anchored + other.anchored,
            free_ports: self.free_ports + other.free_ports,
            subscriptions: self.subscriptions + other.subscriptions,
            leaving: self.leaving + other.leaving,
        }
    }
}

/// A call of which the shard holds state.
#[derive(Clone, Debug)]
pub struct LiveCall {
    /// The Call-ID.
    pub id: String,
    /// The caller's address.
    pub from: String,
    /// The address called.
    pub to: String,
    /// Unix seconds of the INVITE.
    pub started_at: u64,
    /// Unix seconds of the 200, once answered.
    pub answered_at: Option<u64>,
}

/// One who is in a conference room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The number of the room.
    pub room: u64,
    /// The Call-ID.
    pub call: String,
    /// Its number, or else its user.
    pub from: String,
    /// Whether the others do not hear it.
    pub muted: bool,
    /// Whether it may lock the room.
    pub moderates: bool,
}

/// What is to happen in a conference room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moderation {
    /// The number of the room.
    pub room: u64,
    /// To whom, by its number or Call-ID; `None`: to all.
    pub guest: Option<String>,
    /// What.
    pub what: Moderate,
}

/// What may happen to those in a conference room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moderate {
    /// The others no longer hear them, or do again.
    Mute(bool),
    /// They have to go.
    Kick,
    /// Nobody else comes in, or may again.
    Lock(bool),
    /// All that is said is recorded, or no longer.
    Record(bool),
}

/// A trunk as an operator sees it, in the order of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkReport {
    /// Its name.
    pub name: String,
    /// Where everything is sent: a URI.
    pub server: String,
    /// Who we are there, where that takes a password.
    pub username: Option<String>,
    /// Its numbers.
    pub numbers: Vec<String>,
    /// Calls that it may have at a time.
    pub max_calls: Option<u32>,
    /// What is known of it; `None`: nobody looks after it, since each of its calls finds its server.
    pub state: Option<TrunkState>,
    /// Calls that it has now, where they are counted: those of a trunk with a leg of ours.
    pub calls: u32,
    /// Whether an answer of it is being waited for.
    pub busy: bool,
}

/// A queue as an operator sees it, in the order of the configuration. What is counted is counted since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueReport {
    /// What is dialled for it.
    pub number: String,
    /// Its name.
    pub name: String,
    /// Callers who wait.
    pub waiting: usize,
    /// For how many seconds the first of them has.
    pub longest_wait: u64,
    /// Callers whom an agent has answered.
    pub answered: u64,
    /// Callers who gave up.
    pub abandoned: u64,
    /// Callers who were sent on, or told that nobody can take their call.
    pub overflowed: u64,
    /// For how many seconds those who were answered had waited, all together.
    pub waited: u64,
    /// Its agents.
    pub agents: Vec<AgentReport>,
}

/// An agent of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentReport {
    /// Its account.
    pub account: String,
    /// Whether it takes calls.
    pub state: AgentState,
    /// Whether it is in a call, or is being called.
    pub in_call: bool,
}

impl QueueReport {
    /// The same with what another shard has of it.
    fn add(&mut self, other: Self) {
        self.waiting += other.waiting;
        self.longest_wait = self.longest_wait.max(other.longest_wait);
        self.answered += other.answered;
        self.abandoned += other.abandoned;
        self.overflowed += other.overflowed;
        self.waited += other.waited;
        for (one, other) in self.agents.iter_mut().zip(other.agents) {
            one.in_call |= other.in_call;
        }
    }
}

/// A group as an operator sees it, in the order of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReport {
    /// What is dialled for it.
    pub number: String,
    /// Its name.
    pub name: String,
    /// In which order its members ring.
    pub strategy: &'static str,
    /// Whether it takes calls now.
    pub is_open: bool,
    /// Where calls go that nobody takes.
    pub then: Option<String>,
    /// Its members.
    pub members: Vec<MemberReport>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberReport {
    /// As the configuration names it.
    pub member: String,
    /// Its account; `None`: there is none.
    pub account: Option<String>,
    /// How many of its phones are registered.
    pub phones: usize,
    /// How many calls it is in.
    pub calls: u32,
    /// Whether it does not want to be disturbed.
    pub do_not_disturb: bool,
}

/// A registered contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The account.
    pub account: String,
    /// The contact URI.
    pub contact: String,
    /// Where it is reached.
    pub remote: SocketAddr,
    /// What it says it is.
    pub user_agent: String,
    /// Unix seconds at which it ends.
    pub expires_at: u64,
}
