//! One queue at work: who waits, who is free, who is called for whom.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::voice::Clip;

use super::share::{Busy, Others, QueueShare};
use super::{Queue, Strategy, key_of_queue, key_to_tell};
use crate::b2bua::{CallId, Calls, Dial, ShownAs};
use crate::command::{AgentReport, QueueReport};
use crate::directory::{AddressOfRecord, AgentState};
use crate::keep::Keep;
use crate::speech::Speech;

pub(super) struct Line {
    pub(super) queue: Arc<Queue>,
    pub(super) waiting: VecDeque<Waiter>,
    agents: BTreeMap<AddressOfRecord, Agent>,
    /// The place of the agent with whom round robin goes on.
    pub(super) next: usize,
    pub(super) counts: Counts,
    /// What the other shards have of it.
    pub(super) others: Others,
    /// When it is next looked whether an agent is free who was in another call.
    looks: Option<Instant>,
}

/// A caller who waits.
pub(super) struct Waiter {
    call: CallId,
    since: Instant,
    /// Who is being called for it.
    called: Option<(CallId, Vec<AddressOfRecord>)>,
    /// Agents who have not taken this call.
    tried: Vec<AddressOfRecord>,
    /// All have been tried: the next round begins then.
    rests_until: Option<Instant>,
    /// It is on its way to somebody else.
    leaves: bool,
}

/// What is known of an agent beyond its calls.
#[derive(Default)]
struct Agent {
    state: Option<AgentState>,
    missed: u32,
    /// For whom it rings or with whom it talks.
    busy: Option<Busy>,
    wraps_up_until: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Counts {
    answered: u64,
    abandoned: u64,
    overflowed: u64,
    /// Of those who were answered.
    waited: Duration,
    /// How long the last calls lasted, on average.
    pub(super) talk: Option<Duration>,
    /// When calls that are up began, by the agent's call.
    begun: BTreeMap<AddressOfRecord, Instant>,
}

impl Line {
    pub(super) fn new(queue: &Queue) -> Self {
        let (waiting, agents) = (VecDeque::new(), BTreeMap::new());
        let (counts, others) = (Counts::default(), Others::default());
        Self { queue: Arc::new(queue.clone()), waiting, agents, next: 0, counts, others, looks: None }
    }

    /// The agents, as accounts, in the order of the configuration.
    fn everybody(&self, calls: &Calls<'_, '_, '_>) -> Vec<AddressOfRecord> {
        self.queue.agents.iter().filter_map(|named| calls.named(named)).collect()
    }

    /// Whether an account logs in and out here.
    pub(super) fn logs_in(&self, account: &AddressOfRecord, calls: &Calls<'_, '_, '_>) -> bool {
        self.queue.log_in && self.everybody(calls).contains(account)
    }

    pub(super) fn state(&self, account: &AddressOfRecord) -> AgentState {
        let usual = if self.queue.log_in { AgentState::LoggedOut } else { AgentState::LoggedIn };
        self.agents.get(account).and_then(|agent| agent.state).unwrap_or(usual)
    }

    pub(super) fn set(&mut self, account: &AddressOfRecord, state: AgentState) {
        let agent = self.agents.entry(account.clone()).or_default();
        agent.state = Some(state);
        agent.missed = 0;
    }

    /// Whether anybody takes calls here, now or after a pause.
    pub(super) fn is_staffed(&self, calls: &Calls<'_, '_, '_>) -> bool {
        self.everybody(calls).iter().any(|one| self.state(one) != AgentState::LoggedOut)
    }

    pub(super) fn join(&mut self, call: CallId, calls: &Calls<'_, '_, '_>) {
        let (since, tried) = (calls.now(), Vec::new());
        self.waiting.push_back(Waiter { call, since, called: None, tried, rests_until: None, leaves: false });
    }

    /// Another has the place of a caller who waits; returns for how long it may wait.
    pub(super) fn replace(&mut self, call: CallId, by: CallId, calls: &mut Calls<'_, '_, '_>) -> Duration {
        let waiter = self.waiting.iter_mut().find(|one| one.call == call);
        let since = waiter.as_ref().map_or_else(|| calls.now(), |waiter| waiter.since);
        let called = waiter.and_then(|waiter| {
            waiter.call = by;
            waiter.called.take()
        });
        // Who is being called is called for the one before.
        if let Some((dialled, called)) = called {
            calls.hang_up(dialled);
            for agent in called {
                self.agents.entry(agent).or_default().busy = None;
            }
        }
        self.queue.max_wait.saturating_sub(calls.now().duration_since(since))
    }

    /// Whether as many wait as may, in all shards.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() + self.others.waiting() >= self.queue.max_waiting
    }

    /// What this shard has of the queue.
    pub(super) fn share(&self, now: Instant) -> QueueShare {
        let waiting = self.waiting.iter().filter(|one| !one.leaves);
        let agents = || self.agents.iter();
        QueueShare {
            waiting: waiting.map(|one| (one.since, one.wants(now))).collect(),
            busy: agents().filter_map(|(who, one)| Some((who.clone(), one.busy?))).collect(),
            wrap_up: agents()
                .filter_map(|(who, one)| {
                    Some((who.clone(), one.wraps_up_until.filter(|until| *until > now)?))
                })
                .collect(),
            missed: agents()
                .filter(|(_, one)| one.missed > 0)
                .map(|(who, one)| (who.clone(), one.missed))
                .collect(),
            next: self.next,
            talk: self.counts.talk,
        }
    }

    /// An agent has answered a call of another shard.
    pub(super) fn answers_again(&mut self, account: &AddressOfRecord) {
        if let Some(agent) = self.agents.get_mut(account) {
            agent.missed = 0;
        }
    }

    /// Another shard calls an agent too: whose caller has waited for longer keeps it.
    pub(super) fn withdraw(
        &mut self,
        agent: &AddressOfRecord,
        (theirs, shard): (Busy, u8),
        calls: &mut Calls<'_, '_, '_>,
    ) {
        let (own, _) = calls.shard();
        let is_called = |one: &&mut Waiter| {
            let called = one.called.as_ref().is_some_and(|(_, called)| called.contains(agent));
            called && (theirs.talks || (theirs.since, shard) < (one.since, own))
        };
        let Some(waiter) = self.waiting.iter_mut().find(is_called) else { return };
        let Some((dialled, called)) = waiter.called.take() else { return };
        calls.hang_up(dialled);
        for agent in called {
            self.agents.entry(agent).or_default().busy = None;
        }
    }

    pub(super) fn waits(&self, call: CallId) -> bool {
        self.waiting.iter().any(|one| one.call == call && !one.leaves)
    }

    pub(super) fn waiting_calls(&self) -> Vec<CallId> {
        self.waiting.iter().filter(|one| !one.leaves).map(|one| one.call).collect()
    }

    /// Agents who can be called now, in the order in which they are.
    fn free(&mut self, calls: &mut Calls<'_, '_, '_>) -> Vec<AddressOfRecord> {
        let now = calls.now();
        let mut free = self.everybody(calls);
        if self.queue.strategy == Strategy::RoundRobin && !free.is_empty() {
            let turn = self.next % free.len();
            free.rotate_left(turn);
        }
        free.retain(|one| {
            let agent = self.agents.get(one);
            let rests = agent
                .is_some_and(|one| one.busy.is_some() || one.wraps_up_until.is_some_and(|until| until > now));
            let rests = rests || self.others.have(one, now);
            self.state(one) == AgentState::LoggedIn && !rests && calls.can_be_called(one)
        });
        match self.queue.strategy {
            Strategy::LongestIdle => free.sort_by_cached_key(|one| calls.free_since(one.as_str())),
            Strategy::Random => free.sort_by_cached_key(|_| calls.chance()),
            Strategy::All | Strategy::Sequential | Strategy::RoundRobin => {}
        }
        free
    }

    /// Calls free agents for those who wait, the first of them first.
    pub(super) fn serve(&mut self, at: usize, calls: &mut Calls<'_, '_, '_>) {
        self.call_agents(at, calls);
        let now = calls.now();
        let is_looking = self.looks.is_some_and(|due| due > now);
        if self.waiting.iter().any(|one| one.wants(now)) && !is_looking {
            // Nobody tells when an agent's other call ends, or a phone of an agent is there again.
            self.looks = Some(now + LOOK);
            calls.remind(LOOK, key_of_queue(at));
        }
    }

    fn call_agents(&mut self, at: usize, calls: &mut Calls<'_, '_, '_>) {
        let (everybody, now) = (self.everybody(calls), calls.now());
        for place in 0..self.waiting.len() {
            let mut free = self.free(calls);
            let Some(waiter) = self.waiting.get_mut(place) else { return };
            if !waiter.wants(now) {
                continue;
            }
            // The first who are free are for those of other shards who have waited for longer.
            let before = self.others.before(waiter.since, calls.shard().0, true);
            let taken = if self.queue.strategy == Strategy::All && before > 0 { free.len() } else { before };
            free.drain(..taken.min(free.len()));
            if free.is_empty() {
                return;
            }
            let mut fresh: Vec<_> = free.iter().filter(|one| !waiter.tried.contains(one)).cloned().collect();
            if fresh.is_empty() {
                // All who are free have just not taken it.
                waiter.rests_until = Some(now + REST);
                waiter.tried.clear();
                calls.remind(REST, key_of_queue(at));
                continue;
            }
            if self.queue.strategy != Strategy::All {
                fresh.truncate(1);
            }
            let shown = calls.shown_in_group(waiter.call, &self.queue.name).map(Box::new);
            let to = fresh.iter().map(ToString::to_string).collect();
            let rings_for = self.queue.rings_for;
            let dial = Dial { to, rings_for, ..Dial::new("", None, ShownAs::Name(shown)) };
            let dialled = calls.dial(waiter.call, dial);
            if let [only] = &fresh[..] {
                let place = everybody.iter().position(|one| one == only);
                self.next = place.map_or(0, |place| place + 1);
            }
            let busy = Some(Busy { since: waiter.since, talks: false });
            for agent in &fresh {
                self.agents.entry(agent.clone()).or_default().busy = busy;
            }
            waiter.called = Some((dialled, fresh));
        }
    }

    /// An agent has answered for a caller; returns who, unless it was somebody else.
    pub(super) fn answered(
        &mut self,
        call: CallId,
        answered: CallId,
        calls: &mut Calls<'_, '_, '_>,
    ) -> Option<AddressOfRecord> {
        let at = self.waiting.iter().position(|one| one.call == call)?;
        let waiter = self.waiting.remove(at)?;
        let (_, called) = waiter.called?;
        if waiter.leaves {
            return None;
        }
        let who = calls.account(answered).filter(|who| called.contains(who));
        let who = who.or_else(|| called.first().cloned())?;
        for agent in &called {
            let busy = (*agent == who).then_some(Busy { since: waiter.since, talks: true });
            self.agents.entry(agent.clone()).or_default().busy = busy;
        }
        self.agents.entry(who.clone()).or_default().missed = 0;
        calls.occupy(answered, &who);
        self.counts.answered += 1;
        self.counts.waited += calls.now().duration_since(waiter.since);
        self.counts.begun.insert(who.clone(), calls.now());
        Some(who)
    }

    /// Nobody has answered who was called for a caller; false: it was the last that could be done for it.
    pub(super) fn failed(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> bool {
        let Some(waiter) = self.waiting.iter_mut().find(|one| one.call == call) else { return true };
        let Some((_, called)) = waiter.called.take() else { return true };
        if waiter.leaves {
            return false;
        }
        waiter.tried.extend(called.iter().cloned());
        for account in called {
            let agent = self.agents.entry(account.clone()).or_default();
            agent.busy = None;
            agent.missed += 1;
            let missed = agent.missed + self.others.missed(&account);
            if self.queue.log_in && self.queue.pause_after > 0 && missed >= self.queue.pause_after {
                agent.state = Some(AgentState::Paused);
                calls.remember(call, Keep::Agent(self.queue.number.clone(), account, AgentState::Paused));
            }
        }
        true
    }

    /// An agent's call is over.
    pub(super) fn wrap_up(&mut self, account: &AddressOfRecord, calls: &Calls<'_, '_, '_>) {
        let agent = self.agents.entry(account.clone()).or_default();
        agent.busy = None;
        agent.wraps_up_until = Some(calls.now() + self.queue.wrap_up);
        if let Some(begun) = self.counts.begun.remove(account) {
            let lasted = calls.now().duration_since(begun);
            let before = self.counts.talk.unwrap_or(lasted);
            self.counts.talk = Some(before * 7 / 8 + lasted / 8);
        }
    }

    /// A caller is gone.
    pub(super) fn left(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        let waits = self.waits(call);
        if self.forget(call, calls) && waits {
            self.counts.abandoned += 1;
        }
    }

    /// Nobody needs to be called any more for a caller; whether it has waited.
    pub(super) fn forget(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> bool {
        let Some(at) = self.waiting.iter().position(|one| one.call == call) else { return false };
        if let Some((dialled, called)) = self.waiting.remove(at).and_then(|one| one.called) {
            calls.hang_up(dialled);
            for agent in called {
                self.agents.entry(agent).or_default().busy = None;
            }
        }
        true
    }

    /// A call has ended that another service has had.
    pub(super) fn is_over(&mut self, call: CallId) {
        self.waiting.retain(|one| one.call != call);
    }

    /// An agent's call has ended that another service has had.
    pub(super) fn is_free(&mut self, account: &AddressOfRecord) {
        self.agents.entry(account.clone()).or_default().busy = None;
        self.counts.begun.remove(account);
    }

    /// Sends a caller on to where the queue's calls go; false if there is nowhere to go.
    pub(super) fn send_on(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> bool {
        let Some(waiter) = self.waiting.iter_mut().find(|one| one.call == call) else { return false };
        if waiter.leaves {
            return false;
        }
        waiter.leaves = true;
        self.counts.overflowed += 1;
        if let Some((dialled, called)) = waiter.called.take() {
            calls.hang_up(dialled);
            for agent in called {
                self.agents.entry(agent).or_default().busy = None;
            }
        }
        let Some(to) = self.queue.then.clone() else { return false };
        let dial = Dial::new(to, None, ShownAs::Party(call));
        waiter.called = Some((calls.dial(call, dial), Vec::new()));
        true
    }

    /// Tells a caller where it stands, and lets it hear that it waits.
    pub(super) fn tell(&self, call: CallId, first: bool, calls: &mut Calls<'_, '_, '_>) {
        let waits = self.waiting.iter().filter(|one| !one.leaves);
        let Some((before, own)) = waits.enumerate().find(|(_, one)| one.call == call) else { return };
        let place = before + self.others.before(own.since, calls.shard().0, false);
        let mut speech = Speech::new();
        if first {
            speech = speech.pause(SETTLE_MS).say("queue-welcome");
        }
        if !self.queue.announce.is_zero() {
            let place = u32::try_from(place + 1).unwrap_or(u32::MAX);
            speech = speech.pause(300).say("queue-place-before").number(place).say("queue-place");
            if let Some(minutes) = self.minutes(place, calls) {
                let word = if minutes == 1 { "queue-minute" } else { "queue-minutes" };
                speech = speech.pause(200).say("queue-wait-before").count(minutes).say(word);
            }
        }
        calls.say(call, speech.pause(500).clip(Clip::Music));
        if !self.queue.announce.is_zero() {
            calls.remind(self.queue.announce, key_to_tell(call));
        }
    }

    /// About how long the one at this place will wait, as far as the calls before tell.
    fn minutes(&self, place: u32, calls: &Calls<'_, '_, '_>) -> Option<u32> {
        let agents =
            self.everybody(calls).iter().filter(|one| self.state(one) == AgentState::LoggedIn).count();
        let each = self.counts.talk? + self.queue.wrap_up;
        let seconds = each.as_secs().checked_mul(place.into())? / (agents.max(1) as u64);
        u32::try_from(seconds.div_ceil(60).max(1)).ok().filter(|minutes| *minutes <= MOST_MINUTES)
    }

    pub(super) fn report(&self, calls: &Calls<'_, '_, '_>) -> QueueReport {
        let now = calls.now();
        let waits = || self.waiting.iter().filter(|one| !one.leaves);
        let agent = |account: AddressOfRecord| AgentReport {
            state: self.state(&account),
            in_call: self.agents.get(&account).is_some_and(|one| one.busy.is_some())
                || calls.is_in_call(&account),
            account: account.to_string(),
        };
        QueueReport {
            number: self.queue.number.clone(),
            name: self.queue.name.clone(),
            waiting: waits().count(),
            longest_wait: waits().map(|one| now.duration_since(one.since).as_secs()).max().unwrap_or(0),
            answered: self.counts.answered,
            abandoned: self.counts.abandoned,
            overflowed: self.counts.overflowed,
            waited: self.counts.waited.as_secs(),
            agents: self.everybody(calls).into_iter().map(agent).collect(),
        }
    }
}

impl Waiter {
    /// Whether somebody is to be called for it.
    fn wants(&self, now: Instant) -> bool {
        self.called.is_none() && !self.leaves && self.rests_until.is_none_or(|until| until <= now)
    }
}

/// How often it is looked for agents who are free again, while somebody waits for one.
const LOOK: Duration = Duration::from_secs(2);
/// After all agents have been tried.
const REST: Duration = Duration::from_secs(5);
/// What a phone needs until it is at the caller's ear.
const SETTLE_MS: u32 = 500;
/// What is longer is not said.
const MOST_MINUTES: u32 = 60;
