//! Trunks as they are now: where their servers are, whether we are registered there, how many calls they have.
//!
//! One shard looks after a trunk (`keeper`) and tells the others what it knows of it; calls are begun and counted by all.

mod keeper;
mod line;
mod load;
mod request;
mod trial;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use offhook_sip::digest::push_hex;
use offhook_sip_stack::Flow;
use offhook_sip_stack::locate::{DnsAnswer, Question};
use offhook_sip_stack::transaction::{TransactionEvent, Transactions};
use offhook_sip_stack::usage::{UsageId, UsageOwner};
use rand::{Rng, RngExt as _};
use sha2::Sha256;

use crate::b2bua::Usages;
use crate::config::{Config, Key};
use crate::context::{Alarm, Context};
use crate::event::Event;
use crate::io::ShardMessage;
use crate::route::{Choice, Destination, Trunk};
use keeper::Keeper;
pub(crate) use line::{Cost, Dialled, Outbound, authorizer, diverted, hides};
use load::Load;
pub use trial::TrunkTrial;

/// What the shard that looks after a trunk knows of it; complete in itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkState {
    /// The ways to its servers, best first.
    pub servers: Vec<Flow>,
    /// Why its servers are not known.
    pub lookup_failure: Option<String>,
    /// Whether we are registered.
    pub registration: TrunkRegistration,
    /// Whether its server answers.
    pub health: TrunkHealth,
    /// The only realm whose challenges are answered, once it is known.
    pub realm: Option<String>,
    /// Proxies that calls are to pass (RFC 3608), topmost first.
    pub service_route: Vec<String>,
    /// The last call that was placed only to see whether it is carried.
    pub trial: Option<TrunkTrial>,
    /// Unix seconds of the last answer, or of the end of waiting for one.
    pub checked_at: Option<u64>,
}

/// Whether we are registered at a trunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrunkRegistration {
    /// That is not wanted.
    #[default]
    Off,
    /// We have asked, or will as soon as the server is found.
    Trying,
    /// Until this Unix second, if it is not refreshed before.
    Until(u64),
    /// It has failed.
    Failed {
        /// The status; 408 also stands for no answer, 503 for a broken way.
        status: u16,
        /// Why, in words.
        reason: String,
        /// The Unix second of the next try.
        next: u64,
    },
    /// We have taken our contact back.
    Removed,
}

/// Whether a trunk's server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrunkHealth {
    /// It has not been asked, or has not answered yet.
    #[default]
    Unknown,
    /// It has answered.
    Up {
        /// How long that took.
        round_trip: Duration,
    },
    /// It has not, or has said that it cannot serve.
    Down(String),
}

impl TrunkState {
    /// Whether calls are likely to go through; if not, why.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn usable(&self) -> Result<(), String> {
        if self.servers.is_empty() {
            return Err(self.lookup_failure.clone().unwrap_or_else(|| "its server is not known yet".into()));
        }
        if let TrunkHealth::Down(why) = &self.health {
            return Err(why.clone());
        }
        match &self.registration {
            TrunkRegistration::Failed { status, reason, .. } => {
                Err(format!("it refuses our registration: {status} {reason}"))
            }
            TrunkRegistration::Removed => Err("it is not registered any more".into()),
            TrunkRegistration::Off | TrunkRegistration::Trying | TrunkRegistration::Until(_) => Ok(()),
        }
    }
}

/// All trunks, in the order of [`Config::trunks`].
pub(crate) struct Trunks {
    shard: u8,
    lines: Vec<Line>,
    pub(crate) load: Load,
    /// Questions to the DNS, and the trunk that asks.
    questions: HashMap<u64, (usize, Question)>,
    issued: u64,
}

/// One trunk as this shard knows it.
#[derive(Default)]
struct Line {
    state: TrunkState,
    /// Until when others are tried first.
    shunned: Option<Instant>,
    /// What looks after it, at the shard that does.
    keeper: Option<Box<Keeper>>,
}

/// The parts of a shard that are lent for looking after trunks.
pub(crate) struct Desk<'a, 'b> {
    pub(crate) config: &'a Config,
    pub(crate) transactions: &'a mut Transactions,
    pub(crate) usages: &'a mut Usages,
    pub(crate) cx: &'a mut Context<'b>,
}

impl Trunks {
    pub(crate) fn new(shard: u8, config: &Config) -> Self {
        let mut trunks = Self {
            shard,
            lines: Vec::new(),
            load: Load::new(config.trunks.len(), config.shards),
            questions: HashMap::new(),
            issued: 0,
        };
        for (at, trunk) in config.trunks.iter().enumerate() {
            let keeper = trunks.keeper(at, trunk, config);
            trunks.lines.push(Line { keeper, ..Line::default() });
        }
        trunks
    }

    /// What looks after a trunk, if that is for this shard to do.
    fn keeper(&self, at: usize, trunk: &Trunk, config: &Config) -> Option<Box<Keeper>> {
        let is_own = config.shards <= 1 || at % usize::from(config.shards) == usize::from(self.shard);
        (is_own && !trunk.retired && is_looked_after(trunk, config)).then(|| Box::new(Keeper::new(trunk)))
    }

    /// A trunk takes no new calls: our contact there is taken back.
    pub(crate) fn retire(&mut self, at: usize, desk: &mut Desk<'_, '_>) {
        self.work(at, desk, |keeper, _, (trunk, state), desk| {
            keeper.leave(trunk, state, desk);
            Vec::new()
        });
    }

    /// The trunks of the configuration are others: there may be more of them, and of those that were there something may have
    /// changed.
    pub(crate) fn refresh(&mut self, config: &Config, cx: &mut Context<'_>) {
        self.load.grow(config.trunks.len());
        for (at, trunk) in config.trunks.iter().enumerate() {
            let begun = self.lines.get(at).and_then(|line| line.keeper.as_ref()).is_some();
            let keeper = if begun { None } else { self.keeper(at, trunk, config) };
            if self.lines.len() <= at {
                self.lines.push(Line::default());
            }
            let line = &mut self.lines[at];
            if keeper.is_some() {
                line.keeper = keeper;
                cx.timers.arm(cx.now, Alarm::Trunk(at));
            } else if let Some(keeper) = line.keeper.as_mut().filter(|_| !trunk.retired) {
                keeper.refresh(at, trunk, cx);
            }
        }
    }

    /// The trunks that this shard looks after.
    pub(crate) fn kept(&self) -> impl Iterator<Item = usize> + use<> {
        let kept = self.lines.iter().enumerate().filter(|(_, line)| line.keeper.is_some()).map(|(at, _)| at);
        kept.collect::<Vec<_>>().into_iter()
    }

    pub(crate) fn state(&self, at: usize) -> Option<&TrunkState> {
        self.lines.get(at).map(|line| &line.state)
    }

    /// Takes over what another shard knows of a trunk.
    pub(crate) fn note(&mut self, at: usize, state: TrunkState) {
        // It may know of a new trunk before we do.
        while self.lines.len() <= at && at < MOST_LINES {
            self.lines.push(Line::default());
        }
        if let Some(line) = self.lines.get_mut(at).filter(|line| line.keeper.is_none()) {
            line.state = state;
        }
    }

    /// The others are tried first for this time, because it has failed.
    pub(crate) fn shun(&mut self, at: usize, time: Duration, now: Instant) {
        if let Some(line) = self.lines.get_mut(at) {
            line.shunned = Some(now + time.min(LONGEST_SHUNNED));
        }
    }

    /// It has carried a call as far as to somebody.
    pub(crate) fn forgive(&mut self, at: usize) {
        if let Some(line) = self.lines.get_mut(at) {
            line.shunned = None;
        }
    }

    /// In which order trunks are tried for a call: by priority, by chance according to weight, and those last that are not
    /// expected to carry it.
    pub(crate) fn in_order(
        &self,
        choices: &[Choice],
        config: &Config,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Vec<usize> {
        let place = |choice: &Choice| {
            let at = config.trunks.iter().position(|trunk| trunk.name == choice.trunk)?;
            // Efraimidis and Spirakis: the smallest of these is one of weight w with the probability w/Σw.
            let lot = -rng.random_range(f64::MIN_POSITIVE..1.0_f64).ln() / f64::from(choice.weight.max(1));
            Some((choice.priority, lot, at))
        };
        let mut places: Vec<_> = choices.iter().filter_map(place).collect();
        places.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        let mut order: Vec<usize> = places.into_iter().map(|(_, _, at)| at).collect();
        order.sort_by_key(|at| !self.is_hopeful(*at, now));
        order
    }

    fn is_hopeful(&self, at: usize, now: Instant) -> bool {
        let line = self.lines.get(at);
        line.is_some_and(|line| line.shunned.is_none_or(|until| now >= until) && line.state.usable().is_ok())
    }

    /// Whether an address is one of the servers of a trunk.
    pub(crate) fn is_server(&self, at: usize, ip: IpAddr) -> bool {
        let servers = self.lines.get(at).map(|line| line.state.servers.as_slice()).unwrap_or_default();
        servers.iter().any(|server| server.remote.ip().to_canonical() == ip)
    }

    /// Tells the others what is known of a trunk now.
    fn tell(&self, at: usize, config: &Config, cx: &mut Context<'_>) {
        if config.shards > 1 {
            let state = Box::new(self.lines[at].state.clone());
            cx.tell_others(config.shards, &ShardMessage::Trunk { trunk: at, state });
        }
    }

    /// Tells the others of the trunks whose number of calls has changed here.
    pub(crate) fn tell_load(&mut self, config: &Config, cx: &mut Context<'_>) {
        while let Some((trunk, calls, begun)) = self.load.changed(cx.now) {
            let fact = ShardMessage::TrunkLoad { shard: self.shard, trunk, calls, begun };
            cx.tell_others(config.shards, &fact);
        }
    }

    /// Begins to look after the trunks of this shard, at the first input after the start.
    pub(crate) fn due(&mut self, at: usize, desk: &mut Desk<'_, '_>) {
        if desk.config.trunks.get(at).is_some_and(|trunk| trunk.retired) {
            return;
        }
        self.work(at, desk, |keeper, at, (trunk, state), desk| {
            if !keeper.has_begun() {
                keeper.start(trunk, state, desk.cx.now);
            }
            keeper.due(at, trunk, state, desk)
        });
    }

    /// The DNS has answered one of our questions.
    pub(crate) fn resolved(&mut self, ticket: u64, answer: DnsAnswer, desk: &mut Desk<'_, '_>) {
        let Some((at, question)) = self.questions.remove(&ticket) else { return };
        self.work(at, desk, |keeper, at, about, desk| keeper.resolved(at, about, &question, answer, desk));
    }

    /// Takes what the transaction layer has for a trunk.
    pub(crate) fn receive(&mut self, usage: UsageId, event: &TransactionEvent, desk: &mut Desk<'_, '_>) {
        desk.usages.claims.settle(event);
        self.work(place(usage), desk, |keeper, at, about, desk| {
            match usage.0 & TRIAL {
                0 => {
                    let (trunk, state) = about;
                    keeper.receive(at, (trunk, &mut *state), event, desk);
                    // What was under way when it was retired has come to its end.
                    if trunk.retired {
                        keeper.leave(trunk, state, desk);
                    }
                }
                _ => keeper.of_trial(about.1, desk, |invite, stack| invite.receive(event.clone(), stack)),
            }
            Vec::new()
        });
    }

    /// Takes a due deadline of a registration.
    pub(crate) fn timeout(&mut self, owner: UsageOwner, deadline: Instant, desk: &mut Desk<'_, '_>) {
        self.work(place(owner.usage), desk, |keeper, _, (trunk, state), desk| {
            match owner.usage.0 & TRIAL {
                0 => keeper.timeout(deadline, (trunk, state), desk),
                _ => {
                    keeper.of_trial(state, desk, |invite, stack| invite.timeout(owner.timer, deadline, stack))
                }
            }
            Vec::new()
        });
    }

    /// A connection broke, or could not be had.
    pub(crate) fn flow_failed(&mut self, flow: &Flow, desk: &mut Desk<'_, '_>) {
        for at in self.kept() {
            self.work(at, desk, |keeper, _, (trunk, state), desk| {
                keeper.flow_failed(flow, (trunk, state), desk);
                Vec::new()
            });
        }
    }

    /// Asks a trunk at once instead of later, if this shard looks after it.
    pub(crate) fn check(&mut self, at: usize, desk: &mut Desk<'_, '_>) {
        self.work(at, desk, |keeper, at, (trunk, _), desk| {
            keeper.check(at, trunk, desk.cx);
            Vec::new()
        });
    }

    /// Calls a number by a trunk, to see whether that is carried.
    pub(crate) fn try_call(&mut self, at: usize, number: &str, desk: &mut Desk<'_, '_>) {
        self.work(at, desk, |keeper, at, about, desk| {
            keeper.try_call(at, about, number, desk);
            Vec::new()
        });
    }

    /// Takes our contacts back, for the process ends.
    pub(crate) fn leave(&mut self, desk: &mut Desk<'_, '_>) {
        for at in self.kept() {
            self.work(at, desk, |keeper, _, (trunk, state), desk| {
                keeper.leave(trunk, state, desk);
                Vec::new()
            });
        }
    }

    /// Whether this shard looks after a trunk and waits for an answer.
    pub(crate) fn is_busy(&self, at: usize, now: Instant) -> bool {
        let keeper = self.lines.get(at).and_then(|line| line.keeper.as_ref());
        keeper.is_some_and(|keeper| keeper.is_busy(now))
    }

    /// How many contacts of ours are being taken back.
    pub(crate) fn leaving(&self, now: Instant) -> usize {
        let keepers = self.lines.iter().filter_map(|line| line.keeper.as_ref());
        keepers.filter(|keeper| keeper.is_leaving(now)).count()
    }

    /// Lets the keeper of a trunk do something, and tells what has changed by it.
    fn work(
        &mut self,
        at: usize,
        desk: &mut Desk<'_, '_>,
        work: impl FnOnce(&mut Keeper, usize, (&Trunk, &mut TrunkState), &mut Desk<'_, '_>) -> Vec<Question>,
    ) {
        let config = desk.config;
        let (Some(line), Some(trunk)) = (self.lines.get_mut(at), config.trunks.get(at)) else { return };
        let Line { state, keeper: Some(keeper), .. } = line else { return };
        let before = state.clone();
        let questions = work(keeper, at, (trunk, state), desk);
        for question in questions {
            self.issued += 1;
            let ticket = QUESTION | self.issued;
            desk.cx.out.resolves.push((ticket, question.clone()));
            self.questions.insert(ticket, (at, question));
        }
        let state = &self.lines[at].state;
        if let Some(event) = news(trunk, &before, state) {
            desk.cx.event(event);
        }
        if before != *state {
            self.tell(at, config, desk.cx);
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.questions.is_empty() && self.load.is_empty()
    }
}

/// Whether something has to be known of a trunk beside where each of its calls finds its server.
pub(crate) fn is_looked_after(trunk: &Trunk, config: &Config) -> bool {
    let is_one_of_several = |to: &Destination| match to {
        Destination::Trunk(choices) => choices.len() > 1 && choices.iter().any(|one| one.trunk == trunk.name),
        Destination::Account(_) | Destination::Domain(_) | Destination::Enum(_) | Destination::Reject(..) => {
            false
        }
    };
    let in_choice = || config.plan.rules.iter().any(|rule| is_one_of_several(&rule.to));
    trunk.is_bridged() || trunk.health.is_some() || in_choice()
}

/// What the operator should know of a change.
fn news(trunk: &Trunk, before: &TrunkState, now: &TrunkState) -> Option<Event> {
    let (was, is) = (before.usable(), now.usable());
    let registered = |state: &TrunkState| matches!(state.registration, TrunkRegistration::Until(_));
    let what = match (was, is) {
        (Ok(()), Err(why)) => Err(why),
        (Err(before), Err(why)) if before != why => Err(why),
        _ if !registered(before) && registered(now) => Ok("registered".to_owned()),
        (Err(_), Ok(())) if now.registration != TrunkRegistration::Trying => {
            Ok("it can be called".to_owned())
        }
        _ => return None,
    };
    Some(Event::Trunk { trunk: trunk.name.clone(), what })
}

/// The user of our Contact at a trunk, which nobody can guess: who calls it has it from the provider.
pub(crate) fn contact_user(trunk: &Trunk, key: &Key) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key.0).unwrap_or_else(|_| unreachable!("any length will do"));
    mac.update(b"contact at a trunk\0");
    mac.update(trunk.name.as_bytes());
    let mut user = String::from("line-");
    push_hex(&mut user, &mac.finalize().into_bytes()[..12]);
    user
}

/// Whether a usage is of a trunk, and not of a call.
pub(crate) fn is_ours(usage: UsageId) -> bool {
    usage.0 & OURS != 0
}

/// Whether a ticket of [`Outbox::resolves`](crate::io::Outbox::resolves) is of a question of ours.
pub(crate) fn is_our_question(ticket: u64) -> bool {
    ticket & QUESTION != 0
}

fn usage(at: usize) -> UsageId {
    UsageId(OURS | at as u64)
}

fn place(usage: UsageId) -> usize {
    (usage.0 & !(OURS | TRIAL)) as usize
}

const OURS: u64 = 1 << 63;
/// Of the call that shows whether calls are carried.
const TRIAL: u64 = 1 << 32;
/// Apart from the proxy's, and from those about who is calling.
const QUESTION: u64 = 1 << 62;
/// Trunks that there may be, those that are retired included.
const MOST_LINES: usize = 100_000;
const LONGEST_SHUNNED: Duration = Duration::from_secs(3600);
