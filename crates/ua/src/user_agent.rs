//! `UserAgent`: the phone as one state machine.

use std::sync::Arc;
use std::time::Instant;

use offhook_sip::{Message, NameAddr, ParseErrorKind, RejectedRequest};
use offhook_sip_stack::auth::{Authorizer, Password};
use offhook_sip_stack::transaction::{Limits, Owner, Transactions};
use offhook_sip_stack::usage::invite::InviteEvent;
use offhook_sip_stack::usage::{Claims, Settings, Stack, UsageId, UsageOwner};
use offhook_sip_stack::{Context, Flow, Rng, Timers};

use crate::env::{Env, describe};
use crate::lines::Lines;
use crate::ports::Ports;
use crate::{CallId, Config, DropReason, Event, Input, MediaReport, Outbox, RequestId};

/// A phone: give it inputs and sound, do what its outbox says.
#[derive(Debug)]
pub struct UserAgent {
    config: Config,
    settings: Vec<Arc<Settings>>,
    rng: Rng,
    timers: Timers<Owner>,
    transactions: Transactions,
    usage_timers: Timers<UsageOwner>,
    usage_events: Vec<(UsageId, InviteEvent)>,
    claims: Claims,
    authorizer: Option<Authorizer>,
    ports: Ports,
    numbers: u64,
    service_route: Vec<NameAddr>,
    lines: Lines,
}

impl UserAgent {
    /// A phone that does nothing yet. `rng` makes its tags and Call-IDs; the same seed repeats a run.
    pub fn new(config: Config, rng: Rng) -> Self {
        let authorizer = config.credentials.as_ref().map(|credentials| {
            Authorizer::new(&credentials.username, Password::new(credentials.password.as_str()))
        });
        Self {
            settings: describe(&config),
            rng,
            timers: Timers::new(),
            transactions: Transactions::new(Limits { clients: MAX_TRANSACTIONS, servers: MAX_TRANSACTIONS }),
            usage_timers: Timers::new(),
            usage_events: Vec::new(),
            claims: Claims::default(),
            authorizer,
            ports: Ports::new(config.media_ports.len()),
            numbers: 0,
            service_route: Vec::new(),
            lines: Lines::default(),
            config,
        }
    }

    /// Handles one input and everything that is due at `now`.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Outbox) {
        if let Input::Moved { listeners, media_ports } = &input {
            debug_assert_eq!(media_ports.len(), self.config.media_ports.len());
            self.config.listeners.clone_from(listeners);
            self.config.media_ports.clone_from(media_ports);
            self.settings = describe(&self.config);
        }
        self.enter(now, out, |lines, env| {
            match input {
                Input::Message { bytes, flow } => receive(lines, &bytes, flow, env),
                Input::FlowFailed(flow) => lines.flow_failed(&flow, env),
                Input::Media { port, component, from, bytes } => {
                    lines.media(port, component, from, &bytes, env);
                }
                Input::Resolved { question, addresses } => lines.resolved(question, addresses, env),
                Input::Moved { .. } => lines.moved(env),
                Input::Command(command) => lines.command(command, env),
                Input::Deadline => {}
            }
            lines.settle(env);
            lines.due(env);
        });
    }

    /// When [`Input::Deadline`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.timers.next_deadline(), self.usage_timers.next_deadline(), self.lines.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Moves 20 ms of sound through a call; the driver calls it every 20 ms of its sound clock, from
    /// [`Event::Progress`] with early media or [`Event::Answered`] to [`Event::Ended`]. Both are 16-bit samples at
    /// 8, 16 or 48 kHz, of which [`UserAgent::sample_rate`] is best; their length says which it is. The loudspeaker
    /// is always filled. A call without sound takes and gives silence.
    pub fn audio(
        &mut self,
        now: Instant,
        call: CallId,
        microphone: &[i16],
        loudspeaker: &mut [i16],
        out: &mut Outbox,
    ) {
        loudspeaker.fill(0);
        self.enter(now, out, |lines, env| {
            if let Some(call) = lines.calls.get_mut(&call) {
                call.audio(microphone, loudspeaker, env);
            }
        });
    }

    /// The rate of a call's sound in samples a second: that of its codec, 8 kHz without one. It may change during
    /// the call.
    pub fn sample_rate(&self, call: CallId) -> u32 {
        self.lines.calls.get(&call).map_or(offhook_media::SAMPLE_RATE, |call| call.sample_rate())
    }

    /// A number for a call to be placed.
    pub fn next_call(&mut self) -> CallId {
        self.numbers += 1;
        CallId(self.numbers)
    }

    /// A number for a request to be sent.
    pub fn next_request(&mut self) -> RequestId {
        self.numbers += 1;
        RequestId(self.numbers)
    }

    /// The calls that have not ended, oldest first.
    pub fn calls(&self) -> Vec<CallId> {
        self.lines.calls.iter().filter(|(_, call)| !call.is_ended()).map(|(id, _)| *id).collect()
    }

    /// A call as Replaces names it to others (RFC 3891): its peer is asked to talk with them instead.
    pub fn replaces(&self, call: CallId) -> Option<String> {
        let id = self.lines.calls.get(&call)?.invite.as_ref()?.dialog()?.id();
        Some(format!("{};to-tag={};from-tag={}", id.call_id, id.remote_tag, id.local_tag))
    }

    /// What the sound of a call is like so far.
    pub fn media_report(&self, call: CallId) -> Option<MediaReport> {
        self.lines.calls.get(&call)?.media_report()
    }

    /// Whether the registrar has our contact, as far as we know.
    pub fn is_registered(&self) -> bool {
        self.lines.registrar.usage.as_ref().is_some_and(|usage| usage.is_registered())
    }

    /// Whether nothing is left of any call, request or transaction: the leak test. A registration may stay.
    pub fn is_idle(&self) -> bool {
        self.lines.is_empty()
            && self.ports.all_free()
            && self.transactions.is_empty()
            && self.claims.is_empty()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Lends everything to a piece of work.
    fn enter(&mut self, now: Instant, out: &mut Outbox, work: impl FnOnce(&mut Lines, &mut Env<'_, '_>)) {
        let mut cx = Context {
            now,
            rng: &mut self.rng,
            timers: &mut self.timers,
            out: &mut out.sip,
            shard: self.config.number,
        };
        let stack = Stack {
            cx: &mut cx,
            transactions: &mut self.transactions,
            timers: &mut self.usage_timers,
            claims: &mut self.claims,
            authorizer: self.authorizer.as_mut(),
            events: &mut self.usage_events,
        };
        let mut env = Env {
            config: &self.config,
            settings: &self.settings,
            stack,
            ports: &mut self.ports,
            numbers: &mut self.numbers,
            service_route: &mut self.service_route,
            media: &mut out.media,
            questions: &mut out.questions,
            events: &mut out.events,
        };
        work(&mut self.lines, &mut env);
    }
}

/// A message from the wire.
fn receive(lines: &mut Lines, bytes: &bytes::Bytes, flow: Flow, env: &mut Env<'_, '_>) {
    match Message::parse(bytes.clone()) {
        Ok(message) => {
            if let Some(event) = env.stack.transactions.receive(message, flow, env.stack.cx) {
                lines.transaction(event, env);
            }
        }
        // A keep-alive (RFC 5626 §4.4.1).
        Err(error) if error.kind == ParseErrorKind::Empty => {}
        Err(error) => match RejectedRequest::salvage(bytes, error) {
            Some(rejected) => {
                let tag = env.stack.cx.tag();
                let response = rejected.response().to_tag(&tag).finish();
                env.stack.cx.out.transmit(flow, response.bytes().clone());
            }
            None => env.event(Event::Dropped(DropReason::NotSip)),
        },
    }
}

/// The most transactions of each kind: more than any phone has use for.
const MAX_TRANSACTIONS: usize = 1024;
