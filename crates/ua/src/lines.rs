//! `Lines`: everything that a phone has going on, and who gets what.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use offhook_sip::{Method, Request, Status};
use offhook_sip_stack::transaction::{ServerId, TransactionEvent};
use offhook_sip_stack::usage::UsageId;
use offhook_sip_stack::{Flow, Transport};

use crate::call::{Call, Followup};
use crate::env::Env;
use crate::message::{Exchange, What};
use crate::registration::{REGISTRATION, Registrar};
use crate::server::{self, Verdict};
use crate::subscription::Watch;
use crate::{CallId, CallOptions, Command, Component, DropReason, Event, QuestionId, RequestId};

/// The phone's calls, requests and registration.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) calls: BTreeMap<CallId, Call>,
    requests: BTreeMap<RequestId, Exchange>,
    subscriptions: BTreeMap<RequestId, Watch>,
    pub(crate) registrar: Registrar,
}

impl Lines {
    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.requests.is_empty() && self.subscriptions.is_empty()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.calls.values().filter_map(Call::next_deadline).min()
    }

    /// Does what the user wants.
    pub(crate) fn command(&mut self, command: Command, env: &mut Env<'_, '_>) {
        let (id, command) = match command {
            Command::Register => return self.registrar.register(env),
            Command::Unregister => return self.registrar.unregister(env),
            Command::Call { call, target, options } => {
                let placed = Call::place(call, target, options, None, env);
                self.calls.extend(placed.map(|placed| (call, placed)));
                return;
            }
            Command::Message { request, target, text } => {
                let exchange = Exchange::begin(request, target, What::Message { text }, env);
                self.requests.extend(exchange.map(|exchange| (request, exchange)));
                return;
            }
            Command::Options { request, target } => {
                let exchange = Exchange::begin(request, target, What::Options, env);
                self.requests.extend(exchange.map(|exchange| (request, exchange)));
                return;
            }
            Command::Subscribe { request, target, event, expires } => {
                let watch = Watch::begin(request, target, event, expires, env);
                self.subscriptions.extend(watch.map(|watch| (request, watch)));
                return;
            }
            Command::Unsubscribe { request } => {
                if let Some(watch) = self.subscriptions.get_mut(&request) {
                    watch.stop(env);
                }
                return;
            }
            Command::Ring { call } => (call, InCall::Ring),
            Command::Answer { call } => (call, InCall::Answer),
            Command::Reject { call, code } => (call, InCall::Reject(code)),
            Command::Hangup { call } => (call, InCall::Hangup),
            Command::Hold { call } => (call, InCall::Hold(true)),
            Command::Resume { call } => (call, InCall::Hold(false)),
            Command::Dtmf { call, digits } => (call, InCall::Dtmf(digits)),
            Command::Transfer { call, target } => (call, InCall::Transfer(target)),
        };
        let Some(call) = self.calls.get_mut(&id).filter(|call| !call.is_ended()) else {
            return env.event(Event::Dropped(DropReason::WrongState));
        };
        match command {
            InCall::Ring => call.ring(env),
            InCall::Answer => call.answer(env),
            InCall::Reject(code) => call.reject(code, env),
            InCall::Hangup => call.hangup(env),
            InCall::Hold(held) => call.hold(held, env),
            InCall::Dtmf(digits) => call.dtmf(&digits),
            InCall::Transfer(target) => call.transfer(&target, env),
        }
    }

    /// Passes an event of the transaction layer to whom it concerns.
    pub(crate) fn transaction(&mut self, event: TransactionEvent, env: &mut Env<'_, '_>) {
        let owner = env.stack.claims.owner(&event);
        env.stack.claims.settle(&event);
        match (owner, event) {
            (Some(REGISTRATION), event) => {
                let usage = self.registrar.usage.as_mut();
                if let Some(event) = usage.and_then(|usage| usage.receive(&event, &mut env.stack)) {
                    self.registrar.event(event, env);
                }
            }
            (Some(UsageId(number)), event) => {
                if let Some(call) = self.calls.get_mut(&CallId(number)) {
                    call.receive(event, env);
                } else if let Some(exchange) = self.requests.get_mut(&RequestId(number)) {
                    exchange.receive(&event, env);
                } else if let Some(watch) = self.subscriptions.get_mut(&RequestId(number)) {
                    watch.receive(&event, env);
                }
            }
            (None, TransactionEvent::Request { server, request, flow }) => {
                self.request(server, request, flow, env);
            }
            (None, TransactionEvent::Ack { request, flow, invite }) => match self.dialog(&request) {
                Some(Place::Call(call)) => {
                    call.receive(TransactionEvent::Ack { request, flow, invite }, env);
                }
                Some(Place::Watch(_)) | None => env.event(Event::Dropped(DropReason::StrayAck)),
            },
            (None, TransactionEvent::Cancel { server, request, .. }) => {
                // The INVITE has been refused already.
                let response = server::response(&request, Status::OK, env).finish();
                env.stack.respond_once(server, response);
            }
            (None, TransactionEvent::Stray { .. }) => env.event(Event::Dropped(DropReason::StrayResponse)),
            (
                None,
                TransactionEvent::Response { .. }
                | TransactionEvent::Timeout { .. }
                | TransactionEvent::TransportFailed { .. }
                | TransactionEvent::NoAck { .. }
                | TransactionEvent::ClientEnded { .. }
                | TransactionEvent::ServerEnded { .. },
            ) => {}
        }
    }

    /// Sound from the wire.
    pub(crate) fn media(
        &mut self,
        port: usize,
        component: Component,
        from: SocketAddr,
        bytes: &[u8],
        env: &mut Env<'_, '_>,
    ) {
        match env.ports.call(port).and_then(|call| self.calls.get_mut(&call)) {
            Some(call) => call.receive_media(component, from, bytes, env),
            None => env.event(Event::Dropped(DropReason::StrayMedia)),
        }
    }

    /// The answer to a question of ours.
    pub(crate) fn resolved(
        &mut self,
        question: QuestionId,
        addresses: Vec<(Transport, SocketAddr)>,
        env: &mut Env<'_, '_>,
    ) {
        let flows = env.flows(addresses);
        if self.registrar.question == Some(question) {
            self.registrar.start(flows, env);
        } else if let Some(call) = self.calls.values_mut().find(|call| call.question == Some(question)) {
            call.start(flows, env);
        } else if let Some(exchange) = self.requests.values_mut().find(|one| one.question == Some(question)) {
            exchange.start(&flows, env);
        } else if let Some(watch) = self.subscriptions.values_mut().find(|one| one.question == Some(question))
        {
            watch.start(flows, env);
        }
    }

    pub(crate) fn flow_failed(&mut self, flow: &Flow, env: &mut Env<'_, '_>) {
        for event in env.stack.transactions.flow_failed(flow, env.stack.cx) {
            self.transaction(event, env);
        }
        if let Some(usage) = &mut self.registrar.usage {
            usage.flow_failed(flow, &mut env.stack);
        }
    }

    /// Our addresses are others.
    pub(crate) fn moved(&mut self, env: &mut Env<'_, '_>) {
        self.registrar.moved(env);
        for call in self.calls.values_mut() {
            call.moved(env);
        }
        for watch in self.subscriptions.values_mut() {
            watch.moved(env);
        }
    }

    /// Wakes everyone whose time has come.
    pub(crate) fn due(&mut self, env: &mut Env<'_, '_>) {
        let now = env.now();
        while let Some((deadline, owner)) = env.stack.cx.timers.pop_due(now) {
            if let Some(event) = env.stack.transactions.timeout(owner, deadline, env.stack.cx) {
                self.transaction(event, env);
                self.settle(env);
            }
        }
        while let Some((deadline, owner)) = env.stack.timers.pop_due(now) {
            if owner.usage == REGISTRATION {
                if let Some(usage) = &mut self.registrar.usage {
                    usage.timeout(deadline, &mut env.stack);
                }
            } else if let Some(call) = self.calls.get_mut(&CallId(owner.usage.0)) {
                call.timeout(owner.timer, deadline, env);
            } else if let Some(watch) = self.subscriptions.get_mut(&RequestId(owner.usage.0)) {
                watch.timeout(deadline, env);
            }
            self.settle(env);
        }
        for call in self.calls.values_mut() {
            call.deadline(env);
        }
        self.settle(env);
    }

    /// Passes on what the usages have to say, until they are silent, and forgets what is over.
    pub(crate) fn settle(&mut self, env: &mut Env<'_, '_>) {
        while !env.stack.events.is_empty() {
            for (usage, event) in std::mem::take(env.stack.events) {
                let id = CallId(usage.0);
                let followup = self.calls.get_mut(&id).and_then(|call| call.event(event, env));
                match followup {
                    Some(Followup::Place { target, by }) => self.place_for(id, target, by, env),
                    Some(Followup::Report { to, status }) => {
                        if let Some(call) = self.calls.get_mut(&to) {
                            call.report(status, env);
                        }
                    }
                    None => {}
                }
            }
        }
        self.calls.retain(|_, call| !call.is_over());
        self.requests.retain(|_, exchange| !exchange.is_over());
        self.subscriptions.retain(|_, watch| !watch.is_over());
    }

    /// Places the call that the peer of another asks for (RFC 3515).
    fn place_for(
        &mut self,
        referrer: CallId,
        target: offhook_sip::Uri,
        by: Option<String>,
        env: &mut Env<'_, '_>,
    ) {
        let new = CallId(env.next_number());
        env.event(Event::Transferring { call: referrer, new, target: target.clone() });
        if let Some(call) = self.calls.get_mut(&referrer) {
            call.report(Status::TRYING, env);
        }
        let placed = if self.live_calls() < env.config.max_calls {
            // Who is called learns on whose behalf (RFC 3892 §2.2).
            let headers = by.into_iter().map(|by| ("Referred-By".to_owned(), by)).collect();
            let options = CallOptions { headers, ..CallOptions::default() };
            Call::place(new, target, options, Some(referrer), env)
        } else {
            None
        };
        match placed {
            Some(placed) => {
                self.calls.insert(new, placed);
            }
            None => {
                if let Some(call) = self.calls.get_mut(&referrer) {
                    call.report(Status::SERVICE_UNAVAILABLE, env);
                }
            }
        }
    }

    fn request(&mut self, server: ServerId, request: Request, flow: Flow, env: &mut Env<'_, '_>) {
        match self.dialog(&request) {
            Some(Place::Call(call)) => {
                return call.receive(TransactionEvent::Request { server, request, flow }, env);
            }
            Some(Place::Watch(watch)) => return watch.notified(server, &request, env),
            None => {}
        }
        let merged = *request.method() == Method::Invite
            && request.to_tag().is_none()
            && self.calls.values().any(|call| call.is_merged_with(&request));
        if merged {
            let response = server::response(&request, Status::LOOP_DETECTED, env).finish();
            return env.stack.transactions.respond(server, response, env.stack.cx);
        }
        let busy = self.live_calls() >= env.config.max_calls || !env.ports.has_free();
        if let Verdict::Invite(request) = server::receive(server, request, &flow, busy, env) {
            let id = CallId(env.next_number());
            let call = Call::receive_invite(id, server, request, flow, env);
            self.calls.extend(call.map(|call| (id, call)));
        }
    }

    /// Whose dialog a received request is in.
    fn dialog(&mut self, request: &Request) -> Option<Place<'_>> {
        let (call_id, tag) = (request.call_id().ok()?, request.to_tag()?);
        if let Some(call) = self.calls.values_mut().find(|call| call.owns(call_id, tag)) {
            return Some(Place::Call(call));
        }
        self.subscriptions.values_mut().find(|watch| watch.owns(call_id, tag)).map(Place::Watch)
    }

    fn live_calls(&self) -> usize {
        self.calls.values().filter(|call| !call.is_ended()).count()
    }
}

/// What a dialog belongs to.
enum Place<'a> {
    Call(&'a mut Call),
    Watch(&'a mut Watch),
}

/// A command for a call.
enum InCall {
    Ring,
    Answer,
    Reject(u16),
    Hangup,
    Hold(bool),
    Dtmf(String),
    Transfer(offhook_sip::Uri),
}
