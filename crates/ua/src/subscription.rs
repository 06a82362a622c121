//! `Watch`: a subscription of the phone's user, from the wish to the usage below.

use offhook_sip::{NameAddr, Request, Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::transaction::{ServerId, TransactionEvent};
use offhook_sip_stack::usage::UsageId;
use offhook_sip_stack::usage::subscription::{Subscriber, SubscriberEvent, SubscriptionSettings};

use std::time::{Duration, Instant};

use crate::call::to_address;
use crate::env::{Env, Way};
use crate::{Event, QuestionId, RequestId};

/// One subscription.
#[derive(Debug)]
pub(crate) struct Watch {
    id: RequestId,
    what: SubscriptionSettings,
    usage: Option<Subscriber>,
    /// The question that the first SUBSCRIBE waits for.
    pub(crate) question: Option<QuestionId>,
}

impl Watch {
    /// Subscribes, or asks for the way. `None` if that failed at once; the user is told.
    pub(crate) fn begin(
        id: RequestId,
        target: Uri,
        event: String,
        expires: Duration,
        env: &mut Env<'_, '_>,
    ) -> Option<Self> {
        let what = SubscriptionSettings {
            from: env.identity(),
            to: NameAddr::new(to_address(&target)),
            routes: env.routes(),
            event,
            accept: None,
            expires: u32::try_from(expires.as_secs()).unwrap_or(u32::MAX),
            headers: env.config.headers.clone(),
            target,
        };
        let mut watch = Self { id, what, usage: None, question: None };
        match env.way(&watch.what.target, &watch.what.routes) {
            Ok(Way::Flows(flows)) => watch.start(flows, env).then_some(watch),
            Ok(Way::Asked(question)) => {
                watch.question = Some(question);
                Some(watch)
            }
            Err(status) => {
                watch.refused(status, status.reason().to_owned(), env);
                None
            }
        }
    }

    /// Subscribes on the first of these flows; false if there is none, and the user is told.
    pub(crate) fn start(&mut self, flows: Vec<Flow>, env: &mut Env<'_, '_>) -> bool {
        self.question = None;
        if let Some(settings) = flows.first().and_then(|flow| env.settings(flow)) {
            let usage = UsageId(self.id.0);
            let mut subscriber = Subscriber::new(usage, self.what.clone(), settings, &mut env.stack);
            if subscriber.start(flows, &mut env.stack) {
                self.usage = Some(subscriber);
                return true;
            }
        }
        self.refused(Status::SERVICE_UNAVAILABLE, "No address".to_owned(), env);
        false
    }

    /// Ends it.
    pub(crate) fn stop(&mut self, env: &mut Env<'_, '_>) {
        self.question = None;
        if let Some(usage) = &mut self.usage {
            usage.stop(&mut env.stack);
        }
    }

    /// Our addresses are others.
    pub(crate) fn moved(&mut self, env: &mut Env<'_, '_>) {
        let Some(usage) = &mut self.usage else { return };
        let flows: Vec<Flow> = usage.flows().iter().filter_map(|flow| env.moved(flow)).collect();
        if let Some(settings) = flows.first().and_then(|flow| env.settings(flow)) {
            usage.moved(settings, flows, &mut env.stack);
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.question.is_none() && self.usage.as_ref().is_none_or(Subscriber::is_over)
    }

    pub(crate) fn owns(&self, call_id: &str, local_tag: &str) -> bool {
        self.usage.as_ref().is_some_and(|usage| usage.owns(call_id, local_tag))
    }

    /// Takes an event of one of its transactions.
    pub(crate) fn receive(&mut self, event: &TransactionEvent, env: &mut Env<'_, '_>) {
        let told = self.usage.as_mut().and_then(|usage| usage.receive(event, &mut env.stack));
        self.tell(told, env);
    }

    /// Takes a request of its dialog.
    pub(crate) fn notified(&mut self, server: ServerId, request: &Request, env: &mut Env<'_, '_>) {
        let told = self.usage.as_mut().and_then(|usage| usage.notified(server, request, &mut env.stack));
        self.tell(told, env);
    }

    /// Takes a due deadline.
    pub(crate) fn timeout(&mut self, deadline: Instant, env: &mut Env<'_, '_>) {
        let told = self.usage.as_mut().and_then(|usage| usage.timeout(deadline, &mut env.stack));
        self.tell(told, env);
    }

    fn tell(&mut self, told: Option<SubscriberEvent>, env: &mut Env<'_, '_>) {
        match told {
            Some(SubscriberEvent::Accepted { status, reason, .. }) => {
                env.event(Event::Response { request: self.id, code: status.code(), reason });
            }
            Some(SubscriberEvent::Refused { status, reason }) => self.refused(status, reason, env),
            Some(SubscriberEvent::Notified { body, over, .. }) => env.event(Event::Notified {
                request: Some(self.id),
                event: self.what.event.clone(),
                body: body.map(|body| body.bytes).unwrap_or_default(),
                terminated: over,
            }),
            Some(SubscriberEvent::Over) | None => {}
        }
    }

    fn refused(&mut self, status: Status, reason: String, env: &mut Env<'_, '_>) {
        env.event(Event::Response { request: self.id, code: status.code(), reason });
    }
}
