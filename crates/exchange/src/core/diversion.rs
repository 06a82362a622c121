//! Calls that go on to somebody else.

use offhook_sip::{Host, Method, Name, NameAddr, Response, SipUri, Status, Uri};
use offhook_sip_stack::transaction::ServerId;

use super::Core;
use super::outward::Way;
use crate::b2bua::{self, Called};
use crate::context::Context;
use crate::directory::AddressOfRecord;
use crate::event::Event;
use crate::locality::user_of;
use crate::proxy::{Asking, Unanswered};
use crate::refusal::Refusal;
use crate::services::{Diversion, Outcome, Why};

impl Core {
    /// Asks services what becomes of the calls that nobody has taken.
    pub(crate) fn attend(&mut self, cx: &mut Context<'_>) {
        self.note_texts(cx);
        while let Some(unanswered) = self.proxy.next_unanswered() {
            let Unanswered { number, server, asking, account, why, deflection } = unanswered;
            if let (Method::Message, Some(account)) = (asking.request.method(), &account) {
                let account = account.clone();
                self.unheard(number, (server, asking), account, cx);
                continue;
            }
            let request = asking.request.clone();
            match self.outcome(server, asking, account, (why, deflection), cx) {
                Ok(false) => self.proxy.give_up(number, &self.config, &mut self.transactions, cx),
                Ok(true) => self.proxy.hand_over(number),
                Err(refusal) => {
                    self.proxy.hand_over(number);
                    let answer = refusal.response(&request, &self.stateless_tag(&request));
                    self.fail(server, answer, cx);
                }
            }
        }
        while let Some(unanswered) = self.next_unanswered(cx) {
            let b2bua::Unanswered { call, server, asking, account, why, deflection } = unanswered;
            let refusal = match self.outcome(server, asking, account, (why, deflection), cx) {
                Ok(true) => continue,
                Ok(false) => None,
                Err(refusal) => Some(refusal),
            };
            let (bridged, mut env, _) = self.bridged(cx);
            bridged.give_up(call, refusal.as_ref(), &mut env);
        }
    }

    fn next_unanswered(&mut self, cx: &mut Context<'_>) -> Option<b2bua::Unanswered> {
        let (bridged, mut env, _) = self.bridged(cx);
        bridged.next_unanswered(&mut env)
    }

    /// What becomes of a call that nobody has taken; false: nothing.
    fn outcome(
        &mut self,
        server: ServerId,
        asking: Asking,
        account: Option<AddressOfRecord>,
        (why, deflection): (Why, Option<String>),
        cx: &mut Context<'_>,
    ) -> Result<bool, Refusal> {
        let uri = asking.request.uri().ok();
        let dialled = uri.as_ref().and_then(user_of).unwrap_or_default();
        let account = account.or_else(|| self.account_of(&dialled, uri.as_ref()?));
        let answering = account.as_ref().and_then(|account| self.directory.answering(account)).cloned();
        let called = Called { dialled, account, answering, emergency: false };
        let outcome = match deflection {
            Some(to) => Some(Outcome::Diverted(Diversion { to, why })),
            None => self.unanswered(server, &asking, &called, why, cx)?,
        };
        match (outcome, &called.account) {
            (None, _) | (Some(Outcome::Diverted(_)), None) => Ok(false),
            (Some(Outcome::Diverted(diversion)), Some(account)) => {
                self.divert(server, asking, account, &diversion, cx).map(|()| true)
            }
            (Some(_), _) => Ok(true),
        }
    }

    /// The account that a Request-URI of ours names.
    fn account_of(&self, user: &str, uri: &Uri) -> Option<AddressOfRecord> {
        let host = uri.as_sip().map(|uri| uri.host().to_string()).unwrap_or_default();
        self.directory.find(user, &host, &self.config.domains).map(|account| account.address.clone())
    }

    /// A call that has begun ends without an answer.
    pub(super) fn fail(&mut self, server: ServerId, answer: Response, cx: &mut Context<'_>) {
        let call = answer.call_id().unwrap_or_default().to_owned();
        let reason = String::from_utf8_lossy(answer.reason()).into_owned();
        cx.event(Event::CallFailed { call, status: answer.status(), reason, by: None });
        self.transactions.respond(server, answer, &mut cx.sip());
    }

    /// Sends a call on to where the one who was called wants it.
    ///
    /// # Errors
    /// If it goes in a circle, or nobody is there.
    pub(super) fn divert(
        &mut self,
        server: ServerId,
        asking: Asking,
        by: &AddressOfRecord,
        diversion: &Diversion,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let before: Vec<String> = asking
            .request
            .values(Name::Diversion)
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect();
        let is_by = |value: &String| {
            let who = NameAddr::parse(value.clone().into()).ok();
            let uri = who.as_ref().and_then(|who| who.uri.as_sip());
            uri.is_some_and(|uri| {
                let user = uri.user_unescaped().unwrap_or_default();
                AddressOfRecord::new(&user, &uri.host().to_string()) == *by
            })
        };
        if before.len() >= MOST_DIVERSIONS || before.iter().any(is_by) {
            return Err(Refusal::new(Status::LOOP_DETECTED, "This call is forwarded in a circle"));
        }
        let Some(account) = self.directory.account(by).cloned() else { return Err(Status::NOT_FOUND.into()) };
        let Some(uri) = destination(&diversion.to, by.host()) else {
            let reason = format!("Calls are forwarded to {}, which is no address", diversion.to);
            return Err(Refusal::new(Status::NOT_FOUND, reason));
        };
        let trunk =
            asking.trunk.or_else(|| self.trunk_with_leg(&asking.request, &asking.caller, &asking.from));
        let mut edit = asking.request.edit();
        edit.set_uri(&uri).remove(Name::Diversion);
        edit.add(Name::Diversion, format_args!("<{by}>;reason={};counter=1", diversion.why.word()));
        before.iter().for_each(|value| _ = edit.add(Name::Diversion, value));
        let asking = Asking { request: edit.finish(), diverted_by: Some(account), trunk, ..asking };
        let here = match &uri {
            Uri::Sip(uri) => self.config.is_here(uri, &asking.from),
            Uri::Tel(_) => true,
            Uri::Other(_) => return Err(Status::UNSUPPORTED_URI_SCHEME.into()),
        };
        if here {
            return self.reach(server, asking, (user_of(&uri), &uri), cx);
        }
        let way = Way::elsewhere(&uri)?;
        self.go(server, asking, way, cx)
    }
}

/// What somebody at a host calls a destination: a URI, an address, or a number or name at that host.
pub(super) fn destination(text: &str, host: &str) -> Option<Uri> {
    let text = text.trim();
    let scheme = ["sip:", "sips:", "tel:"].iter().any(|one| text.starts_with(one));
    match text {
        _ if scheme => text.parse().ok(),
        _ if text.contains('@') => format!("sip:{text}").parse().ok(),
        "" => None,
        user => Some(SipUri::new(Some(user), Host::parse(host)?).into()),
    }
}

/// How often a call may be sent on.
const MOST_DIVERSIONS: usize = 5;
