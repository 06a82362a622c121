//! Ending a call that is not ours: a BYE to each party, in the name of the other, or a CANCEL.

use offhook_sip::{
    Contacts, Headers, Method, Name, NameAddr, Request, RequestBuilder, Response, Status, Uri, Via,
};
use offhook_sip_stack::Flow;
use offhook_sip_stack::transaction::Transactions;

use super::Proxy;
use super::anchor::Trouble;
use super::response_context::ResponseContext;
use super::signed_route::{PARAMETER, Party, PartyName, SignedRoute};
use crate::config::{Config, Key};
use crate::context::Context;
use crate::event::{EndedBy, Event};

/// What a BYE to each of the two parties of an answered call would need (RFC 3261 §12).
pub(crate) struct Dialog {
    call_id: String,
    ends: [End; 2],
}

/// One party's part of the dialog.
struct End {
    party: Party,
    /// Its From or To, with its tag.
    address: String,
    /// Its Contact.
    target: String,
    /// The last sequence number that it used.
    cseq: u32,
    /// Proxies between it and us, as a route to it.
    routes: Vec<String>,
}

impl Dialog {
    /// The dialog between an INVITE and its 2xx. Of each we know the routes on our other side.
    pub(crate) fn new(invite: &Request, answer: &Response, parties: [Party; 2], key: &Key) -> Option<Self> {
        let call_id = invite.call_id().ok()?;
        let routes = |headers: &Headers| -> Vec<String> {
            headers.values(Name::RecordRoute).map(|one| String::from_utf8_lossy(one).into_owned()).collect()
        };
        // The answer's Record-Route has the callee's proxies on top, then ours, then the caller's.
        let before = routes(invite);
        let mut beyond = routes(answer);
        beyond.truncate(beyond.len().saturating_sub(before.len()));
        // Another exchange of this kind has the same parameter, but not our key.
        beyond.retain(|one| !is_ours(one, call_id, key));
        beyond.reverse();
        let end = |mut party: Party, headers: &Headers, address, routes, cseq| {
            // The connection may be another by then: it is found again by the peer's address.
            party.flow.connection = None;
            Some(End { party, address, target: target(headers)?, cseq, routes })
        };
        let caller = invite.raw(Name::From).map(lossy)?;
        let callee = answer.raw(Name::To).map(lossy)?;
        let cseq = invite.cseq().ok()?.number;
        Some(Self {
            call_id: call_id.to_owned(),
            ends: [
                end(parties[0], invite, caller, before, cseq)?,
                end(parties[1], answer, callee, beyond, 0)?,
            ],
        })
    }

    /// A request of a party passed: its sequence number, and perhaps a new Contact (§12.2).
    pub(crate) fn passed(&mut self, sender: PartyName, request: &Request) {
        let end = &mut self.ends[sender.index()];
        if let Ok(cseq) = request.cseq() {
            end.cseq = end.cseq.max(cseq.number);
        }
        if matches!(request.method(), Method::Invite | Method::Update)
            && let Some(target) = target(request)
        {
            end.target = target;
        }
    }

    /// Whether a party has not sent this request, or a later one, before (§12.2.2).
    pub(crate) fn is_new(&self, sender: PartyName, request: &Request) -> bool {
        request.cseq().is_ok_and(|cseq| cseq.number > self.ends[sender.index()].cseq)
    }

    /// A party is somewhere else.
    pub(crate) fn moved(&mut self, name: PartyName, to: Party) {
        self.ends[name.index()].party = Party { flow: Flow { connection: None, ..to.flow }, ..to };
    }

    /// What the two parties call themselves, caller first.
    pub(crate) fn addresses(&self) -> (&str, &str) {
        (&self.ends[0].address, &self.ends[1].address)
    }

    /// Sends the two BYEs. `reason` is a Reason value (RFC 3326).
    pub(crate) fn hang_up(
        &self,
        reason: &str,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        for to in [PartyName::Caller, PartyName::Callee] {
            if let Some(bye) = self.bye(to, reason, config, cx) {
                transactions.send_request(bye, self.ends[to.index()].party.flow, &mut cx.sip());
            }
        }
    }

    fn bye(&self, to: PartyName, reason: &str, config: &Config, cx: &mut Context<'_>) -> Option<Request> {
        let (to, from) = (&self.ends[to.index()], &self.ends[to.other().index()]);
        let target: Uri = to.target.parse().ok()?;
        let flow = &to.party.flow;
        let branch = cx.sip().branch();
        let via = Via::new(flow.transport.into(), config.sent_by(flow), &branch).with_rport();
        let mut bye = RequestBuilder::new(Method::Bye, &target).header(Name::Via, via);
        for route in &to.routes {
            bye = bye.header(Name::Route, route);
        }
        let bye = bye
            .header(Name::MaxForwards, 70)
            .header(Name::From, &from.address)
            .header(Name::To, &to.address)
            .header(Name::CallId, &self.call_id)
            .header(Name::CSeq, format_args!("{} BYE", from.cseq.saturating_add(1)))
            .header(Name::Reason, reason);
        Some(bye.finish())
    }
}

impl Proxy {
    /// Ends the forwarded calls with this Call-ID, at an operator's wish: those being set up, and those whose media
    /// goes through us. Returns how many there are.
    pub(crate) fn hang_up(
        &mut self,
        call_id: &str,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) -> usize {
        let ringing = self.contexts.values_mut().filter(|one| one.is_new_call() && one.call_id() == call_id);
        let ringing: Vec<_> = ringing
            .map(|context| {
                // Whoever came first is who ended it.
                context.hung_up |= !context.cancelled;
                context.server
            })
            .collect();
        for invite in &ringing {
            self.cancel(*invite, Some(OPERATOR_REASON), config, transactions, cx);
        }
        let answered = self.anchors.forwarded(call_id);
        for number in &answered {
            self.end_call(*number, (OPERATOR_REASON, EndedBy::Operator), config, transactions, cx);
        }
        ringing.len() + answered.len()
    }

    /// A call was answered that must not go on: the media of this anchor is unprotected, or an operator has ended the
    /// call and the answer has crossed our CANCEL.
    pub(super) fn end_unwanted(
        &mut self,
        context: &ResponseContext,
        index: usize,
        unprotected: Option<u64>,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        if let Some(anchor) = unprotected {
            let (reason, ..) = Trouble::Unprotected.words();
            self.end_call(anchor, (&reason, EndedBy::Exchange), config, transactions, cx);
        } else if context.hung_up
            && let Some(anchor) = context.branches[index].anchor
        {
            self.end_call(anchor, (OPERATOR_REASON, EndedBy::Operator), config, transactions, cx);
        }
    }

    /// Ends a forwarded call whose media goes through us, for this reason (RFC 3326).
    pub(crate) fn end_call(
        &mut self,
        number: u64,
        (reason, by): (&str, EndedBy),
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(anchor) = self.anchors.close(number, cx) else { return };
        self.let_go(&anchor, cx);
        let Some(answered) = anchor.answered else { return };
        if let Some(dialog) = answered.dialog {
            let (caller, callee) = dialog.addresses();
            self.active.members.call_over(|| [caller.as_bytes(), callee.as_bytes()]);
            dialog.hang_up(reason, config, transactions, cx);
        }
        if self.over.note(&anchor.call_id, &answered.callee_tag, &config.key, cx.unix()) {
            cx.event(Event::CallEnded { call: anchor.call_id, by });
        }
    }
}

fn target(headers: &Headers) -> Option<String> {
    match headers.contacts().ok()? {
        Contacts::List(list) => Some(list.first()?.uri().to_string()),
        Contacts::Star => None,
    }
}

fn lossy(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// With what a call is refused that an operator ended before it was answered.
pub(crate) const OPERATOR: (Status, &str) = (Status::TEMPORARILY_UNAVAILABLE, "Ended by the operator");
/// The same as a Reason value.
pub(crate) const OPERATOR_REASON: &str = "SIP;cause=480;text=\"Ended by the operator\"";

/// Whether a value of Record-Route is one that we have put there for this call.
fn is_ours(route: &str, call_id: &str, key: &Key) -> bool {
    let route = NameAddr::parse(bytes::Bytes::copy_from_slice(route.as_bytes())).ok();
    let sealed = route.as_ref().and_then(|route| route.uri.as_sip()?.param(PARAMETER));
    sealed.is_some_and(|sealed| SignedRoute::open(sealed, call_id, key).is_some())
}
