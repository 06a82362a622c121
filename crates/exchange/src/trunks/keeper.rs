//! Looking after a trunk: its servers in the DNS, our registration, whether it answers.

use std::time::{Duration, Instant};

use offhook_sip::{NameAddr, Status};
use offhook_sip_stack::auth::Authorizer;
use offhook_sip_stack::locate::{DnsAnswer, Lookup, Question, Step};
use offhook_sip_stack::transaction::TransactionEvent;
use offhook_sip_stack::usage::{
    Attempt, Invite, Registration, RegistrationEvent, RegistrationSettings, Stack, UsageId,
};
use offhook_sip_stack::{Flow, Transport};
use rand::RngExt as _;

use super::request::{expect, flows, lend, no_way, options, refusal, settings_towards};
use super::trial::{Trial, TrunkTrial};
use super::{Desk, TRIAL, TrunkHealth, TrunkRegistration, TrunkState, usage};
use crate::context::{Alarm, Context};
use crate::route::{Trunk, TrunkAccount};

/// What looks after one trunk.
pub(super) struct Keeper {
    begun: bool,
    /// Who we are there, as the authorizer knows it.
    account: Option<TrunkAccount>,
    authorizer: Option<Authorizer>,
    /// The search for its servers, and when it began.
    lookup: Option<(Lookup, Instant)>,
    next_lookup: Option<Instant>,
    registration: Option<Registration>,
    /// When a registration that was refused is tried again.
    retry: Option<Instant>,
    /// Since when our contact is being taken back.
    leaving: Option<Instant>,
    asked: Option<Asked>,
    next_health: Option<Instant>,
    trial: Option<Trial>,
    armed: Option<Instant>,
}

/// An OPTIONS under way.
struct Asked {
    attempt: Attempt,
    since: Instant,
}

impl Keeper {
    pub(super) fn new(trunk: &Trunk) -> Self {
        Self {
            begun: false,
            account: trunk.account().cloned(),
            authorizer: trunk.account().map(|account| account.authorizer()),
            lookup: None,
            next_lookup: None,
            registration: None,
            retry: None,
            leaving: None,
            asked: None,
            next_health: None,
            trial: None,
            armed: None,
        }
    }

    /// Whether [`Keeper::start`] was called.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Begins: everything else follows from the answer of the DNS.
    pub(super) fn start(&mut self, trunk: &Trunk, state: &mut TrunkState, now: Instant) {
        if trunk.account().is_some_and(|account| account.expires.is_some()) {
            state.registration = TrunkRegistration::Trying;
        }
        self.next_lookup = Some(now);
        self.begun = true;
    }

    /// Does what is due; returns what to ask the DNS.
    pub(super) fn due(
        &mut self,
        at: usize,
        trunk: &Trunk,
        state: &mut TrunkState,
        desk: &mut Desk<'_, '_>,
    ) -> Vec<Question> {
        let now = desk.cx.now;
        self.armed.take_if(|armed| *armed <= now);
        let is_due = |next: &mut Option<Instant>| next.take_if(|next| *next <= now).is_some();
        if is_due(&mut self.retry)
            && self.leaving.is_none()
            && let Some(registration) = self.registration.as_mut().filter(|one| !one.is_asking())
        {
            let (flows, authorizer) = (state.servers.clone(), &mut self.authorizer);
            expect(&flows, trunk, desk.cx);
            lend(authorizer, desk, |stack| registration.register(flows, stack));
        }
        if is_due(&mut self.next_health) && self.asked.is_none() {
            self.ask(at, trunk, state, desk);
        }
        if let Some(trial) = self.trial.as_mut().filter(|trial| trial.ends <= now)
            && !trial.give_up(state, desk)
        {
            self.trial = None;
        }
        let questions =
            if is_due(&mut self.next_lookup) { self.look_up(trunk, state, desk) } else { Vec::new() };
        self.arm(at, desk.cx);
        questions
    }

    /// Lets the table wake it when something is due next.
    pub(super) fn arm(&mut self, at: usize, cx: &mut Context<'_>) {
        let trial = self.trial.as_ref().map(|trial| trial.ends).filter(|ends| *ends > cx.now);
        let next = [self.next_lookup, self.next_health, self.retry, trial].into_iter().flatten().min();
        if let Some(next) = next.filter(|next| self.armed.is_none_or(|armed| *next < armed)) {
            cx.timers.arm(next, Alarm::Trunk(at));
            self.armed = Some(next);
        }
    }

    fn look_up(&mut self, trunk: &Trunk, state: &mut TrunkState, desk: &mut Desk<'_, '_>) -> Vec<Question> {
        let now = desk.cx.now;
        if self.lookup.as_ref().is_some_and(|(_, since)| now.duration_since(*since) < LONGEST_SEARCH) {
            self.next_lookup = Some(now + LONGEST_SEARCH);
            return Vec::new();
        }
        match Lookup::start(trunk.next_hop(), &desk.config.spoken()) {
            Ok((lookup, questions)) => {
                self.lookup = Some((lookup, now));
                // Should no answer come at all.
                self.next_lookup = Some(now + LONGEST_SEARCH);
                questions
            }
            Err(_) => {
                let host = trunk.next_hop().host();
                state.lookup_failure =
                    Some(format!("{host} cannot be reached by any transport on which we listen"));
                Vec::new()
            }
        }
    }

    /// The DNS has answered; returns what else to ask it.
    pub(super) fn resolved(
        &mut self,
        at: usize,
        (trunk, state): (&Trunk, &mut TrunkState),
        question: &Question,
        answer: DnsAnswer,
        desk: &mut Desk<'_, '_>,
    ) -> Vec<Question> {
        let Some((lookup, _)) = &mut self.lookup else { return Vec::new() };
        match lookup.answer(question, answer, desk.cx.rng) {
            Step::Wait => return Vec::new(),
            Step::Ask(questions) => return questions,
            Step::Found(hops) => {
                self.next_lookup = Some(desk.cx.now + LOOKUP_EVERY);
                let flows = flows(&hops, desk.config);
                match flows.is_empty() {
                    true => state.lookup_failure = Some(no_way(trunk)),
                    false => self.found(at, trunk, state, flows, desk),
                }
            }
            Step::Failed(failure) => {
                self.next_lookup = Some(desk.cx.now + LOOKUP_AGAIN);
                // What was found before may still be there.
                let host = trunk.next_hop().host();
                state.lookup_failure = Some(format!("{host} is not found: {failure}"));
            }
        }
        self.lookup = None;
        self.arm(at, desk.cx);
        Vec::new()
    }

    /// The servers are known.
    fn found(
        &mut self,
        at: usize,
        trunk: &Trunk,
        state: &mut TrunkState,
        flows: Vec<Flow>,
        desk: &mut Desk<'_, '_>,
    ) {
        state.lookup_failure = None;
        state.servers.clone_from(&flows);
        if trunk.health.is_some() && self.next_health.is_none() && self.asked.is_none() {
            self.next_health = Some(desk.cx.now);
        }
        let Some(account) = trunk.account().filter(|account| account.expires.is_some()) else { return };
        match &mut self.registration {
            Some(registration) => {
                let is_there = registration.flow().is_some_and(|flow| flows.contains(&flow));
                if is_there || self.leaving.is_some() || self.retry.is_some() {
                    return registration.ways(flows);
                }
                expect(&flows, trunk, desk.cx);
                lend(&mut self.authorizer, desk, |stack| registration.register(flows, stack));
            }
            None => {
                let address = account.registrar.clone().without_params().without_port();
                let what = RegistrationSettings {
                    registrar: account.registrar.clone().without_params().into(),
                    address: NameAddr::new(address.with_user(&account.username)),
                    routes: Vec::new(),
                    expires: account.expires.unwrap_or_default(),
                    headers: Vec::new(),
                };
                let settings = settings_towards(&flows[0], trunk, desk.config);
                expect(&flows, trunk, desk.cx);
                let registration = lend(&mut self.authorizer, desk, |stack| {
                    let mut registration = Registration::new(usage(at), what, settings, stack);
                    registration.register(flows, stack);
                    registration
                });
                self.registration = Some(registration);
            }
        }
    }

    /// Asks whether it is there.
    fn ask(&mut self, at: usize, trunk: &Trunk, state: &TrunkState, desk: &mut Desk<'_, '_>) {
        let Some(flow) = state.servers.first().copied() else { return };
        let settings = settings_towards(&flow, trunk, desk.config);
        let options = options(trunk, &flow, &settings, desk.cx);
        expect(&state.servers, trunk, desk.cx);
        let since = desk.cx.now;
        let attempt = lend(&mut None, desk, |stack| {
            Attempt::send(usage(at), options, &state.servers, &settings, stack)
        });
        self.asked = attempt.map(|attempt| Asked { attempt, since });
    }

    /// Takes an event of one of its transactions.
    pub(super) fn receive(
        &mut self,
        at: usize,
        (trunk, state): (&Trunk, &mut TrunkState),
        event: &TransactionEvent,
        desk: &mut Desk<'_, '_>,
    ) {
        let client = match event {
            TransactionEvent::Response { client, .. }
            | TransactionEvent::Timeout { client }
            | TransactionEvent::TransportFailed { client } => *client,
            _ => return,
        };
        if self.asked.as_ref().is_some_and(|asked| asked.attempt.client() == client) {
            return self.heard(at, (trunk, state), event, desk);
        }
        let Some(registration) = &mut self.registration else { return };
        let told = lend(&mut self.authorizer, desk, |stack| registration.receive(event, stack));
        state.realm = self.authorizer.as_ref().and_then(Authorizer::realm).map(str::to_owned);
        if let Some(told) = told {
            self.registered(at, state, told, desk);
        }
    }

    /// What has become of our registration.
    fn registered(
        &mut self,
        at: usize,
        state: &mut TrunkState,
        event: RegistrationEvent,
        desk: &mut Desk<'_, '_>,
    ) {
        let (now, unix) = (desk.cx.now, desk.cx.unix());
        state.checked_at = Some(unix);
        match event {
            RegistrationEvent::Registered { expires, service_route } => {
                state.registration = TrunkRegistration::Until(unix + expires.as_secs());
                state.service_route = service_route.iter().map(ToString::to_string).collect();
            }
            RegistrationEvent::Unregistered => {
                state.registration = TrunkRegistration::Removed;
                self.leaving = None;
            }
            RegistrationEvent::Failed { .. } if self.leaving.is_some() => {
                state.registration = TrunkRegistration::Removed;
                self.leaving = None;
            }
            RegistrationEvent::Failed { status, reason, retry_after } => {
                let wait = retry_after.unwrap_or_else(|| {
                    // Whoever locks out those who try passwords is not given a reason to.
                    let wait = REFUSED_AGAIN.mul_f64(desk.cx.rng.random_range(1.0..1.1));
                    self.retry = Some(now + wait);
                    wait
                });
                if matches!(status, Status::REQUEST_TIMEOUT | Status::SERVICE_UNAVAILABLE) {
                    // It may have moved.
                    self.next_lookup = Some(now);
                }
                let reason = refusal(status, reason);
                let next = unix + wait.as_secs();
                state.registration = TrunkRegistration::Failed { status: status.code(), reason, next };
            }
        }
        self.arm(at, desk.cx);
    }

    /// An OPTIONS is answered, or will not be.
    fn heard(
        &mut self,
        at: usize,
        (trunk, state): (&Trunk, &mut TrunkState),
        event: &TransactionEvent,
        desk: &mut Desk<'_, '_>,
    ) {
        let failure = match event {
            TransactionEvent::Response { response, .. } => match response.status() {
                status if status.is_provisional() => return,
                Status::SERVICE_UNAVAILABLE => Some("it says that it cannot serve now (503)".to_owned()),
                // Whatever else it says, it is there.
                _ => None,
            },
            TransactionEvent::Timeout { .. } => Some("it does not answer".to_owned()),
            _ => Some("no connection to it can be had".to_owned()),
        };
        let Some(asked) = &mut self.asked else { return };
        if failure.is_some() && lend(&mut None, desk, |stack| asked.attempt.elsewhere(usage(at), stack)) {
            return;
        }
        let round_trip = desk.cx.now.duration_since(asked.since);
        state.health = failure.map_or(TrunkHealth::Up { round_trip }, TrunkHealth::Down);
        state.checked_at = Some(desk.cx.unix());
        self.asked = None;
        self.next_health = trunk.health.map(|every| desk.cx.now + every);
        self.arm(at, desk.cx);
    }

    /// Takes a due deadline of its registration.
    pub(super) fn timeout(
        &mut self,
        deadline: Instant,
        (trunk, state): (&Trunk, &TrunkState),
        desk: &mut Desk<'_, '_>,
    ) {
        let Some(registration) = &mut self.registration else { return };
        expect(&state.servers, trunk, desk.cx);
        lend(&mut self.authorizer, desk, |stack| registration.timeout(deadline, stack));
    }

    /// A connection broke: nobody can call us by it.
    pub(super) fn flow_failed(
        &mut self,
        failed: &Flow,
        (trunk, state): (&Trunk, &TrunkState),
        desk: &mut Desk<'_, '_>,
    ) {
        let Some(registration) = self.registration.as_mut().filter(|_| self.leaving.is_none()) else {
            return;
        };
        if failed.transport != Transport::Udp {
            expect(&state.servers, trunk, desk.cx);
            lend(&mut self.authorizer, desk, |stack| registration.flow_failed(failed, stack));
        }
    }

    /// Asks at once instead of later: for its servers, whether they answer, and to be registered.
    pub(super) fn check(&mut self, at: usize, trunk: &Trunk, cx: &mut Context<'_>) {
        let now = cx.now;
        self.next_lookup = Some(now);
        self.next_health = trunk.health.map(|_| now).filter(|_| self.asked.is_none());
        if self.registration.as_ref().is_some_and(|registration| !registration.is_asking()) {
            self.retry = Some(now);
        }
        self.arm(at, cx);
    }

    /// Something of the trunk may have changed, such as its password: it is looked at anew.
    pub(super) fn refresh(&mut self, at: usize, trunk: &Trunk, cx: &mut Context<'_>) {
        let now = trunk.account();
        if now != self.account.as_ref() {
            self.account = now.cloned();
            self.authorizer = now.map(|account| account.authorizer());
            self.check(at, trunk, cx);
        } else if self.next_health.is_none() && self.asked.is_none() && self.begun {
            self.next_health = trunk.health.map(|_| cx.now);
            self.arm(at, cx);
        }
    }

    /// Calls a number, to see whether that is carried; one at a time.
    pub(super) fn try_call(
        &mut self,
        at: usize,
        (trunk, state): (&Trunk, &mut TrunkState),
        number: &str,
        desk: &mut Desk<'_, '_>,
    ) {
        if self.trial.is_some() || self.leaving.is_some() {
            return;
        }
        match Trial::begin((UsageId(usage(at).0 | TRIAL), at), (trunk, state), number, desk) {
            Ok(trial) => self.trial = Some(trial),
            Err(why) => {
                state.trial = Some(TrunkTrial::Failed(Status::SERVICE_UNAVAILABLE.code(), why));
            }
        }
        self.arm(at, desk.cx);
    }

    /// Something happens to the trial.
    pub(super) fn of_trial(
        &mut self,
        state: &mut TrunkState,
        desk: &mut Desk<'_, '_>,
        work: impl FnOnce(&mut Invite, &mut Stack<'_, '_>),
    ) {
        if let Some(trial) = &mut self.trial
            && !trial.work(state, desk, work)
        {
            self.trial = None;
        }
    }

    /// Whether it waits for an answer, or is about to ask.
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        let due =
            [self.next_lookup, self.next_health, self.retry].into_iter().flatten().any(|next| next <= now);
        let asking = self.registration.as_ref().is_some_and(Registration::is_asking);
        due || asking || self.lookup.is_some() || self.asked.is_some()
    }

    /// Takes our contact back, for the process ends.
    pub(super) fn leave(&mut self, trunk: &Trunk, state: &TrunkState, desk: &mut Desk<'_, '_>) {
        (self.begun, self.next_lookup, self.next_health, self.retry) = (true, None, None, None);
        let Some(registration) = self.registration.as_mut().filter(|one| one.is_registered()) else { return };
        self.leaving = Some(desk.cx.now);
        expect(&state.servers, trunk, desk.cx);
        lend(&mut self.authorizer, desk, |stack| registration.unregister(stack));
    }

    /// Whether the end of the process has to wait for it.
    pub(super) fn is_leaving(&self, now: Instant) -> bool {
        self.leaving.is_some_and(|since| now.duration_since(since) < LONGEST_FAREWELL)
    }
}

impl crate::route::TrunkAccount {
    /// What answers the provider's challenges.
    pub(crate) fn authorizer(&self) -> Authorizer {
        let username = self.auth_username.as_ref().unwrap_or(&self.username);
        let authorizer = Authorizer::new(username, self.password.clone());
        match &self.realm {
            Some(realm) => authorizer.for_realm(realm),
            None => authorizer.for_first_realm(),
        }
    }
}

/// The resolver knows how long an answer is good, and asks nobody before.
const LOOKUP_EVERY: Duration = Duration::from_secs(300);
const LOOKUP_AGAIN: Duration = Duration::from_secs(30);
/// After that nobody waits for the DNS any more, whatever its adapter does.
const LONGEST_SEARCH: Duration = Duration::from_secs(30);
/// A refused registration is tried again so much later.
const REFUSED_AGAIN: Duration = Duration::from_secs(3600);
const LONGEST_FAREWELL: Duration = Duration::from_secs(4);
