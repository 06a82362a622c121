//! `Exchange`: one request outside of a call, MESSAGE or OPTIONS, and what comes back.

use offhook_sip::{CSeq, Method, Name, NameAddr, Request, RequestBuilder, Response, Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::dialog::first_hop;
use offhook_sip_stack::transaction::TransactionEvent;
use offhook_sip_stack::usage::{Attempt, UsageId};

use crate::call::to_address;
use crate::env::{Env, Way};
use crate::{Event, QuestionId, RequestId};

/// A request of ours outside of a call.
#[derive(Debug)]
pub(crate) struct Exchange {
    id: RequestId,
    target: Uri,
    what: What,
    call_id: String,
    tag: String,
    /// The question that it waits for.
    pub(crate) question: Option<QuestionId>,
    attempt: Option<Attempt>,
}

/// What is asked.
#[derive(Debug)]
pub(crate) enum What {
    Message { text: String },
    Options,
}

impl Exchange {
    /// Sends the request, or asks for the way. `None` if it failed at once; the user is told.
    pub(crate) fn begin(id: RequestId, target: Uri, what: What, env: &mut Env<'_, '_>) -> Option<Self> {
        let (call_id, tag) = (env.stack.cx.call_id(), env.stack.cx.tag());
        let (question, attempt) = (None, None);
        let mut exchange = Self { id, target, what, call_id, tag, question, attempt };
        let routes = env.routes();
        match env.way(&exchange.target, &routes) {
            Ok(Way::Flows(flows)) => exchange.start(&flows, env).then_some(exchange),
            Ok(Way::Asked(question)) => {
                exchange.question = Some(question);
                Some(exchange)
            }
            Err(status) => {
                exchange.tell(status, status.reason().to_owned(), env);
                None
            }
        }
    }

    /// Sends it on the first of these flows; false if there is none, and the user is told.
    pub(crate) fn start(&mut self, flows: &[Flow], env: &mut Env<'_, '_>) -> bool {
        self.question = None;
        let attempt = flows.first().and_then(|flow| {
            let settings = env.settings(flow)?;
            let request = self.build(flow, env)?;
            Attempt::send(UsageId(self.id.0), request, flows, &settings, &mut env.stack)
        });
        let sent = attempt.is_some();
        self.attempt = attempt;
        if !sent {
            self.tell(Status::SERVICE_UNAVAILABLE, "No address".to_owned(), env);
        }
        sent
    }

    /// Whether nothing more is to come.
    pub(crate) fn is_over(&self) -> bool {
        self.question.is_none() && self.attempt.is_none()
    }

    /// Takes an event of its transaction.
    pub(crate) fn receive(&mut self, event: &TransactionEvent, env: &mut Env<'_, '_>) {
        let Some(attempt) = &mut self.attempt else { return };
        let ours = attempt.client();
        let status = match event {
            TransactionEvent::Response { client, response, .. } if *client == ours => {
                return self.response(response, env);
            }
            TransactionEvent::Timeout { client } if *client == ours => Status::REQUEST_TIMEOUT,
            TransactionEvent::TransportFailed { client } if *client == ours => Status::SERVICE_UNAVAILABLE,
            _ => return,
        };
        if !attempt.elsewhere(UsageId(self.id.0), &mut env.stack) {
            self.tell(status, status.reason().to_owned(), env);
        }
    }

    fn response(&mut self, response: &Response, env: &mut Env<'_, '_>) {
        let status = response.status();
        let Some(attempt) = &mut self.attempt else { return };
        if status.is_provisional() {
            return;
        }
        let number = attempt.request().cseq().map_or(1, |cseq| cseq.number.saturating_add(1));
        let usage = UsageId(self.id.0);
        let again = (Attempt::is_challenge(response)
            && attempt.challenged(usage, response, || number, &mut env.stack))
            || (status == Status::SERVICE_UNAVAILABLE && attempt.elsewhere(usage, &mut env.stack));
        if again {
            return;
        }
        self.tell(status, String::from_utf8_lossy(response.reason()).into_owned(), env);
    }

    fn tell(&mut self, status: Status, reason: String, env: &mut Env<'_, '_>) {
        self.attempt = None;
        env.event(Event::Response { request: self.id, code: status.code(), reason });
    }

    fn build(&self, flow: &Flow, env: &mut Env<'_, '_>) -> Option<Request> {
        let settings = env.settings(flow)?;
        let hop = first_hop(&self.target, &env.routes());
        let method = match &self.what {
            What::Message { .. } => Method::Message,
            What::Options => Method::Options,
        };
        let via = env.stack.via(flow, &settings.sent_by);
        let mut builder = RequestBuilder::new(method.clone(), &hop.request_uri).header(Name::Via, via);
        for route in &hop.routes {
            builder = builder.header(Name::Route, route);
        }
        builder = builder
            .header(Name::MaxForwards, 70)
            .header(Name::From, env.identity().with_tag(&self.tag))
            .header(Name::To, NameAddr::new(to_address(&self.target)))
            .header(Name::CallId, &self.call_id)
            .header(Name::CSeq, CSeq { number: 1, method })
            .header(Name::UserAgent, &settings.agent);
        for (name, value) in &env.config.headers {
            builder = builder.header_other(name, value);
        }
        let builder = match &self.what {
            What::Message { text } => builder.body("text/plain;charset=UTF-8", text.as_bytes()),
            What::Options => {
                builder.header(Name::Contact, &settings.contact).header(Name::Accept, "application/sdp")
            }
        };
        Some(builder.finish())
    }
}
