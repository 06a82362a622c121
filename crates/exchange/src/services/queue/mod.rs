//! Queues: callers wait, hear their place, and are connected with the next agent who is free. Agents log in and out by
//! telephone.
//!
//! A caller has an end of ours, which speaks to it; an agent is called for it and connected when it answers.

mod code;
mod line;
mod share;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::group::{Group, Hours, Hunt, Strategy};
use super::{Kind, Service, Settings as All, Verdict};
use crate::b2bua::{CallId, Calls, Dialled, Endpoint, Point};
use crate::command::QueueReport;
use crate::directory::{AddressOfRecord, Delta};
use crate::refusal::Refusal;
use crate::speech::Speech;
use code::Code;
use line::Line;
pub use share::QueueShare;

pub(super) const KIND: Kind = Kind {
    name: "queue",
    summary: "lets callers wait for agents: [[queue]]; agents dial its codes to log in and out, and to pause",
    number: |settings| settings.agents.shown.as_deref(),
    make: |settings| Box::new(Queues::new(settings)),
};

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// What is dialled for it.
    pub number: String,
    /// What agents are shown before the caller's name.
    pub name: String,
    /// Accounts, by number, user or address.
    pub agents: Vec<String>,
    /// Whether agents log in and out; if not, all of them are always there.
    pub log_in: bool,
    /// Which of the free agents is called.
    pub strategy: Strategy,
    /// For how long.
    pub rings_for: Duration,
    /// For so long an agent gets no call after the one before.
    pub wrap_up: Duration,
    /// After so many calls that it has not answered an agent pauses; 0: never.
    pub pause_after: u32,
    /// How many callers may wait.
    pub max_waiting: usize,
    /// For how long.
    pub max_wait: Duration,
    /// How often a caller is told its place; zero: never.
    pub announce: Duration,
    /// Where calls go that cannot wait any longer, or at all.
    pub then: Option<String>,
    /// When it takes calls; `None`: always.
    pub hours: Option<Hours>,
    /// Whether callers whom nobody can take hear so before they are refused.
    pub say_refusal: bool,
}

/// What agents dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// To log in and out.
    pub log_in: Option<String>,
    /// To begin a pause and to end it.
    pub pause: Option<String>,
    /// Both as they are shown.
    pub shown: Option<String>,
}

impl Settings {
    /// With these codes.
    pub fn new(log_in: Option<String>, pause: Option<String>) -> Self {
        let shown: Vec<&str> = [&log_in, &pause].into_iter().flatten().map(String::as_str).collect();
        let shown = (!shown.is_empty()).then(|| shown.join(" "));
        Self { log_in, pause, shown }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(Some("*45".into()), Some("*46".into()))
    }
}

struct Queues {
    settings: Settings,
    lines: Vec<Line>,
    calls: BTreeMap<CallId, Who>,
}

/// Whose call it is.
enum Who {
    /// A caller of this queue, who waits or has been connected.
    Caller(usize),
    /// An agent of this queue, who talks with one.
    Agent(usize, AddressOfRecord),
    /// Someone who has dialled a code.
    Code(Code),
    /// A caller who is told why it goes, and goes.
    Goes,
    /// The same of one who is not answered.
    IsRefused(Refusal),
}

impl Queues {
    fn new(settings: &All) -> Self {
        Self {
            settings: settings.agents.clone(),
            lines: settings.queues.iter().map(Line::new).collect(),
            calls: BTreeMap::new(),
        }
    }

    /// A call for a queue: it waits, or goes where the queue's calls go.
    fn enter(&mut self, at: usize, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let Some(line) = self.lines.get_mut(at) else { return Verdict::Continue };
        let (now, _) = calls.clock();
        let queue = Arc::clone(&line.queue);
        if let Some(hours) = queue.hours.as_ref().filter(|hours| !hours.when.is_open(now)) {
            return Verdict::Hunt(Box::new(onward(&queue, Some(hours.otherwise.clone()), true)));
        }
        let is_full = line.is_full();
        if is_full || !line.is_staffed(calls) {
            if queue.then.is_some() {
                return Verdict::Hunt(Box::new(onward(&queue, queue.then.clone(), false)));
            }
            let why = if is_full { "Too many wait for" } else { "Nobody takes calls of" };
            let refusal = Refusal::unavailable(format!("{why} {}", queue.name));
            return self.refuse(call, (refusal, queue.say_refusal), calls);
        }
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            self.calls.insert(call, Who::Caller(at));
            line.join(call, calls);
            calls.remind(queue.max_wait, key_of_caller(call));
            line.tell(call, true, calls);
            line.serve(at, calls);
            self.tell_others(calls);
        }
        answered.into()
    }

    fn tell_others(&mut self, calls: &mut Calls<'_, '_, '_>) {
        self.lines.iter_mut().for_each(|line| line.tell_others(calls));
    }

    /// A call goes no further; its caller may be told so in words before.
    fn refuse(
        &mut self,
        call: CallId,
        (refusal, in_words): (Refusal, bool),
        calls: &mut Calls<'_, '_, '_>,
    ) -> Verdict {
        if !in_words || !calls.can_hear_early(call) {
            return Verdict::Reject(refusal);
        }
        let begun = calls.speak_early(call);
        if begun.is_ok() {
            calls.say(call, Speech::new().pause(SETTLE_MS).say("queue-nobody").pause(200));
            self.calls.insert(call, Who::IsRefused(refusal));
        }
        begun.into()
    }

    /// A caller has waited for long enough, or nobody is there any more.
    fn overflow(&mut self, at: usize, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        let Some(line) = self.lines.get_mut(at) else { return };
        if !line.send_on(call, calls) {
            line.forget(call, calls);
            self.calls.insert(call, Who::Goes);
            calls.say(call, Speech::new().say("queue-nobody").pause(200));
        }
    }

    fn caller(&mut self, at: usize, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        let Some(line) = self.lines.get_mut(at) else { return };
        match point {
            Point::Dialled(Dialled::Answered(answered)) => {
                if let Some(agent) = line.answered(call, answered, calls) {
                    self.calls.insert(answered, Who::Agent(at, agent));
                }
            }
            Point::Dialled(Dialled::Failed(_)) => {
                if line.failed(call, calls) {
                    line.serve(at, calls);
                } else {
                    self.overflow(at, call, calls);
                }
            }
            Point::Ended => {
                line.left(call, calls);
                self.calls.remove(&call);
                line.serve(at, calls);
            }
            _ => {}
        }
    }
}

impl Service for Queues {
    fn configure(&mut self, settings: &All) {
        self.settings.clone_from(&settings.agents);
        // Lines keep their places, for the calls in them name those; one that is gone takes no more.
        let mut new: Vec<_> = settings.queues.iter().collect();
        for line in &mut self.lines {
            let found = new.iter().position(|queue| queue.number == line.queue.number);
            match found {
                Some(found) => line.queue = Arc::new(new.remove(found).clone()),
                None => line.queue = Arc::new(Queue { number: String::new(), ..line.queue.as_ref().clone() }),
            }
        }
        self.lines.extend(new.into_iter().map(Line::new));
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let Some(dialled) = calls.dialled(call) else { return Verdict::Continue };
        if let Some(at) = self.lines.iter().position(|line| line.queue.number == dialled) {
            return self.enter(at, call, calls);
        }
        let Some(code) = Code::dialled(dialled, &self.settings) else { return Verdict::Continue };
        let own = calls.caller_account(call).filter(|_| calls.diverted_by(call).is_none());
        let Some(account) = own else { return Verdict::Continue };
        if !self.lines.iter().any(|line| line.logs_in(&account, calls)) {
            return Verdict::Continue;
        }
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            let code = code.begin(call, &account, &self.lines, calls);
            self.calls.insert(call, Who::Code(code));
        }
        answered.into()
    }

    fn replaced(&mut self, call: CallId, by: CallId, calls: &mut Calls<'_, '_, '_>) -> bool {
        let Some(Who::Caller(at)) = self.calls.get(&call) else { return false };
        let at = *at;
        let Some(line) = self.lines.get_mut(at).filter(|line| line.waits(call)) else { return false };
        if !calls.take(by) {
            return false;
        }
        self.calls.remove(&call);
        self.calls.insert(by, Who::Caller(at));
        let left = line.replace(call, by, calls);
        calls.remind(left, key_of_caller(by));
        line.tell(by, true, calls);
        line.serve(at, calls);
        self.tell_others(calls);
        true
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        match self.calls.get_mut(&call) {
            Some(Who::Caller(at)) => {
                let at = *at;
                self.caller(at, call, point, calls);
            }
            Some(Who::Agent(at, agent)) if point == Point::Ended => {
                let (at, agent) = (*at, agent.clone());
                self.calls.remove(&call);
                if let Some(line) = self.lines.get_mut(at) {
                    line.wrap_up(&agent, calls);
                    calls.remind(line.queue.wrap_up, key_of_queue(at));
                }
            }
            Some(Who::Code(code)) => {
                code.point(call, &point, calls);
                if point == Point::Ended {
                    self.calls.remove(&call);
                }
            }
            Some(Who::Goes) => match point {
                Point::Played => calls.hang_up(call),
                Point::Ended => _ = self.calls.remove(&call),
                _ => {}
            },
            Some(Who::IsRefused(refusal)) => match point {
                Point::Played => calls.refuse(call, refusal),
                Point::Ended => _ = self.calls.remove(&call),
                _ => {}
            },
            Some(Who::Agent(..)) | None => return,
        }
        self.tell_others(calls);
    }

    fn kept(&mut self, call: CallId, is_kept: bool, calls: &mut Calls<'_, '_, '_>) {
        if let Some(Who::Code(code)) = self.calls.get_mut(&call) {
            code.kept(call, is_kept, calls);
        }
    }

    fn changed(&mut self, delta: &Delta, calls: &mut Calls<'_, '_, '_>) {
        let Delta::Agent(number, account, state) = delta else { return };
        let Some(at) = self.lines.iter().position(|line| line.queue.number == *number) else { return };
        let Some(line) = self.lines.get_mut(at) else { return };
        line.set(account, *state);
        if line.is_staffed(calls) {
            line.serve(at, calls);
            return self.tell_others(calls);
        }
        for call in line.waiting_calls() {
            self.overflow(at, call, calls);
        }
        self.tell_others(calls);
    }

    fn due(&mut self, what: u64, calls: &mut Calls<'_, '_, '_>) {
        if what & CALLER == 0 {
            if let Some((line, at)) =
                usize::try_from(what).ok().and_then(|at| Some((self.lines.get_mut(at)?, at)))
            {
                line.serve(at, calls);
            }
            return self.tell_others(calls);
        }
        let call = CallId(what & !(CALLER | TELL));
        let Some(Who::Caller(at)) = self.calls.get(&call) else { return };
        let at = *at;
        let Some(line) = self.lines.get(at).filter(|line| line.waits(call)) else { return };
        match what & TELL {
            0 => self.overflow(at, call, calls),
            _ => line.tell(call, false, calls),
        }
        self.tell_others(calls);
    }

    fn shared(&mut self, (shard, number): (u8, &str), share: QueueShare, calls: &mut Calls<'_, '_, '_>) {
        let Some(at) = self.lines.iter().position(|line| line.queue.number == number) else { return };
        for rest in self.lines[at].note(shard, share, calls) {
            calls.remind(rest, key_of_queue(at));
        }
        self.lines[at].serve(at, calls);
        self.tell_others(calls);
    }

    fn over(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        // One that another service has taken is still known here.
        match self.calls.remove(&call) {
            Some(Who::Caller(at)) => self.lines[at].is_over(call),
            Some(Who::Agent(at, agent)) => self.lines[at].is_free(&agent),
            Some(Who::Code(_) | Who::Goes | Who::IsRefused(_)) | None => return,
        }
        self.tell_others(calls);
    }

    fn queues(&self, calls: &Calls<'_, '_, '_>) -> Vec<QueueReport> {
        let in_force = self.lines.iter().filter(|line| !line.queue.number.is_empty());
        in_force.map(|line| line.report(calls)).collect()
    }
}

/// What is due for a caller.
fn key_of_caller(call: CallId) -> u64 {
    call.0 | CALLER
}

/// When a caller is told again where it stands.
fn key_to_tell(call: CallId) -> u64 {
    call.0 | CALLER | TELL
}

/// What is due for a queue.
fn key_of_queue(at: usize) -> u64 {
    at as u64
}

/// A call of a queue goes somewhere else, as one of a group does.
fn onward(queue: &Queue, then: Option<String>, closed: bool) -> Hunt {
    let group = Group {
        number: queue.number.clone(),
        name: queue.name.clone(),
        members: Vec::new(),
        strategy: queue.strategy,
        rings_for: queue.rings_for,
        then: None,
        skip_busy: true,
        follow_forwards: false,
        hours: None,
    };
    Hunt { group: Arc::new(group), rounds: Default::default(), then, closed }
}

/// What a phone needs until it is at the caller's ear.
const SETTLE_MS: u32 = 500;
/// Tells keys of callers from those of queues.
const CALLER: u64 = 1 << 63;
/// Tells what is to be said from what is over.
const TELL: u64 = 1 << 62;
