//! Calls that go on to somebody else.

use offhook_sip::{Host, Name, NameAddr, Response, SipUri, Status, Uri};
use offhook_sip_stack::transaction::ServerId;

use super::Core;
use super::outward::Way;
use crate::b2bua::Called;
use crate::context::Context;
use crate::directory::AddressOfRecord;
use crate::event::Event;
use crate::locality::user_of;
use crate::proxy::{Asking, Unanswered};
use crate::refusal::Refusal;
use crate::services::{Diversion, Outcome};

impl Core {
    /// Asks services what becomes of the calls that nobody has taken.
    pub(crate) fn attend(&mut self, cx: &mut Context<'_>) {
        while let Some(unanswered) = self.proxy.next_unanswered() {
            let Unanswered { number, server, asking, account, why, deflection } = unanswered;
            let request = asking.request.clone();
            let uri = request.uri().ok();
            let dialled = uri.as_ref().and_then(user_of).unwrap_or_default();
            let account = account.or_else(|| self.account_of(&dialled, uri.as_ref()?));
            let answering = account.as_ref().and_then(|account| self.directory.answering(account)).cloned();
            let called = Called { dialled, account, answering };
            let outcome = match deflection {
                Some(to) => Ok(Some(Outcome::Diverted(Diversion { to, why }))),
                None => self.unanswered(server, &asking, &called, why, cx),
            };
            let done = match (outcome, &called.account) {
                (Ok(None), _) | (Ok(Some(Outcome::Diverted(_))), None) => {
                    self.proxy.give_up(number, &self.config, &mut self.transactions, cx);
                    continue;
                }
                (Ok(Some(Outcome::Diverted(diversion))), Some(account)) => {
                    self.proxy.hand_over(number);
                    self.divert(server, asking, account, &diversion, cx)
                }
                (Ok(Some(_)), _) => {
                    self.proxy.hand_over(number);
                    Ok(())
                }
                (Err(refusal), _) => {
                    self.proxy.hand_over(number);
                    Err(refusal)
                }
            };
            if let Err(refusal) = done {
                let answer = refusal.response(&request, &self.stateless_tag(&request));
                self.fail(server, answer, cx);
            }
        }
    }

    /// The account that a Request-URI of ours names.
    fn account_of(&self, user: &str, uri: &Uri) -> Option<AddressOfRecord> {
        let host = uri.as_sip().map(|uri| uri.host().to_string()).unwrap_or_default();
        self.directory.find(user, &host, &self.config.domains).map(|account| account.address.clone())
    }

    /// A call that has begun ends without an answer.
    fn fail(&mut self, server: ServerId, answer: Response, cx: &mut Context<'_>) {
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
        let Some(uri) = destination(&diversion.to, by) else {
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

/// What an account calls a destination: a URI, an address, or a number or name at its own domain.
fn destination(text: &str, by: &AddressOfRecord) -> Option<Uri> {
    let text = text.trim();
    let scheme = ["sip:", "sips:", "tel:"].iter().any(|one| text.starts_with(one));
    match text {
        _ if scheme => text.parse().ok(),
        _ if text.contains('@') => format!("sip:{text}").parse().ok(),
        "" => None,
        user => Some(SipUri::new(Some(user), Host::parse(by.host())?).into()),
    }
}

/// How often a call may be sent on.
const MOST_DIVERSIONS: usize = 5;
