//! Who signed for the number of a call that comes in: the call waits here until the signer's certificate has come.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_sip::{Host, Method, NameAddr, Request, SipUri, Uri};
use offhook_sip_stack::FetchFailure;
use offhook_sip_stack::transaction::ServerId;

use super::Core;
use crate::context::Context;
use crate::event::Event;
use crate::identity::Caller;
use crate::proxy::Asking;
use crate::refusal::Refusal;
use crate::stir::{self, Claim, Fault, Known, Policy, Verdict};

/// Certificates that are known, and calls that wait for others.
#[derive(Default)]
pub(super) struct Attesting {
    known: Known,
    waiting: BTreeMap<ServerId, Waiting>,
    /// What is being fetched, by the number of the question.
    fetching: HashMap<u64, String>,
    issued: u64,
}

struct Waiting {
    asking: Asking,
    uri: Uri,
    claim: Claim,
    /// The address of the certificate for which it waits.
    address: String,
    since: Instant,
}

impl Attesting {
    /// A call that no longer waits: it was cancelled, or its transaction is over.
    pub(super) fn forget(&mut self, server: ServerId) -> Option<Request> {
        Some(self.waiting.remove(&server)?.asking.request)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    fn fetch(&mut self, address: &str, cx: &mut Context<'_>) -> Result<(), FetchFailure> {
        if self.fetching.values().any(|one| one == address) {
            return Ok(());
        }
        if self.fetching.len() >= MOST_FETCHING {
            return Err(FetchFailure::Busy);
        }
        self.issued += 1;
        cx.out.fetches.push((self.issued, address.to_owned()));
        self.fetching.insert(self.issued, address.to_owned());
        Ok(())
    }
}

impl Core {
    /// What is to be done about the signature of a call, if anything is: accounts have proven who they are.
    pub(super) fn signature_policy(&self, asking: &Asking) -> Policy {
        if *asking.request.method() != Method::Invite || !matches!(asking.caller, Caller::Stranger) {
            return Policy::Off;
        }
        let trunk = self.trunk_of(&asking.request, &asking.from).and_then(|came| came.trunk.verify);
        trunk.unwrap_or(self.config.stir.policy)
    }

    /// Checks the signature of a call, and sends the call on its way.
    pub(super) fn attest(
        &mut self,
        server: ServerId,
        asking: Asking,
        uri: &Uri,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let is_ours = |host: &str| self.config.serves(host);
        let numbering = &self.config.plan.numbering;
        let claim = match stir::claims(&asking.request, numbering, &is_ours, cx.unix()) {
            Err(fault) => return self.attested(server, asking, (uri, &Verdict::Failed(fault)), cx),
            Ok(None) => return self.attested(server, asking, (uri, &Verdict::Unsigned), cx),
            Ok(Some(claim)) => claim,
        };
        let waiting = Waiting { asking, uri: uri.clone(), claim, address: String::new(), since: cx.now };
        self.judge(server, waiting, cx)
    }

    /// Sends a call on its way if all the certificates that it takes are known; else it waits for the next.
    fn judge(&mut self, server: ServerId, waiting: Waiting, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let is_late = cx.now.duration_since(waiting.since) > LONGEST_WAIT;
        let missing = match self.attesting.known.judge(&waiting.claim, cx.now, cx.unix()) {
            Ok(verdict) => return self.attested(server, waiting.asking, (&waiting.uri, &verdict), cx),
            Err(missing) => missing,
        };
        let fetched = match self.attesting.waiting.len() {
            _ if is_late => Err(FetchFailure::Silent),
            MOST_WAITING.. => Err(FetchFailure::Busy),
            _ => self.attesting.fetch(&missing, cx),
        };
        if let Err(failure) = fetched {
            let verdict = Verdict::Failed(Fault::Unavailable(failure));
            return self.attested(server, waiting.asking, (&waiting.uri, &verdict), cx);
        }
        if waiting.address.is_empty() {
            self.transactions.trying(server, &mut cx.sip());
        }
        self.attesting.waiting.insert(server, Waiting { address: missing, ..waiting });
        Ok(())
    }

    /// A certificate has been fetched, or cannot be.
    pub(crate) fn fetched(&mut self, ticket: u64, answer: Result<Bytes, FetchFailure>, cx: &mut Context<'_>) {
        let Some(address) = self.attesting.fetching.remove(&ticket) else { return };
        let answer = answer.as_ref().map(|bytes| &bytes[..]).map_err(|failure| *failure);
        let authorities = &self.config.stir.authorities;
        self.attesting.known.learn(address.clone(), answer, authorities, (cx.now, cx.unix()));
        self.end_waiting(cx, |one, _| one.address == address);
    }

    /// Nobody waits for ever, whatever the adapter does.
    pub(super) fn end_attesting(&mut self, cx: &mut Context<'_>) {
        self.end_waiting(cx, |one, now| now.duration_since(one.since) > LONGEST_WAIT);
        if self.attesting.waiting.is_empty() {
            self.attesting.fetching.clear();
        }
    }

    fn end_waiting(&mut self, cx: &mut Context<'_>, is_over: impl Fn(&Waiting, Instant) -> bool) {
        let waiting = self.attesting.waiting.iter();
        let over: Vec<_> =
            waiting.filter(|(_, one)| is_over(one, cx.now)).map(|(server, _)| *server).collect();
        for server in over {
            let Some(waiting) = self.attesting.waiting.remove(&server) else { continue };
            let (request, flow) = (waiting.asking.request.clone(), waiting.asking.from);
            if let Err(refusal) = self.judge(server, waiting, cx) {
                self.refuse(server, &request, &flow, &refusal, cx);
            }
        }
    }

    /// A call goes on with what is known of its caller, or is refused for it.
    fn attested(
        &mut self,
        server: ServerId,
        mut asking: Asking,
        (uri, verdict): (&Uri, &Verdict),
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        if self.signature_policy(&asking) == Policy::Require
            && let Some(status) = verdict.status()
        {
            // RFC 8224 §6.2.2 has this phrase for a code that has another elsewhere.
            let phrase = match verdict {
                Verdict::Failed(Fault::Stale) => "Stale Date",
                _ => status.reason(),
            };
            return Err(Refusal::new(status, format!("{phrase} ({verdict})")));
        }
        if self.config.stir.verstat
            && let Some(shown) = self.shown(&asking.request, verdict)
        {
            asking.caller = Caller::Checked(shown);
        }
        let call = asking.request.call_id().unwrap_or_default().to_owned();
        self.proceed(server, asking, (uri, true), cx)?;
        cx.event(Event::CallVerified { call, verdict: verdict.to_string() });
        Ok(())
    }

    /// What phones are told of a caller.
    fn shown(&self, request: &Request, verdict: &Verdict) -> Option<String> {
        let number = stir::number_of(request, &self.config.plan.numbering)?;
        let uri = SipUri::new(Some(&number), Host::parse(&self.config.realm)?);
        let uri = uri.with_param("user", Some("phone")).with_param("verstat", Some(verdict.verstat()));
        Some(NameAddr::new(uri).to_string())
    }
}

const MOST_WAITING: usize = 1_000;
/// Certificates that are being fetched at a time.
const MOST_FETCHING: usize = 64;
const LONGEST_WAIT: Duration = Duration::from_secs(30);
