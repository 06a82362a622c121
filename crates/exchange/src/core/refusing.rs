//! The answer to a request that is refused, and what is told of it.

use offhook_sip::{Method, Name, Request, Response, Status};
use offhook_sip_stack::Flow;
use offhook_sip_stack::transaction::ServerId;

use super::Core;
use crate::context::Context;
use crate::event::Event;
use crate::refusal::Refusal;

impl Core {
    pub(super) fn refuse(
        &mut self,
        server: ServerId,
        request: &Request,
        flow: &Flow,
        refusal: &Refusal,
        cx: &mut Context<'_>,
    ) {
        let answer = refusal.response(request, &self.stateless_tag(request));
        cx.event(refused(request, flow, &answer));
        cx.out.events.extend(self.call_refused(request, flow, (refusal, &answer)));
        if refusal.proven {
            self.transactions.respond(server, answer, &mut cx.sip());
        } else {
            self.transactions.respond_once(server, answer, &mut cx.sip());
        }
    }

    /// What is told of a call of somebody whom we know, if that is what was refused.
    pub(super) fn call_refused(
        &self,
        request: &Request,
        flow: &Flow,
        (refusal, answer): (&Refusal, &Response),
    ) -> Option<Event> {
        let asked = [Status::UNAUTHORIZED, Status::PROXY_AUTHENTICATION_REQUIRED].contains(&refusal.status);
        if *request.method() != Method::Invite || asked || request.to_tag().is_some() {
            return None;
        }
        let trunk =
            if refusal.proven { None } else { Some(self.trunk_of(request, flow)?.trunk.name.clone()) };
        let text = |name| String::from_utf8_lossy(request.raw(name).unwrap_or_default()).into_owned();
        Some(Event::CallRefused {
            call: request.call_id().unwrap_or_default().to_owned(),
            from: text(Name::From),
            to: text(Name::To),
            status: answer.status(),
            reason: String::from_utf8_lossy(answer.reason()).into_owned(),
            trunk,
        })
    }
}

pub(super) fn refused(request: &Request, flow: &Flow, answer: &Response) -> Event {
    Event::Refused {
        from: flow.remote,
        status: answer.status(),
        reason: String::from_utf8_lossy(answer.reason()).into_owned(),
        call: request.call_id().unwrap_or_default().to_owned(),
    }
}
